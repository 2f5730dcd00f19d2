/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_CONFIRM_H
#define CLI_CONFIRM_H

#include "cli/opts.h"

/* Asks on the terminal for the mirror's name, unless --yes was said. 0: go on;
 * -EINVAL with a usage error that says that nothing was changed: another answer, or
 * no terminal to ask on; -ECANCELED when a signal ended the wait. */
int confirm_name(const struct write_words *words, const char *name, struct error *err);

#endif
