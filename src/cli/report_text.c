/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The lines that both text reports share. */

#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/size.h"
#include "io/lvm_origin.h"

#define HEADING 10u

static void put_plain(FILE *stream, const char *text, size_t length)
{
	for (; length; length--, text++)
		putc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, stream);
}

void report_text_plain(FILE *stream, const char *text)
{
	put_plain(stream, text, strlen(text));
}

static const char *activity_name(enum mirror_activity activity)
{
	switch (activity) {
	case MIRROR_ACTIVE: return "active";
	case MIRROR_SUSPENDED: return "suspended";
	default: return "inactive";
	}
}

/* Prints `text` word by word from column `at` on; further lines begin at column
 * `indent`. */
static void print_wrapped(const char *text, unsigned int at, unsigned int indent)
{
	unsigned int columns = report_columns();
	bool first = true;

	if (columns < indent + 20)
		columns = indent + 20;
	while (*text) {
		size_t word = strcspn(text, " ");

		if (!first && at + 1 + word >= columns) {
			printf("\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		if (!first) {
			putchar(' ');
			at++;
		}
		put_plain(stdout, text, word);
		at += (unsigned int)word;
		first = false;
		text += word;
		text += strspn(text, " ");
	}
	putchar('\n');
}

void report_text_paragraph(const char *heading, const char *text)
{
	int width = printf("%-*s", (int)HEADING, heading);

	if (width > (int)HEADING)
		putchar(' ');
	if (width > (int)HEADING)
		print_wrapped(text, (unsigned int)width + 1, 0);
	else
		print_wrapped(text, HEADING, HEADING);
}

void report_text_item(const char *mark, const char *text)
{
	unsigned int width = (unsigned int)printf("%s ", mark);

	print_wrapped(text, width, width);
}

void report_text_bullet(const char *text)
{
	report_text_item("  *", text);
}

const char *report_text_range(char out[REPORT_RANGE_MAX], uint64_t first, uint64_t last)
{
	if (first == last)
		snprintf(out, REPORT_RANGE_MAX, "%" PRIu64, first);
	else
		snprintf(out, REPORT_RANGE_MAX, "%" PRIu64 "-%" PRIu64, first, last);
	return out;
}

void report_text_regions(char *out, size_t room, const struct bitmap *regions)
{
	uint64_t from = 0, first, last;
	char range[REPORT_RANGE_MAX];
	size_t used = 0;

	out[0] = '\0';
	while (regions->words && bitmap_next_run(regions, true, from, &first, &last)) {
		if (used + 48 > room) {
			snprintf(out + used, room - used, ", …");
			return;
		}
		used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "",
					 report_text_range(range, first, last));
		from = last + 1;
	}
}

/* The physical volumes of what only LVM knows: "on /dev/sdb, /dev/sdc". */
static void print_physical(const struct session *session, const struct device *device,
			   unsigned int operand)
{
	const char *disk;

	if (!session->opened.lvm || !device)
		return;
	for (size_t i = 0; (disk = lvm_origin_disk(session->opened.lvm, operand, i)); i++) {
		printf(i ? ", " : " on ");
		report_text_plain(stdout, disk);
	}
}

static void print_named(const char *heading, const char *name)
{
	printf("%-*s", (int)HEADING, heading);
	report_text_plain(stdout, name);
}

static void print_log_line(const struct session *session)
{
	const struct mirror_log *log = &session->log;
	char counted[32];

	if (!session->has_log && session->opened.mirror.log_kind == MIRROR_LOG_DISK) {
		print_named("log", session->opened.mirror.log.device);
		printf(", missing\n");
		return;
	}
	if (!session->has_log) {
		printf("%-*s%s\n", (int)HEADING, "log", "core: the kernel keeps the bits in memory");
		return;
	}
	if (log->defects & LOG_REGIONS_UNSET)
		snprintf(counted, sizeof(counted), "2^64-1");
	else
		snprintf(counted, sizeof(counted), "%" PRIu64, log->header.nr_regions);
	print_named("log", session->opened.mirror.log.device);
	print_physical(session, session->opened.log, MIRROR_LEGS_MAX);
	if (session->opened.mirror.log.offset)
		printf("@%" PRIu64 "s", session->opened.mirror.log.offset);
	if (log->header.magic == MIRROR_LOG_MAGIC)
		printf(", version %" PRIu32 ", nr_regions %s", log->header.version, counted);
	if (session->opened.mirror.log.health)
		printf(", health %c", session->opened.mirror.log.health);
	putchar('\n');
}

static void print_bits_line(const struct session *session)
{
	const struct mirror_log *log = &session->log;

	if (!session->has_log) {
		if (session->opened.mirror.status_known)
			printf("%-*s%" PRIu64 "/%" PRIu64 " regions by the kernel's count\n", (int)HEADING,
			       "in sync", session->opened.mirror.in_sync,
			       session->opened.mirror.geometry.nr_regions);
		return;
	}
	if (!log->geometry_known && (log->defects & LOG_REGIONS_UNSET)) {
		printf("%-*s%" PRIu64 " set of the %" PRIu64 " that it holds; how many the mirror has is not known\n",
		       (int)HEADING, "bits", log->clean, log->held);
		return;
	}
	printf("%-*s%" PRIu64 " clean, %" PRIu64 " not clean", (int)HEADING, "bits", log->clean,
	       log->nr_regions - log->clean);
	if (session->opened.mirror.status_known)
		printf("; the kernel counts %" PRIu64 "/%" PRIu64 " in sync",
		       session->opened.mirror.in_sync, session->opened.mirror.geometry.nr_regions);
	putchar('\n');
}

