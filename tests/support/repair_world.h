/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_REPAIR_WORLD_H
#define TESTS_SUPPORT_REPAIR_WORLD_H

#include "core/repair_record.h"
#include "core/undo.h"
#include "support/log_world.h"
#include "support/memory_file.h"

/*
 * A log_world with legs: equal holes, but for the wanted regions, in which all hold
 * text and some sectors differ. One engine serves them all.
 */
struct repair_world {
	struct log_world log;
	unsigned int nr_legs;
	struct sim_disk *legs[MIRROR_LEGS_MAX];
	struct block_device *devices[MIRROR_LEGS_MAX];	/* NULL: missing */

	struct memory_file journal, saved;
	struct journal_writer journal_writer, saved_writer;
	struct repair_recorded recorded;
	unsigned int polls, stop_at_poll;	/* 0: never */
	int stop_with;

	/* Of the last undo. */
	enum undo_answer answer;
	enum repair_step undo_step;
	uint64_t nr_back, nr_refused, lowest_refused;
	struct error err;
};

#define REPAIR_WORLD_IDENTITY "{\"kind\":\"weak\"}"

/* `of`: one region in so many is wanted and differs; 1: all. Three buffers more than
 * legs, of 8 KiB. */
void repair_world_make(struct repair_world *world, uint64_t nr_regions, uint32_t block_sectors,
		       unsigned int nr_legs, uint64_t of, uint64_t seed);
void repair_world_free(struct repair_world *world);
/* A new engine, as after a restart; `seed` shuffles. */
void repair_world_restart(struct repair_world *world, uint64_t seed);
/* Writes one byte of a leg's region behind everybody's back. */
void repair_world_change(struct repair_world *world, unsigned int leg, uint64_t region);

/* repair_record() into journal and (if `saving`) saved file; no commit. */
int repair_world_record(struct repair_world *world, bool saving);
int repair_world_commit(struct repair_world *world);
/* The outcome, behind the commit. */
void repair_world_outcome(struct repair_world *world, const struct bitmap *cleared);
/* Record, commit, apply. */
int repair_world_repair(struct repair_world *world);
/* Read the journal, examine, prove, edit, apply. 0 whatever the answer was. */
int repair_world_undo(struct repair_world *world);

#endif
