/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_RESYNC_FILES_H
#define IO_RESYNC_FILES_H

#include "core/resync_record.h"
#include "io/journal_file.h"

/*
 * The files that a resync leaves beside the mirror: the journal of the log's change in the
 * state directory, and with --undo-file the same with what the legs held wherever they are
 * overwritten. Both are on stable storage, commit included, before anything is changed.
 */
struct resync_files {
	struct journal_file journal, undo;	/* not open: not wanted */
	struct error kept;			/* what the undo file's last error was */
};

/* May a file of so many bytes be made there? -ENOSPC with an error that has both numbers
 * when its file system has less room, -EFBIG when a limit on file sizes forbids it; -errno.
 * Nothing is created. */
int resync_files_check_space(const char *path, uint64_t nr_bytes, struct error *err);

/* Creates a journal for the mirror `name` in the state directory, and the undo file (NULL:
 * not wanted). After an error there may be one of them: discarded by the caller. */
int resync_files_create(struct resync_files *files, const char *directory, const char *undo,
			const char *name, struct error *err);
/* Into each all that comes before the commit, then the commit: the undo file's first. */
int resync_files_write(struct resync_files *files, const struct resync_record *record,
		       struct error *err);

/* Of the undo file, as resync_hooks want it: 0 or -errno, with files->kept. */
int resync_files_keep(struct resync_files *files, unsigned int leg, uint64_t sector,
		      uint32_t sectors, const void *old, const void *new);
int resync_files_kept(struct resync_files *files);

/* Behind the run: what it has done to the bits, into both and onto stable storage. That it
 * cannot be noted takes nothing away from the files. */
int resync_files_note_end(struct resync_files *files, void *before, void *after,
			  uint64_t area_bytes, uint64_t nr_regions, struct error *err);

/* Closes; accepts zeroed ones. */
void resync_files_close(struct resync_files *files);
/* … and removes both: they protect nothing (journal_file_discard()). */
void resync_files_discard(struct resync_files *files);

#endif
