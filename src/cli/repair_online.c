/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Repairing a mirror that runs: rounds of save, suspend, clear, resume, each followed
 * until the kernel has copied what was cleared. */

#include "cli/repair_job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/signals.h"
#include "core/region_reading.h"
#include "core/undo.h"
#include "io/identify.h"
#include "io/marker.h"
#include "io/online.h"
#include "io/state.h"
#include "io/watch.h"

#define ROUNDS_MAX 10u
#define RUN_DIRECTORY "/run/mirrorctl"
/* A round that was put off because legs are slow, or bits are just being written. */
#define PAUSE_MS 2000u
#define PAUSES_MAX 30u
#define FOLLOW_MS 200u
#define AUDITS_MAX 5u
/* A region that the kernel gave up is never tried again before the next resume. */
#define STUCK_NS UINT64_C(5000000000)

struct rounds {
	struct repair_job *job;
	char *directory;		/* of the journals */
	struct bitmap remaining;	/* lies not cleared yet */
	unsigned int pauses;
	bool in_doubt;			/* a round failed after its suspend: keep its journal */
	unsigned int nr_saved;		/* files of rounds that cleared something */
	struct repair_recorded recorded;	/* in this round */
	struct repair_files files;	/* of this round */
};

/* What happens inside a round is told outside of its suspend. */
static void tell_step(void *context, enum online_step step)
{
	const struct rounds *rounds = context;
	const struct opened_mirror *opened = &rounds->job->session.opened;
	char remedy[192];

	if (step != ONLINE_MARKED)
		return;
	fprintf(stderr, "mirrorctl: suspending %s for a moment; if it should stay suspended: %s\n",
		opened->mirror.name,
		marker_remedy(remedy, sizeof(remedy), watch_mapped_device(opened->watch)));
}

/* --- a round ------------------------------------------------------------------- */

/* The log as it is now, and what is to be cleared of it. */
static int plan_round(struct rounds *rounds, struct error *err)
{
	struct repair_job *job = rounds->job;
	struct session *session = &job->session;
	uint64_t nr_regions = session->opened.mirror.geometry.nr_regions;
	struct log_area area;
	int r;

	r = log_area_read(&area, session->engine, &session->opened.log->block, nr_regions, err);
	if (r)
		return r;
	log_area_free(&session->area);
	session->area = area;
	mirror_log_decode(&session->log, area.bytes, area.nr_bytes, nr_regions);
	r = online_check(&session->opened, &session->log, err);
	if (r)
		return r;
	repair_plan_free(&job->plan);
	free(job->edited);
	job->edited = NULL;
	return repair_job_plan(job, &rounds->remaining, err);
}

/* Adds what a round did to the job, and to its journal. `done`: all went well. */
static void take_outcome(struct rounds *rounds, const struct online_outcome *outcome, bool done)
{
	struct repair_job *job = rounds->job;
	uint64_t cleared = outcome->cleared.words ? bitmap_count(&outcome->cleared) : 0;
	uint64_t from = 0, first, last;

	job->hung = job->hung || outcome->hung;
	if (outcome->suspended_ns > job->rounds.suspended_ns) {
		job->rounds.suspended_ns = outcome->suspended_ns;
		job->rounds.suspend_call_ns = outcome->suspend_call_ns;
	}
	if (outcome->suspended_ns)
		job->rounds.nr++;
	if (!cleared)
		return;
	job->cleared += cleared;
	job->state = REPAIR_CLEARED;
	/* The bits are cleared; that this could not be noted costs the undo alone,
	 * which a mirror that runs on does not allow anyway. */
	repair_files_note_cleared(&rounds->files, &outcome->cleared, NULL);
	for (; bitmap_next_run(&outcome->cleared, true, from, &first, &last); from = last + 1) {
		bitmap_set_run(&job->done, first, last);
		bitmap_clear_run(&rounds->remaining, first, last);
	}
	repair_job_log_action(job, cleared, done);
}

