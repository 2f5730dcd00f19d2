/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_LVM_ORIGIN_H
#define IO_LVM_ORIGIN_H

#include "io/discover.h"
#include "io/lvm_hold.h"

/*
 * What LVM's metadata said of an inactive mirror when it was opened: kept with it, to be
 * compared, and for the names that its parts have.
 */
struct lvm_origin {
	struct lvm_report report;	/* owned; `mirror` points into it */
	struct lvm_mirror mirror;	/* owned */
	uint64_t seqno;			/* of the group, when last found unchanged */
	struct lvm_hold *hold;		/* owned; NULL: nothing is written */
};

/* Accepts NULL. */
void lvm_origin_free(struct lvm_origin *origin);

/* "LVM-" and the ids of group and LV: what its dm device is called when it is active.
 * Allocated; NULL when there is no memory. */
char *lvm_origin_uuid(const struct lvm_origin *origin, const struct lvm_lv *lv);

/* The same of a leg, or with MIRROR_LEGS_MAX of the log, as stable_name() has it of the
 * device. False: that has no name of its own (pvmove's legs are parts of PVs). */
bool lvm_origin_part_name(char *name, size_t room, const struct lvm_origin *origin,
			  unsigned int operand);

/* The physical volumes that a leg, or with MIRROR_LEGS_MAX the log, lies on, each once:
 * the `nr`-th from 0 on, or NULL. */
const char *lvm_origin_disk(const struct lvm_origin *origin, unsigned int operand, size_t nr);

/* How LVM is kept from it: "components", "vg_lock"; NULL: it is not. */
const char *lvm_origin_held(const struct lvm_origin *origin);

/* Is the dm device one that stands there for our own sake? Accepts NULL. */
bool lvm_origin_owns(const struct lvm_origin *origin, dev_t device);

/* Asks LVM: is the mirror what it was? Another number of the group is no change as long
 * as the mirror's own layout is the same. Only a sample that says MIRROR_UNCHANGED is
 * touched. Not `closely`: nothing is waited for, and LVM is asked only of what is held,
 * by a thread of its own. */
void lvm_origin_sample(struct lvm_origin *origin, bool closely, struct mirror_sample *sample);

#endif
