/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/leg_reader.h"
#include "support/audit_world.h"
#include "unit/suites.h"

#define MS UINT64_C(1000000)

static struct world world;

/* Something that happens to the mirror when a sector of leg 1 is read for the
 * n-th time (the first pass is 1). */
static struct event {
	uint64_t sector;
	unsigned int reads;
	void (*at)(unsigned int read);
} event;

static void watch_reads(void *context, struct sim_disk *disk, enum block_op op,
			uint64_t first, uint64_t sectors)
{
	(void)context;
	if (op == BLOCK_READ && disk == world.legs[1] &&
	    event.sector >= first && event.sector - first < sectors) {
		event.reads++;
		if (event.at)
			event.at(event.reads);
	}
}

static void watch(uint64_t sector, void (*at)(unsigned int read))
{
	event = (struct event){ .sector = sector, .at = at };
	sim_engine_set_hook(world.engine, watch_reads, NULL);
}

static void setup(void)
{
	world_make(&world, 2, 1024, 16, NULL);
}

static void teardown(void)
{
	ck_assert_uint_eq(world_writes(&world), 0);
	world_free(&world);
}

static void audit(void)
{
	world_audit(&world);
	ck_assert_msg(!world.ret, "%s", world.err.text);
}

/* A lone run of the result. */
static void expect_only_run(enum verdict verdict, unsigned int leg, uint64_t start, uint64_t sectors)
{
	const struct run_list *list = &world.result.runs;

	ck_assert_uint_eq(list->nr, 1);
	ck_assert_str_eq(verdict_name(list->runs[0].verdict), verdict_name(verdict));
	ck_assert_uint_eq(list->runs[0].leg, leg);
	ck_assert_uint_eq(list->runs[0].start, start);
	ck_assert_uint_eq(list->runs[0].sectors, sectors);
}

#define expect_verdict(region, verdict) \
	ck_assert_str_eq(verdict_name(world_verdict(&world, region)), verdict_name(verdict))

/* ---- verdicts ------------------------------------------------------------------ */

START_TEST(all_equal)
{
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_COMPLETE);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_VERIFIED], 64);
	ck_assert_uint_eq(world.result.runs.nr, 0);
	ck_assert_uint_eq(world.result.read_sectors, 1024);
	ck_assert_uint_eq(world.result.withdrawn_regions, 0);
}
END_TEST

START_TEST(one_sector_differs)
{
	world_put(&world, 1, 333, 1, HOLDS_ZEROS);
	audit();
	expect_only_run(VERDICT_BOGUS_CLEAN, 1, 333, 1);
	ck_assert_int_eq(world.result.runs.runs[0].content, CONTENT_ZEROS);
	ck_assert_int_eq(world.result.runs.runs[0].against_content, CONTENT_OTHER);
	expect_verdict(19, VERDICT_VERIFIED);
	expect_verdict(20, VERDICT_BOGUS_CLEAN);
	expect_verdict(21, VERDICT_VERIFIED);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_BOGUS_CLEAN], 1);
	ck_assert_uint_eq(world.last_progress.found_sectors, 1);
}
END_TEST

START_TEST(not_clean_regions)
{
	world_put(&world, 1, 333, 3, HOLDS_OTHER);
	world_dirty(&world, 20, 21);
	audit();
	expect_only_run(VERDICT_RESYNC_PENDING, 1, 333, 3);
	expect_verdict(20, VERDICT_RESYNC_PENDING);
	expect_verdict(21, VERDICT_EQUAL_NOT_CLEAN);
	/* Nothing to look at again. */
	ck_assert_uint_eq(world.slept_ms, 0);
}
END_TEST

START_TEST(unreadable_is_not_different)
{
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	world_break(&world, 1, 333, 1, EIO);
	audit();
	expect_only_run(VERDICT_UNVERIFIABLE, 1, 333, 1);
	ck_assert_int_eq(world.result.runs.runs[0].error, EIO);
	expect_verdict(20, VERDICT_UNVERIFIABLE);
	ck_assert_uint_eq(world.result.unreadable_sectors[1], 1);
	ck_assert_uint_eq(world.result.unreadable_sectors[0], 0);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_VERIFIED], 63);
}
END_TEST

