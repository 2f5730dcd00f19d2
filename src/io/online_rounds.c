/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/online_rounds.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log_area.h"
#include "core/region_reading.h"
#include "core/repair.h"
#include "core/undo.h"
#include "io/marker.h"
#include "io/online_private.h"
#include "io/watch.h"

#define ROUNDS_MAX 10u
/* A round that was put off because legs are slow, or bits are just being written. */
#define PAUSE_MS 2000u
#define PAUSES_MAX 30u
#define FOLLOW_MS 200u
/* A region that the kernel gave up is never tried again before the next resume. */
#define STUCK_NS UINT64_C(5000000000)

struct run {
	const struct online_repair *repair;
	struct online_rounds *rounds;
	struct bitmap *lies;
	struct bitmap remaining;	/* lies not cleared yet */
	unsigned int pauses;
	unsigned int nr_files;		/* rounds whose files were kept */
};

/* One round, before, under and behind its suspend. */
struct round {
	struct run *run;
	struct log_area area;
	struct mirror_log log;
	struct repair_plan plan;
	void *edited;
	struct repair_files files;
	struct repair_recorded recorded;
	struct undo_journal kept;	/* the journal, read back from the disk */
	bool keep_files;		/* bits were cleared, or may be */
	bool in_doubt;			/* it failed after its suspend */
};

static const struct mirror *mirror_of(const struct run *run)
{
	return &run->repair->opened->mirror;
}

static bool stop_wanted(const struct run *run)
{
	return run->repair->hooks.stop_wanted(run->repair->hooks.context);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);		/* a signal may end it: all is looked at anew then */
}

/* --- a round: before the suspend --------------------------------------------- */

/* The log as it is now, and what is to be cleared of it. */
static int plan_round(struct round *round, struct error *err)
{
	const struct run *run = round->run;
	struct opened_mirror *opened = run->repair->opened;
	const struct region_geometry *geometry = &opened->mirror.geometry;
	int r;

	r = log_area_renew(&round->area, &round->log, run->repair->engine, &opened->log->block,
			   geometry->nr_regions, err);
	run->rounds->hung = run->rounds->hung || r == -ETIMEDOUT;
	if (!r)
		r = online_check(opened, &round->log, err);
	if (r)
		return r;
	r = repair_plan_make(&round->plan, &round->log, geometry, &run->remaining,
			     opened->log->block.block_sectors);
	if (!r)
		round->edited = repair_plan_edited(&round->plan, run->repair->engine,
						   round->area.bytes, round->area.nr_bytes);
	if (!round->edited)
		return error_operation(err, ENOMEM, "%s: not enough memory; nothing was suspended",
				       opened->mirror.name);
	return 0;
}

/* What is being written down protects nothing yet. */
static int poll_stop(void *context, uint64_t regions_done)
{
	(void)regions_done;
	return stop_wanted(context) ? -ECANCELED : 0;
}

static int write_down(struct round *round, struct error *err)
{
	struct run *run = round->run;
	const struct online_repair *repair = run->repair;
	const struct repair_record record = {
		.identity = repair->identity, .regions = &round->plan.clear,
		.current = round->area.bytes, .edited = round->edited,
		.area_bytes = round->area.nr_bytes, .block_sectors = round->plan.block_sectors,
		.engine = repair->engine, .poll = poll_stop, .context = run,
	};
	int r = repair_files_create(&round->files, repair->directory, repair->saved,
				    run->nr_files + 1, mirror_of(run)->name, err);

	if (!r)
		r = repair_files_write(&round->files, &round->recorded, &record, repair->opened,
				       err);
	run->rounds->hung = run->rounds->hung || round->recorded.hung;
	return r;
}

/* The saved digests, read back from the disk: what will be compared is what is kept. */
static int read_back(struct round *round, struct error *err)
{
	struct journal_input input;
	uint64_t cut_at;
	int r = journal_input_open(&input, round->files.journal.path, err);

	if (r)
		return r;
	r = undo_journal_read(&round->kept, &input.source, &cut_at, err);
	journal_input_close(&input);
	return r;
}

/* What was written down tells more than the audit before it: a region whose legs are
 * equal by now lies no more, one that cannot be read whole can never be proven. */
static void sort_out(struct round *round, struct bitmap *wanted)
{
	struct run *run = round->run;

	for (size_t i = 0; i < round->kept.nr_regions; i++) {
		const struct journal_region *kept = &round->kept.regions[i];
		enum region_legs legs = region_digests_compare(kept);

		if (legs == REGION_LEGS_DIFFER) {
			bitmap_set(wanted, kept->region);
			continue;
		}
		bitmap_clear(&run->remaining, kept->region);
		if (legs == REGION_LEGS_EQUAL)
			bitmap_clear(run->lies, kept->region);
	}
}

