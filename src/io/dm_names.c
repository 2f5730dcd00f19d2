/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/dm_names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/mirror_table.h"
#include "io/lvm.h"

#define LVM_PREFIX "LVM-"
#define LVM_ID_LENGTH 32u		/* of a VG or an LV, without dashes */
#define LVM_IDS_END (strlen(LVM_PREFIX) + 2 * LVM_ID_LENGTH)
#define LAYERS_MAX 4u

/* One reading of the word, the device that it leads to, and the mirror under that. */
struct match {
	const struct mapped_device *named;
	const struct mapped_device *device;
	const char *how;
};

struct search {
	const char *word;
	const struct mapped_device *devices;
	size_t nr_devices;
	struct match matches[2];
	unsigned int nr_matches;
};

static bool device_is_mirror(const struct mapped_device *device)
{
	struct mapped_table table;
	bool is_mirror;

	if (mapped_table_read(&table, device->number, MAPPED_TABLE, NULL))
		return false;
	is_mirror = mapped_table_mirror(&table, 0) != NULL;
	mapped_table_free(&table);
	return is_mirror;
}

static const struct mapped_device *search_device(const struct search *search, dev_t number)
{
	for (size_t i = 0; i < search->nr_devices; i++)
		if (search->devices[i].number == number)
			return &search->devices[i];
	return NULL;
}

/* --- layers ------------------------------------------------------------------------ */

static bool is_lvm_uuid(const char *uuid)
{
	return !strncmp(uuid, LVM_PREFIX, strlen(LVM_PREFIX)) && strlen(uuid) >= LVM_IDS_END;
}

bool mapped_is_conversion_layer(const struct mapped_device *device)
{
	return is_lvm_uuid(device->uuid) && strstr(device->name, "_mimagetmp_");
}

/* "253:3" of "253:3 253:4 P 8". */
static const struct mapped_device *first_device(const struct search *search, const char *params)
{
	char word[32];
	dev_t number;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(params, " "), params);
	return device_number_parse(&number, word) ? search_device(search, number) : NULL;
}

/* The layer that a conversion has put below: its leg 0. */
static const struct mapped_device *conversion_layer(const struct search *search,
						    const struct mapped_target *target)
{
	const struct mapped_device *layer = NULL;
	struct mirror mirror = { 0 };
	dev_t number;

	if (!mirror_table_parse_params(&mirror, target->start, target->length, target->params,
				       NULL) &&
	    mirror.log_kind == MIRROR_LOG_CORE && !mirror.legs[0].missing &&
	    device_number_parse(&number, mirror.legs[0].device))
		layer = search_device(search, number);
	mirror_free(&mirror);
	return layer && mapped_is_conversion_layer(layer) ? layer : NULL;
}

/* What holds the mirror in place of `device`; NULL: it does so itself, or nothing does. */
static const struct mapped_device *layer_below(const struct search *search,
					       const struct mapped_device *device)
{
	const struct mapped_device *layer = NULL;
	const struct mapped_target *target;
	struct mapped_table table;

	if (mapped_table_read(&table, device->number, MAPPED_TABLE, NULL))
		return NULL;
	target = table.nr_targets == 1 ? &table.targets[0] : NULL;
	if (target && (!strcmp(target->type, "snapshot-origin") ||
		       !strcmp(target->type, "snapshot-merge")))
		layer = first_device(search, target->params);
	else if (target && !strcmp(target->type, "mirror"))
		layer = conversion_layer(search, target);
	mapped_table_free(&table);
	return layer && device_is_mirror(layer) ? layer : NULL;
}

static int match_note(char **note, const struct match *match)
{
	*note = NULL;
	if (match->named == match->device)
		return 0;
	if (mapped_is_conversion_layer(match->device))
		return asprintf(note, "%s is being converted by LVM: this is the mirror below it, "
				"%s, which keeps the log; legs that are being added are not looked "
				"at until the conversion has ended", match->named->name,
				match->device->name);
	return asprintf(note, "%s is the origin of a snapshot: its mirror is the layer below, %s",
			match->named->name, match->device->name);
}

