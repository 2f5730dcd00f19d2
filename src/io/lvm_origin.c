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

/* --- is it what it was? ------------------------------------------------------------------ */

/* The mirror in a new report, or NULL with what became of it. */
static bool layout_again(struct lvm_mirror *now, const struct lvm_report *report,
			 const struct lvm_mirror *then, char *why, size_t room)
{
	const struct lvm_vg *vg;
	const struct lvm_lv *lv = lvm_report_lv_of_uuid(report, then->visible->uuid, &vg);
	struct error err = { 0 };

	memset(now, 0, sizeof(*now));
	if (!lv)
		snprintf(why, room, "is not there any more");
	else if (lv->active)
		snprintf(why, room, "became active");
	else if (lvm_mirror_layout(now, vg, lv, &then->start, &err))
		snprintf(why, room, "is another thing now: %.150s", err.text);
	else
		return true;
	return false;
}

static void compare_reports(struct lvm_origin *origin, uint64_t seqno,
			    struct mirror_sample *sample)
{
	const struct lvm_mirror *then = &origin->mirror;
	struct error err = { 0 };
	struct lvm_report report;
	struct lvm_mirror now;
	char why[192];

	if (lvm_report_read(&report, NULL, &err)) {
		sample->change = MIRROR_STATE_UNKNOWN;
		snprintf(sample->reason, sizeof(sample->reason), "%.250s", err.text);
		return;
	}
	if (layout_again(&now, &report, then, why, sizeof(why)) &&
	    lvm_mirror_same(then, &now, why, sizeof(why))) {
		origin->seqno = seqno;
	} else {
		sample->change = MIRROR_CHANGED;
		snprintf(sample->reason, sizeof(sample->reason), "%.30s/%.30s %s", then->vg->name,
			 then->visible->name, why);
	}
	lvm_mirror_free(&now);
	lvm_report_free(&report);
}

void lvm_origin_sample(struct lvm_origin *origin, struct mirror_sample *sample)
{
	struct error err = { 0 };
	uint64_t seqno;

	if (sample->change != MIRROR_UNCHANGED)
		return;
	if (lvm_vg_seqno(&seqno, origin->mirror.vg->uuid, &err)) {
		sample->change = MIRROR_STATE_UNKNOWN;
		snprintf(sample->reason, sizeof(sample->reason), "%.250s", err.text);
	} else if (seqno != origin->seqno) {
		compare_reports(origin, seqno, sample);
	}
}
