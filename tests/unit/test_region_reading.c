/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/region_reading.h"
#include "support/audit_world.h"
#include "unit/suites.h"

#define LENGTH_MAX 1024u
#define LEGS 4u

static struct {
	struct region_geometry geometry;
	unsigned int nr_legs;
	struct sim_disk *disks[LEGS];
	struct block_device *legs[LEGS];
	struct block_engine *engine;
	struct bitmap regions;
	bool bad[LEGS][LENGTH_MAX];
	uint64_t seed;
} mirror;

/* What the client was told. */
static struct {
	bool differs[LENGTH_MAX];
	uint64_t next_region;		/* all below are done */
	uint64_t last_sector;		/* the last one said to differ */
	uint64_t differing;		/* since the last region */
	unsigned int regions, polls;
	unsigned int end_region, end_differing, end_poll;	/* the nth call; 0: never */
	int end_with;
	uint64_t chunk_longest;
} told;

static void mirror_make(unsigned int nr_legs, uint64_t length, uint64_t region_size, uint64_t seed)
{
	static const uint32_t blocks[LEGS] = { 1, 8, 2, 1 };
	unsigned char sector[SECTOR_BYTES];

	memset(&mirror, 0, sizeof(mirror));
	memset(&told, 0, sizeof(told));
	mirror.seed = seed;
	mirror.nr_legs = nr_legs;
	ck_assert_int_eq(region_geometry_init(&mirror.geometry, length, region_size, NULL), 0);
	ck_assert_int_eq(bitmap_alloc(&mirror.regions, mirror.geometry.nr_regions), 0);
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		mirror.disks[leg] = sim_disk_create("leg", LENGTH_MAX * SECTOR_BYTES, blocks[leg]);
		mirror.legs[leg] = sim_disk_device(mirror.disks[leg]);
		for (uint64_t i = 0; i < length; i++) {
			world_fill(sector, i, HOLDS_TEXT);
			sim_disk_poke(mirror.disks[leg], i * SECTOR_BYTES, sector, SECTOR_BYTES);
		}
	}
	mirror.engine = sim_engine_create(12, 8, 4096u << seed % 3, seed);
}

static void teardown(void)
{
	block_engine_destroy(mirror.engine);
	for (unsigned int leg = 0; leg < LEGS; leg++)
		sim_disk_destroy(mirror.disks[leg]);
	bitmap_free(&mirror.regions);
	memset(&mirror, 0, sizeof(mirror));
}

static uint64_t any(uint64_t below)
{
	return world_below(&mirror.seed, below);
}

static void change_sector(unsigned int leg, uint64_t sector)
{
	uint64_t at = sector * SECTOR_BYTES + any(SECTOR_BYTES);
	unsigned char byte;

	sim_disk_peek(mirror.disks[leg], at, &byte, 1);
	byte ^= (unsigned char)(1u << any(8));
	sim_disk_poke(mirror.disks[leg], at, &byte, 1);
}

/* With it, all of its block cannot be read. */
static void break_sector(unsigned int leg, uint64_t sector)
{
	uint32_t block = mirror.legs[leg]->block_sectors;

	sim_disk_fail(mirror.disks[leg], &(struct sim_fault){
		.op = BLOCK_READ, .first = sector, .sectors = 1, .result = -EIO });
	for (uint64_t i = sector / block * block; i < sector / block * block + block; i++)
		mirror.bad[leg][i] = true;
}

/* ---- what must come out, sector by sector ---- */

static bool must_differ(uint64_t sector)
{
	unsigned char first[SECTOR_BYTES], other[SECTOR_BYTES];
	bool have = false;

	for (unsigned int leg = 0; leg < mirror.nr_legs; leg++) {
		if (!mirror.legs[leg] || mirror.bad[leg][sector])
			continue;
		sim_disk_peek(mirror.disks[leg], sector * SECTOR_BYTES, have ? other : first,
			      SECTOR_BYTES);
		if (have && memcmp(first, other, SECTOR_BYTES))
			return true;
		have = true;
	}
	return false;
}

