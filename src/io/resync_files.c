/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/resync_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "core/size.h"
#include "io/state.h"

/* --- is there room? ------------------------------------------------------------ */

static int too_large(const char *path, int code, uint64_t wanted, uint64_t there,
		     const char *what, struct error *err)
{
	char all[32], some[32];

	return error_operation(err, code, "%.150s: may need %" PRIu64 " bytes (%s), and %s %" PRIu64
			       " (%s); name a file elsewhere; nothing was changed", path, wanted,
			       size_format(all, sizeof(all), wanted), what, there,
			       size_format(some, sizeof(some), there));
}

int resync_files_check_space(const char *path, uint64_t nr_bytes, struct error *err)
{
	char *parent = state_parent(path);
	struct statvfs fs;
	struct rlimit limit;
	uint64_t there;
	int code = !parent ? ENOMEM : statvfs(parent, &fs) ? errno : 0;

	free(parent);
	if (code)
		return error_operation(err, code, "%.200s: how much room there is cannot be told: %s; name a file elsewhere; nothing was changed",
				       path, error_reason(code));
	there = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (there < nr_bytes)
		return too_large(path, ENOSPC, nr_bytes, there, "its file system has room for", err);
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < nr_bytes)
		return too_large(path, EFBIG, nr_bytes, limit.rlim_cur,
				 "the limit on file sizes (ulimit -f) is", err);
	return 0;
}

/* --- before the run --------------------------------------------------------------- */

int resync_files_create(struct resync_files *files, const char *directory, const char *undo,
			const char *name, struct error *err)
{
	int r = 0;

	*files = (struct resync_files){ 0 };
	if (undo)
		r = journal_file_create_at(&files->undo, undo, err);
	return r ? r : journal_file_create(&files->journal, directory, name, err);
}

int resync_files_write(struct resync_files *files, const struct resync_record *record,
		       struct error *err)
{
	int r = 0;

	if (files->undo.path)
		r = resync_record_begin(&files->undo.writer, record, "the undo file", err);
	if (!r)
		r = resync_record_begin(&files->journal.writer, record, "the undo journal", err);
	if (!r && files->undo.path)
		r = journal_file_commit(&files->undo, err);
	if (!r)
		r = journal_file_commit(&files->journal, err);
	return r;
}

/* --- during it ---------------------------------------------------------------------- */

int resync_files_keep(struct resync_files *files, unsigned int leg, uint64_t sector,
		      uint32_t sectors, const void *old, const void *new)
{
	int r = resync_record_keep(&files->undo.writer, leg, sector, sectors, old, new);

	return r ? journal_file_sync_data(&files->undo, &files->kept) : 0;
}

int resync_files_kept(struct resync_files *files)
{
	return journal_file_sync_data(&files->undo, &files->kept);
}

/* --- behind it ------------------------------------------------------------------------ */

int resync_files_note_end(struct resync_files *files, void *before, void *after,
			  uint64_t area_bytes, uint64_t nr_regions, struct error *err)
{
	struct journal_file *const both[] = { &files->journal, &files->undo };
	int r, failed = 0;

	for (unsigned int i = 0; i < 2; i++) {
		if (!both[i]->path)
			continue;
		/* A put that failed is told by the sync. */
		resync_record_end(&both[i]->writer, before, after, area_bytes, nr_regions);
		r = journal_file_sync(both[i], err);
		failed = failed ? failed : r;
	}
	return failed;
}

void resync_files_close(struct resync_files *files)
{
	journal_file_close(&files->journal);
	journal_file_close(&files->undo);
}

void resync_files_discard(struct resync_files *files)
{
	journal_file_discard(&files->journal);
	journal_file_discard(&files->undo);
}
