/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What LVM knows of mirrors: those that are not active, and more about those that are. */

#include "io/mirror_list_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_LENGTH 64u		/* of VG and LV together, as in a dm uuid */

/* One mirror segment of LVM's. */
struct candidate {
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;		/* as one would type it */
	const struct lvm_segment *segment;	/* of it */
	struct lvm_mirror layout;		/* zeroed where LVM's report does not tell */
	struct error err;			/* why */
	char ids[IDS_LENGTH + 1];		/* of the LV with the mirror; empty: none */
};

static bool is_mirror(const struct lvm_segment *segment)
{
	return !strcmp(segment->type, "mirror");
}

/* --- which of device-mapper's it is --------------------------------------------------- */

static bool ids_make(char ids[IDS_LENGTH + 1], const char *vg, const char *lv)
{
	size_t nr = 0;

	for (const char *part = vg; part; part = part == vg ? lv : NULL)
		for (const char *at = part; *at; at++)
			if (*at != '-' && nr < IDS_LENGTH)
				ids[nr++] = *at;
	ids[nr] = '\0';
	return nr == IDS_LENGTH;
}

/* "LVM-", the ids, and perhaps a layer's suffix. */
static bool has_ids(const char *uuid, const char *ids)
{
	return uuid && *ids && !strncmp(uuid, "LVM-", 4) && !strncmp(uuid + 4, ids, IDS_LENGTH);
}

static struct listed_mirror *active_of(struct gathering *gathering, size_t nr_active,
				       const struct candidate *candidate)
{
	for (size_t i = 0; i < nr_active; i++) {
		struct listed_mirror *listed = &gathering->mirrors[i];

		if (has_ids(listed->mirror.uuid, candidate->ids) &&
		    listed->mirror.start == candidate->segment->start)
			return listed;
	}
	return NULL;
}

static bool has_device(const struct gathering *gathering, const char *ids)
{
	for (size_t i = 0; i < gathering->nr_devices; i++)
		if (has_ids(gathering->devices[i].uuid, ids) && gathering->devices[i].has_table)
			return true;
	return false;
}

static enum listed_group group_of(const struct gathering *gathering, const struct lvm_vg *vg)
{
	const char *host = gathering->system_id;

	if (vg->name_twice)
		return LISTED_GROUP_TWICE;
	if (vg->exported)
		return LISTED_GROUP_EXPORTED;
	if (vg->clustered)
		return LISTED_GROUP_CLUSTERED;
	if (vg->shared)
		return LISTED_GROUP_SHARED;
	return *vg->system_id && host && strcmp(vg->system_id, host) ? LISTED_GROUP_FOREIGN :
								       LISTED_GROUP_PLAIN;
}

/* --- active: what only LVM knows ------------------------------------------------------ */

static void active_complete(const struct gathering *gathering, struct listed_mirror *listed,
			    const struct candidate *candidate)
{
	const struct lvm_mirror *layout = &candidate->layout;

	listed->group = group_of(gathering, candidate->vg);
	listed->nosync = candidate->lv->nosync || layout->nosync;
	listed->partial = candidate->lv->partial;
	for (unsigned int i = 0; i < layout->nr_legs; i++)
		listed->partial |= layout->legs[i].missing;
	for (unsigned int i = 0; layout->nr_legs == listed->mirror.nr_legs && i < layout->nr_legs; i++)
		listed->mirror.legs[i].missing = layout->legs[i].missing;
}

/* --- inactive ------------------------------------------------------------------------- */

static const char *without_dev(const char *path)
{
	return strncmp(path, "/dev/", 5) ? path : path + 5;
}

/* pvmove's legs are physical volumes. */
static const char *leg_name(const struct lvm_mirror *layout, unsigned int leg)
{
	const struct lvm_place *place = &layout->legs[leg];

	if (place->lv != layout->lv)
		return place->lv->name;
	return place->nr_extents ? without_dev(place->extents[0].stripes[0].pv->name) : "missing";
}

