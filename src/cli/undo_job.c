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

#include "io/state.h"

int undo_job_close(struct undo_job *job)
{
	if (!job->hung) {
		log_area_free(&job->again);
		free(job->target);
		bitmap_free(&job->back);
		bitmap_free(&job->refused);
		bitmap_free(&job->clear);
		restore_free(&job->restore);
	}
	journal_input_close(&job->input);
	undo_journal_free(&job->journal);
	identity_places_free(&job->places);
	bitmap_free(&job->sectors);
	free(job->before);
	free(job->identity);
	return session_close(&job->session, job->hung);
}

int undo_job_no_memory(const struct undo_job *job, struct error *err)
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
	struct error why = { 0 };
	int r = journal_input_open(&job->input, path, err);

	if (r)
		return r;
	r = undo_journal_read(&job->journal, &job->input.source, &job->cut_at, &why);
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
	if (!job->journal.has_log)
		return error_usage(err, "%s holds saved sectors of legs and no change of a log: mirrorctl extract gives them back; nothing was changed",
				   path);
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		job->kept_sectors += job->journal.overwritten[leg];
	return 0;
}

const char *undo_job_of(const struct undo_job *job)
{
	return job->journal.open ? "resync" : "repair";
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
	opts_write_access(operand, &job->words->write,
			  job->kept_sectors ? MIRROR_WRITE : MIRROR_REPAIR);
	if (names_a_mirror(operand))
		return 0;
	if (operand->region_size || operand->length || operand->segment || operand->nr_device_maps)
		return error_usage(err, "say which mirror is meant with --leg and --log too, or leave it all to the journal");
	r = identity_places_parse(&job->places, job->journal.identity, &why);
	if (r)
		return error_operation(err, -r, "%.200s: %.280s", job->words->journal, why.text);
	job->places.operand.access = operand->access;
	job->places.operand.rehearsal = operand->rehearsal;
	job->places.operand.hold_vg_lock = operand->hold_vg_lock;
	*operand = job->places.operand;
	return 0;
}

/* "… is in use by the active mirror m: ", "vg/home is active: " and then advice that is
 * not an undo's. */
static int refuse_active(const struct undo_job *job, const char *text, struct error *err)
{
	const char *at = strstr(text, "in use by the active mirror ");
	const char *end;

	if (!at)
		at = strstr(text, " is active: ");
	end = at ? strchr(at, ':') : NULL;
	if (!end)
		return error_operation(err, EBUSY, "%s", text);
	return error_operation(err, EBUSY, "%.*s: the kernel has used the log since the %s; deactivate the mirror, and undo will look whether anything can still be put back; nothing was changed",
			       (int)(end - text < 250 ? end - text : 250), text,
			       undo_job_of(job));
}

static int open_failed(struct undo_job *job, int r, const struct error *why, struct error *err)
{
	job->hung = r == -ETIMEDOUT;
	if (r == -EBUSY)
		return refuse_active(job, why->text, err);
	if (job->places.json && (!job->places.lv[0] || r == -ENXIO))
		return error_operation(err, -r, "%.330s; that is where the mirror was at the %s: if it is elsewhere now, name it with --leg, --log and --region-size; nothing was changed",
				       why->text, undo_job_of(job));
	*err = *why;
	return r;
}

static int check_mirror(const struct undo_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	int r;

	if (opened->mirror.activity != MIRROR_INACTIVE)
		return error_operation(err, EBUSY, "%s is active: the kernel has used the log since the %s; deactivate the mirror, and undo will look with --leg and --log whether anything can still be put back; nothing was changed",
				       opened->mirror.name, undo_job_of(job));
	r = session_check_legs(&job->session, "undo compares", err);
	return r ? r : session_check_log(&job->session, "there are no bits on disk to put back; nothing was changed",
					 err);
}

