/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/lvm_same.h"

#include <stdio.h>
#include <string.h>

static const char log_taken[] = "had its log taken from it";

static bool text_same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* The group's own words, as far as they say who may write to it. */
static const char *group_change(const struct lvm_vg *then, const struct lvm_vg *now)
{
	if (!text_same(then->uuid, now->uuid))
		return "is in another volume group now";
	if (now->exported && !then->exported)
		return "belongs to a volume group that was exported meanwhile";
	if (!text_same(then->system_id, now->system_id))
		return "belongs to a volume group that was given to another host meanwhile";
	if (then->exported != now->exported || then->shared != now->shared ||
	    then->clustered != now->clustered || !text_same(then->lock_type, now->lock_type))
		return "belongs to a volume group whose locking has changed";
	return NULL;
}

static bool lv_same(const struct lvm_lv *then, const struct lvm_lv *now)
{
	return then == now || (then && now && text_same(then->uuid, now->uuid));
}

static bool extent_same(const struct lvm_extent *then, const struct lvm_extent *now)
{
	if (then->first != now->first || then->sectors != now->sectors ||
	    then->stripe_sectors != now->stripe_sectors || then->nr_stripes != now->nr_stripes)
		return false;
	for (unsigned int i = 0; i < then->nr_stripes; i++)
		if (then->stripes[i].sector != now->stripes[i].sector ||
		    !text_same(then->stripes[i].pv->uuid, now->stripes[i].pv->uuid))
			return false;
	return true;
}

/* A PV may go missing meanwhile: its sectors are the same, and what cannot be written
 * says so itself. The report cannot tell where they are then. */
static bool place_same(const struct lvm_place *then, const struct lvm_place *now)
{
	if (now->missing)
		return true;
	if (then->nr_extents != now->nr_extents)
		return false;
	for (size_t i = 0; i < then->nr_extents; i++)
		if (!extent_same(&then->extents[i], &now->extents[i]))
			return false;
	return true;
}

static const char *log_change(const struct lvm_mirror *then, const struct lvm_mirror *now)
{
	if (then->log_kind != now->log_kind)
		return now->log_kind == MIRROR_LOG_CORE ? log_taken : "was given a log";
	if (then->log_kind == MIRROR_LOG_CORE)
		return NULL;
	if (!lv_same(then->log.lv, now->log.lv) || then->log_mirrored != now->log_mirrored ||
	    then->nr_log_other != now->nr_log_other)
		return "was given another log";
	for (unsigned int i = 0; i < then->nr_log_other; i++)
		if (!lv_same(then->log_other[i].lv, now->log_other[i].lv) ||
		    !place_same(&then->log_other[i], &now->log_other[i]))
			return "was given another log";
	return place_same(&then->log, &now->log) ? NULL : "has its log on other sectors now";
}

static const char *shape_change(const struct lvm_mirror *then, const struct lvm_mirror *now)
{
	if (!lv_same(then->lv, now->lv) || !lv_same(then->visible, now->visible))
		return "is another logical volume now";
	if (then->start != now->start || then->length != now->length)
		return "has another size now";
	if (then->region_size != now->region_size)
		return "has another region size now";
	if (then->nr_legs != now->nr_legs)
		return "has another number of legs now";
	for (unsigned int leg = 0; leg < then->nr_legs; leg++)
		if (!lv_same(then->legs[leg].lv, now->legs[leg].lv))
			return "has other legs now, or in another order";
	return NULL;
}

bool lvm_mirror_same(const struct lvm_mirror *then, const struct lvm_mirror *now, char *why,
		     size_t room)
{
	const char *change = group_change(then->vg, now->vg);

	if (!change)
		change = shape_change(then, now);
	if (!change)
		change = log_change(then, now);
	if (change == log_taken)
		/* And it marks the LV as one whose activation is skipped, without a word. */
		snprintf(why, room, "had its log taken from it, as lvchange --resync does (by hand: "
			 "lvremove %s/%s; lvconvert --mirrorlog disk %s/%s; lvchange -kn %s/%s)",
			 now->vg->name, then->log.lv->name, now->vg->name, now->visible->name,
			 now->vg->name, now->visible->name);
	else if (change)
		snprintf(why, room, "%s", change);
	if (change)
		return false;
	for (unsigned int leg = 0; leg < then->nr_legs; leg++)
		if (!place_same(&then->legs[leg], &now->legs[leg])) {
			snprintf(why, room, "has leg %u on other sectors now", leg);
			return false;
		}
	return true;
}
