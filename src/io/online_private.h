/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_ONLINE_PRIVATE_H
#define IO_ONLINE_PRIVATE_H

#include <signal.h>

#include "core/suspend_rules.h"
#include "io/dm_request.h"
#include "io/marker.h"
#include "io/online.h"
#include "io/watchdog.h"

/* What io/online*.c share. */

#define NS_PER_MS UINT64_C(1000000)

/* The mirror as requests and the watchdog get at it. */
struct online_device {
	int control;
	struct mapped_device is;
	struct dm_target target;	/* the table to resume into, as the kernel prints it */
	struct dm_target scratch;	/* too large for the stack of a child */
	struct run_file marker;
	bool loaded, suspended;		/* by us */
};

struct online_run {
	const struct online_round *round;
	struct online_outcome *outcome;
	struct online_device device;
	struct watchdog watchdog;
	int vg_lock;			/* -1: none */

	struct device *log;		/* for writing */
	struct block_engine *log_engine;	/* synchronous */
	unsigned char *areas;		/* the three below; mapped */
	unsigned char *current;		/* as last read at rest */
	unsigned char *edited;
	unsigned char *now;
	uint64_t area_bytes;
	struct bitmap proven;		/* regions that differ as they were saved */

	struct log_latency latency;
	uint64_t leg_read_ns, region_read_ns;
	uint64_t settle_ns, edit_ns;
	uint64_t limit_ns;		/* when the mirror has to run again */
	uint32_t cookie;		/* of udev; 0: none */
	bool event;			/* udev was told */
	int pause_at;			/* enum online_step, or -1 */
	unsigned int reached;		/* bits of enum online_step not yet told */
	sigset_t signals;		/* as they were */
	bool signals_blocked, memory_locked;
};

/* online.c */
uint64_t online_now_ns(void);
/* A step under the suspend is reached: told later. Stops where tests want it to. */
void online_reached(struct online_run *run, enum online_step step);
/* The whole area into `buffer`. 0, or -errno with an error. */
int online_log_read(struct online_run *run, void *buffer, struct error *err);

/* online_guard.c */
/* Memory locked, signals blocked. What a failed one did is undone by the other. */
int online_protect(struct online_run *run, struct error *err);
void online_unprotect(struct online_run *run);
int online_watchdog_start(struct online_run *run, struct error *err);
/* Takes our table out of the inactive slot, if it is there. Async-signal-safe. */
void online_unload(struct online_device *device);

/* online_check.c */
/* What holds now; `log` as just read. Allocates nothing. */
void online_facts(struct suspend_facts *facts, struct online_device *device,
		  struct opened_mirror *opened, const struct mirror_log *log);
/* Is the table in the inactive slot the one that we loaded? */
bool online_table_is_ours(struct online_device *device, enum dm_slot slot);

/* online_measure.c */
/* How long things take while the mirror runs, and what follows for the round. 0,
 * -EAGAIN (too slow now) or -errno, each with an error. */
int online_measure(struct online_run *run, struct error *err);

/* online_suspended.c: from the return of the suspend to right before the resume. */
int online_edit(struct online_run *run, struct error *err);

/* online_verify.c: after the resume. */
int online_verify(struct online_run *run, struct error *err);

#endif
