/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DEVICE_H
#define IO_DEVICE_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/block.h"

/*
 * Opening legs and logs: image files, block devices, parts of either. A
 * `struct device` is a block_device with the files under it.
 *
 * Block devices are read with O_DIRECT only (the kernel's own
 * mirror I/O bypasses the page cache, so buffered reads are stale). Regular
 * files are read with O_DIRECT where the file system allows it and alignment
 * permits; parts of a regular file that the page cache holds completely are
 * taken from there (the cache is the file's own contents and faster).
 */

struct block_file {
	char *path;
	int direct_fd;		/* -1: direct I/O not possible here */
	int cached_fd;		/* -1 for block devices */
	bool regular;
	dev_t dev;		/* of a block device: its number; else of its fs */
	ino_t ino;		/* regular files */
	uint64_t bytes;
	uint32_t logical_bytes;		/* logical block size (512 for files) */
	uint32_t physical_bytes;
	uint32_t direct_align_bytes;	/* of offsets and lengths, for direct_fd */
	bool holes_known;	/* SEEK_HOLE works and we hold the lock */
	void *residency;	/* mapping used only for mincore(), or NULL */
	const char *why_not_direct;	/* a sentence, where direct_fd is -1 */
	uint64_t from_cache_bytes;	/* statistics: read from the page cache */
};

enum device_open_flags {
	DEVICE_READ = 0,	/* O_RDONLY; regular files: shared flock + OFD lock */
	DEVICE_WRITE = 1,	/* O_RDWR and alone: O_EXCL; regular files: both locks,
				 * exclusive, and not behind a loop device or swap */
	DEVICE_HOLD = 2,	/* O_RDONLY, alone all the same: nobody shall write what a
				 * log is judged by */
	DEVICE_HELD = 4,	/* added to the others: somebody holds it for us (we, under
				 * another offset; the suspended mirror): no O_EXCL, no lock */
};

/* Sectors of a device that lie on a file in one piece. */
struct device_piece {
	struct block_file *file;
	uint64_t sector;		/* of the file */
	uint64_t sectors;
};

struct device {
	struct block_device block;
	struct block_file *file;	/* the first of `files` */
	struct block_file **files;	/* owned, each once; nearly always one */
	unsigned int nr_files;
	struct device_piece *pieces;	/* owned: all of the device, in no order where it is
					 * striped */
	unsigned int nr_pieces;
	char *name;			/* owned: "leg 0 (/dev/sdb)" */
	uint64_t offset;		/* sectors into the file; of the first piece */
};

/* Opens `path` from `offset` sectors on; `role` ("leg 0", "log") and the path
 * make up the name in messages. Errors name the thing and the remedy: does not
 * exist, is a directory, permission, offset beyond the end, an offset that the
 * device's sectors cannot address, locked by another process. Freed with
 * device_close(), which accepts NULL. */
int device_open(struct device **device, const char *role, const char *path,
		uint64_t offset, unsigned int flags, struct error *err);
void device_close(struct device *device);

/* Parts of files that make up one device: an LV on physical volumes. */
struct device_stripe {
	const char *path;
	uint64_t sector;		/* of the file */
};

struct device_extent {
	uint64_t sectors;
	uint32_t stripe_sectors;	/* 0: one stripe, not striped */
	const struct device_stripe *stripes;
	unsigned int nr_stripes;
};

/* The extents follow each other without a gap; several may lie on one file, which is
 * opened once. `what` is the thing's name in messages ("vg/home_mimage_0"). As
 * device_open() otherwise, with what does not fit together as -EINVAL: extents beyond
 * the end of a file, sectors that cannot be addressed. */
int device_open_extents(struct device **device, const char *role, const char *what,
			const struct device_extent *extents, unsigned int nr_extents,
			unsigned int flags, struct error *err);

/* True when all reads of this device use direct I/O; false: `why` gets a sentence
 * for the report ("tmpfs does not allow direct I/O", …). */
bool device_is_direct(const struct device *device, const char **why);

/* Is the regular file or block device with this status one of the device's files? */
struct stat;
bool device_has_file(const struct device *device, const struct stat *status);

/* For the engines: the descriptor that carries out a transfer of `bytes` bytes
 * at `offset_bytes`, and whether it goes through the page cache. */
int block_file_fd(const struct block_file *file, enum block_op op,
		  uint64_t offset_bytes, size_t bytes, bool *cached);
/* Implements block_engine_ops.next_data for open files. */
int block_file_next_data(struct block_engine *engine, struct block_file *file,
			 uint64_t offset_bytes, uint64_t *start, uint64_t *end);

/*
 * Do two devices share sectors? Looked at by device number and inode, not by
 * path: the same block device or file under two names, a partition and its
 * disk, a loop device and its backing file. `length_a/b` limit the part looked
 * at (sectors from the device's offset).
 */
bool device_overlap(const struct device *a, uint64_t length_a,
		    const struct device *b, uint64_t length_b);

/* Is the regular file with this inode behind a loop device? *number is then the
 * loop device's. */
bool file_backs_loop(dev_t dev, ino_t ino, unsigned int *number);

/* Node of a block device number: "/dev/dm-0" for 253:0, from sysfs, checked by
 * stat. -ENODEV when this host has no such device. `path` is allocated. */
int device_path_of_number(char **path, dev_t dev);

#endif
