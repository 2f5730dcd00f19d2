/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_MIRROR_LIST_PRIVATE_H
#define IO_MIRROR_LIST_PRIVATE_H

#include "io/log_batch.h"
#include "io/lvm.h"
#include "io/mirror_list.h"

/* The two halves of mirror_list.c. */

/* What is needed to look at a listed mirror, beside what is told of it. All owned. */
struct found_mirror {
	dev_t number;			/* 0: inactive */
	uint64_t diskseq;
	char *params;			/* of the target in the live table */
	char *log_path;			/* NULL: none, or extents */
	struct device_extent *extents;	/* of the log of one that is inactive … */
	struct device_stripe *stripes;	/* … all of them, one after the other */
	unsigned int nr_extents;
	char *log_lv;			/* … and its name, with that of its PV */
	struct sync_look look;
	unsigned int looks;
	bool again;			/* more clean than in sync: to be looked at again */
};

struct gathering {
	struct listed_mirror *mirrors;
	struct found_mirror *found;	/* of the same index */
	size_t nr, room;
	struct mapped_device *devices;	/* all dm devices */
	size_t nr_devices;
	bool mapper_asked;		/* its answer is in */
	struct lvm_report report;	/* empty where LVM could not be asked */
	char *system_id;		/* owned; NULL: not known, or not needed */
	const struct list_request *request;
};

/* A new, zeroed pair; NULL without memory. Pointers to others are no longer good. */
struct listed_mirror *gathering_add(struct gathering *gathering, struct found_mirror **found);
void found_mirror_free(struct found_mirror *found);

/* The active mirrors. -ENODEV with an error: this kernel has no device-mapper. */
int gathering_add_active(struct gathering *gathering, struct error *err);
/* What `report` adds: after the active ones. -ENOMEM. */
int gathering_add_lvm(struct gathering *gathering);
/* Which are parts of others. -ENOMEM. */
int gathering_relate(struct gathering *gathering);
/* Status, logs, status again, as often as it takes. */
int gathering_look(struct gathering *gathering, struct error *err);

#endif
