/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_WATCHDOG_H
#define IO_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

/*
 * A child that makes sure that a suspended device runs again, whatever becomes of
 * this process: killed (its end of the socket is closed), stopped or hanging (the
 * time is over). It also carries out the suspend, because a process that is killed
 * meanwhile would leave a mirror that can never be suspended again (io/dm_request.h),
 * and this one is out of the way of most killers: own session, all signals blocked,
 * memory locked, not for the OOM killer.
 *
 * Never may the log be written by a process that wakes up after the watchdog has
 * resumed. So both agree by one word in shared memory, moved by compare and swap
 * only:
 *
 *   IDLE -> SUSPENDING -> OPEN <-> WRITING		the log is being written
 *                         OPEN  -> RESUMING -> DONE	the process resumes itself
 *                         OPEN  -> TAKEN		the watchdog resumes
 *
 * At its deadline the watchdog takes over from OPEN. From WRITING and RESUMING it
 * cannot: it waits a little longer, then kills the process, waits until that is gone
 * (and its I/O with it: it is synchronous) and only then resumes.
 */

/* The device, as the watchdog gets at it. Called in the child, so async-signal-safe
 * all of it. */
struct watchdog_device {
	void *context;
	int (*suspend)(void *context);
	/* Not suspended: 0. Suspended by us still: 1. Other -errno: unknown. `resuming`:
	 * the process died while it was resuming, and somebody else may have suspended
	 * the device again. */
	int (*suspended)(void *context, bool resuming);
	int (*resume)(void *context);
	void (*clear)(void *context);	/* takes our table out of the inactive slot */
	void (*unmark)(void *context);	/* nothing is suspended (any more) */
};

struct watchdog_plan {
	struct watchdog_device device;
	unsigned int max_suspend_ms;	/* from the return of the suspend … */
	unsigned int margin_ms;		/* … to OPEN being taken over, and again to a kill */
	bool lock_memory;
	const int *keep;		/* descriptors that `device` needs */
	unsigned int nr_keep;
};

struct watchdog {
	pid_t pid;
	int socket;
	struct watchdog_shared *shared;
};

/* 0, or -errno with an error and nothing started. */
int watchdog_start(struct watchdog *watchdog, const struct watchdog_plan *plan,
		   struct error *err);

/* Has it suspend the device. 0; or what the suspend said; or -EPIPE: the watchdog is
 * gone, and whether the device is suspended has to be asked. Times are of
 * CLOCK_MONOTONIC. */
int watchdog_suspend(struct watchdog *watchdog, uint64_t *began_ns, uint64_t *ended_ns);

/* May the log be written now? false: the watchdog took over, or is gone. */
bool watchdog_write_begin(struct watchdog *watchdog);
void watchdog_write_end(struct watchdog *watchdog);
/* May this process resume? false: the watchdog took over. It is asked even when the
 * watchdog is gone: then it is true. */
bool watchdog_resume_begin(struct watchdog *watchdog);
void watchdog_resume_end(struct watchdog *watchdog);

bool watchdog_is_alive(struct watchdog *watchdog);

/* Tells it to go and waits for its end. true: it had resumed the device by itself (or
 * does so now, if we did not), at *resumed_ns, which may be NULL. Accepts one that was
 * never started, or stopped already. */
bool watchdog_stop(struct watchdog *watchdog, uint64_t *resumed_ns);

#endif
