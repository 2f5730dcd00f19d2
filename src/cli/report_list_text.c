/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A table for people, and below it what is wrong and what to do. */

#include "cli/report_list.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "core/size.h"

#define WIDE 120u		/* columns: room for the names of legs and log */
#define NARROW 80u		/* below it lines lose their ends rather than their names */
#define ITEM_INDENT "           "
#define RED "\033[31;1m"
#define YELLOW "\033[33m"
#define BOLD "\033[1m"

/* --- the table ------------------------------------------------------------------------ */

enum column { NAME, STATE, LEGS, LOG, REGION, IN_SYNC, CLEAN, HEALTH, WHAT, PLACES, NR_COLUMNS };

static const struct {
	const char *name;
	int flags;
} columns[NR_COLUMNS] = {
	[NAME] = { "NAME", SCOLS_FL_TRUNC }, [STATE] = { "STATE", 0 },
	[LEGS] = { "LEGS", SCOLS_FL_RIGHT }, [LOG] = { "LOG", 0 },
	[REGION] = { "REGION", SCOLS_FL_RIGHT }, [IN_SYNC] = { "IN SYNC", SCOLS_FL_RIGHT },
	[CLEAN] = { "CLEAN", SCOLS_FL_RIGHT }, [HEALTH] = { "HEALTH", 0 },
	[WHAT] = { "WHAT", 0 }, [PLACES] = { "LEGS, LOG", SCOLS_FL_TRUNC },
};

static void counts(char *out, size_t room, bool known, uint64_t some, uint64_t all)
{
	if (known)
		snprintf(out, room, "%" PRIu64 "/%" PRIu64, some, all);
	else
		snprintf(out, room, "-");
}

static bool any_told(const struct mirror *mirror)
{
	for (unsigned int i = 0; i < mirror->nr_legs; i++)
		if (mirror->legs[i].health || mirror->legs[i].missing)
			return true;
	return false;
}

/* "AA A": the legs' letters, then the log's. "?x": nothing is told of leg 0, leg 1 is
 * missing. */
static bool health(char *out, const struct mirror *mirror)
{
	bool well = true;
	size_t used = 0;

	for (unsigned int i = 0; any_told(mirror) && i < mirror->nr_legs; i++) {
		const struct mirror_place *leg = &mirror->legs[i];

		out[used] = leg->health ? leg->health : leg->missing ? 'x' : '?';
		well = well && (out[used] == 'A' || out[used] == '?');
		used++;
	}
	if (mirror->log.health) {
		out[used++] = ' ';
		out[used++] = mirror->log.health;
		well = well && mirror->log.health == 'A';
	}
	if (!used)
		out[used++] = '-';
	out[used] = '\0';
	return well;
}

static void add_word(char *out, size_t room, const char *word)
{
	size_t used = strlen(out);

	if (word && *word)
		snprintf(out + used, room - used, "%s%s", used ? ", " : "", word);
}

static void what(char *out, size_t room, const struct listed_mirror *listed)
{
	char segment[48] = "";

	*out = '\0';
	add_word(out, room, report_list_kind(listed));
	if (listed->segmented)
		snprintf(segment, sizeof(segment), "--segment %" PRIu64, listed->mirror.start);
	add_word(out, room, segment);
	if (listed->nosync || listed->mirror.sync == MIRROR_SYNC_NOSYNC)
		add_word(out, room, "nosync");
	if (listed->mirror.sync == MIRROR_SYNC_SYNC)
		add_word(out, room, "sync");
	if (listed->partial)
		add_word(out, room, "a disk is missing");
	if (listed->group == LISTED_GROUP_TWICE)
		add_word(out, room, "name used twice");
	else
		add_word(out, room, report_list_group(listed));
}

static void places(char *out, size_t room, const struct listed_mirror *listed)
{
	size_t used = 0;

	*out = '\0';
	for (unsigned int i = 0; i < listed->mirror.nr_legs && used < room; i++)
		used += (size_t)snprintf(out + used, room - used, "%s%s", used ? " " : "",
					 listed->leg_names[i] ? listed->leg_names[i] : "missing");
	if (listed->log_name && used < room)
		snprintf(out + used, room - used, "%s%s", used ? ", " : "", listed->log_name);
}

