/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_EXTRACT_H
#define CORE_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/identity.h"
#include "core/journal.h"
#include "core/journal_marks.h"
#include "core/region.h"

/*
 * What a journal has saved of the legs (mirrorctl-journal(5)): a list of it, and
 * one leg's sectors handed out on the way. Every record proves itself and all in
 * front of it, so what was read before a file ends is good, wherever it ends.
 */

/* Sectors of a leg, counted from the mirror's start. */
struct extract_extent {
	uint64_t start;
	uint64_t sectors;
};

/* Once finished: ascending, no overlaps, neighbours merged. */
struct extract_extents {
	struct extract_extent *extents;	/* owned */
	size_t nr, room;
	bool truncated;		/* not all were kept; what was not still counts below */
	uint64_t nr_found;	/* extents */
	uint64_t sectors;	/* a sector saved twice counts once, unless truncated */
};

struct extract {
	struct identity identity;
	char *identity_json;		/* as it stands in the file; owned */
	struct region_geometry geometry;
	struct extract_extents legs[MIRROR_LEGS_MAX];	/* all that is saved of each */
	struct extract_extents written;	/* what was handed to the wish */
	bool complete;		/* the commit was there: nothing is missing */
	bool open;		/* what a resync overwrote, as far as it came */
	bool torn;		/* … behind which something else stands: what a power cut leaves
				 * of the last records, which were not needed yet; or damage */
	bool has_log;		/* holds bytes of the log: undo can use it */
	uint64_t nr_digests;	/* regions of which it holds the legs' digests */
	/* private */
	struct journal_reader reader;
	struct journal_marks marks;	/* of an open journal */
	size_t max_extents;	/* of all legs together that are kept */
	size_t nr_kept;
};

/* Which sectors of which leg are wanted, and where they go. */
struct extract_wish {
	unsigned int leg;
	const struct region_run *ranges;	/* of sectors; ascending, no overlaps */
	size_t nr_ranges;
	/* Called in any order, of an open journal from its end to its beginning: of a
	 * sector that was saved twice the last call counts. 0 or -errno with an error. */
	int (*write)(void *context, uint64_t start_sector, const unsigned char *data,
		     uint64_t sectors, struct error *err);
	void *context;
};

/* Reads whose mirror it is. At most `max_extents` extents of the legs will be kept.
 * 0; -EBADMSG (damaged, foreign, empty), -ENODATA (cut short in front of anything
 * useful) or -errno with an error. Freed with extract_free() in any case, which
 * accepts a zeroed one. */
int extract_begin(struct extract *extract, const struct journal_source *source,
		  size_t max_extents, struct error *err);

/* Reads the rest, once. `wish` may be NULL; `cancelled` too: asked before each
 * record. A file that was cut short is no error (complete is false). -EBADMSG:
 * damaged, and nothing of what was handed out is to be used; -ECANCELED; what
 * `write` returned; -errno. */
int extract_read(struct extract *extract, const struct extract_wish *wish,
		 bool (*cancelled)(void *context), void *context, struct error *err);

void extract_free(struct extract *extract);

/* `25600-25735`, `25600` or `25600-`: sectors of a mirror of `length` sectors, both
 * ends included. -EINVAL with a usage error. */
int extract_parse_sectors(struct region_run *range, const char *text, uint64_t length,
			  struct error *err);

#endif
