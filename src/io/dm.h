/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DM_H
#define IO_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

/*
 * What device-mapper says of its devices. Only questions are asked (VERSION,
 * LIST, INFO, TABLE, STATUS): nothing here can make or change a device.
 * libdevmapper's own messages never reach stderr; they become part of the error.
 */

struct mapped_device {
	dev_t number;
	char name[128];
	char uuid[130];		/* empty: none */
	bool suspended;
	bool read_only;
	bool has_table;
	bool has_inactive_table;	/* loaded, waits for a resume */
	uint32_t event_nr;
	uint64_t diskseq;	/* as mapped_diskseq(), where it was asked for */
};

struct mapped_target {
	uint64_t start;
	uint64_t length;
	char *type;
	char *params;
};

struct mapped_table {
	struct mapped_target *targets;
	size_t nr_targets;
};

enum mapped_slot {
	MAPPED_TABLE,			/* the live table */
	MAPPED_TABLE_INACTIVE,		/* the one that the next resume swaps in */
	MAPPED_STATUS,			/* status of the live table's targets */
};

/* Can device-mapper be asked? 0; -ENODEV: this kernel has none, so no dm device
 * exists; other -errno: it is there and does not answer us (permission). */
int mapper_probe(struct error *err);

/* Closes the control node, which would stay open into every child process. The
 * next question opens it again. */
void mapper_release(void);

/* Never used twice in one boot; 0: there is no such device, or a kernel before 5.15. */
uint64_t mapped_diskseq(dev_t number);

/* All dm devices, without their diskseq. `devices` is allocated, freed with free(). */
int mapped_device_list(struct mapped_device **devices, size_t *nr_devices,
		       struct error *err);

/* One device by number, with its diskseq. -ENXIO when there is none. */
int mapped_device_read(struct mapped_device *device, dev_t number, struct error *err);

/* A device's table or status; an empty slot gives no targets. -ENXIO when the
 * device is gone. Freed with mapped_table_free(), which accepts a zeroed one. */
int mapped_table_read(struct mapped_table *table, dev_t number, enum mapped_slot slot,
		      struct error *err);
/* The same, and out of the same answer the device, without its diskseq. */
int mapped_table_read_of(struct mapped_device *device, struct mapped_table *table, dev_t number,
			 enum mapped_slot slot, struct error *err);
void mapped_table_free(struct mapped_table *table);

/* The table as `dmsetup table` prints it, for comparing; allocated, NULL when
 * there is no memory. */
char *mapped_table_text(const struct mapped_table *table);

/* The target that begins at `start`, or NULL. */
const struct mapped_target *mapped_table_at(const struct mapped_table *table,
					    uint64_t start);

/* The first `mirror` target at or behind `target` index `from`, or NULL. */
const struct mapped_target *mapped_table_mirror(const struct mapped_table *table,
						size_t from);

/* "253:4" in a table's words: true and `number`, with nothing after it. */
bool device_number_parse(dev_t *number, const char *word);

#endif
