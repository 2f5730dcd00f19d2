/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/log_world.h"
#include "support/quick_check.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/audit_world.h"

#define BEHIND_BYTES 8192u	/* the disk goes on behind the area */
#define ALIGN 4096u

static unsigned char *area_alloc(uint64_t bytes)
{
	unsigned char *area = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);

	ck_assert_ptr_nonnull(area);
	return area;
}

static void put_header(unsigned char *area, uint64_t nr_regions)
{
	uint32_t magic = htole32(MIRROR_LOG_MAGIC), version = htole32(MIRROR_LOG_VERSION);

	nr_regions = htole64(nr_regions);
	memcpy(area, &magic, 4);
	memcpy(area + 4, &version, 4);
	memcpy(area + 8, &nr_regions, 8);
}

void log_world_make(struct log_world *world, uint64_t nr_regions, uint32_t block_sectors,
		    uint64_t seed)
{
	uint64_t bytes = mirror_log_area_bytes(nr_regions, block_sectors * SECTOR_BYTES);

	memset(world, 0, sizeof(*world));
	world->seed = seed;
	world->block_sectors = block_sectors;
	world->nr_bytes = bytes;
	/* The last region is short, where it may be. */
	ck_assert_int_eq(region_geometry_init(&world->geometry, nr_regions * 8 -
					      (nr_regions > 1 ? 5 : 0), 8, NULL), 0);
	world->before = area_alloc(bytes + BEHIND_BYTES);
	world->edited = area_alloc(bytes);
	for (uint64_t i = 0; i < bytes + BEHIND_BYTES; i++)
		world->before[i] = (unsigned char)world_random(&world->seed);
	put_header(world->before, nr_regions);
	world->disk = sim_disk_create("log", bytes + BEHIND_BYTES, block_sectors);
	sim_disk_poke(world->disk, 0, world->before, bytes + BEHIND_BYTES);
	mirror_log_decode(&world->log, world->before, bytes, nr_regions);
	ck_assert_int_eq(bitmap_alloc(&world->wanted, nr_regions), 0);
	log_world_engine(world, 4, 4096, 0);
	log_world_plan(world);
}

void log_world_free(struct log_world *world)
{
	block_engine_destroy(world->engine);
	sim_disk_destroy(world->disk);
	repair_plan_free(&world->plan);
	bitmap_free(&world->wanted);
	free(world->before);
	free(world->edited);
}

void log_world_engine(struct log_world *world, unsigned int nr_buffers, size_t buffer_bytes,
		      uint64_t seed)
{
	block_engine_destroy(world->engine);
	world->engine = sim_engine_create(4, nr_buffers, buffer_bytes, seed);
}

void log_world_want(struct log_world *world, uint64_t of)
{
	for (uint64_t region = 0; region < world->geometry.nr_regions; region++)
		if (!world_below(&world->seed, of))
			bitmap_set(&world->wanted, region);
}

void log_world_plan(struct log_world *world)
{
	repair_plan_free(&world->plan);
	ck_assert_int_eq(repair_plan_make(&world->plan, &world->log, &world->geometry,
					  &world->wanted, world->block_sectors), 0);
	memcpy(world->edited, world->before, world->nr_bytes);
	repair_plan_edit(&world->plan, world->edited);
}

int log_world_apply(struct log_world *world)
{
	world->err.kind = ERROR_NONE;
	return repair_apply(&world->plan, world->engine, sim_disk_device(world->disk),
			    world->before, world->edited, &world->step, &world->err);
}

int log_world_undo(struct log_world *world, struct sim_disk *disk)
{
	unsigned char *now = area_alloc(world->nr_bytes);
	uint64_t differs;
	int r = -EPERM;

	world->err.kind = ERROR_NONE;
	sim_disk_peek(disk, 0, now, world->nr_bytes);
	if (repair_undo_allowed(now, world->before, world->edited, world->nr_bytes, &differs))
		r = repair_undo_apply(world->engine, sim_disk_device(disk), now, world->before,
				      world->nr_bytes, &world->step, &world->err);
	free(now);
	return r;
}

static bool sector_is(const struct log_world *world, const unsigned char *area,
		      const struct sim_disk *disk, uint64_t sector)
{
	unsigned char data[SECTOR_BYTES];
	bool behind = sector >= world->nr_bytes / SECTOR_BYTES;

	sim_disk_peek(disk, sector * SECTOR_BYTES, data, sizeof(data));
	return !memcmp(data, (behind ? world->before : area) + sector * SECTOR_BYTES,
		       sizeof(data));
}

static bool disk_is(const struct log_world *world, const struct sim_disk *disk,
		    const unsigned char *area, const unsigned char *or_area)
{
	for (uint64_t s = 0; s < (world->nr_bytes + BEHIND_BYTES) / SECTOR_BYTES; s++)
		if (!sector_is(world, area, disk, s) && !sector_is(world, or_area, disk, s))
			return false;
	return true;
}

bool log_world_is_before(const struct log_world *world, const struct sim_disk *disk)
{
	return disk_is(world, disk, world->before, world->before);
}

bool log_world_is_edited(const struct log_world *world, const struct sim_disk *disk)
{
	return disk_is(world, disk, world->edited, world->edited);
}

bool log_world_is_between(const struct log_world *world, const struct sim_disk *disk)
{
	return disk_is(world, disk, world->before, world->edited);
}