/* --- a round: the suspend ------------------------------------------------------ */

/* What happens inside a round is told outside of its suspend. */
static void tell_step(void *context, enum online_step step)
{
	const struct run *run = context;
	const struct online_repair *repair = run->repair;
	char remedy[192];

	if (step != ONLINE_MARKED)
		return;
	marker_remedy(remedy, sizeof(remedy), watch_mapped_device(repair->opened->watch));
	repair->hooks.suspending(repair->hooks.context, remedy);
}

/* Adds what a round did to the whole, and to its journal. */
static void take_outcome(struct round *round, const struct online_outcome *outcome, bool done)
{
	struct run *run = round->run;
	struct online_rounds *rounds = run->rounds;
	uint64_t cleared = outcome->cleared.words ? bitmap_count(&outcome->cleared) : 0;
	uint64_t from = 0, first, last;

	rounds->hung = rounds->hung || outcome->hung;
	rounds->nr += outcome->suspended_ns != 0;
	if (outcome->suspended_ns > rounds->suspended_ns) {
		rounds->suspended_ns = outcome->suspended_ns;
		rounds->suspend_call_ns = outcome->suspend_call_ns;
	}
	round->in_doubt = !done && outcome->suspended_ns;
	round->keep_files = cleared || round->in_doubt;
	if (!cleared)
		return;
	rounds->nr_cleared += cleared;
	for (; bitmap_next_run(&outcome->cleared, true, from, &first, &last); from = last + 1) {
		bitmap_set_run(&rounds->cleared, first, last);
		bitmap_clear_run(&run->remaining, first, last);
	}
	/* The bits are cleared; that this could not be noted costs the undo alone,
	 * which a mirror that runs on does not allow anyway. */
	repair_files_note_cleared(&round->files, &outcome->cleared, NULL);
	run->repair->hooks.cleared(run->repair->hooks.context, cleared, done,
				   round->files.journal.path);
}

static int suspend_and_clear(struct round *round, struct error *err)
{
	const struct online_repair *repair = round->run->repair;
	struct online_outcome outcome = { 0 };
	struct bitmap wanted;
	const struct online_round parts = {
		.opened = repair->opened, .engine = repair->engine, .wanted = &wanted,
		.digests = round->kept.regions, .nr_digests = round->kept.nr_regions,
		.max_suspend_ms = repair->max_suspend_ms,
		.run_directory = repair->run_directory, .step = tell_step,
		.context = round->run,
	};
	int r = 0;

	if (bitmap_alloc(&wanted, repair->opened->mirror.geometry.nr_regions))
		return error_operation(err, ENOMEM, "%s: not enough memory; nothing was suspended",
				       repair->opened->mirror.name);
	sort_out(round, &wanted);
	if (bitmap_count(&wanted)) {
		r = online_round_run(&outcome, &parts, err);
		take_outcome(round, &outcome, !r);
	}
	if (!outcome.hung) {
		online_outcome_free(&outcome);
		bitmap_free(&wanted);
	}
	return r;
}

/* --- a round, whole -------------------------------------------------------------- */

static void keep_files(struct round *round)
{
	struct online_rounds *rounds = round->run->rounds;

	free(rounds->journal);
	rounds->journal = strdup(round->files.journal.path);
	rounds->recorded.saved_sectors += round->recorded.saved_sectors;
	rounds->recorded.unreadable_sectors += round->recorded.unreadable_sectors;
	rounds->recorded.unreadable_regions += round->recorded.unreadable_regions;
	round->run->nr_files++;
}

static void round_end(struct round *round)
{
	if (round->keep_files)
		keep_files(round);
	else			/* they protect nothing */
		repair_files_discard(&round->files);
	repair_files_close(&round->files);
	if (round->run->rounds->hung)
		return;
	undo_journal_free(&round->kept);
	repair_plan_free(&round->plan);
	free(round->edited);
	log_area_free(&round->area);
}

static void tell_failed(const struct run *run)
{
	struct mirror_sample *last = &run->rounds->last;

	mirror_sample(run->repair->opened, last);
	run->repair->hooks.failed(run->repair->hooks.context, last);
}

