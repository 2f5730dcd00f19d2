/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl audit: is what the log calls clean really equal? */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/comparison.h"
#include "cli/mapfile.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "core/size.h"
#include "io/identify.h"

#define CONFIDENCE 0.99

enum { KEY_ALL = 5000, KEY_REGIONS, KEY_SAMPLE, KEY_SEED, KEY_RATE };

struct audit_words {
	struct mirror_words mirror;
	struct report_words report;
	bool all;
	const char *regions;
	struct selection selection;
	bool seed_given;
	uint64_t rate_bytes;
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to compare:", 3 },
	{ "all", KEY_ALL, NULL, 0, "Every region, not only those the log calls clean", 3 },
	{ "regions", KEY_REGIONS, "LIST", 0, "Exactly these regions, clean or not: 5,7-9,100-", 3 },
	{ "sample", KEY_SAMPLE, "N|P%", 0, "N regions, or P percent, drawn at random", 3 },
	{ "seed", KEY_SEED, "N", 0, "Draw the same sample again", 3 },
	{ "rate", KEY_RATE, "LIMIT", 0, "Read at most LIMIT bytes a second from each leg", 3 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ &mirror_argp, 0, NULL, 0 },
	{ &report_argp, 0, NULL, 0 },
	{ 0 },
};

/* Options that exclude each other. */
static error_t validate(const struct audit_words *words, const struct argp_state *state)
{
	struct error err = { 0 };

	if (words->all && words->regions)
		error_usage(&err, "--all and --regions exclude each other");
	else if (words->selection.sampled && words->regions)
		error_usage(&err, "--sample and --regions exclude each other");
	else if (words->seed_given && !words->selection.sampled)
		error_usage(&err, "--seed goes with --sample");
	return err.kind ? opts_error(state, &err) : 0;
}

