/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Audits of random mirrors against an oracle: one that holds all legs in memory,
 * looks at one sector after the other and knows nothing of chunks, batches,
 * holes or second looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"
#include "unit/suites.h"

#define LENGTH_MAX 3000u
#define CHUNK_SECTORS (SIM_HOLE_BYTES / SECTOR_BYTES)

struct model {
	uint64_t random;
	struct world world;
	uint64_t length;
	uint32_t block[MIRROR_LEGS_MAX];
	unsigned char kind[MIRROR_LEGS_MAX][LENGTH_MAX];	/* enum world_content */
	bool bad[MIRROR_LEGS_MAX][LENGTH_MAX + CHUNK_SECTORS];
	bool data[MIRROR_LEGS_MAX][LENGTH_MAX / CHUNK_SECTORS + 2];	/* by chunk: no hole */

	/* expected */
	enum verdict lie;		/* bogus_clean or suspect */
	struct sector_run *runs;
	size_t nr_runs;
	struct audit_pattern patterns[AUDIT_PATTERNS_MAX];
	size_t nr_patterns;
	uint64_t other_patterns;
	uint64_t unreadable[MIRROR_LEGS_MAX];
	enum verdict verdict[LENGTH_MAX];	/* by region */
};

static uint64_t below(struct model *model, uint64_t limit)
{
	return world_below(&model->random, limit);
}

/* ---- drawing a mirror ---------------------------------------------------- */

static void draw_holes(struct model *model)
{
	uint64_t often = below(model, 3) ? 1 + below(model, 8) : 1000000;

	for (uint64_t chunk = 0; chunk * CHUNK_SECTORS < model->length; chunk++) {
		bool everywhere = below(model, often) == 0;

		for (unsigned int leg = 0; leg < model->world.nr_legs; leg++) {
			bool hole = everywhere || below(model, 60) == 0;

			model->data[leg][chunk] = !hole;
			for (unsigned int i = 0; i < CHUNK_SECTORS; i++)
				if (hole && chunk * CHUNK_SECTORS + i < model->length)
					model->kind[leg][chunk * CHUNK_SECTORS + i] = HOLDS_ZEROS;
		}
	}
}

static void draw_differences(struct model *model)
{
	uint64_t nr = below(model, 4) ? below(model, 25) : 0;

	while (nr--) {
		unsigned int leg = (unsigned int)below(model, model->world.nr_legs);
		uint64_t start = below(model, model->length);
		uint64_t end = start + 1 + below(model, below(model, 8) ? 4 : 200);
		enum world_content kind = below(model, HOLDS_COUNT);

		for (; start < end && start < model->length; start++) {
			model->kind[leg][start] = (unsigned char)kind;
			model->data[leg][start / CHUNK_SECTORS] = true;
		}
	}
}

/* Whole blocks of the leg; never inside a hole of every leg, which nobody reads. */
static void draw_bad_sectors(struct model *model)
{
	uint64_t nr = below(model, 3) ? 0 : 1 + below(model, 5);

	while (nr--) {
		unsigned int leg = (unsigned int)below(model, model->world.nr_legs);
		uint64_t start = below(model, model->length) / model->block[leg] * model->block[leg];
		uint64_t sectors = (1 + below(model, 5)) * model->block[leg];

		world_break(&model->world, leg, start, sectors, EIO);
		for (uint64_t i = start; i < start + sectors && i < model->length; i++) {
			model->bad[leg][i] = true;
			model->data[leg][i / CHUNK_SECTORS] = true;
		}
	}
}