static int legs_name(struct listed_mirror *listed, const struct lvm_mirror *layout)
{
	listed->mirror.nr_legs = layout->nr_legs;
	for (unsigned int i = 0; i < layout->nr_legs; i++) {
		listed->leg_names[i] = strdup(leg_name(layout, i));
		if (!listed->leg_names[i])
			return -ENOMEM;
		listed->mirror.legs[i].missing = layout->legs[i].missing;
		listed->partial |= layout->legs[i].missing;
	}
	return 0;
}

/* The pieces of physical volumes that the log is read from. Paths are the report's. */
static int log_extents(struct found_mirror *found, const struct lvm_place *log)
{
	struct device_stripe *stripe;
	size_t nr = 0;

	for (size_t i = 0; i < log->nr_extents; i++)
		nr += log->extents[i].nr_stripes;
	found->extents = calloc(log->nr_extents, sizeof(*found->extents));
	found->stripes = stripe = calloc(nr, sizeof(*found->stripes));
	if (!found->extents || !found->stripes)
		return -ENOMEM;
	for (size_t i = 0; i < log->nr_extents; i++) {
		const struct lvm_extent *extent = &log->extents[i];

		found->extents[i] = (struct device_extent){
			.sectors = extent->sectors, .stripe_sectors = extent->stripe_sectors,
			.stripes = stripe, .nr_stripes = extent->nr_stripes,
		};
		for (unsigned int s = 0; s < extent->nr_stripes; s++)
			*stripe++ = (struct device_stripe){ extent->stripes[s].pv->name,
							    extent->stripes[s].sector };
	}
	found->nr_extents = (unsigned int)log->nr_extents;
	return 0;
}

/* "vg/home_mlog on /dev/sdc": for what goes wrong with the reading. */
static char *log_label(const struct lvm_vg *vg, const struct lvm_place *log)
{
	const char *pv = log->nr_extents ? log->extents[0].stripes[0].pv->name : "nothing";
	bool others = log->nr_extents > 1 || (log->nr_extents && log->extents[0].nr_stripes > 1);
	char *label;

	return asprintf(&label, "%s/%s on %s%s", vg->name, log->lv->name, pv,
			others ? " and others" : "") < 0 ? NULL : label;
}

static int log_place(struct listed_mirror *listed, struct found_mirror *found,
		     const struct lvm_mirror *layout)
{
	const struct lvm_place *log = &layout->log;

	if (layout->log_kind == MIRROR_LOG_CORE)
		return 0;
	listed->mirror.log_kind = MIRROR_LOG_DISK;
	listed->log_name = strdup(layout->lv->mirror_log);
	found->log_lv = log_label(layout->vg, log);
	if (!listed->log_name || !found->log_lv)
		return -ENOMEM;
	listed->mirror.log.missing = log->missing;
	if (log->missing)
		snprintf(listed->log_unread, sizeof(listed->log_unread),
			 "a physical volume under it is missing");
	return log->nr_extents ? log_extents(found, log) : 0;
}

static int layout_take(struct listed_mirror *listed, struct found_mirror *found,
		       const struct candidate *candidate)
{
	const struct lvm_mirror *layout = &candidate->layout;
	int r;

	region_geometry_init(&listed->mirror.geometry, layout->length, layout->region_size, NULL);
	listed->table_known = true;
	listed->nosync |= layout->nosync;
	if (layout->lv != candidate->lv)
		listed->kind = LISTED_CONVERTING;
	listed->log_kind = layout->log_kind == MIRROR_LOG_CORE ? LISTED_LOG_CORE :
			   layout->log_mirrored ? LISTED_LOG_MIRRORED : LISTED_LOG_DISK;
	r = legs_name(listed, layout);
	return r ? r : log_place(listed, found, layout);
}

