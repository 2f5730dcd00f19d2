/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which block devices a file system lies on. */

#include "io/state_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/dm.h"

#define OVERLAY_DEPTH_MAX 4u	/* overlays on overlays; the kernel allows two */

static int add_device(struct place_nodes *list, dev_t device)
{
	struct stack_node node = { .dev = device }, *nodes;

	for (size_t i = 0; i < list->nr; i++)
		if (stack_node_equal(list->nodes[i], node))
			return 0;
	nodes = reallocarray(list->nodes, list->nr + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	list->nodes = nodes;
	nodes[list->nr++] = node;
	return 0;
}

/* --- btrfs: several devices, of which the mount names one ---------------------- */

static bool number_in_sysfs(dev_t *number, const char *name)
{
	char path[300], line[32];
	FILE *file;
	bool known;

	snprintf(path, sizeof(path), "/sys/class/block/%.200s/dev", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	known = fgets(line, sizeof(line), file) != NULL;
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return known && device_number_parse(number, line);
}

/* The devices of one btrfs, if `known` is among them. */
static int add_devices_of(struct place_nodes *list, const char *directory, dev_t known)
{
	struct place_nodes found = { 0 };
	DIR *dir = opendir(directory);
	struct dirent *entry;
	bool ours = false;
	dev_t number;
	int r = 0;

	while (dir && !r && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !number_in_sysfs(&number, entry->d_name))
			continue;
		ours = ours || number == known;
		r = add_device(&found, number);
	}
	if (dir)
		closedir(dir);
	for (size_t i = 0; ours && !r && i < found.nr; i++)
		r = add_device(list, found.nodes[i].dev);
	free(found.nodes);
	return r;
}

static int add_btrfs(struct place_nodes *list, dev_t known)
{
	DIR *all = opendir("/sys/fs/btrfs");
	struct dirent *entry;
	char path[400];
	int r = add_device(list, known);

	while (all && !r && (entry = readdir(all))) {
		snprintf(path, sizeof(path), "/sys/fs/btrfs/%.255s/devices", entry->d_name);
		r = add_devices_of(list, path, known);
	}
	if (all)
		closedir(all);
	return r;
}

/* --- what a line of mountinfo says ----------------------------------------------- */

static int add_path(struct place_nodes *list, const char *path, unsigned int depth);

/* /dev/sda1, or /dev/sda1:/dev/sdb1 where the type names all of them (bcachefs). */
static int add_source(struct place_nodes *list, const char *type, char *source)
{
	char *one, *save = NULL;
	bool found = false;
	struct stat st;
	int r = 0;

	octal_unescape(source);
	if (!stat(source, &st) && S_ISBLK(st.st_mode))
		return !strcmp(type, "btrfs") ? add_btrfs(list, st.st_rdev) :
		       add_device(list, st.st_rdev);
	for (one = strtok_r(source, ":", &save); one && !r; one = strtok_r(NULL, ":", &save))
		if (!strncmp(one, "/dev/", 5) && !stat(one, &st) && S_ISBLK(st.st_mode)) {
			found = true;
			r = add_device(list, st.st_rdev);
		}
	if (!found && (!strcmp(type, "btrfs") || !strcmp(type, "bcachefs")))
		list->incomplete = true;
	return r;
}

/* What is written to an overlay goes to its upper directory, if we can see that. */
static int add_upper(struct place_nodes *list, char *options, unsigned int depth)
{
	char *option, *save = NULL;
	int r = -ENOENT;

	for (option = strtok_r(options, ",\n", &save); option; option = strtok_r(NULL, ",\n", &save))
		if (!strncmp(option, "upperdir=", 9)) {
			octal_unescape(option + 9);
			if (option[9] == '/' && depth < OVERLAY_DEPTH_MAX)
				r = add_path(list, option + 9, depth + 1);
		}
	if (r && r != -ENOMEM)
		list->incomplete = true;
	return r == -ENOMEM ? r : 0;
}

/* `36 35 0:98 / /mnt rw shared:1 - btrfs /dev/sda1 rw,subvol=/`, proc(5). */
static int add_mount(struct place_nodes *list, char *line, unsigned int depth)
{
	char *tail = strstr(line, " - "), *type, *source, *options, *save = NULL;

	if (!tail)
		return 0;
	type = strtok_r(tail + 3, " \n", &save);
	source = strtok_r(NULL, " \n", &save);
	options = strtok_r(NULL, "\n", &save);
	if (!type || !source)
		return 0;
	if (!strcmp(type, "overlay") && options)
		return add_upper(list, options, depth);
	return add_source(list, type, source);
}

/* The number of the mount that a descriptor was opened through; -1: not known. A
 * file's device number would not do: a subvolume of btrfs has one of its own. */
static int mount_of(int fd)
{
	char path[64], line[128];
	int number = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && number < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "mnt_id: %d", &number);
	if (file)
		fclose(file);
	return number;
}

