/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_SUSPEND_RULES_H
#define CORE_SUSPEND_RULES_H

#include <stddef.h>

#include "core/mirror.h"
#include "core/mirror_log.h"

/*
 * When a running mirror may be suspended for its log to be edited, and what table it
 * is resumed into. At a resume the kernel throws its own knowledge away and believes
 * the table and the disk (dm-log.c, disk_resume), so both must be worth it.
 */

/* What was just read, of the device and of its log. */
struct suspend_facts {
	const char *name;		/* of the mirror, for the sentences */
	bool gone;			/* no such active device (any more) */
	bool replaced;			/* not the device, or the table, that was opened */
	size_t nr_targets;
	bool log_on_disk;
	bool inactive_table;		/* something waits for a resume */
	bool suspended;
	bool status_known;
	unsigned int nr_legs;
	char leg_health[MIRROR_LEGS_MAX];
	char log_health;
	uint64_t nr_regions, in_sync;
	struct mirror_log_header header;
	bool log_too_small;
	uint64_t clean;			/* bits of the log that the kernel would believe */
	/* Asked again when these are our own doing. */
	bool loaded_by_us;		/* a table has to be in the slot … */
	bool inactive_is_ours;		/* … and this one */
	bool suspended_by_us;		/* it has to be suspended */
};

enum suspend_condition {	/* in the order in which they are looked at */
	SUSPEND_ALLOWED = 0,
	SUSPEND_GONE,
	SUSPEND_REPLACED,
	SUSPEND_SEVERAL_TARGETS,
	SUSPEND_CORE_LOG,
	SUSPEND_STATE,			/* suspended, or under ours: resumed */
	SUSPEND_INACTIVE_TABLE,		/* there is one, or under ours: it is another */
	SUSPEND_STATUS,			/* cannot be read */
	SUSPEND_LEG,			/* a leg's letter is not 'A' */
	SUSPEND_LOG,			/* the log's is not */
	SUSPEND_LOG_SIZE,
	SUSPEND_LOG_HEADER,
	SUSPEND_LOG_REGIONS,
	SUSPEND_LOG_OPTIMISTIC,		/* more clean bits than regions in sync */
	SUSPEND_RECOVERY,		/* not all regions are in sync */
};

/* The first condition that fails. `log` facts count from SUSPEND_LOG_SIZE on. */
enum suspend_condition suspend_refusal(const struct suspend_facts *facts);
/* 0, or -EPERM with one line: which condition failed on which thing, and what to do. */
int suspend_check(const struct suspend_facts *facts, struct error *err);

/* The parameters of a mirror target with a disk log, as the kernel prints them, less
 * the words `sync` and `nosync`, which override the disk at every resume. 0; -EINVAL
 * when they are not such parameters; -ENOSPC: does not fit. */
int mirror_params_without_sync(char *out, size_t room, const char *params);

/* How long a log must stay unchanged under a suspend before it is edited. The worker
 * of the old table may write it once more after the suspend has returned: it flushes
 * the legs, then writes the whole area (dm-log.c, disk_flush). All in ns. */
struct log_latency {
	uint64_t read;			/* the whole area */
	uint64_t write;			/* what the device's own statistics say; 0: unknown */
	uint64_t log_flush;
	uint64_t leg_flush;		/* of the slowest leg */
};

uint64_t log_settle_ns(const struct log_latency *latency);

#endif
