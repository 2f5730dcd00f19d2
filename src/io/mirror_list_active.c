/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The mirrors that device-mapper knows, and how they hang together. */

#include "io/mirror_list_private.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/device.h"
#include "io/dm_names.h"
#include "io/marker.h"

static const struct mapped_device *device_of_number(const struct gathering *gathering, dev_t number)
{
	for (size_t i = 0; i < gathering->nr_devices; i++)
		if (gathering->devices[i].number == number)
			return &gathering->devices[i];
	return NULL;
}

static const struct mapped_device *device_of_word(const struct gathering *gathering,
						  const char *word)
{
	dev_t number;

	return word && device_number_parse(&number, word) ? device_of_number(gathering, number) : NULL;
}

/* --- names --------------------------------------------------------------------------- */

/* Takes `suffix` and the digits behind it off the end. */
static bool suffix_cut(char *name, const char *suffix)
{
	size_t length = strlen(name), end = length;

	while (end && isdigit((unsigned char)name[end - 1]))
		end--;
	if (end == length || end <= strlen(suffix) ||
	    strncmp(name + end - strlen(suffix), suffix, strlen(suffix)))
		return false;
	name[end - strlen(suffix)] = '\0';
	return true;
}

/* "vg-home-real", but not "vg-home--real", which is an LV's own name. */
static bool is_real_layer(const char *dm_name)
{
	static const char real[] = "-real";
	size_t length = strlen(dm_name);

	return length > strlen(real) && !strcmp(dm_name + length - strlen(real), real) &&
	       dm_name[length - strlen(real) - 1] != '-';
}

static void kind_of_lv(struct listed_mirror *listed, const char *dm_name, char *lv)
{
	if (suffix_cut(lv, "_mimagetmp_"))
		listed->kind = LISTED_CONVERTING;
	else if (lv_name_is_pvmove(lv))
		listed->kind = LISTED_PVMOVE;
	else if (is_real_layer(dm_name))
		listed->kind = LISTED_UNDER_SNAPSHOT;
}

static int name_it(struct listed_mirror *listed, const struct mapped_device *device)
{
	char name[256], *lv;

	if (mapped_lv_name(name, sizeof(name), device)) {
		lv = strchr(name, '/') + 1;
		kind_of_lv(listed, device->name, lv);
		listed->vg = strndup(name, (size_t)(lv - 1 - name));
		if (!listed->vg)
			return -ENOMEM;
	} else {
		snprintf(name, sizeof(name), "%s", device->name);
	}
	listed->name = strdup(name);
	listed->mirror.name = strdup(device->name);
	listed->mirror.uuid = device->uuid[0] ? strdup(device->uuid) : NULL;
	return listed->name && listed->mirror.name && (!device->uuid[0] || listed->mirror.uuid) ?
	       0 : -ENOMEM;
}

/* "home_mimage_0" of an LV, a dm name, "sdb1"; the word itself where nothing is known. */
static char *place_name(const struct gathering *gathering, const char *word)
{
	const struct mapped_device *device = device_of_word(gathering, word);
	char lv[256], *path, *name;
	dev_t number;

	if (device && mapped_lv_name(lv, sizeof(lv), device))
		return strdup(strchr(lv, '/') + 1);
	if (device)
		return strdup(device->name);
	if (!device_number_parse(&number, word) || device_path_of_number(&path, number))
		return strdup(word);
	name = strdup(strncmp(path, "/dev/", 5) ? path : path + 5);
	free(path);
	return name;
}

static int name_places(struct gathering *gathering, struct listed_mirror *listed)
{
	struct mirror *mirror = &listed->mirror;

	for (unsigned int i = 0; i < mirror->nr_legs; i++)
		if (mirror->legs[i].device &&
		    !(listed->leg_names[i] = place_name(gathering, mirror->legs[i].device)))
			return -ENOMEM;
	if (mirror->log.device && !(listed->log_name = place_name(gathering, mirror->log.device)))
		return -ENOMEM;
	return 0;
}

/* --- one device ---------------------------------------------------------------------- */

static bool begins_with_word(const char *params, const char *word)
{
	return !strncmp(params, word, strlen(word)) &&
	       (params[strlen(word)] == ' ' || !params[strlen(word)]);
}

/* Userspace and clustered logs cannot be parsed into a mirror; the rest can. */
static void table_of(struct listed_mirror *listed, const struct mapped_target *target)
{
	struct mirror parsed;
	struct error err = { 0 };

	listed->mirror.start = target->start;
	listed->mirror.geometry.length = target->length;
	if (!begins_with_word(target->params, "core") && !begins_with_word(target->params, "disk")) {
		listed->log_kind = LISTED_LOG_OTHER;
		return;
	}
	if (mirror_table_parse_params(&parsed, target->start, target->length, target->params, &err)) {
		listed->log_kind = LISTED_LOG_OTHER;
		snprintf(listed->table_unread, sizeof(listed->table_unread), "%.*s",
			 (int)sizeof(listed->table_unread) - 1, err.text);
		return;
	}
	parsed.activity = listed->mirror.activity;
	parsed.name = listed->mirror.name;
	parsed.uuid = listed->mirror.uuid;
	listed->mirror = parsed;
	listed->table_known = true;
	listed->log_kind = parsed.log_kind == MIRROR_LOG_CORE ? LISTED_LOG_CORE : LISTED_LOG_DISK;
}

