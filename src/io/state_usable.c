/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether files can be made where they are wanted, asked before anything is read. */

#include "io/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* May a name be made in it, and bytes written there? 0 or -errno. */
static int check_directory(const char *path, uint64_t nr_bytes)
{
	struct statvfs fs;
	struct stat st;
	uint64_t free_blocks;

	if (stat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* For root, too, on what is mounted read-only. */
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) || statvfs(path, &fs))
		return -errno;
	free_blocks = geteuid() ? fs.f_bavail : fs.f_bfree;
	/* Some file systems count no files, and a few no blocks. */
	if ((fs.f_blocks && fs.f_frsize && free_blocks < (nr_bytes + fs.f_frsize - 1) / fs.f_frsize) ||
	    (fs.f_files && !fs.f_ffree))
		return -ENOSPC;
	return 0;
}

int state_check_directory_usable(const char *directory, uint64_t nr_bytes, struct error *err)
{
	char *undo, *existing = NULL;
	int r;

	if (asprintf(&undo, "%s/undo", directory) < 0)
		return error_operation(err, ENOMEM, "not enough memory to look at %.300s; nothing was changed",
				       directory);
	r = state_nearest_existing(&existing, undo);
	if (!r)
		r = check_directory(existing, nr_bytes);
	if (r)
		error_operation(err, -r, "journals cannot be kept in %.200s/undo: %.160s: %s; %sgive another --state-dir; nothing was changed",
				directory, existing ? existing : directory, error_reason(r),
				r == -ENOSPC ? "make room there or " : "");
	free(existing);
	free(undo);
	return r;
}

int state_check_file_usable(const char *path, struct error *err)
{
	char *parent = state_parent(path);
	int r = parent ? check_directory(parent, 1) : -ENOMEM;

	if (r)
		error_operation(err, -r, "%.250s: cannot be written in %.160s: %s; %sgive the name of another file; nothing was changed",
				path, parent ? parent : ".", error_reason(r),
				r == -ENOSPC ? "make room there or " : "");
	free(parent);
	return r;
}
