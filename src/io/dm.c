/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/dm.h"

#include <errno.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/dm_message.h"

/* The gate: a task that could change anything cannot be made here. */
static struct dm_task *task_new(int type)
{
	switch (type) {
	case DM_DEVICE_VERSION:
	case DM_DEVICE_LIST:
	case DM_DEVICE_INFO:
	case DM_DEVICE_TABLE:
	case DM_DEVICE_STATUS:
		break;
	default:
		return NULL;
	}
	dm_message_begin();
	return dm_task_create(type);
}

/* Why the task (NULL: it could not even be made) failed. */
static int task_error(struct dm_task *task, const char *what, struct error *err)
{
	int code = task ? dm_task_get_errno(task) : 0;

	if (code <= 0)
		code = geteuid() ? EACCES : EIO;
	return error_operation(err, code, "device-mapper does not answer (%s: %s)%s", what,
			       dm_message()[0] ? dm_message() : error_reason(code),
			       geteuid() ? ": only root may ask it" : "");
}

/* False only when /proc can be read and does not know device-mapper. Asked first
 * because opening the control node would load the module. */
static bool kernel_has_mapper(void)
{
	FILE *misc = fopen("/proc/misc", "re");
	char line[128], name[64];
	bool found = false;

	if (!misc)
		return true;
	while (!found && fgets(line, sizeof(line), misc))
		found = sscanf(line, "%*d %63s", name) == 1 && !strcmp(name, "device-mapper");
	fclose(misc);
	return found;
}

/* The list of devices, which is what only root gets (VERSION needs no privilege); NULL
 * with *ret and `err`. */
static struct dm_task *task_run_list(int *ret, struct error *err)
{
	struct dm_task *task;

	*ret = 0;
	if (!kernel_has_mapper()) {
		*ret = error_operation(err, ENODEV, "this kernel has no device-mapper loaded, so no "
				       "mirror can be active here");
		return NULL;
	}
	task = task_new(DM_DEVICE_LIST);
	if (task && dm_task_run(task))
		return task;
	*ret = task_error(task, "listing the devices", err);
	if (task)
		dm_task_destroy(task);
	return NULL;
}

int mapper_probe(struct error *err)
{
	int ret;
	struct dm_task *task = task_run_list(&ret, err);

	if (task)
		dm_task_destroy(task);
	return ret;
}

void mapper_release(void)
{
	dm_lib_release();
}

uint64_t mapped_diskseq(dev_t number)
{
	uint64_t diskseq = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/diskseq", major(number),
		 minor(number));
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &diskseq) != 1)
		diskseq = 0;
	fclose(file);
	return diskseq;
}

static void mapped_device_fill(struct mapped_device *device, struct dm_task *task,
			       const struct dm_info *info)
{
	const char *name = dm_task_get_name(task);
	const char *uuid = dm_task_get_uuid(task);

	memset(device, 0, sizeof(*device));
	device->number = makedev(info->major, info->minor);
	snprintf(device->name, sizeof(device->name), "%s", name ? name : "");
	snprintf(device->uuid, sizeof(device->uuid), "%s", uuid ? uuid : "");
	device->suspended = info->suspended || info->internal_suspend;
	device->read_only = info->read_only;
	device->has_table = info->live_table;
	device->has_inactive_table = info->inactive_table;
	device->event_nr = info->event_nr;
}

static bool task_set_number(struct dm_task *task, dev_t number)
{
	return dm_task_set_major(task, (int)major(number)) &&
	       dm_task_set_minor(task, (int)minor(number));
}

/* Makes and runs a task about one device; NULL, `err` and *ret otherwise. */
static struct dm_task *task_run_on(int type, dev_t number, enum mapped_slot slot,
				   struct dm_info *info, int *ret, struct error *err)
{
	struct dm_task *task = task_new(type);
	char what[48];

	snprintf(what, sizeof(what), "asking for device %u:%u", major(number),
		 minor(number));
	*ret = 0;
	if (!task || !task_set_number(task, number) || !dm_task_no_open_count(task) ||
	    (slot == MAPPED_TABLE_INACTIVE && !dm_task_query_inactive_table(task)) ||
	    (slot == MAPPED_STATUS && !dm_task_no_flush(task)))
		*ret = task_error(task, what, err);
	else if (!dm_task_run(task) && dm_task_get_errno(task) != ENXIO)
		*ret = task_error(task, what, err);
	else if (!dm_task_get_info(task, info) || !info->exists)
		*ret = error_operation(err, ENXIO, "there is no dm device %u:%u (any more)",
				       major(number), minor(number));
	if (!*ret)
		return task;
	if (task)
		dm_task_destroy(task);
	return NULL;
}

/* All but its diskseq, which the kernel tells elsewhere. */
static int device_read(struct mapped_device *device, dev_t number, struct error *err)
{
	struct dm_info info;
	struct dm_task *task;
	int ret;

	memset(device, 0, sizeof(*device));
	memset(&info, 0, sizeof(info));
	task = task_run_on(DM_DEVICE_INFO, number, MAPPED_TABLE, &info, &ret, err);
	if (!task)
		return ret;
	mapped_device_fill(device, task, &info);
	dm_task_destroy(task);
	return 0;
}

int mapped_device_read(struct mapped_device *device, dev_t number, struct error *err)
{
	int ret = device_read(device, number, err);

	if (!ret)
		device->diskseq = mapped_diskseq(number);
	return ret;
}