static void put_on_disks(struct model *model)
{
	unsigned char bytes[SECTOR_BYTES];

	for (unsigned int leg = 0; leg < model->world.nr_legs; leg++)
		for (uint64_t sector = 0; sector < model->length; sector++) {
			if (!model->data[leg][sector / CHUNK_SECTORS])
				continue;
			world_fill(bytes, sector, model->kind[leg][sector]);
			sim_disk_poke(model->world.legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
		}
}

static void draw_bits(struct model *model, struct bitmap *map, uint64_t one_in)
{
	for (uint64_t bit = 0; bit < map->nr_bits; bit++)
		if (below(model, one_in) == 0)
			bitmap_clear(map, bit);
}

static void draw_selection(struct model *model)
{
	struct world *world = &model->world;

	switch (below(model, 3)) {
	case 0:
		memcpy(world->selected.words, world->clean.words, bitmap_bytes(world->clean.nr_bits));
		world->selected.nr_bits = world->clean.nr_bits;
		break;
	case 1:
		draw_bits(model, &world->selected, 2);
		break;
	}
}

static void draw_options(struct model *model)
{
	struct audit_options *options = &model->world.options;

	options->max_candidates = below(model, 3) ? 1 + below(model, 60) : 0;
	options->running = below(model, 4) == 0;
	options->steady = options->running && below(model, 2);
	model->lie = options->running && !options->steady ? VERDICT_SUSPECT : VERDICT_BOGUS_CLEAN;
	model->world.tick_ns = below(model, 2) ? 1000 : below(model, UINT64_C(700000000));
}

/* Holes need disks that were never written to, so the legs are made anew. */
static void make_bare_legs(struct world *world, const uint32_t *block)
{
	uint64_t bytes = (world->geometry.length + 7) / 8 * 8 * SECTOR_BYTES;

	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		sim_disk_destroy(world->legs[leg]);
		world->legs[leg] = sim_disk_create("leg", bytes, block[leg]);
	}
}

static struct model *draw_model(uint64_t seed)
{
	static const uint64_t region_sizes[] = { 2, 4, 16, 128 };
	struct model *model = calloc(1, sizeof(*model));
	uint64_t region_size;

	model->random = seed;
	region_size = region_sizes[below(model, 4)];
	model->length = region_size + below(model, below(model, 2) ? 300 : LENGTH_MAX - region_size);
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		model->block[leg] = below(model, 3) ? 1 : 8;
	world_make(&model->world, 2 + (unsigned int)(below(model, 2) ? 0 : below(model, 8)),
		   model->length, region_size, model->block);
	make_bare_legs(&model->world, model->block);
	world_engine(&model->world, model->world.nr_legs * (1 + (unsigned int)below(model, 4)),
		     4096u << below(model, 5), below(model, 4));
	draw_holes(model);
	draw_differences(model);
	draw_bad_sectors(model);
	put_on_disks(model);
	draw_bits(model, &model->world.clean, 2 + below(model, 40));
	world_write_log(&model->world);
	if (below(model, 5) == 0)	/* the header's nr_regions may be lower */
		model->world.clean.nr_bits = below(model, model->world.clean.nr_bits + 1);
	draw_selection(model);
	draw_options(model);
	if (below(model, 6) == 0)
		model->world.missing[below(model, model->world.nr_legs)] = true;
	return model;
}

static void free_model(struct model *model)
{
	world_free(&model->world);
	free(model->runs);
	free(model);
}

/* ---- the oracle ------------------------------------------------------------ */

static bool is_selected(const struct world *world, uint64_t region)
{
	return region < world->selected.nr_bits && bitmap_test(&world->selected, region);
}

static bool readable(const struct model *model, unsigned int leg, uint64_t sector)
{
	return !model->world.missing[leg] && !model->bad[leg][sector];
}

static enum content content_of(enum world_content kind, uint8_t *byte)
{
	*byte = kind == HOLDS_REPEATED ? WORLD_REPEATED : kind == HOLDS_ONES ? 0xff : 0;
	return kind == HOLDS_ZEROS ? CONTENT_ZEROS : kind == HOLDS_ONES ? CONTENT_ONES :
	       kind == HOLDS_REPEATED ? CONTENT_REPEATED : CONTENT_OTHER;
}

static bool same_content(enum content a, uint8_t byte_a, enum content b, uint8_t byte_b)
{
	return a == b && (a == CONTENT_OTHER || byte_a == byte_b);
}

