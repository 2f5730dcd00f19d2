/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/resync.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/resync_private.h"

#define SAMPLE_NS UINT64_C(1000000000)
/* Waits of RESYNC_POLL_MS without any movement, when the run is to end: then a device
 * hangs. A flush may empty a large cache, and what it would prove is worth waiting for. */
#define HANG_WAITS 30u
#define HANG_WAITS_FLUSH 300u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- waiting ------------------------------------------------------------- */

bool resync_is_unchanged(struct resync *rs)
{
	const struct resync_hooks *hooks = rs->hooks;

	rs->sampled_ns = hooks->now_ns(hooks->context);
	if (!hooks->unchanged || hooks->unchanged(hooks->context))
		return true;
	if (rs->ending != ENDING_LOG)
		rs->ending = ENDING_CHANGED;
	return false;
}

void resync_look_around(struct resync *rs)
{
	const struct resync_hooks *hooks = rs->hooks;

	if (hooks->poll(hooks->context, &rs->progress) && !rs->ending)
		rs->ending = ENDING_STOPPED;
	if (hooks->now_ns(hooks->context) - rs->sampled_ns >= SAMPLE_NS)
		resync_is_unchanged(rs);
}

int resync_wait(struct resync *rs, int timeout_ms)
{
	unsigned int most = rs->flushing || rs->log.in_flight ? HANG_WAITS_FLUSH : HANG_WAITS;
	int r = block_wait(rs->engine, 1, timeout_ms);

	if (r < 0)
		return r;
	resync_look_around(rs);
	rs->idle = r || !rs->ending ? 0 : rs->idle + 1;
	return rs->idle < most ? 0 : -ETIMEDOUT;
}

void resync_fail_leg(struct resync *rs, unsigned int leg, int error)
{
	if (!rs->result->leg_error[leg])
		rs->result->leg_error[leg] = error;
	rs->legs_failed = true;
}

/* --- which regions, in which order --------------------------------------- */

/* Regions that are clean, or not, and have the same source. */
struct alike {
	uint64_t first, last;
	bool clean;
	unsigned int source;		/* or RESYNC_SKIP */
};

static bool next_alike(const struct resync *rs, uint64_t from, struct alike *run)
{
	uint64_t nr_regions = rs->input->geometry.nr_regions, end;
	const struct resync_log *log = &rs->log;

	if (from >= nr_regions)
		return false;
	run->first = from;
	run->source = resync_plan_source(rs->input->plan, from, nr_regions, &run->last);
	run->clean = from < log->believed && bitmap_test(&log->bits, from);
	if (run->clean) {
		end = min_u64(bitmap_next_clear(&log->bits, from), log->believed);
	} else {
		end = bitmap_next_set(&log->bits, from);
		if (end >= log->believed)
			end = nr_regions;
	}
	run->last = min_u64(run->last, end - 1);
	return true;
}

static bool is_wanted(const struct resync *rs, const struct alike *run)
{
	return run->source != RESYNC_SKIP && (!run->clean || rs->options->verify);
}

static void set_range(struct resync *rs, uint64_t first, uint64_t last, unsigned int source,
		      bool verify, bool again)
{
	const struct region_geometry *geometry = &rs->input->geometry;

	rs->range = (struct resync_range){
		.next = region_start(geometry, first),
		.end = region_start(geometry, last) + region_sectors(geometry, last),
		.source = source, .verify = verify, .again = again,
	};
}

/* Lies whose bits have been cleared: neighbours with the same source together. */
static void next_again(struct resync *rs)
{
	uint64_t nr_regions = rs->input->geometry.nr_regions, alike_to;
	uint64_t first = rs->again[rs->next_again++], last = first;
	unsigned int source = resync_plan_source(rs->input->plan, first, nr_regions, &alike_to);

	while (rs->next_again < rs->nr_again && rs->again[rs->next_again] == last + 1 &&
	       last < alike_to) {
		rs->next_again++;
		last++;
	}
	set_range(rs, first, last, source, false, true);
}

