/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/device_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"

/*
 * A device that is put together from parts of files: each file is opened once, with
 * what its parts need in common, and then laid out.
 */

struct assembly {
	struct device *device;
	const struct device_extent *extents;
	unsigned int nr_extents;
	struct error *err;
};

static uint64_t stripe_length(const struct device_extent *extent)
{
	return extent->sectors / extent->nr_stripes;
}

static int refuse(const struct assembly *assembly, const char *what)
{
	return error_operation(assembly->err, EINVAL, "%s: its extents %s: the description of its "
			       "parts is wrong or out of date", assembly->device->name, what);
}

static int check_extent(const struct assembly *assembly, const struct device_extent *extent)
{
	uint64_t end;

	if (!extent->sectors || !extent->nr_stripes)
		return refuse(assembly, "are empty");
	if (extent->nr_stripes > 1 && !extent->stripe_sectors)
		return refuse(assembly, "have stripes of no size");
	if (extent->nr_stripes > 1 &&
	    (extent->sectors % extent->nr_stripes ||
	     stripe_length(extent) % extent->stripe_sectors))
		return refuse(assembly, "do not hold whole stripes");
	for (unsigned int i = 0; i < extent->nr_stripes; i++)
		if (__builtin_add_overflow(extent->stripes[i].sector, stripe_length(extent), &end) ||
		    end > UINT64_MAX / SECTOR_BYTES)
			return refuse(assembly, "are larger than any device");
	return 0;
}

static int check_extents(const struct assembly *assembly)
{
	uint64_t total = 0;
	int ret = assembly->nr_extents ? 0 : refuse(assembly, "are empty");

	for (unsigned int i = 0; i < assembly->nr_extents && !ret; i++) {
		ret = check_extent(assembly, &assembly->extents[i]);
		if (!ret && __builtin_add_overflow(total, assembly->extents[i].sectors, &total))
			ret = refuse(assembly, "are larger than any device");
	}
	return ret;
}

static struct block_file *file_of(const struct device *device, const char *path)
{
	for (unsigned int i = 0; i < device->nr_files; i++)
		if (!strcmp(device->files[i]->path, path))
			return device->files[i];
	return NULL;
}

/* What the parts on this file begin at, end at, and have in common: all their bits. */
static void common_bits(const struct assembly *assembly, const char *path, uint64_t *bits,
			uint64_t *end)
{
	*bits = *end = 0;
	for (unsigned int i = 0; i < assembly->nr_extents; i++) {
		const struct device_extent *extent = &assembly->extents[i];

		*bits |= extent->sectors;
		if (extent->nr_stripes > 1)
			*bits |= extent->stripe_sectors;
		for (unsigned int j = 0; j < extent->nr_stripes; j++) {
			uint64_t stop = extent->stripes[j].sector + stripe_length(extent);

			if (strcmp(extent->stripes[j].path, path))
				continue;
			*bits |= extent->stripes[j].sector;
			if (stop > *end)
				*end = stop;
		}
	}
}

/* Opened with the bits that all offsets have in common, so that what direct I/O needs is
 * asked of each of them. */
static int open_file(struct assembly *assembly, const char *path, unsigned int flags)
{
	struct device *device = assembly->device;
	struct block_file *file;
	uint64_t bits, end, offset;
	int ret;

	if (file_of(device, path))
		return 0;
	ret = device_add_file(device, path);
	if (ret)
		return ret;
	file = device->files[device->nr_files - 1];
	common_bits(assembly, path, &bits, &end);
	/* As long as all of it: then it is the whole file, from its start. */
	offset = bits & -bits;
	ret = device_open_file(device, file, offset < end ? offset : 0, flags, assembly->err);
	if (ret)
		return ret;
	if (end > file->bytes / SECTOR_BYTES)
		return error_operation(assembly->err, EINVAL, "%s: %s is too small for it (%llu "
				       "sectors, needed are %llu): is it the right disk?",
				       device->name, path,
				       (unsigned long long)(file->bytes / SECTOR_BYTES),
				       (unsigned long long)end);
	if (bits % (file->logical_bytes / SECTOR_BYTES))
		return refuse(assembly, "cannot be addressed with the sectors of the disk");
	return 0;
}

