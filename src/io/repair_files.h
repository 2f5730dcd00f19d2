/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_REPAIR_FILES_H
#define IO_REPAIR_FILES_H

#include "core/repair_record.h"
#include "io/discover.h"
#include "io/journal_file.h"

/*
 * The files that a change of a mirror leaves beside it: the undo journal in the state
 * directory, and the sectors in which the legs differed where the user names a file for
 * them. Both are on stable storage, commit included, before anything is changed.
 */
struct repair_files {
	struct journal_file journal, saved;	/* not open: not wanted */
};

/* Both NULL: not wanted. Refused where it would lie on the mirror itself; nothing is
 * created. *warning: as state_check_place(). 0 or -errno with an error. */
int repair_files_check(const char *directory, const char *saved,
		       const struct opened_mirror *opened, char **warning, struct error *err);

/* Creates a journal for the mirror `name` in the state directory `directory`, and the
 * saved file: `saved` itself the first time, `saved`.2 the second, … (nr from 1). After
 * an error there may be one of them: discarded by the caller in any case. */
int repair_files_create(struct repair_files *files, const char *directory, const char *saved,
			unsigned int nr, const char *name, struct error *err);

/* What is about to be changed goes into the files, commit last: the saved file's, then
 * the journal's. Of `record` legs, geometry and writers are filled in here. 0, what
 * record->poll() returned, or -errno with an error. */
int repair_files_write(struct repair_files *files, struct repair_recorded *recorded,
		       const struct repair_record *record, const struct opened_mirror *opened,
		       struct error *err);

/* Behind the journal's commit, and on stable storage: what was really cleared. That it
 * cannot be noted takes nothing away from the journal. */
int repair_files_note_cleared(struct repair_files *files, const struct bitmap *cleared,
			      struct error *err);

/* Closes; accepts zeroed ones. */
void repair_files_close(struct repair_files *files);
/* … and removes both: they protect nothing (journal_file_discard()). */
void repair_files_discard(struct repair_files *files);

#endif