/* Of a log whose device is suspended a read would wait for the resume. */
static int place_of_log(struct gathering *gathering, struct listed_mirror *listed,
			struct found_mirror *found)
{
	const char *word = listed->mirror.log.device;
	const struct mapped_device *device = device_of_word(gathering, word);
	dev_t number;
	int r;

	if (listed->log_kind != LISTED_LOG_DISK)
		return 0;
	if (device && device->suspended) {
		snprintf(listed->log_unread, sizeof(listed->log_unread),
			 "its device %s is suspended", device->name);
		return 0;
	}
	r = device_number_parse(&number, word) ? device_path_of_number(&found->log_path, number) :
						 -ENODEV;
	if (r == -ENODEV)
		snprintf(listed->log_unread, sizeof(listed->log_unread),
			 "there is no device node for %s", word);
	return r == -ENODEV ? 0 : r;
}

static int mirror_add(struct gathering *gathering, const struct mapped_device *device,
		      const struct mapped_target *target, bool segmented)
{
	struct found_mirror *found;
	struct listed_mirror *listed = gathering_add(gathering, &found);
	int r;

	if (!listed)
		return -ENOMEM;
	found->number = device->number;
	found->diskseq = mapped_diskseq(device->number);
	found->params = strdup(target->params);
	listed->segmented = segmented;
	listed->mirror.activity = device->suspended ? MIRROR_SUSPENDED : MIRROR_ACTIVE;
	r = found->params ? name_it(listed, device) : -ENOMEM;
	if (r)
		return r;
	table_of(listed, target);
	r = name_places(gathering, listed);
	if (!r)
		r = place_of_log(gathering, listed, found);
	if (device->suspended) {
		marker_remedy(listed->resume, sizeof(listed->resume), device);
		listed->abandoned =
			run_file_is_abandoned(gathering->request->run_directory, "suspended",
					      device->name);
	}
	return r;
}

static int device_add(struct gathering *gathering, const struct mapped_device *device)
{
	struct mapped_table table;
	struct error ignored = { 0 };
	int r;

	if (!device->has_table)
		return 0;
	r = mapped_table_read(&table, device->number, MAPPED_TABLE, &ignored);
	if (r)		/* gone meanwhile */
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; i < table.nr_targets && !r; i++)
		if (!strcmp(table.targets[i].type, "mirror"))
			r = mirror_add(gathering, device, &table.targets[i], table.nr_targets > 1);
	mapped_table_free(&table);
	return r;
}

/* --- how they hang together ----------------------------------------------------------- */

static bool lies_on(const struct gathering *gathering, const char *word, size_t i)
{
	dev_t number;

	return word && gathering->found[i].number && device_number_parse(&number, word) &&
	       number == gathering->found[i].number;
}

static int part_of(struct gathering *gathering, size_t part, size_t owner, enum listed_kind kind)
{
	struct listed_mirror *listed = &gathering->mirrors[part];
	char *name = strdup(gathering->mirrors[owner].name);

	if (!name)
		return -ENOMEM;
	free(listed->name);
	listed->name = name;
	listed->kind = kind;
	listed->owner = owner;
	return 0;
}

/* Is mirror `lower` the log of `upper`, or, below a layer of LVM's, one of its legs? */
static int relate(struct gathering *gathering, size_t upper, size_t lower)
{
	struct mirror *above = &gathering->mirrors[upper].mirror;

	if (upper == lower)
		return 0;
	if (lies_on(gathering, above->log.device, lower)) {
		gathering->mirrors[upper].log_kind = LISTED_LOG_MIRRORED;
		return part_of(gathering, lower, upper, LISTED_LOG);
	}
	for (unsigned int leg = 0; leg < above->nr_legs; leg++)
		if (gathering->mirrors[lower].kind == LISTED_CONVERTING &&
		    lies_on(gathering, above->legs[leg].device, lower))
			return part_of(gathering, upper, lower, LISTED_UPPER);
	return 0;
}

int gathering_relate(struct gathering *gathering)
{
	int r = 0;

	for (size_t i = 0; i < gathering->nr && !r; i++)
		for (size_t j = 0; gathering->found[i].number && j < gathering->nr && !r; j++)
			r = relate(gathering, i, j);
	return r;
}

int gathering_add_active(struct gathering *gathering, struct error *err)
{
	int r = mapped_device_list(&gathering->devices, &gathering->nr_devices, err);

	for (size_t i = 0; i < gathering->nr_devices && !r; i++)
		r = device_add(gathering, &gathering->devices[i]);
	return r;
}
