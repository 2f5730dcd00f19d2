/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/opts.h"

#define CONFIG_BYTES_MAX (64 * 1024)
#define LINE_BYTES_MAX 900	/* popt's own limit is just below 1000 */

/* Finds a long option in an argp and its children. */
static const struct argp_option *find_option(const struct argp *argp, const char *name)
{
	const struct argp_option *option;
	const struct argp_child *child;

	for (option = argp->options; option && (option->name || option->key || option->doc ||
						option->group); option++)
		if (option->name && !strcmp(option->name, name))
			return option;
	for (child = argp->children; child && child->argp; child++) {
		option = find_option(child->argp, name);
		if (option)
			return option;
	}
	return NULL;
}

static const struct argp_option *find_in_any_command(const char *name)
{
	const struct argp_option *option = NULL;

	for (size_t i = 0; commands[i] && !option; i++)
		option = find_option(commands[i]->argp, name);
	return option;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

/* Files to write, and what shall be cleared or copied. */
static bool is_of_one_run(const char *name)
{
	static const char *const names[] = {
		"mapfile", "output", "save-divergent", "write-plan", "from", "plan",
		"sectors", "clear-regardless", "source", "list", "online", "undo-file",
		"regions", "seed", "copy-all", "salvage", "accept-salvaged",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* popt drops and mangles malformed lines in silence, so each is checked here
 * before popt sees the file. */
static int check_line(char *line, const char *path, int number, struct error *err)
{
	const struct argp_option *option;
	char *name, *value;

	if (strlen(line) > LINE_BYTES_MAX)
		return error_usage(err, "%s:%d: the line is too long (%d characters at most)", path,
				   number, LINE_BYTES_MAX);
	name = trim(line);
	value = strchr(name, '=');
	if (!*name || *name == '#')
		return 0;
	if (value) {
		*value++ = '\0';
		value = trim(value);
		name = trim(name);
	}
	if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
		return error_usage(err, "%s:%d: expected `option = value`, not \"%s\"", path, number, name);
	if (!strcmp(name, "yes") || !strcmp(name, "hold-vg-lock") || !strncmp(name, "force", 5))
		return error_usage(err, "%s:%d: %s must be typed, it is never taken from a file",
				   path, number, name);
	if (is_of_one_run(name))
		return error_usage(err, "%s:%d: %s is about one run, and must be typed", path, number, name);
	if (find_option(&mirror_argp, name) && strcmp(name, "inactive"))
		return error_usage(err, "%s:%d: %s names one mirror, and must be typed", path, number, name);
	option = find_in_any_command(name);
	if (!option)
		return error_usage(err, "%s:%d: no command has an option --%s", path, number, name);
	if (option->arg && !(option->flags & OPTION_ARG_OPTIONAL) && (!value || !*value))
		return error_usage(err, "%s:%d: %s needs a value: `%s = %s`", path, number, name,
				   name, option->arg);
	if (!option->arg && value)
		return error_usage(err, "%s:%d: %s takes no value", path, number, name);
	if (value && strpbrk(value, "\"'\\#"))
		return error_usage(err, "%s:%d: quotes, backslashes and comments behind a value are not understood; remove them",
				   path, number);
	return 0;
}

static int check_lines(const char *text, const char *path, struct error *err)
{
	char *copy = strdup(text), *rest = copy, *line;
	int r = copy ? 0 : error_operation(err, ENOMEM, "%s: not enough memory", path);

	for (int number = 1; !r && (line = strsep(&rest, "\n")); number++)
		r = check_line(line, path, number, err);
	free(copy);
	return r;
}

static int check_owner(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_operation(err, errno, "%s: %s", path, error_reason(errno));
	if (!S_ISREG(st.st_mode))
		return error_usage(err, "%s: is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_operation(err, EPERM, "%s: belongs to neither root nor you; chown it, or use --no-config", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_operation(err, EPERM, "%s: others may write to it; chmod go-w it, or use --no-config", path);
	return 0;
}

/* The whole file as a string; NULL with r = 0 when there is none. */
static int read_text(char **text, const char *path, bool must_exist, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;
	ssize_t got;

	*text = NULL;
	if (fd < 0 && errno == ENOENT && !must_exist)
		return 0;
	if (fd < 0)
		return error_operation(err, errno, "%s: %s", path, error_reason(errno));
	r = check_owner(fd, path, err);
	if (r)
		goto out;
	*text = calloc(1, CONFIG_BYTES_MAX + 1);
	got = *text ? read(fd, *text, CONFIG_BYTES_MAX + 1) : -1;
	if (got < 0)
		r = error_operation(err, EIO, "%s: cannot be read", path);
	else if (got > CONFIG_BYTES_MAX || memchr(*text, '\0', (size_t)got))
		r = error_usage(err, "%s: is not a configuration file", path);
	if (r) {
		free(*text);
		*text = NULL;
	}
out:
	close(fd);
	return r;
}

/* popt: the file's lines as one string of --option="value" words. The checked
 * copy goes through a memory stream, so that what was checked is what is read. */
static int words_from_text(struct config_words *words, char *text, const char *path,
			   struct error *err)
{
	FILE *stream = fmemopen(text, strlen(text), "r");
	char *line = NULL;
	const char **parsed = NULL;
	int nr = 0, r;

	if (!stream)
		return error_operation(err, ENOMEM, "%s: not enough memory", path);
	r = poptConfigFileToString(stream, &line, 0);
	if (!r && line)
		r = poptParseArgvString(line, &nr, &parsed);
	fclose(stream);
	if (r && r != POPT_ERROR_NOARG) {
		free(line);
		return error_usage(err, "%s: %s", path, poptStrerror(r));
	}
	words->argv = calloc((size_t)nr + 1, sizeof(char *));
	for (int i = 0; words->argv && i < nr; i++)
		words->argv[words->argc++] = strdup(parsed[i]);
	free(parsed);
	free(line);
	return words->argv ? 0 : error_operation(err, ENOMEM, "%s: not enough memory", path);
}

/* Drops the words that this command does not know (another one does). */
static void keep_known(struct config_words *words, const struct command *command)
{
	int kept = 0;

	for (int i = 0; i < words->argc; i++) {
		char *word = words->argv[i], name[64];
		size_t length = word ? strcspn(word + 2, "=") : 0;

		snprintf(name, sizeof(name), "%.*s", (int)length, word ? word + 2 : "");
		if (word && find_option(command->argp, name))
			words->argv[kept++] = word;
		else
			free(word);
	}
	words->argc = kept;
	words->argv[kept] = NULL;
}

int config_read(struct config_words *words, const char *path, bool must_exist,
		const struct command *command, struct error *err)
{
	char *text = NULL;
	int r;

	memset(words, 0, sizeof(*words));
	r = read_text(&text, path, must_exist, err);
	if (r || !text || !*text)
		goto out;
	r = check_lines(text, path, err);
	if (!r)
		r = words_from_text(words, text, path, err);
	if (!r)
		keep_known(words, command);
out:
	free(text);
	return r;
}

void config_free(struct config_words *words)
{
	for (int i = 0; i < words->argc; i++)
		free(words->argv[i]);
	free(words->argv);
	memset(words, 0, sizeof(*words));
}
