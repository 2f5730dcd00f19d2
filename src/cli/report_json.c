/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The JSON reports (mirrorctl-json(5), mirrorctl.schema.json): places are
 * start_sector and sectors, regions are runs first/last inclusive, other sizes
 * end in _bytes. */

#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/json_stream.h"
#include "core/cause.h"

static void put_known(struct json_stream *json, const char *key, enum known known)
{
	if (known != KNOWN_NOT)
		json_flag(json, key, known == KNOWN_YES);
}

static void put_letter(struct json_stream *json, char letter)
{
	if (letter)
		json_string(json, "health", (char[]){ letter, '\0' });
}

static void put_place(struct json_stream *json, const struct mirror_place *place,
		      const struct device *device)
{
	const char *why;

	json_flag(json, "missing", place->missing);
	if (place->device)
		json_string(json, "device", place->device);
	json_uint(json, "offset_sectors", place->offset);
	put_letter(json, place->health);
	if (device) {
		json_uint(json, "size_bytes", device->block.sectors * SECTOR_BYTES);
		json_flag(json, "direct_io", device_is_direct(device, &why));
	}
}

static void put_legs(struct json_stream *json, const struct opened_mirror *opened)
{
	json_open_array(json, "legs");
	for (unsigned int i = 0; i < opened->mirror.nr_legs; i++) {
		json_open_object(json, NULL);
		json_uint(json, "leg", i);
		put_place(json, &opened->mirror.legs[i], opened->legs[i]);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_mirror(struct json_stream *json, const struct opened_mirror *opened)
{
	static const char *const activities[] = { "inactive", "active", "suspended" };
	static const char *const sync_words[] = { "default", "sync", "nosync" };
	const struct mirror *mirror = &opened->mirror;

	json_open_object(json, "mirror");
	json_string(json, "name", mirror->name);
	if (mirror->uuid)
		json_string(json, "uuid", mirror->uuid);
	json_string(json, "activity", activities[mirror->activity]);
	json_uint(json, "segment_start_sector", mirror->start);
	if (mirror->geometry.nr_regions) {
		json_uint(json, "length_bytes", mirror->geometry.length * SECTOR_BYTES);
		json_uint(json, "region_size_bytes", mirror->geometry.region_size * SECTOR_BYTES);
		json_uint(json, "regions", mirror->geometry.nr_regions);
	}
	json_string(json, "log_type", mirror->log_kind == MIRROR_LOG_CORE ? "core" : "disk");
	json_string(json, "sync", sync_words[mirror->sync]);
	put_known(json, "handle_errors", mirror->handle_errors);
	put_known(json, "keep_log", mirror->keep_log);
	if (mirror->status_known)
		json_uint(json, "in_sync", mirror->in_sync);
	put_legs(json, opened);
	if (mirror->log.device) {
		json_open_object(json, "log");
		put_place(json, &mirror->log, opened->log);
		json_close_object(json);
	}
	json_close_object(json);
}

static void put_log(struct json_stream *json, const struct session *session)
{
	const struct mirror_log *log = &session->log;
	char magic[16];

	if (!session->has_log)
		return;
	snprintf(magic, sizeof(magic), "0x%08" PRIx32, log->header.magic);
	json_open_object(json, "log");
	json_string(json, "magic", magic);
	json_uint(json, "version", log->header.version);
	json_uint(json, "nr_regions", log->header.nr_regions);
	json_flag(json, "accepted", mirror_log_header_accepted(&log->header));
	json_uint(json, "regions", log->nr_regions);
	json_uint(json, "held", log->held);
	json_uint(json, "clean", log->clean);
	json_uint(json, "not_clean", log->nr_regions - log->clean);
	json_uint(json, "set_on_disk", log->raw_clean);
	json_close_object(json);
}

static void put_activation(struct json_stream *json, const struct session *session)
{
	struct activation activation;

	if (!session->has_log || !session->opened.mirror.geometry.nr_regions)
		return;
	activation_predict(&activation, &session->opened.mirror, &session->log);
	json_open_object(json, "next_resume");
	json_flag(json, "loads", activation.loads);
	json_flag(json, "panics", activation.panics);
	json_flag(json, "log_fails", activation.log_fails);
	json_flag(json, "every_resume", activation.every_resume);
	json_uint(json, "clean", activation.clean);
	json_uint(json, "recovered", activation.recovered);
	json_uint(json, "recovered_bytes", activation.recovered_sectors * SECTOR_BYTES);
	json_uint(json, "trusted_without_bit", activation.trusted_without_bit);
	json_close_object(json);
}

static void put_findings(struct json_stream *json, const struct finding_list *findings)
{
	static const char *const classes[] = {
		[FINDING_CLASS_NOTE] = "note", [FINDING_CLASS_WARNING] = "warning",
		[FINDING_CLASS_WRONG] = "wrong", [FINDING_CLASS_UNKNOWN] = "unknown",
		[FINDING_CLASS_UNFINISHED] = "unfinished",
	};

	json_open_array(json, "findings");
	for (size_t i = 0; i < findings->nr; i++) {
		const struct finding_row *row = finding_row(findings->items[i].id);

		json_open_object(json, NULL);
		json_string(json, "id", row->id);
		json_string(json, "class", classes[row->class]);
		json_string(json, "text", row->text);
		if (*findings->items[i].detail)
			json_string(json, "detail", findings->items[i].detail);
		if (row->kernel)
			json_string(json, "next_resume", row->kernel);
		if (row->remedy)
			json_string(json, "remedy", row->remedy);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_head(struct json_stream *json, const char *command, const struct session *session)
{
	json_begin(json, stdout);
	json_string(json, "schema", JSON_SCHEMA_NAME);
	json_string(json, "command", command);
	json_string(json, "version", PACKAGE_VERSION);
	put_mirror(json, &session->opened);
}

static void put_tail(struct json_stream *json, const struct session *session, int exit_status)
{
	put_findings(json, &session->findings);
	json_uint(json, "exit_status", (unsigned int)exit_status);
	json_end(json);
}

/* ---- show --------------------------------------------------------------------- */

static void put_bit_runs(struct json_stream *json, const struct show_report *report)
{
	const struct mirror_log *log = &report->session->log;
	const struct region_geometry *geometry = &report->session->opened.mirror.geometry;
	size_t left = report->words->max_runs ? report->words->max_runs : MAX_RUNS_DEFAULT;
	uint64_t from = 0, first, last;

	json_open_array(json, "clean_runs");
	while (left && bitmap_next_run(&log->clean_bits, true, from, &first, &last)) {
		json_open_object(json, NULL);
		json_uint(json, "first", first);
		json_uint(json, "last", last);
		if (geometry->nr_regions) {
			json_uint(json, "start_sector", region_start(geometry, first));
			json_uint(json, "sectors", region_run_sectors(geometry,
				  (struct region_run){ first, last }));
		}
		json_close_object(json);
		from = last + 1;
		left--;
	}
	json_close_array(json);
	json_flag(json, "truncated", bitmap_next_run(&log->clean_bits, true, from, &first, &last));
}

void report_show_json(const struct show_report *report)
{
	struct json_stream json;

	put_head(&json, "show", report->session);
	json_open_object(&json, "result");
	put_log(&json, report->session);
	put_activation(&json, report->session);
	if (report->runs && report->session->has_log)
		put_bit_runs(&json, report);
	json_close_object(&json);
	put_tail(&json, report->session, report->exit_status);
}

/* ---- audit -------------------------------------------------------------------- */

static void put_counts(struct json_stream *json, const struct audit_result *result)
{
	json_open_object(json, "counts");
	for (unsigned int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		json_uint(json, verdict_name(verdict), result->regions.count[verdict]);
	json_close_object(json);
	json_open_object(json, "differing_sectors");
	json_uint(json, "bogus_clean", result->runs.sectors[VERDICT_BOGUS_CLEAN]);
	json_uint(json, "suspect", result->runs.sectors[VERDICT_SUSPECT]);
	json_uint(json, "resync_pending", result->runs.sectors[VERDICT_RESYNC_PENDING]);
	json_close_object(json);
}

static void put_region_runs(struct json_stream *json, const struct region_verdicts *regions)
{
	json_open_object(json, "region_runs");
	for (unsigned int verdict = 0; verdict < VERDICT_COUNT; verdict++) {
		json_open_array(json, verdict_name(verdict));
		for (size_t i = 0; i < regions->nr; i++) {
			if (regions->runs[i].verdict != verdict)
				continue;
			json_open_object(json, NULL);
			json_uint(json, "first", regions->runs[i].first);
			json_uint(json, "last", regions->runs[i].last);
			json_close_object(json);
		}
		json_close_array(json);
	}
	json_close_object(json);
}

static void put_content(struct json_stream *json, const char *key, enum content content, uint8_t byte)
{
	static const char *const names[] = { "other", "zeros", "ones", "repeated" };
	char text[16];

	if (content == CONTENT_REPEATED) {
		snprintf(text, sizeof(text), "repeated 0x%02x", byte);
		json_string(json, key, text);
	} else {
		json_string(json, key, names[content]);
	}
}

static void put_leg_set(struct json_stream *json, const char *key, uint16_t legs)
{
	json_open_array(json, key);
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		if (legs & 1u << leg)
			json_uint(json, NULL, leg);
	json_close_array(json);
}

static void put_run(struct json_stream *json, const struct sector_run *run,
		    const struct region_geometry *geometry)
{
	json_open_object(json, NULL);
	json_string(json, "verdict", verdict_name(run->verdict));
	json_uint(json, "leg", run->leg);
	json_uint(json, "start_sector", run->start);
	json_uint(json, "sectors", run->sectors);
	json_uint(json, "first", region_of_sector(geometry, run->start));
	json_uint(json, "last", region_of_sector(geometry, run->start + run->sectors - 1));
	if (run->verdict == VERDICT_UNVERIFIABLE) {
		json_string(json, "error", error_reason(run->error));
	} else {
		json_uint(json, "against", run->against);
		put_content(json, "holds", run->content, run->byte);
		put_content(json, "against_holds", run->against_content, run->against_byte);
		json_flag(json, "one_bit_flipped", run->one_bit);
		put_leg_set(json, "equal_to_legs", run->equal_legs);
	}
	json_close_object(json);
}

static void put_runs(struct json_stream *json, const struct audit_report *report)
{
	const struct run_list *runs = &report->result->runs;

	json_open_array(json, "runs");
	for (size_t i = 0; i < runs->nr; i++)
		put_run(json, &runs->runs[i], &report->session->opened.mirror.geometry);
	json_close_array(json);
	json_flag(json, "truncated", runs->truncated || report->result->regions.truncated);
}

static void put_patterns(struct json_stream *json, const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	unsigned int nr_legs = report->session->opened.mirror.nr_legs;

	if (nr_legs < 3)
		return;
	json_open_array(json, "agreement");
	for (size_t i = 0; i < result->nr_patterns; i++) {
		json_open_object(json, NULL);
		json_uint(json, "sectors", result->patterns[i].sectors);
		json_open_array(json, "groups");
		for (unsigned int leg = 0; leg < nr_legs; leg++) {
			uint16_t group = 0;

			for (unsigned int other = leg; other < nr_legs; other++)
				if (result->patterns[i].group[other] == leg)
					group |= 1u << other;
			if (group)
				put_leg_set(json, NULL, group);
		}
		json_close_array(json);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_sample(struct json_stream *json, const struct audit_report *report)
{
	const struct selection *selection = report->selection;

	if (!selection->sampled)
		return;
	json_open_object(json, "sample");
	json_uint(json, "population", selection->population);
	json_uint(json, "sampled", report->result->selected_regions);
	json_uint(json, "seed", selection->seed);
	json_double(json, "confidence", 0.99);
	json_uint(json, "diverging_at_most", report->sample_bound);
	json_close_object(json);
}

static void put_causes(struct json_stream *json, const struct audit_report *report)
{
	const struct session *session = report->session;
	unsigned int evidence = evidence_collect(report->result, &session->opened.mirror,
						 session->has_log ? &session->log : NULL);
	const struct cause_row *cause;
	size_t index = 0;

	json_open_array(json, "causes");
	while ((cause = cause_next(evidence, &index)) != NULL) {
		json_open_object(json, NULL);
		json_string(json, "id", cause->id);
		json_string(json, "text", cause->text);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_scope(struct json_stream *json, const struct audit_report *report)
{
	static const char *const ends[] = { "finished", "stopped", "changed" };
	const struct audit_result *result = report->result;

	json_string(json, "scope", report->scope);
	json_flag(json, "complete", report->complete);
	json_string(json, "end", ends[result->end]);
	if (*report->change)
		json_string(json, "change", report->change);
	json_uint(json, "selected_regions", result->selected_regions);
	json_uint(json, "withdrawn_regions", result->withdrawn_regions);
	json_uint(json, "compared_bytes", result->compared_sectors * SECTOR_BYTES);
	json_uint(json, "read_bytes_per_leg", result->read_sectors * SECTOR_BYTES);
	json_uint(json, "hole_bytes", result->hole_sectors * SECTOR_BYTES);
	json_uint(json, "elapsed_ms", report->elapsed_ns / 1000000);
	json_string(json, "io_engine", report->session->engine->ops->name);
}

void report_audit_json(const struct audit_report *report)
{
	struct json_stream json;

	put_head(&json, "audit", report->session);
	json_open_object(&json, "result");
	put_log(&json, report->session);
	put_scope(&json, report);
	put_counts(&json, report->result);
	put_sample(&json, report);
	put_region_runs(&json, &report->result->regions);
	put_runs(&json, report);
	put_patterns(&json, report);
	put_causes(&json, report);
	put_activation(&json, report->session);
	json_close_object(&json);
	put_tail(&json, report->session, report->exit_status);
}
