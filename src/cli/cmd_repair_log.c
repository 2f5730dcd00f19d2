/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl repair-log: clear the clean bits that the legs contradict. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/confirm.h"
#include "cli/report_repair.h"
#include "cli/signals.h"
#include "core/size.h"

#define MAX_SUSPEND_MS 2000u

enum { KEY_REGIONS = 6000, KEY_FROM, KEY_SAVE, KEY_REGARDLESS, KEY_LARGE, KEY_ONLINE,
       KEY_MAX_SUSPEND, KEY_RATE };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to clear:", 3 },
	{ "from", KEY_FROM, "AUDIT.json", 0,
	  "Look again only at what a report of `audit --json` names", 3 },
	{ "regions", KEY_REGIONS, "LIST", 0, "Look at these regions alone: 5,7-9,100-", 3 },
	{ "clear-regardless", KEY_REGARDLESS, NULL, 0,
	  "Clear all of --regions without proof: what you know to be wrong", 3 },
	{ "rate", KEY_RATE, "LIMIT", 0, "Read at most LIMIT bytes a second from each leg", 3 },
	{ "output", 'o', "FILE", 0, "Write the repaired log to a new FILE, leave the log alone", 4 },
	{ "save-divergent", KEY_SAVE, "FILE", 0,
	  "First keep what differs, of every leg, for mirrorctl extract", 4 },
	{ "force-large", KEY_LARGE, NULL, 0,
	  "Also when very much would be copied, or after nosync", 4 },
	{ "online", KEY_ONLINE, NULL, 0, "Repair a mirror that runs, under short suspends", 4 },
	{ "max-suspend", KEY_MAX_SUSPEND, "MS", 0,
	  "Milliseconds a suspend may take beside the kernel's own wait (2000)", 4 },
	{ 0 },
};

static error_t validate(const struct repair_words *words, const struct argp_state *state)
{
	struct error err = { 0 };

	if (words->clear_regardless && !words->regions)
		error_usage(&err, "--clear-regardless goes with --regions: say which regions");
	else if (words->clear_regardless && words->from)
		error_usage(&err, "--clear-regardless and --from exclude each other");
	else if (words->clear_regardless && words->online)
		error_usage(&err, "--online clears only what is proven: --clear-regardless needs an inactive mirror");
	else if (words->online && words->output)
		error_usage(&err, "--online and --output exclude each other");
	else if (words->output && words->save_divergent && !strcmp(words->output, words->save_divergent))
		error_usage(&err, "--output and --save-divergent are the same file: give two names");
	else if (words->max_suspend_ms && !words->online)
		error_usage(&err, "--max-suspend goes with --online");
	else if (words->report.mapfile)
		error_usage(&err, "--mapfile goes with show, audit and extract");
	return err.kind ? opts_error(state, &err) : 0;
}

