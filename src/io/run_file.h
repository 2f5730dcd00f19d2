/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_RUN_FILE_H
#define IO_RUN_FILE_H

#include <limits.h>
#include <stdbool.h>

#include "core/error.h"

#define RUN_DIRECTORY "/run/mirrorctl"

/*
 * <run directory>/<kind>/<name>: a file that says what a running mirrorctl holds. The lock
 * on it tells whether that one still lives; what is in it tells the next one, and people,
 * what is left to do when it does not.
 */
struct run_file {
	int directory_fd;
	int fd;
	char name[NAME_MAX + 1];	/* of the file */
	char path[PATH_MAX];
};

/* Makes file and directories where they are missing, and locks it. -EBUSY, without an
 * error, when another process has it; else -errno with an error that ends in
 * `consequence` ("nothing was suspended"). Closed with run_file_close(), which accepts
 * what a failed open left. */
int run_file_open(struct run_file *file, const char *run_directory, const char *kind,
		  const char *name, const char *consequence, struct error *err);
/* In place of what is in it. 0 or -errno, without an error. */
int run_file_write(struct run_file *file, const char *text);
/* Removes the file if it is still there, and ours. Async-signal-safe. */
void run_file_remove(const struct run_file *file);
void run_file_close(struct run_file *file);

/* Has a mirrorctl that is dead left such a file: is something in it, and has nobody its
 * lock? Only looks; false where it cannot be told. */
bool run_file_is_abandoned(const char *run_directory, const char *kind, const char *name);

#endif
