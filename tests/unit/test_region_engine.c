/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The region engine, transition by transition, each named after the kernel function that
 * it answers to. What they are together is explored in tests/model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/region_engine.h"
#include "unit/suites.h"

#define NR_REGIONS 70

/* An engine over a log of which regions 0..9 are clean; `over` counts its reports. */
struct fixture {
	struct bitmap clean_bits;
	struct region_engine *engine;
	unsigned int recovered, given_up;
	uint64_t over;			/* the last region reported */
};

static void recovery_over(void *context, uint64_t region, bool success)
{
	struct fixture *f = context;

	if (success)
		f->recovered++;
	else
		f->given_up++;
	f->over = region;
}

static void begin_suspended(struct fixture *f, uint32_t capacity, uint32_t max_recovery)
{
	struct region_engine_params params = {
		.clean_bits = &f->clean_bits, .capacity = capacity, .max_recovery = max_recovery,
		.recovery_over = recovery_over, .context = f,
	};

	memset(f, 0, sizeof(*f));
	ck_assert_int_eq(bitmap_alloc(&f->clean_bits, NR_REGIONS), 0);
	bitmap_set_run(&f->clean_bits, 0, 9);
	ck_assert_int_eq(region_engine_create(&f->engine, &params), 0);
}

/* A flush in which nothing fails, and its steps. */
static int flush(struct fixture *f)
{
	int steps = region_engine_flush_begin(f->engine);

	ck_assert_int_ge(steps, 0);
	if (steps & REGION_FLUSH_LEGS)
		ck_assert_int_eq(region_engine_legs_flushed(f->engine, true), 0);
	if (steps)
		ck_assert_int_eq(region_engine_log_written(f->engine, true), 0);
	return steps;
}

static void begin_with(struct fixture *f, uint32_t capacity, uint32_t max_recovery)
{
	begin_suspended(f, capacity, max_recovery);
	ck_assert_int_eq(region_engine_resume(f->engine), 0);
	ck_assert_int_eq(flush(f), REGION_WRITE_LOG | REGION_FLUSH_LOG);
}

static void begin(struct fixture *f)
{
	begin_with(f, 16, 4);
}

static void end(struct fixture *f)
{
	region_engine_destroy(f->engine);
	bitmap_free(&f->clean_bits);
}

static bool bit(const struct fixture *f, uint64_t region)
{
	return bitmap_test(&f->clean_bits, region);
}

static void expect(const struct fixture *f, uint64_t region, enum region_state state,
		   bool in_sync, bool clean)
{
	ck_assert_int_eq(region_engine_state(f->engine, region), state);
	ck_assert_int_eq(region_engine_in_sync(f->engine, region), in_sync);
	ck_assert_int_eq(bit(f, region), clean);
}

static void write_start(struct fixture *f, uint64_t region, enum region_route route)
{
	ck_assert_int_eq(region_engine_write_start(f->engine, region), route);
}

static void write_end(struct fixture *f, uint64_t region)
{
	ck_assert_int_eq(region_engine_write_end(f->engine, region), 0);
}

/* A write that is started, and may be submitted. */
static void write_submitted(struct fixture *f, uint64_t region, enum region_route route)
{
	write_start(f, region, route);
	flush(f);
	ck_assert(region_engine_may_submit(f->engine, region));
}

static void recovery_started(struct fixture *f, uint64_t region)
{
	uint64_t prepared = 0, started = 0;

	ck_assert_int_eq(region_engine_recovery_prepare(f->engine, &prepared), 1);
	ck_assert_uint_eq(prepared, region);
	ck_assert_int_eq(region_engine_recovery_start(f->engine, &started), 1);
	ck_assert_uint_eq(started, region);
}

