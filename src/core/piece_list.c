/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/piece_list.h"

#include <stdlib.h>
#include <string.h>

/* Sorting is put off until so many more have come than may be kept. */
#define SLACK 8192u

void piece_list_init(struct piece_list *list, size_t max)
{
	memset(list, 0, sizeof(*list));
	list->max = max;
}

void piece_list_free(struct piece_list *list)
{
	free(list->pieces);
	memset(list, 0, sizeof(*list));
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->kind < right->kind ? -1 : left->kind > right->kind;
}

static void join_content(struct piece_content *content, const struct piece_content *more)
{
	if (content->content != more->content || content->byte != more->byte)
		*content = (struct piece_content){ .content = CONTENT_OTHER };
}

static bool join(struct piece *piece, const struct piece *next)
{
	uint64_t behind = next->start - piece->start;	/* sorted: no less */

	if (piece->source != next->source || behind > piece->count)
		return false;
	if (behind + next->count > piece->count)
		piece->count = behind + next->count;
	join_content(&piece->held, &next->held);
	join_content(&piece->given, &next->given);
	return true;
}

/* What lies from there on is forgotten, and whatever comes there later. */
static void truncate_at(struct piece_list *list, uint64_t start)
{
	if (!list->truncated || start < list->truncated_at)
		list->truncated_at = start;
	list->truncated = true;
}

/* Of sorted pieces. */
static void cut(struct piece_list *list)
{
	while (list->nr && list->pieces[list->nr - 1].start >= list->truncated_at)
		list->nr--;
	for (size_t i = 0; i < list->nr; i++) {
		uint64_t room = list->truncated_at - list->pieces[i].start;

		if (list->pieces[i].count > room)
			list->pieces[i].count = room;
	}
}

void piece_list_finish(struct piece_list *list)
{
	size_t last[PIECE_KINDS_MAX], nr = 0;

	memset(last, 0xff, sizeof(last));
	if (list->nr)
		qsort(list->pieces, list->nr, sizeof(*list->pieces), compare_pieces);
	for (size_t i = 0; i < list->nr; i++) {
		struct piece *piece = &list->pieces[i];
		size_t *before = &last[piece->kind];

		if (*before != SIZE_MAX && join(&list->pieces[*before], piece))
			continue;
		*before = nr;
		list->pieces[nr++] = *piece;
	}
	list->nr = nr;
	if (nr > list->max)
		truncate_at(list, list->pieces[list->max].start);
	if (list->truncated)
		cut(list);
}

/* The last piece often goes on: in a run that writes everything they would be many. */
static bool goes_on(struct piece_list *list, const struct piece *piece)
{
	struct piece *last = list->nr ? &list->pieces[list->nr - 1] : NULL;

	return last && last->kind == piece->kind && piece->start > last->start &&
	       join(last, piece);
}

/* false: there is no memory. */
static bool make_room(struct piece_list *list)
{
	size_t most = list->max + SLACK, room = list->room ? list->room * 2 : 64;
	struct piece *grown;

	if (list->nr == most)
		piece_list_finish(list);
	if (list->nr < list->room)
		return true;
	if (room > most)
		room = most;
	grown = realloc(list->pieces, room * sizeof(*grown));
	if (!grown)
		return false;
	list->pieces = grown;
	list->room = room;
	return true;
}

void piece_list_add(struct piece_list *list, const struct piece *added)
{
	struct piece piece = *added;

	if (list->truncated && piece.start >= list->truncated_at)
		return;
	if (list->truncated && piece.count > list->truncated_at - piece.start)
		piece.count = list->truncated_at - piece.start;
	if (goes_on(list, &piece))
		return;
	if (make_room(list))
		list->pieces[list->nr++] = piece;
	else
		truncate_at(list, piece.start);
}

void piece_list_merge(struct piece_list *list, const struct piece_list *more)
{
	for (size_t i = 0; i < more->nr; i++)
		piece_list_add(list, &more->pieces[i]);
	if (more->truncated)
		truncate_at(list, more->truncated_at);
	piece_list_finish(list);
}
