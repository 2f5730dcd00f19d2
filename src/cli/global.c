/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/global.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

enum {
	KEY_CONFIG = 1000,
	KEY_NO_CONFIG,
	KEY_REPORT,
};

static const struct argp_option options[] = {
	{ "config", KEY_CONFIG, "FILE", 0, "Read defaults from FILE instead of " CONFIG_DEFAULT, 0 },
	{ "no-config", KEY_NO_CONFIG, NULL, 0, "Read no defaults from a file", 0 },
	{ "json", KEY_REPORT, NULL, 0, "As after COMMAND", 0 },
	{ "quiet", 'q', NULL, 0, "As after COMMAND", 0 },
	{ "verbose", 'v', NULL, 0, "As after COMMAND", 0 },
	{ 0 },
};

bool global_word_is_report(const char *word)
{
	return !strcmp(word, "--json") || !strcmp(word, "--quiet") || !strcmp(word, "-q") ||
	       !strcmp(word, "--verbose") || !strcmp(word, "-v");
}

const char *argp_program_bug_address = NULL;

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "mirrorctl %s\n", PACKAGE_VERSION);
}

void (*argp_program_version_hook)(FILE *stream, struct argp_state *state) = print_version;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct global_words *words = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;	/* getopt's own line says it all */
		return 0;
	case KEY_CONFIG:
		words->config = arg;
		return 0;
	case KEY_NO_CONFIG:
		words->no_config = true;
		return 0;
	case KEY_REPORT:
	case 'q':
	case 'v':
		return 0;
	case ARGP_KEY_ARG:
		words->command_at = state->next - 1;
		state->next = state->argc;	/* the rest is the command's */
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The list of commands behind the options. */
static char *help_filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t bytes = 0;
	FILE *stream;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	stream = open_memstream(&list, &bytes);
	if (!stream)
		return (char *)text;
	fprintf(stream, "Commands:\n");
	for (size_t i = 0; commands[i]; i++)
		fprintf(stream, "  %-14s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(stream, "\n`mirrorctl COMMAND --help` says more, mirrorctl(8) all.");
	fclose(stream);
	return list;
}

const struct command global_command = { .name = "", .argp = &global_argp };

const struct argp global_argp = {
	.options = options, .parser = parse, .args_doc = "COMMAND [OPTION...] [MIRROR]",
	.doc = "Read, audit and repair the dirty logs of dm-mirror.\v ",
	.help_filter = help_filter,
};
