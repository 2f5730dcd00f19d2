/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_SYNC_ENGINE_H
#define IO_SYNC_ENGINE_H

#include "core/block.h"

/*
 * An engine whose every transfer is over when the calling thread is: when a process
 * that uses it has gone, none of its I/O is left. Of io_uring that is not true, which
 * may leave a write to a device behind that lands later. For what must never be
 * written late: a log that is about to be believed.
 */

/* `flushed` (may be NULL) is told of every flush that has come back. 0 or -ENOMEM. */
int sync_engine_create(struct block_engine **engine, size_t buffer_bytes,
		       void (*flushed)(void *context), void *context);

#endif
