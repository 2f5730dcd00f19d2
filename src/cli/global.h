/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_GLOBAL_H
#define CLI_GLOBAL_H

#include <stdbool.h>

/* The words before COMMAND. */

#define CONFIG_DEFAULT SYSCONFDIR "/mirrorctl.conf"

/* Is this word one of the report options that may also stand before COMMAND
 * (--json, --quiet …)? Those are handed on to the command. */
bool global_word_is_report(const char *word);

#endif
