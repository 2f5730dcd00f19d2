/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/lvm_origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/lvm_same.h"

void lvm_origin_free(struct lvm_origin *origin)
{
	if (!origin)
		return;
	lvm_hold_release(origin->hold, NULL);
	lvm_mirror_free(&origin->mirror);
	lvm_report_free(&origin->report);
	free(origin);
}

/* --- names ---------------------------------------------------------------------------- */

static char *without_hyphens(char *out, const char *uuid)
{
	for (; *uuid; uuid++)
		if (*uuid != '-')
			*out++ = *uuid;
	*out = '\0';
	return out;
}

char *lvm_origin_uuid(const struct lvm_origin *origin, const struct lvm_lv *lv)
{
	const char *vg_uuid = origin->mirror.vg->uuid;
	char *uuid = malloc(sizeof("LVM-") + strlen(vg_uuid) + strlen(lv->uuid));

	if (uuid) {
		strcpy(uuid, "LVM-");
		without_hyphens(without_hyphens(uuid + 4, vg_uuid), lv->uuid);
	}
	return uuid;
}

/* A log that is a mirror has a device of its own, whichever of its legs is read. */
static const struct lvm_lv *lv_of_part(const struct lvm_mirror *mirror, unsigned int operand)
{
	if (operand < MIRROR_LEGS_MAX)
		return mirror->pvmove ? NULL : mirror->legs[operand].lv;
	return mirror->lv->mirror_log ? lvm_vg_lv(mirror->vg, mirror->lv->mirror_log) : NULL;
}

bool lvm_origin_part_name(char *name, size_t room, const struct lvm_origin *origin,
			  unsigned int operand)
{
	const struct lvm_lv *lv = lv_of_part(&origin->mirror, operand);
	char *uuid = lv ? lvm_origin_uuid(origin, lv) : NULL;
	bool fits;

	if (!uuid)
		return false;
	fits = (size_t)snprintf(name, room, "dm:%s", uuid) < room;
	free(uuid);
	return fits;
}

/* --- disks ----------------------------------------------------------------------------- */

/* Stripes in the order of the metadata; false: there are not so many. */
static bool stripe_at(const struct lvm_place *place, size_t at, const char **disk)
{
	for (size_t i = 0; i < place->nr_extents; i++) {
		const struct lvm_extent *extent = &place->extents[i];

		if (at < extent->nr_stripes) {
			*disk = extent->stripes[at].pv->name;
			return true;
		}
		at -= extent->nr_stripes;
	}
	return false;
}

static bool is_first(const struct lvm_place *place, size_t at, const char *disk)
{
	const char *earlier;

	for (size_t i = 0; i < at; i++)
		if (stripe_at(place, i, &earlier) && !strcmp(earlier, disk))
			return false;
	return true;
}

const char *lvm_origin_disk(const struct lvm_origin *origin, unsigned int operand, size_t nr)
{
	const struct lvm_place *place = operand < MIRROR_LEGS_MAX ?
					&origin->mirror.legs[operand] : &origin->mirror.log;
	const char *disk;

	for (size_t at = 0; stripe_at(place, at, &disk); at++)
		if (is_first(place, at, disk) && !nr--)
			return disk;
	return NULL;
}

/* --- held --------------------------------------------------------------------------------- */

const char *lvm_origin_held(const struct lvm_origin *origin)
{
	if (!origin || !origin->hold)
		return NULL;
	return lvm_hold_note(origin->hold) ? "vg_lock" : "components";
}

bool lvm_origin_owns(const struct lvm_origin *origin, dev_t device)
{
	return origin && origin->hold && lvm_hold_owns(origin->hold, device);
}

/* --- is it what it was? ------------------------------------------------------------------ */

/* The mirror in a new report, or NULL with what became of it. */
static bool layout_again(struct lvm_mirror *now, const struct lvm_report *report, const char *id,
			 const struct lvm_mirror *then, char *why, size_t room)
{
	const struct lvm_vg *vg;
	const struct lvm_lv *lv = lvm_report_lv_of_uuid(report, id, &vg);
	struct error err = { 0 };

	memset(now, 0, sizeof(*now));
	if (!lv)
		snprintf(why, room, "is not there any more");
	else if (lv->active)
		snprintf(why, room, "became active");
	else if (lvm_mirror_layout(now, vg, lv, &then->start, &err))
		snprintf(why, room, "is another thing now: %.450s", err.text);
	else
		return true;
	return false;
}

/* `vg_name`: as it is now. */
static void compare_reports(struct lvm_origin *origin, uint64_t seqno, const char *vg_name,
			    struct mirror_sample *sample)
{
	const struct lvm_mirror *then = &origin->mirror;
	char *uuid = lvm_origin_uuid(origin, then->visible);
	struct error err = { 0 };
	struct lvm_report report;
	struct lvm_mirror now;
	char why[512];

	if (!uuid || lvm_report_read(&report, then->vg->name_twice ? NULL : vg_name, &err)) {
		sample->change = MIRROR_STATE_UNKNOWN;
		snprintf(sample->reason, sizeof(sample->reason), "%s", uuid ? err.text :
			 "there is not enough memory to look at it");
		free(uuid);
		return;
	}
	if (layout_again(&now, &report, uuid + strlen("LVM-"), then, why, sizeof(why)) &&
	    lvm_mirror_same(then, &now, why, sizeof(why))) {
		origin->seqno = seqno;
	} else {
		sample->change = MIRROR_CHANGED;
		snprintf(sample->reason, sizeof(sample->reason), "%.127s/%.127s %s",
			 then->vg->name, then->visible->name, why);
	}
	lvm_mirror_free(&now);
	lvm_report_free(&report);
	free(uuid);
}

static void sample_held(struct lvm_origin *origin, bool closely, struct mirror_sample *sample)
{
	const struct lvm_mirror *mirror = &origin->mirror;
	char why[512];

	if (closely ? lvm_hold_unchanged_now(origin->hold, why, sizeof(why)) :
		      lvm_hold_unchanged(origin->hold, why, sizeof(why)))
		return;
	sample->change = MIRROR_CHANGED;
	snprintf(sample->reason, sizeof(sample->reason), "%.127s/%.127s %s", mirror->vg->name,
		 mirror->visible->name, why);
}

static void sample_metadata(struct lvm_origin *origin, struct mirror_sample *sample)
{
	struct error err = { 0 };
	char vg_name[LVM_NAME_ROOM];
	uint64_t seqno;

	if (lvm_vg_seqno(&seqno, vg_name, origin->mirror.vg->uuid, &err)) {
		sample->change = MIRROR_STATE_UNKNOWN;
		snprintf(sample->reason, sizeof(sample->reason), "%s", err.text);
	} else if (seqno != origin->seqno) {
		compare_reports(origin, seqno, vg_name, sample);
	}
}

void lvm_origin_sample(struct lvm_origin *origin, bool closely, struct mirror_sample *sample)
{
	const struct lvm_cancel *before;

	if (sample->change != MIRROR_UNCHANGED || (!origin->hold && !closely))
		return;
	if (origin->hold) {
		sample_held(origin, closely, sample);
		return;
	}
	/* What was found before the end was asked for counts, if nothing has changed. */
	before = lvm_cancel_by(&lvm_cancel_late);
	sample_metadata(origin, sample);
	lvm_cancel_by(before);
}
