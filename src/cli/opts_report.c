/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/size.h"

enum { KEY_JSON = 3000, KEY_PROGRESS, KEY_COLOR, KEY_MAX_RUNS, KEY_MAPFILE, KEY_IO_ENGINE };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How to report:", 2 },
	{ "json", KEY_JSON, NULL, 0, "One JSON object on stdout, see mirrorctl-json(5)", 2 },
	{ "quiet", 'q', NULL, 0, "Errors alone; the exit status tells the rest", 2 },
	{ "verbose", 'v', NULL, 0, "All there is, all runs among it", 2 },
	{ "progress", KEY_PROGRESS, "WHEN", 0,
	  "On stderr: auto (a bar on a terminal), always, never, or json (one object a line)", 2 },
	{ "color", KEY_COLOR, "WHEN", 0, "auto, always or never", 2 },
	{ "max-runs", KEY_MAX_RUNS, "N", 0,
	  "Keep and list at most N runs (100000); counts are always exact", 2 },
	{ "mapfile", KEY_MAPFILE, "FILE", 0, "Write a ddrescue map of the regions to FILE", 2 },
	{ "io-engine", KEY_IO_ENGINE, "ENGINE", 0, "auto, io_uring or threads", 2 },
	{ 0 },
};

error_t opts_error(const struct argp_state *state, const struct error *err)
{
	fprintf(stderr, "%s: %s\n", state->name, err->text);
	return EINVAL;
}


error_t opts_number(const struct argp_state *state, const char *what, const char *text,
		    unsigned long long max, unsigned long long *value)
{
	struct error err = { 0 };
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *value <= max)
		return 0;
	error_usage(&err, "%s: \"%s\" is not a number from 0 to %llu", what, text, max);
	return opts_error(state, &err);
}

error_t opts_rate(const struct argp_state *state, const char *text, uint64_t *rate_bytes)
{
	struct error err = { 0 };

	if (!size_parse_bytes(rate_bytes, text, 1, "--rate", &err) && !*rate_bytes)
		error_usage(&err, "--rate: 0 would never end");
	return err.kind ? opts_error(state, &err) : 0;
}

static error_t parse_when(const struct argp_state *state, const char *what, const char *text,
			  bool with_json, enum when *when)
{
	static const char *const names[] = { "auto", "always", "never", "json" };
	struct error err = { 0 };

	for (unsigned int i = 0; i < (with_json ? 4 : 3); i++)
		if (!strcmp(text, names[i])) {
			*when = (enum when)i;
			return 0;
		}
	error_usage(&err, "%s: \"%s\" is none of auto, always, never%s", what, text,
		    with_json ? ", json" : "");
	return opts_error(state, &err);
}

static error_t parse_max_runs(const struct argp_state *state, const char *text, size_t *max_runs)
{
	unsigned long long value;
	error_t r = opts_number(state, "--max-runs", text, 1000000000, &value);
	struct error err = { 0 };

	if (r)
		return r;
	if (!value) {
		error_usage(&err, "--max-runs: at least 1");
		return opts_error(state, &err);
	}
	*max_runs = value;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct report_words *words = state->input;
	struct error err = { 0 };

	switch (key) {
	case KEY_JSON:
		words->json = true;
		return 0;
	case 'q':
		words->quiet = true;
		return 0;
	case 'v':
		words->verbose = true;
		return 0;
	case KEY_PROGRESS:
		return parse_when(state, "--progress", arg, true, &words->progress);
	case KEY_COLOR:
		return parse_when(state, "--color", arg, false, &words->color);
	case KEY_MAX_RUNS:
		return parse_max_runs(state, arg, &words->max_runs);
	case KEY_MAPFILE:
		words->mapfile = arg;
		return 0;
	case KEY_IO_ENGINE:
		return engine_kind_parse(&words->engine, arg, &err) ? opts_error(state, &err) : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp report_argp = { .options = options, .parser = parse };

bool report_color(const struct report_words *words, int fd)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	if (words->color != WHEN_AUTO)
		return words->color == WHEN_ALWAYS;
	return isatty(fd) && !(no_color && *no_color) && (!term || strcmp(term, "dumb"));
}

unsigned int report_columns(void)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");
	unsigned long value = columns ? strtoul(columns, NULL, 10) : 0;

	if (value >= 1 && value <= 10000)
		return (unsigned int)value;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return 80;
}
