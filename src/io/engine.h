/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_ENGINE_H
#define IO_ENGINE_H

#include "core/block.h"

/* The two real engines behind core/block.h. */

enum engine_kind {
	ENGINE_AUTO,		/* io_uring, threads where it is missing or refused */
	ENGINE_URING,
	ENGINE_THREADS,
};

struct engine_params {
	enum engine_kind kind;
	unsigned int depth;		/* ios in flight at most */
	unsigned int nr_buffers;
	size_t buffer_bytes;
	uint64_t expected_bytes;	/* that will be moved in all, about; 0: many. What is
					 * little is not worth preparing for */
};

/* *engine is destroyed with block_engine_destroy(). -ENOSYS (with an error
 * text) when io_uring was asked for and is not available; ENGINE_AUTO falls
 * back to threads without a word (ops->name tells which it is). */
int engine_create(struct block_engine **engine, const struct engine_params *params,
		  struct error *err);

/* "auto", "io_uring", "threads". */
int engine_kind_parse(enum engine_kind *kind, const char *text, struct error *err);

/* For both: asks the kernel for large pages; it may say no. */
void engine_expect(struct block_engine *engine, void *memory, size_t bytes);

/* io/uring.c and io/threads.c. */
int uring_create(struct block_engine **engine, const struct engine_params *params);
int threads_create(struct block_engine **engine, const struct engine_params *params);

#endif
