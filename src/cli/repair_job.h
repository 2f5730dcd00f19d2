/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPAIR_JOB_H
#define CLI_REPAIR_JOB_H

#include "cli/comparison.h"
#include "cli/opts.h"
#include "core/repair.h"
#include "io/online_rounds.h"

/*
 * What `repair-log` does between its words and its report: choose the regions whose
 * clean bit should go, plan, write down, clear. cmd_repair_log.c calls these in turn;
 * the report_repair_*.c tell about it.
 */

struct repair_words {
	struct mirror_words mirror;
	struct report_words report;
	struct write_words write;
	const char *regions;		/* --regions LIST */
	const char *from;		/* --from AUDIT.json */
	const char *output;		/* -o FILE */
	const char *save_divergent;
	bool clear_regardless;
	bool force_large;
	bool online;
	unsigned long long max_suspend_ms;
	uint64_t rate_bytes;
};

enum repair_state {
	REPAIR_NOTHING_TO_DO,
	REPAIR_PLANNED,			/* shown; nothing written */
	REPAIR_COPIED,			/* -o: into a new file */
	REPAIR_CLEARED,			/* in the log */
	REPAIR_UNFINISHED,		/* ended before there was a plan */
};

struct repair_job {
	const struct repair_words *words;
	struct session session;
	enum repair_state state;
	struct bitmap selected;		/* regions that are looked at */
	char scope[160];
	bool from_cut;			/* --from names some of the lies only */
	bool complete;			/* everything the log calls clean was looked at */
	bool compared;			/* false: --clear-regardless */
	struct comparison comparison;
	struct bitmap lies;		/* regions whose clean bit should go */
	struct repair_plan plan;
	void *edited;			/* the area with the plan's bits cleared */
	char *identity;			/* JSON */
	char *journal;			/* path; NULL: none was written */
	bool outcome_lost;		/* it could not be noted there what was cleared */
	char *place_warning;		/* about where the journal is, or NULL */
	struct repair_recorded recorded;
	enum repair_step step;
	uint64_t cleared;		/* bits */
	struct bitmap done;		/* … and which */
	struct online_rounds rounds;	/* of --online */
	uint64_t differing_after;	/* of the regions cleared online, audited once more */
	bool hung;			/* a device holds requests: free nothing */
	int exit_status;
};

/* Is this a mirror whose log can be repaired, with these words? 0 or -errno. */
int repair_job_check(const struct repair_job *job, struct error *err);
/* Which regions to look at: clean ones, of the list, of the audit file. */
int repair_job_select(struct repair_job *job, struct error *err);
/* Finds the lies among them. job->state says when it ended early. */
int repair_job_compare(struct repair_job *job, struct error *err);
/* From the lies to plan and edited area. */
int repair_job_plan(struct repair_job *job, struct error *err);
/* Was it created without a first copy, so that bits may stand for nothing? */
bool repair_job_is_nosync(const struct repair_job *job);
/* Writes down, then clears (or, with -o, writes the new file). */
int repair_job_apply(struct repair_job *job, struct error *err);
/* The same on a running mirror, in rounds. */
int repair_job_apply_online(struct repair_job *job, struct error *err);
/* Everything freed, unless job->hung. */
int repair_job_close(struct repair_job *job);

/* For both ways of applying. */
int repair_job_identify(struct repair_job *job, struct error *err);
/* A line in the system's log. */
void repair_job_log_action(const struct repair_job *job, uint64_t bits, bool done,
			   const char *journal);

#endif
