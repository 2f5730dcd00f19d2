/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_RESYNC_JOB_H
#define CLI_RESYNC_JOB_H

#include "cli/comparison.h"
#include "cli/opts.h"
#include "core/resync.h"
#include "core/resync_plan.h"
#include "core/salvage.h"
#include "io/repair_files.h"
#include "io/resync_files.h"

/*
 * What `resync offline` does between its words and its report: which regions, from which
 * leg, what would be lost, and the copying. cmd_resync.c calls these in turn.
 */

struct resync_words {
	struct mirror_words mirror;
	struct report_words report;
	struct write_words write;
	unsigned long long source;	/* --source N */
	bool source_given;
	const char *plan;		/* --plan FILE */
	const char *write_plan;		/* --write-plan FILE */
	const char *save_divergent;
	const char *undo_file;
	bool verify;
	bool copy_all;
	bool readback;
	bool salvage;
	bool accept_salvaged;
	uint64_t rate_bytes;
};

enum resync_state {
	RESYNC_NOTHING_TO_DO,
	RESYNC_PLANNED,			/* shown, or written to --write-plan; no leg was */
	RESYNC_DONE,			/* run; job->result says how far */
	RESYNC_NOT_BEGUN,		/* the comparing before it ended early */
};

struct resync_job {
	const struct resync_words *words;
	struct session session;
	enum resync_state state;
	struct bitmap work;		/* regions that may be copied: not clean, and with
					 * --verify the clean ones too */
	uint64_t nr_work;
	uint64_t nr_not_clean;
	uint64_t nr_skipped;		/* by the plan, of those that would be looked at */
	bool header_bad;		/* or counts too few: would be made good */
	struct resync_plan plan;
	bool compared;			/* audited for --write-plan */
	struct comparison comparison;
	bool previewed;			/* what would be written is known: all was read once */
	struct resync_result preview;
	uint64_t preview_ns;
	char *identity;			/* JSON */
	bool weak;			/* … made of contents, which the run may change */
	struct leg_ends ends;		/* those */
	struct resync_files files;
	void *area_before;		/* the log */
	char *journal;			/* path; NULL: nothing was written */
	char *place_warning;
	uint64_t undo_bytes;		/* that the undo file may need */
	bool end_lost;			/* its end is not noted in the journal */
	struct repair_recorded recorded;
	struct resync_result result;	/* of both passes, where salvage made a second */
	struct salvage_result salvage;
	bool salvaged;			/* there was something to salvage */
	uint64_t elapsed_ns;
	char change[ERROR_TEXT_BYTES];
	bool hung;			/* a device holds requests: free nothing */
	int exit_status;
};

/* Is this a mirror that can be synchronised here, with these words? 0 or -errno. */
int resync_job_check(struct resync_job *job, struct error *err);
/* Which regions, and from where (--plan). */
int resync_job_select(struct resync_job *job, struct error *err);
/* Reads them all before anything is written, where the words or the legs ask for it: for
 * --write-plan, for --dry-run, and where three legs or more could outvote leg 0. */
int resync_job_compare(struct resync_job *job, struct error *err);
/* --write-plan. */
int resync_job_write_plan(struct resync_job *job, struct error *err);
/* --save-divergent, the journal, then the copying. */
int resync_job_apply(struct resync_job *job, struct error *err);
int resync_job_close(struct resync_job *job);

/* --- resync_undo.c --- */

/* May all that will be overwritten go into the undo file? As resync_files_check_space(). */
int resync_undo_check_space(struct resync_job *job, struct error *err);
/* The journal and the undo file, up to their commits. The identity is known. */
int resync_undo_begin(struct resync_job *job, struct error *err);
/* Closes them, with what was done; they go when nothing was. */
void resync_undo_end(struct resync_job *job);
void resync_undo_discard(struct resync_job *job);

#endif
