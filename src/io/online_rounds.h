/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_ONLINE_ROUNDS_H
#define IO_ONLINE_ROUNDS_H

#include "io/online.h"
#include "io/repair_files.h"

/*
 * Repairing a mirror that runs: rounds of look, write down, suspend, clear, resume, each
 * followed until the kernel has copied what was cleared. A round that is put off (legs
 * too slow for a suspend now, the regions just being written) is tried again, for a
 * while.
 */

struct online_hooks {
	void *context;
	/* Does the user want to stop? Not heard between suspend and resume. */
	bool (*stop_wanted)(void *context);
	/* Right before the suspend: how to resume it if everybody dies. */
	void (*suspending)(void *context, const char *remedy);
	/* After the resume: `bits` were cleared; or, unless `done`, any of them may be.
	 * `journal` is the path of what was written down of them. */
	void (*cleared)(void *context, uint64_t bits, bool done, const char *journal);
	/* A round failed after its suspend; this is how the mirror runs now. */
	void (*failed)(void *context, const struct mirror_sample *now);
	/* Several times a second while the kernel copies, which began with `first`
	 * regions in sync; at the end once with `now` NULL. */
	void (*copying)(void *context, uint64_t first, const struct mirror_sample *now);
};

struct online_repair {
	struct opened_mirror *opened;
	struct block_engine *engine;
	const char *identity;		/* JSON text for the journals */
	const char *directory;		/* the state directory */
	const char *saved;		/* file for what differs, of the first round (of a later
					 * one: repair_files_create()), or NULL */
	unsigned int max_suspend_ms;
	const char *run_directory;	/* for the marker; /run/mirrorctl */
	struct online_hooks hooks;	/* all there */
};

struct online_rounds {
	struct bitmap cleared;		/* owned */
	uint64_t nr_cleared;
	unsigned int nr;		/* suspends */
	uint64_t suspended_ns;		/* of the longest round: suspend to resume */
	uint64_t suspend_call_ns;	/* … of which the kernel's own wait */
	bool in_sync;			/* followed until everything was recovered; else the
					 * kernel gave up, or nobody waited */
	char *journal;			/* owned: of the last round that may have cleared
					 * something, or NULL */
	struct repair_recorded recorded;	/* of all such rounds */
	struct mirror_sample last;	/* how it ran at the end, if status_known */
	bool hung;			/* a device holds requests: free nothing */
};

/* Clears the bits of `lies`, regions that an audit suspects; those whose legs have become
 * equal meanwhile are taken out of it. 0: all that can be proven is cleared, or the
 * kernel gave up copying. -ECANCELED with an error: the user does not wait for the
 * copying. Other -errno with an error; whatever it is, *rounds says what was cleared
 * before, and the device runs or the error says how to resume it. Freed with
 * online_rounds_free(), which accepts a zeroed one and leaves a hung one alone. */
int online_rounds_run(struct online_rounds *rounds, const struct online_repair *repair,
		      struct bitmap *lies, struct error *err);
void online_rounds_free(struct online_rounds *rounds);

#endif
