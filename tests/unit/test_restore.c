/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A resync, however it ended, and its undo, however often that is interrupted: the power
 * goes at every write and flush, and any subset of what was not flushed is lost; reads,
 * writes and flushes fail. No clean region ever differs, and in the end the legs are what
 * they were, bit for bit, with no bit set that was not before.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log_area.h"
#include "core/restore.h"
#include "core/resync_record.h"
#include "support/audit_world.h"
#include "support/memory_file.h"
#include "support/resync_world.h"
#include "unit/suites.h"

#define CUTS_PER_POINT 6u

static struct resync_world world;

static struct {
	struct memory_file file;
	struct journal_writer writer;
	size_t synced;			/* of the file: what a power cut leaves of it */
	bool *kept;			/* regions of which something was */
	unsigned char log_before[RESYNC_WORLD_LOG_BYTES];

	/* One undo. */
	struct block_engine *engine;
	uint64_t engine_seed;
	struct undo_journal undo;
	struct log_area area;
	struct mirror_log log;
	struct bitmap bits;
	void *target;
	struct restore restore;
	struct restore_input input;
	struct journal_source source;
	enum restore_step step;
	unsigned int polls, stop_at_poll;
	bool nothing;			/* to do */
	struct error err;
} t;

/* What the tests have really seen. */
static struct {
	uint64_t cuts, points, undone, bits, sectors, again, killed, twice;
} seen;

/* --- the resync -------------------------------------------------------------- */

static void keep(struct resync_world *told, unsigned int leg, uint64_t sector, uint32_t sectors,
		 const void *old, const void *new)
{
	ck_assert_int_eq(resync_record_keep(&t.writer, leg, sector, sectors, old, new), 0);
	for (uint64_t at = sector; at < sector + sectors; at++)
		t.kept[region_of_sector(&told->geometry, at)] = true;
}

static void all_kept(struct resync_world *told)
{
	(void)told;
	t.synced = t.file.size;
}

static void begin_journal(void)
{
	char text[400], legs[60] = "";
	static _Alignas(8) unsigned char area[RESYNC_WORLD_LOG_BYTES];
	struct resync_record record = {
		.identity = text, .area = area, .area_bytes = world.area_bytes,
		.nr_regions = world.geometry.nr_regions,
	};

	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		snprintf(legs + strlen(legs), sizeof(legs) - strlen(legs), "%s\"%u\"",
			 leg ? "," : "", leg);
	snprintf(text, sizeof(text), "{\"kind\":\"block\",\"id\":\"\",\"length_bytes\":%" PRIu64
		 ",\"region_size_bytes\":%" PRIu64 ",\"legs\":[%s],\"log\":\"l\"}",
		 world.geometry.length * SECTOR_BYTES, world.geometry.region_size * SECTOR_BYTES,
		 legs);
	sim_disk_peek(world.log, 0, area, sizeof(area));
	memcpy(t.log_before, area, sizeof(area));
	journal_writer_init(&t.writer, memory_file_sink(&t.file));
	ck_assert_int_eq(resync_record_begin(&t.writer, &record, "it", &t.err), 0);
	ck_assert_int_eq(journal_put_commit(&t.writer), 0);
	t.synced = t.file.size;
	t.kept = calloc(world.geometry.nr_regions, sizeof(*t.kept));
	world.keeping = true;
	world.on_keep = keep;
	world.on_kept = all_kept;
}

static void end_journal(void)
{
	static _Alignas(8) unsigned char before[RESYNC_WORLD_LOG_BYTES];
	static _Alignas(8) unsigned char after[RESYNC_WORLD_LOG_BYTES];

	memcpy(before, t.log_before, sizeof(before));
	sim_disk_peek(world.log, 0, after, sizeof(after));
	ck_assert_int_eq(resync_record_end(&t.writer, before, after, world.area_bytes,
					   world.geometry.nr_regions), 0);
	t.synced = t.file.size;
}

/* Nothing is in any cache: what was kept is what there was. */
static void settle_disk(struct sim_disk *disk, uint64_t nr_bytes)
{
	unsigned char *bytes = malloc(nr_bytes);

	sim_disk_peek(disk, 0, bytes, nr_bytes);
	sim_disk_poke(disk, 0, bytes, nr_bytes);
	free(bytes);
}

