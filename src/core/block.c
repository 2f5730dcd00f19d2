/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/block.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"

/* One transfer may not exceed 2 GiB - 4 KiB (the kernel's MAX_RW_COUNT); a
 * power of two below keeps the parts aligned. */
#define IO_BYTES_MAX (UINT64_C(1) << 30)

#define ARENA_ALIGNMENT 4096u
#define LARGE_PAGE ((size_t)2 << 20)

/* How often the waiting functions look up: for `cancelled`, and for time that
 * core cannot measure itself. */
#define SLICE_MS 100
#define HANG_MS 2000	/* without any movement, and the user wants to stop */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- life ---------------------------------------------------------------- */

static size_t alignment_of(size_t bytes)
{
	return bytes < LARGE_PAGE ? ARENA_ALIGNMENT : LARGE_PAGE;
}

/* What is large begins and ends where large pages do: else each end costs hundreds of
 * small ones. */
static void *memory_take(size_t bytes)
{
	size_t align = alignment_of(bytes);

	return aligned_alloc(align, (bytes + align - 1) / align * align);
}

int block_engine_init(struct block_engine *engine, const struct block_engine_ops *ops,
		      unsigned int depth, unsigned int nr_buffers, size_t buffer_bytes)
{
	unsigned int i;
	size_t arena_bytes;

	memset(engine, 0, sizeof(*engine));
	engine->ops = ops;
	engine->depth = depth ? depth : 1;
	engine->nr_buffers = nr_buffers;
	if (buffer_bytes > SIZE_MAX - (ARENA_ALIGNMENT - 1))
		return -ENOMEM;
	engine->buffer_bytes = (buffer_bytes + ARENA_ALIGNMENT - 1) &
			       ~(size_t)(ARENA_ALIGNMENT - 1);
	if (__builtin_mul_overflow(engine->buffer_bytes, (size_t)nr_buffers, &arena_bytes) ||
	    arena_bytes > SIZE_MAX - LARGE_PAGE)
		return -ENOMEM;

	engine->ios = calloc(engine->depth, sizeof(*engine->ios));
	if (arena_bytes)
		engine->buffers = memory_take(arena_bytes);
	if (!engine->ios || (arena_bytes && !engine->buffers)) {
		block_engine_fini(engine);
		return -ENOMEM;
	}
	for (i = engine->depth; i-- > 0; ) {
		engine->ios[i].next = engine->free_ios;
		engine->free_ios = &engine->ios[i];
	}
	return 0;
}

void *block_memory(struct block_engine *engine, size_t bytes)
{
	size_t align = alignment_of(bytes);
	void *memory;

	if (bytes > SIZE_MAX - align)
		return NULL;
	bytes = (bytes / align + 1) * align;
	memory = memory_take(bytes);
	if (memory && align == LARGE_PAGE && engine->ops->expect)
		engine->ops->expect(engine, memory, bytes);
	return memory;
}

void block_engine_fini(struct block_engine *engine)
{
	free(engine->ios);
	free(engine->buffers);
	engine->ios = engine->free_ios = NULL;
	engine->buffers = NULL;
}

void block_engine_destroy(struct block_engine *engine)
{
	if (engine)
		engine->ops->destroy(engine);
}

void *block_buffer(const struct block_engine *engine, unsigned int index)
{
	return (char *)engine->buffers + (size_t)index * engine->buffer_bytes;
}

/* --- from requests to ios ------------------------------------------------ */

