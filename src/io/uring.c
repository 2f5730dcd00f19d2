/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "io/device.h"
#include "io/engine.h"

/* Small requests share a system call; from here on the device should not wait
 * for it. */
#define BATCH_BYTES (256u << 10)

/* Kernel threads that copy from the page cache beside the main thread. */
#define COPY_WORKERS 2u

/* How often the arena must be filled for its registration to pay. */
#define ARENAS_MIN 4u

struct uring_engine {
	struct block_engine base;
	struct io_uring ring;
	bool fixed;			/* the arena is registered */
	bool *cached;			/* by io: it goes through the page cache */
	struct block_io *backlog;	/* found no room in the ring */
	struct block_io **backlog_tail;
	size_t queued_bytes;		/* in the ring, not yet submitted */
	struct uring_engine *next_abandoned;
};

/* Engines that were left with requests in flight: leak checkers shall see that
 * this is on purpose. */
static struct uring_engine *abandoned;

static struct uring_engine *to_uring(struct block_engine *engine)
{
	return (struct uring_engine *)engine;
}

static bool in_arena(const struct block_engine *engine, const struct block_io *io)
{
	uintptr_t start = (uintptr_t)engine->buffers;
	uintptr_t bytes = (uintptr_t)engine->buffer_bytes * engine->nr_buffers;
	uintptr_t at = (uintptr_t)io->data;

	return at >= start && at - start <= bytes && io->bytes <= bytes - (at - start);
}

static void prepare(struct uring_engine *uring, struct io_uring_sqe *sqe,
		    struct block_io *io)
{
	bool *cached = &uring->cached[io - uring->base.ios];
	bool fixed = uring->fixed && in_arena(&uring->base, io);
	int fd = block_file_fd(io->file, io->op, io->offset_bytes, io->bytes, cached);
	unsigned int bytes = (unsigned int)io->bytes;	/* at most 1 GiB: block.c */

	if (io->op == BLOCK_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (io->op == BLOCK_READ && fixed)
		io_uring_prep_read_fixed(sqe, fd, io->data, bytes, io->offset_bytes, 0);
	else if (io->op == BLOCK_READ)
		io_uring_prep_read(sqe, fd, io->data, bytes, io->offset_bytes);
	else if (fixed)
		io_uring_prep_write_fixed(sqe, fd, io->data, bytes, io->offset_bytes, 0);
	else
		io_uring_prep_write(sqe, fd, io->data, bytes, io->offset_bytes);
	/* Left alone the kernel would copy from the page cache inside the system
	 * call; a worker does it on another CPU while this thread compares. */
	if (*cached)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	io_uring_sqe_set_data(sqe, io);
	uring->queued_bytes += io->bytes;
}

/* Hands over what is queued. Lack of memory or room is not an error: the rest
 * is tried again in the next wait. */
static int ring_submit(struct uring_engine *uring)
{
	int ret = io_uring_submit(&uring->ring);

	uring->queued_bytes = 0;
	return ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY ? ret : 0;
}

/* Moves the backlog into the ring as far as there is room. */
static void ring_fill(struct uring_engine *uring)
{
	while (uring->backlog) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
		struct block_io *io = uring->backlog;

		if (!sqe)
			return;
		uring->backlog = io->next;
		if (!uring->backlog)
			uring->backlog_tail = &uring->backlog;
		prepare(uring, sqe, io);
	}
}

static void uring_submit(struct block_engine *engine, struct block_io *io)
{
	struct uring_engine *uring = to_uring(engine);

	io->next = NULL;
	*uring->backlog_tail = io;
	uring->backlog_tail = &io->next;
	ring_fill(uring);
	/* An error here shows again in the next wait, where it can be told. */
	if (uring->queued_bytes >= BATCH_BYTES || uring->backlog)
		ring_submit(uring);
}

/* Hands out what has finished; at most what was there at the start, so that a
 * fast device cannot keep the caller here. */
static unsigned int reap(struct uring_engine *uring)
{
	unsigned int ready = io_uring_cq_ready(&uring->ring), done = 0;
	struct io_uring_cqe *cqe;

	while (done < ready && io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
		struct block_io *io = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&uring->ring, cqe);
		if (uring->cached[io - uring->base.ios] && io->op == BLOCK_READ && result > 0)
			io->file->from_cache_bytes += (uint64_t)result;
		block_io_done(&uring->base, io, result);
		done++;
	}
	return done;
}

