/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/mirror_table.h"
#include "io/dm_names.h"
#include "io/online_private.h"
#include "io/watch.h"

bool online_table_is_ours(struct online_device *device, enum dm_slot slot)
{
	struct dm_target *found = &device->scratch;
	size_t nr_targets;

	return !dm_target_read(device->control, device->is.number, slot, found, &nr_targets) &&
	       nr_targets == 1 && found->start == device->target.start &&
	       found->length == device->target.length &&
	       !strcmp(found->type, device->target.type) &&
	       !strcmp(found->params, device->target.params);
}

static bool device_is_replaced(const struct online_device *device,
			       const struct opened_mirror *opened,
			       const struct dm_device_state *state)
{
	struct mapped_device is = device->is;

	/* Names and disk sequence numbers are asked for where memory may be had. */
	snprintf(is.uuid, sizeof(is.uuid), "%s", state->uuid);
	is.event_nr = state->event_nr;
	return watch_is_replaced(opened->watch, &is);
}

static bool table_is_replaced(const struct opened_mirror *opened, const struct dm_target *target)
{
	char text[DM_PARAMS_MAX + 64];

	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %s %s\n", target->start,
		 target->length, target->type, target->params);
	return strcmp(text, watch_live_table(opened->watch)) != 0;
}

static void log_facts(struct suspend_facts *facts, const struct mirror_log *log)
{
	facts->header = log->header;
	facts->log_too_small = log->defects & (LOG_TOO_SMALL | LOG_HEADER_TRUNCATED);
	facts->clean = log->clean;
}

static void status_facts(struct suspend_facts *facts, struct online_device *device)
{
	struct mirror_status status;
	size_t nr_targets;

	if (dm_target_read(device->control, device->is.number, DM_LIVE_STATUS, &device->scratch,
			   &nr_targets) || nr_targets != 1 ||
	    mirror_status_parse(&status, device->scratch.params, NULL) ||
	    status.nr_legs != facts->nr_legs || status.nr_regions != facts->nr_regions)
		return;
	facts->status_known = true;
	memcpy(facts->leg_health, status.leg_health, sizeof(facts->leg_health));
	facts->log_health = status.log_health;
	facts->in_sync = status.in_sync;
}

void online_facts(struct suspend_facts *facts, struct online_device *device,
		  struct opened_mirror *opened, const struct mirror_log *log)
{
	struct dm_device_state state;
	int r;

	*facts = (struct suspend_facts){
		.name = opened->mirror.name,
		.log_on_disk = opened->mirror.log_kind == MIRROR_LOG_DISK && opened->log,
		.nr_legs = opened->mirror.nr_legs,
		.nr_regions = opened->mirror.geometry.nr_regions,
		.loaded_by_us = device->loaded,
		.suspended_by_us = device->suspended,
	};
	if (log)
		log_facts(facts, log);
	facts->gone = dm_state(device->control, device->is.number, &state) || !state.live_table;
	if (facts->gone)
		return;
	facts->suspended = state.suspended;
	facts->inactive_table = state.inactive_table;
	facts->inactive_is_ours = state.inactive_table && device->loaded &&
				  online_table_is_ours(device, DM_INACTIVE_TABLE);
	r = dm_target_read(device->control, device->is.number, DM_LIVE_TABLE, &device->scratch,
			   &facts->nr_targets);
	facts->replaced = device_is_replaced(device, opened, &state) ||
			  (facts->nr_targets < 2 &&
			   (r || table_is_replaced(opened, &device->scratch)));
	status_facts(facts, device);
}

int online_check(struct opened_mirror *opened, const struct mirror_log *log, struct error *err)
{
	const struct mapped_device *watched = watch_mapped_device(opened->watch);
	struct online_device device = { .control = -1 };
	struct suspend_facts facts = { .name = opened->mirror.name, .gone = true };

	if (watched && mapped_is_conversion_layer(watched))
		return error_operation(err, EPERM, "%s is being converted by LVM, which reloads tables "
				       "of its own: nothing was suspended; repair it when that has ended "
				       "(lvs shows it)", opened->mirror.name);
	if (watched) {
		/* One that is gone, or cannot be asked, is told by the requests below. */
		if (mapped_device_read(&device.is, watched->number, NULL))
			device.is = *watched;
		mapper_release();
		device.control = dm_control_open(err);
		if (device.control < 0)
			return device.control;
		online_facts(&facts, &device, opened, log);
		close(device.control);
	}
	return suspend_check(&facts, err);
}
