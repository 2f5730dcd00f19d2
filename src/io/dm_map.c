/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/dm_map.h"

#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/dm_message.h"

/* What is on our devices is looked at under their real names already. */
#define UDEV_FLAGS (DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG | \
		    DM_UDEV_DISABLE_OTHER_RULES_FLAG)

/* Why the task (NULL: it could not even be made) failed: the errno, positive. */
static int task_code(struct dm_task *task)
{
	int code = task ? dm_task_get_errno(task) : ENOMEM;

	return code > 0 ? code : geteuid() ? EACCES : EIO;
}

static struct dm_task *task_new(int type)
{
	dm_message_begin();
	return dm_task_create(type);
}

/* Runs it, and waits for udev where there is one. */
static bool task_run_with_udev(struct dm_task *task)
{
	uint32_t cookie = 0;
	bool done;

	if (!dm_task_set_cookie(task, &cookie, UDEV_FLAGS))
		return false;
	done = dm_task_run(task);
	dm_udev_wait(cookie);
	return done;
}

static bool add_targets(struct dm_task *task, const struct mapped_table *table)
{
	for (size_t i = 0; i < table->nr_targets; i++) {
		const struct mapped_target *target = &table->targets[i];

		if (!dm_task_add_target(task, target->start, target->length, target->type,
					target->params))
			return false;
	}
	return true;
}

int dm_map_create(dev_t *number, const char *name, const char *uuid,
		  const struct mapped_table *table, bool read_only, struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_CREATE);
	struct dm_info info;
	int ret = 0;

	memset(&info, 0, sizeof(info));
	*number = 0;
	if (!task || !dm_task_set_name(task, name) || !dm_task_set_uuid(task, uuid) ||
	    !add_targets(task, table) || (read_only && !dm_task_set_ro(task)) ||
	    !task_run_with_udev(task)) {
		int code = task_code(task);

		ret = error_operation(err, code, "cannot make the dm device %s: %s", name,
				      dm_message()[0] ? dm_message() : error_reason(code));
	} else if (!dm_task_get_info(task, &info) || !info.exists) {
		ret = error_operation(err, EIO, "the dm device %s has vanished", name);
	}
	*number = makedev(info.major, info.minor);
	if (task)
		dm_task_destroy(task);
	dm_task_update_nodes();
	return ret;
}

int dm_map_find(struct mapped_device *device, unsigned int *open_count, const char *uuid,
		struct error *err)
{
	struct dm_task *task = task_new(DM_DEVICE_INFO);
	struct dm_info info;
	int ret = 0, code;

	memset(&info, 0, sizeof(info));
	memset(device, 0, sizeof(*device));
	if (!task || !dm_task_set_uuid(task, uuid) ||
	    (!dm_task_run(task) && dm_task_get_errno(task) != ENXIO)) {
		code = task_code(task);
		ret = error_operation(err, code, "device-mapper does not answer: %s%s",
				      dm_message()[0] ? dm_message() : error_reason(code),
				      geteuid() ? ": only root may ask it" : "");
	} else if (!dm_task_get_info(task, &info) || !info.exists) {
		ret = -ENXIO;
	}
	if (task)
		dm_task_destroy(task);
	if (ret)
		return ret;
	if (open_count)
		*open_count = (unsigned int)info.open_count;
	return mapped_device_read(device, makedev(info.major, info.minor), err);
}

/* By uuid the kernel finds it, but libdevmapper does not find the node. */
static void node_remove(const struct mapped_device *device)
{
	char path[256];
	struct stat node;

	snprintf(path, sizeof(path), "%s/%s", dm_dir(), device->name);
	if (!lstat(path, &node) && S_ISBLK(node.st_mode) && node.st_rdev == device->number)
		unlink(path);
}

int dm_map_remove(const char *uuid, struct error *err)
{
	struct mapped_device device;
	struct dm_task *task;
	int ret = dm_map_find(&device, NULL, uuid, err), code;

	if (ret)
		return ret == -ENXIO ? 0 : ret;
	task = task_new(DM_DEVICE_REMOVE);
	if (!task || !dm_task_set_uuid(task, uuid) || !dm_task_retry_remove(task) ||
	    !task_run_with_udev(task)) {
		code = task_code(task);
		if (code != ENXIO)
			ret = error_operation(err, code, "cannot remove the dm device %s: %s",
					      device.name, code == EBUSY ? "it is open" :
					      dm_message()[0] ? dm_message() : error_reason(code));
	}
	if (task)
		dm_task_destroy(task);
	dm_task_update_nodes();
	if (!ret)
		node_remove(&device);
	return ret;
}
