/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A mirror by the name of an active dm device: the kernel tells what it is. */

#include "io/discover_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_table.h"
#include "io/dm.h"
#include "io/dm_names.h"
#include "io/watch.h"

/* What pvmove moves a piece of the volume with just now: "vg/pvmove0". */
static bool find_pvmove(char *name, size_t room, const struct mapped_table *table)
{
	for (size_t i = 0; i < table->nr_targets; i++) {
		struct mapped_device below;
		struct error why = { 0 };
		char word[32];
		dev_t number;

		if (!strcmp(table->targets[i].type, "linear") &&
		    sscanf(table->targets[i].params, "%31s", word) == 1 &&
		    device_number_parse(&number, word) && !mapped_device_read(&below, number, &why) &&
		    mapped_lv_name(name, room, &below) && lv_name_is_pvmove(strchr(name, '/') + 1))
			return true;
	}
	return false;
}

static int refuse_no_mirror(const struct mapped_device *device,
			    const struct mapped_table *table, struct error *err)
{
	const char *type = table->nr_targets ? table->targets[0].type : NULL;
	char pvmove[256];

	if (!type)
		return error_usage(err, "%s has no live table, so it is no mirror", device->name);
	if (!strcmp(type, "snapshot-origin"))
		return error_usage(err, "%s is the origin of a snapshot, and what lies below it is no "
				   "mirror either", device->name);
	if (find_pvmove(pvmove, sizeof(pvmove), table))
		return error_usage(err, "%s is no mirror (its table says %s); what moves it just now is "
				   "one: %s", device->name, type, pvmove);
	return error_usage(err, "%s is no mirror: its table says %s", device->name, type);
}

/* "0, 2048" */
static void mirrors_list(const struct mapped_table *table, char *out, size_t room)
{
	size_t i, used = 0;

	out[0] = '\0';
	for (i = 0; i < table->nr_targets && used < room; i++)
		if (!strcmp(table->targets[i].type, "mirror"))
			used += (size_t)snprintf(out + used, room - used, "%s%" PRIu64,
						 used ? ", " : "", table->targets[i].start);
}

static int choose_target(const struct mapped_target **chosen,
			 const struct mapped_device *device, const struct mapped_table *table,
			 const struct mirror_operand *operand, struct error *err)
{
	const struct mapped_target *first = mapped_table_mirror(table, 0);
	char list[256];
	uint64_t start;
	bool given;
	int ret;

	if (!first)
		return refuse_no_mirror(device, table, err);
	ret = operand_segment_parse(&start, &given, operand, err);
	if (ret)
		return ret;
	*chosen = given ? mapped_table_at(table, start) : first;
	mirrors_list(table, list, sizeof(list));
	if (!*chosen || strcmp((*chosen)->type, "mirror"))
		return error_usage(err, "--segment %s: no mirror target of %s begins there (they "
				   "begin at %s)", operand->segment, device->name, list);
	if (!given && mapped_table_mirror(table, (size_t)(first - table->targets) + 1))
		return error_usage(err, "%s holds several mirror targets (they begin at %s): say "
				   "which with --segment START", device->name, list);
	return 0;
}

/* The node of a device number in a live table: this host's own numbers. */
static int mapped_place(struct operand_place *place, const struct mirror_place *word,
			const char *role, const char *name, struct error *err)
{
	dev_t number;
	int ret;

	if (!device_number_parse(&number, word->device))
		return error_operation(err, EINVAL, "the %s of %s is \"%s\" in the kernel's table, "
				       "which is no device number", role, name, word->device);
	ret = device_path_of_number(&place->path, number);
	if (ret)
		return error_operation(err, -ret, "the %s (%s) of %s has no device node here: %s: give "
				       "legs and log with --leg and --log", role, word->device,
				       name, error_reason(ret));
	place->offset = word->offset;
	return 0;
}

static int mapped_places(struct operand_plan *plan, struct error *err)
{
	struct mirror *mirror = &plan->mirror;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < mirror->nr_legs && !ret; i++) {
		char role[16];

		snprintf(role, sizeof(role), "leg %u", i);
		ret = mapped_place(&plan->legs[i], &mirror->legs[i], role, mirror->name, err);
	}
	if (!ret && mirror->log_kind == MIRROR_LOG_DISK)
		ret = mapped_place(&plan->log, &mirror->log, "log", mirror->name, err);
	return ret;
}

/* What the kernel calls it; of LVM's, and where the user wrote so, VG/LV. */
static int mapped_identity(struct mirror *mirror, const struct mapped_device *device,
			   const struct mirror_operand *operand, struct error *err)
{
	bool is_lv = operand->name[0] != '/' && strchr(operand->name, '/');
	char lv[2 * sizeof(device->name)];

	free(mirror->name);
	if (mapped_lv_name(lv, sizeof(lv), device))
		mirror->name = strdup(lv);
	else
		mirror->name = strdup(is_lv ? operand->name : device->name);
	mirror->uuid = device->uuid[0] ? strdup(device->uuid) : NULL;
	mirror->activity = device->suspended ? MIRROR_SUSPENDED : MIRROR_ACTIVE;
	if (!mirror->name || (device->uuid[0] && !mirror->uuid))
		return error_operation(err, ENOMEM, "not enough memory to open the mirror");
	return 0;
}

