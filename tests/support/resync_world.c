/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/resync_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"

/* ---- what a resync asks of its surroundings ---- */

static uint64_t look_at_clock(void *context)
{
	struct resync_world *world = context;

	world->now_ns += world->tick_ns;
	return world->now_ns;
}

static void sleep_ms(void *context, unsigned int ms)
{
	struct resync_world *world = context;

	world->now_ns += ms * UINT64_C(1000000);
	world->slept_ms += ms;
}

static bool poll_user(void *context, const struct resync_progress *progress)
{
	struct resync_world *world = context;

	(void)progress;
	world->polls++;
	if (world->on_poll)
		world->on_poll(world);
	if (world->stop_without_power && sim_engine_power_lost(world->engine))
		return true;
	return world->stop_at_poll && world->polls >= world->stop_at_poll;
}

static bool is_unchanged(void *context)
{
	struct resync_world *world = context;

	world->samples++;
	return !world->changes_at || world->samples < world->changes_at;
}

static unsigned int source_of(const struct resync_world *world, uint64_t sector)
{
	uint64_t last;

	return resync_plan_source(&world->plan, region_of_sector(&world->geometry, sector),
				  world->geometry.nr_regions, &last);
}

/* What is given is what the leg holds, and has held since the beginning; and what the
 * source holds, and has held. */
static int keep_old(void *context, unsigned int leg, uint64_t sector, uint32_t sectors,
		    const void *old, const void *new)
{
	struct resync_world *world = context;

	if (++world->keeps == world->keep_fails_at)
		return -ENOSPC;
	if (world->on_keep)
		world->on_keep(world, leg, sector, sectors, old, new);
	if (memcmp(old, world->start[leg].current + sector * SECTOR_BYTES,
		   (size_t)sectors * SECTOR_BYTES))
		abort();
	for (uint64_t at = sector; at < sector + sectors; at++)
		if (memcmp((const unsigned char *)new + (at - sector) * SECTOR_BYTES,
			   world->start[source_of(world, at)].current + at * SECTOR_BYTES,
			   SECTOR_BYTES))
			abort();
	for (uint64_t at = sector; at < sector + sectors; at++)
		if (world->kept[leg][at] == WORLD_NOT_KEPT)
			world->kept[leg][at] = WORLD_GIVEN;
	return 0;
}

static int all_kept(void *context)
{
	struct resync_world *world = context;

	if (++world->keeps == world->keep_fails_at)
		return -EIO;
	if (world->on_kept)
		world->on_kept(world);
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		for (uint64_t at = 0; at < world->leg_bytes / SECTOR_BYTES; at++)
			if (world->kept[leg][at] == WORLD_GIVEN)
				world->kept[leg][at] = WORLD_KEPT;
	return 0;
}

/* ---- the mirror ---- */

static void make_disks(struct resync_world *world)
{
	char name[16];

	world->leg_bytes = (world->geometry.length + 7) / 8 * 8 * SECTOR_BYTES + 4096;
	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		snprintf(name, sizeof(name), "leg %u", leg);
		world->legs[leg] = sim_disk_create(name, world->leg_bytes, world->blocks[leg]);
		world->start[leg].durable = malloc(world->leg_bytes);
		world->start[leg].current = malloc(world->leg_bytes);
		world->kept[leg] = calloc(world->leg_bytes / SECTOR_BYTES, 1);
	}
	world->area_bytes = mirror_log_area_bytes(world->geometry.nr_regions,
						  world->log_block * SECTOR_BYTES);
	world->log = sim_disk_create("log", RESYNC_WORLD_LOG_BYTES, world->log_block);
}

static void set_geometry(struct resync_world *world, uint64_t length, uint64_t region_size)
{
	if (region_geometry_init(&world->geometry, length, region_size, NULL))
		abort();
}

void resync_world_make(struct resync_world *world, unsigned int nr_legs, uint64_t length,
		       uint64_t region_size, uint32_t block)
{
	memset(world, 0, sizeof(*world));
	set_geometry(world, length, region_size);
	world->nr_legs = nr_legs;
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		world->blocks[leg] = block;
	world->log_block = block;
	world->options.max_runs = 1000;
	world->nr_buffers = 2 * nr_legs;
	world->depth = 16;
	world->buffer_bytes = 8192;
	world->tick_ns = 1000;
	make_disks(world);
	resync_plan_init(&world->plan, 0);
	resync_world_header(world, WORLD_HEADER_GOOD);
	resync_world_remember(world);
}