/* The extent that holds `sector`, which lies inside the device. */
static unsigned int extent_of_sector(const struct block_device *device, uint64_t sector)
{
	unsigned int low = 0, high = device->nr_extents;

	while (high - low > 1) {
		unsigned int middle = low + (high - low) / 2;

		if (device->extents[middle].first <= sector)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* File `index` of all extents and their stripes, in a row; NULL behind the last. */
static struct block_file *file_at(const struct block_device *device, uint64_t index)
{
	for (unsigned int i = 0; i < device->nr_extents; i++) {
		const struct block_extent *extent = &device->extents[i];
		unsigned int nr_files = extent->nr_stripes ? extent->nr_stripes : 1;

		if (index < nr_files)
			return extent->nr_stripes ? extent->stripes[index].file : extent->file;
		index -= nr_files;
	}
	return NULL;
}

/* The first place at or after `from` with a file that no place before it has: each
 * file is flushed once. */
static uint64_t next_new_file(const struct block_device *device, uint64_t from)
{
	struct block_file *file;
	uint64_t j;

	for (; (file = file_at(device, from)); from++) {
		for (j = 0; j < from && file_at(device, j) != file; j++)
			;
		if (j == from)
			break;
	}
	return from;
}

static bool all_issued(const struct block_request *request)
{
	if (request->op == BLOCK_FLUSH)
		return !file_at(request->device, request->issued);
	return request->issued >= request->sectors;
}

static void issue_flush(struct block_request *request, struct block_io *io)
{
	io->file = file_at(request->device, request->issued);
	io->offset_bytes = 0;
	io->bytes = 0;
	io->data = NULL;
	request->issued = next_new_file(request->device, request->issued + 1);
}

/* The file and its sector where `skip` sectors into the extent are; *sectors is cut to
 * what lies there in one piece. */
static struct block_file *extent_place(const struct block_extent *extent, uint64_t skip,
				       uint64_t *file_sector, uint64_t *sectors)
{
	const struct block_stripe *stripe;
	uint64_t chunk;

	*sectors = min_u64(*sectors, extent->sectors - skip);
	if (!extent->nr_stripes) {
		*file_sector = extent->file_sector + skip;
		return extent->file;
	}
	chunk = skip / extent->stripe_sectors;
	stripe = &extent->stripes[chunk % extent->nr_stripes];
	*file_sector = stripe->file_sector +
		       chunk / extent->nr_stripes * extent->stripe_sectors +
		       skip % extent->stripe_sectors;
	*sectors = min_u64(*sectors, extent->stripe_sectors - skip % extent->stripe_sectors);
	return stripe->file;
}

static void issue_transfer(struct block_request *request, struct block_io *io)
{
	uint64_t sector = request->sector + request->issued;
	const struct block_extent *extent =
		&request->device->extents[extent_of_sector(request->device, sector)];
	uint64_t sectors = min_u64(request->sectors - request->issued,
				   IO_BYTES_MAX / SECTOR_BYTES);
	uint64_t file_sector;

	io->file = extent_place(extent, sector - extent->first, &file_sector, &sectors);
	io->offset_bytes = file_sector * SECTOR_BYTES;
	io->bytes = sectors * SECTOR_BYTES;
	io->data = (char *)request->data + request->issued * SECTOR_BYTES;
	request->issued += sectors;
}

static void waiting_pop(struct block_engine *engine)
{
	engine->waiting_head = engine->waiting_head->next;
	if (!engine->waiting_head)
		engine->waiting_tail = NULL;
}

/* Gives out free ios in the order of submission. Only the request at the head
 * can be partly given out. */
static void feed(struct block_engine *engine)
{
	struct block_request *request;
	struct block_io *io;

	while ((request = engine->waiting_head) && (io = engine->free_ios)) {
		engine->free_ios = io->next;
		io->next = NULL;
		io->request = request;
		io->op = request->op;
		if (request->op == BLOCK_FLUSH)
			issue_flush(request, io);
		else
			issue_transfer(request, io);
		request->pending++;
		engine->in_flight++;
		if (all_issued(request))
			waiting_pop(engine);
		engine->ops->submit(engine, io);
	}
}

static int transfer_check(const struct block_request *request)
{
	const struct block_device *device = request->device;
	uint32_t block_sectors = device->block_sectors ? device->block_sectors : 1;

	if (!request->sectors || !request->data)
		return -EINVAL;
	if (request->sector > device->sectors ||
	    request->sectors > device->sectors - request->sector)
		return -EINVAL;
	if (request->sector % block_sectors || request->sectors % block_sectors)
		return -EINVAL;
	if ((uintptr_t)request->data % ((uintptr_t)block_sectors * SECTOR_BYTES))
		return -EINVAL;
	if (request->op == BLOCK_WRITE && !device->writable)
		return -EROFS;
	return 0;
}

int block_submit(struct block_engine *engine, struct block_request *request)
{
	int err = 0;

	if (!request->device->nr_extents)
		return -EINVAL;
	if (request->op != BLOCK_FLUSH)
		err = transfer_check(request);
	if (err)
		return err;

	request->result = 0;
	request->pending = 0;
	request->issued = 0;
	request->next = NULL;
	if (engine->waiting_tail)
		engine->waiting_tail->next = request;
	else
		engine->waiting_head = request;
	engine->waiting_tail = request;
	feed(engine);
	return 0;
}

/* --- completions --------------------------------------------------------- */

/* Moves the io forward by what was transferred. 1: the rest must be carried
 * on, 0: finished, or -errno. */
static int io_advance(struct block_io *io, int64_t result)
{
	uint32_t block_sectors = io->request->device->block_sectors;
	size_t done;

	if (result == -EINTR || result == -EAGAIN)
		return 1;
	if (result < 0)
		return result > -4096 ? (int)result : -EIO;
	if (io->op == BLOCK_FLUSH || (uint64_t)result == io->bytes)
		return 0;
	if ((uint64_t)result > io->bytes)
		return -EIO;

	/* Direct I/O that meets the end of a file stops at an odd byte: go on
	 * from the last whole block, so that what follows stays aligned. */
	done = (size_t)result;
	done -= done % ((size_t)(block_sectors ? block_sectors : 1) * SECTOR_BYTES);
	if (!done)	/* the device got shorter under us */
		return io->op == BLOCK_READ ? -ENODATA : -ENOSPC;
	io->offset_bytes += done;
	io->data = (char *)io->data + done;
	io->bytes -= done;
	return 1;
}

void block_io_done(struct block_engine *engine, struct block_io *io, int64_t result)
{
	struct block_request *request = io->request;
	int err = io_advance(io, result);

	engine->progress++;
	if (err == 1) {
		io->next = NULL;
		engine->ops->submit(engine, io);
		return;
	}

	io->next = engine->free_ios;
	engine->free_ios = io;
	engine->in_flight--;
	request->pending--;
	if (err && !request->result)
		request->result = err;
	/* Nothing after the first error can make it better. */
	if (request->result && engine->waiting_head == request)
		waiting_pop(engine);

	/* A request with parts left is at the head and gets this io again, so
	 * one without pending parts is complete. */
	feed(engine);
	if (request->pending)
		return;
	engine->requests_done++;
	request->done(request);
}

int block_wait(struct block_engine *engine, unsigned int min, int timeout_ms)
{
	uint64_t start = engine->requests_done;
	uint64_t progress;

	do {
		int err;

		if (!engine->in_flight)
			break;
		progress = engine->progress;
		err = engine->ops->wait(engine, min ? timeout_ms : 0);
		if (err)
			return err;
	} while (engine->requests_done - start < min && engine->progress != progress);
	return (int)min_u64(engine->requests_done - start, INT_MAX);
}

int block_drain(struct block_engine *engine, int timeout_ms)
{
	int left = timeout_ms;

	while (engine->in_flight) {
		uint64_t progress = engine->progress;
		int slice = left >= 0 && left < SLICE_MS ? left : SLICE_MS;
		int err = engine->ops->wait(engine, slice);

		if (err)
			return err;
		if (timeout_ms < 0 || engine->progress != progress) {
			left = timeout_ms;
			continue;
		}
		/* A signal costs one slice, not all of the time. */
		if (left <= slice)
			return -ETIMEDOUT;
		left -= slice;
	}
	return 0;
}

static bool is_cancelled(const struct block_engine *engine)
{
	return engine->cancelled && engine->cancelled(engine->cancelled_context);
}

int block_wait_unless_hung(struct block_engine *engine)
{
	int r = block_wait(engine, 1, SLICE_MS);

	if (r < 0)
		return r;
	if (r || !is_cancelled(engine))
		return 0;
	return block_drain(engine, HANG_MS) && engine->in_flight ? -ECANCELED : 0;
}

/* --- one request, waited for --------------------------------------------- */

struct waited_request {
	struct block_request request;
	bool finished;
	bool abandoned;		/* nobody waits any more: done() frees it */
};

static void waited_done(struct block_request *request)
{
	struct waited_request *waited = request->context;

	waited->finished = true;
	if (waited->abandoned)
		free(waited);
}

static int waited_finish(struct block_engine *engine, struct waited_request *waited)
{
	while (!waited->finished) {
		int err = block_wait(engine, 1, SLICE_MS);

		if (waited->finished)
			break;
		if (err < 0)
			return err;
		if (is_cancelled(engine))
			return -ECANCELED;
	}
	return waited->request.result;
}

static int request_run(struct block_engine *engine, const struct block_request *model)
{
	struct waited_request *waited = calloc(1, sizeof(*waited));
	int err;

	if (!waited)
		return -ENOMEM;
	waited->request = *model;
	waited->request.done = waited_done;
	waited->request.context = waited;
	err = block_submit(engine, &waited->request);
	if (err)
		goto out;
	err = waited_finish(engine, waited);
	if (!waited->finished) {
		waited->abandoned = true;
		return err;
	}
out:
	free(waited);
	return err;
}

int block_read(struct block_engine *engine, struct block_device *device,
	       uint64_t sector, uint32_t sectors, void *data)
{
	struct block_request model = {
		.device = device, .op = BLOCK_READ,
		.sector = sector, .sectors = sectors, .data = data,
	};

	return request_run(engine, &model);
}

int block_write(struct block_engine *engine, struct block_device *device,
		uint64_t sector, uint32_t sectors, const void *data)
{
	struct block_request model = {
		.device = device, .op = BLOCK_WRITE,
		.sector = sector, .sectors = sectors, .data = (void *)data,
	};

	return request_run(engine, &model);
}

int block_flush(struct block_engine *engine, struct block_device *device)
{
	struct block_request model = { .device = device, .op = BLOCK_FLUSH };

	return request_run(engine, &model);
}

/* --- holes --------------------------------------------------------------- */

/* Data of one extent at or after `sector` of the device, in sectors of the
 * device. false: a hole to the extent's end. */
static bool extent_next_data(struct block_engine *engine, const struct block_extent *extent,
			     uint64_t sector, uint64_t *first, uint64_t *end)
{
	uint64_t extent_end = extent->first + extent->sectors;
	uint64_t file_sector = extent->file_sector + (sector - extent->first);
	uint64_t start_bytes, end_bytes, offset_end;

	*first = sector;
	*end = extent_end;
	if (!engine->ops->next_data || extent->nr_stripes ||
	    engine->ops->next_data(engine, extent->file, file_sector * SECTOR_BYTES,
				   &start_bytes, &end_bytes))
		return true;
	if (start_bytes == UINT64_MAX)
		return false;

	if (start_bytes / SECTOR_BYTES > file_sector)
		*first = sector + min_u64(start_bytes / SECTOR_BYTES - file_sector,
					  extent_end - sector);
	offset_end = end_bytes / SECTOR_BYTES + !!(end_bytes % SECTOR_BYTES);
	if (offset_end < file_sector) {	/* nonsense: believe in data */
		*first = sector;
		return true;
	}
	*end = sector + min_u64(offset_end - file_sector, extent_end - sector);
	return *first < *end;
}

bool block_next_data(struct block_engine *engine, const struct block_device *device,
		     uint64_t sector, uint64_t *first, uint64_t *end)
{
	uint32_t block_sectors = device->block_sectors ? device->block_sectors : 1;
	uint64_t from = sector;
	unsigned int i;

	if (sector >= device->sectors || !device->nr_extents)
		return false;
	for (i = extent_of_sector(device, sector); i < device->nr_extents; i++) {
		if (extent_next_data(engine, &device->extents[i], from, first, end))
			break;
		from = device->extents[i].first + device->extents[i].sectors;
	}
	if (i == device->nr_extents)
		return false;

	*first -= *first % block_sectors;
	if (*first < sector)
		*first = sector;
	if (*end % block_sectors)
		*end = min_u64(*end + block_sectors - *end % block_sectors,
			       device->sectors);
	return true;
}