static error_t parse_number(int key, const char *arg, struct audit_words *words,
			    const struct argp_state *state)
{
	struct error err = { 0 };
	unsigned long long number;
	error_t r;

	switch (key) {
	case KEY_SEED:
		r = opts_number(state, "--seed", arg, UINT64_MAX, &number);
		words->selection.seed = number;
		words->seed_given = true;
		return r;
	case KEY_SAMPLE:
		words->selection.sampled = true;
		return sample_size_parse(&words->selection.size, arg, &err) ?
			opts_error(state, &err) : 0;
	default:
		return opts_rate(state, arg, &words->rate_bytes);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct audit_words *words = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;
		state->child_inputs[0] = &words->mirror;
		state->child_inputs[1] = &words->report;
		return 0;
	case KEY_ALL:
		words->all = true;
		return 0;
	case KEY_REGIONS:
		words->regions = arg;
		return 0;
	case KEY_SAMPLE:
	case KEY_SEED:
	case KEY_RATE:
		return parse_number(key, arg, words, state);
	case ARGP_KEY_END:
		return validate(words, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .children = children, .args_doc = "[MIRROR]",
	.doc = "Compare the legs wherever the log calls a region clean, and say which clean bits "
	       "lie. Reads only, also on a mirror that is running.\v"
	       "Exit status: 0 all is as the log says, 4 clean regions differ, 8 something could "
	       "not be read or determined (12: both), 16 wrong usage, 32 ended before the end.\n\n"
	       "Examples:\n"
	       "  mirrorctl audit vg-home\n"
	       "  mirrorctl audit --leg=a.img --leg=b.img --log=log.img --region-size=512k\n"
	       "  mirrorctl audit --table=table.txt --device 253:2=log.img --device 253:3=a.img --device 253:4=b.img",
};

/* Which regions: the words, checked against the mirror. */
static int select_regions(struct audit_words *words, const struct session *session,
			  struct audit_report *report, struct error *err)
{
	uint64_t nr_regions = session->opened.mirror.geometry.nr_regions;
	struct selection *selection = &words->selection;
	struct region_list list = { 0 };
	int r = 0;

	selection->scope = words->all ? SELECT_ALL : words->regions ? SELECT_LIST : SELECT_CLEAN;
	if (words->regions)
		r = region_list_parse(&list, words->regions, nr_regions, err);
	if (!words->seed_given)
		selection->seed = clock_now_ns();
	if (!r && selection_make(selection, nr_regions, &session->log.clean_bits, &list))
		r = error_operation(err, ENOMEM, "not enough memory for %llu regions",
				    (unsigned long long)nr_regions);
	region_list_free(&list);
	report->complete = selection->scope != SELECT_LIST && !selection->sampled;
	if (selection->sampled)
		snprintf(report->scope, sizeof(report->scope), "a sample of %s, seed %llu",
			 words->all || !session->has_log ? "all regions" : "the clean regions",
			 (unsigned long long)selection->seed);
	else if (words->regions)
		snprintf(report->scope, sizeof(report->scope), "regions %.120s", words->regions);
	else
		snprintf(report->scope, sizeof(report->scope), "%s", !session->has_log ?
			 "all regions: the kernel counts every one as in sync (a core log, no bits on disk)" :
			 words->all ? "all regions" : "regions that the log calls clean");
	return r;
}

static int compare(struct comparison *comparison, const struct audit_words *words,
		   struct session *session, struct error *err)
{
	*comparison = (struct comparison){ .selected = &words->selection.regions,
					   .rate_bytes = words->rate_bytes };
	return comparison_run(comparison, session, &words->report, err);
}

static void make_report(struct audit_report *report, struct audit_words *words,
			struct session *session, const struct comparison *comparison)
{
	const struct audit_result *result = &comparison->result;
	const uint64_t *count = result->regions.count;

	report->session = session;
	report->words = &words->report;
	report->result = result;
	report->selection = &words->selection;
	report->complete = report->complete && result->end == AUDIT_COMPLETE;
	report->elapsed_ns = comparison->elapsed_ns;
	snprintf(report->change, sizeof(report->change), "%s", comparison->change);
	if (words->selection.sampled)
		report->sample_bound = sample_upper_bound(words->selection.population,
			result->selected_regions,
			count[VERDICT_BOGUS_CLEAN] + count[VERDICT_SUSPECT], CONFIDENCE);
	comparison_add_findings(comparison, session);
	report->exit_status = finding_exit_status(&session->findings);
}

/* For a later repair; a report without it is a report all the same. */
static char *identify(struct session *session, const struct audit_words *words,
		      struct comparison *comparison)
{
	struct identity identity;
	char *json = NULL;
	int r;

	if (!words->report.json || comparison->result.hung)
		return NULL;
	r = mirror_identify(&identity, &session->opened, session->engine, NULL);
	comparison->result.hung = r == -ETIMEDOUT;
	if (!r && mirror_identity_json(&json, &identity, &session->opened))
		json = NULL;
	return json;
}

static int check_can_audit(struct session *session, struct error *err)
{
	int r = session_check_legs(session, "audit compares", err);

	return r || session->has_log ? r : session_trust_count(session, err);
}

static int run(int argc, char **argv)
{
	static struct audit_words words;
	static struct session session;
	static struct comparison comparison;
	struct audit_report report = { 0 };
	struct error err = { 0 };
	struct mapfile *map = NULL;
	char *identity = NULL;
	size_t told = 0;
	int r, status;

	memset(&words, 0, sizeof(words));
	if (!command_parse(&command_audit, argc, argv, &words))
		return EXIT_USAGE;
	signals_install();
	r = session_open(&session, &words.mirror, &words.report, &err);
	if (!r)
		r = check_can_audit(&session, &err);
	if (!r) {
		session_warn(&session, &words.report, 0);
		told = session.findings.nr;
	}
	if (!r)
		r = select_regions(&words, &session, &report, &err);
	if (!r)
		r = mapfile_create(&map, words.report.mapfile, &session.opened,
				   &words.mirror.operand, &err);
	if (!r)
		r = compare(&comparison, &words, &session, &err);
	if (r) {
		status = command_not_done(&command_audit, r, &err, words.report.json);
		goto out;
	}
	make_report(&report, &words, &session, &comparison);
	session_warn(&session, &words.report, told);
	/* What was found is told even when the map of it cannot be written. */
	if (mapfile_write_audit(map, &comparison.result, &err))
		report.exit_status |= command_failed(&command_audit, &err, false);
	status = report.exit_status;
	report.identity_json = identity = identify(&session, &words, &comparison);
	if (words.report.json)
		report_audit_json(&report);
	else
		report_audit_text(&report);
out:
	mapfile_close(map);
	free(identity);
	selection_free(&words.selection);
	comparison_free(&comparison);
	session_close(&session, comparison.result.hung);
	return status;
}

const struct command command_audit = {
	.name = "audit", .summary = "compare the legs wherever the log says they are equal",
	.argp = &argp, .run = run,
};