START_TEST(rh_alloc)
{
	struct fixture f;

	begin(&f);
	expect(&f, 9, REGION_CLEAN, true, true);
	expect(&f, 10, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	write_start(&f, 10, REGION_DEFAULT_LEG);
	expect(&f, 10, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 1);
	end(&f);
}
END_TEST

START_TEST(rh_inc_clean)
{
	struct fixture f;

	begin(&f);
	write_start(&f, 3, REGION_ALL_LEGS);
	expect(&f, 3, REGION_DIRTY, true, false);
	ck_assert(!region_engine_may_submit(f.engine, 3));
	write_start(&f, 3, REGION_ALL_LEGS);
	ck_assert(!region_engine_may_submit(f.engine, 3));
	ck_assert_int_eq(flush(&f), REGION_WRITE_LOG | REGION_FLUSH_LOG);
	ck_assert(region_engine_may_submit(f.engine, 3));
	ck_assert(!region_engine_may_submit(f.engine, 4));
	end(&f);
}
END_TEST

START_TEST(rh_inc_dirty)
{
	struct fixture f;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_start(&f, 3, REGION_ALL_LEGS);
	expect(&f, 3, REGION_DIRTY, true, false);
	ck_assert(region_engine_may_submit(f.engine, 3));
	ck_assert_int_eq(region_engine_flush_begin(f.engine), 0);
	write_end(&f, 3);
	expect(&f, 3, REGION_DIRTY, true, false);
	end(&f);
}
END_TEST

START_TEST(rh_inc_nosync)
{
	struct fixture f;

	begin(&f);
	write_start(&f, 20, REGION_DEFAULT_LEG);
	write_start(&f, 20, REGION_DEFAULT_LEG);
	ck_assert(region_engine_may_submit(f.engine, 20));
	ck_assert_int_eq(region_engine_flush_begin(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(rh_inc_recovering)
{
	struct fixture f;

	begin(&f);
	recovery_started(&f, 10);
	write_start(&f, 10, REGION_DELAYED);
	ck_assert(!region_engine_may_submit(f.engine, 10));
	ck_assert_int_eq(region_engine_write_end(f.engine, 10), -EINVAL);
	expect(&f, 10, REGION_RECOVERING, false, false);
	end(&f);
}
END_TEST

/* From the clean list, before any update: its bit is 0 on the disk still. */
START_TEST(rh_inc_on_clean_list)
{
	struct fixture f;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_end(&f, 3);
	expect(&f, 3, REGION_CLEAN, true, false);
	write_start(&f, 3, REGION_ALL_LEGS);
	expect(&f, 3, REGION_DIRTY, true, false);
	ck_assert(region_engine_may_submit(f.engine, 3));
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 3, REGION_DIRTY, true, false);
	end(&f);
}
END_TEST

START_TEST(rh_dec_dirty)
{
	struct fixture f;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_end(&f, 3);
	expect(&f, 3, REGION_CLEAN, true, false);
	ck_assert(region_engine_update_wanted(f.engine));
	ck_assert_int_eq(region_engine_write_end(f.engine, 3), -EINVAL);
	ck_assert_int_eq(region_engine_write_end(f.engine, 4), -EINVAL);
	end(&f);
}
END_TEST

/* The rule of 2006. */
START_TEST(rh_dec_nosync)
{
	struct fixture f;

	begin(&f);
	write_start(&f, 20, REGION_DEFAULT_LEG);
	write_end(&f, 20);
	expect(&f, 20, REGION_NOSYNC, false, false);
	ck_assert(!region_engine_update_wanted(f.engine));
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 20, REGION_NOSYNC, false, false);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), 0);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(rh_dec_recovering)
{
	struct fixture f;
	uint64_t region = 99;

	begin(&f);
	write_start(&f, 10, REGION_DEFAULT_LEG);
	write_start(&f, 10, REGION_DEFAULT_LEG);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	ck_assert_uint_eq(region, 10);
	expect(&f, 10, REGION_RECOVERING, false, false);
	write_end(&f, 10);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 0);
	write_end(&f, 10);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	ck_assert_uint_eq(region, 10);
	end(&f);
}
END_TEST

START_TEST(rh_dec_flush_failure)
{
	struct fixture f;

	begin(&f);
	region_engine_flush_error(f.engine);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_end(&f, 3);
	expect(&f, 3, REGION_NOSYNC, false, false);
	write_start(&f, 3, REGION_DEFAULT_LEG);
	write_end(&f, 3);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	expect(&f, 3, REGION_NOSYNC, false, false);
	end(&f);
}
END_TEST