static error_t parse_number(int key, const char *arg, struct repair_words *words,
			    const struct argp_state *state)
{
	struct error err = { 0 };
	error_t r;

	if (key == KEY_RATE)
		return opts_rate(state, arg, &words->rate_bytes);
	r = opts_number(state, "--max-suspend", arg, 600000, &words->max_suspend_ms);
	if (!r && words->max_suspend_ms < 500) {
		error_usage(&err, "--max-suspend: at least 500 milliseconds, the log must be quiet for 200 of them");
		return opts_error(state, &err);
	}
	return r;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct repair_words *words = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		opts_write_inputs(state, &words->mirror, &words->report, &words->write);
		return 0;
	case KEY_FROM:
		words->from = arg;
		return 0;
	case KEY_REGIONS:
		words->regions = arg;
		return 0;
	case KEY_REGARDLESS:
		words->clear_regardless = true;
		return 0;
	case KEY_SAVE:
		words->save_divergent = arg;
		return 0;
	case KEY_LARGE:
		words->force_large = true;
		return 0;
	case KEY_ONLINE:
		words->online = true;
		return 0;
	case 'o':
		words->output = arg;
		return 0;
	case KEY_RATE:
	case KEY_MAX_SUSPEND:
		return parse_number(key, arg, words, state);
	case ARGP_KEY_END:
		return validate(words, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .children = opts_write_children, .args_doc = "[MIRROR]",
	.doc = "Make the log true again: clear the clean bits of regions whose legs differ, so that "
	       "the kernel copies these regions. Only ever clears; shows its plan and asks first.\v"
	       "Exit status: 1 bits were cleared, 0 there was nothing to do; in addition 4 something "
	       "is left, 8 something could not be read or done; 16 refused, or wrong usage: nothing "
	       "was changed; 32 ended before the end. With --dry-run as audit.\n\n"
	       "Examples:\n"
	       "  mirrorctl repair-log --dry-run --table=table.txt --device 253:2=log.img …\n"
	       "  mirrorctl repair-log --leg=a.img --leg=b.img --log=log.img --region-size=512k\n"
	       "  mirrorctl repair-log --online --save-divergent=before.saved vg-home",
};

/* What is left to say when all is done: fsck(8)'s bits. */
static int status_of(struct repair_job *job)
{
	struct finding_list *findings = &job->session.findings;
	bool done = job->state == REPAIR_CLEARED || job->state == REPAIR_COPIED;

	if (done && job->cleared == bitmap_count(&job->lies) && !job->differing_after) {
		finding_mark_repaired(findings, FINDING_BOGUS_CLEAN);
		finding_mark_repaired(findings, FINDING_SUSPECT);
		finding_mark_repaired(findings, FINDING_MORE_CLEAN_THAN_SYNC);
	}
	return finding_exit_status(findings) | (done ? EXIT_DONE : 0) |
	       (job->from_cut ? EXIT_FOUND : 0);
}

static int refuse_large(const struct repair_job *job, struct error *err)
{
	if (job->words->force_large || (!job->plan.large && !repair_job_is_nosync(job)))
		return 0;
	return error_usage(err, "%s: %s: read the plan, and say --force-large to do it; nothing was changed",
			   job->session.opened.mirror.name, repair_job_is_nosync(job) ?
			   "created with nosync, where legs differ by design" :
			   "very much would be copied");
}

/* Shows the plan and gets it through: 0 when the user wants it. */
static int ask(struct repair_job *job, struct error *err)
{
	int r;

	if (!job->words->report.json)
		report_repair_plan_text(job);
	if (job->state != REPAIR_PLANNED || job->words->write.dry_run)
		return 0;
	r = refuse_large(job, err);
	return r ? r : confirm_name(&job->words->write, job->session.opened.mirror.name, err);
}

static int do_repair(struct repair_job *job, struct error *err)
{
	int r = repair_job_check(job, err);

	if (r)
		return r;
	session_warn(&job->session, &job->words->report, 0);
	r = repair_job_select(job, err);
	if (!r)
		r = repair_job_compare(job, err);
	if (!r && job->state != REPAIR_UNFINISHED)
		r = repair_job_plan(job, err);
	if (!r)
		r = ask(job, err);
	if (!r && job->state == REPAIR_PLANNED && !job->words->write.dry_run)
		r = job->words->online ? repair_job_apply_online(job, err) :
					 repair_job_apply(job, err);
	/* What the audit has found is told, whatever the user thinks of the rest. */
	if (r == -ECANCELED && signals_stop_wanted() && !job->cleared && !job->hung &&
	    job->step == REPAIR_NOT_BEGUN) {
		job->state = REPAIR_UNFINISHED;
		finding_add(&job->session.findings, FINDING_UNFINISHED, "%s",
			    "interrupted before anything was written");
		r = 0;
	}
	return r;
}

static int run(int argc, char **argv)
{
	static struct repair_words words;
	static struct repair_job job;
	struct error err = { 0 };
	int r, status, also = 0;

	memset(&words, 0, sizeof(words));
	memset(&job, 0, sizeof(job));
	if (!command_parse(&command_repair_log, argc, argv, &words))
		return EXIT_USAGE;
	if (!words.max_suspend_ms)
		words.max_suspend_ms = MAX_SUSPEND_MS;
	opts_write_access(&words.mirror.operand, &words.write,
			  words.online || words.output ? MIRROR_READ : MIRROR_REPAIR);
	job.words = &words;
	signals_install();
	r = session_open(&job.session, &words.mirror, &words.report, &err);
	if (!r)
		r = do_repair(&job, &err);
	if (r) {
		/* What was done all the same is told, behind what went wrong. */
		status = command_not_done(&command_repair_log, r, &err,
					  words.report.json && !job.cleared);
		if (!job.cleared || job.hung)
			goto out;
		also = status;
	}
	job.exit_status = status = status_of(&job) | also;
	if (words.report.json)
		report_repair_json(&job);
	else
		report_repair_text(&job);
out:
	return status | repair_job_close(&job);
}

const struct command command_repair_log = {
	.name = "repair-log", .summary = "clear the clean bits that the legs contradict",
	.argp = &argp, .run = run,
};