static void put_header(struct resync_world *world, uint32_t magic, uint32_t version,
		       uint64_t nr_regions)
{
	sim_disk_poke(world->log, 0, &magic, 4);
	sim_disk_poke(world->log, 4, &version, 4);
	sim_disk_poke(world->log, 8, &nr_regions, 8);
}

void resync_world_header(struct resync_world *world, enum resync_world_header kind)
{
	uint64_t nr = world->geometry.nr_regions;
	uint64_t counts[WORLD_HEADER_KINDS] = {
		[WORLD_HEADER_ONES] = UINT64_MAX, [WORLD_HEADER_MORE] = nr + 3,
		[WORLD_HEADER_WRAP] = UINT64_C(7) << 32 | nr, [WORLD_HEADER_SHORT] = nr / 2,
		[WORLD_HEADER_SHORT_WRAP] = UINT64_C(1) << 32 | (nr - 1),
	};
	uint32_t magic = MIRROR_LOG_MAGIC, version = 2;

	if (kind == WORLD_HEADER_FOREIGN)
		magic = 0x12345678;
	if (kind == WORLD_HEADER_ZERO)
		magic = version = 0;
	if (kind == WORLD_HEADER_VERSION_1)
		version = 1;
	if (kind == WORLD_HEADER_VERSION_3)
		version = 3;
	put_header(world, magic, version, counts[kind] ? counts[kind] :
		   kind == WORLD_HEADER_SHORT || kind == WORLD_HEADER_ZERO ? 0 : nr);
}

void resync_world_fill(struct resync_world *world, unsigned int leg, uint64_t sector,
		       uint64_t sectors, unsigned char byte)
{
	unsigned char bytes[SECTOR_BYTES];

	memset(bytes, byte, sizeof(bytes));
	for (; sectors; sectors--, sector++)
		sim_disk_poke(world->legs[leg], sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
}

void resync_world_bit(struct resync_world *world, uint64_t region, bool value)
{
	unsigned char byte;

	sim_disk_peek(world->log, MIRROR_LOG_BITS_OFFSET + region / 8, &byte, 1);
	byte = (unsigned char)(value ? byte | 1u << region % 8 : byte & ~(1u << region % 8));
	sim_disk_poke(world->log, MIRROR_LOG_BITS_OFFSET + region / 8, &byte, 1);
}

void resync_world_remember(struct resync_world *world)
{
	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		sim_disk_peek(world->legs[leg], 0, world->start[leg].current, world->leg_bytes);
		sim_disk_peek_durable(world->legs[leg], 0, world->start[leg].durable,
				      world->leg_bytes);
		memset(world->kept[leg], WORLD_NOT_KEPT, world->leg_bytes / SECTOR_BYTES);
	}
	sim_disk_peek(world->log, 0, world->log_current, RESYNC_WORLD_LOG_BYTES);
	sim_disk_peek_durable(world->log, 0, world->log_durable, RESYNC_WORLD_LOG_BYTES);
}

void resync_world_lose(struct resync_world *world, unsigned int leg, uint64_t sector,
		       uint64_t sectors)
{
	uint64_t end = sector + sectors;

	if (end > world->leg_bytes / SECTOR_BYTES)
		end = world->leg_bytes / SECTOR_BYTES;
	for (; sector < end; sector++)
		world->kept[leg][sector] = WORLD_LOST;
}

void resync_world_free(struct resync_world *world)
{
	resync_result_free(&world->result);
	block_engine_destroy(world->engine);
	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		sim_disk_destroy(world->legs[leg]);
		free(world->start[leg].durable);
		free(world->start[leg].current);
		free(world->kept[leg]);
	}
	sim_disk_destroy(world->log);
	free(world->area);
	memset(world, 0, sizeof(*world));
}

/* ---- by chance ---- */