/* The saved digests, read back from the disk: what will be compared is what is kept. */
static int read_back(const struct rounds *rounds, struct undo_journal *kept, struct error *err)
{
	struct journal_input input;
	uint64_t cut_at;
	int r = journal_input_open(&input, rounds->files.journal.path, err);

	if (r)
		return r;
	r = undo_journal_read(kept, &input.source, &cut_at, err);
	journal_input_close(&input);
	return r;
}

/* What was written down tells more than the audit before it: a region whose legs are
 * equal by now lies no more, one that cannot be read whole can never be proven. */
static void sort_out(struct rounds *rounds, const struct undo_journal *kept,
		     struct bitmap *wanted)
{
	for (size_t i = 0; i < kept->nr_regions; i++) {
		const struct journal_region *region = &kept->regions[i];
		bool known = true, equal = true;

		for (unsigned int leg = 0; leg < region->nr_legs; leg++) {
			known = known && !journal_digest_is_unknown(region->digest[leg]);
			equal = equal && !memcmp(region->digest[leg], region->digest[0],
						 JOURNAL_DIGEST_BYTES);
		}
		if (known && !equal) {
			bitmap_set(wanted, region->region);
			continue;
		}
		bitmap_clear(&rounds->remaining, region->region);
		if (known)
			bitmap_clear(&rounds->job->lies, region->region);
	}
}

static int suspend_and_clear(struct rounds *rounds, const struct undo_journal *kept,
			     struct error *err)
{
	struct repair_job *job = rounds->job;
	struct online_outcome outcome = { 0 };
	struct bitmap wanted;
	struct online_round round = {
		.opened = &job->session.opened, .engine = job->session.engine,
		.wanted = &wanted, .digests = kept->regions, .nr_digests = kept->nr_regions,
		.max_suspend_ms = (unsigned int)job->words->max_suspend_ms,
		.run_directory = RUN_DIRECTORY, .step = tell_step, .context = rounds,
	};
	int r = 0;

	if (bitmap_alloc(&wanted, job->session.opened.mirror.geometry.nr_regions))
		return error_operation(err, ENOMEM, "not enough memory; nothing was suspended");
	sort_out(rounds, kept, &wanted);
	if (bitmap_count(&wanted)) {
		r = online_round_run(&outcome, &round, err);
		rounds->in_doubt = r && outcome.suspended_ns;
		take_outcome(rounds, &outcome, !r);
	}
	if (!outcome.hung) {
		online_outcome_free(&outcome);
		bitmap_free(&wanted);
	}
	return r;
}

static int run_round(struct rounds *rounds, struct error *err)
{
	struct repair_job *job = rounds->job;
	struct undo_journal kept = { 0 };
	uint64_t before = job->cleared;
	int r = plan_round(rounds, err);

	if (r || !job->plan.nr_clear)
		return r ? r : -EAGAIN;	/* all of them are being written right now */
	r = repair_files_create(&rounds->files, rounds->directory, job->words->save_divergent,
				rounds->nr_saved + 1, job->session.opened.mirror.name, err);
	if (!r)
		r = repair_job_write_down(job, &rounds->files, &rounds->recorded, err);
	if (!r)
		r = read_back(rounds, &kept, err);
	if (!r)
		r = suspend_and_clear(rounds, &kept, err);
	undo_journal_free(&kept);
	if (job->cleared == before && !rounds->in_doubt) {	/* they protect nothing */
		repair_files_discard(&rounds->files);
	} else {
		free(job->journal);
		job->journal = strdup(rounds->files.journal.path);
		job->recorded.saved_sectors += rounds->recorded.saved_sectors;
		job->recorded.unreadable_regions += rounds->recorded.unreadable_regions;
		rounds->nr_saved += rounds->files.saved.path != NULL;
	}
	repair_files_close(&rounds->files);
	return r;
}

/* --- afterwards ------------------------------------------------------------------ */