/* A status that cannot be read or understood leaves status_known false. */
static void mapped_status(struct mirror *mirror, const struct mapped_device *device)
{
	const struct mapped_target *target;
	struct mirror_status status;
	struct mapped_table table;

	if (mapped_table_read(&table, device->number, MAPPED_STATUS, NULL))
		return;
	target = mapped_table_at(&table, mirror->start);
	if (target && !strcmp(target->type, "mirror") &&
	    !mirror_status_parse(&status, target->params, NULL))
		mirror_apply_status(mirror, &status, NULL);
	mapped_table_free(&table);
}

static int mapped_plan(struct operand_plan *plan, const struct mapped_device *device,
		       const struct mapped_table *table, const struct mirror_operand *operand,
		       struct error *err)
{
	const struct mapped_target *target = NULL;
	int ret;

	ret = choose_target(&target, device, table, operand, err);
	if (!ret)
		ret = mirror_table_parse_params(&plan->mirror, target->start, target->length,
						target->params, err);
	if (!ret)
		ret = mapped_identity(&plan->mirror, device, operand, err);
	if (!ret)
		ret = mapped_places(plan, err);
	plan->length_given = true;
	return ret;
}

/* Other users of an active mirror's legs and log, itself left out. */
static int mapped_claims(struct opened_mirror *opened, const struct mapped_device *device,
			 struct error *err)
{
	struct claim_ranges ranges = { 0 };
	struct claims claims = { 0 };
	int ret;

	ret = discover_ranges(&ranges, opened, err);
	if (!ret)
		ret = claims_read(&claims, ranges.ranges, ranges.nr, device->number, err);
	if (!ret)
		ret = discover_check_claims(opened, &claims, err);
	claims_free(&claims);
	claim_ranges_free(&ranges);
	return ret;
}

/* A log that is a mirror is read as the kernel reads it, through its device. */
static int note_mirrored_log(struct opened_mirror *opened, struct error *err)
{
	struct mapped_device device;
	struct mapped_table table;
	char name[2 * sizeof(device.name)];
	bool is_mirror;

	if (!opened->log || opened->log->file->regular ||
	    mapped_device_read(&device, opened->log->file->dev, NULL) ||
	    mapped_table_read(&table, device.number, MAPPED_TABLE, NULL))
		return 0;
	is_mirror = mapped_table_mirror(&table, 0) != NULL;
	mapped_table_free(&table);
	if (!is_mirror)
		return 0;
	if (!mapped_lv_name(name, sizeof(name), &device))
		snprintf(name, sizeof(name), "%s", device.name);
	return discover_note(opened, err, "the log is a mirror itself, and is read through its device as "
			"the kernel does it; are its own legs equal? mirrorctl audit %s tells", name);
}

/* Nothing may have moved between the table that was read and the opens. */
static int check_unchanged(struct opened_mirror *opened, struct error *err)
{
	struct mirror_sample sample;

	mirror_sample(opened, &sample);
	if (sample.change == MIRROR_UNCHANGED)
		return 0;
	return error_operation(err, EAGAIN, "%s while it was being opened: try again",
			       sample.reason);
}

/* What is not allowed on an active mirror. */
static int check_active(const struct mirror *mirror, const struct mirror_operand *operand,
			struct error *err)
{
	if (operand->inactive_only)
		return error_operation(err, EBUSY, "%s is active and --inactive was asked for: "
				       "deactivate it first, or leave --inactive out", mirror->name);
	if (operand->access != MIRROR_READ)
		return error_operation(err, EBUSY, "%s is active: deactivate it first, or let mirrorctl "
				       "repair-log --online repair it while it runs; nothing was changed",
				       mirror->name);
	return 0;
}

static int open_mapped(struct opened_mirror *opened, struct operand_plan *plan,
		       const struct mapped_device *device, const struct mapped_table *table,
		       struct error *err)
{
	int ret = discover_open(opened, plan, err);

	if (!ret)
		ret = mapped_claims(opened, device, err);
	if (!ret)
		ret = note_mirrored_log(opened, err);
	if (!ret)
		ret = watch_mapped(&opened->watch, device, table, opened->mirror.start, err);
	if (!ret)
		ret = check_unchanged(opened, err);
	if (!ret)
		mapped_status(&opened->mirror, device);
	return ret;
}

int discover_mapped(struct opened_mirror *opened, const struct mirror_operand *operand,
		    struct error *err)
{
	struct operand_plan plan = { 0 };
	struct mapped_table table = { 0 };
	struct mapped_device device;
	char *note;
	int ret;

	ret = mapped_device_find(&device, &note, operand->name, err);
	if (!ret && note)
		ret = discover_note(opened, err, "%s", note);
	if (!ret)
		ret = mapped_table_read(&table, device.number, MAPPED_TABLE, err);
	if (!ret)
		ret = mapped_plan(&plan, &device, &table, operand, err);
	if (!ret)
		ret = check_active(&plan.mirror, operand, err);
	if (!ret)
		ret = open_mapped(opened, &plan, &device, &table, err);
	mapped_table_free(&table);
	operand_plan_free(&plan);
	free(note);
	return ret;
}
