/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/audit_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t world_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t world_below(uint64_t *state, uint64_t below)
{
	return world_random(state) % below;
}

bool world_under_valgrind(void)
{
	return getenv("MIRRORCTL_VALGRIND") != NULL;
}

unsigned int world_rounds(unsigned int rounds)
{
	return world_under_valgrind() ? (rounds + 29) / 30 : rounds;
}

void world_fill(unsigned char *bytes, uint64_t sector, enum world_content content)
{
	uint64_t seed = sector * 2 + 1;

	if (content == HOLDS_OTHER || content == HOLDS_MORE)
		seed ^= (uint64_t)content << 40;
	for (unsigned int at = 0; at < SECTOR_BYTES; at += 8) {
		uint64_t word = world_random(&seed);

		memcpy(bytes + at, &word, 8);
	}
	if (content == HOLDS_ZEROS)
		memset(bytes, 0, SECTOR_BYTES);
	if (content == HOLDS_ONES)
		memset(bytes, 0xff, SECTOR_BYTES);
	if (content == HOLDS_REPEATED)
		memset(bytes, WORLD_REPEATED, SECTOR_BYTES);
	if (content == HOLDS_FLIPPED)
		bytes[sector % SECTOR_BYTES] ^= (unsigned char)(1u << sector % 8);
}

/* ---- what the audit asks of its surroundings ---- */

static uint64_t look_at_clock(void *context)
{
	struct world *world = context;

	world->now_ns += world->tick_ns;
	return world->now_ns;
}

static void sleep_ms(void *context, unsigned int ms)
{
	struct world *world = context;

	world->now_ns += ms * UINT64_C(1000000);
	world->slept_ms += ms;
	if (world->on_sleep)
		world->on_sleep(world, ms);
}

static bool poll_user(void *context, const struct audit_progress *progress)
{
	struct world *world = context;

	world->last_progress = *progress;
	world->polls++;
	if (world->on_poll)
		world->on_poll(world);
	return world->stop_at_poll && world->polls >= world->stop_at_poll;
}

static bool is_unchanged(void *context, bool closely)
{
	struct world *world = context;

	world->samples++;
	world->close_samples += closely;
	return !world->changes_at || world->samples < world->changes_at;
}

/* ---- the mirror ---- */

void world_make(struct world *world, unsigned int nr_legs, uint64_t length,
		uint64_t region_size, const uint32_t *block_sectors)
{
	uint64_t bytes = (length + 7) / 8 * 8 * SECTOR_BYTES;
	char name[16];

	memset(world, 0, sizeof(*world));
	world->geometry = (struct region_geometry){
		length, region_size, (length + region_size - 1) / region_size };
	world->nr_legs = nr_legs;
	world->now_ns = UINT64_C(1000000000);
	world->options.max_runs = 1000000;
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		snprintf(name, sizeof(name), "leg %u", leg);
		world->legs[leg] = sim_disk_create(name, bytes, block_sectors ? block_sectors[leg] : 1);
		sim_disk_device(world->legs[leg])->writable = false;
		world_put(world, leg, 0, length, HOLDS_TEXT);
	}
	world->log = sim_disk_create("log", mirror_log_area_bytes(world->geometry.nr_regions, 4096), 1);
	sim_disk_device(world->log)->writable = false;
	if (bitmap_alloc(&world->clean, world->geometry.nr_regions) ||
	    bitmap_alloc(&world->selected, world->geometry.nr_regions))
		abort();
	bitmap_set_run(&world->clean, 0, world->geometry.nr_regions - 1);
	bitmap_set_run(&world->selected, 0, world->geometry.nr_regions - 1);
	world_write_log(world);
	world_engine(world, 16, 4096, 0);
}

void world_engine(struct world *world, unsigned int nr_buffers, size_t buffer_bytes, uint64_t seed)
{
	block_engine_destroy(world->engine);
	world->engine = sim_engine_create(nr_buffers, nr_buffers, buffer_bytes, seed);
}

void world_free(struct world *world)
{
	audit_result_free(&world->result);
	block_engine_destroy(world->engine);
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		sim_disk_destroy(world->legs[leg]);
	sim_disk_destroy(world->log);
	bitmap_free(&world->clean);
	bitmap_free(&world->selected);
}

void world_put(struct world *world, unsigned int leg, uint64_t sector, uint64_t sectors,
	       enum world_content content)
{
	unsigned char bytes[SECTOR_BYTES];

	for (; sectors; sectors--, sector++) {
		world_fill(bytes, sector, content);
		sim_disk_poke(world->legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
	}
}

void world_break(struct world *world, unsigned int leg, uint64_t sector, uint64_t sectors, int error)
{
	sim_disk_fail(world->legs[leg], &(struct sim_fault){
		.op = BLOCK_READ, .first = sector, .sectors = sectors, .result = -error });
}

void world_log_bit(struct world *world, uint64_t region, bool value)
{
	unsigned char byte;

	sim_disk_peek(world->log, MIRROR_LOG_BITS_OFFSET + region / 8, &byte, 1);
	if (value)
		byte |= (unsigned char)(1u << region % 8);
	else
		byte &= (unsigned char)~(1u << region % 8);
	sim_disk_poke(world->log, MIRROR_LOG_BITS_OFFSET + region / 8, &byte, 1);
}

void world_write_log(struct world *world)
{
	for (uint64_t region = 0; region < world->geometry.nr_regions; region++)
		world_log_bit(world, region, bitmap_test(&world->clean, region));
}

void world_dirty(struct world *world, uint64_t first, uint64_t last)
{
	bitmap_clear_run(&world->clean, first, last);
	world_write_log(world);
}

void world_audit(struct world *world)
{
	struct audit_input input = {
		.engine = world->engine, .nr_legs = world->nr_legs,
		.log = sim_disk_device(world->log), .geometry = world->geometry,
		.clean_bits = &world->clean, .selected = &world->selected,
	};
	struct audit_hooks hooks = {
		.context = world, .now_ns = look_at_clock, .sleep_ms = sleep_ms,
		.poll = poll_user, .unchanged = is_unchanged,
	};

	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		if (!world->missing[leg])
			input.legs[leg] = sim_disk_device(world->legs[leg]);
	audit_result_free(&world->result);
	world->polls = world->samples = world->close_samples = 0;
	world->slept_ms = 0;
	memset(&world->err, 0, sizeof(world->err));
	world->ret = audit_run(&world->result, &input, &world->options, &hooks, &world->err);
}

enum verdict world_verdict(const struct world *world, uint64_t region)
{
	const struct region_verdicts *regions = &world->result.regions;

	for (size_t i = 0; i < regions->nr; i++)
		if (regions->runs[i].first <= region && region <= regions->runs[i].last)
			return regions->runs[i].verdict;
	return VERDICT_NOT_COMPARED;
}

uint64_t world_writes(const struct world *world)
{
	const struct sim_counters *counters = sim_disk_counters(world->log);
	uint64_t writes = counters->writes + counters->flushes;

	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		counters = sim_disk_counters(world->legs[leg]);
		writes += counters->writes + counters->flushes;
	}
	return writes;
}
