/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/stable_name.h"

#include <blkid/blkid.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "io/probe_child.h"

#define LVM_PREFIX "LVM-"
#define PARTITION_UUID_ROOM (NAME_MAX + 1)
#define LVM_IDS_END (strlen(LVM_PREFIX) + 64)	/* of VG and LV, 32 letters each */

static const struct host_roots usual_roots = { .sys = "/sys", .dev = "/dev" };

/* --- sysfs ------------------------------------------------------------------ */

/* One line of an attribute; false when it is not there or empty. Names are read into
 * more room than they may take in the end: what was cut off is refused there. */
static bool attribute_read(char *line, size_t room, const struct host_roots *roots, dev_t dev,
			   const char *attribute)
{
	char path[PATH_MAX];
	FILE *file;

	line[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/dev/block/%u:%u/%s", roots->sys, major(dev),
			     minor(dev), attribute) >= sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, (int)room, file))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	fclose(file);
	return line[0] != '\0';
}

/* KEY=value of the device's uevent file. */
static bool uevent_read(char *value, size_t room, const struct host_roots *roots, dev_t dev,
			const char *key)
{
	char path[PATH_MAX], line[512];
	size_t length = strlen(key);
	bool found = false;
	FILE *file;

	if ((size_t)snprintf(path, sizeof(path), "%s/dev/block/%u:%u/uevent", roots->sys,
			     major(dev), minor(dev)) >= sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, key, length) && line[length] == '=' && line[length + 1])
			found = (size_t)snprintf(value, room, "%s", line + length + 1) < room;
	}
	fclose(file);
	return found;
}

static bool attribute_number(uint64_t *number, const struct host_roots *roots, dev_t dev,
			     const char *attribute)
{
	char line[32];

	return attribute_read(line, sizeof(line), roots, dev, attribute) &&
	       sscanf(line, "%" SCNu64, number) == 1;
}

/* Where devtmpfs puts the node, with all links resolved. */
static bool node_path(char path[PATH_MAX], const struct host_roots *roots, dev_t dev)
{
	char name[256], joined[PATH_MAX];

	if (!uevent_read(name, sizeof(name), roots, dev, "DEVNAME") ||
	    (size_t)snprintf(joined, sizeof(joined), "%s/%s", roots->dev, name) >= sizeof(joined))
		return false;
	return realpath(joined, path) != NULL;
}

/* --- links under /dev/disk ---------------------------------------------------- */

/*
 * Links of by-id by how well they name the device. Not taken are those that udev makes
 * of contents (lvm-pv-uuid-: a copy has it too), and of a dm or md device's name, which
 * anybody may give to another.
 */
static const char *const link_ranks[] = {
	"wwn-", "nvme-eui.", "nvme-uuid.", "nvme-nvme.", "scsi-3", "dm-uuid-", "md-uuid-", "",
};
static const char *const links_refused[] = { "lvm-pv-uuid-", "dm-name-", "md-name-" };

static bool begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* The lower the better; -1: not a name of the device. */
static int link_rank(const char *link)
{
	size_t i;

	for (i = 0; i < sizeof(links_refused) / sizeof(links_refused[0]); i++)
		if (begins(link, links_refused[i]))
			return -1;
	for (i = 0; !begins(link, link_ranks[i]); i++)
		;
	return (int)i;
}

/* A link to the node, or (without udev) another node of the same number. */
static bool link_leads_to(const char *directory, const char *link, const char *node, dev_t dev)
{
	char joined[PATH_MAX], resolved[PATH_MAX];
	struct stat st;

	if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", directory, link) >= sizeof(joined) ||
	    !realpath(joined, resolved))
		return false;
	return !strcmp(resolved, node) ||
	       (!stat(resolved, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev);
}

/* Of several of one rank the first in the alphabet: the order of a directory is
 * nothing to rely on. */
static bool link_is_better(const char *link, const char *best)
{
	int rank = link_rank(link), best_rank = *best ? link_rank(best) : INT_MAX;

	if (rank < 0 || strlen(link) > NAME_MAX)
		return false;
	return rank < best_rank || (rank == best_rank && strcmp(link, best) < 0);
}

