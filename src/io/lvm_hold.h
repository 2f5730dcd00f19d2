/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_LVM_HOLD_H
#define IO_LVM_HOLD_H

#include "io/device.h"
#include "io/lvm.h"

/*
 * Keeps LVM from activating, converting, resizing or removing one inactive mirror while
 * it is written, and nothing else: its components are activated, read-only as LVM does it,
 * and every one is kept open to the end. Written is through linear maps of our own, made
 * from the components' live tables (uuid "MIRRORCTL-…").
 */

struct lvm_hold;

enum lvm_hold_flags {
	LVM_HOLD_VG_LOCK = 1,	/* where components cannot be activated: the group's lock for
				 * the whole run, which stops every command that writes to the
				 * group (--hold-vg-lock) */
};

/* 0, or -errno with an error: shared, exported, foreign or partial group, clustered; the LV
 * or a part of it is active; another mirrorctl holds it. The group's lock is taken for
 * seconds only, around reading, claiming and looking once more. On every error all is
 * taken down again. Freed with lvm_hold_release(), which accepts NULL. */
int lvm_hold_take(struct lvm_hold **hold, const struct lvm_mirror *mirror, unsigned int flags,
		  struct error *err);

/* The node to open for leg `leg`, or with LVM_HOLD_LOG for the log: writable maps of our
 * own. NULL: a core log. */
#define LVM_HOLD_LOG MIRROR_LEGS_MAX
const char *lvm_hold_path(const struct lvm_hold *hold, unsigned int leg);

/* Is the LV still what it was: the group's seqno and the LV's log? `lvchange --resync` is
 * not kept out by components that are held. false: `why` says what changed. It runs no lvm
 * command while the group is locked; asked once a second at most and remembered between. */
bool lvm_hold_unchanged(struct lvm_hold *hold, char *why, size_t room);

/* Maps removed, components closed and deactivated, in reverse. What could not be taken
 * down is told in `err` with the line that does it by hand. */
int lvm_hold_release(struct lvm_hold *hold, struct error *err);

/* What a killed run left, found by uuid prefix and by no live owner: taken down. *nr is how
 * many maps. */
int lvm_hold_clean_up(unsigned int *nr, struct error *err);

#endif