START_TEST(proof_outweighs_what_could_not_be_read)
{
	world_put(&world, 1, 320, 1, HOLDS_OTHER);
	world_break(&world, 0, 335, 1, EIO);
	audit();
	expect_verdict(20, VERDICT_BOGUS_CLEAN);
	ck_assert_uint_eq(world.result.runs.nr, 2);
}
END_TEST

START_TEST(a_missing_leg)
{
	world_free(&world);
	world_make(&world, 3, 1024, 16, NULL);
	world.missing[0] = true;
	world_put(&world, 2, 100, 2, HOLDS_ONES);
	audit();
	expect_only_run(VERDICT_BOGUS_CLEAN, 2, 100, 2);
	ck_assert_uint_eq(world.result.runs.runs[0].against, 1);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_UNVERIFIABLE], 63);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_VERIFIED], 0);
	ck_assert_uint_eq(world.result.compared_sectors, 1024);
	/* What is missing agrees with nobody. */
	ck_assert_uint_eq(world.result.nr_patterns, 1);
	ck_assert_uint_eq(world.result.patterns[0].group[0], MIRROR_LEGS_MAX);
}
END_TEST

START_TEST(one_leg_alone)
{
	world.missing[1] = true;
	audit();
	ck_assert_uint_eq(world.result.regions.count[VERDICT_UNVERIFIABLE], 64);
	ck_assert_uint_eq(world.result.compared_sectors, 0);
	ck_assert_uint_eq(world.result.runs.nr, 0);
}
END_TEST

START_TEST(runs_are_bounded_and_counts_exact)
{
	world.options.max_runs = 5;
	for (uint64_t sector = 0; sector < 1024; sector += 2)
		world_put(&world, 1, sector, 1, HOLDS_OTHER);
	audit();
	ck_assert_uint_eq(world.result.runs.nr, 5);
	ck_assert(world.result.runs.truncated);
	ck_assert_uint_eq(world.result.runs.nr_runs[VERDICT_BOGUS_CLEAN], 512);
	ck_assert_uint_eq(world.result.runs.sectors[VERDICT_BOGUS_CLEAN], 512);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_BOGUS_CLEAN], 64);
}
END_TEST

START_TEST(tiny_batches_find_the_same)
{
	world.options.max_candidates = 1;
	world_put(&world, 1, 0, 1024, HOLDS_MORE);
	audit();
	expect_only_run(VERDICT_BOGUS_CLEAN, 1, 0, 1024);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_BOGUS_CLEAN], 64);
	ck_assert_uint_eq(world.result.regions.nr, 1);
	ck_assert_uint_eq(world.result.read_sectors, 1024);
}
END_TEST

START_TEST(only_holes)
{
	for (unsigned int leg = 0; leg < 2; leg++) {
		sim_disk_destroy(world.legs[leg]);
		world.legs[leg] = sim_disk_create("hollow", 1024 * SECTOR_BYTES, 1);
	}
	audit();
	ck_assert_uint_eq(world.result.regions.count[VERDICT_VERIFIED], 64);
	ck_assert_uint_eq(world.result.compared_sectors, 1024);
	ck_assert_uint_eq(world.result.hole_sectors, 1024);
	ck_assert_uint_eq(sim_disk_counters(world.legs[0])->reads, 0);
}
END_TEST

/* Data of leg 1 lies in a hole of leg 0, behind the end of the first range and
 * before data of leg 0 that the first range could be grown to. */
START_TEST(data_in_the_others_hole)
{
	for (unsigned int leg = 0; leg < 2; leg++) {
		sim_disk_destroy(world.legs[leg]);
		world.legs[leg] = sim_disk_create("sparse", 1024 * SECTOR_BYTES, 1);
	}
	world_put(&world, 1, 0, 8, HOLDS_ZEROS);
	world_put(&world, 1, 104, 8, HOLDS_TEXT);
	world_put(&world, 0, 200, 8, HOLDS_TEXT);
	world_put(&world, 1, 200, 8, HOLDS_TEXT);
	bitmap_clear_run(&world.selected, 2, 4);
	audit();
	expect_only_run(VERDICT_BOGUS_CLEAN, 1, 104, 8);
}
END_TEST