/* The best link in <dev>/disk/<kind> that leads to the device. */
static bool link_find(char best[NAME_MAX + 1], const struct host_roots *roots, dev_t dev,
		      const char *kind)
{
	char directory[PATH_MAX], node[PATH_MAX];
	const struct dirent *entry;
	DIR *dir;

	best[0] = '\0';
	if (!node_path(node, roots, dev) ||
	    (size_t)snprintf(directory, sizeof(directory), "%s/disk/%s", roots->dev, kind) >=
	    sizeof(directory))
		return false;
	dir = opendir(directory);
	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && link_is_better(entry->d_name, best) &&
		    link_leads_to(directory, entry->d_name, node, dev))
			snprintf(best, NAME_MAX + 1, "%s", entry->d_name);
	if (dir)
		closedir(dir);
	return best[0] != '\0';
}

/* --- partitions ----------------------------------------------------------------- */

/* Number, place and size as the kernel has them: what libblkid reads from the disk
 * may be a newer table than the one in use. */
static bool partition_uuid_of_table(char *uuid, size_t room, blkid_partlist list,
				    const struct host_roots *roots, dev_t dev)
{
	uint64_t number, start, sectors;
	blkid_partition partition;
	const char *text;

	if (!attribute_number(&number, roots, dev, "partition") || number > INT_MAX ||
	    !attribute_number(&start, roots, dev, "start") ||
	    !attribute_number(&sectors, roots, dev, "size"))
		return false;
	partition = blkid_partlist_get_partition_by_partno(list, (int)number);
	if (!partition || (uint64_t)blkid_partition_get_start(partition) != start ||
	    (uint64_t)blkid_partition_get_size(partition) != sectors)
		return false;
	text = blkid_partition_get_uuid(partition);
	return text && *text && (size_t)snprintf(uuid, room, "%s", text) < room;
}

struct partition_wanted {
	const char *disk;
	const struct host_roots *roots;
	dev_t dev;
};

static int partition_uuid_read(void *uuid, void *context)
{
	const struct partition_wanted *wanted = context;
	blkid_probe probe = blkid_new_probe_from_filename(wanted->disk);
	blkid_partlist list;
	bool found;

	if (!probe)
		return -EIO;
	blkid_probe_enable_superblocks(probe, 0);
	blkid_probe_enable_partitions(probe, 1);
	list = blkid_probe_get_partitions(probe);
	found = list && partition_uuid_of_table(uuid, PARTITION_UUID_ROOM, list, wanted->roots,
						wanted->dev);
	blkid_free_probe(probe);
	return found ? 0 : -ENOENT;
}

/* Without udev, on a kernel that does not tell: the disk's own table. */
static bool partition_uuid_probe(char uuid[PARTITION_UUID_ROOM], const struct host_roots *roots,
				 dev_t dev)
{
	struct partition_wanted wanted = { .roots = roots, .dev = dev };
	char node[PATH_MAX], number[32];
	unsigned int disk_major, disk_minor;

	if (!attribute_read(number, sizeof(number), roots, dev, "../dev") ||
	    sscanf(number, "%u:%u", &disk_major, &disk_minor) != 2 ||
	    !node_path(node, roots, makedev(disk_major, disk_minor)))
		return false;
	wanted.disk = node;
	return probe_child_ask(uuid, PARTITION_UUID_ROOM, partition_uuid_read, &wanted) == 0;
}

