/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_TEXT_FILE_H
#define IO_TEXT_FILE_H

#include <stddef.h>

/* All of a regular file of at most `max` bytes. *text is the caller's to free; no NUL
 * ends it. 0 or -errno, then *text is NULL: -EINVAL for what is not a regular file,
 * which is not waited for (a pipe would be, with all legs claimed), -EFBIG for one that
 * is larger. */
int text_file_read(char **text, size_t *nr_bytes, const char *path, size_t max);

#endif
