/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/run_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICT_COUNT] = {
		[VERDICT_VERIFIED] = "verified",
		[VERDICT_BOGUS_CLEAN] = "bogus_clean",
		[VERDICT_EQUAL_NOT_CLEAN] = "equal_not_clean",
		[VERDICT_RESYNC_PENDING] = "resync_pending",
		[VERDICT_UNVERIFIABLE] = "unverifiable",
		[VERDICT_SUSPECT] = "suspect",
		[VERDICT_TRANSIENT] = "transient",
		[VERDICT_BUSY] = "busy",
		[VERDICT_NOT_COMPARED] = "not_compared",
	};

	return names[verdict];
}

/* Makes room for one more item: 1 grown or there, 0 at the limit, -ENOMEM. */
static int make_room(void **items, size_t item_bytes, size_t nr, size_t *room, size_t max)
{
	size_t wanted;
	void *grown;

	if (nr < *room)
		return 1;
	if (nr >= max)
		return 0;
	wanted = *room ? *room * 2 : 64;
	if (wanted > max)
		wanted = max;
	grown = realloc(*items, wanted * item_bytes);
	if (!grown)
		return -ENOMEM;
	*items = grown;
	*room = wanted;
	return 1;
}

void run_list_init(struct run_list *list, size_t max)
{
	memset(list, 0, sizeof(*list));
	list->max = max;
}

void run_list_free(struct run_list *list)
{
	free(list->runs);
	memset(list, 0, sizeof(*list));
}

static int close_run(struct run_list *list, struct sector_run *open)
{
	int r;

	if (!open->sectors)
		return 0;
	list->nr_runs[open->verdict]++;
	r = make_room((void **)&list->runs, sizeof(*list->runs), list->nr, &list->room, list->max);
	if (r == 0)
		list->truncated = true;
	if (r > 0)
		list->runs[list->nr++] = *open;
	open->sectors = 0;
	return r < 0 ? r : 0;
}

static bool continues(const struct sector_run *open, const struct sector_run *piece)
{
	return open->sectors && open->start + open->sectors == piece->start &&
	       open->against == piece->against && open->error == piece->error;
}

int run_list_add(struct run_list *list, const struct sector_run *piece)
{
	struct sector_run *open = &list->open[piece->verdict][piece->leg];
	int r;

	list->sectors[piece->verdict] += piece->sectors;
	if (!continues(open, piece)) {
		r = close_run(list, open);
		*open = *piece;
		return r;
	}
	open->sectors += piece->sectors;
	open->one_bit = false;
	open->equal_legs &= piece->equal_legs;
	if (open->content != piece->content || open->byte != piece->byte)
		open->content = CONTENT_OTHER;
	if (open->against_content != piece->against_content ||
	    open->against_byte != piece->against_byte)
		open->against_content = CONTENT_OTHER;
	return 0;
}

/* Closed runs are never changed before the list is finished, so the first ones
 * are still what they were. */
void run_list_rollback(struct run_list *list, const struct run_list *mark)
{
	struct sector_run *runs = list->runs;
	size_t room = list->room;

	*list = *mark;
	list->runs = runs;
	list->room = room;
}

static int compare_runs(const void *a, const void *b)
{
	const struct sector_run *left = a, *right = b;

	if (left->verdict != right->verdict)
		return left->verdict < right->verdict ? -1 : 1;
	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->leg < right->leg ? -1 : left->leg > right->leg;
}

int run_list_finish(struct run_list *list)
{
	int r = 0;

	for (unsigned int verdict = 0; verdict < VERDICT_COUNT; verdict++)
		for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
			if (close_run(list, &list->open[verdict][leg]))
				r = -ENOMEM;
	if (list->nr)
		qsort(list->runs, list->nr, sizeof(*list->runs), compare_runs);
	return r;
}

void region_verdicts_init(struct region_verdicts *list, size_t max)
{
	memset(list, 0, sizeof(*list));
	list->max = max;
}

void region_verdicts_free(struct region_verdicts *list)
{
	free(list->runs);
	memset(list, 0, sizeof(*list));
}

int region_verdicts_add(struct region_verdicts *list, enum verdict verdict,
			uint64_t first, uint64_t last)
{
	struct region_verdict_run *tail = list->nr ? &list->runs[list->nr - 1] : NULL;
	int r;

	list->count[verdict] += last - first + 1;
	if (list->truncated)
		return 0;
	if (tail && tail->verdict == verdict && tail->last + 1 == first) {
		tail->last = last;
		return 0;
	}
	r = make_room((void **)&list->runs, sizeof(*list->runs), list->nr, &list->room, list->max);
	if (r > 0)
		list->runs[list->nr++] = (struct region_verdict_run){ verdict, first, last };
	if (r == 0) {
		list->truncated = true;
		list->truncated_at = first;
	}
	return r < 0 ? r : 0;
}
