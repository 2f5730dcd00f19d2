/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json_stream.h"

const struct command *const commands[] = { &command_show, &command_audit, NULL };

bool words_want_json(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--json"))
			return true;
	return false;
}

bool command_parse(const struct command *command, int argc, char **argv, void *words)
{
	return argp_parse(command->argp, argc, argv, 0, NULL, words) == 0;
}

int command_failed(const struct command *command, const struct error *err, bool json)
{
	int status = err->kind == ERROR_USAGE ? EXIT_USAGE : EXIT_TROUBLE;
	struct json_stream stream;

	fprintf(stderr, "mirrorctl: %s\n", err->text);
	if (!json)
		return status;
	json_begin(&stream, stdout);
	json_string(&stream, "schema", JSON_SCHEMA_NAME);
	json_string(&stream, "command", command ? command->name : "");
	json_string(&stream, "version", PACKAGE_VERSION);
	json_string(&stream, "error", err->text);
	json_uint(&stream, "exit_status", (unsigned int)status);
	json_end(&stream);
	return status;
}
