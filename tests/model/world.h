/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/region_engine_private.h"

/*
 * A small mirror around the region engine: legs and a log with volatile write caches, a
 * user who writes, flushes, suspends and resumes, errors, power cuts. Everything that can
 * happen next is a step; what may happen at the same time happens in every order.
 *
 * A region is one sector, which on each leg holds a value; a write brings a new one. What
 * a power cut now could leave there is a set of values: what was there at the last flush of
 * the leg, and all that was submitted since. Each sector of each leg, and each bit of the
 * log, is lost or kept by itself, so every subset of the unflushed writes is met, torn log
 * areas among them. A write that is in flight may reach the medium or not.
 *
 * What is left out, and why that hides nothing, or what it hides:
 *  - Regions of one sector. Writes to the same region are writes to the same sector, and
 *    each leg takes them in the order of their submission. Writes that overlap in flight
 *    are their user's fault on any mirror; those that do not overlap but share a region
 *    are met as two writes counted in one region, and parts of a region that differ while
 *    others do not are left out.
 *  - A flush reaches all legs in one step. To reach one leg earlier and another later only
 *    makes fewer contents possible after a cut. A flush that fails leaves on the one leg
 *    any of the possible contents, now and for good or not, and did nothing on the others.
 *    On leg 0 that is a write error: what was acknowledged may be lost with it.
 *  - The worker hears of a write error in the step in which the write ends.
 *  - The default leg is leg 0 always: without handle_errors it never changes. So writes
 *    are not held at an error, a log that cannot be written makes them wait and is tried
 *    again, and a write that one leg took is acknowledged.
 *  - Recovery visits each region once between two resumes, in any order (the kernel: in the
 *    order of their numbers). One that was in sync and is so no longer may be visited too.
 *  - Reads by the user, discards, log types other than disk, `sync` and `nosync` tables,
 *    headers, mirrors that change their size.
 *  - An old table's worker that writes the log after a resume into another table: a
 *    resume waits for the flush under way here. The late worker of a plain suspend, which
 *    has not run yet or runs after the suspend, is met.
 *  - A read error during a recovery fails it before anything was written to a leg.
 *  - A leg that lies about flushes, or changes by itself.
 */

#define MODEL_LEGS 4
#define MODEL_REGIONS 4
#define MODEL_WRITES 6		/* in flight at once */
#define MODEL_VALUES 16		/* told apart in one region at once */
#define MODEL_WRITES_ALL (MODEL_VALUES - MODEL_LEGS - 1)

/* What is wrong on purpose: a checker that cannot fail proves nothing. */
enum fault {
	FAULT_NONE,
	FAULT_RULE_BEFORE_2006,		/* the last write makes a NOSYNC region clean */
	FAULT_NO_LEG_FLUSH,		/* the legs are not flushed before a bit is set */
	FAULT_NO_LOG_FLUSH,		/* nor the log after one was cleared */
	FAULT_EARLY_WRITE,		/* submitted before its bit is cleared on the disk */
	FAULT_EARLY_RECOVERY,		/* begins while writes are in flight */
	FAULT_FLUSH_ERROR_IGNORED,	/* by the engine's user */
	FAULT_LEG_ERROR_IGNORED,
	FAULT_RECOVERY_ERROR_IGNORED,	/* the kernel without handle_errors */
	FAULT_WRONG_SOURCE,		/* recovery copies from the last leg */
	FAULT_NO_RECOVERY,		/* a resume does not begin again at region 0 */
	FAULT_LOST_WAKEUP,		/* delayed writes are not told that recovery is over */
	NR_FAULTS,
};

struct model_config {
	unsigned int legs, regions;
	unsigned int writes, suspends, cuts, errors;	/* how many of each may happen */
	unsigned int in_flight;				/* writes at once */
	unsigned int recoveries;			/* regions in recovery at once */
	unsigned int entries;				/* the engine's capacity */
	enum fault fault;
};

enum write_phase {
	WRITE_NONE,
	WRITE_DELAYED,		/* its region is in recovery */
	WRITE_RELEASED,		/* … no longer: to be started again */
	WRITE_WAITING,		/* counted; the log is not flushed yet */
	WRITE_SUBMITTED,
};

struct model_write {
	uint8_t phase;
	uint8_t region;
	uint8_t value;		/* once submitted */
	uint8_t legs;		/* that it goes to, less those that are done */
	bool taken, refused;	/* by some leg */
};

struct model_copy {		/* of a region in recovery */
	bool active, failed;
	uint8_t value;
	uint8_t legs;		/* not done */
};

/* The engine between two steps, without its pointers. */
struct engine_image {
	uint8_t state[MODEL_REGIONS];	/* 0: no entry */
	uint8_t list[MODEL_REGIONS];
	uint8_t mark[MODEL_REGIONS];
	uint8_t pending[MODEL_REGIONS];
	uint8_t clean, sync, recovering;	/* bit sets */
	uint8_t phase, resumed;
	bool suspended, flush_failure;
	bool touched_cleaned, touched_dirtied, taking_cleaned, taking_dirtied;
};

