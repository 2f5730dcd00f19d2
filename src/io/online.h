/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_ONLINE_H
#define IO_ONLINE_H

#include "core/journal.h"
#include "core/mirror_log.h"
#include "io/discover.h"

/*
 * Clearing clean bits of a mirror that runs: suspend, edit, resume
 * (mirrorctl(8), REPAIRING A RUNNING MIRROR). A suspend is never free: at resume the
 * kernel believes the table and the disk, so everything is checked before it and
 * again under it, and whatever happens the device is resumed, into the table that
 * was loaded before.
 */

/* What must hold before anything is suspended. 0; -EPERM with an error that names the
 * first condition that failed, and what to do. Asks the kernel anew each time. `log`
 * is as just read from the disk. */
int online_check(struct opened_mirror *opened, const struct mirror_log *log, struct error *err);

enum online_step {		/* in this order; also where the tests kill it */
	ONLINE_BEGIN,
	ONLINE_WATCHDOG,
	ONLINE_TABLE_LOADED,
	ONLINE_MARKED,
	ONLINE_SUSPENDED,
	ONLINE_SETTLED,
	ONLINE_COMPARED,
	ONLINE_WRITTEN,
	ONLINE_READ_BACK,
	ONLINE_RESUMED,
	ONLINE_UNMARKED,
	ONLINE_DONE,
};

/* One round. Everything that it needs is there before: nothing is opened, allocated
 * or written but the log while the device is suspended. */
struct online_round {
	struct opened_mirror *opened;
	struct block_engine *engine;
	const struct bitmap *wanted;	/* suspected regions of this round */
	/* What the journal holds of them, ascending, all of `wanted`: only a region
	 * whose legs still hold exactly that, and differ, is cleared. */
	const struct journal_region *digests;
	size_t nr_digests;
	unsigned int max_suspend_ms;
	const char *run_directory;	/* for the marker; /run/mirrorctl */
	/* Told of each step outside the suspend (and, after the resume, of those in
	 * it): for progress. May be NULL. */
	void (*step)(void *context, enum online_step step);
	void *context;
};

struct online_outcome {
	struct bitmap cleared;		/* owned: really cleared */
	uint64_t changed_regions;	/* differed from what was saved: another round */
	uint64_t left_regions;		/* did not fit into the time: another round */
	uint64_t suspend_call_ns;	/* the kernel's own wait */
	uint64_t suspended_ns;		/* start of suspend to return of resume */
	uint64_t first_in_sync;		/* status right after the resume */
	uint64_t clean_after;		/* clean bits of the edited log */
	bool resumed_by_watchdog;
	bool hung;			/* a device holds requests: free nothing */
};

/* 0, or -errno with an error. Whatever is returned: the device is running again, or
 * the error says how to resume it; outcome->cleared says what was cleared. Freed with
 * online_outcome_free(), which accepts a zeroed one. */
int online_round_run(struct online_outcome *outcome, const struct online_round *round,
		     struct error *err);
void online_outcome_free(struct online_outcome *outcome);

#endif
