/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json_stream.h"
#include "cli/signals.h"

const struct command *const commands[] = { &command_list, &command_show, &command_audit,
					   &command_repair_log, &command_undo,
					   &command_resync, &command_extract, NULL };

bool words_want_json(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--json"))
			return true;
	return false;
}

static void print_json_error(const char *command, const char *text, int status)
{
	struct json_stream stream;

	json_begin_report(&stream, command);
	json_string(&stream, "error", text);
	json_uint(&stream, "exit_status", (unsigned int)status);
	json_end(&stream);
}

/* getopt complains on stderr and nowhere else, so that is where its sentence is
 * caught (glibc lets the variable be set); ours goes the same way. */
static error_t parse_quietly(const struct command *command, int argc, char **argv,
			     void *words, char **said)
{
	unsigned int flags = command == &global_command ? ARGP_IN_ORDER : 0;
	FILE *real = stderr, *memory;
	size_t bytes;
	error_t r;

	*said = NULL;
	memory = open_memstream(said, &bytes);
	if (memory)
		stderr = memory;
	r = argp_parse(command->argp, argc, argv, flags, NULL, words);
	stderr = real;
	if (memory)
		fclose(memory);
	return r;
}

bool command_parse(const struct command *command, int argc, char **argv, void *words)
{
	const char *text = "the words are wrong";
	char *said;
	error_t r = parse_quietly(command, argc, argv, words, &said);

	if (r) {
		if (said && *said) {
			said[strcspn(said, "\n")] = '\0';
			text = strstr(said, ": ") ? strstr(said, ": ") + 2 : said;
		}
		fprintf(stderr, "%s: %s; %s --help tells more\n", argv[0], text, argv[0]);
		if (words_want_json(argc, argv))
			print_json_error(command->name, text, EXIT_USAGE);
	}
	free(said);
	return !r;
}

static int fail_with(const struct command *command, const struct error *err, bool json, int status)
{
	fprintf(stderr, "mirrorctl: %s\n", err->text);
	if (json)
		print_json_error(command ? command->name : "", err->text, status);
	return status;
}

int command_failed(const struct command *command, const struct error *err, bool json)
{
	return fail_with(command, err, json, err->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_TROUBLE);
}

int command_not_done(const struct command *command, int r, const struct error *err, bool json)
{
	if ((r == -ECANCELED || r == -ETIMEDOUT) && signals_stop_wanted())
		return fail_with(command, err, json, EXIT_INTERRUPTED);
	return command_failed(command, err, json);
}
