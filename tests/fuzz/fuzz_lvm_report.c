/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report of lvm from hostile text, then the layout of every LV in it: what is accepted
 * is in order, finds what it holds, and never points outside a physical volume.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/lvm_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Extents follow each other, each stripe is as long as the others and on its PV. */
static uint64_t check_place(const struct lvm_place *place)
{
	uint64_t end = 0;

	require(place->lv && (!place->missing || !place->nr_extents));
	for (size_t i = 0; i < place->nr_extents; i++) {
		const struct lvm_extent *extent = &place->extents[i];

		require(extent->first == end && extent->sectors && extent->nr_stripes);
		require((extent->nr_stripes > 1) == (extent->stripe_sectors != 0));
		require(extent->sectors % extent->nr_stripes == 0);
		end += extent->sectors;
		for (unsigned int j = 0; j < extent->nr_stripes; j++) {
			const struct lvm_stripe *stripe = &extent->stripes[j];

			require(!stripe->pv->missing);
			require(stripe->sector >= stripe->pv->pe_start);
			require(stripe->sector + extent->sectors / extent->nr_stripes <=
				stripe->pv->sectors);
		}
	}
	return end;
}

static void check_mirror(const struct lvm_mirror *mirror)
{
	struct region_geometry geometry;

	require(!region_geometry_init(&geometry, mirror->length, mirror->region_size, NULL));
	require(mirror->nr_legs >= MIRROR_LEGS_MIN && mirror->nr_legs <= MIRROR_LEGS_MAX);
	for (unsigned int i = 0; i < mirror->nr_legs; i++)
		require(check_place(&mirror->legs[i]) == mirror->length || mirror->legs[i].missing);
	require(mirror->log_mirrored == (mirror->nr_log_other > 0));
	if (mirror->log_kind == MIRROR_LOG_CORE)
		return;
	require(check_place(&mirror->log) || mirror->log.missing);
	for (unsigned int i = 0; i < mirror->nr_log_other; i++)
		require(check_place(&mirror->log_other[i]) || mirror->log_other[i].missing);
}

static void check_layout(const struct lvm_vg *vg, const struct lvm_lv *lv, const uint64_t *start)
{
	struct error err = { .kind = ERROR_NONE };
	struct lvm_mirror mirror;
	int r = lvm_mirror_layout(&mirror, vg, lv, start, &err);

	if (!r)
		check_mirror(&mirror);
	else
		require(err.kind == (r == -EINVAL ? ERROR_USAGE : ERROR_OPERATION) && *err.text);
	lvm_mirror_free(&mirror);
}

static void check_group(const struct lvm_report *report, const struct lvm_vg *vg)
{
	const struct lvm_vg *found;

	require(!strcmp(lvm_report_vg(report, vg->name)->name, vg->name) && vg->extent_sectors);
	lvm_vg_check_writable(vg, "here", NULL);
	for (const struct lvm_lv *lv = vg->lvs; lv < vg->lvs + vg->nr_lvs; lv++) {
		require(lvm_vg_lv(vg, lv->name) == lv);
		require(lv == vg->lvs || strcmp(lv[-1].name, lv->name) < 0);
		lvm_report_lv_of_uuid(report, lv->uuid, &found);
		check_layout(vg, lv, NULL);
		for (size_t i = 0; i < lv->nr_segments && i < 4; i++)
			check_layout(vg, lv, &lv->segments[i].start);
	}
	for (size_t i = 0; i < vg->nr_pvs; i++)
		require(lvm_vg_pv(vg, vg->pvs[i].name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { .kind = ERROR_NONE };
	struct lvm_report report;
	char *text = malloc(size ? size : 1);	/* no NUL: a read behind the end is seen */
	char *said = strndup((const char *)data, size);

	if (!text || !said)
		goto out;
	if (size)
		memcpy(text, data, size);
	if (lvm_report_parse(&report, text, size, &err))
		require(err.kind == ERROR_OPERATION && !report.nr_vgs && !report.vgs);
	for (size_t i = 0; i < report.nr_vgs; i++)
		check_group(&report, &report.vgs[i]);
	require(!lvm_report_hear(&report, said));
	lvm_report_free(&report);
out:
	free(said);
	free(text);
	return 0;
}