bool resync_next_range(struct resync *rs)
{
	struct alike run;

	if (rs->range.next < rs->range.end)
		return true;
	if (rs->next_again < rs->nr_again) {
		next_again(rs);
		return true;
	}
	while (next_alike(rs, rs->scan, &run)) {
		rs->scan = run.last + 1;
		if (!is_wanted(rs, &run))
			continue;
		set_range(rs, run.first, run.last, run.source, run.clean, false);
		return true;
	}
	return false;
}

/* What there is to do, before anything is done. */
static int count_work(struct resync *rs, struct error *err)
{
	const struct region_geometry *geometry = &rs->input->geometry;
	struct resync_result *result = rs->result;
	struct alike run = { .last = UINT64_MAX };

	while (next_alike(rs, run.last + 1, &run)) {
		uint64_t regions = run.last - run.first + 1;

		if (run.source != RESYNC_SKIP && run.source >= rs->nr_legs)
			return error_usage(err, "the plan copies region %" PRIu64 " from leg %u, "
					   "and there are %u legs: correct the plan",
					   run.first, run.source, rs->nr_legs);
		if (is_wanted(rs, &run))
			rs->progress.total_sectors += region_run_sectors(geometry,
				(struct region_run){ run.first, run.last });
		if (!run.clean && run.source == RESYNC_SKIP)
			result->regions_skipped += regions;
		else if (!run.clean)
			result->regions_work += regions;
	}
	return 0;
}

/* --- before -------------------------------------------------------------- */

static int check_leg(const struct resync *rs, const struct block_device *leg, struct error *err)
{
	uint64_t length = rs->input->geometry.length, block;

	if (!leg->writable && !rs->options->dry_run)
		return error_operation(err, EROFS, "%s: open for reading only; nothing was "
				       "written", leg->name);
	block = leg->block_sectors;
	if (!block || leg->sectors < (length + block - 1) / block * block)
		return error_operation(err, ENOSPC, "%s: has %" PRIu64 " sectors, and the mirror "
				       "needs %" PRIu64 " in whole blocks; nothing was written: "
				       "check leg and length", leg->name, leg->sectors, length);
	return 0;
}

/* A region is written as a whole number of every leg's blocks. The kernel could not
 * run another mirror either: it splits writes at regions. */
static int check_blocks(struct resync *rs, struct error *err)
{
	uint64_t region_size = rs->input->geometry.region_size;
	uint64_t buffer = rs->engine->buffer_bytes / SECTOR_BYTES, rate;

	if (region_size % rs->unit)
		return error_operation(err, EINVAL, "regions of %" PRIu64 " sectors are not whole "
				       "blocks of the legs (%" PRIu32 " sectors); nothing was "
				       "written: check the region size", region_size, rs->unit);
	buffer = buffer / rs->unit * rs->unit;
	/* A slow --rate wants small chunks. */
	rate = rs->options->rate_bytes / SECTOR_BYTES / 20 / rs->unit * rs->unit;
	if (rs->options->rate_bytes && rate < buffer)
		buffer = rate ? rate : min_u64(buffer, rs->unit);
	rs->chunk_sectors = (uint32_t)min_u64(buffer, UINT32_MAX / rs->unit * rs->unit);
	if (!rs->chunk_sectors || rs->engine->nr_buffers < rs->nr_legs)
		return error_operation(err, ENOMEM, "the I/O buffers are too few or too small for "
				       "a block of each of %u legs; nothing was written",
				       rs->nr_legs);
	return 0;
}

static int prepare(struct resync *rs, struct error *err)
{
	int r = 0;

	rs->unit = 1;
	for (unsigned int leg = 0; leg < rs->nr_legs && !r; leg++) {
		r = check_leg(rs, rs->input->legs[leg], err);
		if (!r && rs->input->legs[leg]->block_sectors > rs->unit)
			rs->unit = rs->input->legs[leg]->block_sectors;
	}
	if (!r)
		r = check_blocks(rs, err);
	if (!r)
		r = resync_log_create(rs, err);
	if (!r)
		r = count_work(rs, err);
	if (!r)
		r = resync_chunks_create(rs);
	if (!r)
		r = resync_batch_create(rs);
	return r;
}

