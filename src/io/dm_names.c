/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/dm_names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LVM_PREFIX "LVM-"
#define LVM_ID_LENGTH 32u		/* of a VG or an LV, without dashes */
#define LVM_IDS_END (strlen(LVM_PREFIX) + 2 * LVM_ID_LENGTH)

/* One reading of the word, and the device that it leads to. */
struct match {
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

static void search_add(struct search *search, const struct mapped_device *device,
		       const char *how)
{
	unsigned int i;

	for (i = 0; i < search->nr_matches; i++)
		if (search->matches[i].device == device)
			return;
	if (search->nr_matches < 2)
		search->matches[search->nr_matches++] = (struct match){ device, how };
}

static void search_number(struct search *search, dev_t number, const char *how)
{
	size_t i;

	for (i = 0; i < search->nr_devices; i++)
		if (search->devices[i].number == number)
			search_add(search, &search->devices[i], how);
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

/* Under a thick snapshot the visible volume is only its origin, and the mirror
 * sits in the layer below, "vg-lv-real". */
static void search_lv(struct search *search, const char *word)
{
	const struct mapped_device *device, *layer = NULL;
	char name[128], real[136];

	if (mapped_name_of_lv(name, sizeof(name), word))
		return;
	snprintf(real, sizeof(real), "%s-real", name);
	device = search_name(search, name);
	layer = search_name(search, real);
	if (layer && (!device || (!device_is_mirror(device) && device_is_mirror(layer))))
		device = layer;
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

static bool is_lvm_uuid(const char *uuid)
{
	return !strncmp(uuid, LVM_PREFIX, strlen(LVM_PREFIX)) && strlen(uuid) >= LVM_IDS_END;
}

/* "Wu5pJS-q3xo-…": 6-4-4-4-4-4-6 characters, as lvs prints it, into 32. */
static bool lv_uuid_parse(char id[LVM_ID_LENGTH + 1], const char *word)
{
	static const unsigned char groups[] = { 6, 4, 4, 4, 4, 4, 6 };
	size_t g, i, used = 0;

	for (g = 0; g < sizeof(groups); g++) {
		if (g && *word++ != '-')
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
	char name[128];
	struct stat st;

	if (!stat(word, &st) && S_ISREG(st.st_mode))
		return error_usage(err, "%s is a regular file: give image files with --leg and "
				   "--log, a table with --table", word);
	if (!stat(word, &st) && S_ISBLK(st.st_mode))
		return error_usage(err, "%s is a block device but no dm device, so no mirror: give "
				   "legs and log with --leg and --log", word);
	if (!strncmp(word, "/dev/", 5) && strncmp(word, "/dev/mapper/", 12))
		word += 5;
	if (word[0] != '/' && !mapped_name_of_lv(name, sizeof(name), word))
		return error_operation(err, ENXIO, "%s is not active (there is no dm device %s), and "
				       "inactive LVM volumes are not read yet: give its parts with "
				       "--leg and --log, or --table", word, name);
	return error_operation(err, ENXIO, "no active mirror is called %s (looked for a block device, "
			       "a dm name, a uuid and a number): give an inactive one with --leg and "
			       "--log, or --table", word);
}

static int search_result(struct mapped_device *found, const struct search *search,
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
	*found = *first->device;
	return 0;
}

int mapped_device_find(struct mapped_device *found, const char *word, struct error *err)
{
	struct mapped_device *devices = NULL;
	struct search search = { .word = word };
	struct error why = { 0 };
	struct stat st;
	int ret;

	memset(found, 0, sizeof(*found));
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
	ret = search_result(found, &search, err);
	free(devices);
	return ret;
}
