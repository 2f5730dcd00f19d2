/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "cli/command.h"

/*
 * Defaults from /etc/mirrorctl.conf: lines of `option = value` or `option`,
 * with the long options' names. They become words in front of the user's own,
 * so that what is typed wins.
 */

struct config_words {
	int argc;
	char **argv;		/* owned */
};

/* Reads `path`. A missing file is fine unless `must_exist`. Only words that
 * `command` knows are returned; a name that no command knows, a malformed line,
 * --yes or --force-* (never from a file), another owner than root or the caller,
 * or a mode that lets others write, is an error: "file:line: what is wrong".
 * Freed with config_free(). */
int config_read(struct config_words *words, const char *path, bool must_exist,
		const struct command *command, struct error *err);
void config_free(struct config_words *words);

#endif