static void check_digest(const struct region_reading *reading, unsigned int leg)
{
	uint64_t start = region_start(&mirror.geometry, reading->digest.region);
	uint64_t sectors = region_sectors(&mirror.geometry, reading->digest.region);
	unsigned char *bytes = malloc(sectors * SECTOR_BYTES);
	unsigned char expected[JOURNAL_DIGEST_BYTES] = { 0 };
	bool bad = false;

	ck_assert_ptr_nonnull(bytes);
	for (uint64_t i = 0; i < sectors; i++)
		bad = bad || mirror.bad[leg][start + i];
	if (mirror.legs[leg] && !bad) {
		sim_disk_peek(mirror.disks[leg], start * SECTOR_BYTES, bytes, sectors * SECTOR_BYTES);
		journal_digest(expected, bytes, sectors * SECTOR_BYTES);
	}
	ck_assert_mem_eq(reading->digest.digest[leg], expected, sizeof(expected));
	ck_assert_int_eq(reading->unreadable >> leg & 1, mirror.legs[leg] && bad);
	ck_assert(journal_digest_is_unknown(reading->digest.digest[leg]) ==
		  (bad || !mirror.legs[leg]));
	free(bytes);
}

static int take_differing(void *context, const struct leg_chunk *chunk, uint32_t first,
			  uint32_t sectors)
{
	(void)context;
	ck_assert_uint_gt(sectors, 0);
	ck_assert_uint_le(first + sectors, chunk->sectors);
	ck_assert(!told.differing || chunk->start + first > told.last_sector);
	ck_assert_uint_eq(region_of_sector(&mirror.geometry, chunk->start + first),
			  region_of_sector(&mirror.geometry, chunk->start + first + sectors - 1));
	for (uint32_t i = 0; i < sectors; i++)
		told.differs[chunk->start + first + i] = true;
	told.last_sector = chunk->start + first + sectors - 1;
	told.differing += sectors;
	if (chunk->sectors > told.chunk_longest)
		told.chunk_longest = chunk->sectors;
	return told.end_differing && !--told.end_differing ? told.end_with : 0;
}

static int take_region(void *context, const struct region_reading *reading)
{
	uint64_t region = reading->digest.region;
	uint64_t start = region_start(&mirror.geometry, region), differing = 0;

	(void)context;
	ck_assert_uint_eq(region, bitmap_next_set(&mirror.regions, told.next_region));
	ck_assert_uint_eq(reading->digest.nr_legs, mirror.nr_legs);
	for (unsigned int leg = 0; leg < mirror.nr_legs; leg++)
		check_digest(reading, leg);
	for (uint64_t i = start; i < start + region_sectors(&mirror.geometry, region); i++) {
		ck_assert(told.differs[i] == must_differ(i));
		differing += told.differs[i];
	}
	ck_assert_uint_eq(reading->differing_sectors, differing);
	ck_assert_uint_eq(told.differing, differing);
	told.differing = 0;
	told.next_region = region + 1;
	told.regions++;
	return told.end_region && told.regions == told.end_region ? told.end_with : 0;
}

static int poll_client(void *context)
{
	(void)context;
	told.polls++;
	return told.end_poll && told.polls >= told.end_poll ? told.end_with : 0;
}

static int run(void)
{
	const struct region_reading_client client = {
		.differing = take_differing, .region = take_region, .poll = poll_client,
	};

	return region_readings_run(mirror.engine, mirror.legs, mirror.nr_legs, &mirror.geometry,
				   &mirror.regions, &client);
}

static void run_all(void)
{
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(told.regions, bitmap_count(&mirror.regions));
	for (uint64_t i = 0; i < mirror.geometry.length; i++)	/* nothing of other regions */
		ck_assert(!told.differs[i] ||
			  bitmap_test(&mirror.regions, region_of_sector(&mirror.geometry, i)));
}

/* ---- tests ---- */

/* Regions smaller and larger than a chunk, the last one short, some chosen. */
START_TEST(random_mirrors)
{
	for (uint64_t round = 0; round < world_rounds(40); round++) {
		unsigned int leg;

		mirror_make(2 + (unsigned int)(round % 3), LENGTH_MAX - 1 - round % 30,
			    UINT64_C(2) << _i, round * 10 + (uint64_t)_i);
		for (uint64_t i = any(60); i; i--)
			change_sector((unsigned int)any(mirror.nr_legs), any(mirror.geometry.length));
		for (uint64_t i = any(2) ? any(12) : 0; i; i--)
			break_sector((unsigned int)any(mirror.nr_legs), any(mirror.geometry.length));
		if (round % 4 == 3)
			mirror.legs[any(mirror.nr_legs)] = NULL;
		for (uint64_t i = 1 + any(20), at = any(400), first = 0; i; i--) {	/* runs */
			first = at;
			at += any(200);
			leg = (unsigned int)any(mirror.nr_legs);
			for (uint64_t s = first; s < at && s < mirror.geometry.length && i < 3; s++)
				change_sector(leg, s);
			at += any(90);
		}
		for (uint64_t r = 0; r < mirror.geometry.nr_regions; r++)
			if (any(8) || round % 5 == 0)
				bitmap_set(&mirror.regions, r);
		run_all();
		teardown();
	}
}
END_TEST