static void random_shape(struct resync_world *world, uint64_t *random)
{
	uint64_t size, nr, length, largest = 1;

	world->nr_legs = 2 + (unsigned int)(world_below(random, 4) + 1) / 2;
	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		world->blocks[leg] = world_below(random, 3) ? 1 : 8;
		if (world->blocks[leg] > largest)
			largest = world->blocks[leg];
	}
	world->log_block = world_below(random, 2) ? 1 : 8;
	size = largest > 1 ? UINT64_C(8) << world_below(random, 3) :
			     UINT64_C(2) << world_below(random, 4);
	nr = 1 + world_below(random, 12);
	length = nr * size - (nr > 1 ? world_below(random, size) : 0);
	set_geometry(world, length, size);
	world->buffer_bytes = world_below(random, 2) ? 4096 : 8192;
	world->nr_buffers = world->nr_legs * (1 + (unsigned int)world_below(random, 4));
	world->depth = 1 + (unsigned int)world_below(random, 16);
	world->engine_seed = world_below(random, 4) ? world_random(random) | 1 : 0;
}

static void random_options(struct resync_world *world, uint64_t *random)
{
	world->options = (struct resync_options){
		.verify = world_below(random, 2), .copy_all = !world_below(random, 5),
		.readback = !world_below(random, 4), .max_runs = 1000,
		.batch_regions = world_below(random, 2) ? 1 + world_below(random, 4) : 0,
		.batch_ms = world_below(random, 4) ? 0 : 1,
	};
	world->keeping = !world_below(random, 4);
	world->tick_ns = 20000;
}

static void random_plan(struct resync_world *world, uint64_t *random)
{
	uint64_t at = 0, nr = world->geometry.nr_regions;

	resync_plan_init(&world->plan, (unsigned int)world_below(random, world->nr_legs));
	if (world_below(random, 2))
		return;
	world->plan.runs = world->runs;
	while (world->plan.nr_runs < 4 && (at += world_below(random, 4)) < nr) {
		struct resync_plan_run *run = &world->runs[world->plan.nr_runs++];

		run->first = at;
		run->last = at + world_below(random, nr - at);
		run->source = (uint8_t)world_below(random, world->nr_legs + 1);
		if (run->source == world->nr_legs)
			run->source = RESYNC_SKIP;
		at = run->last + 1;
	}
}

/* Legs mostly equal, in places not; beyond the mirror's end there is something too. */
static void random_legs(struct resync_world *world, uint64_t *random)
{
	uint64_t sectors = world->leg_bytes / SECTOR_BYTES;

	for (uint64_t sector = 0; sector < sectors; sector++) {
		unsigned char byte = (unsigned char)world_random(random);
		bool holes = world_below(random, 8) == 0;

		for (unsigned int leg = 0; leg < world->nr_legs && !holes; leg++) {
			if (sector >= world->geometry.length)
				byte = (unsigned char)world_random(random);
			resync_world_fill(world, leg, sector, 1, byte);
		}
		if (!world_below(random, 3))
			resync_world_fill(world, (unsigned int)world_below(random, world->nr_legs),
					  sector, 1, (unsigned char)world_random(random));
	}
}

static bool legs_equal_in(const struct resync_world *world, uint64_t region,
			  unsigned char *const images[])
{
	size_t at = region_start(&world->geometry, region) * SECTOR_BYTES;
	size_t bytes = region_sectors(&world->geometry, region) * SECTOR_BYTES;

	for (unsigned int leg = 1; leg < world->nr_legs; leg++)
		if (memcmp(images[0] + at, images[leg] + at, bytes))
			return false;
	return true;
}

static void random_log(struct resync_world *world, uint64_t *random)
{
	unsigned char bytes[RESYNC_WORLD_LOG_BYTES];
	unsigned int junk = (unsigned int)world_below(random, 3);
	unsigned char *images[MIRROR_LEGS_MAX];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = junk == 0 ? 0 : junk == 1 ? 0xff : (unsigned char)world_random(random);
	sim_disk_poke(world->log, 0, bytes, sizeof(bytes));
	resync_world_header(world, (enum resync_world_header)
			    world_below(random, WORLD_HEADER_KINDS));
	resync_world_remember(world);
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		images[leg] = world->start[leg].durable;
	/* Bits mostly true, some lie. */
	for (uint64_t region = 0; region < world->geometry.nr_regions; region++)
		resync_world_bit(world, region, world_below(random, 6) == 0 ||
				 (world_below(random, 3) && legs_equal_in(world, region, images)));
}

