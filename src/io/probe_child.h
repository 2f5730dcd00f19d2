/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_PROBE_CHILD_H
#define IO_PROBE_CHILD_H

#include <stddef.h>

/* What libblkid makes of the bytes on a disk; `answer` and `context` are the question's.
 * 0 or -errno. Runs in a child: what it changes elsewhere is lost. */
typedef int probe_work(void *answer, void *context);

struct probe_question {
	void *answer;		/* changed with result 0 only */
	void *context;
	int result;		/* 0; what `work` returned; -ETIMEDOUT after two seconds; -EINTR;
				 * -EIO when the child died; -errno when there was none */
};

/*
 * Calls `work` for every question, one after the other, in a child, and brings the answers
 * back, `bytes` of each (at most PIPE_BUF less an int). libblkid's buffered reads cannot be
 * interrupted, so a device that hangs costs two seconds, not the run; and where bytes of a
 * disk trip an assertion of the library, it is the child that ends, without a word or a
 * core file. Another child then goes on with the next question. Nothing of the parent's is
 * open in one.
 */
void probe_child_ask_all(struct probe_question *questions, size_t nr, size_t bytes,
			 probe_work *work);
/* One question; returns its result. */
int probe_child_ask(void *answer, size_t bytes, probe_work *work, void *context);

#endif
