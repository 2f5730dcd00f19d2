/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_MIRROR_LIST_H
#define IO_MIRROR_LIST_H

#include "core/listed_mirror.h"
#include "io/dm.h"

/*
 * Every mirror of this host: the active ones from device-mapper, whoever made them, the
 * inactive ones from LVM. Asked are the kernel, LVM and the logs; nothing is written,
 * activated, or opened with O_EXCL, and no leg is opened at all.
 */

/* Why a part of the host was not looked at. */
struct list_gap {
	char text[ERROR_TEXT_BYTES];
	bool harmless;		/* there can be nothing to look at */
};

#define LIST_GAPS_MAX 4u

struct mirror_list {
	struct listed_mirror *mirrors;	/* by name; parts of one (kinds LOG, UPPER) among them */
	size_t nr;
	char *left_over;	/* what a killed run left, and how it goes away; NULL: nothing */
	struct list_gap gaps[LIST_GAPS_MAX];
	unsigned int nr_gaps;
};

struct list_request {
	const char *run_directory;	/* of the markers of suspended mirrors */
	unsigned int answer_ms;		/* how long the device under a log may keep still */
	bool (*cancelled)(void *context);	/* may be NULL */
	void *context;
};

/* 0; -ECANCELED when `cancelled` said so; -errno with an error when even the little that
 * is needed is not there (memory). What could not be looked at is a gap, not an error.
 * Freed with mirror_list_free(), which accepts a zeroed one. */
int mirror_list_read(struct mirror_list *list, const struct list_request *request,
		     struct error *err);
void mirror_list_free(struct mirror_list *list);

#endif
