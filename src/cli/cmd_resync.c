/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl resync offline: make the legs equal and the log true, without the kernel. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/confirm.h"
#include "cli/report_resync.h"
#include "cli/signals.h"
#include "core/size.h"

enum { KEY_SOURCE = 8000, KEY_PLAN, KEY_WRITE_PLAN, KEY_VERIFY, KEY_COPY_ALL, KEY_READBACK,
       KEY_SAVE, KEY_RATE, KEY_SALVAGE, KEY_ACCEPT, KEY_UNDO_FILE };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to copy:", 3 },
	{ "source", KEY_SOURCE, "N", 0, "Copy from leg N; 0, as the kernel does, if not given", 3 },
	{ "plan", KEY_PLAN, "FILE", 0, "From which leg each region, see mirrorctl-plan(5)", 3 },
	{ "write-plan", KEY_WRITE_PLAN, "FILE", 0,
	  "Compare, and write a plan to edit to a new FILE; copy nothing", 3 },
	{ "verify", KEY_VERIFY, NULL, 0, "Read clean regions too, and copy those that differ", 3 },
	{ "rate", KEY_RATE, "LIMIT", 0, "Read at most LIMIT bytes a second from each leg", 3 },
	{ "copy-all", KEY_COPY_ALL, NULL, 0, "Write what is equal as well", 4 },
	{ "readback", KEY_READBACK, NULL, 0, "Read what was written before believing it", 4 },
	{ "save-divergent", KEY_SAVE, "FILE", 0,
	  "First keep what differs, of every leg, for mirrorctl extract", 4 },
	{ "undo-file", KEY_UNDO_FILE, "FILE", 0,
	  "Keep what is overwritten in a new FILE, for mirrorctl extract", 4 },
	{ "salvage", KEY_SALVAGE, NULL, 0,
	  "Take sectors that the source cannot read from another leg, and write them to all", 4 },
	{ "accept-salvaged", KEY_ACCEPT, NULL, 0, "Then call such regions clean, too", 4 },
	{ 0 },
};

static bool same_file(const char *one, const char *other)
{
	return one && other && !strcmp(one, other);
}

static error_t validate(const struct resync_words *words, const struct argp_state *state)
{
	struct error err = { 0 };

	if (words->source_given && words->plan)
		error_usage(&err, "--source and --plan exclude each other");
	else if (words->plan && words->write_plan)
		error_usage(&err, "--plan and --write-plan exclude each other");
	else if (words->write_plan && words->write.dry_run)
		error_usage(&err, "--write-plan writes a plan and nothing else: leave --dry-run out");
	else if ((words->undo_file || words->save_divergent) && words->write_plan)
		error_usage(&err, "--%s goes with a run that copies, and --write-plan copies nothing",
			    words->undo_file ? "undo-file" : "save-divergent");
	else if (same_file(words->undo_file, words->save_divergent))
		error_usage(&err, "--undo-file and --save-divergent need a file each, not %s twice",
			    words->undo_file);
	else if (words->accept_salvaged && !words->salvage)
		error_usage(&err, "--accept-salvaged goes with --salvage");
	else if (words->report.mapfile)
		error_usage(&err, "--mapfile goes with show, audit and extract");
	return err.kind ? opts_error(state, &err) : 0;
}

