/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/region.h"

/* A partition of a loop device on a file …: deep enough for anything real. */
#define STACK_DEPTH_MAX 16

/* --- numbers, sysfs ------------------------------------------------------ */

/* Reads /sys/dev/block/MAJ:MIN/<attribute> without the newline. */
static int sysfs_read(dev_t dev, const char *attribute, char *text, size_t room)
{
	char path[128];
	FILE *file;
	int err = 0;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev),
		 attribute);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	if (!fgets(text, (int)room, file))
		err = -EIO;
	else
		text[strcspn(text, "\n")] = '\0';
	fclose(file);
	return err;
}

static int sysfs_read_number(dev_t dev, const char *attribute, uint64_t *number)
{
	char text[32];
	int err = sysfs_read(dev, attribute, text, sizeof(text));

	if (err)
		return err;
	return sscanf(text, "%llu", (unsigned long long *)number) == 1 ? 0 : -EIO;
}

/* DEVNAME from the uevent file: where devtmpfs puts the node. */
static int sysfs_node_name(dev_t dev, char *name, size_t room)
{
	static const char key[] = "DEVNAME=";
	char path[64], line[512];
	FILE *file;
	int err = -ENODEV;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
	file = fopen(path, "re");
	if (!file)
		return -ENODEV;
	while (err && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, key, sizeof(key) - 1) == 0 &&
		    (size_t)snprintf(name, room, "%s", line + sizeof(key) - 1) < room)
			err = 0;
	}
	fclose(file);
	return err;
}

int device_path_of_number(char **path, dev_t dev)
{
	char name[256];
	struct stat node;

	*path = NULL;
	if (sysfs_node_name(dev, name, sizeof(name)))
		return -ENODEV;
	if (asprintf(path, "/dev/%s", name) < 0) {
		*path = NULL;
		return -ENOMEM;
	}
	if (stat(*path, &node) == 0 && S_ISBLK(node.st_mode) && node.st_rdev == dev)
		return 0;
	free(*path);
	*path = NULL;
	return -ENODEV;
}

/* --- overlap ------------------------------------------------------------- */

/* Where sectors really are: on a whole disk, or in a regular file. */
struct place {
	bool regular;
	dev_t dev;
	ino_t ino;
	uint64_t start;		/* bytes */
	uint64_t bytes;
};

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t sectors_to_bytes(uint64_t sectors)
{
	return sectors > UINT64_MAX / SECTOR_BYTES ? UINT64_MAX : sectors * SECTOR_BYTES;
}

/* From a partition to its disk. */
static bool place_leave_partition(struct place *place)
{
	uint64_t number, start;
	unsigned int disk_major, disk_minor;
	char text[32];

	if (sysfs_read_number(place->dev, "partition", &number) ||
	    sysfs_read_number(place->dev, "start", &start) ||
	    sysfs_read(place->dev, "../dev", text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &disk_major, &disk_minor) != 2)
		return false;
	place->dev = makedev(disk_major, disk_minor);
	place->start = add_saturated(place->start, sectors_to_bytes(start));
	return true;
}

static int loop_status(dev_t dev, struct loop_info64 *info)
{
	char *path;
	int fd, err = device_path_of_number(&path, dev);

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	err = ioctl(fd, LOOP_GET_STATUS64, info) ? -errno : 0;
	close(fd);
	return err;
}

/* The kernel tells the backing file's inode and the number of its file system.
 * On btrfs that is not the number which stat() gives; the path is then asked,
 * and believed when the inode agrees. */
static void place_set_backing(struct place *place, const struct loop_info64 *info)
{
	char path[4096];
	struct stat backing;

	place->regular = !info->lo_rdevice;
	place->ino = (ino_t)info->lo_inode;
	if (info->lo_rdevice) {
		place->dev = (dev_t)info->lo_rdevice;
		return;
	}
	if (sysfs_read(place->dev, "loop/backing_file", path, sizeof(path)) == 0 &&
	    stat(path, &backing) == 0 && backing.st_ino == place->ino)
		place->dev = backing.st_dev;
	else
		place->dev = (dev_t)info->lo_device;
}

/* From a loop device to what is behind it. */
static bool place_leave_loop(struct place *place)
{
	struct loop_info64 info;

	if (major(place->dev) != LOOP_MAJOR || loop_status(place->dev, &info))
		return false;
	place->start = add_saturated(place->start, info.lo_offset);
	place_set_backing(place, &info);
	return true;
}

static void place_resolve(struct place *place)
{
	unsigned int depth;

	for (depth = 0; depth < STACK_DEPTH_MAX && !place->regular; depth++)
		if (!place_leave_partition(place) && !place_leave_loop(place))
			break;
}

static void place_of_piece(struct place *place, const struct device_piece *piece,
			   uint64_t length)
{
	memset(place, 0, sizeof(*place));
	place->regular = piece->file->regular;
	place->dev = piece->file->dev;
	place->ino = piece->file->ino;
	place->start = sectors_to_bytes(piece->sector);
	place->bytes = sectors_to_bytes(length < piece->sectors ? length : piece->sectors);
	place_resolve(place);
}

static bool pieces_overlap(const struct device_piece *a, uint64_t length_a,
			   const struct device_piece *b, uint64_t length_b)
{
	struct place at, bt;

	place_of_piece(&at, a, length_a);
	place_of_piece(&bt, b, length_b);
	if (at.regular != bt.regular || at.dev != bt.dev || (at.regular && at.ino != bt.ino))
		return false;
	return at.bytes && bt.bytes &&
	       at.start < add_saturated(bt.start, bt.bytes) &&
	       bt.start < add_saturated(at.start, at.bytes);
}

bool device_overlap(const struct device *a, uint64_t length_a,
		    const struct device *b, uint64_t length_b)
{
	/* What a device of several pieces has, it uses. */
	if (a->nr_pieces > 1)
		length_a = UINT64_MAX;
	if (b->nr_pieces > 1)
		length_b = UINT64_MAX;
	for (unsigned int i = 0; i < a->nr_pieces; i++)
		for (unsigned int j = 0; j < b->nr_pieces; j++)
			if (pieces_overlap(&a->pieces[i], length_a, &b->pieces[j], length_b))
				return true;
	return false;
}

bool file_backs_loop(dev_t dev, ino_t ino, unsigned int *number)
{
	DIR *blocks = opendir("/sys/block");
	struct dirent *entry;
	bool found = false;

	while (blocks && !found && (entry = readdir(blocks))) {
		struct place place = { 0 };

		if (sscanf(entry->d_name, "loop%u", number) != 1)
			continue;
		place.dev = makedev(LOOP_MAJOR, *number);
		found = place_leave_loop(&place) && place.regular &&
			place.dev == dev && place.ino == ino;
	}
	if (blocks)
		closedir(blocks);
	return found;
}