static void settle_world(void)
{
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		settle_disk(world.legs[leg], world.leg_bytes);
	settle_disk(world.log, RESYNC_WORLD_LOG_BYTES);
	resync_world_remember(&world);
}

static void cut_disks(uint64_t *random)
{
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		sim_disk_power_cut(world.legs[leg], world_random(random));
	sim_disk_power_cut(world.log, world_random(random));
}

/* To its end, or not: stopped, killed (all that was cached is there), or without power. */
static void resync(uint64_t *random)
{
	uint64_t how = world_below(random, 4);

	begin_journal();
	world.stop_at_poll = how == 1 ? 1 + (unsigned int)world_below(random, 30) : 0;
	if (how > 1) {
		world.engine = sim_engine_create(world.depth, world.nr_buffers,
						 world.buffer_bytes, world_random(random) | 1);
		sim_engine_power_off_after(world.engine, world_below(random, 40));
		world.stop_without_power = true;
	}
	resync_world_run(&world);
	if (!world.engine || !sim_engine_power_lost(world.engine)) {
		end_journal();
	} else {
		seen.killed++;
		sim_engine_crash(world.engine);
		if (how == 3) {
			cut_disks(random);
			t.file.size = t.synced;
		}
	}
	block_engine_destroy(world.engine);
	world.engine = NULL;
}

/* --- the undo ------------------------------------------------------------------ */

static int poll(void *context, uint64_t done_sectors)
{
	(void)context;
	(void)done_sectors;
	return ++t.polls == t.stop_at_poll ? -ECANCELED : 0;
}

static void forget_undo(void)
{
	log_area_free(&t.area);
	bitmap_free(&t.bits);
	free(t.target);
	t.target = NULL;
	restore_free(&t.restore);
	undo_journal_free(&t.undo);
	block_engine_destroy(t.engine);
	t.engine = NULL;
}

static int plan_undo(void)
{
	const struct restore_input input = {
		.engine = t.engine, .nr_legs = world.nr_legs, .geometry = world.geometry,
		.undo = &t.undo, .source = &t.source, .poll = poll,
	};
	uint64_t cut_at;
	int r;

	t.source = memory_file_source(&t.file);
	t.source.name = "u";
	t.input = input;
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		t.input.legs[leg] = sim_disk_device(world.legs[leg]);
	t.polls = 0;
	r = undo_journal_read(&t.undo, &t.source, &cut_at, &t.err);
	if (!r)
		r = log_area_read(&t.area, t.engine, sim_disk_device(world.log),
				  world.geometry.nr_regions, &t.err);
	if (!r)
		mirror_log_decode(&t.log, t.area.bytes, t.area.nr_bytes,
				  world.geometry.nr_regions);
	if (!r)
		r = restore_examine(&t.restore, &t.input, &t.err);
	return r ? r : restore_bits(&t.bits, &t.undo, &t.log, &t.restore.regions);
}

/* As `mirrorctl undo` does it, in the end or where it stops. */
static int undo(void)
{
	struct restore_log log = { .device = sim_disk_device(world.log) };
	int r;

	memset(&t.err, 0, sizeof(t.err));
	t.step = RESTORE_NOT_BEGUN;
	if (!t.engine)
		t.engine = sim_engine_create(world.depth, world.nr_buffers, world.buffer_bytes,
					     t.engine_seed);
	r = plan_undo();
	if (r)
		return r;
	t.nothing = !bitmap_count(&t.bits) && !bitmap_count(&t.restore.regions);
	if (t.nothing)
		return restore_settle(&t.restore, &t.input, &t.err);
	t.target = aligned_alloc(4096, (t.area.nr_bytes + 4095) / 4096 * 4096);
	memcpy(t.target, t.area.bytes, t.area.nr_bytes);
	restore_edit(t.target, &t.bits);
	log.now = t.area.bytes;
	log.target = t.target;
	log.nr_bytes = t.area.nr_bytes;
	return restore_apply(&t.restore, &t.input, &log, &t.step, &t.err);
}

static void count_undo(void)
{
	seen.undone += !t.nothing;
	seen.bits += bitmap_count(&t.bits);
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		seen.sectors += t.restore.legs[leg].put_back;
}

/* --- judgement ------------------------------------------------------------------ */

struct image {
	unsigned char *legs[MIRROR_LEGS_MAX], log[RESYNC_WORLD_LOG_BYTES];
};

static struct image now, left;		/* … by the resync */

