/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_OPTS_H
#define CLI_OPTS_H

#include <argp.h>
#include <stdbool.h>

#include "io/discover.h"
#include "io/engine.h"

/*
 * Option groups that commands share, each an argp child: an option's name, help
 * and storage exist once. A command passes the storage on in ARGP_KEY_INIT:
 * state->child_inputs[i] = &words->group.
 */

#define OPTS_WORDS_MAX 512u

/* Which mirror: MIRROR, --leg, --log, --table … */
struct mirror_words {
	struct mirror_operand operand;
	const char *legs[OPTS_WORDS_MAX];
	const char *device_maps[OPTS_WORDS_MAX];
};

extern const struct argp mirror_argp;

enum when { WHEN_AUTO, WHEN_ALWAYS, WHEN_NEVER, WHEN_JSON };

/* How to report: --json, --quiet, --progress … */
struct report_words {
	bool json;
	bool quiet;
	bool verbose;
	enum when progress;
	enum when color;
	size_t max_runs;	/* 0 = the default */
	const char *mapfile;
	enum engine_kind engine;
};

#define MAX_RUNS_DEFAULT 100000u

extern const struct argp report_argp;

/* How to write: of every command that changes something. */
struct write_words {
	bool dry_run;
	bool yes;
	const char *state_dir;	/* NULL: the default */
	bool hold_vg_lock;
};

extern const struct argp write_argp;

/* How the mirror is to be opened: for writing only when something will be written. */
void opts_write_access(struct mirror_operand *operand, const struct write_words *words,
		       enum mirror_access access);

/* The groups of commands that write; a command's parser hands over its words with
 * opts_write_inputs() at ARGP_KEY_INIT. */
extern const struct argp_child opts_write_children[];
void opts_write_inputs(struct argp_state *state, struct mirror_words *mirror,
		       struct report_words *report, struct write_words *write);

/* For parsers: says on stderr what is wrong with a word, in one line, and
 * returns the error that ends argp_parse(). */
error_t opts_error(const struct argp_state *state, const struct error *err);
/* A decimal number without sign, up to `max`. */
error_t opts_number(const struct argp_state *state, const char *what, const char *text,
		    unsigned long long max, unsigned long long *value);

/* --rate LIMIT: bytes a second, not 0. */
error_t opts_rate(const struct argp_state *state, const char *text, uint64_t *rate_bytes);

/* Does stdout (stderr) deserve colours? */
bool report_color(const struct report_words *words, int fd);
/* Columns of the terminal, $COLUMNS, or 80. */
unsigned int report_columns(void);

#endif