/* Adds a sector to the newest run of its verdict and leg, or begins another. */
static void expect_run(struct model *model, const struct sector_run *piece)
{
	struct sector_run *run = NULL;

	for (size_t i = model->nr_runs; i-- > 0 && !run;)
		if (model->runs[i].verdict == piece->verdict && model->runs[i].leg == piece->leg)
			run = &model->runs[i];
	if (!run || run->start + run->sectors != piece->start || run->against != piece->against) {
		model->runs = realloc(model->runs, (model->nr_runs + 1) * sizeof(*model->runs));
		model->runs[model->nr_runs++] = *piece;
		return;
	}
	run->sectors++;
	run->one_bit = false;
	run->equal_legs &= piece->equal_legs;
	if (!same_content(run->content, run->byte, piece->content, piece->byte))
		run->content = CONTENT_OTHER;
	if (!same_content(run->against_content, run->against_byte,
			  piece->against_content, piece->against_byte))
		run->against_content = CONTENT_OTHER;
}

static void expect_pattern(struct model *model, const uint8_t *group)
{
	for (size_t i = 0; i < model->nr_patterns; i++)
		if (!memcmp(model->patterns[i].group, group, MIRROR_LEGS_MAX)) {
			model->patterns[i].sectors++;
			return;
		}
	if (model->nr_patterns == AUDIT_PATTERNS_MAX) {
		model->other_patterns++;
		return;
	}
	memcpy(model->patterns[model->nr_patterns].group, group, MIRROR_LEGS_MAX);
	model->patterns[model->nr_patterns++].sectors = 1;
}

static void expect_difference(struct model *model, uint64_t sector, unsigned int leg,
			      unsigned int reference, enum verdict verdict)
{
	enum world_content mine = model->kind[leg][sector];
	enum world_content theirs = model->kind[reference][sector];
	struct sector_run run = { .verdict = verdict, .leg = leg, .against = reference,
				  .start = sector, .sectors = 1 };

	run.content = content_of(mine, &run.byte);
	run.against_content = content_of(theirs, &run.against_byte);
	run.one_bit = (mine == HOLDS_FLIPPED && theirs == HOLDS_TEXT) ||
		      (mine == HOLDS_TEXT && theirs == HOLDS_FLIPPED);
	for (unsigned int other = 0; other < model->world.nr_legs; other++)
		if (other != leg && readable(model, other, sector) &&
		    model->kind[other][sector] == mine)
			run.equal_legs |= 1u << other;
	expect_run(model, &run);
}

struct region_facts {
	bool lies, pending, unreadable;
};

static void expect_sector(struct model *model, uint64_t sector, bool clean,
			  struct region_facts *facts)
{
	const unsigned int nr_legs = model->world.nr_legs;
	uint8_t group[MIRROR_LEGS_MAX] = { 0 };
	unsigned int reference = nr_legs;
	bool differs = false;

	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		if (!model->world.missing[leg] && model->bad[leg][sector]) {
			facts->unreadable = true;
			model->unreadable[leg]++;
			expect_run(model, &(struct sector_run){ .verdict = VERDICT_UNVERIFIABLE,
				.leg = leg, .start = sector, .sectors = 1, .error = EIO });
		}
		group[leg] = MIRROR_LEGS_MAX;
		if (!readable(model, leg, sector))
			continue;
		if (reference == nr_legs)
			reference = leg;
		for (unsigned int other = 0; other <= leg && group[leg] == MIRROR_LEGS_MAX; other++)
			if (readable(model, other, sector) &&
			    model->kind[other][sector] == model->kind[leg][sector])
				group[leg] = (uint8_t)other;
		if (group[leg] == reference)
			continue;
		differs = true;
		expect_difference(model, sector, leg, reference,
				  clean ? model->lie : VERDICT_RESYNC_PENDING);
	}
	if (differs && clean)
		expect_pattern(model, group);
	facts->lies |= differs && clean;
	facts->pending |= differs && !clean;
}