START_TEST(update_states_clean)
{
	struct fixture f;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_end(&f, 3);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 3, REGION_CLEAN, true, true);
	ck_assert_uint_eq(f.recovered + f.given_up, 0);
	ck_assert_int_eq(flush(&f), REGION_FLUSH_LEGS | REGION_WRITE_LOG);
	expect(&f, 3, REGION_CLEAN, true, true);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(update_states_recovered)
{
	struct fixture f;

	begin(&f);
	recovery_started(&f, 10);
	write_start(&f, 10, REGION_DELAYED);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), 0);
	expect(&f, 10, REGION_RECOVERING, false, false);
	write_start(&f, 10, REGION_DELAYED);
	ck_assert_uint_eq(f.recovered, 0);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 10, REGION_CLEAN, true, true);
	ck_assert_uint_eq(f.recovered, 1);
	ck_assert_uint_eq(f.over, 10);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 11);
	write_start(&f, 10, REGION_ALL_LEGS);
	expect(&f, 10, REGION_DIRTY, true, false);
	ck_assert(!region_engine_may_submit(f.engine, 10));
	ck_assert_int_eq(flush(&f), REGION_FLUSH_LEGS | REGION_WRITE_LOG | REGION_FLUSH_LOG);
	ck_assert(region_engine_may_submit(f.engine, 10));
	end(&f);
}
END_TEST

START_TEST(update_states_failed_recovered)
{
	struct fixture f;

	begin(&f);
	recovery_started(&f, 10);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, false), 0);
	expect(&f, 10, REGION_RECOVERING, false, false);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 10, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(f.given_up, 1);
	ck_assert_uint_eq(f.over, 10);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), 0);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(recovery_prepare)
{
	struct fixture f;
	uint64_t region = 0;
	int i;

	begin(&f);
	for (i = 10; i < 14; i++) {
		ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
		ck_assert_uint_eq(region, i);
		expect(&f, i, REGION_RECOVERING, false, false);
	}
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), -EAGAIN);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 50), -EAGAIN);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 12), -EBUSY);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, NR_REGIONS), -EINVAL);
	end(&f);
}
END_TEST

/* core_get_resync_work(): forward only, past what is in recovery, once round. */
START_TEST(get_resync_work)
{
	struct fixture f;
	uint64_t region = 0, last;
	unsigned int nr = 0;

	begin(&f);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 11), 0);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	for (last = 0; region_engine_recovery_prepare(f.engine, &region) == 1; last = region) {
		ck_assert_uint_gt(region, last);
		ck_assert_uint_ne(region, 11);
		ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
		ck_assert_int_eq(region_engine_recovery_end(f.engine, region, region % 2), 0);
		ck_assert_int_eq(region_engine_update(f.engine), 0);
		flush(&f);
		nr++;
	}
	ck_assert_uint_eq(nr, NR_REGIONS - 11);
	ck_assert_uint_eq(last, NR_REGIONS - 1);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 0);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 10 + 29);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 11, false), 0);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	region_engine_suspend(f.engine);
	ck_assert_int_eq(region_engine_resume(f.engine), 0);
	flush(&f);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	ck_assert_uint_eq(region, 10);
	end(&f);
}
END_TEST

/* A region that is called clean and found to differ: bit 0 on the disk, then recovery. */
START_TEST(recovery_prepare_clean_region)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 4), 0);
	expect(&f, 4, REGION_RECOVERING, false, false);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 9);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 0);
	ck_assert_int_eq(flush(&f), REGION_WRITE_LOG | REGION_FLUSH_LOG);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	ck_assert_uint_eq(region, 4);
	end(&f);
}
END_TEST

/* It waits for its bit to be set, or for the flush that makes the bit believed: neither
 * happens any more. */
