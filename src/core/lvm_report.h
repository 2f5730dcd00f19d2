/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LVM_REPORT_H
#define CORE_LVM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/*
 * What LVM says of its volume groups: the JSON that `lvm fullreport` prints, bytes to
 * structs. It is input like any other: fields may be missing or of another version,
 * names may hold anything that LVM allows. Sizes are in sectors, extents are the volume
 * group's own.
 */

#define LVM_REPORT_BYTES_MAX (UINT64_C(512) << 20)

/* The arguments behind `lvm` that print such a report; NULL-terminated. One that is for
 * one volume group has its name added. Hidden LVs, foreign and shared groups are in it, and
 * what lvm.conf says of reports does not change it. */
extern const char *const lvm_report_arguments[];
/* Settings of lvm.conf, for --config, that make any report of lvm's look as it does by
 * default. */
extern const char lvm_report_settings[];

struct lvm_pv {
	char *name;		/* "/dev/sdb"; of a missing one what LVM prints instead, which
				 * is the same for all that are missing */
	char *uuid;
	uint64_t pe_start;	/* sectors: where its first extent begins */
	uint64_t sectors;	/* where its last extent ends, counted from the PV's start */
	bool missing;
	char *duplicate;	/* another device that has the same uuid, and is not read; NULL */
};

/* One area of a segment: `extents` of them from `extent` on, of a PV or of another LV. */
struct lvm_area {
	char *name;		/* of the PV, or of the LV without brackets */
	bool is_lv;
	uint64_t extent;
	uint64_t extents;
};

struct lvm_segment {
	char *type;		/* "linear", "striped", "mirror", … */
	uint64_t start;		/* sectors of the LV */
	uint64_t sectors;
	uint32_t stripe_sectors;	/* 0: one area only */
	uint64_t region_sectors;	/* of a mirror; else 0 */
	struct lvm_area *areas;	/* of "linear", "striped" and "mirror"; none of other types */
	size_t nr_areas;
};

struct lvm_lv {
	char *name;		/* without brackets */
	char *uuid;
	char *attr;		/* lv_attr, e.g. "mwi---m---" */
	char *mirror_log;	/* LV name or NULL */
	char *move_pv;		/* pvmove: from where; or NULL */
	uint64_t sectors;
	bool hidden;		/* printed in brackets, or with the role of a part */
	bool partial;		/* a PV under it is missing */
	bool active;
	bool converting;
	bool nosync;		/* a mirror that was made or extended without being made equal;
				 * lv_attr's 'M' does not show under a snapshot */
	struct lvm_segment *segments;	/* ascending; part of the group's array */
	size_t nr_segments;
};

struct lvm_vg {
	char *name;
	char *uuid;
	uint64_t extent_sectors;
	uint64_t seqno;
	char *system_id;	/* empty: none */
	char *lock_type;	/* "none", "sanlock", "dlm"; empty where not told */
	bool exported, partial, clustered, shared;
	bool name_twice;	/* another group of the report bears the name, too */
	struct lvm_pv *pvs;	/* by name */
	size_t nr_pvs;
	struct lvm_lv *lvs;	/* by name, hidden ones among them */
	size_t nr_lvs;
	struct lvm_segment *segments;	/* of all LVs */
	size_t nr_segments;
};

struct lvm_lv_place {
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;
};

struct lvm_report {
	struct lvm_vg *vgs;	/* by name */
	size_t nr_vgs;
	struct lvm_lv_place *by_uuid;	/* every LV, by its uuid */
	size_t nr_lvs;
	char *skipped;		/* a group that lvm does not report of; NULL */
};

/* 0, -EBADMSG with an error that says what is wrong with the report and what to do
 * (truncated, not JSON, a field that is needed is missing), or -ENOMEM. Published whole
 * or zeroed; freed with lvm_report_free(), which accepts a zeroed one. */
int lvm_report_parse(struct lvm_report *report, const char *text, size_t nr_bytes,
		     struct error *err);
void lvm_report_free(struct lvm_report *report);

/* What lvm said on stderr while it printed the report, and put into no field of it: copies
 * of physical volumes, groups that it skipped. 0 or -ENOMEM. */
int lvm_report_hear(struct lvm_report *report, const char *said);

/* By name; NULL: none. The first of groups with one name. */
const struct lvm_vg *lvm_report_vg(const struct lvm_report *report, const char *name);
const struct lvm_lv *lvm_vg_lv(const struct lvm_vg *vg, const char *name);
const struct lvm_pv *lvm_vg_pv(const struct lvm_vg *vg, const char *name);
/* By uuid, with LVM's dashes or without: of an LV alone (32 characters), or VG and LV
 * together (64, as in a dm uuid). NULL: none; *vg is its group. Copied disks may hold
 * the LV in several groups: NULL for its uuid alone then, and *vg is one of the groups (of
 * none it is NULL). */
const struct lvm_lv *lvm_report_lv_of_uuid(const struct lvm_report *report, const char *uuid,
					   const struct lvm_vg **vg);

#endif
