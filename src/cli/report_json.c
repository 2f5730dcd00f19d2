/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The JSON reports (mirrorctl-json(5), mirrorctl.schema.json): places are
 * start_sector and sectors, regions are runs first/last inclusive, other sizes
 * end in _bytes. */

#include "cli/report_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/json_stream.h"
#include "io/lvm_origin.h"

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

/* Of a logical volume that only LVM knows, and not the kernel. */
static void put_physical(struct json_stream *json, const struct lvm_origin *origin,
			 unsigned int operand)
{
	const char *disk;

	json_open_array(json, "physical_volumes");
	for (size_t i = 0; (disk = lvm_origin_disk(origin, operand, i)); i++)
		json_string(json, NULL, disk);
	json_close_array(json);
}

static void put_place(struct json_stream *json, const struct mirror_place *place,
		      const struct device *device, const struct opened_mirror *opened,
		      unsigned int operand)
{
	const char *why;

	json_flag(json, "missing", place->missing);
	if (place->device)
		json_string(json, "device", place->device);
	json_uint(json, "offset_sectors", place->offset);
	put_letter(json, place->health);
	if (device && opened->lvm)
		put_physical(json, opened->lvm, operand);
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
		put_place(json, &opened->mirror.legs[i], opened->legs[i], opened, i);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_mirror(struct json_stream *json, const struct opened_mirror *opened,
		       const char *identity_json)
{
	static const char *const activities[] = { "inactive", "active", "suspended" };
	static const char *const sync_words[] = { "default", "sync", "nosync" };
	const struct mirror *mirror = &opened->mirror;

	json_open_object(json, "mirror");
	json_string(json, "name", mirror->name);
	if (mirror->uuid)
		json_string(json, "uuid", mirror->uuid);
	json_string(json, "activity", activities[mirror->activity]);
	if (lvm_origin_held(opened->lvm))
		json_string(json, "held", lvm_origin_held(opened->lvm));
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
		put_place(json, &mirror->log, opened->log, opened, MIRROR_LEGS_MAX);
		json_close_object(json);
	}
	if (identity_json)
		json_raw(json, "identity", identity_json);
	json_close_object(json);
}

void report_json_log(struct json_stream *json, const struct session *session)
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

void report_json_activation(struct json_stream *json, const struct session *session)
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

void report_json_finding(struct json_stream *json, const struct finding *finding,
			 const char *part)
{
	static const char *const classes[] = {
		[FINDING_CLASS_NOTE] = "note", [FINDING_CLASS_WARNING] = "warning",
		[FINDING_CLASS_WRONG] = "wrong", [FINDING_CLASS_UNKNOWN] = "unknown",
		[FINDING_CLASS_UNFINISHED] = "unfinished",
	};
	const struct finding_row *row = finding_row(finding->id);

	json_open_object(json, NULL);
	json_string(json, "id", row->id);
	json_string(json, "class", classes[row->class]);
	json_string(json, "text", row->text);
	if (*finding->detail)
		json_string(json, "detail", finding->detail);
	if (part)
		json_string(json, "part", part);
	if (row->kernel)
		json_string(json, "next_resume", row->kernel);
	if (row->remedy)
		json_string(json, "remedy", row->remedy);
	if (finding->repaired)
		json_flag(json, "repaired", true);
	json_close_object(json);
}

void report_json_findings(struct json_stream *json, const struct finding_list *findings)
{
	json_open_array(json, "findings");
	for (size_t i = 0; i < findings->nr; i++)
		report_json_finding(json, &findings->items[i], NULL);
	json_close_array(json);
}

bool report_json_regions(struct json_stream *json, const char *key,
			 const struct bitmap *regions, size_t room)
{
	uint64_t from = 0, first, last;
	bool more;

	json_open_array(json, key);
	while ((more = regions->words &&
		bitmap_next_run(regions, true, from, &first, &last)) && room--) {
		json_open_object(json, NULL);
		json_uint(json, "first", first);
		json_uint(json, "last", last);
		json_close_object(json);
		from = last + 1;
	}
	json_close_array(json);
	return !more;
}

void report_json_head(struct json_stream *json, const char *command, const struct session *session,
		     const char *identity_json)
{
	json_begin_report(json, command);
	put_mirror(json, &session->opened, identity_json);
}

void report_json_tail(struct json_stream *json, const struct session *session, int exit_status)
{
	report_json_findings(json, &session->findings);
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

	report_json_head(&json, "show", report->session, NULL);
	json_open_object(&json, "result");
	report_json_log(&json, report->session);
	report_json_activation(&json, report->session);
	if (report->runs && report->session->has_log)
		put_bit_runs(&json, report);
	json_close_object(&json);
	report_json_tail(&json, report->session, report->exit_status);
}
