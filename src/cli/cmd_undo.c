/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl undo: put back the clean bits that a repair cleared, or take back a resync. */

#include <string.h>

#include "cli/command.h"
#include "cli/confirm.h"
#include "cli/report_undo.h"
#include "cli/signals.h"

enum { KEY_LIST = 7000 };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to undo:", 3 },
	{ "list", KEY_LIST, NULL, 0,
	  "List the journals that repairs and resyncs have left, or those of MIRROR", 3 },
	{ 0 },
};

static error_t validate(const struct undo_words *words, const struct argp_state *state)
{
	struct error err = { 0 };

	if (!words->list && !words->journal)
		error_usage(&err, "which journal? mirrorctl undo --list shows those there are");
	else if (words->report.mapfile)
		error_usage(&err, "--mapfile goes with show, audit and extract");
	return err.kind ? opts_error(state, &err) : 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct undo_words *words = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		opts_write_inputs(state, &words->mirror, &words->report, &words->write);
		return 0;
	case KEY_LIST:
		words->list = true;
		return 0;
	case ARGP_KEY_ARG:
		/* Options come first, wherever they stand. What is not taken here is
		 * MIRROR, which the group of the mirror's words takes. */
		if (words->list || words->journal)
			return ARGP_ERR_UNKNOWN;
		words->journal = arg;
		return 0;
	case ARGP_KEY_END:
		return validate(words, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .children = opts_write_children,
	.args_doc = "JOURNAL [MIRROR]\n--list [MIRROR]",
	.doc = "Put back the clean bits that a repair cleared, as long as log and legs are what "
	       "the repair left: before the mirror is activated. Or clear the bits that a resync "
	       "set, and with its --undo-file as JOURNAL put back what it overwrote, where "
	       "nobody has written since. Shows what it will do and asks first. Without MIRROR or "
	       "--leg and --log the places are tried that the journal names.\v"
	       "Exit status: 1 it was done, 0 there was nothing to do; in addition 4 some of it "
	       "may not come back; 8 refused because log or mirror are not those of the journal, "
	       "or something could not be read or done; 16 the answer was no, or wrong usage; 32 "
	       "interrupted.\n\n"
	       "Examples:\n"
	       "  mirrorctl undo --list\n"
	       "  mirrorctl undo --dry-run vg-home.20261122T155704Z.undo\n"
	       "  mirrorctl undo before.resync --leg=a.img --leg=b.img --log=log.img --region-size=512k\n"
	       "  mirrorctl undo JOURNAL --leg=a.img --leg=b.img --log=log.img --region-size=512k",
};

static int status_of(const struct undo_job *job)
{
	const struct restore *restore = &job->restore;
	int status = job->state == UNDO_DONE ? EXIT_DONE : 0;

	if (job->state == UNDO_INTERRUPTED || job->state == UNDO_STOPPED)
		return EXIT_INTERRUPTED;
	if (job->nr_refused || (restore->refused.words && bitmap_count(&restore->refused)))
		status |= EXIT_FOUND;
	if (restore->unreadable.words && bitmap_count(&restore->unreadable))
		status |= EXIT_TROUBLE;
	return status;
}

static int do_undo(struct undo_job *job, struct error *err)
{
	const struct undo_words *words = job->words;
	int r = undo_job_read(job, err);

	if (r || job->state == UNDO_NEVER_WRITTEN)
		return r;
	r = undo_job_open(job, err);
	if (!r)
		r = undo_job_plan(job, err);
	if (r)
		return r;
	if (!words->report.json)
		report_undo_plan_text(job);
	if (job->state != UNDO_PLANNED || words->write.dry_run)
		return 0;
	r = confirm_name(&words->write, job->session.opened.mirror.name, err);
	if (r == -ECANCELED) {
		job->state = UNDO_INTERRUPTED;
		return 0;
	}
	return r ? r : undo_job_apply(job, err);
}

static int run_list(const struct undo_words *words)
{
	struct error err = { 0 };
	int status = 0;

	return undo_list(words, &status, &err) ?
	       command_failed(&command_undo, &err, words->report.json) : status;
}

static int run(int argc, char **argv)
{
	static struct undo_words words;
	static struct undo_job job;
	struct error err = { 0 };
	int r, status;

	memset(&words, 0, sizeof(words));
	memset(&job, 0, sizeof(job));
	if (!command_parse(&command_undo, argc, argv, &words))
		return EXIT_USAGE;
	signals_install();
	if (words.list)
		return run_list(&words);
	job.words = &words;
	r = do_undo(&job, &err);
	if (r) {
		status = command_not_done(&command_undo, r, &err, words.report.json);
		goto out;
	}
	job.exit_status = status = status_of(&job);
	if (words.report.json)
		report_undo_json(&job);
	else
		report_undo_text(&job);
out:
	return status | undo_job_close(&job);
}

const struct command command_undo = {
	.name = "undo", .summary = "put back what a repair or a resync has changed",
	.argp = &argp, .run = run,
};
