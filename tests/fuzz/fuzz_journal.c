/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal reader: as the bytes are, and with every checksum made right first,
 * so that what lies behind the checksums is reached too. What it accepts must come
 * out of the writer again, byte for byte; and what an undo accepts of it must only
 * ever put back bits. What it accepts of a resync's must stay within the mirror, and clear
 * only bits that are set.
 */
#include <endian.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "core/journal.h"
#include "core/mirror_log.h"
#include "core/restore.h"
#include "core/undo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 64u

struct input {
	const uint8_t *data;
	size_t size;
	size_t written;		/* by the writer, all of it equal so far */
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static int64_t input_read(void *context, uint64_t offset, void *bytes, size_t nr_bytes)
{
	const struct input *input = context;

	require(nr_bytes <= JOURNAL_PAYLOAD_MAX);
	if (offset >= input->size)
		return 0;
	if (nr_bytes > input->size - offset)
		nr_bytes = input->size - offset;
	memcpy(bytes, input->data + offset, nr_bytes);
	return (int64_t)nr_bytes;
}

static int input_compare(void *context, const void *bytes, size_t nr_bytes)
{
	struct input *input = context;

	require(nr_bytes <= input->size - input->written);
	require(!memcmp(input->data + input->written, bytes, nr_bytes));
	input->written += nr_bytes;
	return 0;
}

static void check_bounds(const struct journal_record *record, const struct journal_reader *reader)
{
	const struct journal_bytes *bytes = &record->bytes;

	if (record->type != JOURNAL_BYTES)
		return;
	require(bytes->sectors && bytes->start_sector < REGION_LENGTH_MAX &&
		bytes->sectors <= REGION_LENGTH_MAX - bytes->start_sector);
	if (bytes->place == JOURNAL_LOG)
		require(bytes->start_sector + bytes->sectors <= reader->bounds.log_sectors);
	else
		require(bytes->place < MIRROR_LEGS_MAX);
	require((bytes->kind == JOURNAL_REPLACED) == (bytes->replaced_by != NULL));
	require(bytes->kind != JOURNAL_REPLACED || (reader->committed && reader->bounds.open));
}

static int put_again(struct journal_writer *writer, const struct journal_record *record)
{
	switch (record->type) {
	case JOURNAL_IDENTITY:
		return journal_put_identity(writer, record->identity);
	case JOURNAL_LOG_STATE:
		return journal_put_log_state(writer, &record->log_state);
	case JOURNAL_BYTES:
		return journal_put_bytes(writer, &record->bytes);
	case JOURNAL_REGION:
		return journal_put_region(writer, &record->region);
	case JOURNAL_COMMIT:
		return journal_put_commit(writer);
	case JOURNAL_OUTCOME:
		return journal_put_outcome(writer, &record->outcome);
	case JOURNAL_SET:
		return journal_put_set(writer, &record->outcome);
	}
	abort();
}

static void read_and_write(const uint8_t *data, size_t size)
{
	struct input input = { .data = data, .size = size };
	struct error err = { .kind = ERROR_NONE };
	struct journal_record record;
	struct journal_reader reader;
	struct journal_writer writer;
	int r;

	journal_reader_init(&reader, (struct journal_source){ .read_at = input_read,
							      .context = &input });
	journal_writer_init(&writer, (struct journal_sink){ .append = input_compare,
							    .context = &input });
	while ((r = journal_next(&reader, &record, &err)) == 1) {
		check_bounds(&record, &reader);
		require(!put_again(&writer, &record));
		require(input.written == reader.offset && writer.committed == reader.committed);
	}
	require(r ? err.kind == ERROR_OPERATION : input.written == size);
	require(journal_next(&reader, &record, NULL) == r);
	journal_reader_free(&reader);
}

#define AREA_MAX 65536u	/* larger logs are slow, and no other */

/* The log as the journal says it was, or as the planned bits leave it. */
static void examine(const struct undo_journal *undo, bool cleared)
{
	static _Alignas(8) uint8_t now[AREA_MAX];
	uint64_t nr_bytes = undo->log_state.area_bytes;
	enum undo_answer answer;
	struct bitmap bits;
	void *before;

	if (nr_bytes > AREA_MAX)
		return;
	memset(now, 0, nr_bytes);
	for (size_t i = 0; i < undo->nr_blocks; i++)
		memcpy(now + undo->blocks[i].sector * SECTOR_BYTES, undo->blocks[i].old,
		       undo->blocks[i].sectors * SECTOR_BYTES);
	bitmap_borrow(&bits, now + MIRROR_LOG_BITS_OFFSET, undo->planned.nr_bits);
	for (uint64_t r = bitmap_next_set(&undo->planned, 0); r < undo->planned.nr_bits;
	     r = bitmap_next_set(&undo->planned, r + 1)) {
		require(bitmap_test(&bits, r));
		if (cleared)
			bitmap_clear(&bits, r);
	}
	require(!undo_examine(&answer, &before, undo, now, nr_bytes, NULL));
	require((before != NULL) == (answer == UNDO_POSSIBLE));
	require(!before || (cleared && !memcmp(now, before, MIRROR_LOG_BITS_OFFSET)));
	free(before);
}

static int take_kept(void *context, const struct journal_bytes *items, size_t nr_items,
		     struct error *err)
{
	uint64_t *sectors = context;

