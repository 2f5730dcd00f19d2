/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/region.h"

#include <inttypes.h>

/* The kernel's _check_region_size() and create_log_context(), in their order. */
static int region_geometry_check(uint64_t length, uint64_t region_size, struct error *err)
{
	if (length > REGION_LENGTH_MAX)
		return error_usage(err, "a length of %" PRIu64 " sectors is more than any block "
				   "device can have (%" PRIu64 "): check the length", length,
				   REGION_LENGTH_MAX);
	if (region_size < REGION_SIZE_MIN)
		return error_usage(err, "a region size of %" PRIu64 " sectors is below the smallest "
				   "possible, 2 sectors: take it from 'dmsetup table'", region_size);
	if (region_size > REGION_SIZE_MAX)
		return error_usage(err, "a region size of %" PRIu64 " sectors is above the largest "
				   "possible, 2147483648 sectors: take it from 'dmsetup table'",
				   region_size);
	if (region_size & (region_size - 1))
		return error_usage(err, "a region size of %" PRIu64 " sectors is not a power of two: "
				   "take it from 'dmsetup table'", region_size);
	if (region_size > length)
		return error_usage(err, "a region size of %" PRIu64 " sectors is larger than the "
				   "mirror's %" PRIu64 " sectors: check region size and length",
				   region_size, length);
	return 0;
}

int region_geometry_init(struct region_geometry *geometry, uint64_t length,
			 uint64_t region_size, struct error *err)
{
	uint64_t nr_regions;
	int ret;

	ret = region_geometry_check(length, region_size, err);
	if (ret)
		return ret;
	nr_regions = length / region_size + (length % region_size != 0);
	if (nr_regions > REGION_COUNT_MAX)
		return error_usage(err, "%" PRIu64 " sectors in regions of %" PRIu64 " are %" PRIu64
				   " regions, and no mirror has more than %" PRIu64 ": "
				   "check region size and length",
				   length, region_size, nr_regions, REGION_COUNT_MAX);
	geometry->length = length;
	geometry->region_size = region_size;
	geometry->nr_regions = nr_regions;
	return 0;
}

uint64_t region_start(const struct region_geometry *geometry, uint64_t region)
{
	return region * geometry->region_size;
}

uint64_t region_sectors(const struct region_geometry *geometry, uint64_t region)
{
	uint64_t left = geometry->length - region_start(geometry, region);

	return left < geometry->region_size ? left : geometry->region_size;
}

uint64_t region_run_sectors(const struct region_geometry *geometry, struct region_run run)
{
	return region_start(geometry, run.last) + region_sectors(geometry, run.last) -
	       region_start(geometry, run.first);
}

uint64_t region_of_sector(const struct region_geometry *geometry, uint64_t sector)
{
	return sector / geometry->region_size;
}