static void print_legs(const struct session *session)
{
	const struct mirror *mirror = &session->opened.mirror;

	for (unsigned int i = 0; i < mirror->nr_legs; i++) {
		const struct mirror_place *leg = &mirror->legs[i];

		char heading[16];

		snprintf(heading, sizeof(heading), "leg %u", i);
		print_named(heading, leg->device ? leg->device : "missing");
		if (leg->missing && leg->device)
			printf(", missing");
		print_physical(session, session->opened.legs[i], i);
		if (leg->offset)
			printf("@%" PRIu64 "s", leg->offset);
		if (leg->health)
			printf(", health %c", leg->health);
		putchar('\n');
	}
}

void report_text_mirror(const struct session *session)
{
	const struct mirror *mirror = &session->opened.mirror;
	const struct region_geometry *geometry = &mirror->geometry;
	char length[32], size[32];

	if (geometry->nr_regions) {
		print_named("mirror", mirror->name);
		if (session->opened.log_only)
			printf(", a log alone");
		else
			printf(", %u legs", mirror->nr_legs);
		printf(", %s, %" PRIu64 " regions of %s, %s\n",
		       size_format(length, sizeof(length), geometry->length * SECTOR_BYTES),
		       geometry->nr_regions,
		       size_format(size, sizeof(size), geometry->region_size * SECTOR_BYTES),
		       activity_name(mirror->activity));
	} else {
		print_named("mirror", mirror->name);
		printf(", a log alone: region size, length and legs are not known\n");
	}
	print_legs(session);
	print_log_line(session);
	print_bits_line(session);
}

static const char *class_heading(enum finding_class class, bool color)
{
	switch (class) {
	case FINDING_CLASS_NOTE: return "note";
	case FINDING_CLASS_WARNING: return color ? "\033[33mWARNING\033[0m" : "WARNING";
	case FINDING_CLASS_WRONG: return color ? "\033[31;1mWRONG\033[0m" : "WRONG";
	case FINDING_CLASS_UNKNOWN: return color ? "\033[35mUNKNOWN\033[0m" : "UNKNOWN";
	default: return "ended";
	}
}

void report_text_classed(enum finding_class class, bool color, const char *text)
{
	printf("%s%*s", class_heading(class, color),
	       (int)(HEADING - strlen(class_heading(class, false))), "");
	print_wrapped(text, HEADING, HEADING);
}

/* "text (detail). At the next activation the kernel …" */
static void print_finding(const struct finding *finding, bool color)
{
	const struct finding_row *row = finding_row(finding->id);
	char text[1200];
	int n;

	if (finding->id == FINDING_NOTE)
		n = snprintf(text, sizeof(text), "%s", finding->detail);
	else
		n = snprintf(text, sizeof(text), "%s%s%s%s.", row->text, *finding->detail ? " (" : "",
			     finding->detail, *finding->detail ? ")" : "");
	if (row->kernel && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, " At the next resume %s.", row->kernel);
	if (row->remedy && strlen(text) + strlen(row->remedy) + 16 < sizeof(text))
		sprintf(text + strlen(text), " What to do: %s.", row->remedy);
	report_text_classed(row->class, color, text);
}

/* Verdict findings have sections of their own in the audit's report. */
static bool has_own_section(enum finding_id id)
{
	return id == FINDING_BOGUS_CLEAN || id == FINDING_SUSPECT || id == FINDING_SUSPECT_CORE_LOG ||
	       id == FINDING_UNVERIFIABLE;
}

void report_text_findings(const struct finding_list *findings, bool color)
{
	bool any = false;

	for (size_t i = 0; i < findings->nr; i++) {
		if (has_own_section(findings->items[i].id))
			continue;
		if (!any)
			putchar('\n');
		any = true;
		print_finding(&findings->items[i], color);
	}
}

static void disk_sentence(char *out, size_t room, const struct session *session,
			  const struct activation *activation)
{
	char bytes[32];

	if (!activation->recovered) {
		snprintf(out, room, "the kernel believes all %" PRIu64 " clean bits and copies nothing.",
			 activation->clean);
		return;
	}
	size_format(bytes, sizeof(bytes), activation->recovered_sectors * SECTOR_BYTES);
	snprintf(out, room, "the kernel believes %" PRIu64 " clean bits and copies leg 0 over the other leg%s in %"
		 PRIu64 " region%s (%s)%s.", activation->clean,
		 session->opened.mirror.nr_legs == 2 ? "" : "s", activation->recovered,
		 activation->recovered == 1 ? "" : "s", bytes,
		 activation->every_resume ? ", again at every resume" : "");
}

void report_activation_sentence(char *out, size_t room, const struct session *session)
{
	struct activation activation;

	activation_predict(&activation, &session->opened.mirror, &session->log);
	if (!activation.loads)
		snprintf(out, room, "the kernel refuses to load the table: the log is too small.");
	else if (activation.panics)
		snprintf(out, room, "the kernel panics: do not activate this mirror.");
	else if (activation.trusted_without_bit || session->opened.mirror.sync == MIRROR_SYNC_NOSYNC)
		snprintf(out, room, "the table's nosync makes the kernel set every bit, %" PRIu64
			 " of them over regions that are not clean now; nothing is copied.",
			 activation.trusted_without_bit);
	else
		disk_sentence(out, room, session, &activation);
}
