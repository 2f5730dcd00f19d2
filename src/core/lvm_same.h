/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LVM_SAME_H
#define CORE_LVM_SAME_H

#include "core/lvm_layout.h"

/*
 * Is a mirror still the one that LVM's metadata described before? Told by uuids and
 * sectors: a new name, a tag, a snapshot or another LV of the group are no change.
 */

/* false: `why` says what has changed ("its log was taken from it"), to follow the mirror's
 * name. */
bool lvm_mirror_same(const struct lvm_mirror *then, const struct lvm_mirror *now, char *why,
		     size_t room);

#endif