START_TEST(recovery_prepare_region_that_waits)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_submitted(&f, 4, REGION_ALL_LEGS);
	write_end(&f, 4);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 4, REGION_CLEAN, true, true);
	write_end(&f, 3);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 3), 0);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 4), 0);
	ck_assert(!region_engine_update_wanted(f.engine));
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	flush(&f);
	expect(&f, 3, REGION_RECOVERING, false, false);
	expect(&f, 4, REGION_RECOVERING, false, false);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	end(&f);
}
END_TEST

START_TEST(recovery_start_and_end)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 0);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), -EINVAL);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 0);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), 0);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), -EINVAL);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 33, true), -EINVAL);
	end(&f);
}
END_TEST

START_TEST(mark_nosync_dirty)
{
	struct fixture f;

	begin(&f);
	ck_assert_int_eq(region_engine_leg_error(f.engine, 3), -EINVAL);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	ck_assert_int_eq(region_engine_leg_error(f.engine, 3), 0);
	expect(&f, 3, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 9);
	write_end(&f, 3);
	write_end(&f, 3);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 3, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(mark_nosync_nosync)
{
	struct fixture f;

	begin(&f);
	write_start(&f, 20, REGION_DEFAULT_LEG);
	ck_assert_int_eq(region_engine_leg_error(f.engine, 20), 0);
	ck_assert_int_eq(region_engine_leg_error(f.engine, 20), 0);
	write_end(&f, 20);
	expect(&f, 20, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 10);
	end(&f);
}
END_TEST

START_TEST(mark_nosync_recovering)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	write_start(&f, 10, REGION_DEFAULT_LEG);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	ck_assert_int_eq(region_engine_leg_error(f.engine, 10), 0);
	expect(&f, 10, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(f.given_up, 1);
	ck_assert_uint_eq(f.over, 10);
	write_end(&f, 10);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 0);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	end(&f);
}
END_TEST

/* REQ_PREFLUSH in dm_rh_mark_nosync(), and what waits in each state and on each list. */
START_TEST(mark_nosync_preflush)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	write_submitted(&f, 0, REGION_ALL_LEGS);	/* stays dirty */
	write_submitted(&f, 1, REGION_ALL_LEGS);
	recovery_started(&f, 10);			/* stays started */
	recovery_started(&f, 11);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 11, true), 0);
	write_start(&f, 12, REGION_DEFAULT_LEG);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	write_end(&f, 1);
	region_engine_flush_error(f.engine);
	ck_assert(region_engine_flush_failed(f.engine));
	expect(&f, 0, REGION_NOSYNC, false, false);
	expect(&f, 1, REGION_NOSYNC, false, false);
	expect(&f, 2, REGION_CLEAN, true, true);
	expect(&f, 12, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(f.given_up, 1);
	write_end(&f, 0);
	write_end(&f, 12);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), 0);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 10, REGION_NOSYNC, false, false);
	expect(&f, 11, REGION_NOSYNC, false, false);
	ck_assert_uint_eq(f.given_up, 3);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 0);
	ck_assert_int_eq(region_engine_recovery_prepare_region(f.engine, 40), -EAGAIN);
	end(&f);
}
END_TEST

/* core_clear_region() after flush_failed. */
START_TEST(disk_flush_legs_fail)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	recovery_started(&f, 10);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), 0);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	expect(&f, 10, REGION_CLEAN, true, true);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), REGION_FLUSH_LEGS | REGION_WRITE_LOG);
	ck_assert_int_eq(region_engine_log_written(f.engine, true), -EINVAL);
	ck_assert_int_eq(region_engine_legs_flushed(f.engine, false), 0);
	ck_assert_int_eq(region_engine_legs_flushed(f.engine, true), -EINVAL);
	expect(&f, 10, REGION_NOSYNC, false, false);
	expect(&f, 9, REGION_CLEAN, true, true);
	ck_assert_int_eq(region_engine_log_written(f.engine, true), 0);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 10);
	flush(&f);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	region_engine_suspend(f.engine);
	ck_assert_int_eq(region_engine_resume(f.engine), 0);
	ck_assert(!region_engine_flush_failed(f.engine));
	flush(&f);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	ck_assert_uint_eq(region, 10);
	end(&f);
}
END_TEST