/* --- the log --------------------------------------------------------------------- */

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
				       " at the %s: it has become smaller or is another one; nothing was changed",
				       log->name, area->nr_bytes, state->area_bytes,
				       undo_job_of(job));
	job->now = area->bytes;
	job->nr_bytes = area->nr_bytes;
	return 0;
}

/* The ends of its legs as they are now. 0 or -errno. */
static int read_ends(struct undo_job *job, struct leg_ends *ends)
{
	const struct opened_mirror *opened = &job->session.opened;
	struct block_device *legs[MIRROR_LEGS_MAX];
	int r;

	mirror_leg_devices(opened, legs);
	r = leg_ends_read(ends, job->session.engine, legs, opened->mirror.nr_legs,
			  opened->mirror.geometry.length);
	job->hung = job->hung || job->session.engine->in_flight;
	return r;
}

/* --- is it that mirror? ----------------------------------------------------------- */

/* A resync may have changed the very contents that a mirror without names is known by. */
static bool is_the_mirror(struct undo_job *job, const struct identity *journalled,
			  const struct identity *found, char *why, size_t room)
{
	struct leg_ends ends = { 0 };
	bool fits;

	if (!job->journal.open || strcmp(journalled->kind, "weak"))
		return identity_matches(journalled, found, why, room);
	if (journalled->length != found->length || journalled->nr_legs != found->nr_legs ||
	    journalled->region_size != found->region_size) {
		snprintf(why, room, "it has another length, region size or number of legs");
		return false;
	}
	if (read_ends(job, &ends)) {
		snprintf(why, room, "its legs could not be read");
		return false;
	}
	fits = undo_resync_fits(&job->journal, job->now, job->nr_bytes, &ends, why, room);
	leg_ends_free(&ends);
	return fits;
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
	if (!is_the_mirror(job, journalled, &found, why, sizeof(why)))
		return error_operation(err, ESTALE, "%.150s is of another mirror than %.80s, or the mirror has changed since: %.150s; nothing overrides this, and nothing was changed",
				       job->words->journal, job->session.opened.mirror.name, why);
	return mirror_identity_json(&job->identity, &found, &job->session.opened) ?
	       undo_job_no_memory(job, err) : 0;
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
	/* Of a repair's it is said first that the mirror is another one. */
	if (!r && job->journal.open)
		r = find_area(job, err);
	if (!r)
		r = check_identity(job, &journalled, err);
	return r || job->journal.open ? r : find_area(job, err);
}

/* --- the log, to be edited ------------------------------------------------------- */

/* An area to be edited. */
int undo_job_copy_area(struct undo_job *job, struct error *err)
{
	job->target = block_memory(job->session.engine, job->nr_bytes);
	if (!job->target || bitmap_alloc(&job->sectors, job->nr_bytes / SECTOR_BYTES))
		return undo_job_no_memory(job, err);
	memcpy(job->target, job->now, job->nr_bytes);
	return 0;
}

void undo_job_mark_sectors(struct undo_job *job)
{
	uint64_t block_bytes = (uint64_t)job->block_sectors * SECTOR_BYTES;

	for (uint64_t at = 0; at + block_bytes <= job->nr_bytes; at += block_bytes)
		if (memcmp((char *)job->now + at, (char *)job->target + at, block_bytes))
			bitmap_set_run(&job->sectors, at / SECTOR_BYTES,
				       (at + block_bytes) / SECTOR_BYTES - 1);
}

/* --- the two kinds ------------------------------------------------------------------ */

int undo_job_plan(struct undo_job *job, struct error *err)
{
	return job->journal.open ? undo_resync_plan(job, err) : undo_repair_plan(job, err);
}

int undo_job_apply(struct undo_job *job, struct error *err)
{
	int r = session_check_unchanged(&job->session, err);

	if (r)
		return r;
	r = job->journal.open ? undo_resync_apply(job, err) : undo_repair_apply(job, err);
	if (r || job->state != UNDO_DONE)
		return r;
	return session_check_after(&job->session, job->journal.open ? "it was undone" :
				   "its bits were put back", err);
}
