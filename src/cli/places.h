/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_PLACES_H
#define CLI_PLACES_H

#include "cli/opts.h"

/*
 * The files that a run which writes will make: that each of them can be made, and lies
 * nowhere on the mirror, is asked before hours of reading. The run itself asks again, and
 * tells what there is to be warned of.
 */

/* The state directory, for a journal of `nr_bytes` at least. 0 or -errno with an error. */
int places_check_journal(const struct write_words *words, const struct opened_mirror *opened,
			 uint64_t nr_bytes, struct error *err);
/* The argument of `option` (NULL: none was given); of a dry run only that it is a new
 * name. 0 or -errno with an error. */
int places_check_file(const char *option, const char *path, const struct write_words *words,
		      const struct opened_mirror *opened, struct error *err);

#endif
