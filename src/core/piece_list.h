/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_PIECE_LIST_H
#define CORE_PIECE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/compare.h"

/*
 * Runs that come in pieces, in whatever order: neighbours of the same kind become one
 * run. Memory is bounded: of more than `max` runs those are kept that lie lowest, all
 * of them up to `truncated_at`, where the last one may be cut.
 */

#define PIECE_KINDS_MAX 64u

/* What sectors hold, when it is the same all along. */
struct piece_content {
	uint8_t content;		/* enum content */
	uint8_t byte;
};

struct piece {
	uint64_t start, count;		/* sectors, or regions */
	uint8_t kind;			/* < PIECE_KINDS_MAX: a leg, a pattern */
	uint8_t source;			/* of a write: the leg that it came from */
	struct piece_content held, given;	/* what a write replaces, and by what */
};

struct piece_list {
	struct piece *pieces;		/* owned; once finished: ascending, joined */
	size_t nr, room, max;
	bool truncated;
	uint64_t truncated_at;
};

void piece_list_init(struct piece_list *list, size_t max);
/* Accepts a zeroed one. */
void piece_list_free(struct piece_list *list);
/* Where memory is short the list is truncated. */
void piece_list_add(struct piece_list *list, const struct piece *piece);
/* Adds all of a finished list, and finishes. */
void piece_list_merge(struct piece_list *list, const struct piece_list *more);
/* Joins and sorts by start, then by kind: to be called before the list is looked at;
 * more may be added afterwards. */
void piece_list_finish(struct piece_list *list);

#endif
