/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/stack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/number.h"
#include "core/region.h"
#include "io/device.h"
#include "io/dm.h"

#define SYS_BLOCK "/sys/class/block"

bool stack_node_equal(struct stack_node a, struct stack_node b)
{
	return a.dev == b.dev && a.ino == b.ino;
}

void stack_free(struct stack *stack)
{
	free(stack->edges);
	free(stack->uses);
	free(stack->suspended);
	memset(stack, 0, sizeof(*stack));
}

static int edge_add(struct stack *stack, const struct stack_edge *edge)
{
	struct stack_edge *edges;

	edges = reallocarray(stack->edges, stack->nr_edges + 1, sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	stack->edges = edges;
	edges[stack->nr_edges++] = *edge;
	return 0;
}

static int suspended_add(struct stack *stack, dev_t number)
{
	dev_t *suspended;

	suspended = reallocarray(stack->suspended, stack->nr_suspended + 1,
				 sizeof(*suspended));
	if (!suspended)
		return -ENOMEM;
	stack->suspended = suspended;
	suspended[stack->nr_suspended++] = number;
	return 0;
}

/* ------------------------------------------------------------ dm tables */

static bool word_in(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

/* Targets whose device word is followed by a start sector on that device, and
 * among them those that map sector for sector. All others may use anything. */
static const char *const offset_types[] = {
	"linear", "mirror", "striped", "crypt", "delay", "flakey", "dust", "integrity", NULL
};
static const char *const exact_types[] = {
	"linear", "mirror", "crypt", "delay", "flakey", "dust", NULL
};

static bool ends_with_disk(const char *word)
{
	size_t length = word ? strlen(word) : 0;

	return length >= 4 && !strcmp(word + length - 4, "disk");
}

/* What one device word of a table covers. The words before it tell a log device
 * (`disk 2 253:2 4096`: a region size follows, no offset). */
static void edge_set_lower(struct stack_edge *edge, uint64_t stripes, const char *before[2],
			   const char *after)
{
	bool is_log = ends_with_disk(before[0]) || ends_with_disk(before[1]);
	const char *end = after ? after + strlen(after) : NULL;

	edge->exact = false;
	edge->lower_first = 0;
	edge->lower_sectors = UINT64_MAX;
	if (is_log || !after || !word_in(edge->type, offset_types) ||
	    number_scan(&after, end, &edge->lower_first) || after != end) {
		edge->lower_first = 0;
		return;
	}
	edge->exact = word_in(edge->type, exact_types);
	edge->lower_sectors = edge->upper_sectors / stripes;
}

int stack_add_target(struct stack *stack, const struct stack_edge *common, const char *params)
{
	struct stack_edge edge = *common;
	const char *before[2] = { NULL, NULL };	/* the nearest first */
	char *words = strdup(params);
	uint64_t stripes = 1;
	char *word, *next, *save = NULL;
	int ret = words ? 0 : -ENOMEM;
	const char *number;

	word = words ? strtok_r(words, " ", &save) : NULL;
	number = word;
	if (!strcmp(edge.type, "striped") && number &&
	    (number_scan(&number, word + strlen(word), &stripes) || !stripes))
		stripes = 1;
	for (; word && !ret; word = next) {
		next = strtok_r(NULL, " ", &save);
		if (device_number_parse(&edge.lower.dev, word)) {
			edge_set_lower(&edge, stripes, before, next);
			ret = edge_add(stack, &edge);
		}
		before[1] = before[0];
		before[0] = word;
	}
	free(words);
	return ret;
}

static int mapped_slot_add(struct stack *stack, const struct mapped_device *device,
			   enum mapped_slot slot, struct error *err)
{
	struct mapped_table table;
	size_t i;
	int ret;

	ret = mapped_table_read(&table, device->number, slot, err);
	if (ret)
		return ret;
	for (i = 0; i < table.nr_targets && !ret; i++) {
		struct stack_edge edge = {
			.kind = STACK_MAPPED,
			.upper.dev = device->number,
			.upper_first = table.targets[i].start,
			.upper_sectors = table.targets[i].length,
			.inactive = slot == MAPPED_TABLE_INACTIVE,
		};

		snprintf(edge.name, sizeof(edge.name), "%s", device->name);
		snprintf(edge.type, sizeof(edge.type), "%s", table.targets[i].type);
		ret = stack_add_target(stack, &edge, table.targets[i].params);
	}
	mapped_table_free(&table);
	return ret;
}

/* A device that goes away while it is asked is no longer part of the picture. */
static int mapped_add(struct stack *stack, const struct mapped_device *device,
		      struct error *err)
{
	struct error why = { 0 };
	int ret = 0;

	if (device->suspended)
		ret = suspended_add(stack, device->number);
	if (!ret && device->has_table)
		ret = mapped_slot_add(stack, device, MAPPED_TABLE, &why);
	if (!ret && device->has_inactive_table)
		ret = mapped_slot_add(stack, device, MAPPED_TABLE_INACTIVE, &why);
	if (ret == -ENXIO)
		return 0;
	if (ret && why.kind)
		error_operation(err, -ret, "%s", why.text);
	return ret;
}

static int mapper_read(struct stack *stack, struct error *err)
{
	struct mapped_device *devices;
	size_t nr_devices, i;
	int ret;

	ret = mapper_probe(NULL);
	if (ret == -ENODEV)
		stack->mapper_asked = true;	/* the answer: there are none */
	if (ret)
		return 0;
	ret = mapped_device_list(&devices, &nr_devices, err);
	if (ret)
		return ret;
	stack->mapper_asked = true;
	for (i = 0; i < nr_devices && !ret; i++)
		ret = mapped_add(stack, &devices[i], err);
	free(devices);
	return ret;
}

/* --------------------------------------------------------------- sysfs */

/* One line of /sys/class/block/NAME/ATTRIBUTE into `out`; false when it is not
 * there. */
__attribute__((format(printf, 3, 4)))
static bool sysfs_line(char *out, size_t room, const char *format, ...)
{
	char path[600];
	va_list args;
	FILE *file;
	bool got;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fgets(out, (int)room, file) != NULL;
	fclose(file);
	if (got)
		out[strcspn(out, "\n")] = '\0';
	return got;
}

static bool sysfs_number(dev_t *number, const char *name)
{
	char line[32];

	return sysfs_line(line, sizeof(line), SYS_BLOCK "/%s/dev", name) &&
	       device_number_parse(number, line);
}

static uint64_t sysfs_value(const char *name, const char *attribute)
{
	char line[32];

	if (!sysfs_line(line, sizeof(line), SYS_BLOCK "/%s/%s", name, attribute))
		return 0;
	return strtoull(line, NULL, 10);
}

static int partition_add(struct stack *stack, const char *name, dev_t number)
{
	struct stack_edge edge = {
		.kind = STACK_PARTITION,
		.upper.dev = number,
		.exact = true,
	};
	char line[32];

	if (!sysfs_line(line, sizeof(line), SYS_BLOCK "/%s/partition", name) ||
	    !sysfs_line(line, sizeof(line), SYS_BLOCK "/%s/../dev", name) ||
	    !device_number_parse(&edge.lower.dev, line))
		return 0;
	edge.upper_sectors = edge.lower_sectors = sysfs_value(name, "size");
	edge.lower_first = sysfs_value(name, "start");
	snprintf(edge.name, sizeof(edge.name), "%.127s", name);
	return edge_add(stack, &edge);
}

/* The kernel's own knowledge of the backing file; its path may be another one
 * here, or gone. */
static bool loop_ask(struct loop_info64 *info, dev_t number)
{
	char *path = NULL;
	bool known = false;
	int fd;

	memset(info, 0, sizeof(*info));
	if (device_path_of_number(&path, number))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		known = ioctl(fd, LOOP_GET_STATUS64, info) == 0;
		close(fd);
	}
	free(path);
	return known;
}

static int loop_add(struct stack *stack, const char *name, dev_t number)
{
	struct stack_edge edge = {
		.kind = STACK_LOOP,
		.upper.dev = number,
		.upper_sectors = UINT64_MAX,
		.lower_sectors = UINT64_MAX,
		.exact = true,
	};
	struct loop_info64 info;
	char backing[4096];
	struct stat st;
	bool have_path;

	if (!sysfs_line(backing, sizeof(backing), SYS_BLOCK "/%s/loop/backing_file", name))
		return 0;
	have_path = !stat(backing, &st);
	if (loop_ask(&info, number)) {
		edge.lower.dev = (dev_t)info.lo_device;
		edge.lower.ino = (ino_t)info.lo_inode;
		edge.lower_first = info.lo_offset / SECTOR_BYTES;
	} else if (have_path) {
		edge.lower.ino = st.st_ino;
		edge.lower_first = sysfs_value(name, "loop/offset") / SECTOR_BYTES;
	} else {
		return 0;
	}
	/* btrfs: the kernel's number of the file system is not stat()'s. */
	if (have_path && st.st_ino == edge.lower.ino)
		edge.lower.dev = st.st_dev;
	/* A loop device may itself stand on a block device. */
	if (have_path && S_ISBLK(st.st_mode))
		edge.lower = (struct stack_node){ .dev = st.st_rdev };
	if (sysfs_value(name, "size"))
		edge.upper_sectors = edge.lower_sectors = sysfs_value(name, "size");
	snprintf(edge.name, sizeof(edge.name), "%.127s", name);
	return edge_add(stack, &edge);
}

/* Who claimed the device, by the kernel's holder links; dm devices among them
 * only where device-mapper itself would not tell. */
static int holder_add(struct stack *stack, dev_t number, const char *holder)
{
	struct stack_edge edge = {
		.kind = STACK_HOLDER,
		.lower.dev = number,
		.upper_sectors = UINT64_MAX,
		.lower_sectors = UINT64_MAX,
	};

	if (!sysfs_number(&edge.upper.dev, holder))
		return 0;
	snprintf(edge.name, sizeof(edge.name), "%.127s", holder);
	if (sysfs_line(edge.name, sizeof(edge.name), SYS_BLOCK "/%s/dm/name", holder)) {
		if (stack->mapper_asked)
			return 0;
		edge.kind = STACK_MAPPED;
	}
	return edge_add(stack, &edge);
}

static int holders_add(struct stack *stack, const char *name, dev_t number)
{
	struct dirent *entry;
	char path[300];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), SYS_BLOCK "/%.200s/holders", name);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = holder_add(stack, number, entry->d_name);
	closedir(dir);
	return ret;
}