static void image_alloc(struct image *image)
{
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		image->legs[leg] = malloc(world.leg_bytes);
}

static void image_free(struct image *image)
{
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		free(image->legs[leg]);
	memset(image, 0, sizeof(*image));
}

static void image_take(struct image *image, bool durable)
{
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		(durable ? sim_disk_peek_durable : sim_disk_peek)(world.legs[leg], 0,
								  image->legs[leg],
								  world.leg_bytes);
	(durable ? sim_disk_peek_durable : sim_disk_peek)(world.log, 0, image->log,
							  sizeof(image->log));
}

static void image_cut(struct image *image, uint64_t seed)
{
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		sim_disk_peek_cut(world.legs[leg], seed + leg, image->legs[leg], world.leg_bytes);
	sim_disk_peek_cut(world.log, seed + MIRROR_LEGS_MAX, image->log, sizeof(image->log));
}

static bool legs_equal(const struct image *image, uint64_t region)
{
	uint64_t at = region_start(&world.geometry, region) * SECTOR_BYTES;
	uint64_t nr = region_sectors(&world.geometry, region) * SECTOR_BYTES;

	for (unsigned int leg = 1; leg < world.nr_legs; leg++)
		if (memcmp(image->legs[0] + at, image->legs[leg] + at, nr))
			return false;
	return true;
}

/* The lies of before that nobody has looked at may go on. */
static const char *judge(const struct image *image)
{
	for (uint64_t region = 0; region < world.geometry.nr_regions; region++) {
		bool clean = resync_world_clean(&world, image->log, region);

		if (clean && !legs_equal(image, region) &&
		    (t.kept[region] || !resync_world_clean(&world, t.log_before, region)))
			return "a clean region differs";
		if (clean && !resync_world_clean(&world, left.log, region) &&
		    !resync_world_clean(&world, t.log_before, region))
			return "a region became clean";
	}
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		for (uint64_t at = 0; at < world.leg_bytes; at += SECTOR_BYTES)
			if (memcmp(image->legs[leg] + at, world.start[leg].current + at,
				   SECTOR_BYTES) &&
			    memcmp(image->legs[leg] + at, left.legs[leg] + at, SECTOR_BYTES))
				return "a sector is neither as before nor as the resync left it";
	return NULL;
}

/* All is as it was before the resync, but for bits that are 0 now. */
static const char *judge_end(const struct image *image)
{
	const char *wrong = judge(image);

	for (unsigned int leg = 0; leg < world.nr_legs && !wrong; leg++)
		if (memcmp(image->legs[leg], world.start[leg].current, world.leg_bytes))
			wrong = "a leg is not what it was";
	for (uint64_t region = 0; region < world.geometry.nr_regions && !wrong; region++)
		if (resync_world_clean(&world, image->log, region) &&
		    !resync_world_clean(&world, t.log_before, region))
			wrong = "a region is clean that was not before";
	return wrong;
}

static void expect_restored(uint64_t seed)
{
	const char *wrong;

	image_take(&now, true);
	wrong = judge_end(&now);
	ck_assert_msg(!wrong, "seed %" PRIu64 ": %s", seed, wrong);
}

static void begin(uint64_t seed)
{
	uint64_t random = seed;

	resync_world_make_random(&world, seed);
	settle_world();
	resync(&random);
	image_alloc(&now);
	image_alloc(&left);
	image_take(&left, false);
	t.engine_seed = world_random(&random) | 1;
}

static void end(void)
{
	forget_undo();
	image_free(&now);
	image_free(&left);
	memory_file_free(&t.file);
	free(t.kept);
	memset(&t, 0, sizeof(t));
	resync_world_free(&world);
}

static void setup(void)
{
	memset(&seen, 0, sizeof(seen));
}

static unsigned int nr_rounds(unsigned int rounds)
{
	const char *more = getenv("MIRRORCTL_MORE");

	if (more)
		rounds *= (unsigned int)strtoul(more, NULL, 10);
	return world_rounds(rounds);
}

/* --- the power goes --------------------------------------------------------------- */

static uint64_t cut_seed;