START_TEST(disk_flush_log_fails)
{
	struct fixture f;

	begin(&f);
	write_start(&f, 3, REGION_ALL_LEGS);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), REGION_WRITE_LOG | REGION_FLUSH_LOG);
	ck_assert_int_eq(region_engine_log_written(f.engine, false), 0);
	ck_assert(!region_engine_may_submit(f.engine, 3));
	ck_assert_int_eq(flush(&f), REGION_WRITE_LOG | REGION_FLUSH_LOG);
	ck_assert(region_engine_may_submit(f.engine, 3));
	ck_assert_int_eq(region_engine_flush_begin(f.engine), 0);
	/* A bit that was set is tried again, too. */
	write_end(&f, 3);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), REGION_FLUSH_LEGS | REGION_WRITE_LOG);
	ck_assert_int_eq(region_engine_legs_flushed(f.engine, true), 0);
	ck_assert_int_eq(region_engine_log_written(f.engine, false), 0);
	expect(&f, 3, REGION_CLEAN, true, true);
	ck_assert_int_eq(flush(&f), REGION_FLUSH_LEGS | REGION_WRITE_LOG);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), 0);
	end(&f);
}
END_TEST

/* A write that comes while the log is being written waits for the next time. */
START_TEST(disk_flush_under_way)
{
	struct fixture f;

	begin(&f);
	write_submitted(&f, 5, REGION_ALL_LEGS);
	write_start(&f, 3, REGION_ALL_LEGS);
	ck_assert_int_gt(region_engine_flush_begin(f.engine), 0);
	ck_assert_int_eq(region_engine_flush_begin(f.engine), -EBUSY);
	write_start(&f, 4, REGION_ALL_LEGS);
	write_end(&f, 5);
	ck_assert_int_eq(region_engine_update(f.engine), -EBUSY);
	ck_assert(!bit(&f, 5));
	ck_assert_int_eq(region_engine_log_written(f.engine, true), 0);
	ck_assert(region_engine_may_submit(f.engine, 3));
	ck_assert(!region_engine_may_submit(f.engine, 4));
	flush(&f);
	ck_assert(region_engine_may_submit(f.engine, 4));
	end(&f);
}
END_TEST

/* A write that is never submitted leaves no trace, and no clean bit on the disk unknown. */
START_TEST(write_never_submitted)
{
	struct fixture f;

	begin(&f);
	write_start(&f, 3, REGION_ALL_LEGS);
	region_engine_flush_error(f.engine);
	write_end(&f, 3);
	expect(&f, 3, REGION_NOSYNC, false, false);
	write_start(&f, 3, REGION_DEFAULT_LEG);
	ck_assert(!region_engine_may_submit(f.engine, 3));
	flush(&f);
	ck_assert(region_engine_may_submit(f.engine, 3));
	write_end(&f, 3);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(disk_resume)
{
	struct fixture f;
	uint64_t region = 0;

	begin_suspended(&f, 16, 4);
	ck_assert_int_eq(region_engine_write_start(f.engine, 3), -EBUSY);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), -EAGAIN);
	ck_assert_int_eq(region_engine_resume(f.engine), 0);
	ck_assert_int_eq(region_engine_resume(f.engine), -EBUSY);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 10);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), -EAGAIN);
	write_start(&f, 20, REGION_DEFAULT_LEG);
	ck_assert(!region_engine_may_submit(f.engine, 20));
	ck_assert_int_eq(region_engine_flush_begin(f.engine), REGION_WRITE_LOG | REGION_FLUSH_LOG);
	ck_assert(!region_engine_may_submit(f.engine, 20));
	ck_assert_int_eq(region_engine_log_written(f.engine, true), 0);
	ck_assert(region_engine_may_submit(f.engine, 20));
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	end(&f);
}
END_TEST

