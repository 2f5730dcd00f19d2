/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/region_reading.h"
#include "core/repair.h"
#include "io/online_private.h"

/*
 * Under the suspend. Nothing is opened here or written but the log; what little
 * memory the pure parts want comes from a heap that was made large enough before.
 * What goes wrong is an error, and the resume follows all the same.
 */

#define EDITS_MAX 4u
#define LOOK_NS (UINT64_C(10) * NS_PER_MS)

static const char *name_of(const struct online_run *run)
{
	return run->round->opened->mirror.name;
}

static int out_of_time(const struct online_run *run, const char *what, struct error *err)
{
	return error_operation(err, EAGAIN, "%s: %s within --max-suspend (the suspend itself took "
			       "%"
			       PRIu64 " ms): try again when it is less busy, or allow more",
			       name_of(run), what, run->outcome->suspend_call_ns / NS_PER_MS);
}

static int unguarded(const struct online_run *run, struct error *err)
{
	return error_operation(err, ETIME, "%s: the watchdog has resumed it, or was killed: "
			       "nothing was cleared", name_of(run));
}

/* --- the log comes to rest ----------------------------------------------- */

/* The worker of the suspended table may still write the log (dm-raid1.c has nobody
 * wait for it): until it has been the same for long enough. Then it is `current`. */
static int settle(struct online_run *run, struct error *err)
{
	const struct timespec pause = { .tv_nsec = (long)LOOK_NS };
	uint64_t since = online_now_ns();
	int r = online_log_read(run, run->current, err);

	while (!r && online_now_ns() - since < run->settle_ns) {
		if (!watchdog_is_alive(&run->watchdog))
			return unguarded(run, err);
		if (since + run->settle_ns + run->edit_ns > run->limit_ns)
			return out_of_time(run, "its log did not come to rest", err);
		nanosleep(&pause, NULL);
		r = online_log_read(run, run->now, err);
		if (r || !memcmp(run->now, run->current, run->area_bytes))
			continue;
		memcpy(run->current, run->now, run->area_bytes);
		since = online_now_ns();
	}
	if (!r)
		online_reached(run, ONLINE_SETTLED);
	return r;
}

static int check_again(struct online_run *run, struct mirror_log *log, struct error *err)
{
	struct opened_mirror *opened = run->round->opened;
	struct suspend_facts facts;

	mirror_log_decode(log, run->current, run->area_bytes, opened->mirror.geometry.nr_regions);
	online_facts(&facts, &run->device, opened, log);
	return suspend_check(&facts, err);
}

/* --- which regions are proven -------------------------------------------- */

struct proof {
	struct online_run *run;
	uint64_t until_ns;
	uint64_t seen;
};

static const struct journal_region *saved_digest(const struct online_round *round, uint64_t region)
{
	size_t low = 0, high = round->nr_digests;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (round->digests[middle].region < region)
			low = middle + 1;
		else
			high = middle;
	}
	return low < round->nr_digests && round->digests[low].region == region ?
	       &round->digests[low] : NULL;
}

static int region_read(void *context, const struct region_reading *reading)
{
	struct proof *proof = context;
	const struct journal_region *saved = saved_digest(proof->run->round,
							  reading->digest.region);

	proof->seen++;
	if (!saved || reading->unreadable || !region_digests_match(&reading->digest, saved))
		proof->run->outcome->changed_regions++;
	else if (reading->differing_sectors)
		bitmap_set(&proof->run->proven, reading->digest.region);
	return 0;
}

static int time_is_up(void *context)
{
	struct proof *proof = context;

	return online_now_ns() >= proof->until_ns || !watchdog_is_alive(&proof->run->watchdog);
}

static int read_legs(struct online_run *run, struct error *err)
{
	const struct online_round *round = run->round;
	const struct mirror *mirror = &round->opened->mirror;
	struct proof proof = { .run = run, .until_ns = run->limit_ns - run->edit_ns };
	const struct region_reading_client client = {
		.context = &proof, .region = region_read, .poll = time_is_up,
	};
	struct block_device *legs[MIRROR_LEGS_MAX];
	int r;

	mirror_leg_devices(round->opened, legs);
	r = region_readings_run(round->engine, legs, mirror->nr_legs, &mirror->geometry,
				round->wanted, &client);
	run->outcome->left_regions = bitmap_count(round->wanted) - proof.seen;
	if (r == -ETIMEDOUT) {
		run->outcome->hung = true;
		return out_of_time(run, "a leg did not answer", err);
	}
	if (r < 0)
		return error_operation(err, -r, "%s: its legs cannot be read under the suspend: "
				       "%s",
				       name_of(run), error_reason(r));
	online_reached(run, ONLINE_COMPARED);
	return watchdog_is_alive(&run->watchdog) ? 0 : unguarded(run, err);
}