/* --- the run ------------------------------------------------------------- */

static int run(struct resync *rs)
{
	bool all_out;
	int r = 0;

	if (resync_is_unchanged(rs) && rs->result->regions_work)
		r = resync_begin_writing(rs);
	while (!r) {
		r = resync_copy_turn(rs);
		if (r)
			break;
		all_out = !rs->chunks_out && (rs->ending || !resync_next_range(rs));
		if (all_out && (resync_batch_is_empty(rs) || resync_must_not_write(rs)))
			break;
		if (all_out || (!rs->ending && resync_batch_is_due(rs)))
			r = resync_batch(rs);
	}
	return r;
}

/* Joins what came in pieces, in whatever order, and perhaps twice. */
static int finish_unreadable(struct run_list *list)
{
	size_t last[MIRROR_LEGS_MAX], nr = 0;
	int r = run_list_finish(list);

	memset(last, 0xff, sizeof(last));
	for (size_t i = 0; i < list->nr; i++) {
		struct sector_run *run = &list->runs[i], *before = NULL;
		uint64_t end = run->start + run->sectors;

		if (last[run->leg] != SIZE_MAX)
			before = &list->runs[last[run->leg]];
		if (before && before->error == run->error &&
		    run->start <= before->start + before->sectors) {
			if (end > before->start + before->sectors)
				before->sectors = end - before->start;
			continue;
		}
		last[run->leg] = nr;
		list->runs[nr++] = *run;
	}
	list->nr = nr;
	if (list->truncated)
		return r;
	list->nr_runs[VERDICT_UNVERIFIABLE] = nr;
	list->sectors[VERDICT_UNVERIFIABLE] = 0;
	for (size_t i = 0; i < nr; i++)
		list->sectors[VERDICT_UNVERIFIABLE] += list->runs[i].sectors;
	return r;
}

/* `r` is what ended the run. */
static int finish(struct resync *rs, int r, struct error *err)
{
	struct resync_result *result = rs->result;

	if (r && rs->engine->in_flight && block_drain(rs->engine, HANG_WAITS * RESYNC_POLL_MS))
		result->hung = true;
	if (rs->ending == ENDING_CHANGED)
		result->end = RESYNC_CHANGED;
	else if (rs->ending || r)
		result->end = RESYNC_STOPPED;
	if (finish_unreadable(&result->unreadable) && !r)
		r = -ENOMEM;
	piece_list_finish(&result->written);
	resync_agree_finish(result);
	if (r == -ETIMEDOUT)
		return 0;
	return r ? error_operation(err, -r, "the resync cannot go on: %s; what was proven up to "
				   "now is in the log", error_reason(r)) : 0;
}

int resync_run(struct resync_result *result, const struct resync_input *input,
	       const struct resync_options *options, const struct resync_hooks *hooks,
	       struct error *err)
{
	/* Not on the stack: should a device hang, requests point to it for ever. */
	struct resync *rs = calloc(1, sizeof(*rs));
	int r;

	memset(result, 0, sizeof(*result));
	run_list_init(&result->unreadable, options->max_runs);
	piece_list_init(&result->written, options->max_runs);
	piece_list_init(&result->agreement_runs, options->max_runs);
	if (!rs)
		return error_operation(err, ENOMEM, "not enough memory; nothing was written");
	*rs = (struct resync){ .input = input, .options = options, .hooks = hooks,
			       .result = result, .engine = input->engine,
			       .nr_legs = input->nr_legs };
	r = prepare(rs, err);
	if (r)
		error_operation(err, -r, "the resync cannot begin: %s; nothing was written",
				error_reason(r));
	else
		r = finish(rs, run(rs), err);
	if (result->hung) {
		result->abandoned = rs;
		return r;
	}
	resync_batch_destroy(rs);
	resync_chunks_destroy(rs);
	resync_log_destroy(rs);
	free(rs);
	return r;
}

void resync_result_free(struct resync_result *result)
{
	run_list_free(&result->unreadable);
	piece_list_free(&result->written);
	piece_list_free(&result->agreement_runs);
}