/* A layout that cannot be followed: what its segment says all the same. */
static int segment_take(struct listed_mirror *listed, const struct candidate *candidate)
{
	const struct lvm_segment *segment = candidate->segment;

	for (size_t i = 0; i < segment->nr_areas && i < MIRROR_LEGS_MAX; i++) {
		listed->leg_names[i] = strdup(without_dev(segment->areas[i].name));
		if (!listed->leg_names[i])
			return -ENOMEM;
		listed->mirror.nr_legs++;
	}
	region_geometry_init(&listed->mirror.geometry, segment->sectors, segment->region_sectors,
			     NULL);
	listed->mirror.geometry.length = segment->sectors;
	listed->log_kind = candidate->lv->mirror_log ? LISTED_LOG_DISK : LISTED_LOG_CORE;
	if (candidate->lv->mirror_log) {
		listed->log_name = strdup(candidate->lv->mirror_log);
		if (!listed->log_name)
			return -ENOMEM;
	}
	snprintf(listed->layout_unread, sizeof(listed->layout_unread), "%.*s",
		 (int)sizeof(listed->layout_unread) - 1, candidate->err.text);
	return 0;
}

static int inactive_add(struct gathering *gathering, const struct candidate *candidate)
{
	struct found_mirror *found;
	struct listed_mirror *listed = gathering_add(gathering, &found);

	if (!listed)
		return -ENOMEM;
	if (asprintf(&listed->name, "%s/%s", candidate->vg->name, candidate->lv->name) < 0)
		listed->name = NULL;
	listed->vg = strdup(candidate->vg->name);
	listed->mirror.name = lvm_dm_name(candidate->vg->name, candidate->lv->name);
	if (asprintf(&listed->mirror.uuid, "LVM-%s", candidate->ids) < 0)
		listed->mirror.uuid = NULL;
	if (!listed->name || !listed->vg || !listed->mirror.name || !listed->mirror.uuid)
		return -ENOMEM;
	listed->group = group_of(gathering, candidate->vg);
	listed->kind = candidate->lv->move_pv ? LISTED_PVMOVE : LISTED_PLAIN;
	listed->segmented = candidate->lv->nr_segments > 1;
	listed->mirror.start = candidate->segment->start;
	listed->nosync = candidate->lv->nosync;
	listed->partial = candidate->lv->partial;
	/* Where device-mapper could not be asked LVM's word is all there is. */
	if (!gathering->mapper_asked && candidate->lv->active)
		listed->mirror.activity = MIRROR_ACTIVE;
	return candidate->layout.lv ? layout_take(listed, found, candidate) :
				      segment_take(listed, candidate);
}

/* --- all ------------------------------------------------------------------------------ */

static int candidate_add(struct gathering *gathering, size_t nr_active,
			 struct candidate *candidate)
{
	const struct lvm_lv *lv = candidate->lv;
	const uint64_t *start = lv->nr_segments > 1 ? &candidate->segment->start : NULL;
	struct listed_mirror *active;
	int r = 0;

	if (lvm_mirror_layout(&candidate->layout, candidate->vg, lv, start, &candidate->err) == -ENOMEM)
		return -ENOMEM;
	ids_make(candidate->ids, candidate->vg->uuid,
		 candidate->layout.lv ? candidate->layout.lv->uuid : lv->uuid);
	active = active_of(gathering, nr_active, candidate);
	if (active)
		active_complete(gathering, active, candidate);
	else if (!lv->move_pv || !has_device(gathering, candidate->ids))
		/* Of an active pvmove one segment at a time is a mirror. */
		r = inactive_add(gathering, candidate);
	lvm_mirror_free(&candidate->layout);
	return r;
}

/* Parts of a mirror are not listed but for themselves; pvmove's LV is hidden, too. */
int gathering_add_lvm(struct gathering *gathering)
{
	const struct lvm_report *report = &gathering->report;
	size_t nr_active = gathering->nr;
	int r = 0;

	for (size_t v = 0; v < report->nr_vgs; v++)
		for (size_t l = 0; l < report->vgs[v].nr_lvs; l++) {
			const struct lvm_lv *lv = &report->vgs[v].lvs[l];

			for (size_t s = 0; s < lv->nr_segments && !r; s++) {
				struct candidate candidate = {
					.vg = &report->vgs[v], .lv = lv,
					.segment = &lv->segments[s],
				};

				if (is_mirror(candidate.segment) && (!lv->hidden || lv->move_pv))
					r = candidate_add(gathering, nr_active, &candidate);
			}
		}
	return r;
}