static int set(struct libscols_line *line, enum column column, const char *text, const char *color)
{
	struct libscols_cell *cell;
	int r = scols_line_set_data(line, column, text);

	if (r)
		return r;
	cell = scols_line_get_cell(line, column);
	return color && cell ? scols_cell_set_color(cell, color) : 0;
}

static int set_counts(struct libscols_line *line, const struct listed_mirror *listed)
{
	const struct mirror *mirror = &listed->mirror;
	char text[64];
	int r;

	counts(text, sizeof(text), mirror->status_known, mirror->in_sync,
	       mirror->geometry.nr_regions);
	r = set(line, IN_SYNC, text, NULL);
	counts(text, sizeof(text), listed->log_known, listed->log.clean, mirror->geometry.nr_regions);
	if (*listed->log_unread)
		snprintf(text, sizeof(text), "?");
	return r ? r : set(line, CLEAN, text, listed->verdict == SYNC_BOGUS ||
			   *listed->log_unread ? RED : NULL);
}

static int set_row(struct libscols_line *line, const struct listed_mirror *listed, bool wide)
{
	const struct mirror *mirror = &listed->mirror;
	char text[2048];
	bool well;
	int r;

	r = set(line, NAME, listed->name, NULL);
	r = r ? r : set(line, STATE, report_list_activity(listed),
			mirror->activity == MIRROR_SUSPENDED ? YELLOW : NULL);
	snprintf(text, sizeof(text), "%u", mirror->nr_legs);
	r = r ? r : set(line, LEGS, mirror->nr_legs ? text : "-", NULL);
	r = r ? r : set(line, LOG, report_list_log(listed), NULL);
	r = r ? r : set(line, REGION, mirror->geometry.region_size ?
			size_format(text, sizeof(text), mirror->geometry.region_size * SECTOR_BYTES) :
			"-", NULL);
	r = r ? r : set_counts(line, listed);
	well = health(text, mirror);
	r = r ? r : set(line, HEALTH, text, well ? NULL : RED);
	what(text, sizeof(text), listed);
	r = r ? r : set(line, WHAT, text, NULL);
	places(text, sizeof(text), listed);
	return r || !wide ? r : set(line, PLACES, text, NULL);
}

static int add_columns(struct libscols_table *table, bool wide)
{
	for (unsigned int i = 0; i < (wide ? NR_COLUMNS : PLACES); i++) {
		struct libscols_column *column = scols_table_new_column(table, columns[i].name, 0,
									columns[i].flags);

		if (!column || scols_cell_set_color(scols_column_get_header(column), BOLD))
			return -ENOMEM;
	}
	return 0;
}

/* Lines are cut where the terminal ends, colours are not. */
static void print_cut(const char *text, unsigned int width)
{
	unsigned int at = 0;

	for (; *text; text++) {
		if (*text == '\033') {
			size_t length = strcspn(text, "m") + 1;

			fwrite(text, 1, strnlen(text, length), stdout);
			text += strnlen(text, length) - 1;
		} else if (*text == '\n') {
			putchar('\n');
			at = 0;
		} else if (at++ < width) {
			putchar(*text);
		}
	}
}

static int fill_table(struct libscols_table *table, const struct list_report *report, bool wide)
{
	int r = add_columns(table, wide);

	for (size_t i = 0; i < report->list->nr && !r; i++) {
		struct libscols_line *line;

		if (!report->wanted[i] || !listed_mirror_is_shown(&report->list->mirrors[i]))
			continue;
		line = scols_table_new_line(table, NULL);
		r = line ? set_row(line, &report->list->mirrors[i], wide) : -ENOMEM;
	}
	return r;
}

