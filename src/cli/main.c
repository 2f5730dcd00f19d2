/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/config.h"
#include "cli/global.h"

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* Commands that the manual of a later version may have told somebody about. */
static bool is_to_come(const char *name)
{
	static const char *const to_come[] = { "check", "preflight", "history" };

	for (size_t i = 0; i < sizeof(to_come) / sizeof(*to_come); i++)
		if (!strcmp(name, to_come[i]))
			return true;
	return false;
}

static int unknown_command(const char *name, bool json)
{
	struct error err = { 0 };

	error_usage(&err, is_to_come(name) ?
		    "%s is not there yet in this version; mirrorctl --help lists what is" :
		    "there is no command \"%s\"; mirrorctl --help lists them", name);
	return command_failed(NULL, &err, json);
}

static int no_command(bool json)
{
	struct error err = { 0 };

	error_usage(&err, "which command? mirrorctl --help lists them");
	return command_failed(NULL, &err, json);
}

/* "mirrorctl COMMAND", the words before COMMAND, those of the configuration, the
 * user's own. Global report options are known to every command. */
static int run_command(const struct command *command, const struct global_words *global,
		       int argc, char **argv)
{
	struct config_words config = { 0 };
	struct error err = { 0 };
	char name[64];
	char **words;
	int nr = 0, status;

	if (!global->no_config &&
	    config_read(&config, global->config ? global->config : CONFIG_DEFAULT,
			global->config != NULL, command, &err))
		return command_failed(command, &err, words_want_json(argc, argv));
	words = calloc((size_t)(argc + config.argc + 2), sizeof(char *));
	if (!words) {
		config_free(&config);
		error_operation(&err, 12, "not enough memory");
		return command_failed(command, &err, false);
	}
	snprintf(name, sizeof(name), "mirrorctl %s", command->name);
	words[nr++] = name;
	for (int i = 0; i < config.argc; i++)
		words[nr++] = config.argv[i];
	for (int i = 1; i < global->command_at; i++)
		if (global_word_is_report(argv[i]))
			words[nr++] = argv[i];
	for (int i = global->command_at + 1; i < argc; i++)
		words[nr++] = argv[i];
	status = command->run(nr, words);
	free(words);
	config_free(&config);
	return status;
}

static bool stdout_closed;

/* What was printed must have arrived: a report cut short by a full disk is no
 * report. */
static int close_stdout(int status)
{
	stdout_closed = true;
	if (ferror(stdout) | fclose(stdout)) {
		/* Not by way of stderr: while words are parsed that is something else. */
		dprintf(STDERR_FILENO, "mirrorctl: the output could not be written completely\n");
		return status | EXIT_TROUBLE;
	}
	return status;
}

/* argp ends the process itself, with 0, once it has printed --help, --usage or --version. */
static void close_stdout_at_exit(void)
{
	if (!stdout_closed && close_stdout(EXIT_OK))
		_exit(EXIT_TROUBLE);
}

/* A descriptor that the caller has closed would be given to the next file that is opened:
 * a leg, and the report would be written into it. Held by something that cannot be written
 * (or, for standard input, not be read), so that the loss is noticed. */
static bool secure_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	struct global_words global = { 0 };
	const struct command *command;
	int status;

	static char name[] = "mirrorctl";

	if (!secure_descriptors() || atexit(close_stdout_at_exit))
		return EXIT_TROUBLE;
	argp_err_exit_status = EXIT_USAGE;
	if (argc > 0)
		argv[0] = name;
	if (!command_parse(&global_command, argc, argv, &global))
		return close_stdout(EXIT_USAGE);
	if (!global.command_at)
		return close_stdout(no_command(words_want_json(argc, argv)));
	command = find_command(argv[global.command_at]);
	if (!command)
		return close_stdout(unknown_command(argv[global.command_at],
						    words_want_json(argc, argv)));
	status = run_command(command, &global, argc, argv);
	return close_stdout(status);
}
