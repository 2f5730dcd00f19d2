/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DISCOVER_PRIVATE_H
#define IO_DISCOVER_PRIVATE_H

#include "io/claims.h"
#include "io/discover.h"
#include "io/operand.h"

/*
 * What the roads to a mirror share: discover.c begins and ends them and takes the one of
 * explicit words, discover_mapped.c that of an active dm device, discover_lvm.c that of
 * LVM's metadata. All return 0 or -errno with an error; what they have opened by then is
 * the caller's to close.
 */

#define LOG_OPERAND MIRROR_LEGS_MAX	/* a claim's number of the log */

/* By the name of an active dm device. -ENXIO: none is called so; -ENODEV: this kernel has
 * no device-mapper. */
int discover_mapped(struct opened_mirror *opened, const struct mirror_operand *operand,
		    struct error *err);

/* By the name of an inactive LV. -ENXIO: the words mean no LV, or there is none. */
int discover_lvm(struct opened_mirror *opened, const struct mirror_operand *operand,
		 struct error *err);

/* How a leg, or with LOG_OPERAND the log, is opened for that. */
unsigned int discover_flags(enum mirror_access access, unsigned int operand);

/* Opens what is planned and takes the plan's mirror over. */
int discover_open(struct opened_mirror *opened, struct operand_plan *plan, struct error *err);
/* Are legs and log long enough, and all of them different? Sets the mirror's length where
 * it was not given. */
int discover_check_places(struct opened_mirror *opened, struct error *err);

int discover_ranges(struct claim_ranges *ranges, const struct opened_mirror *opened,
		    struct error *err);
/* Refuses, or notes, what uses legs and log. */
int discover_check_claims(struct opened_mirror *opened, const struct claims *claims,
			  struct error *err);
/* Both, and from now on new users are news. */
int discover_watch(struct opened_mirror *opened, struct error *err);

/* What does not fit any more is left out: notes are not needed for anything. */
int discover_note(struct opened_mirror *opened, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
