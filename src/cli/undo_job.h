/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_UNDO_JOB_H
#define CLI_UNDO_JOB_H

#include "cli/opts.h"
#include "cli/session.h"
#include "core/repair.h"
#include "core/restore.h"
#include "core/undo.h"
#include "io/identify.h"
#include "io/journal_file.h"

/*
 * What `undo` does between its words and its report: read the journal, find its
 * mirror, see what may come back, do it. cmd_undo.c calls these in turn; report_undo*.c
 * tell about it. Of a repair bits are set again (undo_repair.c); of a resync bits are
 * cleared, and what it overwrote goes back to the legs, if it was kept (undo_resync.c).
 */

struct undo_words {
	struct mirror_words mirror;
	struct report_words report;
	struct write_words write;
	const char *journal;		/* JOURNAL */
	bool list;			/* --list */
};

enum undo_state {
	UNDO_UNDECIDED,
	UNDO_NEVER_WRITTEN,		/* the journal has no commit: nothing was changed */
	UNDO_AS_BEFORE,			/* nothing to do: log and, of a resync, legs are so */
	UNDO_NONE_PROVEN,		/* there is something, and none of it may be done */
	UNDO_INTERRUPTED,		/* while the legs were read; nothing was written */
	UNDO_PLANNED,			/* shown; nothing written */
	UNDO_STOPPED,			/* interrupted, after something was written */
	UNDO_DONE,
};

#define UNDO_TIME_MAX 24u		/* "2026-11-22T15:57:04Z" */

struct undo_job {
	const struct undo_words *words;
	enum undo_state state;
	char time[UNDO_TIME_MAX];	/* of the repair or resync; may be empty */
	struct journal_input input;	/* the journal, open to the end */
	struct undo_journal journal;
	uint64_t cut_at;		/* where a later record was cut short, or 0 */
	struct identity_places places;	/* of the journal; zeroed: not used */
	struct mirror_words mirror;	/* the user's, or those of the places */
	struct session session;
	bool opened;			/* … is */
	char *identity;			/* JSON, of the mirror as it is now */
	struct log_area again;		/* read where the session's area is too short */
	void *now;			/* the log's area: the session's, or `again` */
	uint64_t nr_bytes;		/* of it and of target: whole blocks */
	void *before, *target;
	struct bitmap sectors;		/* of the log, that are written; whole blocks */
	uint32_t block_sectors;
	/* Of a repair. */
	struct bitmap back, refused;	/* regions: to be set, to stay as they are */
	uint64_t nr_back, nr_refused;
	enum repair_step step;
	/* Of a resync. */
	uint64_t kept_sectors;		/* of all legs, in the journal */
	struct restore restore;		/* zeroed: nothing was kept */
	struct bitmap clear;		/* regions: to be cleared */
	uint64_t nr_clear;
	enum restore_step restore_step;
	char change[ERROR_TEXT_BYTES];		/* why it stopped: the mirror is not what it was */
	bool hung;			/* a device holds requests: free nothing */
	int exit_status;
};

/* Reads the journal. UNDO_NEVER_WRITTEN is all there is to say of one that was cut
 * short; any other can be opened. */
int undo_job_read(struct undo_job *job, struct error *err);
/* Opens the mirror that the words name, or the journal, and makes sure that it is the
 * journal's and inactive. */
int undo_job_open(struct undo_job *job, struct error *err);
/* Looks at log and legs: job->state, and what would be written. */
int undo_job_plan(struct undo_job *job, struct error *err);
/* Does it. */
int undo_job_apply(struct undo_job *job, struct error *err);
/* Everything freed, unless job->hung. */
int undo_job_close(struct undo_job *job);

/* "repair" or "resync". */
const char *undo_job_of(const struct undo_job *job);
int undo_job_no_memory(const struct undo_job *job, struct error *err);
/* job->target becomes a copy of job->now, to be edited; then which sectors differ. */
int undo_job_copy_area(struct undo_job *job, struct error *err);
void undo_job_mark_sectors(struct undo_job *job);

/* undo_repair.c, undo_resync.c: of each kind of journal. */
int undo_repair_plan(struct undo_job *job, struct error *err);
int undo_repair_apply(struct undo_job *job, struct error *err);
int undo_resync_plan(struct undo_job *job, struct error *err);
int undo_resync_apply(struct undo_job *job, struct error *err);

/* When a journal was written, from its name or else from the file; empty when neither
 * tells. */
void undo_journal_time(char time[UNDO_TIME_MAX], const char *path);

/* undo --list: prints it all. *status is the exit status; -errno with an error when
 * there is no list. */
int undo_list(const struct undo_words *words, int *status, struct error *err);

#endif
