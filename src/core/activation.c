/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/activation.h"

#include <string.h>

/* Sectors of the regions that are clean, the short last one counted right. */
static uint64_t clean_sectors(const struct region_geometry *geometry,
			      const struct mirror_log *log)
{
	uint64_t last = geometry->nr_regions - 1;
	uint64_t sectors = log->clean * geometry->region_size;

	if (last < log->clean_bits.nr_bits && bitmap_test(&log->clean_bits, last))
		sectors -= geometry->region_size - region_sectors(geometry, last);
	return sectors;
}

static void predict_from_disk(struct activation *activation, const struct mirror *mirror,
			      const struct mirror_log *log)
{
	const struct region_geometry *geometry = &mirror->geometry;

	activation->log_fails = log->defects & LOG_VERSION_UNKNOWN;
	activation->every_resume = activation->log_fails;
	activation->clean = log->clean;
	activation->recovered = geometry->nr_regions - log->clean;
	activation->recovered_sectors = geometry->length - clean_sectors(geometry, log);
}

void activation_predict(struct activation *activation, const struct mirror *mirror,
			const struct mirror_log *log)
{
	const struct region_geometry *geometry = &mirror->geometry;

	memset(activation, 0, sizeof(*activation));
	activation->loads = !(log->defects & LOG_TOO_SMALL);
	activation->panics = log->defects & LOG_PANICS_KERNEL;
	switch (mirror->sync) {
	case MIRROR_SYNC_DEFAULT:
		predict_from_disk(activation, mirror, log);
		break;
	case MIRROR_SYNC_SYNC:
		activation->every_resume = true;
		activation->recovered = geometry->nr_regions;
		activation->recovered_sectors = geometry->length;
		break;
	case MIRROR_SYNC_NOSYNC:
		activation->every_resume = true;
		activation->clean = geometry->nr_regions;
		activation->trusted_without_bit = geometry->nr_regions - log->clean;
		break;
	}
}