static int sysfs_read(struct stack *stack)
{
	DIR *dir = opendir(SYS_BLOCK);
	struct dirent *entry;
	dev_t number;
	int ret = 0;

	if (!dir)
		return 0;
	while (!ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !sysfs_number(&number, entry->d_name))
			continue;
		ret = partition_add(stack, entry->d_name, number);
		if (!ret)
			ret = loop_add(stack, entry->d_name, number);
		if (!ret)
			ret = holders_add(stack, entry->d_name, number);
	}
	closedir(dir);
	return ret;
}

/* ------------------------------------------------------ mounts and swap */

static int use_add(struct stack *stack, const struct stack_use *use)
{
	struct stack_use *uses;

	uses = reallocarray(stack->uses, stack->nr_uses + 1, sizeof(*uses));
	if (!uses)
		return -ENOMEM;
	stack->uses = uses;
	uses[stack->nr_uses++] = *use;
	return 0;
}

void octal_unescape(char *text)
{
	char *out = text;

	while (*text) {
		unsigned int byte;

		if (*text == '\\' && strspn(text + 1, "01234567") >= 3 &&
		    sscanf(text + 1, "%3o", &byte) == 1) {
			*out++ = (char)byte;
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/* `36 35 98:0 / /mnt rw,noatime shared:1 - ext4 /dev/root rw`. Some file systems
 * (btrfs) show a number of their own: then the source path tells the device. */
static int mount_add(struct stack *stack, char *line)
{
	char *separator = strstr(line, " - ");
	char number[32], source[4096], point[4096];
	struct stack_use use = { 0 };
	struct stat st;

	if (!separator || sscanf(line, "%*d %*d %31s %*s %4095s", number, point) != 2 ||
	    !device_number_parse(&use.node.dev, number))
		return 0;
	if (!major(use.node.dev)) {
		if (sscanf(separator, " - %*s %4095s", source) != 1)
			return 0;
		octal_unescape(source);
		if (source[0] != '/' || stat(source, &st) || !S_ISBLK(st.st_mode))
			return 0;
		use.node.dev = st.st_rdev;
	}
	octal_unescape(point);
	snprintf(use.name, sizeof(use.name), "%.127s", point);
	return use_add(stack, &use);
}

static int swap_add(struct stack *stack, char *line)
{
	struct stack_use use = { .swap = true };
	char path[4096];
	struct stat st;

	if (sscanf(line, "%4095s", path) != 1)
		return 0;
	octal_unescape(path);
	if (path[0] != '/' || stat(path, &st))
		return 0;
	if (S_ISBLK(st.st_mode))
		use.node.dev = st.st_rdev;
	else
		use.node = (struct stack_node){ .dev = st.st_dev, .ino = st.st_ino };
	return use_add(stack, &use);
}

static int uses_read(struct stack *stack, const char *path,
		     int (*add)(struct stack *stack, char *line))
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int ret = 0;

	if (!file)
		return 0;
	while (!ret && getline(&line, &room, file) > 0)
		ret = add(stack, line);
	free(line);
	fclose(file);
	return ret;
}

int stack_read(struct stack *stack, struct error *err)
{
	int ret;

	memset(stack, 0, sizeof(*stack));
	ret = mapper_read(stack, err);
	if (!ret)
		ret = sysfs_read(stack);
	if (!ret)
		ret = uses_read(stack, "/proc/self/mountinfo", mount_add);
	if (!ret)
		ret = uses_read(stack, "/proc/swaps", swap_add);
	if (ret == -ENOMEM)
		error_operation(err, ENOMEM, "not enough memory to look at the block devices");
	if (ret)
		stack_free(stack);
	return ret;
}
