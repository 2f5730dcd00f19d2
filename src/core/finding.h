/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_FINDING_H
#define CORE_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mirror.h"
#include "core/mirror_log.h"

/*
 * Everything that can be wrong, or merely odd, one row each: a stable id (part
 * of the JSON interface), a sentence for people, what the kernel does about it
 * at the next resume, and what it means for the exit status. To add one: a
 * FINDING_* constant, a row in finding.c, a line in mirrorctl-json(5).
 */
enum finding_id {
	FINDING_LOG_MAGIC_ZERO,
	FINDING_LOG_MAGIC_FOREIGN,
	FINDING_LOG_MAGIC_BIG_ENDIAN,
	FINDING_LOG_HEADER_GARBAGE,
	FINDING_LOG_VERSION_ONE,
	FINDING_LOG_VERSION_UNKNOWN,
	FINDING_LOG_REGIONS_UNSET,
	FINDING_LOG_REGIONS_WRAP,
	FINDING_LOG_REGIONS_FEWER,
	FINDING_LOG_REGIONS_MORE,
	FINDING_LOG_BITS_DISCARDED,
	FINDING_LOG_PADDING_SET,
	FINDING_LOG_PADDING_ONES,
	FINDING_LOG_TAIL_SET,
	FINDING_LOG_TOO_SMALL,
	FINDING_LOG_HEADER_TRUNCATED,
	FINDING_LOG_PANICS_KERNEL,
	FINDING_LOG_SIGNATURE,
	FINDING_LEG_SIGNATURE_PV,
	FINDING_TABLE_SYNC,
	FINDING_TABLE_NOSYNC,
	FINDING_NO_HANDLE_ERRORS,
	FINDING_HEALTH_LEG,
	FINDING_HEALTH_LOG,
	FINDING_MORE_CLEAN_THAN_SYNC,
	FINDING_LEG_MISSING,
	FINDING_BUFFERED_READS,
	FINDING_NOTE,
	FINDING_BOGUS_CLEAN,
	FINDING_SUSPECT,
	FINDING_SUSPECT_CORE_LOG,
	FINDING_UNVERIFIABLE,
	FINDING_CHANGED,
	FINDING_UNFINISHED,
	FINDING_LOG_UNREAD,
	FINDING_LOG_DAEMON,
	FINDING_STATUS_UNREAD,
	FINDING_LAYOUT_UNREAD,
	FINDING_SUSPENDED,
	FINDING_ABANDONED,
	FINDING_COUNT,
};

enum finding_class {
	FINDING_CLASS_NOTE,	/* worth knowing: exit status untouched */
	FINDING_CLASS_WARNING,	/* will surprise somebody: exit status untouched */
	FINDING_CLASS_WRONG,	/* 4: a lie, or information that is being lost */
	FINDING_CLASS_UNKNOWN,	/* 8: something could not be determined */
	FINDING_CLASS_UNFINISHED,	/* 32: ended before the end */
};

struct finding_row {
	const char *id;
	enum finding_class class;
	const char *text;
	const char *kernel;	/* at the next resume; NULL: nothing in particular */
	const char *remedy;	/* what to do about it; NULL: nothing, or it depends.
				 * Rows that have one are also told on stderr */
};

const struct finding_row *finding_row(enum finding_id id);

struct finding {
	enum finding_id id;
	char detail[640];	/* figures and names of this case, or a line to type; may be
				 * empty */
	bool repaired;		/* by this run: the exit status does not count it */
};

#define FINDINGS_MAX 64u

/* What one run found, in the order in which it was found. */
struct finding_list {
	struct finding items[FINDINGS_MAX];
	size_t nr;
};

/* The detail is a printf format. Past FINDINGS_MAX findings are dropped: every
 * id appears a bounded number of times (per leg at most). */
void finding_add(struct finding_list *list, enum finding_id id, const char *detail, ...)
	__attribute__((format(printf, 3, 4)));

/* Marks all findings with this id. */
void finding_mark_repaired(struct finding_list *list, enum finding_id id);

/* The exit status that the findings add up to (fsck(8)'s bits). */
int finding_exit_status(const struct finding_list *list);

/* One finding for each defect of the log, with its figures. */
void finding_add_log_defects(struct finding_list *list, const struct mirror_log *log,
			     const struct region_geometry *geometry);

/* One for each property of the table and status that bears on trust in the
 * log; `log` may be NULL (then no counts are compared). */
void finding_add_mirror(struct finding_list *list, const struct mirror *mirror,
			const struct mirror_log *log);

#endif
