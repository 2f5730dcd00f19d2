/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the text and the JSON of `list` share. */

#include "cli/report_list.h"

#include <stdio.h>

void report_list_findings(const struct list_report *report, size_t i,
			  void (*tell)(void *context, const struct listed_mirror *part,
				       const struct finding *finding), void *context)
{
	const struct mirror_list *list = report->list;

	if (!listed_mirror_is_shown(&list->mirrors[i]))
		return;
	for (size_t part = 0; part < list->nr; part++) {
		struct finding_list findings;

		if (list->mirrors[part].owner != i)
			continue;
		findings.nr = 0;	/* large: not cleared for mirrors that are passed over */
		listed_mirror_judge(&findings, &list->mirrors[part]);
		for (size_t f = 0; f < findings.nr; f++)
			tell(context, &list->mirrors[part], &findings.items[f]);
	}
}

const char *report_list_activity(const struct listed_mirror *listed)
{
	static const char *const names[] = {
		[MIRROR_INACTIVE] = "inactive", [MIRROR_ACTIVE] = "active",
		[MIRROR_SUSPENDED] = "suspended",
	};

	return names[listed->mirror.activity];
}

const char *report_list_log(const struct listed_mirror *listed)
{
	static const char *const names[] = {
		[LISTED_LOG_CORE] = "core", [LISTED_LOG_DISK] = "disk",
		[LISTED_LOG_MIRRORED] = "mirrored", [LISTED_LOG_OTHER] = "other",
	};

	return names[listed->log_kind];
}

const char *report_list_group(const struct listed_mirror *listed)
{
	static const char *const names[] = {
		[LISTED_GROUP_EXPORTED] = "exported", [LISTED_GROUP_CLUSTERED] = "clustered",
		[LISTED_GROUP_SHARED] = "shared", [LISTED_GROUP_FOREIGN] = "foreign",
		[LISTED_GROUP_TWICE] = "duplicate",
	};

	return names[listed->group];
}

const char *report_list_kind(const struct listed_mirror *listed)
{
	switch (listed->kind) {
	case LISTED_UNDER_SNAPSHOT: return "under a snapshot";
	case LISTED_CONVERTING: return "gets more legs";
	case LISTED_PVMOVE: return "pvmove";
	default: return NULL;
	}
}

const char *report_list_subject(char *out, size_t room, const struct listed_mirror *part)
{
	snprintf(out, room, "%s%s", part->name, part->kind == LISTED_LOG ? "'s log" :
		 part->kind == LISTED_UPPER ? "'s new legs" : "");
	return out;
}
