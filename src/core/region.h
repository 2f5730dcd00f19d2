/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REGION_H
#define CORE_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

/*
 * Region geometry: a mirror of `length` sectors is cut into regions of
 * `region_size` sectors, counted from the start of the target
 * (dm-region-hash.c, rh->target_begin); the last one may be short. All
 * quantities are 512-byte sectors.
 */

#define SECTOR_BYTES 512u
#define REGION_SIZE_MIN 2u			/* _check_region_size() */
#define REGION_SIZE_MAX (UINT64_C(1) << 31)	/* u32 and a power of two */
#define REGION_COUNT_MAX UINT64_C(4294967295)	/* dm-log.c: N <= UINT_MAX */
/* No block device ends beyond 2^63-1 bytes (loff_t), so a length in bytes always
 * fits 64 bits. */
#define REGION_LENGTH_MAX ((UINT64_C(1) << 54) - 1)

struct region_geometry {
	uint64_t length;	/* sectors in the mirror */
	uint64_t region_size;	/* sectors, a power of two */
	uint64_t nr_regions;	/* ceil(length / region_size) */
};

/* A run of consecutive regions, both ends inclusive. */
struct region_run {
	uint64_t first;
	uint64_t last;
};

/* Fills `geometry` and checks it as the kernel's constructor would: the region
 * size is a power of two from 2 to 2^31 and not larger than the length, there
 * are at most 2^32-1 regions, and such a device can exist. -EINVAL with a usage
 * error otherwise; `geometry` is then as it was. */
int region_geometry_init(struct region_geometry *geometry, uint64_t length,
			 uint64_t region_size, struct error *err);

/* First sector of `region`, and the number of sectors it holds: region_size,
 * or less for the last one. `region` must be < nr_regions. */
uint64_t region_start(const struct region_geometry *geometry, uint64_t region);
uint64_t region_sectors(const struct region_geometry *geometry, uint64_t region);

/* Sectors in the run first..last (inclusive, short last region counted right). */
uint64_t region_run_sectors(const struct region_geometry *geometry,
			    struct region_run run);

/* The region that holds `sector` (< length). */
uint64_t region_of_sector(const struct region_geometry *geometry, uint64_t sector);

#endif