static int cached_write(struct sim_disk *disk, uint64_t sector, const void *data)
{
	struct block_engine *engine = sim_engine_create(1, 1, 4096, 0);
	uint32_t block = sim_disk_device(disk)->block_sectors;
	int r;

	sim_disk_peek(disk, sector / block * block * SECTOR_BYTES, block_buffer(engine, 0),
		      block * SECTOR_BYTES);
	memcpy((char *)block_buffer(engine, 0) + sector % block * SECTOR_BYTES, data,
	       SECTOR_BYTES);
	r = block_write(engine, sim_disk_device(disk), sector / block * block, block,
			block_buffer(engine, 0));
	block_engine_destroy(engine);
	return r;
}

static bool is_cached(const struct sim_disk *disk, uint64_t sector)
{
	unsigned char durable[SECTOR_BYTES], current[SECTOR_BYTES];

	sim_disk_peek_durable(disk, sector * SECTOR_BYTES, durable, SECTOR_BYTES);
	sim_disk_peek(disk, sector * SECTOR_BYTES, current, SECTOR_BYTES);
	return memcmp(durable, current, SECTOR_BYTES) != 0;
}

/* Somebody was killed before he flushed: bits that were cleared, and legs that were made
 * equal, only in the caches. No sector twice: what is remembered has two versions of each. */
static void random_caches(struct resync_world *world, uint64_t *random)
{
	unsigned char bytes[SECTOR_BYTES];
	uint64_t nr = world->geometry.nr_regions;

	for (uint64_t i = world_below(random, 6); i; i--) {
		uint64_t sector = world_below(random, world->geometry.length);
		unsigned int leg = (unsigned int)world_below(random, world->nr_legs);

		sim_disk_peek(world->legs[world_below(random, world->nr_legs)],
			      sector * SECTOR_BYTES, bytes, SECTOR_BYTES);
		if (is_cached(world->legs[leg], sector) ||
		    resync_world_clean(world, world->log_current,
				       region_of_sector(&world->geometry, sector)))
			continue;
		if (cached_write(world->legs[leg], sector, bytes))
			abort();
	}
	sim_disk_peek(world->log, MIRROR_LOG_BITS_OFFSET, bytes, SECTOR_BYTES);
	for (uint64_t i = world_below(random, 4); i; i--) {
		uint64_t region = world_below(random, nr);

		bytes[region / 8] &= (unsigned char)~(1u << region % 8);
	}
	if (cached_write(world->log, MIRROR_LOG_BITS_OFFSET / SECTOR_BYTES, bytes))
		abort();
}

void resync_world_make_random(struct resync_world *world, uint64_t seed)
{
	uint64_t random = seed;

	memset(world, 0, sizeof(*world));
	random_shape(world, &random);
	random_options(world, &random);
	make_disks(world);
	random_plan(world, &random);
	random_legs(world, &random);
	random_log(world, &random);
	resync_world_remember(world);
	if (!world_below(&random, 2))
		random_caches(world, &random);
	resync_world_remember(world);
}

/* ---- the run ---- */

void resync_world_run(struct resync_world *world)
{
	struct resync_input input = {
		.nr_legs = world->nr_legs, .log = sim_disk_device(world->log),
		.geometry = world->geometry, .area_bytes = world->area_bytes,
		.plan = &world->plan,
	};
	struct resync_hooks hooks = {
		.context = world, .now_ns = look_at_clock, .sleep_ms = sleep_ms,
		.poll = poll_user, .unchanged = is_unchanged,
		.keep = world->keeping ? keep_old : NULL,
		.kept = world->keeping ? all_kept : NULL,
	};

	resync_result_free(&world->result);
	if (!world->engine) {
		world->engine = sim_engine_create(world->depth, world->nr_buffers,
						  world->buffer_bytes, world->engine_seed);
		if (world->hook)
			sim_engine_set_hook(world->engine, world->hook, world->hook_context);
	}
	free(world->area);
	world->area = aligned_alloc(4096, (world->area_bytes + 4095) / 4096 * 4096);
	sim_disk_peek(world->log, 0, world->area, world->area_bytes);
	input.engine = world->engine;
	input.area = world->area;
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		input.legs[leg] = sim_disk_device(world->legs[leg]);
	world->polls = world->samples = world->keeps = 0;
	world->slept_ms = 0;
	memset(&world->err, 0, sizeof(world->err));
	world->ret = resync_run(&world->result, &input, &world->options, &hooks, &world->err);
}

