/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_STATE_H
#define IO_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "io/discover.h"
#include "io/journal_file.h"
#include "io/system_log.h"

/*
 * Where journals live. What is in one is core/journal.h's business, how it becomes
 * a file that lasts is journal_file.h's.
 */

/* The directory: `option` (--state-dir), else $MIRRORCTL_STATE_DIR, else
 * /var/lib/mirrorctl for root, else $XDG_STATE_HOME/mirrorctl (~/.local/state).
 * Absolute, allocated; 0, or -errno with an error. Nothing is created. */
int state_directory(char **path, const char *option, struct error *err);

/* Would this path (the file, or the directory it will stand in) be stored on one of
 * the mirror's own legs, on its log, or on the mirror itself, through whatever stack
 * of devices? Of a state directory undo/ in it is asked too. -ELOOP with an error
 * that names both; 0 when not. On the same physical disk only: 0, and a sentence for
 * the report in *warning, allocated. *warning begins as NULL; one that is there is
 * kept, so several paths can be asked one after the other. */
int state_check_place(const char *path, const struct opened_mirror *opened, char **warning,
		      struct error *err);

/* As things stand: could a journal of `nr_bytes` be made in <directory>/undo, or the new
 * file `path`? Nothing is made. 0, or -errno with an error that ends in "nothing was
 * changed". So that who audits for hours first is told first. */
int state_check_directory_usable(const char *directory, uint64_t nr_bytes, struct error *err);
int state_check_file_usable(const char *path, struct error *err);

/* All journals in <directory>/undo, oldest first; only their names are looked at. A
 * directory that does not exist has none. Freed with state_journals_free(). */
struct state_journals {
	char **paths;
	size_t nr;
};
int state_journals_list(struct state_journals *journals, const char *directory,
			struct error *err);
void state_journals_free(struct state_journals *journals);
/* When it was begun, by its name; false when that does not tell. */
bool state_journal_time(time_t *when, const char *path);

/* What journal_file.c and state_place.c need of it as well. */

/* The directory that a path's last part stands in. Allocated, NULL without memory. */
char *state_parent(const char *path);
/* The path, or the nearest directory above it that exists; allocated, to be freed after an
 * error, too. 0 or -errno. */
int state_nearest_existing(char **existing, const char *path);
/* A name for the `nr`-th journal of a mirror in that second.
 * Allocated, NULL without memory. */
char *state_journal_name(const char *mirror, time_t when, unsigned int nr);
/* Makes <directory>/undo and what is missing above it, mode 0700, each name durable.
 * *path (allocated) is its path. */
int state_make_directory(char **path, const char *directory, struct error *err);
/* The directory of an open descriptor on stable storage. 0 or -errno. */
int state_sync_directory(int fd);

#endif
