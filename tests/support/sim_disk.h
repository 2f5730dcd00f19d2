/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_SIM_DISK_H
#define TESTS_SUPPORT_SIM_DISK_H

#include "core/block.h"

/*
 * Simulated disks behind core/block.h: all in memory, deterministic, and as
 * hostile as real ones may be. One engine serves any number of disks; a disk
 * outlives its engine, as a disk outlives a crash.
 *
 *	struct sim_disk *leg = sim_disk_create("leg 0", 64 << 20, 1);
 *	struct block_engine *engine = sim_engine_create(8, 8, 65536, 42);
 *	block_write(engine, sim_disk_device(leg), 0, 8, data);
 *	sim_engine_crash(engine);
 *	block_engine_destroy(engine);
 *	sim_disk_power_cut(leg, 7);		(leg now holds what survived)
 *
 * What a request does, it does when it is executed, inside block_wait(), in an
 * order that the engine's seed shuffles (0: order of submission). Time does not
 * pass: a wait that could bring nothing returns at once, and one without a time
 * limit is -EDEADLK.
 *
 * Requests are checked like direct I/O: offset and length are multiples of the
 * disk's block, memory is 512-byte aligned; else they fail with -EINVAL.
 */
struct sim_disk;

/* --- disks --------------------------------------------------------------- */

/* All holes (zeros), `bytes` long, `block_sectors` sectors to a block. NULL
 * without memory. The disk is writable; freed with sim_disk_destroy(), which
 * accepts NULL, after every engine that has requests for it. */
struct sim_disk *sim_disk_create(const char *name, uint64_t bytes, uint32_t block_sectors);
void sim_disk_destroy(struct sim_disk *disk);
/* A copy of contents, volatile cache and size; no faults, counters at zero. */
struct sim_disk *sim_disk_clone(const struct sim_disk *disk);

/* The whole disk as a device; owned by the disk. `writable` may be changed. */
struct block_device *sim_disk_device(struct sim_disk *disk);
/* For extents of devices that a test stitches itself. */
struct block_file *sim_disk_file(struct sim_disk *disk);

/* Looks, and writes behind everybody's back: no alignment, no fault, no counter;
 * what is poked is durable at once. Bytes beyond the end are not touched. */
void sim_disk_peek(const struct sim_disk *disk, uint64_t offset_bytes, void *data, size_t bytes);
void sim_disk_peek_durable(const struct sim_disk *disk, uint64_t offset_bytes, void *data,
			   size_t bytes);
void sim_disk_poke(struct sim_disk *disk, uint64_t offset_bytes, const void *data, size_t bytes);
/* Changes the size under its users; sim_disk_device() keeps the old one. */
void sim_disk_truncate(struct sim_disk *disk, uint64_t bytes);
/* Does the disk tell holes (default) or say -EOPNOTSUPP? Holes are chunks of
 * SIM_HOLE_BYTES that nobody ever wrote to. */
#define SIM_HOLE_BYTES 4096u
void sim_disk_tell_holes(struct sim_disk *disk, bool tells);

struct sim_counters {
	uint64_t reads;		/* executed, failed ones too */
	uint64_t writes;
	uint64_t flushes;
	uint64_t read_bytes;
	uint64_t written_bytes;
};
const struct sim_counters *sim_disk_counters(const struct sim_disk *disk);

/* --- faults -------------------------------------------------------------- */

struct sim_fault {
	enum block_op op;
	uint64_t first;		/* sectors of the disk; ignored for BLOCK_FLUSH */
	uint64_t sectors;
	int result;		/* -errno; or 0 with short_bytes */
	/* At submission: the request never reaches the disk. Otherwise it fails
	 * at completion: a read leaves junk in the buffer, a write may have put
	 * any of its sectors on the disk. */
	bool at_submission;
	unsigned int times;	/* 0: for ever */
	/* Not an error: at most this many bytes are transferred (result is 0). */
	size_t short_bytes;
};

/* Adds a fault; the first one that overlaps an io and is not used up acts. */
void sim_disk_fail(struct sim_disk *disk, const struct sim_fault *fault);
void sim_disk_clear_faults(struct sim_disk *disk);

/* While a disk hangs its requests stay in flight. */
void sim_disk_hang(struct sim_disk *disk, bool hangs);

/* --- the volatile cache and power cuts ----------------------------------- */

/*
 * A write is seen by reads at once and is durable only after a flush that was
 * submitted after the write had completed. Until then each of its sectors is a
 * version that a power cut may lose. Versions are counted in the order of
 * writing, 0 is the oldest.
 */
unsigned int sim_disk_unflushed(const struct sim_disk *disk);
/* The sector that a version belongs to. */
uint64_t sim_disk_unflushed_sector(const struct sim_disk *disk, unsigned int version);

/* Cuts the power: of the versions of a sector the last that survives, or what
 * was durable before, is what the disk holds from now on. Which survive is drawn
 * from the seed, or said by `survives`. */
void sim_disk_power_cut(struct sim_disk *disk, uint64_t seed);
/* The first `bytes` of what sim_disk_power_cut() with this seed would leave; the disk is
 * not touched. For tests that look at many more cuts than they could clone disks for. */
void sim_disk_peek_cut(const struct sim_disk *disk, uint64_t seed, void *data, size_t bytes);
void sim_disk_power_cut_subset(struct sim_disk *disk,
			       bool (*survives)(void *context, unsigned int version,
						uint64_t sector),
			       void *context);

/* --- the engine ---------------------------------------------------------- */

/* NULL without memory. Freed with block_engine_destroy(), requests in flight or
 * not. */
struct block_engine *sim_engine_create(unsigned int depth, unsigned int nr_buffers,
				       size_t buffer_bytes, uint64_t seed);

/* Called before each io is executed (faulty ones too); it may change any disk.
 * NULL: none. */
typedef void sim_hook(void *context, struct sim_disk *disk, enum block_op op,
		      uint64_t first, uint64_t sectors);
void sim_engine_set_hook(struct block_engine *engine, sim_hook *hook, void *context);

/* After `ops` more writes and flushes the power goes: that and all later ios
 * fail with -ENODEV and touch nothing. sim_engine_power_lost() tells. */
void sim_engine_power_off_after(struct block_engine *engine, uint64_t ops);
bool sim_engine_power_lost(const struct block_engine *engine);

/* What the power cut catches in flight: writes not yet executed enter the
 * volatile cache of their disks (each sector may or may not survive), everything
 * else is forgotten; no done() is called, the requests are the caller's again.
 * Then call sim_disk_power_cut() on the disks. */
void sim_engine_crash(struct block_engine *engine);

#endif
