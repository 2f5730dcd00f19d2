/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <argp.h>
#include <stdbool.h>

#include "core/error.h"

/*
 * A command is one file with one of these: parse, discover, call core, print.
 * To add one: a cmd_*.c, a line in commands[] (commands.c), a man section and
 * the completions; tests/cli/options tells when one of them was forgotten.
 */
struct command {
	const char *name;
	const char *summary;	/* one line of `mirrorctl --help` */
	const struct argp *argp;	/* for help, completion and config checks */
	/* argv[0] is "mirrorctl COMMAND". Returns the exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct command command_list;
extern const struct command command_show;
extern const struct command command_audit;
extern const struct command command_repair_log;
extern const struct command command_extract;
extern const struct command command_undo;
extern const struct command command_resync;

/* NULL-terminated. */
extern const struct command *const commands[];

/* fsck(8)'s bit sum; mirrorctl(8), EXIT STATUS. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_DONE = 1,
	EXIT_FOUND = 4,
	EXIT_TROUBLE = 8,
	EXIT_USAGE = 16,
	EXIT_INTERRUPTED = 32,
};

/* The global parser, whose only argument is COMMAND (main.c uses it; the test of
 * the completions reads its tables). */
extern const struct argp global_argp;
/* … as a command without a name, for command_parse(). */
extern const struct command global_command;

struct global_words {
	const char *config;	/* --config FILE; NULL: the default one */
	bool no_config;
	int command_at;		/* index of COMMAND in argv, 0 = none */
};

/* Parses argv with the command's argp (the global one in order, up to COMMAND); option errors are one line on stderr.
 * Returns false when the run must end with EXIT_USAGE. --help does not return. */
bool command_parse(const struct command *command, int argc, char **argv, void *words);

/* Says on stderr why something could not be done (and, with --json in argv, as
 * an object on stdout) and returns the exit status for it. */
int command_failed(const struct command *command, const struct error *err, bool json);

/* The same for what returned `r`: EXIT_INTERRUPTED where the user's signal is what ended
 * it, also while a device did not answer. */
int command_not_done(const struct command *command, int r, const struct error *err, bool json);

/* Does any word say --json? For errors that come before the words are parsed. */
bool words_want_json(int argc, char **argv);

#endif
