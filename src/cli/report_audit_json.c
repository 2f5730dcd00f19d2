/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What an audit found, as JSON (mirrorctl-json(5)). */

#include "cli/report_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/cause.h"

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

void report_json_content(struct json_stream *json, const char *key, enum content content,
			 uint8_t byte)
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
		report_json_content(json, "holds", run->content, run->byte);
		report_json_content(json, "against_holds", run->against_content, run->against_byte);
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

void report_json_audit(struct json_stream *json, const struct audit_report *report)
{
	put_scope(json, report);
	put_counts(json, report->result);
	put_sample(json, report);
	put_region_runs(json, &report->result->regions);
	put_runs(json, report);
	put_patterns(json, report);
	put_causes(json, report);
}

void report_json_audit_before(struct json_stream *json, const struct audit_report *report)
{
	json_open_object(json, "audit");
	report_json_audit(json, report);
	json_close_object(json);
}

void report_audit_json(const struct audit_report *report)
{
	struct json_stream json;

	report_json_head(&json, "audit", report->session, report->identity_json);
	json_open_object(&json, "result");
	report_json_log(&json, report->session);
	report_json_audit(&json, report);
	report_json_activation(&json, report->session);
	json_close_object(&json);
	report_json_tail(&json, report->session, report->exit_status);
}
