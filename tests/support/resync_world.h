/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_RESYNC_WORLD_H
#define TESTS_SUPPORT_RESYNC_WORLD_H

#include "core/resync.h"
#include "support/sim_disk.h"

/*
 * A small mirror on simulated disks in whatever state it may be found, what a resync of
 * it is told, and the memory of how it began: what a power cut may leave is judged by it.
 */

#define RESYNC_WORLD_LOG_BYTES 8192u

enum resync_world_header {
	WORLD_HEADER_GOOD, WORLD_HEADER_ONES, WORLD_HEADER_MORE, WORLD_HEADER_WRAP,
	WORLD_HEADER_VERSION_1, WORLD_HEADER_SHORT, WORLD_HEADER_SHORT_WRAP,
	WORLD_HEADER_VERSION_3, WORLD_HEADER_FOREIGN, WORLD_HEADER_ZERO, WORLD_HEADER_KINDS,
};

/* WORLD_LOST: an injected error may have hit a read of it, so nobody can ask for it. */
enum resync_world_kept { WORLD_NOT_KEPT, WORLD_GIVEN, WORLD_KEPT, WORLD_LOST };

/* How a disk began: what was durable, and what its cache held over it. */
struct resync_world_image {
	unsigned char *durable, *current;
};

struct resync_world {
	struct region_geometry geometry;
	unsigned int nr_legs;
	uint32_t blocks[MIRROR_LEGS_MAX], log_block;
	uint64_t leg_bytes;
	struct sim_disk *legs[MIRROR_LEGS_MAX];
	struct sim_disk *log;
	struct resync_plan plan;
	struct resync_plan_run runs[4];
	struct resync_options options;
	unsigned int depth, nr_buffers;
	size_t buffer_bytes;
	uint64_t engine_seed;
	struct block_engine *engine;	/* of the last run */

	uint64_t now_ns, tick_ns;	/* every look at the clock takes a tick */
	uint64_t slept_ms;
	unsigned int polls, stop_at_poll;	/* 0: never */
	unsigned int samples, changes_at;	/* 0: never */
	bool stop_without_power;
	bool keeping;			/* old contents are asked for; calls of either hook … */
	unsigned int keeps, keep_fails_at;	/* … of which one fails; 0: none */
	unsigned char *kept[MIRROR_LEGS_MAX];	/* of each sector, enum resync_world_kept */
	void (*on_keep)(struct resync_world *world, unsigned int leg, uint64_t sector,
			uint32_t sectors, const void *old, const void *new);
	void (*on_kept)(struct resync_world *world);
	void (*on_poll)(struct resync_world *world);
	sim_hook *hook;
	void *hook_context;

	struct resync_world_image start[MIRROR_LEGS_MAX];
	unsigned char log_durable[RESYNC_WORLD_LOG_BYTES], log_current[RESYNC_WORLD_LOG_BYTES];

	unsigned char *area;		/* of the last run */
	uint64_t area_bytes;
	struct resync_result result;
	struct error err;
	int ret;
};

/* Legs of one block size, all equal and zero; an empty log with a good header; all from
 * leg 0; two chunks of 8 KiB in flight. Any field may be changed before the run. */
void resync_world_make(struct resync_world *world, unsigned int nr_legs, uint64_t length,
		       uint64_t region_size, uint32_t block);
/* Everything by chance. No faults, nothing that ends it. */
void resync_world_make_random(struct resync_world *world, uint64_t seed);
void resync_world_free(struct resync_world *world);

/* Fills sectors of one leg, behind everybody's back. */
void resync_world_fill(struct resync_world *world, unsigned int leg, uint64_t sector,
		       uint64_t sectors, unsigned char byte);
void resync_world_bit(struct resync_world *world, uint64_t region, bool value);
void resync_world_header(struct resync_world *world, enum resync_world_header kind);
/* Sectors of a leg that cannot be read, so that they need not be kept. */
void resync_world_lose(struct resync_world *world, unsigned int leg, uint64_t sector,
		       uint64_t sectors);
/* Remembers how the disks are now; nothing is kept yet. */
void resync_world_remember(struct resync_world *world);

/* Reads the log's area and runs. */
void resync_world_run(struct resync_world *world);

/* What the kernel would call clean, of a log's bytes. */
bool resync_world_clean(const struct resync_world *world, const unsigned char *log,
			uint64_t region);
/* Writes and flushes that reached any disk. */
uint64_t resync_world_writes(const struct resync_world *world);

/* Judges what `seed` would leave of all disks if the power went now: NULL, or what is
 * wrong with it. */
const char *resync_world_judge_cut(const struct resync_world *world, uint64_t seed);
/* The same of the disks as they are, and that a complete run without faults has made
 * everything clean and equal that it should. */
const char *resync_world_judge_end(const struct resync_world *world);

#endif
