/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What lvm says on stderr while it reports, and puts into no field: in the C locale. */

#include "core/lvm_report_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The text behind `words`, which stand somewhere in the line, or NULL. */
static const char *behind(const char *line, size_t length, const char *words)
{
	size_t nr = strlen(words);

	for (size_t i = 0; i + nr <= length; i++)
		if (!memcmp(line + i, words, nr))
			return line + i + nr;
	return NULL;
}

/* Up to a blank, without the full stop of the sentence or a colon. NULL: no memory. */
static char *word_at(const char *at, const char *end)
{
	size_t length = 0;

	while (at + length < end && at[length] > ' ')
		length++;
	if (length && (at[length - 1] == '.' || at[length - 1] == ':'))
		length--;
	return strndup(at, length);
}

static struct lvm_pv *pv_of_uuid(const struct lvm_report *report, const char *uuid)
{
	for (size_t i = 0; *uuid && i < report->nr_vgs; i++)
		for (size_t j = 0; j < report->vgs[i].nr_pvs; j++)
			if (!lvm_uuid_compare(report->vgs[i].pvs[j].uuid, uuid))
				return &report->vgs[i].pvs[j];
	return NULL;
}

/* "Not using device D for PV U."; before 2.02.150 "Found duplicate PV U: using E not D" */
static int hear_of_duplicate(struct lvm_report *report, const char *line, const char *end)
{
	size_t length = (size_t)(end - line);
	const char *device = behind(line, length, "Not using device "), *uuid;
	char *name, *id;
	struct lvm_pv *pv;
	int r;

	if (device) {
		uuid = behind(device, (size_t)(end - device), " for PV ");
	} else {
		uuid = behind(line, length, "Found duplicate PV ");
		device = uuid ? behind(uuid, (size_t)(end - uuid), " not ") : NULL;
	}
	if (!device || !uuid)
		return 0;
	name = word_at(device, end);
	id = word_at(uuid, end);
	r = name && id ? 0 : -ENOMEM;
	pv = r ? NULL : pv_of_uuid(report, id);
	if (pv && !pv->duplicate) {
		pv->duplicate = name;
		name = NULL;
	}
	free(name);
	free(id);
	return r;
}

/* "Skipping clustered VG V" ("volume group" once) */
static int hear_of_skipped(struct lvm_report *report, const char *line, const char *end)
{
	const char *name = behind(line, (size_t)(end - line), "Skipping clustered VG ");

	if (!name)
		name = behind(line, (size_t)(end - line), "Skipping clustered volume group ");
	if (!name || report->skipped)
		return 0;
	report->skipped = word_at(name, end);
	return report->skipped ? 0 : -ENOMEM;
}

int lvm_report_hear(struct lvm_report *report, const char *said)
{
	int r = 0;

	while (*said && !r) {
		const char *end = said + strcspn(said, "\n");

		r = hear_of_duplicate(report, said, end);
		if (!r)
			r = hear_of_skipped(report, said, end);
		said = end + (*end == '\n');
	}
	return r;
}