static error_t parse_number(int key, const char *arg, struct resync_words *words,
			    const struct argp_state *state)
{
	if (key == KEY_RATE)
		return opts_rate(state, arg, &words->rate_bytes);
	words->source_given = true;
	return opts_number(state, "--source", arg, MIRROR_LEGS_MAX - 1, &words->source);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct resync_words *words = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		opts_write_inputs(state, &words->mirror, &words->report, &words->write);
		return 0;
	case KEY_SOURCE:
	case KEY_RATE:
		return parse_number(key, arg, words, state);
	case KEY_PLAN:
		words->plan = arg;
		return 0;
	case KEY_WRITE_PLAN:
		words->write_plan = arg;
		return 0;
	case KEY_VERIFY:
		words->verify = true;
		return 0;
	case KEY_COPY_ALL:
		words->copy_all = true;
		return 0;
	case KEY_READBACK:
		words->readback = true;
		return 0;
	case KEY_SALVAGE:
		words->salvage = true;
		return 0;
	case KEY_ACCEPT:
		words->accept_salvaged = true;
		return 0;
	case KEY_SAVE:
		words->save_divergent = arg;
		return 0;
	case KEY_UNDO_FILE:
		words->undo_file = arg;
		return 0;
	case ARGP_KEY_END:
		return validate(words, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .children = opts_write_children, .args_doc = "offline [MIRROR]",
	.doc = "Make the legs of a mirror that is not active equal, and its log true: copies one leg "
	       "over the others wherever a region is not clean and differs. Shows its plan and asks "
	       "first. What ends it early loses at most the last seconds: the next run goes on.\v"
	       "Exit status: 1 something was written, 0 there was nothing to do; in addition 4 something "
	       "is left, 8 something could not be read or written; 16 refused, or wrong usage: nothing "
	       "was changed; 32 ended before the end.\n\n"
	       "Examples:\n"
	       "  mirrorctl resync offline --dry-run --table=table.txt\n"
	       "  mirrorctl resync offline --verify --leg=a.img --leg=b.img --log=log.img --region-size=512k",
};

/* What was odd about the log, and is no more. */
static void mark_header(struct finding_list *findings)
{
	static const enum finding_id ids[] = {
		FINDING_LOG_MAGIC_ZERO, FINDING_LOG_MAGIC_FOREIGN, FINDING_LOG_MAGIC_BIG_ENDIAN,
		FINDING_LOG_HEADER_GARBAGE, FINDING_LOG_VERSION_UNKNOWN,
		FINDING_LOG_REGIONS_FEWER, FINDING_LOG_BITS_DISCARDED,
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		finding_mark_repaired(findings, ids[i]);
}

/* A run that ends itself, as what it needs cannot be written. */
static bool has_failed(const struct resync_job *job, const struct resync_result *result)
{
	return result->log_failed || result->keep_error || job->salvage.keep_error;
}

/* Legs or log: the last write of a log that failed does not count. */
static bool has_written(const struct resync_job *job)
{
	const struct resync_result *result = &job->result;
	bool written = result->log_writes > (result->log_failed ? 1u : 0u);

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		written = written || result->written_bytes[leg] || job->salvage.written_bytes[leg];
	return written;
}

/* What was found is the same in a dry run; what was done about it is not. */
static void add_findings(struct resync_job *job, const struct resync_result *result)
{
	struct finding_list *findings = &job->session.findings;
	const struct run_list *unread = &result->unreadable;
	uint64_t regions = result->regions_failed + result->regions_unverified;
	bool done = job->state == RESYNC_DONE;

	if (done && result->header_made_good)
		mark_header(findings);
	if (result->regions_lied)
		finding_add(findings, FINDING_BOGUS_CLEAN, "%llu regions",
			    (unsigned long long)result->regions_lied);
	if (done && !result->regions_failed && result->end == RESYNC_COMPLETE)
		finding_mark_repaired(findings, FINDING_BOGUS_CLEAN);
	if (result->keep_error || job->salvage.keep_error)
		finding_add(findings, FINDING_UNVERIFIABLE, "%s", job->files.kept.text);
	if (result->log_failed)
		finding_add(findings, FINDING_UNVERIFIABLE, "the log could not be written (%s)",
			    error_reason(result->log_error));
	if (regions)
		finding_add(findings, FINDING_UNVERIFIABLE, "%llu regions could not be made equal",
			    (unsigned long long)regions);
	else if (!done && unread->nr)
		finding_add(findings, FINDING_UNVERIFIABLE, "%llu sectors cannot be read",
			    (unsigned long long)unread->sectors[VERDICT_UNVERIFIABLE]);
	if (result->end == RESYNC_CHANGED)
		finding_add(findings, FINDING_CHANGED, "%s", job->change);
	if ((result->end == RESYNC_STOPPED && !has_failed(job, result)) ||
	    (result->end != RESYNC_COMPLETE && signals_stop_wanted()))
		finding_add(findings, FINDING_UNFINISHED, "%s", result->hung ?
			    "a device did not answer" : "");
}

static int status_of(struct resync_job *job)
{
	const struct resync_result *result = &job->result;
	int status = job->nr_skipped && !job->words->write.dry_run ? EXIT_FOUND : 0;

	if (job->state == RESYNC_DONE) {
		add_findings(job, result);
		if (has_written(job))
			status |= EXIT_DONE;
	} else if (job->previewed) {
		add_findings(job, &job->preview);
	}
	return status | finding_exit_status(&job->session.findings);
}

/* Who does not see the report before the writing begins is told all the same. */
static void warn_of_agreement(const struct resync_job *job)
{
	const struct report_words *words = &job->words->report;
	uint64_t regions = report_resync_against_leg_0(job);

	if (regions && (words->json || words->quiet))
		fprintf(stderr, "mirrorctl: %s: in %" PRIu64 " regions legs agree with each other and not with leg 0, which is no proof that they are right; see NO VOTE in mirrorctl(8)\n",
			job->session.opened.mirror.name, regions);
}

static int do_resync(struct resync_job *job, struct error *err)
{
	const struct resync_words *words = job->words;
	int r = resync_job_check(job, err);

	if (r)
		return r;
	session_warn(&job->session, &words->report, 0);
	r = resync_job_select(job, err);
	if (!r)
		r = resync_job_compare(job, err);
	if (r)
		return r;
	if (!words->report.json)
		report_resync_plan_text(job);
	warn_of_agreement(job);
	if (job->state != RESYNC_NOT_BEGUN && words->write_plan)
		return resync_job_write_plan(job, err);
	if (job->state != RESYNC_PLANNED || words->write.dry_run)
		return 0;
	r = confirm_name(&words->write, job->session.opened.mirror.name, err);
	return r ? r : resync_job_apply(job, err);
}

static int check_word(int argc, char **argv, struct error *err)
{
	if (argc > 1 && (!strcmp(argv[1], "offline") || !strcmp(argv[1], "--help") ||
			 !strcmp(argv[1], "-?") || !strcmp(argv[1], "--usage") ||
			 !strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
		return 0;
	return error_usage(err, "resync what? `mirrorctl resync offline` copies the legs of a mirror that is not active; of one that runs the kernel does it, after `mirrorctl repair-log --online`");
}

static int run(int argc, char **argv)
{
	static struct resync_words words;
	static struct resync_job job;
	struct error err = { 0 };
	bool offline = argc > 1 && !strcmp(argv[1], "offline");
	int r, status;

	memset(&words, 0, sizeof(words));
	memset(&job, 0, sizeof(job));
	if (check_word(argc, argv, &err))
		return command_failed(&command_resync, &err, words_want_json(argc, argv));
	if (offline)		/* the word goes, "mirrorctl resync" takes its place */
		argv[1] = argv[0];
	if (!command_parse(&command_resync, argc - offline, argv + offline, &words))
		return EXIT_USAGE;
	opts_write_access(&words.mirror.operand, &words.write,
			  words.write_plan ? MIRROR_READ : MIRROR_WRITE);
	job.words = &words;
	signals_install();
	r = session_open(&job.session, &words.mirror, &words.report, &err);
	if (!r)
		r = do_resync(&job, &err);
	if (r) {
		status = command_not_done(&command_resync, r, &err, words.report.json);
		goto out;
	}
	job.exit_status = status = status_of(&job);
	if (words.report.json)
		report_resync_json(&job);
	else
		report_resync_text(&job);
out:
	return status | resync_job_close(&job);
}

const struct command command_resync = {
	.name = "resync", .summary = "make the legs of a mirror that is not active equal",
	.argp = &argp, .run = run,
};