/* --- the edit ------------------------------------------------------------ */

static void bitmap_join(struct bitmap *all, const struct bitmap *more)
{
	uint64_t first, last, from = 0;

	while (bitmap_next_run(more, true, from, &first, &last)) {
		bitmap_set_run(all, first, last);
		from = last + 1;
	}
}

/* The log was written between our looks, by the old table's worker: not an error. */
static bool was_overtaken(int r, enum repair_step step)
{
	return r == -ESTALE || (r == -EIO && step == REPAIR_WRITTEN);
}

/* Nothing of it was written. */
static void forget(struct bitmap *cleared, const struct bitmap *planned)
{
	uint64_t from = 0, first, last;

	while (bitmap_next_run(planned, true, from, &first, &last)) {
		bitmap_clear_run(cleared, first, last);
		from = last + 1;
	}
}

/* The log may be written only as long as the watchdog has not taken over, which it
 * cannot between begin and end, and as nobody else has resumed the device. */
static int write_plan(struct online_run *run, const struct repair_plan *plan, struct error *err)
{
	struct dm_device_state state;
	struct error why = { 0 };
	enum repair_step step;
	int r;

	if (!watchdog_write_begin(&run->watchdog))
		return unguarded(run, err);
	if (dm_state(run->device.control, run->device.is.number, &state) || !state.suspended ||
	    !state.inactive_table) {
		watchdog_write_end(&run->watchdog);
		return error_operation(err, ESTALE, "%s was resumed by somebody else meanwhile: "
				       "nothing was cleared", name_of(run));
	}
	bitmap_join(&run->outcome->cleared, &plan->clear);
	r = repair_apply(plan, run->log_engine, &run->log->block, run->current, run->edited, &step,
			 &why);
	watchdog_write_end(&run->watchdog);
	if (was_overtaken(r, step))
		return 1;
	if (r && step == REPAIR_NOT_BEGUN)
		forget(&run->outcome->cleared, &plan->clear);
	if (r)
		return error_operation(err, -r, "%s", why.text);
	online_reached(run, ONLINE_READ_BACK);
	return 0;
}

static int clear_proven(struct online_run *run, const struct mirror_log *log, struct error *err)
{
	const struct region_geometry *geometry = &run->round->opened->mirror.geometry;
	uint32_t block_sectors = run->log->block.block_sectors;
	struct repair_plan plan;
	int r;

	r = repair_plan_make(&plan, log, geometry, &run->proven, block_sectors);
	if (r)
		return error_operation(err, -r, "%s: not enough memory; nothing was cleared",
				       name_of(run));
	memcpy(run->edited, run->current, run->area_bytes);
	repair_plan_edit(&plan, run->edited);
	if (plan.nr_clear)
		r = write_plan(run, &plan, err);
	repair_plan_free(&plan);
	return r;
}

/* Once: the log at rest, as it may be, edited. 0, 1: it was written to behind our
 * back and has to be edited again; -errno. */
static int edit_once(struct online_run *run, bool first, struct error *err)
{
	struct mirror_log log;
	int r = settle(run, err);

	if (!r)
		r = check_again(run, &log, err);
	if (!r && first)
		r = read_legs(run, err);
	if (!r)
		r = clear_proven(run, &log, err);
	if (!r)
		r = online_log_read(run, run->now, err);
	if (r)
		return r;
	return memcmp(run->now, run->edited, run->area_bytes) ? 1 : 0;
}

int online_edit(struct online_run *run, struct error *err)
{
	int r = 1;

	/* The suspend waited for writes that each waited for the log. */
	if (run->settle_ns < 2 * run->outcome->suspend_call_ns)
		run->settle_ns = 2 * run->outcome->suspend_call_ns;
	for (unsigned int i = 0; i < EDITS_MAX && r == 1; i++)
		r = edit_once(run, i == 0, err);
	if (r == 1)
		r = error_operation(err, EAGAIN, "%s: its log is written to again and again "
				    "although the mirror is suspended: what else uses the log "
				    "device?", name_of(run));
	return r;
}
