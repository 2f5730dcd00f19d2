/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a journal holds, read whole: only what a repair or a resync can have written
 * passes. */

#include "core/undo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "core/mirror_log.h"

struct reading {
	struct undo_journal *undo;
	const char *name;
	struct error *err;
	uint64_t offset;		/* of the current record */
	size_t room_blocks, room_regions;
	uint64_t room_bits;		/* of undo->planned */
	uint64_t length;		/* of an open journal's mirror */
	bool bad;			/* a whole record that nobody can have written */
	bool pair_open;			/* the last block's new bytes are still to come */
};

static int not_a_repair(const struct reading *reading, const char *what)
{
	return error_operation(reading->err, EBADMSG, "%s: not what a repair or a resync writes: %s (byte %" PRIu64
			       "); nothing can be undone by it", reading->name, what,
			       reading->offset);
}

static int no_memory(const struct reading *reading)
{
	return error_operation(reading->err, ENOMEM, "%s: not enough memory to undo what it holds; "
			       "nothing was changed", reading->name);
}

/* Room for one more in an array that grows with what was really read. */
static bool make_room(void **items, size_t item_bytes, size_t nr, size_t *room)
{
	size_t wanted = *room ? *room * 2 : 4;
	void *grown;

	if (nr < *room)
		return true;
	grown = reallocarray(*items, wanted, item_bytes);
	if (!grown)
		return false;
	*items = grown;
	*room = wanted;
	return true;
}

/* Lengthens undo->planned to hold `nr_bits`, which only grows. By copying runs, not
 * words: memory in which no bit is set has cost nothing so far. */
static bool grow_planned(struct reading *reading, uint64_t nr_bits)
{
	struct bitmap *planned = &reading->undo->planned, grown;
	uint64_t limit = reading->undo->log_state.nr_regions, room, first, last, from = 0;

	if (nr_bits > reading->room_bits) {
		room = reading->room_bits * 2 < limit ? reading->room_bits * 2 : limit;
		if (room < nr_bits)
			room = nr_bits;
		if (bitmap_alloc(&grown, room))
			return false;
		for (; bitmap_next_run(planned, true, from, &first, &last); from = last + 1)
			bitmap_set_run(&grown, first, last);
		bitmap_free(planned);
		*planned = grown;
		reading->room_bits = room;
	}
	planned->nr_bits = nr_bits;
	return true;
}

/* Takes over the bits that differ in one byte of the area. */
static int read_cleared_bits(struct reading *reading, uint64_t byte, unsigned int bits)
{
	uint64_t region;

	if (byte < MIRROR_LOG_BITS_OFFSET)
		return not_a_repair(reading, "it changes the log's header");
	for (unsigned int bit = 0; bit < 8; bit++) {
		if (!(bits >> bit & 1))
			continue;
		region = (byte - MIRROR_LOG_BITS_OFFSET) * 8 + bit;
		if (region >= reading->undo->log_state.nr_regions)
			return not_a_repair(reading, "it changes bits behind the last region");
		if (!grow_planned(reading, region + 1))
			return no_memory(reading);
		bitmap_set(&reading->undo->planned, region);
	}
	return 0;
}

/* The log of an open journal is there from its first sector on, without a gap. */
static int read_open_block(struct reading *reading, const struct journal_bytes *bytes)
{
	const struct undo_journal *undo = reading->undo;
	const struct undo_block *last = undo->nr_blocks ? &undo->blocks[undo->nr_blocks - 1] : NULL;

	return bytes->start_sector == (last ? last->sector + last->sectors : 0) ? 0 :
	       not_a_repair(reading, "a gap in the log as it was");
}

static int read_old_block(struct reading *reading, const struct journal_bytes *bytes)
{
	struct undo_journal *undo = reading->undo;
	const struct undo_block *last = undo->nr_blocks ? &undo->blocks[undo->nr_blocks - 1] : NULL;
	size_t nr_bytes = (size_t)bytes->sectors * SECTOR_BYTES;
	struct undo_block *block;

	if (reading->pair_open)
		return not_a_repair(reading, "old bytes of the log without the new ones");
	if (last && bytes->start_sector < last->sector + last->sectors)
		return not_a_repair(reading, "sectors of the log twice, or out of order");
	if (undo->open && read_open_block(reading, bytes))
		return -EBADMSG;
	if (!make_room((void **)&undo->blocks, sizeof(*undo->blocks), undo->nr_blocks,
		       &reading->room_blocks))
		return no_memory(reading);
	block = &undo->blocks[undo->nr_blocks];
	block->old = malloc(nr_bytes);
	if (!block->old)
		return no_memory(reading);
	memcpy(block->old, bytes->data, nr_bytes);
	block->sector = bytes->start_sector;
	block->sectors = bytes->sectors;
	undo->nr_blocks++;
	undo->has_log = true;
	reading->pair_open = !undo->open;
	return 0;
}

