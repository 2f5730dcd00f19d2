/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_IDENTIFY_H
#define IO_IDENTIFY_H

#include "core/block.h"
#include "core/identity.h"
#include "io/discover.h"
#include "io/stable_name.h"

/*
 * Whose mirror this is (core/identity.h), gathered from the host. The names are those
 * of stable_name(), with "@OFFSET" in sectors where a leg or the log does not begin at
 * the start of its device. Three kinds:
 *
 *   dm      an active mirror; its id is the dm uuid, or without one "name:" and the dm
 *           name, provided that all legs and the log have stable names. ("@START" is
 *           added for a target that is not the device's first.) An inactive logical
 *           volume has the id and the names that it has when it is active.
 *   block   explicit legs and log that all have stable names, no two the same
 *   weak    anything else, image files above all
 *
 * A weak identity is made of contents: SHA-256 of the log's first sector without what
 * the kernel changes there at a resume (version, nr_regions), and of the first and the
 * last 64 KiB of every leg, within the mirror's length. So a copy is still the same
 * mirror; but the mirror is another one as soon as these parts of a leg are written,
 * which happens soon where it is active or has been (a file system's superblock): an
 * audit of yesterday does not fit it any more, and it has to be audited again. That
 * errs to the safe side. Names do not change with contents.
 */

/* 0 or -errno with an error; *identity is then as it was. A leg that is missing or
 * cannot be read is left empty, an unreadable log too. -ECANCELED: the user does not
 * want to wait for a device; -ETIMEDOUT: a device still holds a request: free neither
 * engine nor devices. The engine's first buffer is used, and nothing may be in flight. */
int mirror_identify(struct identity *identity, struct opened_mirror *opened,
		    struct block_engine *engine, struct error *err);

/* The identity as JSON with, beside it, where the mirror was found ("places": only
 * shown, and tried again by `mirrorctl undo JOURNAL` without words; never compared):
 * absolute paths of legs and log, for an active mirror such as survive a reboot, with
 * region size and length. Allocated; 0 or -errno. */
int mirror_identity_json(char **json, const struct identity *identity,
			 const struct opened_mirror *opened);

/* From such text, the words that name the mirror again, as --leg, --log, --region-size
 * and --length, or a logical volume by its uuid: an operand whose strings are owned by `places`, which must stay where
 * it is. -ENODATA with an error when there are none, -EBADMSG when they are damaged.
 * Freed with identity_places_free(), which accepts a zeroed one. */
struct identity_places {
	struct mirror_operand operand;
	void *json;		/* private */
	const char *legs[MIRROR_LEGS_MAX];
	char region_size[24], length[24];
	char lv[72], segment[24];
	const char *name;	/* what messages called it; shown, not part of the operand */
};
int identity_places_parse(struct identity_places *places, const char *json, struct error *err);
void identity_places_free(struct identity_places *places);

/* For the tests: mirror_identify() on a host that looks different. */
int mirror_identify_on(const struct host_roots *roots, struct identity *identity,
		       struct opened_mirror *opened, struct block_engine *engine,
		       struct error *err);

#endif