	(void)err;
	require(nr_items);
	for (size_t i = 0; i < nr_items; i++) {
		uint8_t print[JOURNAL_FINGERPRINT_BYTES];

		require(items[i].place < MIRROR_LEGS_MAX);
		require(!i || items[i].place != items[i - 1].place || items[i].start_sector >=
			items[i - 1].start_sector + items[i - 1].sectors);
		sectors[items[i].place] += items[i].sectors;
		/* All of both can be read. */
		journal_fingerprint(print, items[i].data + (items[i].sectors - 1) * SECTOR_BYTES);
		memcpy(print, items[i].replaced_by + (items[i].sectors - 1) * sizeof(print),
		       sizeof(print));
	}
	return 0;
}

/* Without a leg that could be looked at: where would it go? */
static void place_kept(const struct undo_journal *undo, const struct journal_source *source)
{
	static const struct block_engine_ops ops = { .name = "none" };
	struct block_engine engine = { .ops = &ops, .buffer_bytes = 4096 };
	struct restore_input input = { .engine = &engine, .undo = undo, .source = source };
	struct restore restore;
	struct identity identity;
	uint64_t unreadable = 0, kept = 0;

	if (identity_from_json(&identity, undo->identity, NULL) ||
	    region_geometry_init(&input.geometry, identity.length, identity.region_size, NULL) ||
	    input.geometry.nr_regions > AREA_MAX)
		return;
	input.nr_legs = identity.nr_legs;
	require(!restore_examine(&restore, &input, NULL));
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		unreadable += restore.legs[leg].unreadable;
		kept += undo->overwritten[leg];
	}
	require(unreadable == kept && !bitmap_count(&restore.regions));
	require(!bitmap_count(&restore.unreadable) == !kept);
	restore_free(&restore);
}

/* All bits set, as a resync may leave them. */
static void clear_again(const struct undo_journal *undo)
{
	static _Alignas(8) uint8_t now[AREA_MAX + 8];
	uint64_t nr_bytes = undo->log_state.area_bytes;
	struct mirror_log log;
	struct bitmap bits;

	if (nr_bytes > AREA_MAX)
		return;
	memset(now, 0xff, nr_bytes);
	memcpy(now, "rRiM\2\0\0", 8);
	mirror_log_decode(&log, now, nr_bytes, undo->log_state.nr_regions);
	require(!undo_resync_bits(&bits, undo, &log));
	require(bits.nr_bits == undo->log_state.nr_regions);
	require(!undo->has_set || bitmap_count(&bits) <= bitmap_count(&undo->set));
	restore_edit(now, &bits);
	require(!memcmp(now, "rRiM\2\0\0", 8));
	bitmap_free(&bits);
}

static void read_open(const struct undo_journal *undo, const struct journal_source *source)
{
	uint64_t sectors[MIRROR_LEGS_MAX] = { 0 };

	require(!journal_backwards(&undo->marks, source, take_kept, sectors, NULL));
	require(!memcmp(sectors, undo->overwritten, sizeof(sectors)));
	place_kept(undo, source);
	clear_again(undo);
}

static void read_for_undo(const uint8_t *data, size_t size)
{
	struct input input = { .data = data, .size = size };
	struct journal_source source = { .read_at = input_read, .context = &input };
	struct error err = { .kind = ERROR_NONE };
	struct undo_journal undo;
	uint64_t cut_at;
	int r = undo_journal_read(&undo, &source, &cut_at, &err);

	require((r == 0) == (err.kind == ERROR_NONE));
	require(r == -ENODATA || undo.committed == !r);
	if (!r) {
		require(cut_at <= size && undo.planned.nr_bits <= undo.log_state.nr_regions);
		if (undo.open)
			read_open(&undo, &source);
	}
	if (!r && !undo.open) {
		require(bitmap_count(&undo.cleared) <= bitmap_count(&undo.planned));
		examine(&undo, false);
		examine(&undo, true);
	}
	undo_journal_free(&undo);
}

/* Makes checks, digests, sequence numbers and lengths right, from record to record
 * as far as there are any. */
static void seal(uint8_t *data, size_t size)
{
	uint8_t chain[32] = { 0 }, digest[32];
	uint64_t sequence = 0, le_sequence;
	size_t at = 0;

	while (size - at >= HEAD) {
		uint8_t *head = data + at;
		struct sha256_ctx sha;
		uint32_t bytes;

		memcpy(&bytes, head + 16, 4);
		if (le32toh(bytes) > size - at - HEAD)
			bytes = htole32((uint32_t)(size - at - HEAD));
		memcpy(head + 16, &bytes, 4);
		bytes = le32toh(bytes);
		le_sequence = htole64(sequence++);
		memcpy(head + 24, &le_sequence, 8);

		sha256_init(&sha);
		sha256_update(&sha, 32, chain);
		sha256_update(&sha, 20, head);
		sha256_update(&sha, 8, head + 24);
		sha256_digest(&sha, 32, digest);
		memcpy(head + 20, digest, 4);
		sha256_init(&sha);
		sha256_update(&sha, 32, chain);
		sha256_update(&sha, 32, head);
		if (bytes)
			sha256_update(&sha, bytes, head + HEAD);
		sha256_digest(&sha, 32, chain);
		memcpy(head + 32, chain, 32);

		at += HEAD + bytes;
		at = size - at < -bytes % 8u ? size : at + -bytes % 8u;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		return 0;
	read_and_write(data, size);
	read_for_undo(data, size);
	if (size)
		memcpy(copy, data, size);
	seal(copy, size);
	read_and_write(copy, size);
	read_for_undo(copy, size);
	free(copy);
	return 0;
}
