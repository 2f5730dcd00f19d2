/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/memory_file.h"
#include "support/quick_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int append(void *context, const void *bytes, size_t nr_bytes)
{
	struct memory_file *file = context;
	bool fails = ++file->appends == file->fail_at;

	if (fails)
		nr_bytes = file->fail_whole ? 0 : nr_bytes / 2;
	if (file->room - file->size < nr_bytes) {
		file->room = 2 * (file->room + nr_bytes);
		file->bytes = realloc(file->bytes, file->room);
		ck_assert_ptr_nonnull(file->bytes);
	}
	if (nr_bytes)
		memcpy(file->bytes + file->size, bytes, nr_bytes);
	file->size += nr_bytes;
	return fails ? file->fail_with : 0;
}

static int64_t read_at(void *context, uint64_t offset, void *bytes, size_t nr_bytes)
{
	struct memory_file *file = context;

	if (nr_bytes > file->largest_read)
		file->largest_read = nr_bytes;
	if (++file->reads == file->fail_read_at)
		return -EIO;
	if (offset >= file->size)
		return file->lie;
	if (nr_bytes > file->size - offset)
		nr_bytes = file->size - offset;
	memcpy(bytes, file->bytes + offset, nr_bytes);
	return (int64_t)nr_bytes + file->lie;
}

struct journal_sink memory_file_sink(struct memory_file *file)
{
	return (struct journal_sink){ .append = append, .context = file };
}

struct journal_source memory_file_source(struct memory_file *file)
{
	return (struct journal_source){ .read_at = read_at, .context = file, .name = "j.undo" };
}

void memory_file_free(struct memory_file *file)
{
	free(file->bytes);
	memset(file, 0, sizeof(*file));
}