uint64_t resync_world_writes(const struct resync_world *world)
{
	const struct sim_counters *counters = sim_disk_counters(world->log);
	uint64_t writes = counters->writes + counters->flushes;

	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		counters = sim_disk_counters(world->legs[leg]);
		writes += counters->writes + counters->flushes;
	}
	return writes;
}

/* ---- judgement ---- */

/* dm-log.c, read_header() and disk_resume(): written anew here, not taken from core. */
bool resync_world_clean(const struct resync_world *world, const unsigned char *log,
			uint64_t region)
{
	uint32_t magic, version, count;

	(void)world;
	memcpy(&magic, log, 4);
	memcpy(&version, log + 4, 4);
	memcpy(&count, log + 8, 4);	/* the kernel looks at the low half only */
	if (magic != 0x4d695272 || (version != 1 && version != 2) || region >= count)
		return false;
	return log[1024 + region / 8] >> region % 8 & 1;
}

/* Each sector of the region is as one of those that were there when it began. */
static bool leg_untouched(const struct resync_world *world, unsigned int leg,
			  const unsigned char *image, uint64_t sector, uint64_t sectors)
{
	const struct resync_world_image *start = &world->start[leg];

	for (size_t at = sector * SECTOR_BYTES; sectors; sectors--, at += SECTOR_BYTES)
		if (memcmp(image + at, start->durable + at, SECTOR_BYTES) &&
		    memcmp(image + at, start->current + at, SECTOR_BYTES))
			return false;
	return true;
}

static bool region_untouched(const struct resync_world *world, unsigned char *const images[],
			     uint64_t region)
{
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		if (!leg_untouched(world, leg, images[leg],
				   region_start(&world->geometry, region),
				   region_sectors(&world->geometry, region)))
			return false;
	return true;
}

static bool clean_at_start(const struct resync_world *world, uint64_t region)
{
	return resync_world_clean(world, world->log_durable, region) ||
	       resync_world_clean(world, world->log_current, region);
}

static const char *judge_region(const struct resync_world *world, unsigned char *const images[],
				const unsigned char *log, uint64_t region)
{
	uint64_t last;
	unsigned int source = resync_plan_source(&world->plan, region,
						 world->geometry.nr_regions, &last);
	bool clean = resync_world_clean(world, log, region);

	if (source == RESYNC_SKIP) {
		if (!region_untouched(world, images, region))
			return "a skipped region was written to";
		if (clean && !clean_at_start(world, region))
			return "a skipped region became clean";
		return NULL;
	}
	if (!leg_untouched(world, source, images[source], region_start(&world->geometry, region),
			   region_sectors(&world->geometry, region)))
		return "the source was written to";
	if (!clean || legs_equal_in(world, region, images))
		return NULL;
	if (!clean_at_start(world, region))
		return "a clean region differs that was not clean before";
	return region_untouched(world, images, region) ? NULL :
	       "a clean region differs and was written to";
}

/* Of what is not as it was the old contents are on stable storage. */
static const char *judge_kept(const struct resync_world *world, unsigned int leg,
			      const unsigned char *image)
{
	for (uint64_t sector = 0; sector < world->geometry.length; sector++)
		if (world->kept[leg][sector] != WORLD_KEPT &&
		    world->kept[leg][sector] != WORLD_LOST &&
		    !leg_untouched(world, leg, image, sector, 1))
			return "a sector was overwritten before it was kept";
	return NULL;
}