START_TEST(small_regions_share_a_read)
{
	mirror_make(2, 1000, 2, 2);
	bitmap_set_run(&mirror.regions, 0, mirror.geometry.nr_regions - 1);
	run_all();
	ck_assert_uint_eq(sim_disk_counters(mirror.disks[0])->reads,
			  (1000 * SECTOR_BYTES + mirror.engine->buffer_bytes - 1) /
			  mirror.engine->buffer_bytes);
}
END_TEST

START_TEST(nothing_asked_for)
{
	mirror_make(2, 1000, 8, 0);
	run_all();
	ck_assert_uint_eq(sim_disk_counters(mirror.disks[0])->reads, 0);
}
END_TEST

START_TEST(no_leg_there)
{
	mirror_make(2, 1000, 8, 0);
	mirror.legs[0] = mirror.legs[1] = NULL;
	bitmap_set_run(&mirror.regions, 5, 9);
	run_all();
}
END_TEST

/* A set that is longer than the mirror. */
START_TEST(set_too_long)
{
	mirror_make(2, 1000, 8, 0);
	bitmap_free(&mirror.regions);
	ck_assert_int_eq(bitmap_alloc(&mirror.regions, 5000), 0);
	bitmap_set_run(&mirror.regions, 120, 4999);
	ck_assert_int_eq(run(), 0);
	ck_assert_uint_eq(told.regions, 5);
	ck_assert_uint_eq(told.next_region, 125);
}
END_TEST

START_TEST(legs_that_cannot_be)
{
	mirror_make(2, 1000, 8, 0);
	bitmap_set(&mirror.regions, 0);
	mirror.legs[1]->sectors = 992;
	ck_assert_int_eq(run(), -ENXIO);
	mirror.legs[1]->sectors = 1024;
	mirror.nr_legs = MIRROR_LEGS_MAX + 1;
	ck_assert_int_eq(run(), -EINVAL);
	mirror.nr_legs = 2;
	block_engine_destroy(mirror.engine);
	mirror.engine = sim_engine_create(2, 1, 4096, 0);
	ck_assert_int_eq(run(), -ENOMEM);
	ck_assert_uint_eq(told.regions, 0);
}
END_TEST

START_TEST(client_ends_it)
{
	mirror_make(3, 1000, 8, 7);
	bitmap_set_run(&mirror.regions, 0, 100);
	for (uint64_t s = 0; s < 600; s += 3)
		change_sector(2, s);
	told.end_with = _i ? -ECANCELED : 7;
	told.end_region = 3;
	ck_assert_int_eq(run(), told.end_with);
	ck_assert_uint_eq(told.regions, 3);
	ck_assert_uint_eq(mirror.engine->in_flight, 0);

	memset(told.differs, 0, sizeof(told.differs));
	told.next_region = told.end_region = told.differing = 0;
	told.end_differing = 20;
	ck_assert_int_eq(run(), told.end_with);
	ck_assert_uint_eq(told.end_differing, 0);

	told.end_poll = 1;
	memset(told.differs, 0, sizeof(told.differs));
	told.next_region = told.differing = 0;
	ck_assert_int_eq(run(), told.end_with);
}
END_TEST

static int count_region(void *context, const struct region_reading *reading)
{
	(void)context;
	told.regions++;
	told.differing += reading->differing_sectors;
	return 0;
}

START_TEST(no_client_for_differences)
{
	const struct region_reading_client client = { .region = count_region };

	mirror_make(2, 1000, 8, 0);
	change_sector(1, 17);
	bitmap_set_run(&mirror.regions, 1, 3);
	ck_assert_int_eq(region_readings_run(mirror.engine, mirror.legs, 2, &mirror.geometry,
					     &mirror.regions, &client), 0);
	ck_assert_uint_eq(told.regions, 3);
	ck_assert_uint_eq(told.differing, 1);
}
END_TEST

static struct {
	struct block_engine *volatile engine;
	struct sim_disk *volatile disk;
} left;

