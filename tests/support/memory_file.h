/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_MEMORY_FILE_H
#define TESTS_SUPPORT_MEMORY_FILE_H

#include <stdbool.h>

#include "core/journal.h"

/* A file in memory, behind a journal's sink and source, and what can go wrong with it.
 * Zeroed: empty. */
struct memory_file {
	unsigned char *bytes;
	size_t size, room;
	unsigned int appends, fail_at;	/* the nth append fails (0: none) … */
	int fail_with;			/* … with this, half of it written … */
	bool fail_whole;		/* … or nothing of it */
	unsigned int reads, fail_read_at;	/* the nth read fails with -EIO (0: none) */
	size_t largest_read;
	int64_t lie;			/* reads return this much more */
};

struct journal_sink memory_file_sink(struct memory_file *file);
struct journal_source memory_file_source(struct memory_file *file);
void memory_file_free(struct memory_file *file);

#endif