/* ---- looking again --------------------------------------------------------------- */

static void becomes_equal(unsigned int read)
{
	if (read == 2)
		world_put(&world, 1, 333, 1, HOLDS_TEXT);
}

START_TEST(gone_at_the_second_look)
{
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	watch(333, becomes_equal);
	audit();
	ck_assert_uint_eq(event.reads, 2);
	expect_verdict(20, VERDICT_TRANSIENT);
	ck_assert_uint_eq(world.result.runs.nr, 0);
	ck_assert_uint_eq(world.result.nr_patterns, 0);
}
END_TEST

static void always_changes(unsigned int read)
{
	world_put(&world, 1, 333, 1, read % 2 ? HOLDS_OTHER : HOLDS_MORE);
}

START_TEST(changes_at_each_look)
{
	watch(333, always_changes);
	audit();
	expect_verdict(20, VERDICT_BUSY);
	ck_assert_uint_eq(world.result.runs.nr, 0);
}
END_TEST

static void other_for_one_look(unsigned int read)
{
	world_put(&world, 1, 333, 1, read == 3 ? HOLDS_MORE : HOLDS_OTHER);
}

static void equal_for_one_look(unsigned int read)
{
	world_put(&world, 1, 333, 1, read == 4 ? HOLDS_TEXT : HOLDS_OTHER);
}

static void leg0_changes(unsigned int read)
{
	world_put(&world, 0, 333, 1, read == 5 ? HOLDS_ZEROS : HOLDS_TEXT);
}

START_TEST(not_the_same_all_along)
{
	void (*const at[])(unsigned int) = { other_for_one_look, equal_for_one_look, leg0_changes };

	world.options.running = true;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	watch(333, at[_i]);
	audit();
	ck_assert_uint_eq(event.reads, 6);
	expect_verdict(20, VERDICT_BUSY);
	ck_assert_uint_eq(world.result.runs.nr, 0);
}
END_TEST

START_TEST(suspects_need_five_looks)
{
	world.options.running = true;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	watch(333, NULL);
	audit();
	ck_assert_uint_eq(event.reads, 1 + 5);
	ck_assert_uint_ge(world.slept_ms, 2000);
	expect_only_run(VERDICT_SUSPECT, 1, 333, 1);
	expect_verdict(20, VERDICT_SUSPECT);
}
END_TEST

static void becomes_equal_last(unsigned int read)
{
	if (read == 6)
		world_put(&world, 1, 333, 1, HOLDS_TEXT);
}

START_TEST(equal_at_the_fifth_look)
{
	world.options.running = true;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	watch(333, becomes_equal_last);
	audit();
	expect_verdict(20, VERDICT_TRANSIENT);
}
END_TEST

START_TEST(suspended_is_proof)
{
	world.options.running = world.options.steady = true;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	watch(333, NULL);
	audit();
	ck_assert_uint_eq(event.reads, 1 + 5);
	expect_only_run(VERDICT_BOGUS_CLEAN, 1, 333, 1);
	expect_verdict(20, VERDICT_BOGUS_CLEAN);
}
END_TEST

static void becomes_unreadable(unsigned int read)
{
	if (read == 2)
		world_break(&world, 1, 333, 1, ENODATA);
}

START_TEST(unreadable_at_the_second_look)
{
	world_put(&world, 1, 330, 6, HOLDS_OTHER);
	watch(333, becomes_unreadable);
	audit();
	expect_verdict(20, VERDICT_BOGUS_CLEAN);
	ck_assert_uint_eq(world.result.runs.sectors[VERDICT_BOGUS_CLEAN], 5);
	ck_assert_uint_eq(world.result.runs.sectors[VERDICT_UNVERIFIABLE], 1);
	ck_assert_uint_eq(world.result.unreadable_sectors[1], 1);
	ck_assert_uint_eq(world.result.runs.nr, 3);
	ck_assert_uint_eq(world.result.runs.runs[2].start, 333);
	ck_assert_int_eq(world.result.runs.runs[2].error, ENODATA);
}
END_TEST

static void bit_is_cleared(unsigned int read)
{
	if (read == 2)
		world_log_bit(&world, 20, false);
}

