/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The power goes at every write and flush of a resync, and of what was not flushed any
 * subset of sectors is lost. What is left never calls a region clean that differs, unless
 * it did so before and was not touched; and going on from there always ends well.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"
#include "support/resync_world.h"
#include "unit/suites.h"

#define CUTS_PER_POINT 12u

static struct resync_world world;

/* What the tests have really seen. */
static struct {
	uint64_t cuts, resumed, runs, points;
	uint64_t headers_made_good, lies, copied, rewritten, stopped, log_failures, leg_failures, unread;
	uint64_t kept, not_kept;
} seen;

static void teardown(void)
{
	resync_world_free(&world);
}

/* A tenth where every access is checked; MIRRORCTL_MORE=N times as many by hand. */
static unsigned int nr_rounds(unsigned int rounds)
{
	const char *more = getenv("MIRRORCTL_MORE");

	if (more)
		rounds *= (unsigned int)strtoul(more, NULL, 10);
#if defined(__SANITIZE_ADDRESS__)
	rounds /= 10;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	rounds /= 10;
#endif
#endif
	return world_rounds(rounds);
}

/* --- cuts within a run --------------------------------------------------- */

static uint64_t cut_seed;

static void judge_now(const char *when)
{
	const char *wrong = resync_world_judge_cut(&world, cut_seed);

	ck_assert_msg(!wrong, "seed %" PRIu64 ", cut %" PRIu64 " %s: %s", world.engine_seed,
		      cut_seed, when, wrong);
	cut_seed += 100;
	seen.cuts++;
}

/* Also where a write changes nothing: a sector that is being written may be lost whole. */
static void judge_write(const struct sim_disk *disk, uint64_t first, uint64_t sectors)
{
	unsigned char log[RESYNC_WORLD_LOG_BYTES];
	uint64_t end = first + sectors;

	if (disk == world.log)
		return;
	sim_disk_peek_durable(world.log, 0, log, sizeof(log));
	for (; first < end && first < world.geometry.length; first++)
		ck_assert_msg(!resync_world_clean(&world, log,
						  region_of_sector(&world.geometry, first)),
			      "seed %" PRIu64 ": sector %" PRIu64 " is written to and clean",
			      world.engine_seed, first);
}

/* Before each write and flush is executed, and so after the one before it. */
static void cut_here(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		     uint64_t sectors)
{
	(void)context;
	if (op == BLOCK_READ)
		return;
	if (op == BLOCK_WRITE)
		judge_write(disk, first, sectors);
	seen.points++;
	for (unsigned int i = 0; i < CUTS_PER_POINT; i++)
		judge_now("before a write or flush");
}

static void count_run(void)
{
	const struct resync_result *result = &world.result;

	seen.runs++;
	seen.headers_made_good += result->header_made_good;
	seen.lies += result->regions_lied;
	seen.copied += result->regions_copied;
	seen.rewritten += world.options.verify ? result->regions_rewritten : 0;
	seen.stopped += result->end == RESYNC_STOPPED;
	seen.log_failures += result->log_failed;
	seen.unread += result->unreadable.nr;
	seen.kept += result->kept_sectors;
	seen.not_kept += result->keep_error != 0;
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		seen.leg_failures += result->leg_error[leg] != 0;
}

/* What was counted adds up. */
static void check_counts(void)
{
	const struct resync_result *result = &world.result;

	ck_assert_int_eq(world.ret, 0);
	ck_assert(!result->hung);
	if (result->end == RESYNC_COMPLETE)
		ck_assert_uint_eq(result->regions_work, result->regions_copied +
				  result->regions_equal + result->regions_failed);
}

/* The same again, with nothing in the way. */
static void complete_again(uint64_t round)
{
	const char *wrong;

	block_engine_destroy(world.engine);
	world.engine = NULL;
	world.keeping = false;
	world.stop_at_poll = world.changes_at = 0;
	world.hook = NULL;
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		sim_disk_clear_faults(world.legs[leg]);
	sim_disk_clear_faults(world.log);
	resync_world_remember(&world);
	resync_world_run(&world);
	ck_assert_int_eq(world.ret, 0);
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	ck_assert_uint_eq(world.result.regions_failed, 0);
	wrong = resync_world_judge_end(&world);
	ck_assert_msg(!wrong, "round %" PRIu64 ": %s", round, wrong);
	seen.resumed++;
}

/* A run that is cut at each of its points, then went on. */
static void cut_everywhere(uint64_t round)
{
	cut_seed = round * 1000003;
	world.hook = cut_here;
	resync_world_run(&world);
	count_run();
	check_counts();
	for (unsigned int i = 0; i < CUTS_PER_POINT; i++)
		judge_now("at the end");
}

/* --- what may happen on the way ------------------------------------------ */

static void random_fault(uint64_t *random)
{
	unsigned int where = (unsigned int)world_below(random, world.nr_legs + 1);
	struct sim_disk *disk = where < world.nr_legs ? world.legs[where] : world.log;
	struct sim_fault fault = {
		.op = (enum block_op)world_below(random, 3),
		.first = world_below(random, world.geometry.length),
		.sectors = 1 + world_below(random, 4),
		.result = -EIO, .times = (unsigned int)world_below(random, 3),
		.at_submission = !world_below(random, 3),
	};

	if (disk == world.log) {
		if (fault.op == BLOCK_READ)
			return;
		fault.first = world_below(random, 4);
	}
	sim_disk_fail(disk, &fault);
	/* As far as a block of the largest size may be. */
	if (fault.op == BLOCK_READ)
		resync_world_lose(&world, where, fault.first / 8 * 8, 16);
}

