/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json_stream.h"
#include "cli/opts.h"

const struct command *const commands[] = { &command_show, &command_audit, NULL };

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

	json_begin(&stream, stdout);
	json_string(&stream, "schema", JSON_SCHEMA_NAME);
	json_string(&stream, "command", command);
	json_string(&stream, "version", PACKAGE_VERSION);
	json_string(&stream, "error", text);
	json_uint(&stream, "exit_status", (unsigned int)status);
	json_end(&stream);
}

bool command_parse(const struct command *command, int argc, char **argv, void *words)
{
	if (argp_parse(command->argp, argc, argv, command == &global_command ? ARGP_IN_ORDER : 0,
		       NULL, words) == 0)
		return true;
	if (words_want_json(argc, argv))
		print_json_error(command->name, opts_last_error(), EXIT_USAGE);
	return false;
}

int command_failed(const struct command *command, const struct error *err, bool json)
{
	int status = err->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_TROUBLE;

	fprintf(stderr, "mirrorctl: %s\n", err->text);
	if (json)
		print_json_error(command ? command->name : "", err->text, status);
	return status;
}
