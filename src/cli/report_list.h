/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_LIST_H
#define CLI_REPORT_LIST_H

#include "cli/opts.h"
#include "io/mirror_list.h"

/* What `list` found, and which of it was asked for. */
struct list_report {
	const struct mirror_list *list;
	const bool *wanted;		/* of each mirror; parts go with their owners */
	const struct report_words *words;
	struct list_gap *gaps;		/* the list's own, and words that name nothing */
	size_t nr_gaps;
	int exit_status;
};

/* Calls `tell` with everything that is to be said about the wanted mirror `i` and its
 * parts: `part` is the mirror that each is about. */
void report_list_findings(const struct list_report *report, size_t i,
			  void (*tell)(void *context, const struct listed_mirror *part,
				       const struct finding *finding), void *context);

/* "inactive", "active", "suspended"; "core", "disk", "mirrored", "other"; "exported" …,
 * NULL: nothing; what it is beside a mirror, NULL: nothing. */
const char *report_list_activity(const struct listed_mirror *listed);
const char *report_list_log(const struct listed_mirror *listed);
const char *report_list_group(const struct listed_mirror *listed);
const char *report_list_kind(const struct listed_mirror *listed);
/* "vg/home's log", for sentences. */
const char *report_list_subject(char *out, size_t room, const struct listed_mirror *part);

int report_list_text(const struct list_report *report, struct error *err);
void report_list_json(const struct list_report *report);

#endif