/* sync_bits := clean_bits, whatever was known before. */
START_TEST(disk_resume_believes_the_log)
{
	struct fixture f;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_end(&f, 3);			/* on the clean list */
	region_engine_suspend(f.engine);
	bitmap_clear(&f.clean_bits, 9);
	bitmap_set(&f.clean_bits, 20);
	ck_assert_int_eq(region_engine_resume(f.engine), 0);
	expect(&f, 3, REGION_NOSYNC, false, false);
	expect(&f, 9, REGION_NOSYNC, false, false);
	expect(&f, 20, REGION_CLEAN, true, true);
	ck_assert_uint_eq(region_engine_in_flight(f.engine), 0);
	ck_assert_uint_eq(region_engine_sync_count(f.engine), 9);
	end(&f);
}
END_TEST

START_TEST(suspend_lets_end_what_began)
{
	struct fixture f;
	uint64_t region = 0;

	begin(&f);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	region_engine_suspend(f.engine);
	ck_assert_int_eq(region_engine_resume(f.engine), -EBUSY);
	write_end(&f, 3);
	ck_assert_int_eq(region_engine_resume(f.engine), -EBUSY);
	ck_assert_int_eq(region_engine_recovery_start(f.engine, &region), 1);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), 0);
	ck_assert_int_eq(region_engine_resume(f.engine), -EBUSY);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	ck_assert_int_gt(region_engine_flush_begin(f.engine), 0);
	ck_assert_int_eq(region_engine_resume(f.engine), -EBUSY);
	ck_assert_int_eq(region_engine_legs_flushed(f.engine, true), 0);
	ck_assert_int_eq(region_engine_log_written(f.engine, true), 0);
	ck_assert_int_eq(region_engine_resume(f.engine), 0);
	expect(&f, 3, REGION_CLEAN, true, true);
	expect(&f, 10, REGION_CLEAN, true, true);
	end(&f);
}
END_TEST

/* A write that was delayed has to end before a suspend can. */
START_TEST(suspend_lets_delayed_writes_through)
{
	struct fixture f;

	begin(&f);
	recovery_started(&f, 10);
	write_start(&f, 10, REGION_DELAYED);
	region_engine_suspend(f.engine);
	ck_assert_int_eq(region_engine_recovery_end(f.engine, 10, true), 0);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	ck_assert_uint_eq(f.recovered, 1);
	write_submitted(&f, 10, REGION_ALL_LEGS);
	ck_assert_int_eq(region_engine_resume(f.engine), -EBUSY);
	write_end(&f, 10);
	ck_assert_int_eq(region_engine_resume(f.engine), 0);
	end(&f);
}
END_TEST

START_TEST(full_table)
{
	struct fixture f;
	uint64_t region = 0;

	begin_with(&f, 2, 4);
	write_submitted(&f, 3, REGION_ALL_LEGS);
	write_submitted(&f, 20, REGION_DEFAULT_LEG);
	ck_assert_int_eq(region_engine_write_start(f.engine, 4), -EAGAIN);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), -EAGAIN);
	expect(&f, 4, REGION_CLEAN, true, true);
	write_end(&f, 20);
	ck_assert_int_eq(region_engine_recovery_prepare(f.engine, &region), 1);
	ck_assert_uint_eq(region, 10);
	write_end(&f, 3);
	ck_assert_int_eq(region_engine_write_start(f.engine, 4), -EAGAIN);
	ck_assert_int_eq(region_engine_update(f.engine), 0);
	ck_assert_int_eq(region_engine_write_start(f.engine, 4), -EAGAIN);
	flush(&f);
	write_start(&f, 4, REGION_ALL_LEGS);
	end(&f);
}
END_TEST

/* The table under many entries that come and go, against a plain array. */
START_TEST(many_entries)
{
	struct fixture f;
	unsigned int pending[NR_REGIONS] = { 0 }, in_flight = 0, i;
	uint64_t state = 12345, region;

	begin_with(&f, 24, 1);
	for (i = 0; i < 20000; i++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
		region = 10 + (state >> 33) % (NR_REGIONS - 10);
		if (state >> 63 && pending[region]) {
			write_end(&f, region);
			in_flight -= !--pending[region];
		} else if (pending[region] || in_flight < 24) {
			write_start(&f, region, REGION_DEFAULT_LEG);
			in_flight += !pending[region]++;
		} else {
			ck_assert_int_eq(region_engine_write_start(f.engine, region), -EAGAIN);
		}
		ck_assert_uint_eq(region_engine_in_flight(f.engine), in_flight);
		ck_assert_int_eq(region_engine_may_submit(f.engine, region), pending[region] != 0);
	}
	end(&f);
}
END_TEST