static void bit_is_cleared_for_a_moment(unsigned int read)
{
	world_log_bit(&world, 20, read != 4);
}

/* Set again by the time the legs are read. */
static void bit_is_cleared_before_the_look(unsigned int read)
{
	world_log_bit(&world, 20, read != 1);
}

START_TEST(bit_cleared_before_the_look)
{
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	watch(333, bit_is_cleared_before_the_look);
	audit();
	expect_verdict(20, VERDICT_BUSY);
}
END_TEST

START_TEST(bit_cleared_between_looks)
{
	world.options.running = _i == 1;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	world_put(&world, 1, 340, 1, HOLDS_OTHER);	/* region 21 keeps its bit */
	watch(333, _i ? bit_is_cleared_for_a_moment : bit_is_cleared);
	audit();
	expect_verdict(20, VERDICT_BUSY);
	expect_verdict(21, _i ? VERDICT_SUSPECT : VERDICT_BOGUS_CLEAN);
	expect_only_run(_i ? VERDICT_SUSPECT : VERDICT_BOGUS_CLEAN, 1, 340, 1);
}
END_TEST

START_TEST(log_cannot_be_read_again)
{
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	sim_disk_fail(world.log, &(struct sim_fault){ .op = BLOCK_READ, .first = 2, .sectors = 1,
						      .result = -EIO });
	world_audit(&world);
	ck_assert_int_eq(world.ret, -EIO);
	ck_assert_msg(strstr(world.err.text, "log: ") != NULL, "%s", world.err.text);
	ck_assert_msg(strstr(world.err.text, "sector 2") != NULL, "%s", world.err.text);
}
END_TEST

/* ---- ended early -------------------------------------------------------------------- */

/* Differs, is unreadable, and differs without being clean, all over the place. */
static void make_a_mess(void)
{
	for (uint64_t sector = 5; sector < 1024; sector += 37)
		world_put(&world, 1, sector, 2, HOLDS_OTHER);
	for (uint64_t sector = 20; sector < 1024; sector += 200)
		world_break(&world, 0, sector, 1, EIO);
	for (uint64_t region = 3; region < 64; region += 4)
		world_dirty(&world, region, region);
	world.options.max_candidates = 4;
	world_engine(&world, 4, 4096, 0);
}

/* What is said of a region of a run that ended early is what the whole run says
 * of it; every run lies in regions that have a verdict. */
static void check_partial(const struct world *whole)
{
	const struct run_list *list = &world.result.runs;
	uint64_t found[VERDICT_COUNT] = { 0 };

	for (uint64_t region = 0; region < world.geometry.nr_regions; region++) {
		enum verdict verdict = world_verdict(&world, region);

		if (verdict != VERDICT_NOT_COMPARED)
			ck_assert_str_eq(verdict_name(verdict),
					 verdict_name(world_verdict(whole, region)));
		found[verdict]++;
	}
	ck_assert_mem_eq(found, world.result.regions.count, sizeof(found));
	for (size_t i = 0; i < list->nr; i++) {
		uint64_t last = list->runs[i].start + list->runs[i].sectors - 1;

		ck_assert_int_ne(world_verdict(&world, list->runs[i].start / 16), VERDICT_NOT_COMPARED);
		ck_assert_int_ne(world_verdict(&world, last / 16), VERDICT_NOT_COMPARED);
	}
}

static uint64_t nr_compared(void)
{
	return world.geometry.nr_regions - world.result.regions.count[VERDICT_NOT_COMPARED];
}

static struct world *make_whole(void)
{
	struct world *whole = malloc(sizeof(*whole));

	audit();
	ck_assert_int_eq(world.result.end, AUDIT_COMPLETE);
	ck_assert_uint_eq(nr_compared(), 64);
	*whole = world;
	memset(&world.result, 0, sizeof(world.result));
	return whole;
}

static void free_whole(struct world *whole)
{
	audit_result_free(&whole->result);
	free(whole);
}