bool mapped_lv_name(char *name, size_t room, const struct mapped_device *device)
{
	static const char real[] = "-real";
	char *vg, *lv;
	size_t length;
	bool fits;

	if (!is_lvm_uuid(device->uuid) || !lvm_dm_name_split(&vg, &lv, device->name))
		return false;
	length = strlen(lv);
	/* A name of two parts only has a hyphen of its own doubled. */
	if (length > strlen(real) && !strcmp(lv + length - strlen(real), real) &&
	    strlen(device->uuid) > LVM_IDS_END)
		lv[length - strlen(real)] = '\0';
	fits = (size_t)snprintf(name, room, "%s/%s", vg, lv) < room;
	free(vg);
	free(lv);
	return fits;
}

bool lv_name_is_pvmove(const char *lv)
{
	return !strncmp(lv, "pvmove", 6) && isdigit((unsigned char)lv[6]);
}

/* --- readings ------------------------------------------------------------------------ */

static void search_add(struct search *search, const struct mapped_device *named,
		       const char *how)
{
	const struct mapped_device *device = named, *below;
	unsigned int i;

	for (i = 0; i < LAYERS_MAX && (below = layer_below(search, device)) != NULL; i++)
		device = below;
	for (i = 0; i < search->nr_matches; i++)
		if (search->matches[i].device == device)
			return;
	if (search->nr_matches < 2)
		search->matches[search->nr_matches++] = (struct match){ named, device, how };
}

static void search_number(struct search *search, dev_t number, const char *how)
{
	const struct mapped_device *device = search_device(search, number);

	if (device)
		search_add(search, device, how);
}

static const struct mapped_device *search_name(const struct search *search, const char *name)
{
	size_t i;

	for (i = 0; i < search->nr_devices; i++)
		if (!strcmp(search->devices[i].name, name))
			return &search->devices[i];
	return NULL;
}

int mapped_name_of_lv(char *name, size_t room, const char *word)
{
	const char *slash = strchr(word, '/');
	size_t used = 0;

	if (!slash || slash == word || !slash[1] || strchr(slash + 1, '/'))
		return -EINVAL;
	for (; *word; word++) {
		size_t copies = *word == '-' ? 2 : 1;

		if (used + copies >= room)
			return -EINVAL;
		while (copies--)
			name[used++] = *word == '/' ? '-' : *word;
	}
	name[used] = '\0';
	return 0;
}

static void search_lv(struct search *search, const char *word)
{
	const struct mapped_device *device;
	char name[128];

	if (mapped_name_of_lv(name, sizeof(name), word))
		return;
	device = search_name(search, name);
	if (device)
		search_add(search, device, "logical volume");
}

/* Nodes under /dev are made by udev; where there is none the names still tell. */
static void search_path(struct search *search)
{
	static const char mapper[] = "/dev/mapper/", dev[] = "/dev/";
	const struct mapped_device *device;
	struct stat st;

	if (!stat(search->word, &st)) {
		if (S_ISBLK(st.st_mode))
			search_number(search, st.st_rdev, "block device");
	} else if (!strncmp(search->word, mapper, strlen(mapper))) {
		device = search_name(search, search->word + strlen(mapper));
		if (device)
			search_add(search, device, "dm name");
	} else if (!strncmp(search->word, dev, strlen(dev))) {
		search_lv(search, search->word + strlen(dev));
	}
}

/* "Wu5pJS-q3xo-…": 6-4-4-4-4-4-6 characters, as lvs prints it, into 32; or the 32
 * themselves. */
static bool lv_uuid_parse(char id[LVM_ID_LENGTH + 1], const char *word)
{
	static const unsigned char groups[] = { 6, 4, 4, 4, 4, 4, 6 };
	size_t g, i, used = 0;
	bool plain = strlen(word) == LVM_ID_LENGTH;

	for (g = 0; g < sizeof(groups); g++) {
		if (g && !plain && *word++ != '-')
			return false;
		for (i = 0; i < groups[g]; i++, word++) {
			if (!isalnum((unsigned char)*word))
				return false;
			id[used++] = *word;
		}
	}
	id[used] = '\0';
	return !*word;
}