/* -EAGAIN, also without an error: it is put off. */
static int run_round(struct run *run, struct error *err)
{
	struct round round = { .run = run };
	int r = plan_round(&round, err);

	if (!r && !round.plan.nr_clear)
		r = -EAGAIN;	/* all of them are being written right now */
	if (!r)
		r = write_down(&round, err);
	if (!r)
		r = read_back(&round, err);
	if (!r)
		r = suspend_and_clear(&round, err);
	if (round.in_doubt)
		tell_failed(run);
	round_end(&round);
	return r;
}

/* --- between two rounds ------------------------------------------------------------ */

/* Has the kernel seen errors on a leg or the log? */
static bool has_letter(const struct mirror_sample *sample, unsigned int nr_legs)
{
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (sample->leg_health[leg] && sample->leg_health[leg] != 'A')
			return true;
	return sample->log_health && sample->log_health != 'A';
}

/* The kernel copies what was cleared, or gives up (rounds->in_sync is then false).
 * -ECANCELED when the user does not wait. */
static int follow(struct run *run, struct error *err)
{
	const struct online_hooks *hooks = &run->repair->hooks;
	const struct mirror *mirror = mirror_of(run);
	struct mirror_sample *now = &run->rounds->last;
	uint64_t first = UINT64_MAX, last = UINT64_MAX, moved_ns = online_now_ns();
	bool given_up = false;
	int r = 0;

	run->rounds->in_sync = false;
	while (!r) {
		mirror_sample(run->repair->opened, now);
		if (!now->status_known) {
			r = error_operation(err, ENODEV, "%s cannot be watched any more: %s; see dmsetup status",
					    mirror->name, now->reason);
			break;
		}
		if (first == UINT64_MAX)
			first = now->in_sync;
		if (now->in_sync != last)
			moved_ns = online_now_ns();
		last = now->in_sync;
		hooks->copying(hooks->context, first, now);
		run->rounds->in_sync = now->in_sync == mirror->geometry.nr_regions;
		given_up = has_letter(now, mirror->nr_legs) &&
			   online_now_ns() - moved_ns > STUCK_NS;
		if (run->rounds->in_sync || given_up)
			break;
		if (stop_wanted(run))
			r = error_operation(err, ECANCELED, "%s: %" PRIu64 " bits are cleared and the kernel copies on by itself; dmsetup status shows it",
					    mirror->name, run->rounds->nr_cleared);
		else
			sleep_ms(FOLLOW_MS);
	}
	hooks->copying(hooks->context, first, NULL);
	return r;
}

static int put_off_for_good(const struct run *run, struct error *why)
{
	const char *name = mirror_of(run)->name;

	if (!stop_wanted(run))
		return error_operation(why, EAGAIN, "%s: the regions are being written all the time: try again later, or repair it while it is inactive",
				       name);
	memset(why, 0, sizeof(*why));
	return error_operation(why, ECANCELED, "%s: interrupted while a round was put off", name);
}

static int next_round(struct run *run, struct error *err)
{
	struct error why = { 0 };
	uint64_t before = run->rounds->nr_cleared;
	int r = run_round(run, &why), followed = 0;
	bool cleared = run->rounds->nr_cleared != before;

	if (r == -EAGAIN)
		r = run->pauses++ < PAUSES_MAX && !stop_wanted(run) ? 0 :
		    put_off_for_good(run, &why);
	if (!r && !cleared)
		sleep_ms(PAUSE_MS);
	if (!r || cleared)
		followed = follow(run, r ? NULL : err);
	if (r && err)
		*err = why;
	return r ? r : followed;
}

int online_rounds_run(struct online_rounds *rounds, const struct online_repair *repair,
		      struct bitmap *lies, struct error *err)
{
	struct run run = { .repair = repair, .rounds = rounds, .lies = lies };
	uint64_t nr_regions = repair->opened->mirror.geometry.nr_regions;
	int r = 0;

	memset(rounds, 0, sizeof(*rounds));
	rounds->in_sync = true;
	if (bitmap_alloc(&run.remaining, nr_regions) || bitmap_alloc(&rounds->cleared, nr_regions)) {
		bitmap_free(&run.remaining);
		return error_operation(err, ENOMEM, "not enough memory for %" PRIu64 " regions; nothing was changed",
				       nr_regions);
	}
	memcpy(run.remaining.words, lies->words, bitmap_bytes(nr_regions));
	while (!r && rounds->in_sync && bitmap_count(&run.remaining) && rounds->nr < ROUNDS_MAX)
		r = next_round(&run, err);
	bitmap_free(&run.remaining);
	return r;
}

void online_rounds_free(struct online_rounds *rounds)
{
	free(rounds->journal);
	if (!rounds->hung)
		bitmap_free(&rounds->cleared);
	memset(rounds, 0, sizeof(*rounds));
}