static int add_anonymous(struct place_nodes *list, int fd, unsigned int depth)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	int wanted = mount_of(fd), number, r = 0;
	bool found = false;
	char *line = NULL;
	size_t room = 0;

	while (file && wanted >= 0 && !found && getline(&line, &room, file) > 0)
		if (sscanf(line, "%d", &number) == 1 && number == wanted) {
			found = true;
			r = add_mount(list, line, depth);
		}
	if (!found)
		list->incomplete = true;
	free(line);
	if (file)
		fclose(file);
	return r;
}

static int add_path(struct place_nodes *list, const char *path, unsigned int depth)
{
	int fd = open(path, O_PATH | O_CLOEXEC), r;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		r = -errno;
	else if (S_ISBLK(st.st_mode))
		r = add_device(list, st.st_rdev);
	else if (major(st.st_dev))
		r = add_device(list, st.st_dev);
	else
		r = add_anonymous(list, fd, depth);
	close(fd);
	return r;
}

int place_nodes_of_path(struct place_nodes *list, const char *path)
{
	return add_path(list, path, 0);
}

/* --- files behind loop devices ------------------------------------------------------ */

static bool backing_path(char *path, size_t room, const char *loop)
{
	char name[200];
	FILE *file;
	bool known;

	snprintf(name, sizeof(name), "/sys/class/block/%.128s/loop/backing_file", loop);
	file = fopen(name, "re");
	if (!file)
		return false;
	known = fgets(path, (int)room, file) != NULL;
	fclose(file);
	path[strcspn(path, "\n")] = '\0';
	return known && *path == '/';
}

static int add_edges(struct stack *stack, struct stack_node upper, const struct place_nodes *list)
{
	struct stack_edge *edges;

	edges = reallocarray(stack->edges, stack->nr_edges + list->nr + 1, sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	stack->edges = edges;
	for (size_t i = 0; i < list->nr; i++)
		edges[stack->nr_edges++] = (struct stack_edge){
			.kind = STACK_HOLDER, .upper = upper, .lower = list->nodes[i],
			.upper_sectors = UINT64_MAX, .lower_sectors = UINT64_MAX,
		};
	return 0;
}

int place_complete_stack(struct stack *stack)
{
	size_t nr_edges = stack->nr_edges;
	char path[PATH_MAX];
	int r = 0;

	for (size_t e = 0; e < nr_edges && !r; e++) {
		const struct stack_edge *edge = &stack->edges[e];
		struct place_nodes list = { 0 };

		if (edge->kind != STACK_LOOP || !edge->lower.ino || major(edge->lower.dev) ||
		    !backing_path(path, sizeof(path), edge->name))
			continue;
		if (place_nodes_of_path(&list, path) == -ENOMEM)
			r = -ENOMEM;
		else
			r = add_edges(stack, stack->edges[e].lower, &list);
		free(list.nodes);
	}
	return r;
}
