/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/sync_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/device.h"

struct sync_engine {
	struct block_engine base;
	struct block_io *queue;
	struct block_io **queue_tail;
	void (*flushed)(void *context);
	void *context;
};

static void sync_submit(struct block_engine *engine, struct block_io *io)
{
	struct sync_engine *sync = (struct sync_engine *)engine;

	io->next = NULL;
	*sync->queue_tail = io;
	sync->queue_tail = &io->next;
}

static int64_t carry_out(const struct block_io *io)
{
	bool cached;
	int fd = block_file_fd(io->file, io->op, io->offset_bytes, io->bytes, &cached);
	ssize_t ret;

	if (io->op == BLOCK_READ)
		ret = pread(fd, io->data, io->bytes, (off_t)io->offset_bytes);
	else if (io->op == BLOCK_WRITE)
		ret = pwrite(fd, io->data, io->bytes, (off_t)io->offset_bytes);
	else
		ret = fdatasync(fd);
	return ret < 0 ? -errno : ret;
}

static int sync_wait(struct block_engine *engine, int timeout_ms)
{
	struct sync_engine *sync = (struct sync_engine *)engine;
	struct block_io *io = sync->queue;
	int64_t result;

	(void)timeout_ms;
	if (!io)
		return 0;
	sync->queue = io->next;
	if (!sync->queue)
		sync->queue_tail = &sync->queue;
	result = carry_out(io);
	if (io->op == BLOCK_FLUSH && sync->flushed)
		sync->flushed(sync->context);
	block_io_done(engine, io, result);
	return 0;
}

static void sync_destroy(struct block_engine *engine)
{
	block_engine_fini(engine);
	free(engine);
}

static const struct block_engine_ops sync_ops = {
	.name = "sync",
	.submit = sync_submit,
	.wait = sync_wait,
	.destroy = sync_destroy,
};

int sync_engine_create(struct block_engine **engine, size_t buffer_bytes,
		       void (*flushed)(void *context), void *context)
{
	struct sync_engine *sync = calloc(1, sizeof(*sync));
	int r;

	if (!sync)
		return -ENOMEM;
	r = block_engine_init(&sync->base, &sync_ops, 4, 4, buffer_bytes);
	if (r) {
		free(sync);
		return r;
	}
	sync->queue_tail = &sync->queue;
	sync->flushed = flushed;
	sync->context = context;
	*engine = &sync->base;
	return 0;
}
