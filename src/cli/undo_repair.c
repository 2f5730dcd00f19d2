/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Undoing a repair: bits that it cleared are set again, where log and legs prove that they
 * may be. */

#include "cli/undo_job.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/signals.h"
#include "io/system_log.h"

/* --- what may come back --------------------------------------------------------- */

struct proving {
	struct undo_job *job;
	struct progress progress;
	uint64_t regions;
};

static int show_proving(void *context, uint64_t regions_done)
{
	struct proving *proving = context;
	uint64_t region_sectors = proving->job->session.opened.mirror.geometry.region_size;
	const struct audit_progress at = {
		.done_sectors = regions_done * region_sectors,
		.total_sectors = proving->regions * region_sectors,
		.bytes_per_leg = regions_done * region_sectors * SECTOR_BYTES,
	};

	progress_show(&proving->progress, &at, signals_status_wanted());
	return signals_stop_wanted() ? -ECANCELED : 0;
}

static int prove(struct undo_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	struct proving proving = { .job = job, .regions = bitmap_count(&job->journal.cleared) };
	struct block_device *legs[MIRROR_LEGS_MAX];
	int r;

	mirror_leg_devices(opened, legs);
	progress_start(&proving.progress, &job->words->report);
	r = undo_prove(&job->back, &job->refused, &job->journal, job->session.engine, legs,
		       opened->mirror.nr_legs, &opened->mirror.geometry, job->now, show_proving,
		       &proving, err);
	progress_end(&proving.progress);
	job->hung = job->hung || r == -ETIMEDOUT;
	if (r == -ECANCELED && signals_stop_wanted()) {
		job->state = UNDO_INTERRUPTED;
		return 0;
	}
	if (r)
		return r;
	job->nr_back = bitmap_count(&job->back);
	job->nr_refused = bitmap_count(&job->refused);
	job->state = job->nr_back ? UNDO_PLANNED : UNDO_NONE_PROVEN;
	return 0;
}

/* The area with the bits back. */
static int edit(struct undo_job *job, struct error *err)
{
	int r = undo_job_copy_area(job, err);

	if (r)
		return r;
	repair_undo_edit(job->target, job->before, job->journal.log_state.area_bytes, &job->back);
	undo_job_mark_sectors(job);
	return 0;
}

int undo_repair_plan(struct undo_job *job, struct error *err)
{
	struct error why = { 0 };
	enum undo_answer answer;
	int r = undo_examine(&answer, &job->before, &job->journal, job->now,
			     job->journal.log_state.area_bytes, &why);

	if (!r && answer == UNDO_REFUSED)
		r = -EPERM;
	if (r)
		return error_operation(err, -r, "%.100s: %.400s", job->session.opened.log->name, why.text);
	if (answer == UNDO_NOTHING) {
		job->state = UNDO_AS_BEFORE;
		return 0;
	}
	r = prove(job, err);
	if (!r && job->state == UNDO_PLANNED)
		r = edit(job, err);
	return r;
}

/* --- doing it --------------------------------------------------------------------- */

static void log_action(const struct undo_job *job, bool done)
{
	system_log_action("undo", "%s %" PRIu64 " clean bits of %s%s; journal %s",
			  done ? "set back" : "set out to set back", job->nr_back,
			  job->session.opened.mirror.name,
			  done ? "" : " and failed: any of them may be back", job->words->journal);
}

/* In the middle of writing: what is proven is proven, so any part of it is true. */
static int write_failed(const struct undo_job *job, int r, const struct error *why,
			struct error *err)
{
	if (job->step == REPAIR_NOT_BEGUN)
		return error_operation(err, -r, "%.400s", why->text);
	return error_operation(err, -r, "%.280s; each sector of the log is as it was or has its bits back, both of which is true; %s",
			       why->text, job->nr_refused ?
			       "a second undo may refuse what is left" :
			       "mirrorctl undo can be run again");
}

int undo_repair_apply(struct undo_job *job, struct error *err)
{
	struct error why = { 0 };
	int r = repair_undo_apply(job->session.engine, &job->session.opened.log->block, job->now,
				  job->target, job->nr_bytes, &job->step, &why);

	job->hung = job->hung || r == -ECANCELED;
	if (r == -ECANCELED && job->step == REPAIR_NOT_BEGUN) {
		job->state = UNDO_INTERRUPTED;
		return 0;
	}
	if (job->step != REPAIR_NOT_BEGUN)
		log_action(job, !r);
	if (r)
		return write_failed(job, r, &why, err);
	job->state = UNDO_DONE;
	return 0;
}
