/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The order in which a log is written, so that what a power cut leaves never claims more
 * than is true. The kernel may rewrite its whole area at any time, since nothing else
 * changes a running mirror's log; here only the blocks that change are written.
 */

#include "core/resync_private.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WRITE_BYTES_MAX (UINT64_C(1) << 20)

int resync_log_create(struct resync *rs, struct error *err)
{
	const struct resync_input *input = rs->input;
	struct resync_log *log = &rs->log;
	uint64_t nr_regions = input->geometry.nr_regions;
	struct mirror_log decoded;

	log->device = input->log;
	log->area = input->area;
	log->block_bytes = (input->log->block_sectors ? input->log->block_sectors : 1) *
			   SECTOR_BYTES;
	if (!input->log->writable && !rs->options->dry_run)
		return error_operation(err, EROFS, "%s: open for reading only; nothing was "
				       "written", input->log->name);
	if (input->area_bytes % log->block_bytes ||
	    input->area_bytes < mirror_log_bytes(nr_regions) ||
	    input->area_bytes / SECTOR_BYTES > input->log->sectors)
		return error_operation(err, ENOSPC, "%s: too small for the log of %" PRIu64
				       " regions; nothing was written", input->log->name,
				       nr_regions);
	mirror_log_decode(&decoded, log->area, input->area_bytes, nr_regions);
	log->believed = decoded.clean_bits.nr_bits;
	bitmap_borrow(&log->bits, log->area + MIRROR_LOG_BITS_OFFSET, nr_regions);
	return bitmap_alloc(&log->dirty, input->area_bytes / log->block_bytes);
}

void resync_log_destroy(struct resync *rs)
{
	bitmap_free(&rs->log.dirty);
}

/* --- one write of what has changed --------------------------------------- */

/* Takes over that the log failed; everything stops before it writes more. */
static void log_failed(struct resync *rs, int error)
{
	rs->ending = ENDING_LOG;
	rs->result->log_failed = true;
	rs->result->log_error = error;
}

static void log_done(struct block_request *request)
{
	struct resync *rs = request->context;

	rs->log.busy[request - rs->log.requests] = false;
	rs->log.in_flight--;
	if (request->result && !rs->log.result)
		rs->log.result = request->result;
}

static void submit(struct resync *rs, unsigned int slot, enum block_op op, uint64_t first,
		   uint64_t blocks)
{
	struct resync_log *log = &rs->log;
	struct block_request *request = &log->requests[slot];
	int r;

	*request = (struct block_request){
		.device = log->device, .op = op,
		.sector = first * (log->block_bytes / SECTOR_BYTES),
		.sectors = (uint32_t)(blocks * (log->block_bytes / SECTOR_BYTES)),
		.data = log->area + first * log->block_bytes,
		.done = log_done, .context = rs,
	};
	r = block_submit(rs->engine, request);
	if (r) {
		log->result = r;
		return;
	}
	log->busy[slot] = true;
	log->in_flight++;
}

/* Gives out changed blocks to free requests. */
static void submit_dirty(struct resync *rs)
{
	struct resync_log *log = &rs->log;
	uint64_t most = WRITE_BYTES_MAX / log->block_bytes, first, last;

	if (!most)
		most = 1;
	for (unsigned int slot = 0; slot < RESYNC_LOG_WRITES && !log->result; slot++) {
		if (log->busy[slot])
			continue;
		if (!bitmap_next_run(&log->dirty, true, 0, &first, &last))
			return;
		if (last - first >= most)
			last = first + most - 1;
		bitmap_clear_run(&log->dirty, first, last);
		submit(rs, slot, BLOCK_WRITE, first, last - first + 1);
	}
}

/* Until nothing is in flight any more. */
static int finish(struct resync *rs)
{
	int r = 0;

	while (!r && rs->log.in_flight)
		r = resync_wait(rs, RESYNC_POLL_MS);
	return r;
}

static int flush(struct resync *rs)
{
	int r;

	submit(rs, 0, BLOCK_FLUSH, 0, 0);
	r = finish(rs);
	if (!r && rs->log.result)
		log_failed(rs, rs->log.result);
	return r;
}

/* Blocks that have changed, all of them, flushed. Sets rs->ending where that failed. */
static int write_dirty(struct resync *rs)
{
	struct resync_log *log = &rs->log;
	int r = 0;

	log->result = 0;
	do {
		submit_dirty(rs);
		r = finish(rs);
	} while (!r && !log->result &&
		 bitmap_next_set(&log->dirty, 0) < log->dirty.nr_bits);
	if (r)
		return r;
	if (log->result) {
		log_failed(rs, log->result);
		return 0;
	}
	return flush(rs);
}

int resync_log_write(struct resync *rs)
{
	struct resync_log *log = &rs->log;
	int r = 0;

	if (resync_must_not_write(rs) || !resync_is_unchanged(rs))
		return 0;
	if (bitmap_next_set(&log->dirty, 0) < log->dirty.nr_bits)
		rs->result->log_writes++;
	if (rs->options->dry_run)
		bitmap_clear_run(&log->dirty, 0, UINT64_MAX);
	else
		r = write_dirty(rs);
	if (!r && !resync_must_not_write(rs)) {
		rs->result->bits_cleared += log->clearing;
		log->clearing = 0;
	}
	return r;
}

/* --- what is written ----------------------------------------------------- */

static void mark_dirty(struct resync_log *log, uint64_t byte)
{
	bitmap_set(&log->dirty, byte / log->block_bytes);
}

void resync_log_changed(struct resync *rs, uint64_t region)
{
	mark_dirty(&rs->log, MIRROR_LOG_BITS_OFFSET + region / 8);
}

void resync_log_clear_disbelieved(struct resync *rs)
{
	struct resync_log *log = &rs->log;
	uint64_t region = bitmap_next_set(&log->bits, log->believed);

	while (region < log->bits.nr_bits) {
		uint64_t end = (region / 8 + 1) * 8;

		/* A byte at once: there may be 512 MiB of them. */
		log->clearing += bitmap_count_run(&log->bits, region, end - 1);
		bitmap_clear_run(&log->bits, region, end - 1);
		mark_dirty(log, MIRROR_LOG_BITS_OFFSET + region / 8);
		region = bitmap_next_set(&log->bits, end);
	}
}

static void write_header(struct resync_log *log)
{
	struct mirror_log_header raw = {
		.magic = htole32(MIRROR_LOG_MAGIC), .version = htole32(MIRROR_LOG_VERSION),
		.nr_regions = htole64(log->bits.nr_bits),
	};

	memcpy(log->area, &raw.magic, 4);
	memcpy(log->area + 4, &raw.version, 4);
	memcpy(log->area + 8, &raw.nr_regions, 8);
	mark_dirty(log, 0);
}

/*
 * What disk_resume() would do at the next activation, in an order that is safe
 * whenever the power goes: the bits that a good header would bring to life are cleared
 * first. And what was read may still be in the log's volatile cache, written by
 * somebody who was killed before he flushed it: a bit that is 0 there may be 1 on
 * stable storage.
 */
int resync_log_begin(struct resync *rs)
{
	struct resync_log *log = &rs->log;
	bool good = log->believed == log->bits.nr_bits;
	int r = resync_log_write(rs);

	if (r || resync_must_not_write(rs))
		return r;
	if (!good) {
		write_header(log);
		r = resync_log_write(rs);
		if (r || resync_must_not_write(rs))
			return r;
		log->believed = log->bits.nr_bits;
		rs->result->header_made_good = true;
	}
	log->begun = true;
	return 0;
}
