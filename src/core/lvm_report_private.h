/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_LVM_REPORT_PRIVATE_H
#define CORE_LVM_REPORT_PRIVATE_H

#include <json-c/json.h>

#include "core/json_scan.h"
#include "core/lvm_report.h"

/*
 * What the rooms of the reader share: lvm_report.c takes the report apart and finds things
 * in it, lvm_report_rows.c hands out the rows of a section, lvm_report_fields.c reads one
 * field of a row, lvm_report_segments.c makes segments of rows.
 */

/* A row of one section: of all physical volumes, of all segments … */
struct lvm_row {
	struct json_object *object;
	const char *section;
	const struct lvm_vg *vg;	/* for errors; NULL while that is read itself */
};

/* The rows of one section, one at a time: a tree of the whole report would be ten times
 * as large as the report. */
struct lvm_rows {
	struct lvm_row row;		/* the one at hand; its object is owned */
	size_t nr;			/* how many there are */
	struct json_scan scan;
	struct json_tokener *tokener;	/* owned */
};

/* How many rows; none where there is no such section: a group without LVs has no list of
 * them. What is no list, and what is no row, is refused: rows are objects everywhere. */
int lvm_rows_count(size_t *nr, const struct json_wanted *section, struct error *err);
/* `vg` is for errors. However it ends, closed with lvm_rows_close(). */
int lvm_rows_open(struct lvm_rows *rows, const struct json_wanted *section,
		  const struct lvm_vg *vg, struct error *err);
/* Takes the next row; false where there is none, or with *r set when that failed. */
bool lvm_rows_next(struct lvm_rows *rows, int *r, struct error *err);
void lvm_rows_close(struct lvm_rows *rows);

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

/* The LVs' segments, from the rows of that section; the LVs are there and sorted. What
 * was read so far is freed with the group. */
int lvm_segments_read(struct lvm_vg *vg, struct lvm_rows *rows, struct error *err);
void lvm_segment_clear(struct lvm_segment *segment);

/* "strcmp" for uuids: with dashes, or without. */
int lvm_uuid_compare(const char *a, const char *b);

#endif
