/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_JOURNAL_MARKS_H
#define CORE_JOURNAL_MARKS_H

#include "core/journal.h"

/*
 * Reading the saved sectors of an open journal backwards. Of a sector that was saved
 * twice the first version is the one to go back to: what was saved last is handed out
 * first. While the journal is read forwards once, marks are left from which reading can
 * be taken up again; in memory: a mark for every few MiB, and those MiB.
 */

struct journal_mark {
	uint64_t offset, sequence;
	unsigned char chain[JOURNAL_DIGEST_BYTES];
};

struct journal_marks {
	struct journal_mark *marks;	/* owned */
	size_t nr, room;
	struct journal_bounds bounds;
	uint64_t end;			/* offset behind the last record */
};

/* After each record that was read; only what stands behind the commit is marked. 0 or
 * -ENOMEM. Freed with journal_marks_free(), which accepts a zeroed one. */
int journal_marks_note(struct journal_marks *marks, const struct journal_reader *reader);
void journal_marks_free(struct journal_marks *marks);

/* Hands out all bytes behind the commit: in each call sorted by leg and sector, without
 * overlap, and borrowed. What the records of one call were saved over in an earlier one
 * comes in a later call. 0; what take() returned if not 0; -EBADMSG with an error when the
 * file is not what was marked; -ENOMEM, -errno with an error. */
int journal_backwards(const struct journal_marks *marks, const struct journal_source *source,
		      int (*take)(void *context, const struct journal_bytes *items,
				  size_t nr_items, struct error *err),
		      void *context, struct error *err);

#endif
