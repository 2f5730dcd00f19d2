/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/repair_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/state.h"

int repair_files_check(const char *directory, const char *saved,
		       const struct opened_mirror *opened, char **warning, struct error *err)
{
	int r = directory ? state_check_place(directory, opened, warning, err) : 0;

	return r || !saved ? r : state_check_place(saved, opened, warning, err);
}

static int create_saved(struct journal_file *file, const char *saved, unsigned int nr,
			struct error *err)
{
	char *path;
	int r;

	if (nr < 2)
		return journal_file_create_at(file, saved, err);
	if (asprintf(&path, "%s.%u", saved, nr) < 0)
		return error_operation(err, ENOMEM, "not enough memory for a file's name; nothing was changed");
	r = journal_file_create_at(file, path, err);
	free(path);
	return r;
}

int repair_files_create(struct repair_files *files, const char *directory, const char *saved,
			unsigned int nr, const char *name, struct error *err)
{
	int r = 0;

	*files = (struct repair_files){ 0 };
	if (saved)
		r = create_saved(&files->saved, saved, nr, err);
	if (!r && directory)
		r = journal_file_create(&files->journal, directory, name, err);
	return r;
}

int repair_files_write(struct repair_files *files, struct repair_recorded *recorded,
		       const struct repair_record *record, const struct opened_mirror *opened,
		       struct error *err)
{
	struct block_device *legs[MIRROR_LEGS_MAX];
	struct repair_record full = *record;
	int r;

	mirror_leg_devices(opened, legs);
	full.legs = legs;
	full.nr_legs = opened->mirror.nr_legs;
	full.geometry = opened->mirror.geometry;
	full.journal = files->journal.path ? &files->journal.writer : NULL;
	full.saved = files->saved.path ? &files->saved.writer : NULL;
	r = repair_record(recorded, &full, err);
	if (!r && files->saved.path)
		r = journal_file_commit(&files->saved, err);
	if (!r && files->journal.path)
		r = journal_file_commit(&files->journal, err);
	return r;
}

int repair_files_note_cleared(struct repair_files *files, const struct bitmap *cleared,
			      struct error *err)
{
	/* A put that failed is told by the sync. */
	repair_record_cleared(&files->journal.writer, cleared);
	return journal_file_sync(&files->journal, err);
}

void repair_files_close(struct repair_files *files)
{
	journal_file_close(&files->journal);
	journal_file_close(&files->saved);
}

void repair_files_discard(struct repair_files *files)
{
	journal_file_discard(&files->journal);
	journal_file_discard(&files->saved);
}