static int uring_wait(struct block_engine *engine, int timeout_ms)
{
	struct uring_engine *uring = to_uring(engine);
	struct __kernel_timespec time = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = (timeout_ms % 1000) * 1000000ll,
	};
	struct io_uring_cqe *cqe;
	int ret;

	ring_fill(uring);
	ret = ring_submit(uring);
	if (ret)
		return ret;
	if (reap(uring) || timeout_ms == 0)
		return 0;

	ret = io_uring_wait_cqe_timeout(&uring->ring, &cqe, timeout_ms < 0 ? NULL : &time);
	reap(uring);
	if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	return 0;
}

static struct iovec arena_of(const struct uring_engine *uring)
{
	return (struct iovec){
		.iov_base = uring->base.buffers,
		.iov_len = uring->base.buffer_bytes * uring->base.nr_buffers,
	};
}

/* For whoever gets this memory next. */
static void release_arena(struct uring_engine *uring)
{
	struct iovec arena = arena_of(uring);

	if (arena.iov_len)
		madvise(arena.iov_base, arena.iov_len, MADV_KEEPONFORK);
}

/*
 * With requests in flight nothing is torn down: the kernel may still write into
 * the buffers, and nobody can wait for a device that hangs. At exit the kernel
 * drops the ring by itself, without waiting for direct I/O that it has handed to
 * a device. Only its worker threads are waited for, and those get flushes and
 * what goes through the page cache.
 */
static void uring_destroy(struct block_engine *engine)
{
	struct uring_engine *uring = to_uring(engine);

	if (engine->in_flight) {
		uring->next_abandoned = abandoned;
		abandoned = uring;
		return;
	}
	io_uring_queue_exit(&uring->ring);
	release_arena(uring);
	block_engine_fini(engine);
	free(uring->cached);
	free(uring);
}

static const struct block_engine_ops uring_ops = {
	.name = "io_uring",
	.submit = uring_submit,
	.wait = uring_wait,
	.next_data = block_file_next_data,
	.expect = engine_expect,
	.destroy = uring_destroy,
};

/*
 * Registration saves pinning the pages at each request, and costs filling all of them
 * with zeros, which pays once the arena has been used some times over. It may be refused
 * (RLIMIT_MEMLOCK on older kernels); plain reads then do.
 *
 * A child gets empty pages: pinned ones are copied at every fork(), whether it looks at
 * them or not, and ones that a read is under way to could become the child's instead of
 * ours. (Not MADV_DONTFORK: User Mode Linux leaves a child the parent's pages where it
 * then maps something of its own.)
 */
static void prepare_arena(struct uring_engine *uring, uint64_t expected_bytes)
{
	struct iovec arena = arena_of(uring);

	if (!arena.iov_len)
		return;
	madvise(arena.iov_base, arena.iov_len, MADV_HUGEPAGE);
	if (!expected_bytes || expected_bytes / ARENAS_MIN >= arena.iov_len)
		uring->fixed = io_uring_register_buffers(&uring->ring, &arena, 1) == 0;
	madvise(arena.iov_base, arena.iov_len, MADV_WIPEONFORK);
}

/* io_uring came before the plain read and write operations that are used here. */
static bool ring_can_read(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool can = probe && io_uring_opcode_supported(probe, IORING_OP_READ) &&
		   io_uring_opcode_supported(probe, IORING_OP_WRITE);

	if (probe)
		io_uring_free_probe(probe);
	return can;
}

int uring_create(struct block_engine **engine, const struct engine_params *params)
{
	unsigned int workers[2] = { COPY_WORKERS, 0 };
	struct uring_engine *uring = calloc(1, sizeof(*uring));
	bool ring = false;
	int err;

	if (!uring)
		return -ENOMEM;
	err = block_engine_init(&uring->base, &uring_ops, params->depth,
				params->nr_buffers, params->buffer_bytes);
	if (err)
		goto out;
	err = -ENOMEM;
	uring->cached = calloc(uring->base.depth, sizeof(*uring->cached));
	if (!uring->cached)
		goto out;
	err = io_uring_queue_init(uring->base.depth, &uring->ring, 0);
	if (err)
		goto out;
	ring = true;
	err = -ENOSYS;
	if (!ring_can_read(&uring->ring))
		goto out;
	prepare_arena(uring, params->expected_bytes);
	/* Not known before 5.15: then the kernel's own limit holds. */
	io_uring_register_iowq_max_workers(&uring->ring, workers);
	uring->backlog_tail = &uring->backlog;
	*engine = &uring->base;
	err = 0;
out:
	if (err) {
		if (ring)
			io_uring_queue_exit(&uring->ring);
		block_engine_fini(&uring->base);
		free(uring->cached);
		free(uring);
	}
	return err;
}