/* An error during the copying shows in a letter and nowhere else. */
static void note_health(struct repair_job *job, const struct mirror_sample *sample)
{
	struct finding_list *findings = &job->session.findings;

	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (sample->leg_health[leg] && sample->leg_health[leg] != 'A')
			finding_add(findings, FINDING_HEALTH_LEG, "leg %u: '%c', after the repair",
				    leg, sample->leg_health[leg]);
	if (sample->log_health && sample->log_health != 'A')
		finding_add(findings, FINDING_HEALTH_LOG, "log: '%c', after the repair",
			    sample->log_health);
}

/* After a round that failed under its suspend: on stderr, as there may be no report. */
static void note_health_now(struct repair_job *job)
{
	struct mirror_sample sample;

	mirror_sample(&job->session.opened, &sample);
	note_health(job, &sample);
	if (sample.log_health && sample.log_health != 'A')
		fprintf(stderr, "mirrorctl: %s: its log has failed ('%c'), so since the resume the kernel copies leg 0 over the others everywhere\n",
			job->session.opened.mirror.name, sample.log_health);
}

static bool has_letter(const struct repair_job *job, const struct mirror_sample *sample)
{
	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (sample->leg_health[leg] && sample->leg_health[leg] != 'A')
			return true;
	return sample->log_health && sample->log_health != 'A';
}

/* The kernel copies what was cleared, or gives up (job->rounds.in_sync is then false).
 * -ECANCELED when the user does not wait. */
static int follow_recovery(struct repair_job *job, struct error *err)
{
	const struct mirror *mirror = &job->session.opened.mirror;
	struct audit_progress at = { .total_sectors = mirror->geometry.length };
	struct mirror_sample sample;
	struct progress progress;
	uint64_t first = UINT64_MAX, last = UINT64_MAX, moved_ns = clock_now_ns();
	int r = 0;

	progress_start(&progress, &job->words->report);
	job->rounds.in_sync = false;
	while (!r && !job->rounds.in_sync) {
		mirror_sample(&job->session.opened, &sample);
		if (!sample.status_known) {
			r = error_operation(err, ENODEV, "%s cannot be watched any more: %s; see dmsetup status",
					    mirror->name, sample.reason);
			break;
		}
		if (first == UINT64_MAX)
			first = sample.in_sync;
		if (sample.in_sync != last)
			moved_ns = clock_now_ns();
		last = sample.in_sync;
		job->rounds.in_sync = sample.in_sync == mirror->geometry.nr_regions;
		at.done_sectors = sample.in_sync * mirror->geometry.region_size;
		if (at.done_sectors > at.total_sectors)
			at.done_sectors = at.total_sectors;
		at.bytes_per_leg = (sample.in_sync - (first < sample.in_sync ? first : sample.in_sync)) *
				   mirror->geometry.region_size * SECTOR_BYTES;
		progress_show(&progress, &at, signals_status_wanted());
		if (!job->rounds.in_sync && has_letter(job, &sample) &&
		    clock_now_ns() - moved_ns > STUCK_NS)
			break;
		if (!job->rounds.in_sync && signals_stop_wanted())
			r = error_operation(err, ECANCELED, "%s: %" PRIu64 " bits are cleared and the kernel copies on by itself; dmsetup status shows it",
					    mirror->name, job->cleared);
		else if (!job->rounds.in_sync)
			clock_hook_sleep(NULL, FOLLOW_MS);
	}
	progress_end(&progress);
	if (!r)
		note_health(job, &sample);
	return r;
}

/* Reads the log anew: the bits that the audit before knew are of before the repair. */
static int read_log_again(struct session *session, struct error *err)
{
	uint64_t nr_regions = session->opened.mirror.geometry.nr_regions;
	struct log_area area;
	int r = log_area_read(&area, session->engine, &session->opened.log->block, nr_regions, err);

	if (r)
		return r;
	log_area_free(&session->area);
	session->area = area;
	mirror_log_decode(&session->log, area.bytes, area.nr_bytes, nr_regions);
	return 0;
}

