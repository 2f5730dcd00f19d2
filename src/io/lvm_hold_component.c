/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The images and the log of a mirror as LVs of their own: activated, kept open, and put
 * back to sleep. */

#include "io/lvm_hold_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/dm_map.h"

#define OPTIONS_MAX 8u

/* Letters and digits of a uuid, without LVM's hyphens. */
static size_t id_append(char *id, size_t used, const char *uuid)
{
	for (; uuid && *uuid; uuid++)
		if (*uuid != '-' && used < HOLD_ID_LENGTH)
			id[used++] = *uuid;
	return used;
}

bool hold_id_make(char id[HOLD_ID_LENGTH + 1], const char *vg_uuid, const char *lv_uuid)
{
	size_t used = id_append(id, 0, vg_uuid);
	bool good = used == HOLD_ID_LENGTH / 2;

	used = id_append(id, used, lv_uuid);
	id[used] = '\0';
	return good && used == HOLD_ID_LENGTH;
}

bool hold_component_used(const struct hold_component *component)
{
	return component->id[0];
}

int hold_component_find(struct mapped_device *device, const char *id, struct error *err)
{
	/* Since LVM 2.03.36 hidden LVs have a suffix, alone, too. */
	static const char *const suffixes[] = { "", "-real" };
	char uuid[130];
	int r = -ENXIO;

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes) && r == -ENXIO; i++) {
		snprintf(uuid, sizeof(uuid), HOLD_LVM_PREFIX "%s%s", id, suffixes[i]);
		r = dm_map_find(device, NULL, uuid, err);
	}
	return r;
}

/* --- what LVM does ---------------------------------------------------------------- */

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory to hold the mirror");
}

/* `lvm lvchange` with these options and the names of `nr` components. */
static int components_change(const struct hold_component *components, unsigned int nr,
			     const char *const options[], struct error *err)
{
	const char *words[1 + OPTIONS_MAX + HOLD_COMPONENTS_MAX + 1] = { "lvchange" };
	char *names[HOLD_COMPONENTS_MAX] = { 0 };
	size_t nr_words = 1, nr_names = 0;
	int r = 0;

	while (*options && nr_words <= OPTIONS_MAX)
		words[nr_words++] = *options++;
	for (unsigned int i = 0; i < nr && !r; i++) {
		if (!hold_component_used(&components[i]))
			continue;
		if (asprintf(&names[nr_names], "%s/%s", components[i].vg_name,
			     components[i].lv_name) < 0) {
			names[nr_names] = NULL;
			r = no_memory(err);
		} else {
			words[nr_words++] = names[nr_names++];
		}
	}
	if (!r && nr_names)
		r = lvm_run(NULL, NULL, words, LVM_REPORT_BYTES_MAX, HOLD_COMMAND_MS, err);
	for (size_t i = 0; i < nr_names; i++)
		free(names[i]);
	return r;
}

int hold_components_activate(const struct hold_component *components, struct error *err)
{
	static const char *const options[] = { "-ay", "-y", NULL };
	int r = 0;

	/* One at a time: of several hidden LVs LVM activates none. */
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX && !r; i++)
		r = components_change(&components[i], 1, options, err);
	return r;
}

/* --- keeping it open --------------------------------------------------------------- */

/* The node: by number, as there may be no other name without udev. */
static int open_number(dev_t number, int flags)
{
	struct stat st;
	char *path;
	int fd, r = device_path_of_number(&path, number);

	if (r)
		return r;
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
	free(path);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISBLK(st.st_mode) && st.st_rdev == number)
		return fd;
	close(fd);
	return -ENODEV;
}

int hold_component_open(struct hold_component *component, struct error *err)
{
	struct mapped_device device, again;
	int r = hold_component_find(&device, component->id, err);

	if (r == -ENXIO)
		return error_operation(err, ENXIO, "lvchange -ay %s/%s made no device: does lvm.conf "
				       "keep it from being active here (activation/volume_list)?",
				       component->vg_name, component->lv_name);
	if (r)
		return r;
	component->number = device.number;
	component->fd = open_number(device.number, O_RDONLY);
	if (component->fd < 0)
		return error_operation(err, -component->fd, "cannot open %s: %s", device.name,
				       error_reason(component->fd));
	/* From here on it cannot be removed; but was it, in between, and is the number
	 * another's? */
	r = hold_component_find(&again, component->id, err);
	if (!r && again.number == device.number)
		return 0;
	return r && r != -ENXIO ? r :
	       error_operation(err, EAGAIN, "%s was deactivated by somebody else at this moment: try "
			       "again", device.name);
}

