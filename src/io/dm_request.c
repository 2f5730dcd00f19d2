/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/dm_request.h"

#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "io/dm.h"

/* Interface 4.0.0 is enough for all flags used; the kernel refuses a newer one than
 * its own. */
static const uint32_t interface[3] = { 4, 0, 0 };

union request {
	struct dm_ioctl head;
	char bytes[sizeof(struct dm_ioctl) + sizeof(struct dm_target_spec) + DM_PARAMS_MAX + 8];
};

static void request_init(union request *request, size_t bytes, dev_t device, uint32_t flags)
{
	memset(request, 0, bytes);
	memcpy(request->head.version, interface, sizeof(interface));
	request->head.data_size = (uint32_t)bytes;
	request->head.data_start = sizeof(request->head);
	request->head.dev = device;
	request->head.flags = flags;
}

static int head_request(int control, unsigned long type, dev_t device, uint32_t flags,
			union request *request)
{
	request_init(request, sizeof(request->head), device, flags);
	return ioctl(control, type, &request->head) ? -errno : 0;
}

int dm_control_open(struct error *err)
{
	char path[256];
	int fd;

	/* libdevmapper makes the node where it is missing. */
	if (mapper_probe(err))
		return -ENODEV;
	mapper_release();
	snprintf(path, sizeof(path), "%s/%s", dm_dir(), DM_CONTROL_NODE);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_operation(err, errno, "cannot open %s: %s: only root may change a dm "
				       "device", path, error_reason(errno));
	return fd;
}

int dm_state(int control, dev_t device, struct dm_device_state *state)
{
	union request request;
	const struct dm_ioctl *head = &request.head;
	int r = head_request(control, DM_DEV_STATUS, device, 0, &request);

	memset(state, 0, sizeof(*state));
	if (r)
		return r;
	state->suspended = head->flags & (DM_SUSPEND_FLAG | DM_INTERNAL_SUSPEND_FLAG);
	state->live_table = head->flags & DM_ACTIVE_PRESENT_FLAG;
	state->inactive_table = head->flags & DM_INACTIVE_PRESENT_FLAG;
	state->read_only = head->flags & DM_READONLY_FLAG;
	state->event_nr = head->event_nr;
	memcpy(state->uuid, head->uuid, sizeof(head->uuid));
	state->uuid[sizeof(state->uuid) - 1] = '\0';
	return 0;
}

/* The first target out of the kernel's answer, which has to stay inside it. */
static int target_decode(struct dm_target *target, const union request *request)
{
	const struct dm_ioctl *head = &request->head;
	struct dm_target_spec spec;
	size_t params = head->data_start + sizeof(spec), length;

	if (head->flags & DM_BUFFER_FULL_FLAG)
		return -E2BIG;
	if (head->data_start < sizeof(*head) || params >= sizeof(request->bytes))
		return -EBADMSG;
	memcpy(&spec, request->bytes + head->data_start, sizeof(spec));
	length = strnlen(request->bytes + params, sizeof(request->bytes) - params);
	if (length >= sizeof(target->params) || length == sizeof(request->bytes) - params)
		return -E2BIG;
	target->start = spec.sector_start;
	target->length = spec.length;
	memcpy(target->type, spec.target_type, sizeof(target->type));
	target->type[sizeof(target->type) - 1] = '\0';
	memcpy(target->params, request->bytes + params, length);
	/* Some log types end with a blank. */
	while (length && target->params[length - 1] == ' ')
		target->params[--length] = '\0';
	return 0;
}

int dm_target_read(int control, dev_t device, enum dm_slot slot, struct dm_target *target,
		   size_t *nr_targets)
{
	uint32_t flags = slot == DM_LIVE_STATUS ? DM_NOFLUSH_FLAG : DM_STATUS_TABLE_FLAG;
	union request request;

	if (slot == DM_INACTIVE_TABLE)
		flags |= DM_QUERY_INACTIVE_TABLE_FLAG;
	memset(target, 0, sizeof(*target));
	*nr_targets = 0;
	request_init(&request, sizeof(request), device, flags);
	if (ioctl(control, DM_TABLE_STATUS, &request.head))
		return -errno;
	if (slot == DM_INACTIVE_TABLE && !(request.head.flags & DM_INACTIVE_PRESENT_FLAG))
		return 0;
	*nr_targets = request.head.target_count;
	return *nr_targets ? target_decode(target, &request) : 0;
}

int dm_load(int control, dev_t device, const struct dm_target *target, bool read_only)
{
	struct dm_target_spec spec = {
		.sector_start = target->start, .length = target->length, .next = sizeof(spec),
	};
	size_t length = strnlen(target->params, sizeof(target->params) - 1) + 1;
	size_t bytes = (sizeof(struct dm_ioctl) + sizeof(spec) + length + 7) / 8 * 8;
	union request request;

	spec.next = (uint32_t)(bytes - sizeof(struct dm_ioctl));
	memcpy(spec.target_type, target->type, sizeof(spec.target_type));
	request_init(&request, bytes, device, read_only ? DM_READONLY_FLAG : 0);
	request.head.target_count = 1;
	memcpy(request.bytes + sizeof(request.head), &spec, sizeof(spec));
	memcpy(request.bytes + sizeof(request.head) + sizeof(spec), target->params, length);
	return ioctl(control, DM_TABLE_LOAD, &request.head) ? -errno : 0;
}

int dm_clear(int control, dev_t device)
{
	union request request;

	return head_request(control, DM_TABLE_CLEAR, device, 0, &request);
}

int dm_suspend(int control, dev_t device)
{
	union request request;

	return head_request(control, DM_DEV_SUSPEND, device,
			    DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG, &request);
}

int dm_resume(int control, dev_t device, uint32_t cookie, bool *event)
{
	union request request;

	/* The flags matter only should the kernel suspend for the swap by itself. */
	request_init(&request, sizeof(request.head), device,
		     DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG);
	request.head.event_nr = cookie;
	if (ioctl(control, DM_DEV_SUSPEND, &request.head))
		return -errno;
	if (event)
		*event = request.head.flags & DM_UEVENT_GENERATED_FLAG;
	return 0;
}