static void cut_here(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		     uint64_t sectors)
{
	uint64_t seed = *(uint64_t *)context;
	const char *wrong;

	if (op == BLOCK_READ)
		return;
	/* A sector that is being written may be lost whole, be it the same. */
	for (image_take(&now, true); op == BLOCK_WRITE && disk != world.log && sectors;
	     sectors--, first++)
		ck_assert_msg(first >= world.geometry.length ||
			      !resync_world_clean(&world, now.log,
						  region_of_sector(&world.geometry, first)),
			      "seed %" PRIu64 ": sector %" PRIu64 " is written to and clean", seed,
			      first);
	seen.points++;
	for (unsigned int i = 0; i < CUTS_PER_POINT; i++, cut_seed += 100, seen.cuts++) {
		image_cut(&now, cut_seed);
		wrong = judge(&now);
		ck_assert_msg(!wrong, "seed %" PRIu64 ", cut %" PRIu64 ": %s", seed, cut_seed,
			      wrong);
	}
}

START_TEST(cut_anywhere)
{
	const unsigned int rounds = nr_rounds(40);

	for (uint64_t seed = 0; seed < rounds; seed++) {
		begin(seed);
		cut_seed = seed * 1000003;
		t.engine = sim_engine_create(world.depth, world.nr_buffers, world.buffer_bytes,
					     t.engine_seed);
		sim_engine_set_hook(t.engine, cut_here, &seed);
		ck_assert_msg(!undo(), "seed %" PRIu64 ": %s", seed, t.err.text);
		ck_assert(t.nothing || t.step == RESTORE_DONE);
		count_undo();
		expect_restored(seed);
		forget_undo();
		ck_assert_int_eq(undo(), 0);
		ck_assert(t.nothing);
		end();
	}
	ck_assert_uint_ge(seen.undone, rounds / 2);
	ck_assert_uint_ge(seen.bits, rounds);
	ck_assert_uint_ge(seen.sectors, rounds * 4);
	ck_assert_uint_ge(seen.killed, rounds / 10);
	ck_assert_uint_ge(seen.cuts, rounds * 20);
}
END_TEST

/* Cut for real, or killed, again and again; what is left is undone, and cut again. */
START_TEST(again_and_again)
{
	const unsigned int rounds = nr_rounds(40);

	for (uint64_t seed = 1000; seed < 1000 + rounds; seed++) {
		uint64_t random = seed;
		bool lost = true;

		begin(seed);
		for (unsigned int cuts = 0; lost; cuts++) {
			forget_undo();
			t.engine = sim_engine_create(world.depth, world.nr_buffers,
						     world.buffer_bytes, world_random(&random) | 1);
			if (cuts < 12)
				sim_engine_power_off_after(t.engine, world_below(&random, 9));
			undo();
			lost = sim_engine_power_lost(t.engine);
			seen.again += lost;
			sim_engine_crash(t.engine);
			if (lost && world_below(&random, 2))
				cut_disks(&random);
			image_take(&now, true);
			ck_assert_msg(!judge(&now), "seed %" PRIu64 ": %s", seed, judge(&now));
		}
		ck_assert_msg(!t.err.kind, "seed %" PRIu64 ": %s", seed, t.err.text);
		expect_restored(seed);
		end();
	}
	ck_assert_uint_ge(seen.again, rounds);
}
END_TEST

/* --- errors, and stops -------------------------------------------------------------- */

static struct {
	uint64_t ops, fail_at;
	enum block_op op;
} fault;

/* The nth operation of a kind fails, wherever it is. */
static void fail_here(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		      uint64_t sectors)
{
	(void)context;
	if (op == fault.op && ++fault.ops == fault.fail_at)
		sim_disk_fail(disk, &(struct sim_fault){ .op = op, .first = first,
							 .sectors = sectors, .result = -EIO });
}

static void clear_faults(void)
{
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		sim_disk_clear_faults(world.legs[leg]);
	sim_disk_clear_faults(world.log);
}

static bool is_as_left(const struct image *image)
{
	bool same = !memcmp(image->log, left.log, sizeof(left.log));

	for (unsigned int leg = 0; leg < world.nr_legs && same; leg++)
		same = !memcmp(image->legs[leg], left.legs[leg], world.leg_bytes);
	return same;
}