static unsigned int legs_present(const struct model *model)
{
	unsigned int present = 0;

	for (unsigned int leg = 0; leg < model->world.nr_legs; leg++)
		present += !model->world.missing[leg];
	return present;
}

static enum verdict expect_region(struct model *model, uint64_t region)
{
	const struct world *world = &model->world;
	uint64_t sector = region * world->geometry.region_size;
	uint64_t end = sector + world->geometry.region_size;
	bool clean = region < world->clean.nr_bits && bitmap_test(&world->clean, region);
	struct region_facts facts = { false, false, false };

	if (!is_selected(world, region))
		return VERDICT_NOT_COMPARED;
	if (legs_present(model) < 2)
		return VERDICT_UNVERIFIABLE;
	for (; sector < end && sector < model->length; sector++)
		expect_sector(model, sector, clean, &facts);
	if (facts.lies)
		return model->lie;
	if (facts.unreadable)
		return VERDICT_UNVERIFIABLE;
	if (facts.pending)
		return VERDICT_RESYNC_PENDING;
	if (legs_present(model) < world->nr_legs)
		return VERDICT_UNVERIFIABLE;
	return clean ? VERDICT_VERIFIED : VERDICT_EQUAL_NOT_CLEAN;
}

/* ---- comparing --------------------------------------------------------------- */

static int by_verdict_start_leg(const void *a, const void *b)
{
	const struct sector_run *left = a, *right = b;

	if (left->verdict != right->verdict)
		return left->verdict < right->verdict ? -1 : 1;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (int)left->leg - (int)right->leg;
}

static void check_run(uint64_t seed, const struct sector_run *got, const struct sector_run *want)
{
	ck_assert_msg(got->verdict == want->verdict && got->leg == want->leg &&
		      got->against == want->against && got->start == want->start &&
		      got->sectors == want->sectors && got->error == want->error,
		      "seed %lu: %s leg %u against %u %lu+%lu error %d, want %s leg %u against %u %lu+%lu error %d",
		      seed, verdict_name(got->verdict), got->leg, got->against, got->start,
		      got->sectors, got->error, verdict_name(want->verdict), want->leg,
		      want->against, want->start, want->sectors, want->error);
	if (want->verdict == VERDICT_UNVERIFIABLE)
		return;
	ck_assert_msg(same_content(got->content, got->byte, want->content, want->byte),
		      "seed %lu: content at %lu", seed, got->start);
	ck_assert_msg(same_content(got->against_content, got->against_byte,
				   want->against_content, want->against_byte),
		      "seed %lu: the other's content at %lu", seed, got->start);
	ck_assert_msg(got->one_bit == want->one_bit, "seed %lu: one bit at %lu", seed, got->start);
	ck_assert_msg(got->equal_legs == want->equal_legs, "seed %lu: equal legs %x at %lu, want %x",
		      seed, got->equal_legs, got->start, want->equal_legs);
}

static void check_runs(uint64_t seed, const struct model *model)
{
	const struct run_list *list = &model->world.result.runs;
	uint64_t runs[VERDICT_COUNT] = { 0 }, sectors[VERDICT_COUNT] = { 0 };

	if (model->nr_runs)
		qsort(model->runs, model->nr_runs, sizeof(*model->runs), by_verdict_start_leg);
	for (size_t i = 0; i < model->nr_runs && i < list->nr; i++)
		check_run(seed, &list->runs[i], &model->runs[i]);
	ck_assert_msg(list->nr == model->nr_runs, "seed %lu: %zu runs, want %zu",
		      seed, list->nr, model->nr_runs);
	for (size_t i = 0; i < model->nr_runs; i++) {
		runs[model->runs[i].verdict]++;
		sectors[model->runs[i].verdict] += model->runs[i].sectors;
	}
	ck_assert_mem_eq(list->nr_runs, runs, sizeof(runs));
	ck_assert_mem_eq(list->sectors, sectors, sizeof(sectors));
}

