/* SPDX-License-Identifier: GPL-2.0-or-later */

/* All that was kept, from the last to the first, beside what the legs hold there now. */

#include "core/restore_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum held { HELD_AS_KEPT, HELD_REPLACED, HELD_FOREIGN, HELD_UNREADABLE };

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t end_of(const struct journal_bytes *item)
{
	return item->start_sector + item->sectors;
}

static uint32_t block_of(const struct block_device *leg)
{
	return leg->block_sectors ? leg->block_sectors : 1;
}

static int no_memory(const struct restore_pass *pass)
{
	return error_operation(pass->err, ENOMEM, "not enough memory to put back what was kept%s",
			       pass->write ? "; run it again" : "; nothing was changed");
}

/* --- life ---------------------------------------------------------------------- */

struct restore_pass *restore_pass_create(struct restore *restore,
					 const struct restore_input *input, struct error *err)
{
	struct restore_pass *pass = calloc(1, sizeof(*pass));

	if (!pass)
		return NULL;
	pass->restore = restore;
	pass->input = input;
	pass->err = err;
	pass->buffer = block_memory(input->engine, input->engine->buffer_bytes);
	if (pass->buffer &&
	    !bitmap_alloc(&pass->changing, input->engine->buffer_bytes / SECTOR_BYTES + 1))
		return pass;
	free(pass->buffer);
	free(pass);
	return NULL;
}

void restore_pass_destroy(struct restore_pass *pass)
{
	if (pass->input->engine->in_flight) {
		pass->restore->hung = true;
		pass->restore->abandoned = pass;
		return;
	}
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		leg_reader_destroy(pass->readers[leg]);
		bitmap_free(&pass->doubt[leg]);
	}
	bitmap_free(&pass->changing);
	free(pass->buffer);
	free(pass);
}

/* --- requests -------------------------------------------------------------------- */

static void request_done(struct block_request *request)
{
	struct restore_pass *pass = request->context;

	pass->nr_out--;
	if (!request->result) {
		if (request->op == BLOCK_WRITE)
			pass->restore->legs[pass->leg].written_bytes +=
				(uint64_t)request->sectors * SECTOR_BYTES;
		return;
	}
	if (!pass->result || request->sector < pass->failed_sector)
		pass->failed_sector = request->sector;
	if (!pass->result)
		pass->result = request->result;
}

/* Until nothing is out any more: pass->result, or -errno while something still is. */
static int settle(struct restore_pass *pass)
{
	int r = 0;

	while (!r && pass->nr_out)
		r = block_wait_unless_hung(pass->input->engine);
	return r ? r : pass->result;
}

static int submit(struct restore_pass *pass, const struct block_request *model)
{
	struct block_request *request;
	int r = pass->nr_out == RESTORE_WRITES ? settle(pass) : 0;

	if (r)
		return r;
	/* All of them are free after a settle, and given out in turn up to the next. */
	request = &pass->requests[pass->nr_out];
	*request = *model;
	request->done = request_done;
	request->context = pass;
	r = block_submit(pass->input->engine, request);
	if (!r)
		pass->nr_out++;
	else
		pass->failed_sector = model->sector;
	return r;
}

int restore_pass_flush(struct restore_pass *pass, struct block_device *device)
{
	struct block_request model = { .device = device, .op = BLOCK_FLUSH };
	int r;

	pass->result = 0;
	r = submit(pass, &model);
	return r ? r : settle(pass);
}

/* --- writing --------------------------------------------------------------------- */

static int write_failed(struct restore_pass *pass, int r)
{
	const struct block_device *leg = pass->input->legs[pass->leg];

	if (r == -ECANCELED)
		return error_operation(pass->err, ECANCELED, "%s: interrupted while the device did "
				       "not answer", leg->name);
	return error_operation(pass->err, -r, "%s: cannot write sector %" PRIu64 ": %s", leg->name,
			       pass->failed_sector, error_reason(r));
}

/* The blocks of the chunk that change. Without `write` they are counted only. */
static int write_chunk(struct restore_pass *pass, const struct leg_chunk *chunk)
{
	struct block_request model = { .device = pass->input->legs[pass->leg], .op = BLOCK_WRITE };
	uint64_t first, last, from = 0;
	int r = 0;

	pass->result = 0;
	while (!r && bitmap_next_run(&pass->changing, true, from, &first, &last)) {
		from = last + 1;
		model.sector = chunk->start + first;
		model.sectors = (uint32_t)(last - first + 1);
		model.data = pass->buffer + first * SECTOR_BYTES;
		if (pass->write)
			r = submit(pass, &model);
		else
			pass->restore->legs[pass->leg].written_bytes +=
				(uint64_t)model.sectors * SECTOR_BYTES;
	}
	if (!r && pass->write)
		r = settle(pass);
	else if (r && pass->nr_out)
		settle(pass);
	bitmap_clear_run(&pass->changing, 0, UINT64_MAX);
	return r ? write_failed(pass, r) : 0;
}

