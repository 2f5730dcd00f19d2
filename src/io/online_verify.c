/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "core/region_reading.h"
#include "io/online_private.h"
#include "io/watch.h"

#define PASSES 3u
#define PASS_NS (100 * (long)NS_PER_MS)

/* What the kernel has made of it. */
static int check_swapped(struct online_run *run, struct error *err)
{
	const char *name = run->round->opened->mirror.name;
	const struct online_outcome *outcome = run->outcome;

	if (!online_table_is_ours(&run->device, DM_LIVE_TABLE))
		return error_operation(err, EIO, "%s runs again, but not with the table that was "
				       "loaded for it: audit it before it is suspended or "
				       "stopped", name);
	if (outcome->first_in_sync < outcome->clean_after)
		return error_operation(err, EIO, "%s: its log has %" PRIu64 " clean bits and the "
				       "kernel took only %" PRIu64 " of them: more is being "
				       "recopied from leg 0 than was planned (see the kernel's "
				       "messages)", name, outcome->clean_after,
				       outcome->first_in_sync);
	return 0;
}

/* --- bits that are set again --------------------------------------------- */

/*
 * Because the region has been recopied, which is as it should be, and may take less
 * than a millisecond; or because the old table's worker wrote the log once more, in
 * the moment between our last look and the resume. Then the legs still differ.
 */
struct again {
	struct online_run *run;
	struct bitmap regions;		/* set again */
	struct bitmap differing;
};

static int region_read(void *context, const struct region_reading *reading)
{
	struct again *again = context;

	if (reading->differing_sectors || reading->unreadable)
		bitmap_set(&again->differing, reading->digest.region);
	return 0;
}

static int is_cancelled(void *context)
{
	struct again *again = context;
	const struct block_engine *engine = again->run->round->engine;

	return engine->cancelled && engine->cancelled(engine->cancelled_context);
}

/* Keeps in `regions` those that are in `of` and clean in the log as it is now. */
static int keep_clean(struct again *again, const struct bitmap *of, struct error *err)
{
	struct online_run *run = again->run;
	struct mirror_log log;
	int r = online_log_read(run, run->now, err);

	if (r)
		return r;
	mirror_log_decode(&log, run->now, run->area_bytes, of->nr_bits);
	for (uint64_t region = 0; region < of->nr_bits; region++) {
		region = bitmap_next_set(of, region);
		if (region == of->nr_bits)
			break;
		if (region < log.clean_bits.nr_bits && bitmap_test(&log.clean_bits, region))
			bitmap_set(&again->regions, region);
		else
			bitmap_clear(&again->regions, region);
	}
	return 0;
}

static int compare_once(struct again *again, struct error *err)
{
	const struct online_round *round = again->run->round;
	const struct mirror *mirror = &round->opened->mirror;
	struct block_device *legs[MIRROR_LEGS_MAX];
	const struct region_reading_client client = {
		.context = again, .region = region_read, .poll = is_cancelled,
	};
	int r;

	mirror_leg_devices(round->opened, legs);
	bitmap_clear_run(&again->differing, 0, again->differing.nr_bits - 1);
	r = region_readings_run(round->engine, legs, mirror->nr_legs, &mirror->geometry,
				&again->regions, &client);
	again->run->outcome->hung |= r == -ETIMEDOUT;
	if (r)
		return error_operation(err, r < 0 ? -r : ECANCELED, "%s: whether the regions were "
				       "recopied could not be looked at: %s: audit "
				       "them", mirror->name,
				       error_reason(r < 0 ? r : -ECANCELED));
	/* A write that is under way makes legs differ as well, but not with the bit set
	 * before and after. */
	bitmap_clear_run(&again->regions, 0, again->regions.nr_bits - 1);
	return keep_clean(again, &again->differing, err);
}

static void take_back(struct again *again)
{
	struct online_outcome *outcome = again->run->outcome;
	uint64_t first, last, from = 0;

	while (bitmap_next_run(&again->regions, true, from, &first, &last)) {
		bitmap_clear_run(&outcome->cleared, first, last);
		outcome->changed_regions += last - first + 1;
		from = last + 1;
	}
}

static int check_cleared(struct online_run *run, struct error *err)
{
	const struct timespec pause = { .tv_nsec = PASS_NS };
	uint64_t nr_regions = run->outcome->cleared.nr_bits;
	struct again again = { .run = run };
	int r = bitmap_alloc(&again.regions, nr_regions);

	if (!r)
		r = bitmap_alloc(&again.differing, nr_regions);
	if (r) {
		error_operation(err, -r, "%s: not enough memory to look at the repaired regions",
				run->round->opened->mirror.name);
		goto out;
	}
	r = keep_clean(&again, &run->outcome->cleared, err);
	for (unsigned int i = 0; !r && i < PASSES && bitmap_count(&again.regions); i++) {
		if (i)
			nanosleep(&pause, NULL);
		r = compare_once(&again, err);
	}
	if (!r)
		take_back(&again);
out:
	bitmap_free(&again.regions);
	bitmap_free(&again.differing);
	return r;
}

int online_verify(struct online_run *run, struct error *err)
{
	struct opened_mirror *opened = run->round->opened;
	int r = check_swapped(run, err);

	/* From here on it is the mirror that was opened, with this table. */
	if (!r) {
		opened->mirror.sync = MIRROR_SYNC_DEFAULT;
		r = watch_renew(opened->watch, err);
	}
	/* While a device still holds requests, their memory is not ours to read into. */
	if (!r && !run->outcome->hung && bitmap_count(&run->outcome->cleared))
		r = check_cleared(run, err);
	return r;
}