/* --- taking it down ------------------------------------------------------------------ */

/* The components that are active still, alone, so that LVM is told of no other. What can be
 * written is none but part of an active mirror. */
static int find_active(struct hold_component active[HOLD_COMPONENTS_MAX],
		       const struct hold_component *components, struct error *err)
{
	struct mapped_device device;
	int nr = 0;

	memset(active, 0, HOLD_COMPONENTS_MAX * sizeof(*active));
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++) {
		int r;

		if (!hold_component_used(&components[i]))
			continue;
		r = hold_component_find(&device, components[i].id, err);
		if (r && r != -ENXIO)
			return r;
		if (r || !device.read_only)
			continue;
		active[i] = components[i];
		active[i].number = device.number;
		nr++;
	}
	return nr;
}

/* LV and group may have been renamed since. */
static void rename_active(struct hold_component active[HOLD_COMPONENTS_MAX],
			  const struct lvm_report *report)
{
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++) {
		const struct lvm_vg *vg = NULL;
		const struct lvm_lv *lv = NULL;

		if (hold_component_used(&active[i]))
			lv = lvm_report_lv_of_uuid(report, active[i].id, &vg);
		if (lv && vg) {
			active[i].vg_name = vg->name;
			active[i].lv_name = lv->name;
		}
	}
}

static int remove_device(const struct hold_component *component, struct error *err)
{
	struct mapped_device device;
	int r = hold_component_find(&device, component->id, err);

	if (r)
		return r == -ENXIO ? 0 : r;
	return dm_map_remove(device.uuid, err);
}

/* False: LVM has not answered, and waiting for it again would not help. */
static bool lvm_deactivate(const struct hold_component active[HOLD_COMPONENTS_MAX])
{
	static const char *const options[] = { "-an", NULL };
	int r = components_change(active, HOLD_COMPONENTS_MAX, options, NULL);

	return r != -ETIMEDOUT && r != -ECANCELED;
}

int hold_components_deactivate(struct hold_component *components, struct error *err)
{
	struct hold_component active[HOLD_COMPONENTS_MAX];
	struct lvm_report report = { 0 };
	bool answered = false;
	int nr, r = 0;

	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++) {
		if (hold_component_used(&components[i]) && components[i].fd >= 0)
			close(components[i].fd);
		components[i].fd = -1;
		components[i].number = 0;	/* soon another's */
	}
	nr = find_active(active, components, err);
	if (nr > 0) {
		answered = lvm_deactivate(active);
		nr = find_active(active, components, err);
	}
	if (nr > 0 && answered && !lvm_report_read(&report, NULL, NULL)) {
		rename_active(active, &report);
		lvm_deactivate(active);
		nr = find_active(active, components, err);
	}
	lvm_report_free(&report);
	/* LVM does not want to, or cannot: the group was exported meanwhile, somebody keeps
	 * it locked, or something else is wrong with it. */
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX && nr > 0; i++)
		if (hold_component_used(&active[i])) {
			int code = remove_device(&active[i], err);

			r = r ? r : code;
		}
	return nr < 0 ? nr : r;
}

void hold_components_free(struct hold_component *components)
{
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++) {
		free(components[i].vg_name);
		free(components[i].lv_name);
		free(components[i].map_path);
		memset(&components[i], 0, sizeof(components[i]));
		components[i].fd = -1;
	}
}

char *hold_components_by_hand(const struct hold_component *components)
{
	char *text = NULL, name[128];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("dmsetup remove", out);
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		if (hold_component_used(&components[i])) {
			hold_map_name(name, &components[i]);
			fprintf(out, " %s", name);
		}
	fputs("; lvchange -an", out);
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		if (hold_component_used(&components[i]))
			fprintf(out, " %s/%s", components[i].vg_name, components[i].lv_name);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}
