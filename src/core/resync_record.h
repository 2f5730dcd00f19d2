/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RESYNC_RECORD_H
#define CORE_RESYNC_RECORD_H

#include "core/journal.h"
#include "core/leg_ends.h"
#include "core/region.h"

/*
 * What is written down of a resync, in an open journal (mirrorctl-journal(5)): before its
 * first write the whole area of the log as it was; behind the commit, with --undo-file,
 * what the legs held wherever they are overwritten; in the end which bits were set.
 */

struct resync_record {
	const char *identity;		/* JSON text */
	const void *area;		/* of the log, as it is */
	uint64_t area_bytes;
	uint64_t nr_regions;
	const struct leg_ends *ends;	/* NULL: the identity is made of names */
};

/* Appends all that comes before the commit, which is the caller's. 0, or -errno with an
 * error: "… cannot be written: …; nothing was changed". `what` is the file, in words. */
int resync_record_begin(struct journal_writer *journal, const struct resync_record *record,
			const char *what, struct error *err);
/* Old contents of a leg, and what will be written over them, of which fingerprints are
 * kept. It lasts once the file is synced. 0 or -errno. */
int resync_record_keep(struct journal_writer *journal, unsigned int leg, uint64_t sector,
		       uint64_t sectors, const void *old, const void *new);
/* Behind the run: which bits that the kernel believes are set and were not, and the other
 * way round. Both areas are 8-byte aligned. 0 or -errno. */
int resync_record_end(struct journal_writer *journal, void *before, void *after,
		      uint64_t area_bytes, uint64_t nr_regions);

/* Bytes that a file needs at most for so much of the legs (sectors of all targets
 * together), in records of at least `piece` sectors each where nothing is left out. */
uint64_t resync_record_bytes(uint64_t sectors, uint64_t nr_runs, uint64_t piece);

#endif