static int open_files(struct assembly *assembly, unsigned int flags)
{
	int ret = 0;

	for (unsigned int i = 0; i < assembly->nr_extents; i++)
		for (unsigned int j = 0; j < assembly->extents[i].nr_stripes && !ret; j++)
			ret = open_file(assembly, assembly->extents[i].stripes[j].path, flags);
	return ret;
}

static int lay_out_extent(struct device *device, struct block_extent *block,
			  const struct device_extent *extent)
{
	struct device_piece *pieces = reallocarray(device->pieces,
						   device->nr_pieces + extent->nr_stripes,
						   sizeof(*pieces));

	if (!pieces)
		return -ENOMEM;
	device->pieces = pieces;
	for (unsigned int i = 0; i < extent->nr_stripes; i++)
		pieces[device->nr_pieces++] = (struct device_piece){
			file_of(device, extent->stripes[i].path), extent->stripes[i].sector,
			stripe_length(extent),
		};
	block->first = device->block.sectors;
	block->sectors = extent->sectors;
	device->block.sectors += extent->sectors;
	if (extent->nr_stripes == 1) {
		block->file = file_of(device, extent->stripes[0].path);
		block->file_sector = extent->stripes[0].sector;
		return 0;
	}
	block->stripes = calloc(extent->nr_stripes, sizeof(*block->stripes));
	if (!block->stripes)
		return -ENOMEM;
	block->nr_stripes = extent->nr_stripes;
	block->stripe_sectors = extent->stripe_sectors;
	for (unsigned int i = 0; i < extent->nr_stripes; i++)
		block->stripes[i] = (struct block_stripe){
			extent->stripes[i].sector, file_of(device, extent->stripes[i].path),
		};
	return 0;
}

static int lay_out(struct assembly *assembly)
{
	struct device *device = assembly->device;
	struct block_device *block = &device->block;
	int ret = 0;

	block->name = device->name;
	block->extents = calloc(assembly->nr_extents, sizeof(*block->extents));
	if (!block->extents)
		return -ENOMEM;
	block->nr_extents = assembly->nr_extents;
	for (unsigned int i = 0; i < assembly->nr_extents && !ret; i++)
		ret = lay_out_extent(device, &block->extents[i], &assembly->extents[i]);
	block->block_sectors = 1;
	for (unsigned int i = 0; i < device->nr_files; i++)
		if (file_block_sectors(device->files[i]) > block->block_sectors)
			block->block_sectors = file_block_sectors(device->files[i]);
	if (!ret)
		device->offset = device->pieces[0].sector;
	return ret;
}

/* The largest block rules for all of them: where one part cannot be addressed so, e.g. an
 * extent on a 512-byte disk beside one with 4096. */
static int check_blocks(const struct assembly *assembly)
{
	const struct device *device = assembly->device;
	uint64_t bits = 0;

	for (unsigned int i = 0; i < assembly->nr_extents; i++) {
		bits |= assembly->extents[i].sectors;
		if (assembly->extents[i].nr_stripes > 1)
			bits |= assembly->extents[i].stripe_sectors;
	}
	return bits % device->block.block_sectors ?
	       refuse(assembly, "do not fit the sectors of all its disks") : 0;
}

int device_open_extents(struct device **opened, const char *role, const char *what,
			const struct device_extent *extents, unsigned int nr_extents,
			unsigned int flags, struct error *err)
{
	struct assembly assembly = {
		.device = device_alloc(role, what), .extents = extents,
		.nr_extents = nr_extents, .err = err,
	};
	int ret = assembly.device ? check_extents(&assembly) : -ENOMEM;

	*opened = NULL;
	if (!ret)
		ret = open_files(&assembly, flags);
	if (!ret)
		ret = lay_out(&assembly);
	if (!ret)
		ret = check_blocks(&assembly);
	if (ret == -ENOMEM)
		error_operation(err, ENOMEM, "cannot open %s (%s): out of memory: free some",
				role, what);
	if (ret) {
		device_close(assembly.device);
		return ret;
	}
	assembly.device->block.writable = flags & DEVICE_WRITE;
	*opened = assembly.device;
	return 0;
}
