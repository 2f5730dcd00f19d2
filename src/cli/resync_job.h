/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_RESYNC_JOB_H
#define CLI_RESYNC_JOB_H

#include "cli/comparison.h"
#include "cli/opts.h"
#include "core/resync.h"
#include "core/resync_plan.h"
#include "core/salvage.h"
#include "io/repair_files.h"

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
	struct repair_recorded recorded;
	struct resync_result result;	/* of both passes, where salvage made a second */
	struct salvage_result salvage;
	bool salvaged;			/* there was something to salvage */
	uint64_t elapsed_ns;
	char change[256];
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
/* --save-divergent, then the copying. */
int resync_job_apply(struct resync_job *job, struct error *err);
void resync_job_close(struct resync_job *job);

#endif
