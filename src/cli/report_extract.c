/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The reports of mirrorctl extract, for people and for programs. */

#include "cli/report_extract.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/json_stream.h"
#include "cli/report.h"
#include "core/size.h"
#include "io/identify.h"

#define EXTENTS_SHOWN 1000u	/* of a leg, unless more are asked for */

static void print_line(const char *heading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void print_line(const char *heading, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report_text_paragraph(heading, text);
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* "435 sectors (217.5 KiB) in 12 runs" */
static char *format_extents(char *out, size_t room, const struct extract_extents *extents)
{
	char size[32];

	snprintf(out, room, "%" PRIu64 " sector%s (%s) in %" PRIu64 " run%s", extents->sectors,
		 plural(extents->sectors),
		 size_format(size, sizeof(size), extents->sectors * SECTOR_BYTES),
		 extents->nr_found, plural(extents->nr_found));
	return out;
}

static void print_identity(const struct extract *extract, const struct identity_places *places)
{
	const struct identity *identity = &extract->identity;
	char length[32], size[32];

	print_line("mirror", "%s%s%s%s%u legs, %s, %" PRIu64 " regions of %s",
		   places->name ? places->name : "", places->name ? ", " : "", identity->id,
		   *identity->id ? ", " : "", identity->nr_legs,
		   size_format(length, sizeof(length), identity->length * SECTOR_BYTES),
		   extract->geometry.nr_regions,
		   size_format(size, sizeof(size), identity->region_size * SECTOR_BYTES));
}

/* A digest in the place of a name tells a person nothing. */
static const char *name_to_show(const struct identity *identity, const char *name)
{
	return strcmp(identity->kind, "weak") ? name : "";
}

static void print_leg(const struct extract *extract, const struct identity_places *places,
		      unsigned int leg)
{
	const char *name = name_to_show(&extract->identity, extract->identity.leg[leg]);
	const char *place = leg < places->operand.nr_legs ? places->legs[leg] : NULL;
	char heading[16], saved[128];

	snprintf(heading, sizeof(heading), "leg %u", leg);
	if (extract->legs[leg].sectors)
		format_extents(saved, sizeof(saved), &extract->legs[leg]);
	else
		snprintf(saved, sizeof(saved), "nothing");
	print_line(heading, "%s saved%s%s%s%s", saved, place ? "; was " : "", place ? place : "",
		   *name ? "; " : "", name);
}

static void print_extents(const struct extract_report *report, unsigned int leg)
{
	const struct extract_extents *list = &report->extract->legs[leg];
	size_t shown = list->nr;

	if (shown > EXTENTS_SHOWN && !report->words->verbose && !report->words->max_runs)
		shown = EXTENTS_SHOWN;
	for (size_t i = 0; i < shown; i++) {
		const struct extract_extent *extent = &list->extents[i];
		char sectors[48], size[32];

		snprintf(sectors, sizeof(sectors), "%" PRIu64 "-%" PRIu64, extent->start,
			 extent->start + extent->sectors - 1);
		printf("  %3u  %-23s %9" PRIu64 "  %s\n", leg, sectors, extent->sectors,
		       size_format(size, sizeof(size), extent->sectors * SECTOR_BYTES));
	}
	if (shown < list->nr_found)
		printf("  %3u  … and %" PRIu64 " more runs (%s)\n", leg, list->nr_found - shown,
		       list->truncated ? "--max-runs keeps more of them" : "--verbose lists them");
}

static void print_list(const struct extract_report *report)
{
	const struct extract *extract = report->extract;
	bool any = false;

	for (unsigned int leg = 0; leg < extract->identity.nr_legs; leg++) {
		if (!extract->legs[leg].sectors)
			continue;
		if (!any)
			printf("\n  %3s  %-23s %9s  %s\n", "leg", "sectors", "saved", "size");
		any = true;
		print_extents(report, leg);
	}
}

static void print_contents(const struct extract_report *report)
{
	const struct extract *extract = report->extract;
	struct identity_places places;

	/* Where the mirror was is a help and no more: without it the rest is shown. */
	if (identity_places_parse(&places, extract->identity_json, NULL))
		memset(&places, 0, sizeof(places));
	print_line("file", "%s, %s%s", report->file,
		   extract->open ? "of a resync: what it overwrote" :
		   extract->has_log ? "an undo journal" : "saved sectors",
		   extract->torn ? ", torn or damaged at its end" :
		   extract->complete ? "" : ", cut short");
	print_identity(extract, &places);
	for (unsigned int leg = 0; leg < extract->identity.nr_legs; leg++)
		print_leg(extract, &places, leg);
	if (extract->nr_digests)
		print_line("digests", "of every leg in %" PRIu64 " region%s", extract->nr_digests,
			   plural(extract->nr_digests));
	identity_places_free(&places);
	print_list(report);
}

void report_extract_text(const struct extract_report *report)
{
	uint64_t sectors = report->span.last - report->span.first + 1;
	char heading[16], saved[128], size[32];

	if (report->words->quiet)
		return;
	if (!report->output) {
		print_contents(report);
		return;
	}
	snprintf(heading, sizeof(heading), "leg %u", report->leg);
	print_line(heading, "%s",
		   format_extents(saved, sizeof(saved), &report->extract->written));
	print_line("written", "%s, %s, with holes where nothing was saved", report->output,
		   size_format(size, sizeof(size), sectors * SECTOR_BYTES));
	print_line("place", "sectors %" PRIu64 "-%" PRIu64 " of the mirror, from byte %" PRIu64,
		   report->span.first, report->span.last, report->span.first * SECTOR_BYTES);
}

/* --- JSON ---------------------------------------------------------------- */

static void put_extents(struct json_stream *json, const struct extract_extents *list)
{
	json_open_array(json, "runs");
	for (size_t i = 0; i < list->nr; i++) {
		json_open_object(json, NULL);
		json_uint(json, "start_sector", list->extents[i].start);
		json_uint(json, "sectors", list->extents[i].sectors);
		json_close_object(json);
	}
	json_close_array(json);
}

static void put_legs(struct json_stream *json, const struct extract *extract)
{
	bool truncated = false;

	json_open_array(json, "legs");
	for (unsigned int leg = 0; leg < extract->identity.nr_legs; leg++) {
		json_open_object(json, NULL);
		json_uint(json, "leg", leg);
		json_uint(json, "saved_sectors", extract->legs[leg].sectors);
		put_extents(json, &extract->legs[leg]);
		json_close_object(json);
		truncated = truncated || extract->legs[leg].truncated;
	}
	json_close_array(json);
	json_flag(json, "truncated", truncated);
}

static void put_extracted(struct json_stream *json, const struct extract_report *report)
{
	if (!report->output)
		return;
	json_open_object(json, "extracted");
	json_uint(json, "leg", report->leg);
	json_string(json, "output", report->output);
	json_uint(json, "start_sector", report->span.first);
	json_uint(json, "sectors", report->span.last - report->span.first + 1);
	json_uint(json, "saved_sectors", report->extract->written.sectors);
	json_close_object(json);
}

void report_extract_json(const struct extract_report *report)
{
	const struct extract *extract = report->extract;
	struct json_stream json;

	json_begin_report(&json, "extract");
	json_open_object(&json, "result");
	json_string(&json, "file", report->file);
	json_flag(&json, "complete", extract->complete);
	json_flag(&json, "has_log", extract->has_log);
	json_raw(&json, "identity", extract->identity_json);
	json_uint(&json, "digest_regions", extract->nr_digests);
	put_legs(&json, extract);
	put_extracted(&json, report);
	json_close_object(&json);
	json_uint(&json, "exit_status", (unsigned int)report->exit_status);
	json_end(&json);
}
