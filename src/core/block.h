/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_BLOCK_H
#define CORE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/*
 * The only door to storage: an asynchronous engine over devices that are lists
 * of extents. Core code submits requests and waits; what carries them out is
 * io_uring, a pool of threads, or the tests' simulated disk. Bounds, alignment
 * and "read only" are checked here, once, for all of them.
 *
 * Sectors are 512 bytes. Nothing in this header blocks except block_wait(),
 * block_read() and its relatives, and block_drain(). One thread uses an engine.
 */

/* What an extent lies on: an open file or a simulated disk. Opaque to core. */
struct block_file;

/* Where one stripe of a striped extent begins. */
struct block_stripe {
	uint64_t file_sector;
	struct block_file *file;
};

/* `sectors` sectors of the device from `first` on are those of `file` from
 * `file_sector` on. Or, with stripes, pieces of stripe_sectors in turn on each of them
 * (dm-stripe.c, stripe_map_sector); sectors is then a multiple of both numbers. */
struct block_extent {
	uint64_t first;
	uint64_t sectors;
	uint64_t file_sector;
	struct block_file *file;
	unsigned int nr_stripes;	/* 0: not striped */
	uint32_t stripe_sectors;
	struct block_stripe *stripes;
};

/* Extents are sorted, start at 0 and leave no gap. The device owns neither the
 * files nor its name (whoever opened it does: io/device.h). */
struct block_device {
	const char *name;		/* for messages */
	uint64_t sectors;		/* sum of the extents */
	uint32_t block_sectors;		/* every request is aligned to this */
	bool writable;
	struct block_extent *extents;
	unsigned int nr_extents;
};

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/*
 * One request. The caller owns it and its data until `done` has been called,
 * which happens only inside block_wait() and its relatives, never in
 * block_submit(). `data` should lie in the engine's buffers (block_buffers());
 * any memory aligned to 4096 bytes works too. For BLOCK_FLUSH sector, sectors
 * and data are ignored and all files under the device are flushed.
 */
struct block_request {
	struct block_device *device;
	enum block_op op;
	uint64_t sector;
	uint32_t sectors;
	void *data;
	void (*done)(struct block_request *request);
	void *context;
	int result;		/* 0 or -errno, valid in done() */
	/* Private. */
	unsigned int pending;	/* parts in flight */
	uint64_t issued;	/* sectors (flush: extents) already given out */
	struct block_request *next;	/* waiting for a free io */
};

/* One contiguous part of a request, on one file: what an engine carries out. */
struct block_io {
	struct block_request *request;
	struct block_file *file;
	enum block_op op;
	uint64_t offset_bytes;
	size_t bytes;
	void *data;
	struct block_io *next;	/* for the engine's and the pool's lists */
};

struct block_engine;

/* What an engine implements. It finishes an io by calling block_io_done() from
 * inside `wait`, with bytes transferred (0 for a flush) or -errno; short
 * transfers are carried on by block.c. */
struct block_engine_ops {
	const char *name;
	/* Queues the io; must not fail for lack of room (nr_ios is bounded by
	 * the depth given at creation). An error is reported via block_io_done
	 * in a later wait. */
	void (*submit)(struct block_engine *engine, struct block_io *io);
	/* Waits until at least one io has finished or `timeout_ms` is over (-1:
	 * no limit; 0: only look) and hands all finished ones to
	 * block_io_done(). Signals may end it early. 0 or -errno when the engine
	 * itself is broken. */
	int (*wait)(struct block_engine *engine, int timeout_ms);
	/* Where data is at or after `offset_bytes`: *start..*end (bytes, end
	 * exclusive); start == UINT64_MAX when nothing but holes follows. NULL,
	 * or -EOPNOTSUPP, when the file cannot tell: then everything is data. */
	int (*next_data)(struct block_engine *engine, struct block_file *file,
			 uint64_t offset_bytes, uint64_t *start, uint64_t *end);
	/* Large memory is about to be read into: a chance to ask for large pages.
	 * May be NULL. */
	void (*expect)(struct block_engine *engine, void *memory, size_t bytes);
	void (*destroy)(struct block_engine *engine);
};

