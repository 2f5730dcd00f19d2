/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * From "done" to "proven": what was copied or found equal becomes clean in the log, many
 * regions at a time. The region engine says what has to be flushed first.
 */

#include "core/resync_private.h"

#include <errno.h>
#include <stdlib.h>

/* Between two writes of the log an interruption loses so much at most. */
#define BATCH_REGIONS 65536u
#define BATCH_MS 5000u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Whatever is given to the engine has room there: what is in chunks, what is done (a
 * batch, and what ends before it is written), and openings with their bits just
 * cleared. */
static int regions_create(struct resync *rs)
{
	uint64_t nr_regions = rs->input->geometry.nr_regions;
	uint64_t capacity = rs->max_done + 2 * rs->in_flight_max +
			    2 * (rs->max_openings + rs->in_flight_max);
	struct region_engine_params params = { .clean_bits = &rs->log.bits };

	params.capacity = (uint32_t)min_u64(capacity, nr_regions);
	params.max_recovery = params.capacity;
	return region_engine_create(&rs->regions, &params);
}

int resync_batch_create(struct resync *rs)
{
	uint64_t nr_regions = rs->input->geometry.nr_regions;
	uint64_t per_chunk = rs->chunk_sectors / rs->input->geometry.region_size;

	rs->in_flight_max = min_u64(rs->nr_chunks * (per_chunk ? per_chunk : 1), nr_regions);
	rs->max_done = rs->options->batch_regions ? rs->options->batch_regions : BATCH_REGIONS;
	rs->max_done = min_u64(min_u64(rs->max_done, nr_regions), BATCH_REGIONS * 16);
	rs->max_openings = (size_t)min_u64(RESYNC_OPENINGS_MAX, nr_regions);
	rs->done = calloc(rs->max_done + rs->in_flight_max, sizeof(*rs->done));
	rs->openings = calloc(rs->max_openings + rs->in_flight_max, sizeof(*rs->openings));
	rs->again = calloc(2 * (rs->max_openings + rs->in_flight_max), sizeof(*rs->again));
	if (!rs->done || !rs->openings || !rs->again)
		return -ENOMEM;
	return regions_create(rs);
}

void resync_batch_destroy(struct resync *rs)
{
	region_engine_destroy(rs->regions);
	free(rs->done);
	free(rs->openings);
	free(rs->again);
}

int resync_begin_writing(struct resync *rs)
{
	int r;

	resync_log_clear_disbelieved(rs);
	region_engine_resume(rs->regions);
	region_engine_flush_begin(rs->regions);
	r = resync_log_begin(rs);
	region_engine_log_written(rs->regions, rs->log.begun);
	return r;
}

/* --- single regions ------------------------------------------------------ */

void resync_region_begin(struct resync *rs, uint64_t region)
{
	uint64_t started;

	/* After a leg has failed regions are copied all the same, to the other legs, but
	 * none of them will be clean. */
	if (!rs->legs_failed &&
	    !region_engine_recovery_prepare_region(rs->regions, region))
		region_engine_recovery_start(rs->regions, &started);
}

/* The clock of a batch starts with the first thing in it. */
static void batch_touch(struct resync *rs)
{
	if (resync_batch_is_empty(rs))
		rs->batch_since_ns = rs->hooks->now_ns(rs->hooks->context);
}

static void clean_region_done(struct resync *rs, uint64_t region, unsigned int outcome)
{
	bool differs = outcome & OUTCOME_WRITTEN;	/* whatever else there is */

	if (differs) {
		rs->result->regions_lied++;
	} else if (outcome & OUTCOME_DROPPED) {
		return;
	} else if (outcome & OUTCOME_FAILED) {
		/* Nor is it opened for copy_all: it could not be closed again. */
		rs->result->regions_unverified++;
	} else {
		rs->result->regions_verified++;
	}
	if (resync_is_opened(rs, outcome)) {
		batch_touch(rs);
		rs->openings[rs->nr_openings++] = (struct resync_opening){ region, differs };
	}
}

void resync_region_done(struct resync *rs, uint64_t region, bool verify, unsigned int outcome)
{
	bool good = !(outcome & (OUTCOME_FAILED | OUTCOME_DROPPED)) && !rs->legs_failed;

	if (verify) {
		clean_region_done(rs, region, outcome);
		return;
	}
	if (region_engine_recovery_end(rs->regions, region, good))
		good = false;		/* nobody prepared it: a leg has failed */
	if (good) {
		batch_touch(rs);
		rs->done[rs->nr_done++] = region;
		rs->done_written += outcome & OUTCOME_WRITTEN ? 1 : 0;
		rs->done_rewritten += outcome & OUTCOME_WRITTEN && !(outcome & OUTCOME_DIFFERED);
	} else if (!(outcome & OUTCOME_DROPPED)) {
		rs->result->regions_failed++;
	}
}

/* --- a batch ------------------------------------------------------------- */