static void check_regions(uint64_t seed, struct model *model)
{
	const struct world *world = &model->world;
	uint64_t count[VERDICT_COUNT] = { 0 }, selected = 0, sectors = 0;

	for (uint64_t region = 0; region < world->geometry.nr_regions; region++) {
		enum verdict want = expect_region(model, region);
		enum verdict got = world_verdict(world, region);

		if (got != want)
			ck_abort_msg("seed %lu: region %lu is %s, want %s", seed, region,
				     verdict_name(got), verdict_name(want));
		count[want]++;
		if (!is_selected(world, region))
			continue;
		selected++;
		sectors += region_sectors(&world->geometry, region);
	}
	ck_assert_mem_eq(world->result.regions.count, count, sizeof(count));
	ck_assert_uint_eq(world->result.selected_regions, selected);
	ck_assert_uint_eq(world->result.compared_sectors, legs_present(model) < 2 ? 0 : sectors);
	ck_assert_uint_eq(world->result.hole_sectors + world->result.read_sectors,
			  world->result.compared_sectors);
	ck_assert_uint_eq(world->last_progress.total_sectors, sectors);
}

/* A region list is ascending, and no two neighbours could be one. */
static void check_region_runs(const struct region_verdicts *regions)
{
	for (size_t i = 0; i < regions->nr; i++) {
		const struct region_verdict_run *run = &regions->runs[i];

		ck_assert_uint_le(run->first, run->last);
		if (!i)
			continue;
		ck_assert_uint_gt(run->first, run[-1].last);
		ck_assert(run->verdict != run[-1].verdict || run->first > run[-1].last + 1);
	}
}

/* Holes that were not read are selected sectors which are holes in every leg. */
static void check_holes(const struct model *model)
{
	const struct world *world = &model->world;
	uint64_t holes = 0;

	for (uint64_t sector = 0; sector < model->length; sector++) {
		bool hole = is_selected(world, sector / world->geometry.region_size);

		for (unsigned int leg = 0; leg < world->nr_legs; leg++)
			hole &= world->missing[leg] || !model->data[leg][sector / CHUNK_SECTORS];
		holes += hole;
	}
	ck_assert_uint_le(world->result.hole_sectors, holes);
}

static void check_patterns(const struct model *model)
{
	const struct audit_result *result = &model->world.result;

	ck_assert_uint_eq(result->nr_patterns, model->nr_patterns);
	ck_assert_uint_eq(result->other_pattern_sectors, model->other_patterns);
	for (size_t i = 0; i < model->nr_patterns; i++) {
		ck_assert_uint_eq(result->patterns[i].sectors, model->patterns[i].sectors);
		ck_assert_mem_eq(result->patterns[i].group, model->patterns[i].group,
				 model->world.nr_legs);
	}
}

static void check_model(uint64_t seed)
{
	struct model *model = draw_model(seed);
	struct world *world = &model->world;

	world_audit(world);
	ck_assert_msg(!world->ret, "seed %lu: %s", seed, world->err.text);
	ck_assert_int_eq(world->result.end, AUDIT_COMPLETE);
	check_regions(seed, model);
	check_runs(seed, model);
	check_region_runs(&world->result.regions);
	check_holes(model);
	check_patterns(model);
	ck_assert_mem_eq(world->result.unreadable_sectors, model->unreadable,
			 sizeof(model->unreadable));
	ck_assert_uint_eq(world_writes(world), 0);
	free_model(model);
}

START_TEST(random_mirrors)
{
	const char *only = getenv("AUDIT_SEED");
	uint64_t rounds = world_rounds(150), first = (uint64_t)_i * 150;

	if (only) {
		check_model(strtoull(only, NULL, 10));
		return;
	}
	for (uint64_t seed = first + 1; seed <= first + rounds; seed++)
		check_model(seed);
}
END_TEST

Suite *audit_oracle_suite(void)
{
	Suite *suite = suite_create("audit_oracle");
	TCase *tcase = tcase_create("oracle");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, random_mirrors, 0, 8);
	suite_add_tcase(suite, tcase);
	return suite;
}
