/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_JOURNAL_FILE_H
#define IO_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/journal.h"

/*
 * Journals as files that survive a power cut: created new, mode 0600, file and
 * directory on stable storage before what they protect is written.
 */

/* A journal or saved file being written. Zeroed: not open. The writer's sink points
 * to it, so it stays where it is while it is open. */
struct journal_file {
	char *path;		/* owned */
	int fd;
	int directory_fd;
	struct journal_writer writer;	/* its sink appends to fd, buffered */
	/* private */
	unsigned char *buffer;
	size_t buffered;
	uint64_t written, synced;	/* bytes; from the page cache, and on stable storage */
	bool in_state;		/* for messages: --state-dir chose its place */
	bool complete;		/* the commit is on stable storage */
};

/* Each publishes `file` whole or zeroed, and leaves no new file behind when it fails.
 *
 * Creates <directory>/undo/<name>.<UTC time>.undo (never over an existing file; the
 * directories too, mode 0700, and makes the new names durable), `name` made safe for
 * a file name. -errno with an error that says what was not done: disk full, read-only
 * and no permission are the usual ones, "nothing was changed" is part of the line. */
int journal_file_create(struct journal_file *file, const char *directory, const char *name,
			struct error *err);
/* The same with a path of the user's (--save-divergent FILE): refused when it exists. */
int journal_file_create_at(struct journal_file *file, const char *path, struct error *err);
/* Opens an existing one for appending outcomes behind what `reader` has read to the
 * end (a record cut short there is cut off first). Takes an exclusive lock: a second
 * mirrorctl is refused. Then reads it again: a file that is not what `reader` read,
 * has grown meanwhile or was never committed is refused. */
int journal_file_append(struct journal_file *file, const char *path,
			const struct journal_reader *reader, struct error *err);

/* Everything written so far on stable storage: buffer, file, directory. After one
 * failure always fails: what a failed fsync lost is not written by the next one. */
int journal_file_sync(struct journal_file *file, struct error *err);
/* The same of a file that is being filled behind its commit, many times: its name lasts
 * already. */
int journal_file_sync_data(struct journal_file *file, struct error *err);
/* sync, commit record, sync. A file whose name was taken away meanwhile is refused. */
int journal_file_commit(struct journal_file *file, struct error *err);
/* Closes; accepts a zeroed one. Does not sync: what is not synced is lost. */
void journal_file_close(struct journal_file *file);
/* Closes and removes a file that protects nothing: not committed, or not one byte
 * was written to a device since. Only if the name still stands for it. */
void journal_file_discard(struct journal_file *file);

/* A journal open for reading: a journal_source over the file. Not locked. */
struct journal_input {
	int fd;
	char *path;		/* owned; NULL: not open */
	struct journal_source source;
};
int journal_input_open(struct journal_input *input, const char *path, struct error *err);
void journal_input_close(struct journal_input *input);

#endif
