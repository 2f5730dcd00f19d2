/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DISCOVER_H
#define IO_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mirror.h"
#include "io/device.h"

/*
 * From the words of a command line to a mirror whose legs and log are open.
 * Four roads (mirrorctl(8), THE MIRROR): explicit --leg/--log, a --table
 * line with --device mappings, the name of an active dm device, or that of a logical
 * volume that is not active.
 */

/* What will be done with it (claims: mirrorctl(8), SAFETY). */
enum mirror_access {
	MIRROR_READ,		/* nothing is written, nobody is kept out */
	MIRROR_REPAIR,		/* the log is written; it and the legs are held alone */
	MIRROR_WRITE,		/* legs and log are written, and held alone */
};

struct mirror_operand {
	const char *name;		/* MIRROR, or NULL */
	const char *const *legs;	/* --leg, in table order */
	size_t nr_legs;
	const char *log;		/* --log */
	const char *table;		/* --table: a line or a file's path */
	const char *const *device_maps;	/* --device MAJ:MIN=PATH[@OFFSET] */
	size_t nr_device_maps;
	const char *region_size;	/* as typed; NULL = not given */
	const char *length;
	const char *segment;		/* --segment START */
	bool inactive_only;		/* --inactive: refuse an active mirror */
	enum mirror_access access;	/* beyond MIRROR_READ an active mirror is refused,
					 * and so is one whose legs or log are in use; LVM is
					 * kept from an inactive logical volume */
	bool hold_vg_lock;	/* --hold-vg-lock: where that takes the group's lock */
	bool rehearsal;		/* MIRROR_READ, for a dry run: a note says why it could not be
				 * written */
};

#define MIRROR_NOTES_MAX 16u

struct opened_mirror {
	struct mirror mirror;
	struct device *legs[MIRROR_LEGS_MAX];	/* NULL where missing */
	struct device *log;			/* NULL: none given, or core log */
	bool log_only;		/* --log without legs: geometry is not known
				 * unless --length and --region-size were given;
				 * mirror.geometry.nr_regions is then 0 */
	enum mirror_access access;
	bool length_given;	/* by --length or a table, not by leg sizes */
	/* For the report, owned: "leg 0 (/dev/sdb) is mounted on /mnt: its contents
	 * may change during the audit". */
	char *notes[MIRROR_NOTES_MAX];
	unsigned int nr_notes;
	bool elsewhere;		/* inactive here, but another host may run it */
	struct mirror_watch *watch;	/* private: what mirror_sample() looks at */
	struct lvm_origin *lvm;	/* private: where LVM's metadata told of it; else NULL */
};

/* Discovers and opens; what a killed run left of keeping LVM from something is taken down
 * first by one that will write, and told by one that will not. `opened` is published whole or zeroed.
 * Usage errors (-EINVAL) and operational ones carry one line that names the
 * thing and the remedy. Closed with mirror_close(), which accepts a zeroed one. */
int mirror_discover(struct opened_mirror *opened, const struct mirror_operand *operand,
		    struct error *err);
void mirror_close(struct opened_mirror *opened);
/* The part of it that may fail: devices closed, LVM let in again. 0, or -errno with an
 * error that says what is left and how it goes away. mirror_close() does it too, silently. */
int mirror_release(struct opened_mirror *opened, struct error *err);

/* The doors of all its legs, which it goes on owning; NULL where one is missing, and
 * behind the last. */
void mirror_leg_devices(const struct opened_mirror *opened,
			struct block_device *legs[MIRROR_LEGS_MAX]);

/*
 * How the mirror stands now, compared with the moment it was opened. For a dm
 * device: table, uuid, suspended or not, status. For explicit legs, and those of an
 * inactive LV: dm tables live and inactive over the same sectors, the loop devices of
 * image files included; of a logical volume that is held what LVM says of it.
 */
enum mirror_change {
	MIRROR_UNCHANGED,
	MIRROR_CHANGED,		/* table reloaded, resumed, removed, became active */
	MIRROR_STATE_UNKNOWN,	/* could not be read */
};

struct mirror_sample {
	enum mirror_change change;
	enum mirror_activity activity;
	char reason[ERROR_TEXT_BYTES];	/* "the table was reloaded", "… became active as m" */
	bool status_known;
	uint64_t in_sync;
	char leg_health[MIRROR_LEGS_MAX];
	char log_health;
};

void mirror_sample(struct opened_mirror *opened, struct mirror_sample *sample);
/* The same before what was found counts: of an inactive logical volume LVM is asked too,
 * which may take a second. */
void mirror_sample_closely(struct opened_mirror *opened, struct mirror_sample *sample);

#endif
