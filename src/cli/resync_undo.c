/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a resync leaves for an undo: the journal of its change of the log, always; and with
 * --undo-file what it overwrites of the legs. */

#include "cli/resync_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/state.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- is there room for it? ------------------------------------------------------- */

/* Of the smallest writes that there may be: a slow --rate makes small ones. */
static uint64_t piece_sectors(const struct resync_job *job)
{
	uint64_t rate = job->words->rate_bytes / SECTOR_BYTES / 20;

	return !job->words->rate_bytes || rate > 128 ? 128 : rate ? rate : 1;
}

/* Every region that is looked at, on every target. */
static uint64_t most_bytes(const struct resync_job *job)
{
	const struct mirror *mirror = &job->session.opened.mirror;
	uint64_t targets = mirror->nr_legs - 1 + (job->words->salvage ? 1 : 0);
	uint64_t sectors = min_u64(job->nr_work * mirror->geometry.region_size,
				   mirror->geometry.length);

	return resync_record_bytes(sectors * targets, job->nr_work * targets, piece_sectors(job));
}

/* What the dry run would have written; of what could not be read a salvage may write to
 * every leg, in blocks of 4 KiB. */
static uint64_t previewed_bytes(const struct resync_job *job)
{
	const struct resync_result *preview = &job->preview;
	uint64_t unread = preview->unreadable.sectors[VERDICT_UNVERIFIABLE], sectors = 0;
	uint64_t runs = preview->written.nr;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		sectors += preview->written_bytes[leg] / SECTOR_BYTES;
	if (preview->written.truncated)
		runs = sectors;
	if (job->words->salvage)
		sectors += unread * 8 * job->session.opened.mirror.nr_legs;
	return resync_record_bytes(sectors, runs + sectors / 128, piece_sectors(job));
}

/* What stands in front of the commit: log, ends of the legs, identity. */
static uint64_t front_bytes(const struct resync_job *job)
{
	return job->session.area.nr_bytes + ((uint64_t)2 << 20);
}

int resync_undo_check_space(struct resync_job *job, struct error *err)
{
	uint64_t most = most_bytes(job);

	job->undo_bytes = job->previewed ? min_u64(most, previewed_bytes(job)) : most;
	return resync_files_check_space(job->words->undo_file,
					job->undo_bytes + front_bytes(job), err);
}

/* --- before the run ---------------------------------------------------------------- */

static int no_memory(const struct resync_job *job, struct error *err)
{
	return error_operation(err, ENOMEM, "%s: not enough memory to journal what will be changed; nothing was changed",
			       job->session.opened.mirror.name);
}

static int read_ends(struct resync_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	struct block_device *legs[MIRROR_LEGS_MAX];
	int r;

	if (!job->weak)
		return 0;
	mirror_leg_devices(opened, legs);
	r = leg_ends_read(&job->ends, job->session.engine, legs, opened->mirror.nr_legs,
			  opened->mirror.geometry.length);
	if (r == -ECANCELED) {
		job->hung = job->session.engine->in_flight != 0;
		return error_operation(err, ECANCELED, "ended by a signal; nothing was changed");
	}
	return r ? no_memory(job, err) : 0;
}

static int create_files(struct resync_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	const char *undo = job->words->undo_file;
	char *directory = NULL;
	int r = state_directory(&directory, job->words->write.state_dir, err);

	if (!r)
		r = state_check_place(directory, opened, &job->place_warning, err);
	if (!r && undo)
		r = state_check_place(undo, opened, &job->place_warning, err);
	if (!r)
		r = resync_files_create(&job->files, directory, undo, opened->mirror.name, err);
	free(directory);
	return r;
}

static int write_files(struct resync_job *job, struct error *err)
{
	const struct log_area *area = &job->session.area;
	const struct resync_record record = {
		.identity = job->identity, .area = area->bytes, .area_bytes = area->nr_bytes,
		.nr_regions = job->session.opened.mirror.geometry.nr_regions,
		.ends = job->weak ? &job->ends : NULL,
	};

	job->journal = strdup(job->files.journal.path);
	job->area_before = aligned_alloc(8, (area->nr_bytes + 7) / 8 * 8);
	if (!job->journal || !job->area_before)
		return no_memory(job, err);
	memcpy(job->area_before, area->bytes, area->nr_bytes);
	return resync_files_write(&job->files, &record, err);
}

/* The legs' ends are those of the identity only if nobody has written to them since. */
int resync_undo_begin(struct resync_job *job, struct error *err)
{
	int r = read_ends(job, err);

	if (!r)
		r = create_files(job, err);
	if (!r)
		r = write_files(job, err);
	if (r)
		resync_undo_discard(job);
	return r;
}

/* --- after it ------------------------------------------------------------------------ */

void resync_undo_discard(struct resync_job *job)
{
	resync_files_discard(&job->files);
	free(job->journal);
	job->journal = NULL;
}

/* Not one byte, not even one that failed. */
static bool wrote_nothing(const struct resync_job *job)
{
	const struct resync_result *result = &job->result;
	bool nothing = !result->log_writes && !job->salvaged && !result->hung;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		nothing = nothing && !result->written_bytes[leg] && !result->leg_error[leg];
	return nothing;
}

void resync_undo_end(struct resync_job *job)
{
	const struct log_area *area = &job->session.area;

	if (wrote_nothing(job)) {
		resync_undo_discard(job);
		return;
	}
	/* Of a log that could not be written nobody knows what it holds. */
	if (!job->result.log_failed && !job->result.hung)
		job->end_lost = resync_files_note_end(&job->files, job->area_before, area->bytes,
						      area->nr_bytes,
						      job->session.opened.mirror.geometry.nr_regions,
						      NULL) != 0;
	resync_files_close(&job->files);
}
