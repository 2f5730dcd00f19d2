/* SPDX-License-Identifier: GPL-2.0-or-later */

/* repair-log --online: what is shown while io/online_rounds.c repairs a mirror that
 * runs, and whether it was copied in the end. */

#include "cli/repair_job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/signals.h"
#include "io/run_file.h"
#include "io/state.h"

#define LOOK_MS 500u
#define LOOKS_MAX 5u

/* --- while it goes on ------------------------------------------------------------ */

struct view {
	struct repair_job *job;
	struct progress progress;
	bool shown;			/* the progress has begun */
};

static bool hook_stop_wanted(void *context)
{
	(void)context;
	return signals_stop_wanted();
}

static void hook_suspending(void *context, const char *remedy)
{
	const struct view *view = context;

	fprintf(stderr, "mirrorctl: suspending %s for a moment; if it should stay suspended: %s\n",
		view->job->session.opened.mirror.name, remedy);
}

static void hook_cleared(void *context, uint64_t bits, bool done, const char *journal)
{
	const struct view *view = context;

	repair_job_log_action(view->job, bits, done, journal);
}

/* On stderr, as there may be no report. */
static void hook_failed(void *context, const struct mirror_sample *now)
{
	const struct view *view = context;

	if (now->log_health && now->log_health != 'A')
		fprintf(stderr, "mirrorctl: %s: its log has failed ('%c'), so since the resume the kernel copies leg 0 over the others everywhere\n",
			view->job->session.opened.mirror.name, now->log_health);
}

static void hook_copying(void *context, uint64_t first, const struct mirror_sample *now)
{
	struct view *view = context;
	const struct region_geometry *geometry = &view->job->session.opened.mirror.geometry;
	struct audit_progress at = { .total_sectors = geometry->length };

	if (now && !view->shown)
		progress_start(&view->progress, &view->job->words->report);
	if (!now && view->shown)
		progress_end(&view->progress);
	view->shown = now != NULL;
	if (!now)
		return;
	at.done_sectors = now->in_sync * geometry->region_size;
	if (at.done_sectors > at.total_sectors)
		at.done_sectors = at.total_sectors;
	if (now->in_sync > first)
		at.bytes_per_leg = (now->in_sync - first) * geometry->region_size * SECTOR_BYTES;
	progress_show(&view->progress, &at, signals_status_wanted());
}

/* --- afterwards ------------------------------------------------------------------ */

/* An error during the copying shows in a letter and nowhere else. */
static void note_health(struct repair_job *job)
{
	const struct mirror_sample *sample = &job->rounds.last;
	struct finding_list *findings = &job->session.findings;

	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (sample->leg_health[leg] && sample->leg_health[leg] != 'A')
			finding_add(findings, FINDING_HEALTH_LEG, "leg %u: '%c', after the repair",
				    leg, sample->leg_health[leg]);
	if (sample->log_health && sample->log_health != 'A')
		finding_add(findings, FINDING_HEALTH_LOG, "log: '%c', after the repair",
			    sample->log_health);
}

/* Looks at the cleared regions once: how many are not known to be equal? */
static int audit_once(struct repair_job *job, struct error *err)
{
	struct comparison again = { .selected = &job->done };
	const uint64_t *count = again.result.regions.count;
	/* The bits that the audit before knew are of before the repair. */
	int r = session_read_log(&job->session, err);

	if (!r)
		r = comparison_run(&again, &job->session, &job->words->report, err);
	job->hung = job->hung || again.result.hung;
	if (!r)
		job->differing_after = count[VERDICT_SUSPECT] + count[VERDICT_BOGUS_CLEAN] +
			count[VERDICT_RESYNC_PENDING] + count[VERDICT_UNVERIFIABLE];
	comparison_free(&again);
	return r;
}

/* Were they really copied? What is just being written is not clean and differs, too: a
 * few more looks tell. */
static int audit_cleared(struct repair_job *job, struct error *err)
{
	int r = 0;

	for (unsigned int look = 0; look < LOOKS_MAX && !r; look++) {
		if (look)
			clock_hook_sleep(NULL, LOOK_MS);
		r = audit_once(job, err);
		if (!job->differing_after || signals_stop_wanted())
			break;
	}
	if (!r && job->differing_after)
		finding_add(&job->session.findings, FINDING_UNVERIFIABLE,
			    "%llu cleared regions are not known to be equal after the kernel's copying",
			    (unsigned long long)job->differing_after);
	return r;
}

/* The suspects became equal while they were looked at: there is nothing to repair. */
static void note_nothing(struct repair_job *job)
{
	if (job->cleared || bitmap_count(&job->lies))
		return;
	job->state = REPAIR_NOTHING_TO_DO;
	finding_mark_repaired(&job->session.findings, FINDING_SUSPECT);
}

/* --- all of it --------------------------------------------------------------------- */

/* *directory: of the journals; allocated. */
static int prepare(struct repair_job *job, char **directory, struct error *err)
{
	struct opened_mirror *opened = &job->session.opened;
	int r = online_check(opened, &job->session.log, err);

	if (!r)
		r = repair_job_identify(job, err);
	if (!r)
		r = state_directory(directory, job->words->write.state_dir, err);
	if (!r)
		r = repair_files_check(*directory, job->words->save_divergent, opened,
				       &job->place_warning, err);
	return r;
}

/* From here on the job tells what the rounds did. */
static void take_rounds(struct repair_job *job)
{
	struct online_rounds *rounds = &job->rounds;

	job->cleared = rounds->nr_cleared;
	job->done = rounds->cleared;
	job->done.owned = false;
	job->recorded = rounds->recorded;
	job->hung = job->hung || rounds->hung;
	job->journal = rounds->journal;
	rounds->journal = NULL;
	if (job->cleared)
		job->state = REPAIR_CLEARED;
	if (rounds->last.status_known)
		note_health(job);
}

int repair_job_apply_online(struct repair_job *job, struct error *err)
{
	struct view view = { .job = job };
	struct online_repair repair = {
		.opened = &job->session.opened, .engine = job->session.engine,
		.saved = job->words->save_divergent,
		.max_suspend_ms = (unsigned int)job->words->max_suspend_ms,
		.run_directory = RUN_DIRECTORY,
		.hooks = {
			.context = &view, .stop_wanted = hook_stop_wanted,
			.suspending = hook_suspending, .cleared = hook_cleared,
			.failed = hook_failed, .copying = hook_copying,
		},
	};
	char *directory = NULL;
	int r = prepare(job, &directory, err);

	if (r)
		goto out;
	repair.directory = directory;
	repair.identity = job->identity;
	r = online_rounds_run(&job->rounds, &repair, &job->lies, err);
	take_rounds(job);
	if (!r && job->cleared)
		r = audit_cleared(job, err);
	if (!r)
		note_nothing(job);
out:
	free(directory);
	return r;
}
