/* SPDX-License-Identifier: GPL-2.0-or-later */

/* mirrorctl show: what a log says, and what the kernel will make of it. */

#include <string.h>

#include "cli/command.h"
#include "cli/mapfile.h"
#include "cli/report.h"
#include "cli/signals.h"

enum { KEY_RUNS = 4000, KEY_MAP };

struct show_words {
	struct mirror_words mirror;
	struct report_words report;
	bool runs;
	bool map;
};

static const struct argp_option options[] = {
	{ "runs", KEY_RUNS, NULL, 0, "List the runs of clean and not clean regions", 0 },
	{ "map", KEY_MAP, NULL, 0, "Draw a picture of the log", 0 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ &mirror_argp, 0, NULL, 0 },
	{ &report_argp, 0, NULL, 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct show_words *words = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;
		state->child_inputs[0] = &words->mirror;
		state->child_inputs[1] = &words->report;
		return 0;
	case KEY_RUNS:
		words->runs = true;
		return 0;
	case KEY_MAP:
		words->map = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options, .parser = parse, .children = children, .args_doc = "[MIRROR]",
	.doc = "Show the dirty log of a mirror: header, oddities, bits, and what the kernel "
	       "will do about them at the next resume. Reads the log alone.\v"
	       "Examples:\n"
	       "  mirrorctl show vg-home\n"
	       "  mirrorctl show --map --runs --leg=a.img --leg=b.img --log=log.img --region-size=512k\n"
	       "  mirrorctl show --log=log.img",
};

static int write_mapfile(const struct session *session, const struct show_words *words,
			 struct error *err)
{
	const char *path = words->report.mapfile;
	struct mapfile *map;
	int r;

	if (!path)
		return 0;
	if (!session->has_log)
		return error_usage(err, "--mapfile: a core log has no bits to write down");
	if (!session->opened.mirror.geometry.nr_regions)
		return error_usage(err, "--mapfile: the places are not known from the log alone; give --region-size and --length");
	r = mapfile_create(&map, path, &session->opened, &words->mirror.operand, err);
	if (!r)
		r = mapfile_write_log(map, &session->log.clean_bits, err);
	mapfile_close(map);
	return r;
}

static int run(int argc, char **argv)
{
	static struct show_words words;
	static struct session session;
	struct show_report report = { .session = &session, .words = &words.report };
	struct error err = { 0 };
	int r, status;

	memset(&words, 0, sizeof(words));
	if (!command_parse(&command_show, argc, argv, &words))
		return EXIT_USAGE;
	signals_install();
	r = session_open(&session, &words.mirror, &words.report, &err);
	if (!r)
		session_warn(&session, &words.report, 0);
	if (!r)
		r = write_mapfile(&session, &words, &err);
	if (r) {
		status = command_not_done(&command_show, r, &err, words.report.json);
		goto out;
	}
	report.runs = words.runs;
	report.map = words.map;
	report.exit_status = status = finding_exit_status(&session.findings);
	if (words.report.json)
		report_show_json(&report);
	else
		report_show_text(&report);
out:
	session_close(&session, r && signals_stop_wanted());
	return status;
}

const struct command command_show = {
	.name = "show", .summary = "show what a log says and what the kernel will make of it",
	.argp = &argp, .run = run,
};