static bool partition_name(char *name, size_t room, const struct host_roots *roots, dev_t dev)
{
	char uuid[PARTITION_UUID_ROOM] = "", *at;

	if (!uevent_read(uuid, sizeof(uuid), roots, dev, "PARTUUID") &&
	    !link_find(uuid, roots, dev, "by-partuuid") &&
	    !partition_uuid_probe(uuid, roots, dev))
		return false;
	/* "00000000-01": a DOS label that was never given an id. */
	if (begins(uuid, "00000000-"))
		return false;
	for (at = uuid; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return (size_t)snprintf(name, room, "partuuid-%s", uuid) < room;
}

/* --- disks ---------------------------------------------------------------------- */

/* Blanks become one '_', as udev has it; what is no ASCII is a '?'. */
static void wwid_clean(char *wwid)
{
	char *in = wwid, *out = wwid;

	for (; *in; in++) {
		if (*in != ' ' && *in != '\t')
			*out++ = *in > ' ' && *in < 0x7f ? *in : '?';
		else if (out > wwid && out[-1] != '_')
			*out++ = '_';
	}
	while (out > wwid && out[-1] == '_')
		out--;
	*out = '\0';
}

/* "naa.0000000000000000": firmware that was never given a name. */
static bool wwid_is_blank(const char *wwid)
{
	const char *dot = strchr(wwid, '.');

	dot = dot ? dot + 1 : wwid;
	return !dot[strspn(dot, "0-_")];
}

/* Of SCSI and SATA disks the wwid belongs to the device below, of NVMe ones to the
 * disk. udev writes the first 16 or 32 digits of an NAA name as wwn-0x. */
static bool disk_wwid(char *name, size_t room, const struct host_roots *roots, dev_t dev)
{
	static const char naa[] = "naa.";
	char wwid[256];

	if (!attribute_read(wwid, sizeof(wwid), roots, dev, "device/wwid") &&
	    !attribute_read(wwid, sizeof(wwid), roots, dev, "wwid"))
		return false;
	wwid_clean(wwid);
	if (wwid_is_blank(wwid))
		return false;
	if (begins(wwid, naa))
		return (size_t)snprintf(name, room, "wwn-0x%s", wwid + strlen(naa)) < room;
	return (size_t)snprintf(name, room, "wwid-%s", wwid) < room;
}

/* --- any device ----------------------------------------------------------------- */

void mapped_uuid_trim(char *uuid)
{
	if (begins(uuid, LVM_PREFIX) && strlen(uuid) > LVM_IDS_END)
		uuid[LVM_IDS_END] = '\0';
}

static bool mapped_name(char *name, size_t room, const struct host_roots *roots, dev_t dev)
{
	char uuid[256];

	if (!attribute_read(uuid, sizeof(uuid), roots, dev, "dm/uuid"))
		return false;
	mapped_uuid_trim(uuid);
	return (size_t)snprintf(name, room, "dm:%s", uuid) < room;
}

bool stable_name(char *name, size_t room, const struct host_roots *roots, dev_t dev)
{
	char text[NAME_MAX + 1];

	if (!roots)
		roots = &usual_roots;
	name[0] = '\0';
	if (mapped_name(name, room, roots, dev))
		return true;
	if (attribute_read(text, sizeof(text), roots, dev, "partition")) {
		if (partition_name(name, room, roots, dev))
			return true;
	} else if (disk_wwid(name, room, roots, dev)) {
		return true;
	}
	if (link_find(text, roots, dev, "by-id") &&
	    (size_t)snprintf(name, room, "%s", text) < room)
		return true;
	name[0] = '\0';
	return false;
}

static bool mapper_path(char path[PATH_MAX], const struct host_roots *roots, dev_t dev,
			const char *node)
{
	char name[256], mapper[PATH_MAX];

	if (!attribute_read(name, sizeof(name), roots, dev, "dm/name") ||
	    (size_t)snprintf(mapper, sizeof(mapper), "%s/mapper", roots->dev) >= sizeof(mapper) ||
	    (size_t)snprintf(path, PATH_MAX, "%s/%s", mapper, name) >= PATH_MAX)
		return false;
	return link_leads_to(mapper, name, node, dev);
}

static char *joined_path(const char *dev, const char *directory, const char *link)
{
	char *path;

	return asprintf(&path, "%s/%s/%s", dev, directory, link) < 0 ? NULL : path;
}

int stable_path(char **path, const struct host_roots *roots, dev_t dev)
{
	char node[PATH_MAX], found[PATH_MAX], link[NAME_MAX + 1];

	*path = NULL;
	if (!roots)
		roots = &usual_roots;
	if (!node_path(node, roots, dev))
		return -ENODEV;
	if (mapper_path(found, roots, dev, node))
		*path = strdup(found);
	else if (link_find(link, roots, dev, "by-id"))
		*path = joined_path(roots->dev, "disk/by-id", link);
	else if (link_find(link, roots, dev, "by-partuuid"))
		*path = joined_path(roots->dev, "disk/by-partuuid", link);
	else
		*path = strdup(node);
	return *path ? 0 : -ENOMEM;
}