static size_t names_count(const struct dm_names *names)
{
	size_t count = 0;

	if (!names || !names->dev)
		return 0;
	for (count = 1; names->next; count++)
		names = (const void *)((const char *)names + names->next);
	return count;
}

/* INFO on every listed device; those that go away meanwhile are left out. */
static int names_read(struct mapped_device *devices, size_t *nr_devices,
		      const struct dm_names *names, size_t count, struct error *err)
{
	size_t i, nr = 0;

	for (i = 0; i < count; i++) {
		struct error why = { 0 };
		int ret = device_read(&devices[nr], (dev_t)names->dev, &why);

		if (!ret)
			nr++;
		else if (ret != -ENXIO)
			return error_operation(err, -ret, "%s", why.text);
		names = (const void *)((const char *)names + names->next);
	}
	*nr_devices = nr;
	return 0;
}

int mapped_device_list(struct mapped_device **devices, size_t *nr_devices,
		       struct error *err)
{
	struct mapped_device *list;
	struct dm_names *names;
	struct dm_task *task;
	size_t count;
	int ret;

	*devices = NULL;
	*nr_devices = 0;
	task = task_run_list(&ret, err);
	if (!task)
		return ret;
	names = dm_task_get_names(task);
	count = names_count(names);
	list = calloc(count ? count : 1, sizeof(*list));
	if (!list)
		ret = error_operation(err, ENOMEM, "not enough memory to list the dm devices");
	else
		ret = names_read(list, nr_devices, names, count, err);
	dm_task_destroy(task);
	if (ret)
		free(list);
	else
		*devices = list;
	return ret;
}

static int table_add(struct mapped_table *table, uint64_t start, uint64_t length,
		     const char *type, const char *params)
{
	struct mapped_target *targets, *target;

	targets = reallocarray(table->targets, table->nr_targets + 1, sizeof(*targets));
	if (!targets)
		return -ENOMEM;
	table->targets = targets;
	target = &targets[table->nr_targets];
	target->start = start;
	target->length = length;
	target->type = strdup(type);
	target->params = strdup(params ? params : "");
	table->nr_targets++;
	return target->type && target->params ? 0 : -ENOMEM;
}

int mapped_table_read_of(struct mapped_device *device, struct mapped_table *table, dev_t number,
			 enum mapped_slot slot, struct error *err)
{
	int type = slot == MAPPED_STATUS ? DM_DEVICE_STATUS : DM_DEVICE_TABLE;
	char *target_type, *params;
	uint64_t start, length;
	struct dm_info info;
	struct dm_task *task;
	void *next = NULL;
	int ret;

	memset(table, 0, sizeof(*table));
	memset(&info, 0, sizeof(info));
	task = task_run_on(type, number, slot, &info, &ret, err);
	if (!task)
		return ret;
	mapped_device_fill(device, task, &info);
	do {
		next = dm_get_next_target(task, next, &start, &length, &target_type, &params);
		if (target_type)
			ret = table_add(table, start, length, target_type, params);
	} while (next && !ret);
	if (ret) {
		mapped_table_free(table);
		error_operation(err, ENOMEM, "not enough memory for the table of device %u:%u",
				major(number), minor(number));
	}
	dm_task_destroy(task);
	return ret;
}

int mapped_table_read(struct mapped_table *table, dev_t number, enum mapped_slot slot,
		      struct error *err)
{
	struct mapped_device ignored;

	return mapped_table_read_of(&ignored, table, number, slot, err);
}

void mapped_table_free(struct mapped_table *table)
{
	size_t i;

	for (i = 0; i < table->nr_targets; i++) {
		free(table->targets[i].type);
		free(table->targets[i].params);
	}
	free(table->targets);
	memset(table, 0, sizeof(*table));
}

char *mapped_table_text(const struct mapped_table *table)
{
	char *text = NULL;
	size_t size = 0, i;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (i = 0; i < table->nr_targets; i++)
		fprintf(out, "%" PRIu64 " %" PRIu64 " %s %s\n", table->targets[i].start,
			table->targets[i].length, table->targets[i].type,
			table->targets[i].params);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

const struct mapped_target *mapped_table_at(const struct mapped_table *table,
					    uint64_t start)
{
	size_t i;

	for (i = 0; i < table->nr_targets; i++)
		if (table->targets[i].start == start)
			return &table->targets[i];
	return NULL;
}

const struct mapped_target *mapped_table_mirror(const struct mapped_table *table,
						size_t from)
{
	for (; from < table->nr_targets; from++)
		if (!strcmp(table->targets[from].type, "mirror"))
			return &table->targets[from];
	return NULL;
}

/* Decimal digits below 2^20 (the kernel's minors; majors are smaller), the way
 * `end` is left tells what follows. */
static bool number_part_parse(unsigned int *value, const char *text, const char **end)
{
	unsigned int result = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		result = result * 10 + (unsigned int)(*text - '0');
		if (result >= 1u << 20)
			return false;
	}
	*value = result;
	*end = text;
	return true;
}

bool device_number_parse(dev_t *number, const char *word)
{
	unsigned int device_major, device_minor;

	if (!number_part_parse(&device_major, word, &word) || *word++ != ':' ||
	    !number_part_parse(&device_minor, word, &word) || *word)
		return false;
	*number = makedev(device_major, device_minor);
	return true;
}
