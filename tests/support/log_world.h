/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_LOG_WORLD_H
#define TESTS_SUPPORT_LOG_WORLD_H

#include "core/repair.h"
#include "support/sim_disk.h"

/*
 * A log on a simulated disk, random in every byte that may be random, and the plan
 * of a repair of it.
 */
struct log_world {
	struct region_geometry geometry;
	uint32_t block_sectors;
	struct sim_disk *disk;		/* longer than the area */
	struct block_engine *engine;
	uint64_t nr_bytes;		/* of the area, and of these two */
	unsigned char *before;		/* as the log was made */
	unsigned char *edited;		/* with the plan's bits cleared */
	struct mirror_log log;
	struct bitmap wanted;
	struct repair_plan plan;
	uint64_t seed;

	enum repair_step step;		/* of the last log_world_apply() or _undo() */
	struct error err;
};

/* About half of the bits are set; nothing is wanted yet. */
void log_world_make(struct log_world *world, uint64_t nr_regions, uint32_t block_sectors,
		    uint64_t seed);
void log_world_free(struct log_world *world);
/* Another engine: buffers of `buffer_bytes`, shuffled by `seed` (0: in order). */
void log_world_engine(struct log_world *world, unsigned int nr_buffers, size_t buffer_bytes,
		      uint64_t seed);
/* Adds one region in `of` to `wanted`, at random. */
void log_world_want(struct log_world *world, uint64_t of);
/* From `wanted` to plan and edited. */
void log_world_plan(struct log_world *world);

/* repair_apply() on the world's disk. */
int log_world_apply(struct log_world *world);
/* Reads the log of `disk` and puts `before` back if repair_undo_allowed(). -EPERM
 * if not. */
int log_world_undo(struct log_world *world, struct sim_disk *disk);

/* The whole disk is as it was made, or as planned; what is behind the area too. */
bool log_world_is_before(const struct log_world *world, const struct sim_disk *disk);
bool log_world_is_edited(const struct log_world *world, const struct sim_disk *disk);
/* Each sector is that of before or that of edited. */
bool log_world_is_between(const struct log_world *world, const struct sim_disk *disk);

#endif