START_TEST(stopped_at_every_poll)
{
	struct world *whole;
	uint64_t before = 0;
	unsigned int n;

	make_a_mess();
	whole = make_whole();
	for (n = 1; n <= whole->polls; n++) {
		world.stop_at_poll = n;
		audit();
		if (world.result.end == AUDIT_COMPLETE)
			break;
		ck_assert_int_eq(world.result.end, AUDIT_STOPPED);
		check_partial(whole);
		ck_assert_uint_ge(nr_compared(), before);
		before = nr_compared();
		/* Whatever differs below what was compared is told. */
		ck_assert_uint_ge(nr_compared(), world.result.compared_sectors / 16);
		ck_assert_uint_eq(world.result.withdrawn_regions, 0);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_gt(before, 40);
	free_whole(whole);
}
END_TEST

/* One region larger than a chunk: a stop in its middle keeps the proof. */
START_TEST(stopped_inside_a_region)
{
	world_free(&world);
	world_make(&world, 2, 1024, 1024, NULL);
	world_put(&world, 1, 3, 1, HOLDS_OTHER);
	world_engine(&world, 2, 4096, 0);
	world.stop_at_poll = 4;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_STOPPED);
	ck_assert_uint_lt(world.result.compared_sectors, 1024);
	expect_only_run(VERDICT_BOGUS_CLEAN, 1, 3, 1);
	expect_verdict(0, VERDICT_BOGUS_CLEAN);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_BOGUS_CLEAN], 1);
}
END_TEST

START_TEST(half_a_region_is_not_verified)
{
	world_free(&world);
	world_make(&world, 2, 1024, 1024, NULL);
	world_engine(&world, 2, 4096, 0);
	world.stop_at_poll = 4;
	audit();
	expect_verdict(0, VERDICT_NOT_COMPARED);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_NOT_COMPARED], 1);
}
END_TEST

static void stop_while_looking_again(struct world *at)
{
	if (at->last_progress.looking_again && !at->stop_at_poll)
		at->stop_at_poll = 1;
}

/* What was found is looked at to the end, for some time. */
START_TEST(stopped_while_looking_again)
{
	world.options.running = true;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	world.on_poll = stop_while_looking_again;
	audit();
	expect_only_run(VERDICT_SUSPECT, 1, 333, 1);
	expect_verdict(20, VERDICT_SUSPECT);
	expect_verdict(21, VERDICT_VERIFIED);
}
END_TEST

START_TEST(looking_again_does_not_last_for_ever)
{
	world.options.running = true;
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	world.on_poll = stop_while_looking_again;
	world.tick_ns = 6000 * MS;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_STOPPED);
	ck_assert_uint_eq(world.result.runs.nr, 0);
	expect_verdict(20, VERDICT_NOT_COMPARED);
	expect_verdict(21, VERDICT_VERIFIED);
}
END_TEST

START_TEST(changed_before_it_began)
{
	world.changes_at = 1;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_CHANGED);
	ck_assert_uint_eq(nr_compared(), 0);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_NOT_COMPARED], 64);
	ck_assert_uint_eq(world.result.read_sectors, 0);
}
END_TEST

START_TEST(changed_at_the_last_look)
{
	world_put(&world, 1, 333, 1, HOLDS_OTHER);
	world_put(&world, 1, 500, 1, HOLDS_OTHER);
	world_dirty(&world, 31, 31);
	audit();
	ck_assert_uint_eq(world.result.regions.count[VERDICT_BOGUS_CLEAN], 1);
	/* At the start, and before the findings count. */
	ck_assert_uint_eq(world.close_samples, 2);
	world.changes_at = world.samples;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_CHANGED);
	ck_assert_uint_eq(world.result.withdrawn_regions, 2);
	ck_assert_uint_eq(world.result.runs.nr, 0);
	ck_assert_uint_eq(world.result.runs.sectors[VERDICT_BOGUS_CLEAN], 0);
	ck_assert_uint_eq(world.result.runs.sectors[VERDICT_RESYNC_PENDING], 0);
	ck_assert_uint_eq(world.result.regions.count[VERDICT_BOGUS_CLEAN], 0);
	ck_assert_uint_eq(nr_compared(), 0);
	ck_assert_uint_eq(world.result.nr_patterns, 0);
}
END_TEST

