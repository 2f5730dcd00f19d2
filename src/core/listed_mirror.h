/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LISTED_MIRROR_H
#define CORE_LISTED_MIRROR_H

#include "core/finding.h"
#include "core/mirror.h"
#include "core/mirror_log.h"
#include "core/mirror_table.h"

/*
 * One of all the mirrors of a host, as far as it can be known without reading a leg: what
 * the kernel says, what the log says, and what is to be thought of both.
 */

/* --- more clean bits on disk than the kernel counts in sync? ------------------------- */

/* While a mirror is active clean is a subset of in sync (dm-region-hash.c sets the bit of
 * a recovered region on disk only after it was counted), so that more clean bits are
 * bogus ones, proven without reading a leg. One look is status, log, status, in this
 * order: the count only ever grows, unless somebody suspends and resumes the mirror or a
 * leg fails, and then the look proves nothing. */
struct sync_look {
	bool suspended;			/* before, or after */
	bool changed;			/* after it was another device, or table */
	bool status_known;		/* both */
	bool log_known;
	struct mirror_status before, after;
	uint64_t clean;			/* bits that the kernel would believe */
};

enum sync_verdict {
	SYNC_NOT_TESTED = 0,
	SYNC_AGREES,			/* which proves nothing */
	SYNC_BOGUS,
};

enum sync_verdict sync_look_judge(const struct sync_look *look);

/* Looks until one of them disagrees with the rest: only what is seen in this many is
 * bogus, since a resume between status and status is not always seen. */
#define SYNC_LOOKS 3u

/* --- one mirror ---------------------------------------------------------------------- */

/* What it is, beside a mirror that somebody made. */
enum listed_kind {
	LISTED_PLAIN,
	LISTED_UNDER_SNAPSHOT,	/* the layer below the origin of a thick snapshot */
	LISTED_CONVERTING,	/* the layer below a mirror that is given more legs */
	LISTED_PVMOVE,
	LISTED_LOG,		/* the mirror that is another one's log */
	LISTED_UPPER,		/* of LISTED_CONVERTING: copies to the new legs */
};

enum listed_log {
	LISTED_LOG_CORE,
	LISTED_LOG_DISK,
	LISTED_LOG_MIRRORED,	/* on disk, twice */
	LISTED_LOG_OTHER,	/* userspace, clustered: not to be read from here */
};

/* What else is to be known of the volume group. */
enum listed_group {
	LISTED_GROUP_PLAIN,	/* or none */
	LISTED_GROUP_EXPORTED,
	LISTED_GROUP_CLUSTERED,
	LISTED_GROUP_SHARED,	/* other hosts may use it at the same time */
	LISTED_GROUP_FOREIGN,	/* another host's, by its system ID */
	LISTED_GROUP_TWICE,	/* two groups have this name: only uuids tell them apart */
};

struct listed_mirror {
	/* Owned. */
	char *name;		/* as one would type it: "vg/home"; of a part, its owner's */
	char *vg;		/* its volume group; NULL: not LVM's */
	struct mirror mirror;	/* its name is the dm name, or where inactive VG/LV; places'
				 * devices are as the kernel's table, or LVM, has them */
	char *leg_names[MIRROR_LEGS_MAX];	/* for people: "home_mimage_0", "sdb1" */
	char *log_name;

	enum listed_kind kind;
	enum listed_log log_kind;
	enum listed_group group;
	size_t owner;		/* index of the mirror that this is a part of (LISTED_LOG,
				 * LISTED_UPPER); its own otherwise */
	bool segmented;		/* its device has several targets: mirror.start tells which */
	bool nosync;		/* LVM: declared in sync when it was made */
	bool partial;		/* LVM: a physical volume is missing */
	bool table_known;	/* else only name, activity and length */
	char table_unread[160];	/* why not; empty: a daemon's log, or inactive */
	char layout_unread[200];	/* why LVM's report does not tell where its parts are */
	bool log_known;
	struct mirror_log log;	/* without its bits */
	char log_unread[160];	/* why a log on disk was not read; empty: it was, or is core */
	enum sync_verdict verdict;
	bool abandoned;		/* suspended by a mirrorctl that is dead */
	char resume[192];	/* the line that resumes it, where suspended */
	uint64_t copied;	/* LISTED_CONVERTING: regions that the new legs have … */
	uint64_t to_copy;	/* … of so many; 0: not known */
};

void listed_mirror_free(struct listed_mirror *listed);

/* Is it a row of its own? */
bool listed_mirror_is_shown(const struct listed_mirror *listed);

/* Adds what is to be said about it. */
void listed_mirror_judge(struct finding_list *list, const struct listed_mirror *listed);

/* As finding_exit_status(), but a letter that is not 'A' and a leg that is missing count:
 * who lists mirrors asks for their health. */
int listed_exit_status(const struct finding_list *list);

/* Does the word name it: "vg", "vg/home", "/dev/vg/home", a dm name, a uuid? */
bool listed_mirror_is_called(const struct listed_mirror *listed, const char *word);

#endif