/* false: there are fewer such operations. */
static bool fail_at(uint64_t seed, enum block_op op, uint64_t nr)
{
	int r;

	begin(seed);
	memset(&fault, 0, sizeof(fault));
	fault.op = op;
	fault.fail_at = nr;
	t.engine = sim_engine_create(world.depth, world.nr_buffers, world.buffer_bytes,
				     t.engine_seed);
	sim_engine_set_hook(t.engine, fail_here, NULL);
	r = undo();
	ck_assert_msg(!r == !t.err.kind, "seed %" PRIu64 ": %d %s", seed, r, t.err.text);
	image_take(&now, false);
	ck_assert_msg(!judge(&now), "seed %" PRIu64 ": %s", seed, judge(&now));
	/* A sector that cannot be read is left out: the rest goes on. */
	if (r && t.step == RESTORE_NOT_BEGUN)
		ck_assert(is_as_left(&now));
	if (r)
		ck_assert_uint_ge(fault.ops, nr);
	seen.again += r != 0;
	clear_faults();
	forget_undo();
	ck_assert_msg(!undo(), "seed %" PRIu64 ": %s", seed, t.err.text);
	expect_restored(seed);
	end();
	return fault.ops >= nr;
}

START_TEST(fails_anywhere)
{
	const unsigned int rounds = nr_rounds(3);

	for (uint64_t seed = 2000; seed < 2000 + rounds; seed++)
		for (uint64_t nr = 1; nr < 40 && fail_at(seed, (enum block_op)_i, nr); nr++)
			;
	ck_assert_uint_ge(seen.again, rounds);
}
END_TEST

START_TEST(stops_anywhere)
{
	const unsigned int rounds = nr_rounds(4);

	for (uint64_t seed = 3000; seed < 3000 + rounds; seed++)
		for (unsigned int nr = 1, r = 1; r; nr += 2) {
			begin(seed);
			t.stop_at_poll = nr;
			r = undo() != 0;
			ck_assert_msg(!t.err.kind, "seed %" PRIu64 ": %s", seed, t.err.text);
			image_take(&now, true);
			ck_assert_msg(!judge(&now), "seed %" PRIu64 ": %s", seed, judge(&now));
			image_take(&now, false);
			ck_assert(t.step != RESTORE_NOT_BEGUN || t.nothing || is_as_left(&now));
			seen.again += r;
			t.stop_at_poll = 0;
			forget_undo();
			ck_assert_int_eq(undo(), 0);
			expect_restored(seed);
			end();
		}
	ck_assert_uint_ge(seen.again, rounds);
}
END_TEST

/* --- what is not what it should be ----------------------------------------------- */

#define SIZE 16u			/* sectors of a region */
#define NR 12u

static void fill(unsigned int leg, uint64_t sector, unsigned char byte)
{
	resync_world_fill(&world, leg, sector, 1, byte);
}

/* Regions 2 and 3 differ on leg 1, region 5 on both others. */
static void begin_known(unsigned int source, uint32_t block)
{
	resync_world_make(&world, 3, NR * SIZE - 5, SIZE, block);
	resync_plan_init(&world.plan, source);
	for (uint64_t region = 0; region < NR; region++)
		resync_world_bit(&world, region, region != 2 && region != 3 && region != 5);
	fill(1, 2 * SIZE, 1);
	fill(1, 2 * SIZE + 7, 2);
	fill(1, 3 * SIZE + 1, 3);
	fill(1, 5 * SIZE + 9, 4);
	fill(2, 5 * SIZE + 9, 5);
	fill(2, 5 * SIZE + 10, 6);
	resync_world_remember(&world);
	begin_journal();
	resync_world_run(&world);
	ck_assert_int_eq(world.result.end, RESYNC_COMPLETE);
	end_journal();
	block_engine_destroy(world.engine);
	world.engine = NULL;
	settle_disk(world.log, RESYNC_WORLD_LOG_BYTES);
	for (unsigned int leg = 0; leg < world.nr_legs; leg++)
		settle_disk(world.legs[leg], world.leg_bytes);
	image_alloc(&now);
	image_alloc(&left);
	image_take(&left, false);
}

static unsigned char byte_of(unsigned int leg, uint64_t sector)
{
	unsigned char byte;

	sim_disk_peek(world.legs[leg], sector * SECTOR_BYTES, &byte, 1);
	return byte;
}