bool mapped_uuid_matches(const char *uuid, const char *word)
{
	char id[LVM_ID_LENGTH + 1];

	if (!*word || !*uuid)
		return false;
	if (!strcmp(uuid, word))
		return true;
	if (!is_lvm_uuid(uuid))
		return false;
	if (is_lvm_uuid(word))
		return !strncmp(uuid, word, LVM_IDS_END);
	return lv_uuid_parse(id, word) &&
	       !strncmp(uuid + LVM_IDS_END - LVM_ID_LENGTH, id, LVM_ID_LENGTH);
}

/* An exact uuid names one device. LVM's ids may stand for a volume and its
 * layers: then the mirror among them is meant, and without one all are listed. */
static void search_uuid(struct search *search)
{
	const struct mapped_device *mirror = NULL;
	unsigned int nr_mirrors = 0;
	size_t i;

	for (i = 0; i < search->nr_devices; i++) {
		const struct mapped_device *device = &search->devices[i];

		if (mapped_uuid_matches(device->uuid, search->word) && device_is_mirror(device)) {
			mirror = device;
			nr_mirrors++;
		}
	}
	for (i = 0; i < search->nr_devices; i++)
		if (mapped_uuid_matches(search->devices[i].uuid, search->word) &&
		    (nr_mirrors != 1 || &search->devices[i] == mirror))
			search_add(search, &search->devices[i], "uuid");
}

static void search_all(struct search *search)
{
	const struct mapped_device *device;
	dev_t number;

	search_path(search);
	if (search->word[0] != '/')
		search_lv(search, search->word);
	device = search_name(search, search->word);
	if (device)
		search_add(search, device, "dm name");
	search_uuid(search);
	if (device_number_parse(&number, search->word))
		search_number(search, number, "device number");
}

/* What else the word may be, when it is no dm device. */
static int refuse_word(const char *word, struct error *err)
{
	struct stat st;

	if (!stat(word, &st) && S_ISREG(st.st_mode))
		return error_usage(err, "%s is a regular file: give image files with --leg and "
				   "--log, a table with --table", word);
	if (!stat(word, &st) && S_ISBLK(st.st_mode))
		return error_usage(err, "%s is a block device but no dm device, so no mirror: give "
				   "legs and log with --leg and --log", word);
	return error_operation(err, ENXIO, "no active mirror is called %s (looked for a block device, "
			       "a dm name, a uuid and a number): give an inactive one as VG/LV, with "
			       "--leg and --log, or --table", word);
}

static int search_result(struct mapped_device *found, char **note, const struct search *search,
			 struct error *err)
{
	const struct match *first = &search->matches[0], *second = &search->matches[1];

	if (!search->nr_matches)
		return refuse_word(search->word, err);
	if (search->nr_matches > 1)
		return error_usage(err, "%s names two devices: %s (%u:%u, by its %s) and %s (%u:%u, "
				   "by its %s): give /dev/mapper/NAME of the one you mean",
				   search->word, first->device->name, major(first->device->number),
				   minor(first->device->number), first->how, second->device->name,
				   major(second->device->number), minor(second->device->number),
				   second->how);
	if (match_note(note, first) < 0) {
		*note = NULL;
		return error_operation(err, ENOMEM, "not enough memory to look for %s", search->word);
	}
	*found = *first->device;
	found->diskseq = mapped_diskseq(found->number);
	return 0;
}

int mapped_device_find(struct mapped_device *found, char **note, const char *word,
		       struct error *err)
{
	struct mapped_device *devices = NULL;
	struct search search = { .word = word };
	struct error why = { 0 };
	struct stat st;
	int ret;

	memset(found, 0, sizeof(*found));
	*note = NULL;
	ret = mapped_device_list(&devices, &search.nr_devices, &why);
	if (ret) {
		/* What can never be a mirror's name is wrong on any machine. */
		if (!stat(word, &st) && S_ISREG(st.st_mode))
			return refuse_word(word, err);
		return error_operation(err, -ret, "cannot look for %s: %s (image files and devices "
				       "can be given with --leg and --log)", word, why.text);
	}
	search.devices = devices;
	search_all(&search);
	ret = search_result(found, note, &search, err);
	free(devices);
	return ret;
}
