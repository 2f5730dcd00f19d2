/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Undoing a resync: bits that it set are cleared, and behind them what it overwrote goes
 * back to the legs, if it was kept (core/restore.h). */

#include "cli/undo_job.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/signals.h"
#include "io/system_log.h"

#define LOOK_NS UINT64_C(1000000000)	/* between two looks whether the mirror is unchanged */

/* --- going over what was kept ------------------------------------------------------ */

struct watching {
	struct undo_job *job;
	struct progress progress;
	uint64_t looked_ns;
};

static int watch(void *context, uint64_t done_sectors)
{
	struct watching *watching = context;
	struct undo_job *job = watching->job;
	struct audit_progress at = {
		.done_sectors = done_sectors < job->kept_sectors ? done_sectors : job->kept_sectors,
		.total_sectors = job->kept_sectors,
		.bytes_per_leg = done_sectors * SECTOR_BYTES,
	};
	uint64_t now = clock_now_ns();

	progress_show(&watching->progress, &at, signals_status_wanted());
	if (now - watching->looked_ns >= LOOK_NS) {
		watching->looked_ns = now;
		if (!session_unchanged(&job->session, false, job->change, sizeof(job->change)))
			return -ESTALE;
	}
	return signals_stop_wanted() ? -ECANCELED : 0;
}

static void describe(struct watching *watching, struct restore_input *input)
{
	struct undo_job *job = watching->job;
	const struct opened_mirror *opened = &job->session.opened;

	*input = (struct restore_input){
		.engine = job->session.engine, .nr_legs = opened->mirror.nr_legs,
		.geometry = opened->mirror.geometry, .undo = &job->journal,
		.source = &job->input.source, .poll = watch, .context = watching,
	};
	mirror_leg_devices(opened, input->legs);
	watching->looked_ns = clock_now_ns();
}

/* --- what there is to do -------------------------------------------------------------- */

static int examine(struct undo_job *job, struct error *err)
{
	struct watching watching = { .job = job };
	struct restore_input input;
	struct error why = { 0 };
	int r;

	describe(&watching, &input);
	progress_start(&watching.progress, &job->words->report);
	r = restore_examine(&job->restore, &input, &why);
	progress_end(&watching.progress);
	job->hung = job->hung || job->restore.hung;
	if (r == -ECANCELED && signals_stop_wanted())
		return r;
	if (r && *job->change)
		return error_operation(err, ESTALE, "%s has changed while its legs were read (%s): run it again; nothing was changed",
				       job->session.opened.mirror.name, job->change);
	return r ? error_operation(err, -r, "%.400s; nothing was changed", why.text) : 0;
}

static int choose_bits(struct undo_job *job, struct error *err)
{
	uint64_t nr_regions = job->session.opened.mirror.geometry.nr_regions;
	struct mirror_log log;
	int r;

	mirror_log_decode(&log, job->now, job->nr_bytes, nr_regions);
	r = restore_bits(&job->clear, &job->journal, &log, &job->restore.regions);
	if (r == -EINVAL)
		return error_operation(err, EINVAL, "%s has %" PRIu64 " regions and had %" PRIu64 " at the resync: it was changed or is another one; nothing was changed",
				       job->session.opened.mirror.name, nr_regions,
				       job->journal.log_state.nr_regions);
	if (r)
		return undo_job_no_memory(job, err);
	job->nr_clear = bitmap_count(&job->clear);
	r = undo_job_copy_area(job, err);
	if (r)
		return r;
	restore_edit(job->target, &job->clear);
	undo_job_mark_sectors(job);
	return 0;
}

static bool any(const struct bitmap *regions)
{
	return regions->words && bitmap_next_set(regions, 0) < regions->nr_bits;
}

/* What an undo that was killed has put back may not have reached the disks. */
static int settle(struct undo_job *job, struct error *err)
{
	struct watching watching = { .job = job };
	struct restore_input input;
	int r;

	if (job->words->write.dry_run || !job->kept_sectors)
		return 0;
	describe(&watching, &input);
	r = restore_settle(&job->restore, &input, err);
	job->hung = job->hung || job->restore.hung;
	return r;
}

int undo_resync_plan(struct undo_job *job, struct error *err)
{
	const struct restore *restore = &job->restore;
	int r = job->kept_sectors ? examine(job, err) : 0;

	if (r == -ECANCELED) {
		job->state = UNDO_INTERRUPTED;
		return 0;
	}
	if (!r)
		r = choose_bits(job, err);
	if (r)
		return r;
	if (job->nr_clear || any(&restore->regions)) {
		job->state = UNDO_PLANNED;
		return 0;
	}
	job->state = any(&restore->refused) || any(&restore->unreadable) ? UNDO_NONE_PROVEN :
									   UNDO_AS_BEFORE;
	return settle(job, err);
}

/* --- doing it ---------------------------------------------------------------------------- */

static uint64_t put_back_bytes(const struct undo_job *job)
{
	uint64_t sectors = 0;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		sectors += job->restore.legs[leg].put_back;
	return sectors * SECTOR_BYTES;
}

static void log_action(const struct undo_job *job, const char *how)
{
	system_log_action("undo", "%s %" PRIu64 " bits of %s that a resync had set, and put back %" PRIu64 " bytes of its legs; journal %s",
			  how, job->nr_clear, job->session.opened.mirror.name,
			  put_back_bytes(job), job->words->journal);
}

/* Whatever was done is safe: no bit is set by an undo of a resync. */
static int apply_failed(const struct undo_job *job, int r, const struct error *why,
			struct error *err)
{
	const char *text = *job->change ? job->change : why->text;

	switch (job->restore_step) {
	case RESTORE_NOT_BEGUN:
		return error_operation(err, -r, "%.400s", text);
	case RESTORE_LOG:
		return error_operation(err, -r, "%.300s; each sector of the log is as it was or has its bits cleared, both of which is true; no leg was written: run it again",
				       text);
	default:
		return error_operation(err, -r, "%.300s; the bits are cleared, and some of what was kept is back: run it again",
				       text);
	}
}

int undo_resync_apply(struct undo_job *job, struct error *err)
{
	const struct restore_log log = {
		.device = &job->session.opened.log->block, .now = job->now,
		.target = job->target, .nr_bytes = job->nr_bytes,
	};
	struct watching watching = { .job = job };
	struct restore_input input;
	struct error why = { 0 };
	int r;

	describe(&watching, &input);
	progress_start(&watching.progress, &job->words->report);
	r = restore_apply(&job->restore, &input, &log, &job->restore_step, &why);
	progress_end(&watching.progress);
	job->hung = job->hung || job->restore.hung || job->session.engine->in_flight;
	if (job->restore_step != RESTORE_NOT_BEGUN)
		log_action(job, !r ? "cleared" : "was ended while it cleared");
	if (r == -ECANCELED && signals_stop_wanted()) {
		job->state = job->restore_step == RESTORE_NOT_BEGUN ? UNDO_INTERRUPTED :
								      UNDO_STOPPED;
		return 0;
	}
	if (r)
		return apply_failed(job, r, &why, err);
	job->state = UNDO_DONE;
	return 0;
}