START_TEST(changed_at_every_look)
{
	struct world *whole;
	uint64_t before = 0;
	unsigned int n;

	make_a_mess();
	world.tick_ns = 400 * MS;
	whole = make_whole();
	for (n = 1; n <= whole->samples; n++) {
		world.changes_at = n;
		audit();
		ck_assert_int_eq(world.result.end, AUDIT_CHANGED);
		check_partial(whole);
		ck_assert_uint_ge(nr_compared(), before);
		before = nr_compared();
	}
	/* What was found before the last good look stays. */
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_gt(before, 40);
	world.changes_at = n;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_COMPLETE);
	free_whole(whole);
}
END_TEST

/* Without anything in doubt each good look settles what has been compared. */
START_TEST(good_looks_settle)
{
	world_engine(&world, 2, 4096, 0);
	world.tick_ns = 600 * MS;
	audit();
	world.changes_at = world.samples / 2;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_CHANGED);
	ck_assert_uint_gt(world.result.regions.count[VERDICT_VERIFIED], 20);
}
END_TEST

/* Differences are looked at again within a minute or so, not at the end only. */
START_TEST(differences_do_not_wait_for_ever)
{
	world_engine(&world, 2, 4096, 0);
	world_put(&world, 1, 0, 1, HOLDS_OTHER);
	world.tick_ns = 1500 * MS;
	audit();
	world.changes_at = world.samples;
	audit();
	ck_assert_int_eq(world.result.end, AUDIT_CHANGED);
	expect_verdict(0, VERDICT_BOGUS_CLEAN);
	expect_only_run(VERDICT_BOGUS_CLEAN, 1, 0, 1);
}
END_TEST

/* ---- hanging, pacing ---------------------------------------------------------------- */

static void hangs(unsigned int read)
{
	(void)read;
	sim_disk_hang(world.legs[1], true);
}

static void stop_soon_after_hang(struct world *at)
{
	if (event.reads && !at->stop_at_poll)
		at->stop_at_poll = at->polls + 20;
}

/* The disk recovers, so that all memory can be given back. */
static void end_of_hang(void)
{
	sim_disk_hang(world.legs[1], false);
	ck_assert_int_eq(block_drain(world.engine, -1), 0);
	leg_reader_destroy(world.result.abandoned);
}

START_TEST(a_leg_hangs)
{
	world_engine(&world, 2, 4096, 0);
	world_put(&world, 1, 5, 1, HOLDS_OTHER);
	watch(512, hangs);
	world.on_poll = stop_soon_after_hang;
	audit();
	ck_assert(world.result.hung);
	ck_assert_int_eq(world.result.end, AUDIT_STOPPED);
	/* What was seen once and could not be looked at again is not told. */
	expect_verdict(0, VERDICT_NOT_COMPARED);
	ck_assert_uint_eq(world.result.runs.nr, 0);
	/* What was compared stays compared. */
	expect_verdict(1, VERDICT_VERIFIED);
	expect_verdict(30, VERDICT_VERIFIED);
	expect_verdict(40, VERDICT_NOT_COMPARED);
	end_of_hang();
}
END_TEST

static void hangs_at_second_read(unsigned int read)
{
	if (read == 2)
		hangs(read);
}

static void stop_in_hang(struct world *at)
{
	if (event.reads == 2 && !at->stop_at_poll)
		at->stop_at_poll = at->polls + 20;
}

/* The read that makes the leg hang is still answered, the next one is not. */
START_TEST(a_leg_hangs_at_the_second_look)
{
	world_put(&world, 1, 5, 1, HOLDS_OTHER);
	world_put(&world, 1, 900, 1, HOLDS_OTHER);
	watch(5, hangs_at_second_read);
	world.on_poll = stop_in_hang;
	world.tick_ns = 1000 * MS;
	audit();
	ck_assert(world.result.hung);
	ck_assert_int_eq(world.result.end, AUDIT_STOPPED);
	ck_assert_uint_eq(world.result.runs.nr, 0);
	expect_verdict(0, VERDICT_NOT_COMPARED);
	expect_verdict(1, VERDICT_VERIFIED);
	expect_verdict(63, VERDICT_VERIFIED);
	end_of_hang();
}
END_TEST

