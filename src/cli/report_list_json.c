/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report_list.h"

#include <inttypes.h>

#include "cli/report_json.h"

static void put_place(struct json_stream *json, const struct mirror_place *place, const char *name)
{
	json_flag(json, "missing", place->missing);
	if (place->device)
		json_string(json, "device", place->device);
	if (name)
		json_string(json, "name", name);
	if (place->health)
		json_string(json, "health", (char[]){ place->health, '\0' });
}

static void put_legs(struct json_stream *json, const struct listed_mirror *listed)
{
	json_open_array(json, "legs");
	for (unsigned int i = 0; i < listed->mirror.nr_legs; i++) {
		json_open_object(json, NULL);
		json_uint(json, "leg", i);
		put_place(json, &listed->mirror.legs[i], listed->leg_names[i]);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_log(struct json_stream *json, const struct listed_mirror *listed)
{
	json_open_object(json, "log");
	json_string(json, "kind", report_list_log(listed));
	put_place(json, &listed->mirror.log, listed->log_name);
	if (listed->log_known) {
		json_flag(json, "accepted", mirror_log_header_accepted(&listed->log.header));
		json_uint(json, "nr_regions", listed->log.header.nr_regions);
		json_uint(json, "clean", listed->log.clean);
		json_uint(json, "set_on_disk", listed->log.raw_clean);
	} else if (*listed->log_unread) {
		json_string(json, "unread", listed->log_unread);
	}
	json_close_object(json);
}

static void put_finding(void *context, const struct listed_mirror *part,
			const struct finding *finding)
{
	report_json_finding(context, finding, part->kind == LISTED_LOG ? "log" :
			    part->kind == LISTED_UPPER ? "new_legs" : NULL);
}

static void put_numbers(struct json_stream *json, const struct listed_mirror *listed)
{
	const struct mirror *mirror = &listed->mirror;

	json_uint(json, "segment_start_sector", mirror->start);
	json_uint(json, "length_bytes", mirror->geometry.length * SECTOR_BYTES);
	if (mirror->geometry.region_size)
		json_uint(json, "region_size_bytes", mirror->geometry.region_size * SECTOR_BYTES);
	if (mirror->geometry.nr_regions)
		json_uint(json, "regions", mirror->geometry.nr_regions);
	if (mirror->status_known)
		json_uint(json, "in_sync", mirror->in_sync);
	if (listed->kind == LISTED_CONVERTING && listed->to_copy)
		json_uint(json, "copied", listed->copied);
}

static void put_mirror(struct json_stream *json, const struct list_report *report, size_t i)
{
	static const char *const kinds[] = {
		[LISTED_PLAIN] = "mirror", [LISTED_UNDER_SNAPSHOT] = "under_snapshot",
		[LISTED_CONVERTING] = "converting", [LISTED_PVMOVE] = "pvmove",
	};
	static const char *const sync_words[] = { "default", "sync", "nosync" };
	const struct listed_mirror *listed = &report->list->mirrors[i];

	json_open_object(json, NULL);
	json_string(json, "name", listed->name);
	if (listed->mirror.activity != MIRROR_INACTIVE)
		json_string(json, "dm_name", listed->mirror.name);
	if (listed->mirror.uuid)
		json_string(json, "uuid", listed->mirror.uuid);
	if (listed->vg)
		json_string(json, "vg", listed->vg);
	if (listed->group)
		json_string(json, "group", report_list_group(listed));
	json_string(json, "kind", kinds[listed->kind]);
	json_string(json, "activity", report_list_activity(listed));
	put_numbers(json, listed);
	if (listed->table_known && listed->mirror.activity != MIRROR_INACTIVE)
		json_string(json, "sync", sync_words[listed->mirror.sync]);
	json_flag(json, "nosync", listed->nosync);
	json_flag(json, "partial", listed->partial);
	put_legs(json, listed);
	put_log(json, listed);
	if (*listed->resume)
		json_string(json, "resume", listed->resume);
	json_open_array(json, "findings");
	report_list_findings(report, i, put_finding, json);
	json_close_array(json);
	json_close_object(json);
}

void report_list_json(const struct list_report *report)
{
	struct json_stream json;

	json_begin_report(&json, "list");
	json_open_array(&json, "mirrors");
	for (size_t i = 0; i < report->list->nr; i++)
		if (report->wanted[i] && listed_mirror_is_shown(&report->list->mirrors[i]))
			put_mirror(&json, report, i);
	json_close_array(&json);
	json_open_array(&json, "not_looked_at");
	for (size_t i = 0; i < report->nr_gaps; i++)
		json_string(&json, NULL, report->gaps[i].text);
	json_close_array(&json);
	if (report->list->left_over)
		json_string(&json, "left_over", report->list->left_over);
	json_uint(&json, "exit_status", (unsigned int)report->exit_status);
	json_end(&json);
}
