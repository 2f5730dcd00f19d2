/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/places.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "io/state.h"

int places_check_journal(const struct write_words *words, const struct opened_mirror *opened,
			 uint64_t nr_bytes, struct error *err)
{
	char *directory, *warning = NULL;
	int r;

	if (words->dry_run)
		return 0;
	r = state_directory(&directory, words->state_dir, err);
	if (!r)
		r = state_check_directory_usable(directory, nr_bytes, err);
	if (!r)
		r = state_check_place(directory, opened, &warning, err);
	free(directory);
	free(warning);
	return r;
}

static int check_new(const char *option, const char *path, struct error *err)
{
	struct stat st;

	if (!*path)
		return error_usage(err, "%s: is empty; give the name of a new file; nothing was changed",
				   option);
	if (lstat(path, &st))
		return 0;
	return error_operation(err, EEXIST, "%s %s: exists already; give the name of a new file; nothing was changed",
			       option, path);
}

int places_check_file(const char *option, const char *path, const struct write_words *words,
		      const struct opened_mirror *opened, struct error *err)
{
	char *warning = NULL;
	int r = path ? check_new(option, path, err) : 0;

	if (r || !path || words->dry_run)
		return r;
	r = state_check_file_usable(path, err);
	if (!r)
		r = state_check_place(path, opened, &warning, err);
	free(warning);
	return r;
}