START_TEST(rate_is_kept)
{
	static const uint64_t rates[] = { 20000, 1 << 20, 50000000 };
	uint64_t rate = rates[_i], began, bytes = 4096 * SECTOR_BYTES;
	double seconds;

	world_free(&world);
	world_make(&world, 2, 4096, 64, NULL);
	world_engine(&world, 4, 65536, 0);
	world.options.rate_bytes = rate;
	world.tick_ns = 1000;
	began = world.now_ns;
	audit();
	ck_assert_uint_eq(world.result.read_sectors, 4096);
	seconds = (double)(world.now_ns - began) / 1e9;
	ck_assert_double_le((double)bytes / seconds, (double)rate * 1.05);
	/* One chunk (a twentieth of a second) may be on the way at the end. */
	if (seconds > 2)
		ck_assert_double_ge((double)bytes / seconds, (double)rate * 0.95);
}
END_TEST

static void slow_for_a_while(struct world *at)
{
	if (at->polls == 20)
		at->now_ns += 10000 * MS;
}

/* A disk that fell behind is not followed by a burst. */
START_TEST(no_burst_after_a_stall)
{
	uint64_t began, bytes = 4096 * SECTOR_BYTES;
	double seconds;

	world_free(&world);
	world_make(&world, 2, 4096, 64, NULL);
	world.options.rate_bytes = 100000;
	world.tick_ns = 1000;
	world.on_poll = slow_for_a_while;
	began = world.now_ns;
	audit();
	seconds = (double)(world.now_ns - began) / 1e9 - 10;
	ck_assert_double_le((double)bytes / seconds, 100000 * 1.07);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static void add_verdicts(Suite *suite)
{
	TCase *tcase = add_case(suite, "verdicts");

	tcase_add_test(tcase, all_equal);
	tcase_add_test(tcase, one_sector_differs);
	tcase_add_test(tcase, not_clean_regions);
	tcase_add_test(tcase, unreadable_is_not_different);
	tcase_add_test(tcase, proof_outweighs_what_could_not_be_read);
	tcase_add_test(tcase, a_missing_leg);
	tcase_add_test(tcase, one_leg_alone);
	tcase_add_test(tcase, runs_are_bounded_and_counts_exact);
	tcase_add_test(tcase, tiny_batches_find_the_same);
	tcase_add_test(tcase, only_holes);
	tcase_add_test(tcase, data_in_the_others_hole);
}

static void add_looking_again(Suite *suite)
{
	TCase *tcase = add_case(suite, "looking again");

	tcase_add_test(tcase, gone_at_the_second_look);
	tcase_add_test(tcase, changes_at_each_look);
	tcase_add_loop_test(tcase, not_the_same_all_along, 0, 3);
	tcase_add_test(tcase, suspects_need_five_looks);
	tcase_add_test(tcase, equal_at_the_fifth_look);
	tcase_add_test(tcase, suspended_is_proof);
	tcase_add_test(tcase, unreadable_at_the_second_look);
	tcase_add_loop_test(tcase, bit_cleared_between_looks, 0, 2);
	tcase_add_test(tcase, bit_cleared_before_the_look);
	tcase_add_test(tcase, log_cannot_be_read_again);
}

static void add_ends(Suite *suite)
{
	TCase *tcase = add_case(suite, "ended early");

	tcase_add_test(tcase, stopped_at_every_poll);
	tcase_add_test(tcase, stopped_inside_a_region);
	tcase_add_test(tcase, half_a_region_is_not_verified);
	tcase_add_test(tcase, stopped_while_looking_again);
	tcase_add_test(tcase, looking_again_does_not_last_for_ever);
	tcase_add_test(tcase, changed_before_it_began);
	tcase_add_test(tcase, changed_at_the_last_look);
	tcase_add_test(tcase, changed_at_every_look);
	tcase_add_test(tcase, good_looks_settle);
	tcase_add_test(tcase, differences_do_not_wait_for_ever);
	tcase_add_test(tcase, a_leg_hangs);
	tcase_add_test(tcase, a_leg_hangs_at_the_second_look);
	tcase_add_loop_test(tcase, rate_is_kept, 0, 3);
	tcase_add_test(tcase, no_burst_after_a_stall);
}

Suite *audit_suite(void)
{
	Suite *suite = suite_create("audit");

	add_verdicts(suite);
	add_looking_again(suite);
	add_ends(suite);
	return suite;
}
