/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_LVM_HOLD_H
#define IO_LVM_HOLD_H

#include "io/device.h"
#include "io/lvm.h"

/*
 * Keeps LVM from activating, converting, resizing or removing one inactive mirror while
 * it is written, and nothing else: its components are activated, read-only as LVM does it,
 * and every one is kept open to the end. Written is through linear maps of our own, made
 * from the components' live tables (uuid "MIRRORCTL-LVM-…"). A locked file below
 * /run/mirrorctl says who does it; when nobody does any more, the next run takes down what
 * is left.
 */

struct lvm_hold;

enum lvm_hold_flags {
	LVM_HOLD_VG_LOCK = 1,	/* where components cannot be activated: the group's lock for
				 * the whole run, which stops every command that writes to the
				 * group (--hold-vg-lock) */
};

/* Whether lvm_hold_take() would refuse it by what the report says: 0, or -errno with its
 * error. Nothing is held. */
int lvm_hold_check(const struct lvm_mirror *mirror, unsigned int flags, struct error *err);

/* 0, or -errno with an error: shared, exported, foreign or partial group, clustered; a
 * conversion is going on; the LV or a part of it is active; another mirrorctl holds it.
 * `mirror` is what the report said some time ago: LVM is asked again when all is held. On
 * every error all is taken down again. Freed with lvm_hold_release(). */
int lvm_hold_take(struct lvm_hold **hold, const struct lvm_mirror *mirror, unsigned int flags,
		  struct error *err);

/* The node to open for leg `leg`, or with LVM_HOLD_LOG for the log: writable, and alone
 * (O_EXCL). NULL: a core log; or device-mapper is not there and the group's lock is held:
 * then the sectors of the physical volumes are to be written. */
#define LVM_HOLD_LOG MIRROR_LEGS_MAX
const char *lvm_hold_path(const struct lvm_hold *hold, unsigned int leg);

/* Is this dm device a component or a map of the hold, and so no stranger on its sectors? */
bool lvm_hold_owns(const struct lvm_hold *hold, dev_t device);

/* For the report: what everybody else notices of it; NULL: nothing worth telling. */
const char *lvm_hold_note(const struct lvm_hold *hold);

/* The line that takes it down without mirrorctl. Allocated; NULL without memory. */
char *lvm_hold_by_hand(const struct lvm_hold *hold);

/* Is the LV still what it was? `lvchange --resync` and vgexport are not kept out by
 * components that are held. false: `why` says what changed, or that LVM could not be asked
 * for a minute. What is answered was true some seconds ago: a thread asks LVM, and only as
 * often as that costs a tenth of the time; it is waited for when its last answer is too
 * old. No lock is waited for as long as nothing in the group changes. */
bool lvm_hold_unchanged(struct lvm_hold *hold, char *why, size_t room);
/* The same, asked now: for the moments before the first and after the last write. */
bool lvm_hold_unchanged_now(struct lvm_hold *hold, char *why, size_t room);

/* Maps removed, components closed and deactivated, in reverse; what was opened by path
 * must be closed before. Accepts NULL. What could not be taken down is told in `err` with
 * the line that does it by hand; `hold` is freed all the same. */
int lvm_hold_release(struct lvm_hold *hold, struct error *err);

/* What a killed run left and no live one owns: taken down. *nr (may be NULL): of how many
 * mirrors. Does nothing where there is nothing, or where we may not. */
int lvm_hold_clean_up(unsigned int *nr, struct error *err);

/* For commands that only read: one sentence that says what is left of killed runs and how
 * it goes away; NULL: nothing. Allocated. */
char *lvm_hold_leftovers(void);

/* For the tests: in place of /run/mirrorctl. NULL: that again. */
void lvm_hold_run_in(const char *directory);

#endif
