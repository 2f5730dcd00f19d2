/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LEG_ENDS_H
#define CORE_LEG_ENDS_H

#include "core/block.h"
#include "core/journal.h"
#include "core/mirror.h"

/*
 * The first and the last 64 KiB of every leg, by which a mirror without lasting names is
 * known. A resync may change them, so its journal holds what they were: afterwards each of
 * their sectors is as it was, or as one of the other legs had it in that place.
 */

#define LEG_END_SECTORS 128u

struct leg_ends {
	unsigned int nr_legs;
	unsigned int nr_ranges;		/* 1: of a short mirror all of it, or both meet */
	struct { uint64_t start, sectors; } range[2];
	unsigned char *data[MIRROR_LEGS_MAX][2];	/* owned; NULL: not known */
};

/* What there is to hold of legs of that length; all of it not known. */
void leg_ends_init(struct leg_ends *ends, unsigned int nr_legs, uint64_t length);
/* Reads them, where they can be read; nothing may be in flight. 0; -ENOMEM; -ECANCELED as
 * block_read(): free nothing that the engine uses. Freed with leg_ends_free(), which
 * accepts a zeroed one. */
int leg_ends_read(struct leg_ends *ends, struct block_engine *engine,
		  struct block_device *const legs[], unsigned int nr_legs, uint64_t length);
void leg_ends_free(struct leg_ends *ends);

/* Appends what is known. 0 or as journal_put_bytes(). */
int leg_ends_put(const struct leg_ends *ends, struct journal_writer *writer);
/* Takes over such a record: 0; 1: not one of these; -ENOMEM. */
int leg_ends_take(struct leg_ends *ends, const struct journal_bytes *bytes);

/* Could a resync have made `now` of `before`? What is not known of either proves nothing,
 * so one leg at least must be known on both sides. false: *leg is one that could not, or
 * nr_legs when nothing is known. */
bool leg_ends_may_become(const struct leg_ends *before, const struct leg_ends *now,
			 unsigned int *leg);

#endif
