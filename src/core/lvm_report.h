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
 * one volume group has its name added. */
extern const char *const lvm_report_arguments[];

struct lvm_pv {
	char *name;		/* "/dev/sdb"; of a missing one what LVM prints instead */
	char *uuid;
	uint64_t pe_start;	/* sectors: where its first extent begins */
	uint64_t sectors;
	bool missing;
};

/* One area of a segment: `extents` of them from `extent` on, of a PV or of another LV. */
struct lvm_area {
	char *name;		/* of the PV, or of the LV without brackets */
	bool is_lv;
	uint64_t extent;
};

struct lvm_segment {
	char *type;		/* "linear", "striped", "mirror", … */
	uint64_t start;		/* sectors of the LV */
	uint64_t sectors;
	uint32_t stripe_sectors;	/* 0: one area only */
	uint64_t region_sectors;	/* of a mirror; else 0 */
	struct lvm_area *areas;
	size_t nr_areas;
};

struct lvm_lv {
	char *name;		/* without brackets */
	char *uuid;
	char *attr;		/* lv_attr, e.g. "mwi---m---" */
	char *mirror_log;	/* LV name or NULL */
	char *move_pv;		/* pvmove: from where; or NULL */
	uint64_t sectors;
	bool hidden;		/* printed in brackets, or no VISIBLE role */
	bool partial;		/* a PV under it is missing */
	bool active;
	bool converting;
	struct lvm_segment *segments;	/* ascending */
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
	struct lvm_pv *pvs;
	size_t nr_pvs;
	struct lvm_lv *lvs;
	size_t nr_lvs;
};

struct lvm_report {
	struct lvm_vg *vgs;
	size_t nr_vgs;
};

/* 0, -EBADMSG with an error that says what is wrong with the report and what to do
 * (truncated, not JSON, a field that is needed is missing), or -ENOMEM. Published whole
 * or zeroed; freed with lvm_report_free(), which accepts a zeroed one. */
int lvm_report_parse(struct lvm_report *report, const char *text, size_t nr_bytes,
		     struct error *err);
void lvm_report_free(struct lvm_report *report);

/* By name; NULL: none. */
const struct lvm_vg *lvm_report_vg(const struct lvm_report *report, const char *name);
const struct lvm_lv *lvm_vg_lv(const struct lvm_vg *vg, const char *name);
const struct lvm_pv *lvm_vg_pv(const struct lvm_vg *vg, const char *name);
/* By uuid, with LVM's dashes or without: of an LV alone (32 characters), or VG and LV
 * together (64, as in a dm uuid). NULL: none; *vg is its group. */
const struct lvm_lv *lvm_report_lv_of_uuid(const struct lvm_report *report, const char *uuid,
					   const struct lvm_vg **vg);

#endif
