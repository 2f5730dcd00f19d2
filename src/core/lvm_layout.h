/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LVM_LAYOUT_H
#define CORE_LVM_LAYOUT_H

#include "core/lvm_report.h"
#include "core/mirror.h"

/*
 * From LVM's report to a mirror: which LV holds the mirror segment, and on which sectors
 * of which physical volumes its legs and its log lie. Pure; nothing is opened.
 */

/* Sectors of a leg or log on PVs. */
struct lvm_stripe {
	const struct lvm_pv *pv;	/* of the report */
	uint64_t sector;		/* on the PV */
};

struct lvm_extent {
	uint64_t first;			/* sector of the LV */
	uint64_t sectors;
	uint32_t stripe_sectors;	/* 0: linear, one stripe */
	unsigned int nr_stripes;
	struct lvm_stripe *stripes;	/* owned */
};

struct lvm_place {
	const struct lvm_lv *lv;	/* of the report: "home_mimage_0"; of pvmove's legs, which
					 * are pieces of PVs, the mirror itself */
	bool missing;			/* a PV under it is missing */
	struct lvm_extent *extents;	/* owned; ascending, no gap; none where missing */
	size_t nr_extents;
};

struct lvm_mirror {
	const struct lvm_vg *vg;
	const struct lvm_lv *visible;	/* what the user named */
	const struct lvm_lv *lv;	/* the one with the mirror segment: the same, or a layer
					 * below it (_mimagetmp_, where a leg is being added: the
					 * log is the layer's, the new leg is not among these) */
	uint64_t start;			/* of the segment in lv, sectors */
	uint64_t length;
	uint64_t region_size;		/* sectors */
	unsigned int nr_legs;
	struct lvm_place legs[MIRROR_LEGS_MAX];
	enum mirror_log_kind log_kind;
	bool log_mirrored;		/* the log is a mirror with a core log itself: `log`
					 * is then its leg 0, log_other its others */
	struct lvm_place log;
	struct lvm_place log_other[MIRROR_LEGS_MAX - 1];
	unsigned int nr_log_other;
	bool nosync;			/* made or extended without being made equal */
	bool pvmove;			/* what pvmove moves with: no LV is a leg, so that none can
					 * be activated or held */
};

/* `segment` (NULL: the only one) is the start of the mirror segment in sectors. 0;
 * -EINVAL with a usage error: no mirror (says what it is instead and what to do), several
 * segments; -EOPNOTSUPP with an error: an image that is itself RAID, cache, thin … by
 * name; -EBADMSG: the report contradicts itself; -ENOMEM. Published whole or zeroed; it
 * points into the report. Freed with lvm_mirror_free(), which accepts a zeroed one. */
int lvm_mirror_layout(struct lvm_mirror *mirror, const struct lvm_vg *vg,
		      const struct lvm_lv *lv, const uint64_t *segment, struct error *err);
void lvm_mirror_free(struct lvm_mirror *mirror);

/* Why nobody but LVM may write to a mirror of this group: shared, exported, foreign,
 * clustered, partial. 0, or -EOPNOTSUPP with an error. `host_system_id` may be NULL. */
int lvm_vg_check_writable(const struct lvm_vg *vg, const char *host_system_id,
			  struct error *err);

#endif
