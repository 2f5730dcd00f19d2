/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which words mean a logical volume. */

#include "io/lvm.h"

#include <stdlib.h>
#include <string.h>

#define NAME_ROOM LVM_NAME_ROOM
#define LVM_PREFIX "LVM-"
#define ID_LENGTH 32u

static bool is_one_of(const char *characters, char c)
{
	return c && strchr(characters, c) != NULL;
}

static bool is_letter(char c)
{
	return is_one_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", c);
}

/* What LVM allows (validate_name): it takes such names as words of its own. */
static bool is_name(const char *name, size_t length)
{
	if (!length || length >= NAME_ROOM || name[0] == '-' ||
	    (length == 1 && name[0] == '.') || (length == 2 && !strncmp(name, "..", 2)))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_letter(name[i]) && !is_one_of("+_.-", name[i]))
			return false;
	return true;
}

static bool two_names(char **vg_name, char **lv_name, const char *vg, size_t vg_length,
		      const char *lv, size_t lv_length)
{
	if (!is_name(vg, vg_length) || !is_name(lv, lv_length))
		return false;
	*vg_name = strndup(vg, vg_length);
	*lv_name = strndup(lv, lv_length);
	if (*vg_name && *lv_name)
		return true;
	free(*vg_name);
	free(*lv_name);
	*vg_name = *lv_name = NULL;
	return false;
}

/* --- dm names ----------------------------------------------------------------------- */

char *lvm_dm_name(const char *vg_name, const char *lv_name)
{
	const char *parts[] = { vg_name, lv_name };
	char *name = malloc(2 * (strlen(vg_name) + strlen(lv_name)) + 2), *out = name;

	for (size_t i = 0; name && i < 2; i++) {
		for (const char *at = parts[i]; *at; at++) {
			if (*at == '-')
				*out++ = '-';
			*out++ = *at;
		}
		*out++ = i ? '\0' : '-';
	}
	return name;
}

/* A doubled hyphen is one, a single one ends the part. Returns the length taken. */
static size_t part_undouble(char *part, const char *name)
{
	const char *at = name;

	while (*at && (*at != '-' || at[1] == '-')) {
		at += *at == '-';
		*part++ = *at++;
	}
	*part = '\0';
	return (size_t)(at - name);
}

/* Layers are named behind a single hyphen: "vg-lv-real". */
static bool layer_take(char *lv, size_t room, const char *rest)
{
	size_t used = strlen(lv);

	if (!*rest)
		return true;
	if (!rest[1] || strchr(rest + 1, '-') || used + strlen(rest) >= room)
		return false;
	strcpy(lv + used, rest);
	return true;
}

bool lvm_dm_name_split(char **vg_name, char **lv_name, const char *dm_name)
{
	char vg[2 * NAME_ROOM], lv[2 * NAME_ROOM];
	size_t taken;

	*vg_name = *lv_name = NULL;
	if (strlen(dm_name) >= sizeof(vg))
		return false;
	taken = part_undouble(vg, dm_name);
	if (dm_name[taken] != '-')
		return false;
	dm_name += taken + 1;
	taken = part_undouble(lv, dm_name);
	return layer_take(lv, sizeof(lv), dm_name + taken) &&
	       two_names(vg_name, lv_name, vg, strlen(vg), lv, strlen(lv));
}

/* --- the words ------------------------------------------------------------------------ */

/* "Wu5pJS-q3xo-…": 6-4-4-4-4-4-6 letters as lvs prints them; 32 of them without the
 * hyphens; or a dm uuid, "LVM-" and 64, and perhaps a layer's suffix. */
static bool is_uuid(const char *word)
{
	static const unsigned char groups[] = { 6, 4, 4, 4, 4, 4, 6 };
	size_t letters = 0, at = 0;
	bool mapped = !strncmp(word, LVM_PREFIX, strlen(LVM_PREFIX));

	if (mapped)
		word += strlen(LVM_PREFIX);
	while (is_letter(word[letters]))
		letters++;
	if (mapped)
		return letters == 2 * ID_LENGTH && (!word[letters] || word[letters] == '-');
	if (letters == ID_LENGTH)
		return !word[letters];
	for (size_t i = 0; i < sizeof(groups); i++) {
		for (size_t n = 0; n < groups[i]; n++)
			if (!is_letter(word[at++]))
				return false;
		if (word[at++] != (i + 1 < sizeof(groups) ? '-' : '\0'))
			return false;
	}
	return true;
}

/* Of a dm uuid the two ids only. */
static char *uuid_copy(const char *word)
{
	if (strncmp(word, LVM_PREFIX, strlen(LVM_PREFIX)))
		return strdup(word);
	return strndup(word + strlen(LVM_PREFIX), 2 * ID_LENGTH);
}

bool lvm_name_parse(char **vg_name, char **lv_name, char **uuid, const char *name)
{
	static const char mapper[] = "/dev/mapper/", dev[] = "/dev/";
	const char *slash;

	*vg_name = *lv_name = *uuid = NULL;
	if (!strncmp(name, mapper, strlen(mapper)))
		return lvm_dm_name_split(vg_name, lv_name, name + strlen(mapper));
	if (!strncmp(name, dev, strlen(dev)))
		name += strlen(dev);
	else if (is_uuid(name))
		return (*uuid = uuid_copy(name)) != NULL;
	slash = strchr(name, '/');
	return slash && two_names(vg_name, lv_name, name, (size_t)(slash - name), slash + 1,
				  strlen(slash + 1));
}