/* A disk that hangs, and a user who gives up: what is out stays valid. */
START_TEST(a_leg_hangs)
{
	mirror_make(2, 1000, 8, 0);
	bitmap_set_run(&mirror.regions, 0, 100);
	sim_disk_hang(mirror.disks[1], true);
	told.end_poll = 3;
	told.end_with = -ECANCELED;
	ck_assert_int_eq(run(), -ETIMEDOUT);
	ck_assert_uint_gt(mirror.engine->in_flight, 0);
	ck_assert_uint_eq(told.regions, 0);
	/* As in the process that gives up: the engine stays, and holds all that is out. */
	left.engine = mirror.engine;
	left.disk = mirror.disks[1];
	mirror.engine = NULL;
	mirror.disks[1] = NULL;
}
END_TEST

START_TEST(digests_match)
{
	struct journal_region a = { .region = 5, .nr_legs = 3 }, b;

	for (unsigned int leg = 0; leg < 3; leg++)
		memset(a.digest[leg], (int)leg + 1, JOURNAL_DIGEST_BYTES);
	b = a;
	ck_assert(region_digests_match(&a, &b));
	b.region = 6;
	ck_assert(!region_digests_match(&a, &b));
	b = a;
	b.nr_legs = 2;
	ck_assert(!region_digests_match(&a, &b));
	for (unsigned int leg = 0; leg < 3; leg++) {
		for (unsigned int i = 0; i < JOURNAL_DIGEST_BYTES; i++) {
			b = a;
			b.digest[leg][i] ^= 0x80;
			ck_assert(!region_digests_match(&a, &b));
		}
		b = a;
		memset(b.digest[leg], 0, JOURNAL_DIGEST_BYTES);
		ck_assert(!region_digests_match(&a, &b));
		ck_assert(!region_digests_match(&b, &a));
		ck_assert(!region_digests_match(&b, &b));	/* unknown proves nothing */
		b.digest[leg][31] = 1;
		ck_assert(region_digests_match(&b, &b));
	}
	b = a;
	memset(b.digest[3], 7, JOURNAL_DIGEST_BYTES);	/* of no leg */
	ck_assert(region_digests_match(&a, &b));
	a.nr_legs = b.nr_legs = 0;
	ck_assert(!region_digests_match(&a, &b));
	a.nr_legs = b.nr_legs = MIRROR_LEGS_MAX + 1;
	ck_assert(!region_digests_match(&a, &b));
}
END_TEST

START_TEST(digests_compare)
{
	struct journal_region a = { .nr_legs = 3 };

	memset(a.digest, 5, sizeof(a.digest));
	ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_EQUAL);
	for (unsigned int leg = 0; leg < 3; leg++)
		for (unsigned int byte = 0; byte < JOURNAL_DIGEST_BYTES; byte++) {
			a.digest[leg][byte] = 6;
			ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_DIFFER);
			a.digest[leg][byte] = 5;
		}
	a.digest[3][0] = 6;		/* of no leg */
	ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_EQUAL);
	/* Not even two that are known to differ prove anything beside one that is not. */
	a.digest[1][0] = 6;
	memset(a.digest[2], 0, JOURNAL_DIGEST_BYTES);
	ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_UNKNOWN);
	memset(a.digest, 0, sizeof(a.digest));
	ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_UNKNOWN);
	a.nr_legs = 0;
	ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_UNKNOWN);
	a.nr_legs = MIRROR_LEGS_MAX + 1;
	ck_assert_int_eq(region_digests_compare(&a), REGION_LEGS_UNKNOWN);
}
END_TEST

Suite *region_reading_suite(void)
{
	Suite *suite = suite_create("region_reading");
	TCase *tests = tcase_create("region_reading");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_loop_test(tests, random_mirrors, 0, 9);
	tcase_add_test(tests, small_regions_share_a_read);
	tcase_add_test(tests, nothing_asked_for);
	tcase_add_test(tests, no_leg_there);
	tcase_add_test(tests, set_too_long);
	tcase_add_test(tests, legs_that_cannot_be);
	tcase_add_loop_test(tests, client_ends_it, 0, 2);
	tcase_add_test(tests, no_client_for_differences);
	tcase_add_test(tests, a_leg_hangs);
	tcase_add_test(tests, digests_match);
	tcase_add_test(tests, digests_compare);
	suite_add_tcase(suite, tests);
	return suite;
}
