/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl audit: is what the log calls clean really equal? */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/mapfile.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "core/size.h"

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
		if (!size_parse_bytes(&words->rate_bytes, arg, 1, "--rate", &err) && !words->rate_bytes)
			error_usage(&err, "--rate: 0 would never end");
		return err.kind ? opts_error(state, &err) : 0;
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

/* What the audit's hooks need. */
struct run {
	struct session *session;
	struct progress progress;
	char change[256];
};

static uint64_t hook_now(void *context)
{
	(void)context;
	return clock_now_ns();
}

static void hook_sleep(void *context, unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)context;
	nanosleep(&time, NULL);
}

static bool hook_poll(void *context, const struct audit_progress *at)
{
	struct run *run = context;

	progress_show(&run->progress, at, signals_status_wanted());
	return signals_stop_wanted();
}

static bool hook_unchanged(void *context)
{
	struct run *run = context;
	struct mirror_sample sample;

	mirror_sample(&run->session->opened, &sample);
	if (sample.change == MIRROR_UNCHANGED)
		return true;
	snprintf(run->change, sizeof(run->change), "%s", *sample.reason ? sample.reason :
		 "its state could not be read");
	return false;
}

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
			 words->all ? "all regions" : "the clean regions",
			 (unsigned long long)selection->seed);
	else if (words->regions)
		snprintf(report->scope, sizeof(report->scope), "regions %.120s", words->regions);
	else
		snprintf(report->scope, sizeof(report->scope), "%s",
			 words->all ? "all regions" : "regions that the log calls clean");
	return r;
}

static int compare(struct audit_words *words, struct session *session, struct run *run,
		   struct audit_result *result, struct error *err)
{
	struct audit_input input = {
		.engine = session->engine, .nr_legs = session->opened.mirror.nr_legs,
		.geometry = session->opened.mirror.geometry,
		.log = session->opened.log ? &session->opened.log->block : NULL,
		.clean_bits = &session->log.clean_bits, .selected = &words->selection.regions,
	};
	struct audit_options audit_options = {
		.running = session->opened.mirror.activity != MIRROR_INACTIVE,
		.steady = session->opened.mirror.activity == MIRROR_SUSPENDED,
		.rate_bytes = words->rate_bytes,
		.max_runs = words->report.max_runs ? words->report.max_runs : MAX_RUNS_DEFAULT,
	};
	struct audit_hooks hooks = {
		.context = run, .now_ns = hook_now, .sleep_ms = hook_sleep,
		.poll = hook_poll, .unchanged = hook_unchanged,
	};
	int r;

	for (unsigned int leg = 0; leg < input.nr_legs; leg++)
		if (session->opened.legs[leg])
			input.legs[leg] = &session->opened.legs[leg]->block;
	progress_start(&run->progress, &words->report);
	r = audit_run(result, &input, &audit_options, &hooks, err);
	progress_end(&run->progress);
	return r;
}

/* Nothing may write to the log of a mirror that stands still; a file that was cut
 * short or overwritten meanwhile makes the report worthless. */
static bool log_has_changed(struct session *session)
{
	struct mirror_log_header now;
	struct log_area area;
	struct error ignored = { 0 };
	bool changed;

	if (session->opened.mirror.activity != MIRROR_INACTIVE || signals_stop_wanted())
		return false;
	if (log_area_read(&area, session->engine, &session->opened.log->block, 1, &ignored))
		return true;
	mirror_log_header_decode(&now, area.bytes, area.nr_bytes);
	changed = now.magic != session->log.header.magic ||
		  now.version != session->log.header.version ||
		  now.nr_regions != session->log.header.nr_regions;
	log_area_free(&area);
	return changed;
}

static bool has_missing_leg(const struct mirror *mirror)
{
	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++)
		if (mirror->legs[leg].missing)
			return true;
	return false;
}

