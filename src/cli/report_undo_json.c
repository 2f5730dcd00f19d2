/* SPDX-License-Identifier: GPL-2.0-or-later */

/* undo as JSON (mirrorctl-json(5)): the journal, the plan, what was done. */

#include "cli/report_undo.h"

#include "cli/report_json.h"

static const char *state_name(enum undo_state state, bool resync)
{
	switch (state) {
	case UNDO_NEVER_WRITTEN: return "never_written";
	case UNDO_AS_BEFORE: return "as_before";
	case UNDO_NONE_PROVEN: return "none_proven";
	case UNDO_INTERRUPTED: return "interrupted";
	case UNDO_PLANNED: return "planned";
	case UNDO_STOPPED: return "stopped";
	default: return resync ? "undone" : "set_back";
	}
}

/* Without a mirror there is nothing to name but the command. */
static void put_head(struct json_stream *json, const struct undo_job *job)
{
	if (job->opened) {
		report_json_head(json, "undo", &job->session, job->identity);
		return;
	}
	json_begin_report(json, "undo");
}

static void put_journal(struct json_stream *json, const struct undo_job *job)
{
	json_string(json, "journal", job->words->journal);
	if (*job->time)
		json_string(json, "time", job->time);
	if (job->state != UNDO_NEVER_WRITTEN)
		json_string(json, "of", undo_job_of(job));
	json_string(json, "state", state_name(job->state, job->journal.open));
	json_flag(json, "dry_run", job->words->write.dry_run);
	if (job->cut_at)
		json_uint(json, "cut_at_byte", job->cut_at);
	if (job->opened && job->journal.open && job->journal.has_set)
		json_uint(json, "set_bits", bitmap_count(&job->journal.set));
	if (job->opened && !job->journal.open)
		json_uint(json, "cleared_bits", bitmap_count(&job->journal.cleared));
	if (!job->journal.open)
		json_uint(json, "restored_bits", job->state == UNDO_DONE ? job->nr_back : 0);
}

static void put_plan(struct json_stream *json, const struct undo_job *job, size_t room)
{
	const struct bitmap *sectors = &job->sectors;
	const struct bitmap *bits = job->journal.open ? &job->clear : &job->back;
	uint64_t sector = bitmap_next_set(sectors, 0);
	bool whole;

	json_open_object(json, "plan");
	json_uint(json, "bits", job->journal.open ? job->nr_clear : job->nr_back);
	whole = report_json_regions(json, "regions", bits, room);
	json_uint(json, "log_block_bytes", (uint64_t)job->block_sectors * SECTOR_BYTES);
	json_uint(json, "log_blocks", bitmap_count(sectors) / job->block_sectors);
	json_open_array(json, "log_sectors");
	for (; room && sector < sectors->nr_bits; room--) {
		json_uint(json, NULL, sector);
		sector = bitmap_next_set(sectors, sector + job->block_sectors);
	}
	json_close_array(json);
	json_flag(json, "truncated", !whole || sector < sectors->nr_bits);
	json_close_object(json);
}

static void put_refused(struct json_stream *json, const struct undo_job *job, size_t room)
{
	bool whole;

	json_open_object(json, "refused");
	json_uint(json, "bits", job->nr_refused);
	whole = report_json_regions(json, "regions", &job->refused, room);
	json_flag(json, "truncated", !whole);
	json_close_object(json);
}

/* Regions, and whether all of them were named. */
static void put_regions(struct json_stream *json, const char *key, const struct bitmap *regions,
			size_t room)
{
	bool whole;

	json_open_object(json, key);
	json_uint(json, "count", bitmap_count(regions));
	whole = report_json_regions(json, "regions", regions, room);
	json_flag(json, "truncated", !whole);
	json_close_object(json);
}

static void put_leg(struct json_stream *json, const struct undo_job *job, unsigned int number)
{
	const struct restore_leg *leg = &job->restore.legs[number];

	json_open_object(json, NULL);
	json_uint(json, "leg", number);
	json_uint(json, "kept_bytes", job->journal.overwritten[number] * SECTOR_BYTES);
	json_uint(json, "put_back_bytes", leg->put_back * SECTOR_BYTES);
	json_uint(json, "written_bytes", leg->written_bytes);
	json_uint(json, "as_kept_bytes", leg->as_kept * SECTOR_BYTES);
	json_uint(json, "spared_bytes", leg->spared * SECTOR_BYTES);
	json_uint(json, "foreign_bytes", leg->foreign * SECTOR_BYTES);
	json_uint(json, "unreadable_bytes", leg->unreadable * SECTOR_BYTES);
	json_close_object(json);
}

/* Of an undo file: what of it goes back. */
static void put_restore(struct json_stream *json, const struct undo_job *job, size_t room)
{
	json_open_object(json, "restore");
	put_regions(json, "put_back", &job->restore.regions, room);
	put_regions(json, "refused", &job->restore.refused, room);
	put_regions(json, "unreadable", &job->restore.unreadable, room);
	json_open_array(json, "legs");
	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		put_leg(json, job, leg);
	json_close_array(json);
	json_close_object(json);
}

void report_undo_json(const struct undo_job *job)
{
	size_t room = job->words->report.max_runs ? job->words->report.max_runs : MAX_RUNS_DEFAULT;
	struct json_stream json;

	put_head(&json, job);
	json_open_object(&json, "result");
	put_journal(&json, job);
	if (job->opened)
		report_json_log(&json, &job->session);
	if (job->nr_back || job->nr_clear)
		put_plan(&json, job, room);
	if (job->nr_refused)
		put_refused(&json, job, room);
	if (job->restore.regions.words)
		put_restore(&json, job, room);
	json_close_object(&json);
	report_json_tail(&json, &job->session, job->exit_status);
}
