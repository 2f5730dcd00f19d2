/* SPDX-License-Identifier: GPL-2.0-or-later */

/* undo --list: the journals that repairs and resyncs have left behind. */

#include "cli/undo_job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/report.h"
#include "cli/report_json.h"
#include "cli/signals.h"
#include "io/state.h"

struct item {
	const char *path;
	char time[UNDO_TIME_MAX];
	const char *state;		/* as in JSON */
	char *identity;			/* JSON text, or NULL */
	struct identity_places places;	/* their name is the mirror's */
	struct journal_log_state log_state;
	const char *of;			/* "repair", "resync" or NULL */
	uint64_t cleared, set;		/* bits */
	struct error error;		/* of one that is damaged */
};

static void item_free(struct item *item)
{
	identity_places_free(&item->places);
	free(item->identity);
}

/* What the first record says, also of a journal that is damaged farther behind. */
static char *first_identity(const struct journal_source *source)
{
	struct journal_reader reader;
	struct journal_record record;
	struct error ignored = { 0 };
	char *identity = NULL;

	journal_reader_init(&reader, *source);
	if (journal_next(&reader, &record, &ignored) == 1 && record.type == JOURNAL_IDENTITY)
		identity = strdup(record.identity);
	journal_reader_free(&reader);
	return identity;
}

static const char *state_of(const struct undo_journal *journal)
{
	if (journal->open)
		return journal->has_set ? "done" : "begun";
	if (!journal->has_log)
		return "saved";
	return journal->has_outcome ? "done" : "begun";
}

static void item_read(struct item *item, const char *path)
{
	struct undo_journal journal = { 0 };
	struct journal_input input;
	uint64_t cut_at;
	int r;

	*item = (struct item){ .path = path, .state = "damaged" };
	undo_journal_time(item->time, path);
	if (journal_input_open(&input, path, &item->error))
		return;
	item->identity = first_identity(&input.source);
	if (item->identity && identity_places_parse(&item->places, item->identity, NULL))
		memset(&item->places, 0, sizeof(item->places));
	r = undo_journal_read(&journal, &input.source, &cut_at, &item->error);
	if (!r || r == -ENODATA)
		memset(&item->error, 0, sizeof(item->error));
	if (!r) {
		item->state = state_of(&journal);
		item->cleared = bitmap_count(&journal.cleared);
		item->set = journal.has_set ? bitmap_count(&journal.set) : 0;
		if (journal.has_log)
			item->of = journal.open ? "resync" : "repair";
	} else if (r == -ENODATA) {
		item->state = "cut_short";
	}
	undo_journal_free(&journal);
	journal_input_close(&input);
}

/* Is it of this mirror? One that does not say whose it is may be anybody's. */
static bool is_of(const struct item *item, const struct identity *wanted)
{
	struct identity identity;
	char why[256];

	if (!wanted || !item->identity || identity_from_json(&identity, item->identity, NULL))
		return true;
	return identity_matches(&identity, wanted, why, sizeof(why));
}

/* --- text ------------------------------------------------------------------------ */

static void print_item(const struct item *item, bool first)
{
	static const char *const words[][2] = {
		{ "done", "done" }, { "begun", "begun" }, { "saved", "saved data" },
		{ "cut_short", "not written" }, { "damaged", "DAMAGED" },
	};
	const char *state = "";

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(item->state, words[i][0]))
			state = words[i][1];
	if (first)
		printf("%-20s  %-6s  %10s  %-11s  %s\n", "time", "of", "bits", "state", "mirror");
	printf("%-20s  %-6s  %10" PRIu64 "  %-11s  ", item->time, item->of ? item->of : "",
	       item->set ? item->set : item->cleared, state);
	report_text_plain(stdout, item->places.name ? item->places.name : "?");
	printf("\n    ");
	report_text_plain(stdout, item->path);
	putchar('\n');
}

/* --- JSON ------------------------------------------------------------------------ */

static void put_item(struct json_stream *json, const struct item *item)
{
	json_open_object(json, NULL);
	json_string(json, "path", item->path);
	if (*item->time)
		json_string(json, "time", item->time);
	json_string(json, "state", item->state);
	if (item->places.name)
		json_string(json, "mirror", item->places.name);
	if (item->of)
		json_string(json, "of", item->of);
	json_uint(json, "cleared_bits", item->cleared);
	if (item->of && !strcmp(item->of, "resync"))
		json_uint(json, "set_bits", item->set);
	if (item->error.kind != ERROR_NONE)
		json_string(json, "error", item->error.text);
	json_close_object(json);
}

/* --- all of them ------------------------------------------------------------------ */

struct list {
	const struct undo_words *words;
	struct session session;		/* of MIRROR */
	bool opened;
	bool hung;
	struct identity wanted;
	struct state_journals journals;
	char *directory;
	struct json_stream json;
	uint64_t nr_shown;
	int status;
};

static int open_mirror(struct list *list, struct error *err)
{
	const struct mirror_operand *operand = &list->words->mirror.operand;
	int r;

	if (!operand->name && !operand->nr_legs && !operand->log && !operand->table)
		return 0;
	r = session_open(&list->session, &list->words->mirror, &list->words->report, err);
	list->opened = !r;
	if (!r)
		r = mirror_identify(&list->wanted, &list->session.opened, list->session.engine, err);
	list->hung = r == -ETIMEDOUT;
	return r;
}

static void show(struct list *list, const struct item *item)
{
	if (list->words->report.json)
		put_item(&list->json, item);
	else if (!list->words->report.quiet)
		print_item(item, !list->nr_shown);
	list->nr_shown++;
	if (item->error.kind == ERROR_NONE)
		return;
	fflush(stdout);
	fprintf(stderr, "mirrorctl: %s\n", item->error.text);
	list->status |= EXIT_TROUBLE;
}

static void show_all(struct list *list)
{
	struct item item;

	for (size_t i = 0; i < list->journals.nr; i++) {
		if (signals_stop_wanted()) {
			list->status |= EXIT_INTERRUPTED;
			break;
		}
		item_read(&item, list->journals.paths[i]);
		if (is_of(&item, list->opened ? &list->wanted : NULL))
			show(list, &item);
		item_free(&item);
	}
	if (!list->nr_shown && !list->words->report.json && !list->words->report.quiet)
		printf("No journal%s in %s/undo.\n", list->opened ? " of this mirror" : "",
		       list->directory);
}

static void show_json(struct list *list)
{
	if (list->opened) {
		report_json_head(&list->json, "undo", &list->session, NULL);
	} else {
		json_begin_report(&list->json, "undo");
	}
	json_open_object(&list->json, "result");
	json_string(&list->json, "directory", list->directory);
	json_open_array(&list->json, "journals");
	show_all(list);
	json_close_array(&list->json);
	json_close_object(&list->json);
	report_json_tail(&list->json, &list->session, list->status);
}

int undo_list(const struct undo_words *words, int *status, struct error *err)
{
	static struct list list;
	int r;

	memset(&list, 0, sizeof(list));
	list.words = words;
	r = state_directory(&list.directory, words->write.state_dir, err);
	if (!r)
		r = state_journals_list(&list.journals, list.directory, err);
	if (!r)
		r = open_mirror(&list, err);
	if (!r && words->report.json)
		show_json(&list);
	else if (!r)
		show_all(&list);
	*status = list.status;
	state_journals_free(&list.journals);
	free(list.directory);
	session_close(&list.session, list.hung);
	return r;
}
