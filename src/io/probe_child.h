/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_PROBE_CHILD_H
#define IO_PROBE_CHILD_H

#include <stddef.h>

/* What libblkid makes of the bytes on a disk. `answer` is what probe_child_ask() was
 * given; 0 or -errno. Runs in the child: what it changes elsewhere is lost. */
typedef int probe_work(void *answer, void *context);

/*
 * Calls `work` in a child and brings its answer, `bytes` of it (at most PIPE_BUF), back.
 * libblkid's buffered reads cannot be interrupted, so a device that hangs costs two
 * seconds, not the run; and where bytes of a disk trip an assertion of the library, it is
 * the child that ends, without a word or a core file.
 *
 * 0; what `work` returned; -ETIMEDOUT after two seconds; -EINTR; -EIO when the child died;
 * -errno when there was none. `answer` is changed with 0 only.
 */
int probe_child_ask(void *answer, size_t bytes, probe_work *work, void *context);

#endif