/* The verdicts become findings, and those the exit status. */
static void add_findings(struct session *session, const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	const uint64_t *count = result->regions.count;

	if (count[VERDICT_BOGUS_CLEAN])
		finding_add(&session->findings, FINDING_BOGUS_CLEAN, "%llu regions, %llu sectors",
			    (unsigned long long)count[VERDICT_BOGUS_CLEAN],
			    (unsigned long long)result->runs.sectors[VERDICT_BOGUS_CLEAN]);
	if (count[VERDICT_SUSPECT])
		finding_add(&session->findings, FINDING_SUSPECT, "%llu regions, %llu sectors",
			    (unsigned long long)count[VERDICT_SUSPECT],
			    (unsigned long long)result->runs.sectors[VERDICT_SUSPECT]);
	if (count[VERDICT_UNVERIFIABLE] || result->runs.nr_runs[VERDICT_UNVERIFIABLE] ||
	    (result->selected_regions && has_missing_leg(&session->opened.mirror)))
		finding_add(&session->findings, FINDING_UNVERIFIABLE, "%llu regions%s",
			    (unsigned long long)count[VERDICT_UNVERIFIABLE],
			    has_missing_leg(&session->opened.mirror) ? ", a leg is missing" : "");
	if (result->end == AUDIT_CHANGED)
		finding_add(&session->findings, FINDING_CHANGED, "%s", report->change);
	else if (!result->hung && log_has_changed(session))
		finding_add(&session->findings, FINDING_CHANGED,
			    "the log's header is not what it was at the start");
	if (result->end == AUDIT_STOPPED)
		finding_add(&session->findings, FINDING_UNFINISHED, "%s",
			    result->hung ? "a device did not answer" : "");
}

static void make_report(struct audit_report *report, struct audit_words *words,
			struct session *session, const struct run *run,
			const struct audit_result *result)
{
	const uint64_t *count = result->regions.count;

	report->session = session;
	report->words = &words->report;
	report->result = result;
	report->selection = &words->selection;
	report->complete = report->complete && result->end == AUDIT_COMPLETE;
	report->elapsed_ns = clock_now_ns() - run->progress.started_ns;
	snprintf(report->change, sizeof(report->change), "%s", run->change);
	if (words->selection.sampled)
		report->sample_bound = sample_upper_bound(words->selection.population,
			result->selected_regions,
			count[VERDICT_BOGUS_CLEAN] + count[VERDICT_SUSPECT], CONFIDENCE);
	add_findings(session, report);
	report->exit_status = finding_exit_status(&session->findings);
}

static int check_can_audit(const struct session *session, struct error *err)
{
	const struct opened_mirror *opened = &session->opened;

	if (opened->log_only)
		return error_usage(err, "audit compares legs: give --leg twice or more and --region-size beside --log");
	if (!session->has_log)
		return error_operation(err, EOPNOTSUPP, "%s has a core log: there are no clean bits on disk to audit",
				       opened->mirror.name);
	return 0;
}

static int run(int argc, char **argv)
{
	static struct audit_words words;
	static struct session session;
	static struct audit_result result;
	struct audit_report report = { 0 };
	struct run state = { .session = &session };
	struct error err = { 0 };
	struct mapfile *map = NULL;
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
		r = compare(&words, &session, &state, &result, &err);
	if (r) {
		status = command_failed(&command_audit, &err, words.report.json);
		goto out;
	}
	make_report(&report, &words, &session, &state, &result);
	session_warn(&session, &words.report, told);
	/* What was found is told even when the map of it cannot be written. */
	if (mapfile_write_audit(map, &result, &err))
		report.exit_status |= command_failed(&command_audit, &err, false);
	status = report.exit_status;
	if (words.report.json)
		report_audit_json(&report);
	else
		report_audit_text(&report);
out:
	mapfile_close(map);
	selection_free(&words.selection);
	if (!result.hung)
		audit_result_free(&result);
	session_close(&session, result.hung);
	return status;
}

const struct command command_audit = {
	.name = "audit", .summary = "compare the legs wherever the log says they are equal",
	.argp = &argp, .run = run,
};