START_TEST(counts)
{
	const uint32_t block = _i ? 8 : 1;

	begin_known(0, block);
	ck_assert_int_eq(undo(), 0);
	ck_assert_uint_eq(bitmap_count(&t.bits), 3);
	ck_assert_uint_eq(bitmap_count(&t.restore.regions), 3);
	ck_assert_uint_eq(t.restore.legs[0].put_back, 0);
	/* With large blocks all of a block was written over, and kept. */
	ck_assert_uint_eq(t.restore.legs[1].put_back, 4);
	ck_assert_uint_eq(t.restore.legs[2].put_back, 2);
	ck_assert_uint_eq(t.restore.legs[1].written_bytes, (_i ? 3 * 8 : 4) * SECTOR_BYTES);
	ck_assert_uint_eq(t.restore.legs[2].written_bytes, (_i ? 8 : 2) * SECTOR_BYTES);
	expect_restored(0);
	end();
}
END_TEST

/* Written since: nothing goes back to that region, on any leg; its bit goes all the same. */
START_TEST(written_since)
{
	begin_known(0, 1);
	fill(1, 5 * SIZE + 9, 99);
	if (_i)				/* as the kernel would: on every leg */
		for (unsigned int leg = 0; leg < 3; leg++)
			fill(leg, 5 * SIZE + 9, 99);
	ck_assert_int_eq(undo(), 0);
	ck_assert_uint_eq(bitmap_count(&t.restore.refused), 1);
	ck_assert(bitmap_test(&t.restore.refused, 5));
	ck_assert_uint_eq(t.restore.legs[1].foreign, 1);
	ck_assert_uint_eq(t.restore.legs[2].spared, _i ? 1 : 2);
	ck_assert_uint_eq(t.restore.legs[2].foreign, _i ? 1 : 0);
	ck_assert_uint_eq(t.restore.legs[2].put_back, 0);
	ck_assert_uint_eq(bitmap_count(&t.bits), 3);
	ck_assert_uint_eq(byte_of(1, 5 * SIZE + 9), 99);
	ck_assert_uint_eq(byte_of(2, 5 * SIZE + 9), _i ? 99 : 0);
	ck_assert_uint_eq(byte_of(2, 5 * SIZE + 10), 0);
	ck_assert_uint_eq(byte_of(1, 2 * SIZE + 7), 2);
	ck_assert_uint_eq(byte_of(1, 3 * SIZE + 1), 3);
	forget_undo();
	ck_assert_int_eq(undo(), 0);
	ck_assert(t.nothing);
	ck_assert_uint_eq(bitmap_count(&t.restore.refused), 1);
	end();
}
END_TEST

/* What cannot be looked at is not overwritten. */
START_TEST(unreadable_now)
{
	begin_known(0, 1);
	if (_i) {
		sim_disk_fail(world.legs[1], &(struct sim_fault){ .op = BLOCK_READ,
			.first = 5 * SIZE + 9, .sectors = 1, .result = -EIO });
		ck_assert_int_eq(undo(), 0);
		ck_assert_uint_eq(bitmap_count(&t.restore.unreadable), 1);
		ck_assert_uint_eq(t.restore.legs[1].unreadable, 1);
		ck_assert_uint_eq(byte_of(1, 2 * SIZE + 7), 2);
	} else {
		t.engine = sim_engine_create(16, 6, 8192, 7);
		ck_assert_int_eq(plan_undo(), 0);
		restore_free(&t.restore);
		t.input.legs[1] = NULL;
		ck_assert_int_eq(restore_examine(&t.restore, &t.input, &t.err), 0);
		ck_assert_uint_eq(bitmap_count(&t.restore.unreadable), 3);
		ck_assert_uint_eq(t.restore.legs[1].unreadable, 4);
		ck_assert_uint_eq(bitmap_count(&t.restore.regions), 0);
	}
	ck_assert_uint_eq(t.restore.legs[2].spared, 2);
	ck_assert_uint_eq(byte_of(2, 5 * SIZE + 9), 0);
	end();
}
END_TEST

/* Somebody writes between the two looks. */
static void scribble(void *context, struct sim_disk *disk, enum block_op op, uint64_t first,
		     uint64_t sectors)
{
	(void)context;
	(void)first;
	(void)sectors;
	if (disk == world.log && op == BLOCK_WRITE)
		fill(1, 2 * SIZE + 7, 77);
}