/* In a pipe nothing is cut. */
static int print_table(const struct list_report *report, bool color)
{
	bool terminal = isatty(STDOUT_FILENO);
	unsigned int width = terminal ? report_columns() : UINT32_MAX;
	struct libscols_table *table = scols_new_table();
	char *text = NULL;
	int r = -ENOMEM;

	if (!table)
		return r;
	scols_table_enable_colors(table, color);
	scols_table_set_termforce(table, terminal ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	if (terminal)
		scols_table_set_termwidth(table, width < NARROW ? NARROW : width);
	r = fill_table(table, report, width >= WIDE);
	if (!r)
		r = scols_print_table_to_string(table, &text);
	if (!r) {
		print_cut(text, width);
		putchar('\n');
	}
	free(text);
	scols_unref_table(table);
	return r;
}

/* --- what is wrong -------------------------------------------------------------------- */

struct item {
	const struct listed_mirror *part;
	struct finding finding;
};

struct items {
	struct item *items;
	size_t nr, room;
	bool failed;
};

static void item_add(void *context, const struct listed_mirror *part, const struct finding *finding)
{
	struct items *items = context;
	size_t room = items->room ? 2 * items->room : 64;
	struct item *grown;

	if (items->nr == items->room) {
		grown = reallocarray(items->items, room, sizeof(*grown));
		if (!grown) {
			items->failed = true;
			return;
		}
		items->items = grown;
		items->room = room;
	}
	items->items[items->nr++] = (struct item){ part, *finding };
}

/* "vg/home's log: leg 1: 'D', write errors" */
static void item_text(char *out, size_t room, const struct item *item)
{
	char subject[320];

	snprintf(out, room, "%s%s%s", report_list_subject(subject, sizeof(subject), item->part),
		 *item->finding.detail ? ": " : "", item->finding.detail);
}

/* A sentence, the mirrors that it is about, and what to do, each once; a note is no more
 * than what it says of its mirror. */
static void print_finding(const struct items *items, enum finding_id id, bool color, bool *any)
{
	const struct finding_row *row = finding_row(id);
	bool first = true;
	char text[1200];

	for (size_t i = 0; i < items->nr; i++) {
		if (items->items[i].finding.id != id)
			continue;
		if (!*any)
			putchar('\n');
		*any = true;
		item_text(text, sizeof(text), &items->items[i]);
		if (id == FINDING_NOTE) {
			report_text_classed(row->class, color, text);
			continue;
		}
		if (first)
			report_text_classed(row->class, color, row->text);
		first = false;
		report_text_item(ITEM_INDENT, text);
	}
	if (first || !row->remedy)
		return;
	snprintf(text, sizeof(text), "What to do: %s.", row->remedy);
	report_text_paragraph("", text);
}

static bool is_printed(const struct list_report *report, unsigned int id)
{
	return finding_row(id)->class != FINDING_CLASS_NOTE || id == FINDING_NOTE ||
	       report->words->verbose;
}

static int print_findings(const struct list_report *report, bool color)
{
	static const enum finding_class classes[] = {
		FINDING_CLASS_WRONG, FINDING_CLASS_UNKNOWN, FINDING_CLASS_WARNING,
		FINDING_CLASS_NOTE,
	};
	struct items items = { 0 };
	bool any = false;

	for (size_t i = 0; i < report->list->nr; i++)
		if (report->wanted[i])
			report_list_findings(report, i, item_add, &items);
	for (size_t c = 0; c < sizeof(classes) / sizeof(*classes) && !items.failed; c++)
		for (unsigned int id = 0; id < FINDING_COUNT; id++)
			if (finding_row(id)->class == classes[c] && is_printed(report, id))
				print_finding(&items, id, color, &any);
	free(items.items);
	return items.failed ? -ENOMEM : 0;
}

/* --- the whole ------------------------------------------------------------------------ */

static bool any_row(const struct list_report *report)
{
	for (size_t i = 0; i < report->list->nr; i++)
		if (report->wanted[i] && listed_mirror_is_shown(&report->list->mirrors[i]))
			return true;
	return false;
}

int report_list_text(const struct list_report *report, struct error *err)
{
	bool color = report_color(report->words, STDOUT_FILENO);
	int r = 0;

	if (any_row(report))
		r = print_table(report, color);
	else
		puts(report->exit_status ? "No mirrors were found where one could look." :
		     "There are no mirrors on this host.");
	if (!r && report->list->left_over) {
		putchar('\n');
		report_text_classed(FINDING_CLASS_WARNING, color, report->list->left_over);
	}
	if (!r)
		r = print_findings(report, color);
	if (r)
		return error_operation(err, ENOMEM, "not enough memory to print the list");
	if (any_row(report) && !report->exit_status)
		puts("\nNothing is wrong by what kernel and logs say. Only mirrorctl audit, which reads\n"
		     "the legs, can tell whether clean bits are true.");
	return 0;
}