/* New is old with bits cleared, and nothing else: an undo may set nothing that a
 * repair could not have cleared. */
static int read_new_block(struct reading *reading, const struct journal_bytes *bytes)
{
	const struct undo_journal *undo = reading->undo;
	const struct undo_block *block = undo->nr_blocks ? &undo->blocks[undo->nr_blocks - 1] : NULL;
	uint64_t start = bytes->start_sector * SECTOR_BYTES;
	size_t nr_bytes = (size_t)bytes->sectors * SECTOR_BYTES;
	int r = 0;

	if (!reading->pair_open || block->sector != bytes->start_sector ||
	    block->sectors != bytes->sectors)
		return not_a_repair(reading, "new bytes of the log without the old ones");
	reading->pair_open = false;
	for (size_t i = 0; i < nr_bytes && !r; i++) {
		if (bytes->data[i] == block->old[i])
			continue;
		if (bytes->data[i] & ~block->old[i])
			r = not_a_repair(reading, "it sets bits");
		else
			r = read_cleared_bits(reading, start + i, bytes->data[i] ^ block->old[i]);
	}
	return r;
}

/* In front of the commit the ends of a leg, behind it what was overwritten. */
static int read_leg(struct reading *reading, const struct journal_bytes *bytes)
{
	struct undo_journal *undo = reading->undo;
	struct identity identity;
	struct error why = { .kind = ERROR_NONE };
	int r;

	if (!undo->ends.nr_legs) {
		r = identity_from_json(&identity, undo->identity, &why);
		if (r)
			return not_a_repair(reading, why.text);
		leg_ends_init(&undo->ends, identity.nr_legs, identity.length);
		reading->length = identity.length;
	}
	if (bytes->place >= undo->ends.nr_legs || bytes->sectors > reading->length ||
	    bytes->start_sector > reading->length - bytes->sectors)
		return not_a_repair(reading, "sectors of a leg that the mirror does not have");
	if (undo->committed) {
		undo->overwritten[bytes->place] += bytes->sectors;
		return 0;
	}
	r = leg_ends_take(&undo->ends, bytes);
	return r > 0 ? not_a_repair(reading, "other sectors of a leg than its ends") :
	       r ? no_memory(reading) : 0;
}

static int read_bytes(struct reading *reading, const struct journal_bytes *bytes)
{
	if (bytes->place != JOURNAL_LOG && reading->undo->open)
		return read_leg(reading, bytes);
	if (bytes->place != JOURNAL_LOG) {
		reading->undo->saved_sectors += bytes->kind == JOURNAL_OLD ? bytes->sectors : 0;
		return 0;
	}
	return bytes->kind == JOURNAL_OLD ? read_old_block(reading, bytes) :
	       read_new_block(reading, bytes);
}

static int read_region(struct reading *reading, const struct journal_region *region)
{
	struct undo_journal *undo = reading->undo;

	if (undo->nr_regions && region->region <= undo->regions[undo->nr_regions - 1].region)
		return not_a_repair(reading, "a region twice, or out of order");
	if (!make_room((void **)&undo->regions, sizeof(*undo->regions), undo->nr_regions,
		       &reading->room_regions))
		return no_memory(reading);
	undo->regions[undo->nr_regions++] = *region;
	return 0;
}

static bool has_whole_area(const struct undo_journal *undo)
{
	const struct undo_block *last = &undo->blocks[undo->nr_blocks - 1];

	return (last->sector + last->sectors) * SECTOR_BYTES == undo->log_state.area_bytes;
}

static int read_commit(struct reading *reading)
{
	struct undo_journal *undo = reading->undo;

	if (reading->pair_open)
		return not_a_repair(reading, "old bytes of the log without the new ones");
	if (undo->open && (!undo->nr_blocks || !has_whole_area(undo)))
		return not_a_repair(reading, "a part of the log as it was is missing");
	undo->committed = true;
	return 0;
}