/* --- sector by sector -------------------------------------------------------------- */

static enum held look_at(const struct leg_chunk *chunk, const struct journal_bytes *item,
			 uint64_t sector)
{
	uint64_t at = sector - chunk->start, nr = sector - item->start_sector;
	const unsigned char *held = chunk->data[0] + at * SECTOR_BYTES;
	unsigned char fingerprint[JOURNAL_FINGERPRINT_BYTES];

	if (leg_chunk_sector_is_bad(chunk, 0, (uint32_t)at))
		return HELD_UNREADABLE;
	if (!memcmp(held, item->data + nr * SECTOR_BYTES, SECTOR_BYTES))
		return HELD_AS_KEPT;
	journal_fingerprint(fingerprint, held);
	return memcmp(fingerprint, item->replaced_by + nr * sizeof(fingerprint),
		      sizeof(fingerprint)) ? HELD_FOREIGN : HELD_REPLACED;
}

static int doubt(struct restore_pass *pass, uint64_t sector)
{
	struct bitmap *doubt = &pass->doubt[pass->leg];

	if (!doubt->nr_bits && bitmap_alloc(doubt, pass->input->geometry.length))
		return no_memory(pass);
	bitmap_set(doubt, sector);
	return 0;
}

static void put_back(struct restore_pass *pass, const struct leg_chunk *chunk,
		     const struct journal_bytes *item, uint64_t sector)
{
	const uint32_t block = block_of(pass->input->legs[pass->leg]);
	uint64_t at = sector - chunk->start, first = at / block * block;
	uint64_t last = min_u64(first + block, chunk->sectors) - 1;

	pass->restore->legs[pass->leg].put_back++;
	/* What else is in the block stays as it is. */
	if (!bitmap_test(&pass->changing, at))
		memcpy(pass->buffer + first * SECTOR_BYTES, chunk->data[0] + first * SECTOR_BYTES,
		       (size_t)(last - first + 1) * SECTOR_BYTES);
	bitmap_set_run(&pass->changing, first, last);
	memcpy(pass->buffer + at * SECTOR_BYTES,
	       item->data + (sector - item->start_sector) * SECTOR_BYTES, SECTOR_BYTES);
}

/* While nothing is written: what is it, and what follows for its region? */
static int find(struct restore_pass *pass, const struct leg_chunk *chunk,
		const struct journal_bytes *item, uint64_t sector, enum held held)
{
	struct restore_leg *leg = &pass->restore->legs[pass->leg];
	uint64_t region = region_of_sector(&pass->input->geometry, sector);

	if (held == HELD_FOREIGN)
		return doubt(pass, sector);
	if (held == HELD_UNREADABLE) {
		leg->unreadable++;
		bitmap_set(&pass->restore->unreadable, region);
		return 0;
	}
	if (pass->doubt[pass->leg].nr_bits)
		bitmap_clear(&pass->doubt[pass->leg], sector);
	if (held == HELD_AS_KEPT) {
		leg->as_kept++;
	} else if (bitmap_test(&pass->restore->refused, region) ||
		   bitmap_test(&pass->restore->unreadable, region)) {
		leg->spared++;
	} else {
		bitmap_set(&pass->restore->regions, region);
		put_back(pass, chunk, item, sector);
	}
	return 0;
}

/* Only in regions whose bits are cleared. What is to go back and cannot is doubted. */
static int write_back(struct restore_pass *pass, const struct leg_chunk *chunk,
		      const struct journal_bytes *item, uint64_t sector, enum held held)
{
	uint64_t region = region_of_sector(&pass->input->geometry, sector);
	bool wanted = bitmap_test(&pass->restore->regions, region);

	if (!wanted && held != HELD_REPLACED)
		return 0;
	if (held == HELD_AS_KEPT || (wanted && held == HELD_REPLACED)) {
		if (pass->doubt[pass->leg].nr_bits)
			bitmap_clear(&pass->doubt[pass->leg], sector);
		if (held == HELD_REPLACED)
			put_back(pass, chunk, item, sector);
		return 0;
	}
	if (!wanted && (bitmap_test(&pass->restore->refused, region) ||
			bitmap_test(&pass->restore->unreadable, region)))
		return 0;
	return doubt(pass, sector);
}

/* --- a leg ----------------------------------------------------------------------- */

static int take_item(struct restore_pass *pass, const struct leg_chunk *chunk,
		     const struct journal_bytes *item)
{
	uint64_t sector = max_u64(item->start_sector, chunk->start);
	uint64_t end = min_u64(end_of(item), chunk->start + chunk->sectors);
	int r = 0;

	pass->done_sectors += end - sector;
	for (; !r && sector < end; sector++) {
		enum held held = look_at(chunk, item, sector);

		r = pass->write ? write_back(pass, chunk, item, sector, held) :
		    find(pass, chunk, item, sector, held);
	}
	return r;
}

