/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_MIRROR_H
#define CORE_MIRROR_H

#include "core/region.h"

/*
 * The one neutral description of a mirror between discovery (tables, options,
 * libdevmapper) and everything else. It owns its strings; mirror_free()
 * releases them and accepts a zeroed struct.
 */

#define MIRROR_LEGS_MIN 2u
#define MIRROR_LEGS_MAX 9u	/* dm-raid1.c, MAX_NR_MIRRORS */

enum mirror_activity {
	MIRROR_INACTIVE,	/* no dm device known: image files, explicit legs */
	MIRROR_ACTIVE,
	MIRROR_SUSPENDED,
};

enum mirror_log_kind {
	MIRROR_LOG_CORE,	/* bits in kernel memory only */
	MIRROR_LOG_DISK,
};

/* The table's [no]sync word: overrides the bits on disk at every resume
 * (dm-log.c, disk_resume). */
enum mirror_sync { MIRROR_SYNC_DEFAULT, MIRROR_SYNC_SYNC, MIRROR_SYNC_NOSYNC };

/* What is known of a property: explicit operands say nothing about some. */
enum known { KNOWN_NOT, KNOWN_NO, KNOWN_YES };

/* A place of the table line: a leg or the log. */
struct mirror_place {
	char *device;		/* "253:2" or a path as given; NULL if missing */
	uint64_t offset;	/* sectors */
	bool missing;		/* the leg is gone: unverifiable everywhere */
	char health;		/* status letter A F D S R U, 0 = not known */
};

struct mirror {
	char *name;		/* what messages call it */
	char *uuid;		/* dm uuid or NULL */
	uint64_t start;		/* first sector of the target in its dm device */
	struct region_geometry geometry;
	unsigned int nr_legs;
	struct mirror_place legs[MIRROR_LEGS_MAX];
	enum mirror_log_kind log_kind;
	struct mirror_place log;	/* unused for a core log */
	enum mirror_sync sync;
	enum known handle_errors;
	enum known keep_log;
	bool declared_in_sync;	/* LVM: made or extended without being made equal */
	enum mirror_activity activity;
	bool status_known;	/* in_sync below was read from a status line */
	uint64_t in_sync;	/* regions the kernel counts as in sync */
};

void mirror_free(struct mirror *mirror);

#endif