struct world {
	struct engine_image engine;
	uint8_t now[MODEL_LEGS][MODEL_REGIONS];		/* what a read returns */
	uint16_t may[MODEL_LEGS][MODEL_REGIONS];	/* set of values: after a cut */
	uint8_t log_now, log_may_set, log_may_clear;	/* bit sets of regions */
	uint8_t visited;	/* by recovery, since the last resume */
	/* Values are numbered in the order of their submission. At or above: written no
	 * earlier than the last write that was acknowledged (and flushed). */
	uint8_t acked[MODEL_REGIONS], flushed[MODEL_REGIONS];
	struct model_write writes[MODEL_WRITES];
	struct model_copy copies[MODEL_REGIONS];
	uint8_t flush;		/* steps of the engine's flush not yet done */
	uint8_t writes_left, suspends_left, cuts_left, errors_left;
	bool leg_0_refused, leg_0_flush_failed;	/* ever */
	bool error_since_resume;
};

enum step_kind {
	/* the user */
	STEP_WRITE, STEP_FLUSH, STEP_SUSPEND,
	/* misfortune */
	STEP_CUT, STEP_LEG_ERROR, STEP_READ_ERROR, STEP_COPY_ERROR, STEP_FLUSH_ERROR,
	STEP_LEG_FLUSH_ERROR, STEP_LOG_WRITE_ERROR, STEP_LOG_FLUSH_ERROR,
	/* what goes on by itself: from here on */
	STEP_LEG_DONE, STEP_RESTART, STEP_PREPARE, STEP_RECOVER, STEP_COPY_DONE, STEP_UPDATE,
	STEP_FLUSH_BEGIN, STEP_LEG_FLUSH, STEP_LOG_WRITE, STEP_LOG_FLUSH, STEP_RESUME,
};
#define STEP_INTERNAL STEP_LEG_DONE

struct step {
	uint8_t kind;
	uint8_t which;			/* region, or slot of a write */
	uint8_t leg;
	uint64_t choice, choices;	/* what it leaves behind, of so many */
};
#define STEPS_MAX 128

/* Sets are small: faster than a library's function. */
static inline unsigned int set_size(unsigned int set)
{
	unsigned int size = 0;

	for (; set; set &= set - 1)
		size++;
	return size;
}

struct model {
	struct model_config config;
	struct bitmap clean_bits;
	uint64_t clean_word;
	struct region_engine *engine;
	struct world *current;		/* that the engine's reports are about */
};

int model_init(struct model *model, const struct model_config *config);
void model_fini(struct model *model);
/* A world before its first step. Regions in `clean` are clean and equal, the others not
 * clean and different on every leg. */
void world_init(const struct model *model, struct world *world, unsigned int clean);
/* All that can happen now, up to STEPS_MAX; each with `choices` and choice 0. */
unsigned int world_steps(struct model *model, const struct world *world, struct step *steps);
/* False: it cannot happen after all, `world` may then hold anything. */
bool world_step(struct model *model, struct world *world, const struct step *step);
/* For a person; `world` is the one before the step. */
void step_describe(const struct model *model, const struct world *world, const struct step *step,
		   char *text, size_t room);

/* engine_image.c: `first` is the region that is first on its list, where it is on one, and
 * the search for the next to recover begins there. */
void engine_load(struct model *model, const struct world *world, unsigned int first);
void engine_store(struct model *model, struct world *world);

/* checks.c */
enum check {
	CHECK_CLEAN_BIT = 1,	/* (a) clean on stable storage, and legs not equal there */
	CHECK_WRITE_LOST = 2,	/* (b) acknowledged, flushed, and not on leg 0 */
	CHECK_RECOVERED = 4,	/* (c) nothing more can happen, and not all is recovered */
	CHECK_IN_SYNC = 8,	/* (d) in sync, nothing in flight, and legs not equal */
	CHECK_ENGINE = 16,	/* (e) the engine contradicts itself or keeps what it should not */
	CHECK_KNOWN_LOSS = 32,	/* (b) after leg 0 refused a write: the kernel's own */
	CHECK_KNOWN_GONE = 64,	/* … and on no other leg either */
	CHECK_KNOWN_FLUSH = 128,	/* (b) after a flush failed on leg 0 */
	NR_CHECKS = 8,
};
/* The checks that fail; `ended`: nothing goes on by itself any more. */
unsigned int world_check(const struct model *model, const struct world *world, bool ended);

/* packing.c: symmetric worlds are one. */
#define PACKED_WORDS 3
struct packed {
	uint64_t words[PACKED_WORDS];
};
/* Whether worlds of this model fit. */
bool can_be_packed(const struct model *model);
/* Packs the one that stands for all symmetric ones. `world` is renumbered. */
void world_pack(const struct model *model, struct world *world, struct packed *packed);
void world_unpack(const struct model *model, struct world *world, const struct packed *packed);
/* Only the values, as far as that is needed for them not to run out. */
void world_renumber(const struct model *model, struct world *world);

#endif