static const char *judge(const struct resync_world *world, unsigned char *const images[],
			 const unsigned char *log)
{
	uint64_t length = world->geometry.length, end = world->leg_bytes / SECTOR_BYTES;
	size_t bits_end = MIRROR_LOG_BITS_OFFSET + (world->geometry.nr_regions + 7) / 8;
	const char *wrong = NULL;

	for (uint64_t region = 0; region < world->geometry.nr_regions && !wrong; region++)
		wrong = judge_region(world, images, log, region);
	for (unsigned int leg = 0; leg < world->nr_legs && !wrong; leg++)
		if (!leg_untouched(world, leg, images[leg], length, end - length))
			wrong = "something behind the mirror's end has changed";
	for (unsigned int leg = 0; leg < world->nr_legs && !wrong && world->keeping; leg++)
		wrong = judge_kept(world, leg, images[leg]);
	if (!wrong && memcmp(log + 16, world->log_durable + 16, MIRROR_LOG_BITS_OFFSET - 16))
		wrong = "the padding of the log's header has changed";
	if (!wrong && memcmp(log + bits_end, world->log_durable + bits_end,
			     RESYNC_WORLD_LOG_BYTES - bits_end))
		wrong = "something behind the log's bits has changed";
	if (!wrong && world->geometry.nr_regions % 8 &&
	    (log[bits_end - 1] ^ world->log_durable[bits_end - 1]) >>
	    world->geometry.nr_regions % 8)
		wrong = "a bit behind the last region has changed";
	return wrong;
}

/* Room for what a leg holds: taken once, as there are many thousands of cuts. */
static unsigned char *image_buffer(const struct resync_world *world, unsigned int leg)
{
	static unsigned char *buffers[MIRROR_LEGS_MAX];
	static uint64_t room[MIRROR_LEGS_MAX];

	if (room[leg] < world->leg_bytes) {
		room[leg] = world->leg_bytes;
		free(buffers[leg]);
		buffers[leg] = malloc(world->leg_bytes);
		if (!buffers[leg])
			abort();
	}
	return buffers[leg];
}

const char *resync_world_judge_cut(const struct resync_world *world, uint64_t seed)
{
	unsigned char log[RESYNC_WORLD_LOG_BYTES], *images[MIRROR_LEGS_MAX];

	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		images[leg] = image_buffer(world, leg);
		sim_disk_peek_cut(world->legs[leg], seed + leg, images[leg], world->leg_bytes);
	}
	sim_disk_peek_cut(world->log, seed + MIRROR_LEGS_MAX, log, sizeof(log));
	return judge(world, images, log);
}

static const char *judge_complete(const struct resync_world *world, uint64_t region,
				  unsigned char *const images[], const unsigned char *log)
{
	uint64_t last;

	if (resync_plan_source(&world->plan, region, world->geometry.nr_regions, &last) ==
	    RESYNC_SKIP)
		return NULL;
	if (!resync_world_clean(world, log, region))
		return "a region is not clean in the end";
	if (legs_equal_in(world, region, images))
		return NULL;
	return world->options.verify ? "a region differs in the end" : NULL;
}

/* What is stable must be true; that all is done may still be in the log's cache only,
 * when an earlier run was killed before its last flush: this one had nothing to do. */
const char *resync_world_judge_end(const struct resync_world *world)
{
	unsigned char log[RESYNC_WORLD_LOG_BYTES], *images[MIRROR_LEGS_MAX];
	const char *wrong;

	for (unsigned int leg = 0; leg < world->nr_legs; leg++) {
		images[leg] = image_buffer(world, leg);
		sim_disk_peek_durable(world->legs[leg], 0, images[leg], world->leg_bytes);
	}
	sim_disk_peek_durable(world->log, 0, log, sizeof(log));
	wrong = judge(world, images, log);
	for (unsigned int leg = 0; leg < world->nr_legs; leg++)
		sim_disk_peek(world->legs[leg], 0, images[leg], world->leg_bytes);
	sim_disk_peek(world->log, 0, log, sizeof(log));
	for (uint64_t region = 0; region < world->geometry.nr_regions && !wrong; region++)
		wrong = judge_complete(world, region, images, log);
	return wrong;
}