bool resync_batch_is_due(struct resync *rs)
{
	uint64_t batch_ms = rs->options->batch_ms ? rs->options->batch_ms : BATCH_MS;
	uint64_t now;

	if (resync_batch_is_empty(rs))
		return false;
	/* What was done before a leg failed can still be proven, if it is soon. */
	if (rs->nr_done >= rs->max_done || rs->nr_openings >= rs->max_openings ||
	    (rs->legs_failed && rs->nr_done))
		return true;
	now = rs->hooks->now_ns(rs->hooks->context);
	return now - rs->batch_since_ns >= batch_ms * 1000000;
}

static void flush_done(struct block_request *request)
{
	struct resync *rs = request->context;

	rs->flushing--;
	if (request->result)
		resync_fail_leg(rs, (unsigned int)(request - rs->flushes), request->result);
}

/*
 * All legs, also those that nothing was written to: what was read from a leg and found
 * equal may have been in its volatile cache only. *good: all of them succeeded.
 */
static int flush_legs(struct resync *rs, bool *good)
{
	int r = 0;

	*good = true;
	if (rs->options->dry_run)
		return 0;
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++) {
		rs->flushes[leg] = (struct block_request){
			.device = rs->input->legs[leg], .op = BLOCK_FLUSH,
			.done = flush_done, .context = rs,
		};
		rs->flushes[leg].result = block_submit(rs->engine, &rs->flushes[leg]);
		if (rs->flushes[leg].result)
			resync_fail_leg(rs, leg, rs->flushes[leg].result);
		else
			rs->flushing++;
	}
	while (!r && rs->flushing)
		r = resync_wait(rs, RESYNC_POLL_MS);
	for (unsigned int leg = 0; leg < rs->nr_legs; leg++)
		*good = *good && !rs->flushes[leg].result;
	return r;
}

/* Nothing more will be written: what is equal may stay clean. */
static void spare_openings(struct resync *rs)
{
	size_t nr = 0;

	for (size_t i = 0; i < rs->nr_openings; i++)
		if (rs->openings[i].lies)
			rs->openings[nr++] = rs->openings[i];
	rs->nr_openings = nr;
}

/* The legs differ there although the bit says that they do not, or will, while they are
 * written to: what the kernel does after a write that a leg refused. The bit is 0, and the
 * region waits for recovery. */
static void open_regions(struct resync *rs)
{
	for (size_t i = 0; i < rs->nr_openings; i++) {
		uint64_t region = rs->openings[i].region;

		if (region_engine_write_start(rs->regions, region) < 0)
			continue;
		region_engine_leg_error(rs->regions, region);
		region_engine_write_end(rs->regions, region);
		rs->log.clearing++;
		resync_log_changed(rs, region);
	}
}

static int compare_regions(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* Their bits are 0 on stable storage now: they are copied next. */
static void requeue_openings(struct resync *rs)
{
	const struct region_geometry *geometry = &rs->input->geometry;

	if (rs->next_again == rs->nr_again)
		rs->next_again = rs->nr_again = 0;
	for (size_t i = 0; i < rs->nr_openings; i++) {
		uint64_t region = rs->openings[i].region;

		rs->progress.total_sectors += region_sectors(geometry, region);
		rs->result->regions_work++;
		if (rs->next_again) {	/* what was copied makes room */
			rs->next_again--;
			rs->again[rs->next_again] = region;
		} else {
			rs->again[rs->nr_again++] = region;
		}
	}
	rs->nr_openings = 0;
	qsort(rs->again + rs->next_again, rs->nr_again - rs->next_again, sizeof(*rs->again),
	      compare_regions);
}

static void count_done(struct resync *rs, bool proven)
{
	if (proven) {
		rs->result->regions_copied += rs->done_written;
		rs->result->regions_rewritten += rs->done_rewritten;
		rs->result->regions_equal += rs->nr_done - rs->done_written;
		rs->progress.regions_clean += rs->nr_done;
	} else {
		rs->result->regions_failed += rs->nr_done;
	}
	rs->nr_done = rs->done_written = rs->done_rewritten = 0;
}

/* Bits are set in memory; on the log they are only once the legs are flushed. */
static int prove_done(struct resync *rs, bool *proven)
{
	int r = flush_legs(rs, proven);

	if (r)
		return r;
	region_engine_legs_flushed(rs->regions, *proven);
	for (uint64_t i = 0; *proven && i < rs->nr_done; i++)
		resync_log_changed(rs, rs->done[i]);
	return 0;
}

int resync_batch(struct resync *rs)
{
	bool proven = false;
	int r = 0, steps;

	if (rs->ending || rs->legs_failed)
		spare_openings(rs);
	if (resync_batch_is_empty(rs))
		return 0;
	if (!rs->log.begun)	/* only openings have brought us here */
		r = resync_begin_writing(rs);
	if (r || resync_must_not_write(rs))
		return r;
	open_regions(rs);
	region_engine_update(rs->regions);
	steps = region_engine_flush_begin(rs->regions);
	if (steps & REGION_FLUSH_LEGS)
		r = prove_done(rs, &proven);
	if (!r)
		r = resync_log_write(rs);
	if (r || resync_must_not_write(rs))
		return r;
	region_engine_log_written(rs->regions, true);
	count_done(rs, proven);
	requeue_openings(rs);
	return 0;
}