START_TEST(changes_meanwhile)
{
	begin_known(0, 1);
	t.engine = sim_engine_create(16, 6, 8192, 7);
	sim_engine_set_hook(t.engine, scribble, NULL);
	ck_assert_int_eq(undo(), -ESTALE);
	ck_assert_ptr_nonnull(strstr(t.err.text, "sector 39 has changed"));
	ck_assert_int_eq(t.step, RESTORE_LEGS);
	ck_assert_uint_eq(byte_of(1, 2 * SIZE + 7), 77);
	ck_assert_uint_eq(byte_of(1, 3 * SIZE + 1), 3);
	ck_assert_uint_eq(byte_of(2, 5 * SIZE + 10), 6);
	end();
}
END_TEST

/* The log is no log any more: nobody believes its bits, so it is left alone. */
START_TEST(no_log_any_more)
{
	begin_known(0, 1);
	resync_world_header(&world, WORLD_HEADER_FOREIGN);
	image_take(&left, false);
	ck_assert_int_eq(undo(), 0);
	ck_assert_uint_eq(bitmap_count(&t.bits), 0);
	image_take(&now, true);
	ck_assert_mem_eq(now.log, left.log, sizeof(left.log));
	ck_assert_uint_eq(byte_of(2, 5 * SIZE + 10), 6);
	end();
}
END_TEST

/* A second pass has written over what the first one wrote: what was there before both
 * comes back; half-way, and when all is done, it can be run again. */
START_TEST(kept_twice)
{
	static unsigned char old[4][SECTOR_BYTES];

	begin_known(0, 1);
	for (unsigned int i = 0; i < 4; i++)
		memset(old[i], (int)i + 1, SECTOR_BYTES);
	memset(old[0], 0, SECTOR_BYTES);
	/* What is 1 before, then 0 (both by begin_known()), then 3. */
	ck_assert_int_eq(resync_record_keep(&t.writer, 1, 2 * SIZE, 1, old[0], old[2]), 0);
	fill(1, 2 * SIZE, _i == 0 ? 3 : _i == 1 ? 0 : 1);
	if (_i == 3)
		fill(1, 2 * SIZE, 4);
	ck_assert_int_eq(undo(), 0);
	if (_i == 3) {
		ck_assert(bitmap_test(&t.restore.refused, 2));
		ck_assert_uint_eq(byte_of(1, 2 * SIZE), 4);
	} else if (_i == 0) {
		/* Not what the first one wrote, as it was overwritten: refused. */
		ck_assert(bitmap_test(&t.restore.refused, 2));
	} else {
		ck_assert_uint_eq(bitmap_count(&t.restore.refused), 0);
		expect_restored(0);
		forget_undo();
		ck_assert_int_eq(undo(), 0);
		ck_assert(t.nothing);
	}
	end();
}
END_TEST

START_TEST(another_mirror)
{
	begin_known(0, 1);
	t.engine = sim_engine_create(16, 6, 8192, 7);
	ck_assert_int_eq(plan_undo(), 0);
	restore_free(&t.restore);
	if (_i) {
		t.input.nr_legs = 2;
	} else {
		t.input.geometry.length = 5 * SIZE + 9;
		t.input.geometry.nr_regions = 6;
	}
	ck_assert_int_eq(restore_examine(&t.restore, &t.input, &t.err), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(t.err.text, "u: holds sectors that this mirror does not have"));
	restore_free(&t.restore);
	memset(&t.err, 0, sizeof(t.err));
	t.input.geometry.length = 1 << 20;
	ck_assert_int_eq(restore_examine(&t.restore, &t.input, &t.err), -ENXIO);
	end();
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tests = tcase_create(name);

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, NULL);
	suite_add_tcase(suite, tests);
	return tests;
}

Suite *restore_suite(void)
{
	Suite *suite = suite_create("restore");
	TCase *tests = add_case(suite, "restore");

	tcase_add_loop_test(tests, counts, 0, 2);
	tcase_add_loop_test(tests, written_since, 0, 2);
	tcase_add_loop_test(tests, unreadable_now, 0, 2);
	tcase_add_test(tests, changes_meanwhile);
	tcase_add_test(tests, no_log_any_more);
	tcase_add_loop_test(tests, kept_twice, 0, 4);
	tcase_add_loop_test(tests, another_mirror, 0, 2);
	tests = add_case(suite, "restore_power");
	tcase_add_test(tests, cut_anywhere);
	tcase_add_test(tests, again_and_again);
	tests = add_case(suite, "restore_errors");
	tcase_add_loop_test(tests, fails_anywhere, 0, 3);
	tcase_add_test(tests, stops_anywhere);
	return suite;
}