static void random_trouble(uint64_t round)
{
	uint64_t random = round ^ UINT64_C(0x5eed);

	if (!world_below(&random, 3))
		return;
	for (uint64_t i = world_below(&random, 4); i; i--)
		random_fault(&random);
	if (!world_below(&random, 4))
		world.stop_at_poll = 1 + (unsigned int)world_below(&random, 40);
	if (!world_below(&random, 8))
		world.changes_at = 1 + (unsigned int)world_below(&random, 6);
	if (!world_below(&random, 4))
		world.keep_fails_at = 1 + (unsigned int)world_below(&random, 5);
}

/* For the log: a comment in TAP. */
static void tell_seen(const char *what)
{
	printf("# seen: %" PRIu64 " power cuts at %" PRIu64 " points of %" PRIu64 " resyncs %s: %"
	       PRIu64 " headers made good, %" PRIu64 " lies, %" PRIu64 " regions copied, %" PRIu64
	       " stopped, %" PRIu64 " errors of the log, %" PRIu64 " of legs, %" PRIu64
	       " runs unread, %" PRIu64 " times not kept\n", seen.cuts, seen.points, seen.runs, what,
	       seen.headers_made_good, seen.lies, seen.copied, seen.stopped, seen.log_failures,
	       seen.leg_failures, seen.unread, seen.not_kept);
	fflush(stdout);
}

START_TEST(cut_anywhere)
{
	unsigned int rounds = nr_rounds(_i ? 2500 : 500);

	memset(&seen, 0, sizeof(seen));
	for (uint64_t round = 0; round < rounds; round++) {
		resync_world_make_random(&world, round + (uint64_t)_i * 1000000);
		if (_i)
			random_trouble(round + (uint64_t)_i * 1000000);
		cut_everywhere(round);
		complete_again(round);
		resync_world_free(&world);
	}
	tell_seen(_i ? "with errors" : "without errors");
	ck_assert_uint_ge(seen.cuts, rounds * 160);	/* both together: 480000 */
	ck_assert_uint_ge(seen.headers_made_good, rounds / 10);
	ck_assert_uint_ge(seen.copied, rounds);
	ck_assert_uint_ge(seen.lies, rounds / 10);
	ck_assert_uint_ge(seen.kept, rounds);
	if (_i) {
		ck_assert_uint_ge(seen.stopped, rounds / 50);
		ck_assert_uint_ge(seen.log_failures, rounds / 50);
		ck_assert_uint_ge(seen.leg_failures, rounds / 20);
		ck_assert_uint_ge(seen.unread, rounds / 50);
		ck_assert_uint_ge(seen.not_kept, rounds / 50);
	}
}
END_TEST

/* --- cuts for real ------------------------------------------------------- */

/* Sometimes only the process dies, and the caches stay as they are. */
static void lose_caches(uint64_t *random)
{
	bool legs = world_below(random, 3), log = world_below(random, 3);

	for (unsigned int leg = 0; leg < world.nr_legs && legs; leg++)
		sim_disk_power_cut(world.legs[leg], world_random(random));
	if (log)
		sim_disk_power_cut(world.log, world_random(random));
	resync_world_remember(&world);
}

/* The power is gone after so many writes and flushes, requests in flight and all; then
 * the survivor is taken up again, and cut again, until it is done. */
static void cut_until_done(uint64_t seed)
{
	uint64_t random = seed;
	unsigned int cuts = 0;
	const char *wrong;
	bool lost;

	do {
		world.engine = sim_engine_create(world.depth, world.nr_buffers, world.buffer_bytes,
						 world_random(&random) | 1);
		if (cuts++ < 20)
			sim_engine_power_off_after(world.engine, world_below(&random, 12));
		world.stop_without_power = true;
		resync_world_run(&world);
		lost = sim_engine_power_lost(world.engine);
		sim_engine_crash(world.engine);
		wrong = resync_world_judge_cut(&world, seed + cuts);
		ck_assert_msg(!wrong, "seed %" PRIu64 ": %s", seed, wrong);
		seen.cuts++;
		block_engine_destroy(world.engine);
		world.engine = NULL;
		if (lost)
			lose_caches(&random);
	} while (lost);
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	wrong = resync_world_judge_end(&world);
	ck_assert_msg(!wrong, "seed %" PRIu64 ": %s", seed, wrong);
}

START_TEST(again_and_again)
{
	unsigned int rounds = nr_rounds(1500);

	memset(&seen, 0, sizeof(seen));
	for (uint64_t round = 0; round < rounds; round++) {
		resync_world_make_random(&world, round + 7000000);
		world.keeping = false;
		cut_until_done(round);
		resync_world_free(&world);
	}
	printf("# seen: %" PRIu64 " power cuts of %u resyncs, each taken up until it was done\n",
	       seen.cuts, rounds);
	fflush(stdout);
	ck_assert_uint_ge(seen.cuts, rounds * 3);
}
END_TEST

Suite *resync_power_suite(void)
{
	Suite *suite = suite_create("resync_power");
	TCase *tests = tcase_create("resync_power");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, cut_anywhere, 0, 2);
	tcase_add_test(tests, again_and_again);
	suite_add_tcase(suite, tests);
	return suite;
}