static int take_chunk(void *context, const struct leg_chunk *chunk)
{
	struct restore_pass *pass = context;
	uint64_t end = chunk->start + chunk->sectors;
	int r = 0;

	while (pass->next_item < pass->nr_items &&
	       end_of(&pass->items[pass->next_item]) <= chunk->start)
		pass->next_item++;
	for (size_t i = pass->next_item;
	     !r && i < pass->nr_items && pass->items[i].start_sector < end; i++)
		r = take_item(pass, chunk, &pass->items[i]);
	return r ? r : write_chunk(pass, chunk);
}

/* Whole blocks of the leg: neighbours, and what shares a block, together. */
static bool next_range(void *context, uint64_t *start, uint64_t *end)
{
	struct restore_pass *pass = context;
	const struct block_device *leg = pass->input->legs[pass->leg];
	const uint32_t block = block_of(leg);
	const struct journal_bytes *item = &pass->items[pass->next_range];

	if (pass->next_range == pass->nr_items)
		return false;
	*start = *end = item->start_sector / block * block;
	while (pass->next_range < pass->nr_items && item->start_sector / block * block <= *end) {
		*end = min_u64((end_of(item) + block - 1) / block * block, leg->sectors);
		item++;
		pass->next_range++;
	}
	return true;
}

static unsigned int no_pace(void *context, uint32_t sectors)
{
	(void)context;
	(void)sectors;
	return 0;
}

static void no_pause(void *context, unsigned int ms)
{
	(void)context;
	(void)ms;
}

static int poll_caller(void *context)
{
	struct restore_pass *pass = context;

	if (pass->input->poll)
		pass->stopped = pass->input->poll(pass->input->context, pass->done_sectors);
	return pass->stopped;
}

/* What cannot be looked at is not written to. */
static void miss_leg(struct restore_pass *pass)
{
	const struct region_geometry *geometry = &pass->input->geometry;

	for (size_t i = 0; i < pass->nr_items && !pass->write; i++) {
		const struct journal_bytes *item = &pass->items[i];

		pass->restore->legs[pass->leg].unreadable += item->sectors;
		bitmap_set_run(&pass->restore->unreadable,
			       region_of_sector(geometry, item->start_sector),
			       region_of_sector(geometry, end_of(item) - 1));
	}
}

static int run_leg(struct restore_pass *pass)
{
	const struct leg_reader_client client = {
		.context = pass, .next_range = next_range, .take = take_chunk, .pace = no_pace,
		.poll = poll_caller, .pause = no_pause,
	};
	struct block_device *leg = pass->input->legs[pass->leg];
	struct leg_reader **reader = &pass->readers[pass->leg];
	int r;

	pass->next_range = pass->next_item = 0;
	if (!leg) {
		miss_leg(pass);
		return 0;
	}
	if (!*reader && leg_reader_create(reader, pass->input->engine, &leg, 1))
		return no_memory(pass);
	r = leg_reader_run(*reader, &client);
	if (r == -ETIMEDOUT)
		return error_operation(pass->err, ETIMEDOUT, "%s: does not answer; look after it, "
				       "then run it again", leg->name);
	if (r && r != pass->stopped)
		error_operation(pass->err, -r, "%s: %s", leg->name, error_reason(r));
	return r;
}

/* --- all of it --------------------------------------------------------------------- */

static int check_item(const struct restore_pass *pass, const struct journal_bytes *item)
{
	uint64_t length = pass->input->geometry.length;

	if (item->place < pass->input->nr_legs && item->sectors <= length &&
	    item->start_sector <= length - item->sectors)
		return 0;
	return error_operation(pass->err, EBADMSG, "%s: holds sectors that this mirror does not "
			       "have", pass->input->source->name);
}

static int take_items(void *context, const struct journal_bytes *items, size_t nr_items,
		      struct error *err)
{
	struct restore_pass *pass = context;
	int r = 0;

	(void)err;
	for (size_t i = 0; i < nr_items && !r; i++)
		r = check_item(pass, &items[i]);
	for (size_t i = 0, next; i < nr_items && !r; i = next) {
		for (next = i; next < nr_items && items[next].place == items[i].place; next++)
			;
		pass->leg = items[i].place;
		pass->items = &items[i];
		pass->nr_items = next - i;
		r = run_leg(pass);
	}
	return r;
}

int restore_pass_run(struct restore_pass *pass, bool write)
{
	const struct restore_input *input = pass->input;

	pass->write = write;
	pass->done_sectors = 0;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		pass->restore->legs[leg].put_back = pass->restore->legs[leg].written_bytes = 0;
	return journal_backwards(&input->undo->marks, input->source, take_items, pass, pass->err);
}
