/* SPDX-License-Identifier: GPL-2.0-or-later */

/* resync offline as JSON (mirrorctl-json(5)). */

#include "cli/report_resync.h"

#include "cli/report_json.h"

static const char *state_name(enum resync_state state)
{
	switch (state) {
	case RESYNC_NOTHING_TO_DO: return "nothing";
	case RESYNC_PLANNED: return "planned";
	case RESYNC_DONE: return "done";
	default: return "not_begun";
	}
}

static void put_leg_bytes(struct json_stream *json, const char *key, const uint64_t *bytes,
			  unsigned int nr_legs)
{
	json_open_array(json, key);
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		json_uint(json, NULL, bytes[leg]);
	json_close_array(json);
}

static void put_unread(struct json_stream *json, const struct run_list *runs)
{
	json_open_array(json, "unreadable");
	for (size_t i = 0; i < runs->nr; i++) {
		json_open_object(json, NULL);
		json_uint(json, "leg", runs->runs[i].leg);
		json_uint(json, "start_sector", runs->runs[i].start);
		json_uint(json, "sectors", runs->runs[i].sectors);
		json_string(json, "error", error_reason(runs->runs[i].error));
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_written(struct json_stream *json, const struct piece_list *written,
			const struct region_geometry *geometry, bool dry_run)
{
	json_open_array(json, "written");
	for (size_t i = 0; i < written->nr; i++) {
		const struct piece *piece = &written->pieces[i];

		json_open_object(json, NULL);
		json_uint(json, "leg", piece->kind);
		json_uint(json, "start_sector", piece->start);
		json_uint(json, "sectors", piece->count);
		json_uint(json, "first", region_of_sector(geometry, piece->start));
		json_uint(json, "last", report_resync_last_region(geometry, piece));
		json_uint(json, "source", piece->source);
		if (dry_run) {
			report_json_content(json, "holds", (enum content)piece->held.content,
					    piece->held.byte);
			report_json_content(json, "gets", (enum content)piece->given.content,
					    piece->given.byte);
		}
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_failed_legs(struct json_stream *json, const struct resync_result *result,
			    unsigned int nr_legs)
{
	json_open_array(json, "failed_legs");
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (result->leg_error[leg])
			json_uint(json, NULL, leg);
	json_close_array(json);
}

static void put_salvage(struct json_stream *json, const struct resync_job *job)
{
	bool danger = false;

	if (!job->salvaged)
		return;
	json_open_object(json, "salvage");
	for (unsigned int outcome = 0; outcome < SALVAGE_OUTCOMES; outcome++) {
		json_uint(json, salvage_outcome_name((enum salvage_outcome)outcome),
			  job->salvage.sectors[outcome]);
		danger = danger || (job->salvage.sectors[outcome] &&
				    salvage_is_dangerous((enum salvage_outcome)outcome));
	}
	json_flag(json, "dangerous", danger);
	put_leg_bytes(json, "written_bytes", job->salvage.written_bytes,
		      job->session.opened.mirror.nr_legs);
	json_close_object(json);
}

static void put_agreement_runs(struct json_stream *json, const struct piece_list *runs, size_t kind)
{
	json_open_array(json, "runs");
	for (size_t i = 0; i < runs->nr; i++) {
		if (runs->pieces[i].kind != kind)
			continue;
		json_open_object(json, NULL);
		json_uint(json, "first", runs->pieces[i].start);
		json_uint(json, "last", runs->pieces[i].start + runs->pieces[i].count - 1);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_groups(struct json_stream *json, const struct resync_agreement *agreement,
		       unsigned int nr_legs)
{
	json_open_array(json, "groups");
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		if (agreement->group[leg] != leg)
			continue;
		json_open_array(json, NULL);
		for (unsigned int other = leg; other < nr_legs; other++)
			if (agreement->group[other] == leg)
				json_uint(json, NULL, other);
		json_close_array(json);
	}
	json_close_array(json);
}

/* Of three legs or more, found before anything was written. */
static void put_agreement(struct json_stream *json, const struct resync_job *job)
{
	const struct resync_result *result = &job->preview;
	unsigned int nr_legs = job->session.opened.mirror.nr_legs;

	if (!job->previewed || nr_legs < 3)
		return;
	json_open_array(json, "agreement");
	for (size_t i = 0; i < result->nr_agreements; i++) {
		json_open_object(json, NULL);
		put_groups(json, &result->agreements[i], nr_legs);
		json_uint(json, "regions", result->agreements[i].regions);
		put_agreement_runs(json, &result->agreement_runs, i);
		json_close_object(json);
	}
	json_close_array(json);
	json_uint(json, "against_leg_0", report_resync_against_leg_0(job));
}

static void put_counts(struct json_stream *json, const struct resync_job *job,
		       const struct resync_result *result)
{
	json_uint(json, "copied", result->regions_copied);
	json_uint(json, "rewritten", result->regions_rewritten);
	json_uint(json, "equal", result->regions_equal);
	json_uint(json, "verified", result->regions_verified);
	json_uint(json, "lied", result->regions_lied);
	json_uint(json, "skipped", job->nr_skipped);
	json_uint(json, "failed", result->regions_failed);
	json_uint(json, "unverified", result->regions_unverified);
}

/* Of a dry run, what would have been done. */
static void put_result(struct json_stream *json, const struct resync_job *job,
		       const struct resync_result *result, uint64_t elapsed_ns)
{
	static const char *const ends[] = { "finished", "stopped", "changed" };
	unsigned int nr_legs = job->session.opened.mirror.nr_legs;

	json_string(json, "end", ends[result->end]);
	if (*job->change)
		json_string(json, "change", job->change);
	put_counts(json, job, result);
	put_leg_bytes(json, "read_bytes", result->read_bytes, nr_legs);
	put_leg_bytes(json, "equal_bytes", result->equal_bytes, nr_legs);
	put_leg_bytes(json, "written_bytes", result->written_bytes, nr_legs);
	put_leg_bytes(json, "rewritten_bytes", result->rewritten_bytes, nr_legs);
	json_uint(json, "hole_bytes", result->hole_bytes);
	json_uint(json, "cleared_bits", result->bits_cleared);
	json_uint(json, "set_bits", result->regions_copied + result->regions_equal);
	json_flag(json, "header_made_good", result->header_made_good);
	json_flag(json, "log_failed", result->log_failed);
	json_uint(json, "elapsed_ms", elapsed_ns / 1000000);
	put_failed_legs(json, result, nr_legs);
	put_unread(json, &result->unreadable);
	put_written(json, &result->written, &job->session.opened.mirror.geometry,
		    result == &job->preview);
	json_flag(json, "truncated", result->unreadable.truncated || result->written.truncated);
}

static void put_undo_file(struct json_stream *json, const struct resync_job *job)
{
	if (!job->words->undo_file || !job->journal)
		return;
	json_open_object(json, "undo_file");
	json_string(json, "path", job->words->undo_file);
	json_uint(json, "kept_bytes", (job->result.kept_sectors + job->salvage.kept_sectors) *
		  SECTOR_BYTES);
	json_uint(json, "unkept_sectors", job->result.lost_sectors + job->salvage.lost_sectors);
	if (job->result.keep_error || job->salvage.keep_error)
		json_string(json, "error", job->files.kept.text);
	json_close_object(json);
}

void report_resync_json(const struct resync_job *job)
{
	const struct resync_words *words = job->words;
	struct audit_report report;
	struct json_stream json;

	report_resync_audit(&report, job);
	report_json_head(&json, "resync", &job->session, job->identity);
	json_open_object(&json, "result");
	report_json_log(&json, &job->session);
	if (job->compared)
		report_json_audit_before(&json, &report);
	json_open_object(&json, "resync");
	json_string(&json, "state", state_name(job->state));
	json_flag(&json, "dry_run", words->write.dry_run);
	if (!words->plan)
		json_uint(&json, "source", words->source);
	json_uint(&json, "not_clean", job->nr_not_clean);
	if (job->journal)
		json_string(&json, "journal", job->journal);
	if (job->state == RESYNC_DONE) {
		put_result(&json, job, &job->result, job->elapsed_ns);
		put_undo_file(&json, job);
		put_salvage(&json, job);
	} else if (job->previewed) {
		put_result(&json, job, &job->preview, job->preview_ns);
	}
	put_agreement(&json, job);
	json_close_object(&json);
	json_close_object(&json);
	report_json_tail(&json, &job->session, job->exit_status);
}