START_TEST(bad_parameters)
{
	struct region_engine *engine = NULL;
	struct bitmap bits = { .nr_bits = 0 }, some;
	struct region_engine_params params = {
		.clean_bits = &bits, .capacity = 1, .max_recovery = 1,
	};

	ck_assert_int_eq(region_engine_create(&engine, &params), -EINVAL);
	ck_assert_int_eq(bitmap_alloc(&some, 8), 0);
	params.clean_bits = &some;
	params.capacity = 0;
	ck_assert_int_eq(region_engine_create(&engine, &params), -EINVAL);
	params.capacity = UINT32_MAX;
	ck_assert_int_eq(region_engine_create(&engine, &params), -EINVAL);
	params.capacity = 1;
	params.max_recovery = 0;
	ck_assert_int_eq(region_engine_create(&engine, &params), -EINVAL);
	ck_assert_ptr_null(engine);
	region_engine_destroy(NULL);
	params.max_recovery = 1;
	ck_assert_int_eq(region_engine_create(&engine, &params), 0);
	ck_assert_int_eq(region_engine_resume(engine), 0);
	ck_assert_int_eq(region_engine_write_start(engine, 8), -EINVAL);
	ck_assert_int_eq(region_engine_write_end(engine, UINT64_MAX), -EINVAL);
	region_engine_destroy(engine);
	bitmap_free(&some);
}
END_TEST

Suite *region_engine_suite(void)
{
	Suite *suite = suite_create("region_engine");
	TCase *tcase = tcase_create("region hash");

	tcase_add_test(tcase, rh_alloc);
	tcase_add_test(tcase, rh_inc_clean);
	tcase_add_test(tcase, rh_inc_dirty);
	tcase_add_test(tcase, rh_inc_nosync);
	tcase_add_test(tcase, rh_inc_recovering);
	tcase_add_test(tcase, rh_inc_on_clean_list);
	tcase_add_test(tcase, rh_dec_dirty);
	tcase_add_test(tcase, rh_dec_nosync);
	tcase_add_test(tcase, rh_dec_recovering);
	tcase_add_test(tcase, rh_dec_flush_failure);
	tcase_add_test(tcase, update_states_clean);
	tcase_add_test(tcase, update_states_recovered);
	tcase_add_test(tcase, update_states_failed_recovered);
	tcase_add_test(tcase, recovery_prepare);
	tcase_add_test(tcase, recovery_prepare_clean_region);
	tcase_add_test(tcase, recovery_prepare_region_that_waits);
	tcase_add_test(tcase, recovery_start_and_end);
	tcase_add_test(tcase, mark_nosync_dirty);
	tcase_add_test(tcase, mark_nosync_nosync);
	tcase_add_test(tcase, mark_nosync_recovering);
	tcase_add_test(tcase, mark_nosync_preflush);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("dirty log");
	tcase_add_test(tcase, get_resync_work);
	tcase_add_test(tcase, disk_flush_legs_fail);
	tcase_add_test(tcase, disk_flush_log_fails);
	tcase_add_test(tcase, disk_flush_under_way);
	tcase_add_test(tcase, write_never_submitted);
	tcase_add_test(tcase, disk_resume);
	tcase_add_test(tcase, disk_resume_believes_the_log);
	tcase_add_test(tcase, suspend_lets_end_what_began);
	tcase_add_test(tcase, suspend_lets_delayed_writes_through);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("table");
	tcase_add_test(tcase, full_table);
	tcase_add_test(tcase, many_entries);
	tcase_add_test(tcase, bad_parameters);
	suite_add_tcase(suite, tcase);
	return suite;
}
