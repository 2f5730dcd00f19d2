/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DM_REQUEST_H
#define IO_DM_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

/*
 * The few requests that change a dm device, straight to the control node. Unlike a
 * task of libdevmapper none of them allocates memory, opens a file, makes a node or
 * counts suspended devices, so that they are fit for the time of a suspend and for a
 * forked child (all are async-signal-safe but the first). They return 0 or -errno;
 * -ENXIO: no such device.
 */

/* A descriptor of the control node, or -errno with an error. */
int dm_control_open(struct error *err);

struct dm_device_state {
	bool suspended;
	bool live_table;
	bool inactive_table;
	bool read_only;
	uint32_t event_nr;
	char uuid[130];
};

int dm_state(int control, dev_t device, struct dm_device_state *state);

#define DM_PARAMS_MAX 4096u

struct dm_target {
	uint64_t start, length;
	char type[16];
	char params[DM_PARAMS_MAX];
};

enum dm_slot { DM_LIVE_TABLE, DM_INACTIVE_TABLE, DM_LIVE_STATUS };

/* The first target of the slot, and how many there are (0: *target is zeroed).
 * -E2BIG: its parameters are longer than DM_PARAMS_MAX. */
int dm_target_read(int control, dev_t device, enum dm_slot slot, struct dm_target *target,
		   size_t *nr_targets);

/* A table of this one target into the inactive slot. An identical live table is no
 * reason for the kernel to skip it. */
int dm_load(int control, dev_t device, const struct dm_target *target, bool read_only);
int dm_clear(int control, dev_t device);

/* Without flushing held I/O and without freezing a file system above: whoever calls
 * may depend on that file system. Not to be interrupted: the `mirror` target does not
 * undo a suspend that a signal has ended half-way (it has no presuspend_undo), and
 * the next one then waits for ever (dm-region-hash.c, dm_rh_stop_recovery). So: all
 * signals blocked, in a process that nobody kills. */
int dm_suspend(int control, dev_t device);

/* Swaps in the inactive table if there is one. `cookie` (0: none) goes to udev with
 * the event, if *event says that there was one. `event` may be NULL. */
int dm_resume(int control, dev_t device, uint32_t cookie, bool *event);

#endif
