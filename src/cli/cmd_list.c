/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl list: all mirrors of this host, what the kernel and their logs say. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/report_list.h"
#include "cli/signals.h"

#define ANSWER_MS 5000u

struct list_words {
	struct report_words report;
	const char *names[OPTS_WORDS_MAX];
	size_t nr_names;
};

static const struct argp_child children[] = {
	{ &report_argp, 0, NULL, 0 },
	{ 0 },
};

static error_t add_name(struct list_words *words, const char *name, struct argp_state *state)
{
	struct error err = { 0 };

	if (!*name)
		error_usage(&err, "a mirror's name is empty");
	else if (words->nr_names == OPTS_WORDS_MAX)
		error_usage(&err, "more than %u names: list all, or fewer", OPTS_WORDS_MAX);
	if (err.kind)
		return opts_error(state, &err);
	words->names[words->nr_names++] = name;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct list_words *words = state->input;
	struct error err = { 0 };

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;
		state->child_inputs[0] = &words->report;
		return 0;
	case ARGP_KEY_ARG:
		return add_name(words, arg, state);
	case ARGP_KEY_END:
		if (!words->report.mapfile)
			return 0;
		error_usage(&err, "--mapfile: show and audit have regions to map, list has none");
		return opts_error(state, &err);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse, .children = children, .args_doc = "[VG|MIRROR...]",
	.doc = "List all mirrors of this host, or these: active ones from device-mapper, inactive "
	       "ones from LVM; how many regions the kernel counts in sync, and how many the log "
	       "calls clean. Reads the logs, no leg, and changes nothing.\v"
	       "Examples:\n"
	       "  mirrorctl list\n"
	       "  mirrorctl list vg0 vg1/home\n"
	       "  mirrorctl list --json",
};

/* Which mirrors the words name. A word that names none is a gap. */
static void select_wanted(bool *wanted, struct list_report *report, const struct list_words *words)
{
	const struct mirror_list *list = report->list;

	for (size_t i = 0; i < list->nr; i++)
		wanted[i] = !words->nr_names;
	for (size_t word = 0; word < words->nr_names; word++) {
		bool any = false;

		for (size_t i = 0; i < list->nr; i++)
			if (listed_mirror_is_called(&list->mirrors[i], words->names[word]))
				any = wanted[list->mirrors[i].owner] = true;
		if (!any)
			snprintf(report->gaps[report->nr_gaps++].text, sizeof(report->gaps->text),
				 "no mirror here is called %s, or in a volume group of that name",
				 words->names[word]);
	}
	for (size_t i = 0; i < list->nr; i++)
		wanted[i] = wanted[list->mirrors[i].owner];
}

static int exit_status_of(const struct list_report *report)
{
	int status = 0;

	for (size_t i = 0; i < report->list->nr; i++) {
		struct finding_list findings;

		if (!report->wanted[i])
			continue;
		findings.nr = 0;	/* large: the rest is not cleared */
		listed_mirror_judge(&findings, &report->list->mirrors[i]);
		status |= listed_exit_status(&findings);
	}
	for (size_t i = 0; i < report->nr_gaps; i++)
		status |= report->gaps[i].harmless ? 0 : EXIT_TROUBLE;
	return status;
}

static void warn_finding(void *context, const struct listed_mirror *part,
			 const struct finding *finding)
{
	const struct finding_row *row = finding_row(finding->id);
	char subject[320];

	(void)context;
	if (row->class == FINDING_CLASS_WRONG || row->class == FINDING_CLASS_UNKNOWN ||
	    finding->id == FINDING_HEALTH_LEG || finding->id == FINDING_HEALTH_LOG)
		fprintf(stderr, "mirrorctl: %s: %s%s%s%s%s%s\n",
			report_list_subject(subject, sizeof(subject), part), row->text,
			*finding->detail ? " (" : "", finding->detail, *finding->detail ? ")" : "",
			row->remedy ? "; " : "", row->remedy ? row->remedy : "");
}

/* What could not be asked is always said; what was found where no text says it. */
static void warn(const struct list_report *report)
{
	for (size_t i = 0; i < report->nr_gaps; i++)
		fprintf(stderr, "mirrorctl: %s\n", report->gaps[i].text);
	if (!report->words->quiet && !report->words->json)
		return;
	if (report->list->left_over)
		fprintf(stderr, "mirrorctl: %s\n", report->list->left_over);
	for (size_t i = 0; i < report->list->nr; i++)
		if (report->wanted[i])
			report_list_findings(report, i, warn_finding, NULL);
}

static int report_all(struct list_report *report, const struct list_words *words, bool *wanted,
		      struct error *err)
{
	for (size_t i = 0; i < report->list->nr_gaps; i++)
		report->gaps[report->nr_gaps++] = report->list->gaps[i];
	select_wanted(wanted, report, words);
	report->exit_status = exit_status_of(report);
	warn(report);
	if (words->report.json)
		report_list_json(report);
	else if (!words->report.quiet)
		return report_list_text(report, err);
	return 0;
}

static int run(int argc, char **argv)
{
	static struct list_words words;
	struct mirror_list list;
	struct list_request request = {
		.run_directory = "/run/mirrorctl", .answer_ms = ANSWER_MS,
		.cancelled = signals_cancelled,
	};
	struct list_report report = { .list = &list, .words = &words.report };
	struct error err = { 0 };
	bool *wanted = NULL;
	int r;

	memset(&words, 0, sizeof(words));
	if (!command_parse(&command_list, argc, argv, &words))
		return EXIT_USAGE;
	signals_install();
	r = mirror_list_read(&list, &request, &err);
	if (r == -ECANCELED) {
		error_operation(&err, ECANCELED, "interrupted before all mirrors were looked at");
		return command_not_done(&command_list, r, &err, words.report.json);
	}
	wanted = calloc(list.nr + 1, sizeof(*wanted));
	report.wanted = wanted;
	report.gaps = calloc(LIST_GAPS_MAX + words.nr_names, sizeof(*report.gaps));
	if (!r && (!wanted || !report.gaps))
		r = error_operation(&err, ENOMEM, "not enough memory to list the mirrors");
	if (!r)
		r = report_all(&report, &words, wanted, &err);
	if (r)
		report.exit_status = command_failed(&command_list, &err, words.report.json);
	free(wanted);
	free(report.gaps);
	mirror_list_free(&list);
	return report.exit_status;
}

const struct command command_list = {
	.name = "list", .summary = "list all mirrors of this host and how they are",
	.argp = &argp, .run = run,
};
