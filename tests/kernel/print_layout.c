/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints where the legs and the logs of every visible mirror of LVM lie, as dmsetup table
 * does: "lv_mimage_0: 0 16384 linear 98:0 2048".
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "io/lvm.h"

static void print_place(const struct lvm_place *place)
{
	if (place->missing)
		printf("%s: missing\n", place->lv->name);
	for (size_t i = 0; i < place->nr_extents; i++) {
		const struct lvm_extent *extent = &place->extents[i];

		printf("%s: %" PRIu64 " %" PRIu64, place->lv->name, extent->first, extent->sectors);
		if (extent->stripe_sectors)
			printf(" striped %u %" PRIu32, extent->nr_stripes, extent->stripe_sectors);
		else
			printf(" linear");
		for (unsigned int j = 0; j < extent->nr_stripes; j++) {
			struct stat status = { .st_rdev = 0 };

			stat(extent->stripes[j].pv->name, &status);
			printf(" %u:%u %" PRIu64, major(status.st_rdev), minor(status.st_rdev),
			       extent->stripes[j].sector);
		}
		printf("\n");
	}
}

static int print_lv(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	struct error err = { .kind = ERROR_NONE };
	struct lvm_mirror mirror;

	if (lvm_mirror_layout(&mirror, vg, lv, NULL, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (unsigned int i = 0; i < mirror.nr_legs; i++)
		print_place(&mirror.legs[i]);
	if (mirror.log_kind == MIRROR_LOG_DISK)
		print_place(&mirror.log);
	for (unsigned int i = 0; i < mirror.nr_log_other; i++)
		print_place(&mirror.log_other[i]);
	lvm_mirror_free(&mirror);
	return 0;
}

int main(void)
{
	struct error err = { .kind = ERROR_NONE };
	struct lvm_report report;
	int status = 0;

	if (lvm_report_read(&report, NULL, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (size_t i = 0; i < report.nr_vgs; i++)
		for (size_t j = 0; j < report.vgs[i].nr_lvs; j++)
			if (!report.vgs[i].lvs[j].hidden)
				status |= print_lv(&report.vgs[i], &report.vgs[i].lvs[j]);
	lvm_report_free(&report);
	return status;
}