/* What a resync says of its end: of several records the union counts. */
static int read_runs(struct reading *reading, struct bitmap *bits, bool *any,
		     const struct journal_outcome *outcome)
{
	if (!*any && bitmap_alloc(bits, reading->undo->log_state.nr_regions))
		return no_memory(reading);
	*any = true;
	for (size_t i = 0; i < outcome->nr_runs; i++)
		bitmap_set_run(bits, outcome->runs[i].first, outcome->runs[i].last);
	return 0;
}

/* Of several outcomes the union counts. */
static int read_outcome(struct reading *reading, const struct journal_outcome *outcome)
{
	struct undo_journal *undo = reading->undo;

	if (undo->open)
		return read_runs(reading, &undo->cleared, &undo->has_outcome, outcome);
	if (!undo->has_outcome && bitmap_alloc(&undo->cleared, undo->planned.nr_bits))
		return no_memory(reading);
	undo->has_outcome = true;
	for (size_t i = 0; i < outcome->nr_runs; i++) {
		const struct region_run *run = &outcome->runs[i];

		if (run->last >= undo->planned.nr_bits ||
		    bitmap_next_clear(&undo->planned, run->first) <= run->last)
			return not_a_repair(reading, "it says that regions were cleared which were "
					    "not planned");
		bitmap_set_run(&undo->cleared, run->first, run->last);
	}
	return 0;
}

static int read_record(struct reading *reading, const struct journal_record *record)
{
	struct undo_journal *undo = reading->undo;

	reading->offset = record->offset;
	switch (record->type) {
	case JOURNAL_IDENTITY:
		undo->identity = strdup(record->identity);
		return undo->identity ? 0 : no_memory(reading);
	case JOURNAL_LOG_STATE:
		undo->log_state = record->log_state;
		undo->open = journal_is_open(&record->log_state);
		return 0;
	case JOURNAL_BYTES:
		return read_bytes(reading, &record->bytes);
	case JOURNAL_REGION:
		return read_region(reading, &record->region);
	case JOURNAL_COMMIT:
		return read_commit(reading);
	case JOURNAL_SET:
		return read_runs(reading, &undo->set, &undo->has_set, &record->outcome);
	default:
		return read_outcome(reading, &record->outcome);
	}
}

static int read_end(struct reading *reading, const struct journal_reader *reader, int r,
		    uint64_t *cut_at, struct error *cut)
{
	struct undo_journal *undo = reading->undo;

	/* Of what was written last and not synced a power cut may leave anything. */
	undo->torn = r == -EBADMSG && undo->open && reader->committed && !reading->bad;
	if (undo->torn || (r == -ENODATA && reader->committed)) {
		*cut_at = reader->offset;
		r = 0;
	}
	if (!r && !reader->committed)
		r = error_operation(cut, ENODATA, reader->sequence ? "%s: ends without its commit; "
				    "nothing was changed" : "%s: empty; nothing was changed",
				    reading->name);
	if (r) {
		error_operation(reading->err, -r, "%s", cut->text);
		return r;
	}
	if (!undo->has_outcome)
		bitmap_borrow(&undo->cleared, undo->planned.words, undo->planned.nr_bits);
	return 0;
}

int undo_journal_read(struct undo_journal *undo, const struct journal_source *source,
		      uint64_t *cut_at, struct error *err)
{
	struct error cut = { .kind = ERROR_NONE };
	struct reading reading = { .undo = undo, .err = &cut,
				   .name = source->name ? source->name : "journal" };
	struct journal_reader reader;
	struct journal_record record;
	int r;

	memset(undo, 0, sizeof(*undo));
	*cut_at = 0;
	journal_reader_init(&reader, *source);
	while ((r = journal_next(&reader, &record, &cut)) == 1) {
		r = read_record(&reading, &record);
		if (!r && undo->open && journal_marks_note(&undo->marks, &reader))
			r = no_memory(&reading);
		reading.bad = r;
		if (r)
			break;
	}
	reading.err = err;
	r = read_end(&reading, &reader, r, cut_at, &cut);
	journal_reader_free(&reader);
	if (r && r != -ENODATA)
		undo_journal_free(undo);
	return r;
}

void undo_journal_free(struct undo_journal *undo)
{
	for (size_t i = 0; i < undo->nr_blocks; i++)
		free(undo->blocks[i].old);
	free(undo->blocks);
	free(undo->regions);
	free(undo->identity);
	bitmap_free(&undo->cleared);
	bitmap_free(&undo->planned);
	bitmap_free(&undo->set);
	leg_ends_free(&undo->ends);
	journal_marks_free(&undo->marks);
	memset(undo, 0, sizeof(*undo));
}