/* Base of every engine; the implementations embed it as their first member and
 * fill it with block_engine_init(). */
struct block_engine {
	const struct block_engine_ops *ops;
	unsigned int depth;		/* ios in flight at most */
	unsigned int in_flight;
	struct block_io *ios;		/* pool of `depth` */
	struct block_io *free_ios;
	void *buffers;			/* one arena, 4096-aligned */
	size_t buffer_bytes;
	unsigned int nr_buffers;
	struct block_request *waiting_head, *waiting_tail; /* not all given out */
	uint64_t requests_done;
	uint64_t progress;		/* counts calls of block_io_done() */
	/* Polled a few times a second by block_read(), block_write() and
	 * block_flush(); may be NULL. */
	bool (*cancelled)(void *context);
	void *cancelled_context;
};

/* For engine implementations: allocates the pool and the buffer arena
 * (nr_buffers of buffer_bytes each). 0 or -ENOMEM; block_engine_fini() undoes. */
int block_engine_init(struct block_engine *engine, const struct block_engine_ops *ops,
		      unsigned int depth, unsigned int nr_buffers, size_t buffer_bytes);
void block_engine_fini(struct block_engine *engine);
void block_io_done(struct block_engine *engine, struct block_io *io, int64_t result);

/* Destroys the engine through its ops; NULL is fine. Nothing may be in flight
 * unless the process is about to end. */
void block_engine_destroy(struct block_engine *engine);

/* Buffer `index` of the arena, buffer_bytes long. */
void *block_buffer(const struct block_engine *engine, unsigned int index);

/* Memory for `bytes` of I/O that are too many for the arena, aligned to 4096; page
 * by page it would cost more than the reading. NULL: not enough. free() it. */
void *block_memory(struct block_engine *engine, size_t bytes);

/* Queues a request. 0, or: -EINVAL out of bounds or not aligned, -EROFS a write
 * to a device that is not writable; `done` is then never called. */
int block_submit(struct block_engine *engine, struct block_request *request);

/* Handles completions until at least `min` requests have been completed by this
 * call, or `timeout_ms` went by in which nothing moved (-1: no limit), or a
 * signal arrived; `min` 0 handles what is finished and never blocks. Returns the
 * number completed, which may be below `min` for each of these reasons, or
 * -errno when the engine is broken. Not to be called from done(). */
int block_wait(struct block_engine *engine, unsigned int min, int timeout_ms);

/* Waits for everything in flight, signals or not: 0, or -ETIMEDOUT when nothing
 * at all moved for `timeout_ms` (-1: no limit) and requests are still out (their
 * memory must stay), or -errno when the engine is broken. */
int block_drain(struct block_engine *engine, int timeout_ms);

/* Waits for something to finish, however long that takes: 0. When engine->cancelled() says
 * so and nothing at all moves for two seconds more: -ECANCELED, and requests are still out
 * (their memory must stay); -errno when the engine is broken. For who has begun to write. */
int block_wait_unless_hung(struct block_engine *engine);

/* One request, waited for. 0 or -errno (never -EINTR). For the tool's own small
 * reads and writes; the pipelines use block_submit(). `data` as above. When
 * engine->cancelled() says so the wait ends with -ECANCELED; the data is then
 * still in flight and must outlive the engine. */
int block_read(struct block_engine *engine, struct block_device *device,
	       uint64_t sector, uint32_t sectors, void *data);
int block_write(struct block_engine *engine, struct block_device *device,
		uint64_t sector, uint32_t sectors, const void *data);
int block_flush(struct block_engine *engine, struct block_device *device);

/* Where the device holds data at or after `sector`: *first..*end (end
 * exclusive, rounded outwards to block_sectors but never below `sector`),
 * clipped to the device. false when only holes follow. When the file cannot tell, everything counts as data. A hole reads as
 * zeros. */
bool block_next_data(struct block_engine *engine, const struct block_device *device,
		     uint64_t sector, uint64_t *first, uint64_t *end);

#endif