/* Looks at the cleared regions once: how many are not known to be equal? */
static int audit_once(struct repair_job *job, struct error *err)
{
	struct comparison again = { .selected = &job->done };
	const uint64_t *count = again.result.regions.count;
	int r = read_log_again(&job->session, err);

	if (!r)
		r = comparison_run(&again, &job->session, &job->words->report, err);
	job->hung = job->hung || again.result.hung;
	if (!r)
		job->rounds.differing_after = count[VERDICT_SUSPECT] + count[VERDICT_BOGUS_CLEAN] +
			count[VERDICT_RESYNC_PENDING] + count[VERDICT_UNVERIFIABLE];
	comparison_free(&again);
	return r;
}

/* Were they really copied? What is just being written is not clean and differs, too: a
 * few more looks tell. */
static int audit_cleared(struct repair_job *job, struct error *err)
{
	int r = 0;

	for (unsigned int look = 0; look < AUDITS_MAX && !r; look++) {
		if (look)
			clock_hook_sleep(NULL, PAUSE_MS / 4);
		r = audit_once(job, err);
		if (!job->rounds.differing_after || signals_stop_wanted())
			break;
	}
	if (!r && job->rounds.differing_after)
		finding_add(&job->session.findings, FINDING_UNVERIFIABLE,
			    "%llu cleared regions are not known to be equal after the kernel's copying",
			    (unsigned long long)job->rounds.differing_after);
	return r;
}

/* --- all rounds ------------------------------------------------------------------ */

static int prepare(struct rounds *rounds, struct error *err)
{
	struct repair_job *job = rounds->job;
	uint64_t nr_regions = job->session.opened.mirror.geometry.nr_regions;
	int r;

	r = online_check(&job->session.opened, &job->session.log, err);
	if (r)
		return r;
	if (bitmap_alloc(&rounds->remaining, nr_regions) || bitmap_alloc(&job->done, nr_regions))
		return error_operation(err, ENOMEM, "not enough memory for %" PRIu64 " regions; nothing was changed",
				       nr_regions);
	memcpy(rounds->remaining.words, job->lies.words, bitmap_bytes(nr_regions));
	r = repair_job_identify(job, err);
	if (!r)
		r = state_directory(&rounds->directory, job->words->write.state_dir, err);
	if (!r)
		r = repair_files_check(rounds->directory, job->words->save_divergent,
				       &job->session.opened, &job->place_warning, err);
	return r;
}

static int next_round(struct rounds *rounds, struct error *err)
{
	struct error why = { 0 };
	uint64_t before = rounds->job->cleared;
	int r = run_round(rounds, &why);

	if (r == -EAGAIN && rounds->pauses++ < PAUSES_MAX && !signals_stop_wanted()) {
		clock_hook_sleep(NULL, PAUSE_MS);
		return 0;
	}
	if (r && rounds->in_doubt)
		note_health_now(rounds->job);
	if (r == -EAGAIN && !*why.text)
		error_operation(&why, EAGAIN, "%s: the regions are being written all the time: try again later, or repair it while it is inactive",
				rounds->job->session.opened.mirror.name);
	if (r)
		*err = why;
	if (!r && rounds->job->cleared == before)
		clock_hook_sleep(NULL, PAUSE_MS);
	if (!r || rounds->job->cleared != before) {
		int followed = follow_recovery(rounds->job, r ? NULL : err);

		r = r ? r : followed;
	}
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

int repair_job_apply_online(struct repair_job *job, struct error *err)
{
	struct rounds rounds = { .job = job };
	int r = prepare(&rounds, err);

	job->rounds.in_sync = true;
	while (!r && job->rounds.in_sync && bitmap_count(&rounds.remaining) &&
	       job->rounds.nr < ROUNDS_MAX)
		r = next_round(&rounds, err);
	if (!r && job->cleared)
		r = audit_cleared(job, err);
	if (!r)
		note_nothing(job);
	bitmap_free(&rounds.remaining);
	free(rounds.directory);
	return r;
}
