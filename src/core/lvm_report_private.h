/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LVM_REPORT_PRIVATE_H
#define CORE_LVM_REPORT_PRIVATE_H

#include <json-c/json.h>

#include "core/lvm_report.h"

/*
 * What the rooms of the reader share: lvm_report.c takes the report apart and finds things
 * in it, lvm_report_fields.c reads one field of a row, lvm_report_segments.c makes
 * segments of rows.
 */

/* A row of one section: of all physical volumes, of all segments … */
struct lvm_row {
	struct json_object *object;
	const char *section;
	const struct lvm_vg *vg;	/* for errors; NULL while that is read itself */
};

/* -EBADMSG: "what lvm reports …: <the formatted text>". */
__attribute__((format(printf, 2, 3)))
int lvm_report_refuse(struct error *err, const char *format, ...);
/* -ENOMEM. */
int lvm_report_no_memory(struct error *err);

/* Fields are NUL-terminated text, or numbers where LVM prints them so. A missing one and
 * JSON's null are empty; where `needed` that is refused. Text is allocated. */
int lvm_row_text(char **text, const struct lvm_row *row, const char *field, bool needed,
		 struct error *err);
/* Digits alone, with or without the unit "s" behind them, at most `max`. */
int lvm_row_number(uint64_t *number, const struct lvm_row *row, const char *field, uint64_t max,
		   bool needed, struct error *err);
/* LVM's yes: any word, or 1 with --binary; no and unknown are "", "0", "-1", "unknown". */
int lvm_row_flag(bool *flag, const struct lvm_row *row, const char *field, struct error *err);
/* Is a field there at all? */
bool lvm_row_has(const struct lvm_row *row, const char *field);

/* The LVs' segments, from the section of that name; the LVs are there and sorted. What
 * was read so far is freed with the group. */
int lvm_segments_read(struct lvm_vg *vg, struct json_object *section, struct error *err);
void lvm_segment_clear(struct lvm_segment *segment);

/* "strcmp" for uuids: with dashes, or without. */
int lvm_uuid_compare(const char *a, const char *b);

#endif
