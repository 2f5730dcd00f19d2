/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/undo_job.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/progress.h"
#include "cli/signals.h"
#include "io/state.h"

int undo_job_close(struct undo_job *job)
{
	if (!job->hung) {
		log_area_free(&job->again);
		free(job->target);
		bitmap_free(&job->back);
		bitmap_free(&job->refused);
	}
	undo_journal_free(&job->journal);
	identity_places_free(&job->places);
	bitmap_free(&job->sectors);
	free(job->before);
	free(job->identity);
	return session_close(&job->session, job->hung);
}

static int no_memory(const struct undo_job *job, struct error *err)
{
	return error_operation(err, ENOMEM, "%s: not enough memory to undo it; nothing was changed",
			       job->words->journal);
}

/* --- the journal -------------------------------------------------------------- */

/* 20261122T155704Z, as in the names of journals. */
static bool is_time(const char *text)
{
	static const char shape[] = "ddddddddTddddddZ";

	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	return true;
}

void undo_journal_time(char time[UNDO_TIME_MAX], const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot;
	struct stat st;
	struct tm tm;

	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		const char *at = dot + 1;

		if (!is_time(at))
			continue;
		snprintf(time, UNDO_TIME_MAX, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", at, at + 4, at + 6,
			 at + 9, at + 11, at + 13);
		return;
	}
	time[0] = '\0';
	if (!stat(path, &st) && gmtime_r(&st.st_mtime, &tm))
		strftime(time, UNDO_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static bool is_empty(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !st.st_size;
}

int undo_job_read(struct undo_job *job, struct error *err)
{
	const char *path = job->words->journal;
	struct journal_input input;
	struct error why = { 0 };
	int r = journal_input_open(&input, path, err);

	if (r)
		return r;
	r = undo_journal_read(&job->journal, &input.source, &job->cut_at, &why);
	journal_input_close(&input);
	undo_journal_time(job->time, path);
	if (r == -ENODATA && is_empty(path))
		return error_operation(err, EBADMSG, "%s is empty, and no journal; nothing was changed",
				       path);
	if (r == -ENODATA) {
		job->state = UNDO_NEVER_WRITTEN;
		return 0;
	}
	if (r)
		return error_operation(err, -r, "%.400s; nothing was changed", why.text);
	if (job->journal.open)
		return error_usage(err, "%s is of a resync, which cannot be undone yet; mirrorctl extract gives back what it has kept of the legs; nothing was changed",
				   path);
	if (!job->journal.has_log)
		return error_usage(err, "%s holds saved sectors of legs and no change of a log: mirrorctl extract gives them back; nothing was changed",
				   path);
	return 0;
}

/* --- its mirror ---------------------------------------------------------------- */

static bool names_a_mirror(const struct mirror_operand *operand)
{
	return operand->name || operand->nr_legs || operand->log || operand->table;
}

/* Without words of the user's the journal says where the mirror was. */
static int choose_places(struct undo_job *job, struct error *err)
{
	struct mirror_operand *operand = &job->mirror.operand;
	struct error why = { 0 };
	int r;

	job->mirror = job->words->mirror;
	opts_write_access(operand, &job->words->write, MIRROR_REPAIR);
	if (names_a_mirror(operand))
		return 0;
	if (operand->region_size || operand->length || operand->segment || operand->nr_device_maps)
		return error_usage(err, "say which mirror is meant with --leg and --log too, or leave it all to the journal");
	r = identity_places_parse(&job->places, job->journal.identity, &why);
	if (r)
		return error_operation(err, -r, "%.200s: %.280s", job->words->journal, why.text);
	job->places.operand.access = operand->access;
	job->places.operand.hold_vg_lock = operand->hold_vg_lock;
	*operand = job->places.operand;
	return 0;
}

/* "… is in use by the active mirror m: ", "vg/home is active: " and then advice that is
 * not an undo's. */
static int refuse_active(const char *text, struct error *err)
{
	const char *at = strstr(text, "in use by the active mirror ");
	const char *end;

	if (!at)
		at = strstr(text, " is active: ");
	end = at ? strchr(at, ':') : NULL;

	if (!end)
		return error_operation(err, EBUSY, "%s", text);
	return error_operation(err, EBUSY, "%.*s: the kernel has used the log since the repair; deactivate the mirror, and undo will look whether anything can still be put back; nothing was changed",
			       (int)(end - text < 250 ? end - text : 250), text);
}

static int open_failed(struct undo_job *job, int r, const struct error *why, struct error *err)
{
	job->hung = r == -ETIMEDOUT;
	if (r == -EBUSY)
		return refuse_active(why->text, err);
	if (job->places.json && (!job->places.lv[0] || r == -ENXIO))
		return error_operation(err, -r, "%.330s; that is where the mirror was at the repair: if it is elsewhere now, name it with --leg, --log and --region-size; nothing was changed",
				       why->text);
	*err = *why;
	return r;
}

static int check_mirror(const struct undo_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	int r;

	if (opened->mirror.activity != MIRROR_INACTIVE)
		return error_operation(err, EBUSY, "%s is active: the kernel has used the log since the repair; deactivate the mirror, and undo will look with --leg and --log whether anything can still be put back; nothing was changed",
				       opened->mirror.name);
	r = session_check_legs(&job->session, "undo compares", err);
	return r ? r : session_check_log(&job->session, "there are no bits on disk to put back; nothing was changed",
					 err);
}

/* Nothing overrides this: bits of one mirror say nothing about another. */
static int check_identity(struct undo_job *job, const struct identity *journalled,
			  struct error *err)
{
	struct identity found;
	char why[256];
	int r = mirror_identify(&found, &job->session.opened, job->session.engine, err);

	job->hung = job->hung || r == -ETIMEDOUT;
	if (r)
		return r;
	if (!identity_matches(journalled, &found, why, sizeof(why)))
		return error_operation(err, ESTALE, "%.150s is of another mirror than %.80s, or the mirror has changed since: %.150s; nothing overrides this, and nothing was changed",
				       job->words->journal, job->session.opened.mirror.name, why);
	return mirror_identity_json(&job->identity, &found, &job->session.opened) ?
	       no_memory(job, err) : 0;
}

int undo_job_open(struct undo_job *job, struct error *err)
{
	struct identity journalled;
	struct error why = { 0 };
	int r;

	r = identity_from_json(&journalled, job->journal.identity, &why);
	if (r)
		return error_operation(err, -r, "%.200s: %.280s", job->words->journal, why.text);
	r = choose_places(job, err);
	if (r)
		return r;
	r = session_open(&job->session, &job->mirror, &job->words->report, &why);
	if (r)
		return open_failed(job, r, &why, err);
	job->opened = true;
	r = check_mirror(job, err);
	return r ? r : check_identity(job, &journalled, err);
}

/* --- what may come back --------------------------------------------------------- */

/* The area that the journal speaks of. A device with smaller blocks than the one of
 * the repair (copies!) was read less far, one with larger blocks farther. */
static int find_area(struct undo_job *job, struct error *err)
{
	const struct journal_log_state *state = &job->journal.log_state;
	struct block_device *log = &job->session.opened.log->block;
	struct log_area *area = &job->session.area;
	int r;

	job->block_sectors = log->block_sectors ? log->block_sectors : 1;
	if (area->nr_bytes < state->area_bytes) {
		r = log_area_read(&job->again, job->session.engine, log,
				  (state->area_bytes - MIRROR_LOG_BITS_OFFSET) * 8, err);
		job->hung = job->hung || r == -ETIMEDOUT;
		if (r)
			return r;
		area = &job->again;
	}
	if (area->nr_bytes < state->area_bytes)
		return error_operation(err, EPERM, "%s holds %" PRIu64 " bytes of the log and held %" PRIu64
				       " at the repair: it has become smaller or is another one; nothing was changed",
				       log->name, area->nr_bytes, state->area_bytes);
	job->now = area->bytes;
	job->nr_bytes = area->nr_bytes;
	return 0;
}

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

/* The area with the bits back, and which of the log's blocks that changes. */
static int edit(struct undo_job *job, struct error *err)
{
	uint64_t block_bytes = (uint64_t)job->block_sectors * SECTOR_BYTES;

	job->target = block_memory(job->session.engine, job->nr_bytes);
	if (!job->target || bitmap_alloc(&job->sectors, job->nr_bytes / SECTOR_BYTES))
		return no_memory(job, err);
	memcpy(job->target, job->now, job->nr_bytes);
	repair_undo_edit(job->target, job->before, job->journal.log_state.area_bytes, &job->back);
	for (uint64_t at = 0; at + block_bytes <= job->nr_bytes; at += block_bytes)
		if (memcmp((char *)job->now + at, (char *)job->target + at, block_bytes))
			bitmap_set_run(&job->sectors, at / SECTOR_BYTES,
				       (at + block_bytes) / SECTOR_BYTES - 1);
	return 0;
}

int undo_job_plan(struct undo_job *job, struct error *err)
{
	struct error why = { 0 };
	enum undo_answer answer;
	int r;

	r = find_area(job, err);
	if (!r)
		r = undo_examine(&answer, &job->before, &job->journal, job->now,
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

int undo_job_apply(struct undo_job *job, struct error *err)
{
	struct error why = { 0 };
	int r = session_check_unchanged(&job->session, err);

	if (r)
		return r;
	r = repair_undo_apply(job->session.engine, &job->session.opened.log->block, job->now,
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
	return session_check_after(&job->session, "its bits were put back", err);
}
