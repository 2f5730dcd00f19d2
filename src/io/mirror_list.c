/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/mirror_list_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/lvm_hold.h"

/* For a disk that hangs, or a lock: the rest is worth more. One that sleeps is awake by
 * then. */
#define LVM_IDLE_MS 20000u

/* --- what is gathered ----------------------------------------------------------------- */

struct listed_mirror *gathering_add(struct gathering *gathering, struct found_mirror **found)
{
	size_t room = gathering->room ? 2 * gathering->room : 16;
	void *mirrors, *finds;

	if (gathering->nr == gathering->room) {
		mirrors = reallocarray(gathering->mirrors, room, sizeof(*gathering->mirrors));
		if (mirrors)
			gathering->mirrors = mirrors;
		finds = reallocarray(gathering->found, room, sizeof(*gathering->found));
		if (finds)
			gathering->found = finds;
		if (!mirrors || !finds)
			return NULL;
		gathering->room = room;
	}
	*found = &gathering->found[gathering->nr];
	memset(*found, 0, sizeof(**found));
	memset(&gathering->mirrors[gathering->nr], 0, sizeof(*gathering->mirrors));
	return &gathering->mirrors[gathering->nr++];
}

void found_mirror_free(struct found_mirror *found)
{
	free(found->params);
	free(found->log_path);
	free(found->extents);
	free(found->stripes);
	free(found->log_lv);
}

/* All but the mirrors, which become the list's. */
static void gathering_free(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->nr; i++)
		found_mirror_free(&gathering->found[i]);
	free(gathering->found);
	free(gathering->devices);
	lvm_report_free(&gathering->report);
	free(gathering->system_id);
}

struct pair {
	struct listed_mirror listed;
	struct found_mirror found;
};

static int by_name(const void *one, const void *other)
{
	const struct listed_mirror *a = &((const struct pair *)one)->listed;
	const struct listed_mirror *b = &((const struct pair *)other)->listed;
	int order = strverscmp(a->name, b->name);

	return order ? order : (a->mirror.start > b->mirror.start) -
			       (a->mirror.start < b->mirror.start);
}

static int gathering_sort(struct gathering *gathering)
{
	struct pair *pairs = calloc(gathering->nr ? gathering->nr : 1, sizeof(*pairs));

	if (!pairs)
		return -ENOMEM;
	for (size_t i = 0; i < gathering->nr; i++)
		pairs[i] = (struct pair){ gathering->mirrors[i], gathering->found[i] };
	qsort(pairs, gathering->nr, sizeof(*pairs), by_name);
	for (size_t i = 0; i < gathering->nr; i++) {
		gathering->mirrors[i] = pairs[i].listed;
		gathering->mirrors[i].owner = i;
		gathering->found[i] = pairs[i].found;
	}
	free(pairs);
	return 0;
}

/* --- what cannot be asked ------------------------------------------------------------- */

static void gap_add(struct mirror_list *list, const struct error *err, bool harmless)
{
	struct list_gap *gap;

	if (list->nr_gaps == LIST_GAPS_MAX)
		return;
	gap = &list->gaps[list->nr_gaps++];
	snprintf(gap->text, sizeof(gap->text), "%s", err->text);
	gap->harmless = harmless;
}

static int ask_mapper(struct mirror_list *list, struct gathering *gathering)
{
	struct error err = { 0 };
	int r = gathering_add_active(gathering, &err);

	if (r && r != -ENOMEM)
		gap_add(list, &err, r == -ENODEV);
	gathering->mapper_asked = !r || r == -ENODEV;
	return r == -ENOMEM ? r : 0;
}

/* Asked only where some group says whose it is. */
static int ask_system_id(struct gathering *gathering)
{
	struct error ignored = { 0 };
	int r;

	for (size_t i = 0; i < gathering->report.nr_vgs; i++)
		if (*gathering->report.vgs[i].system_id) {
			r = lvm_host_system_id(&gathering->system_id, &ignored);
			return r == -ENOMEM || r == -ECANCELED ? r : 0;
		}
	return 0;
}

static int ask_lvm(struct mirror_list *list, struct gathering *gathering)
{
	struct error err = { 0 };
	int r;

	lvm_watch_cancel(gathering->request->cancelled, gathering->request->context);
	lvm_give_up_idle(LVM_IDLE_MS);
	r = lvm_report_read(&gathering->report, NULL, &err);
	if (!r)
		r = ask_system_id(gathering);
	lvm_give_up_idle(0);
	lvm_watch_cancel(NULL, NULL);
	if (!r && gathering->report.skipped)
		error_operation(&err, EOPNOTSUPP, "LVM skips the volume group %.128s, which is "
				"clustered: look for its mirrors on a host of the cluster",
				gathering->report.skipped);
	if ((!r && !err.kind) || r == -ENOMEM || r == -ECANCELED)
		return r;
	gap_add(list, &err, false);
	return 0;
}

/* --- the whole ------------------------------------------------------------------------ */

static int gather(struct mirror_list *list, struct gathering *gathering, struct error *err)
{
	/* LVM first: what is activated meanwhile is then seen as active. */
	int r = ask_lvm(list, gathering);

	if (!r)
		r = ask_mapper(list, gathering);
	if (!r)
		r = gathering_add_lvm(gathering);
	if (!r)
		r = gathering_sort(gathering);
	if (!r)
		r = gathering_relate(gathering);
	if (!r)
		r = gathering_look(gathering, err);
	return r == -ENOMEM ? error_operation(err, ENOMEM, "not enough memory to list the mirrors") : r;
}

int mirror_list_read(struct mirror_list *list, const struct list_request *request,
		     struct error *err)
{
	struct gathering gathering = { .request = request };
	int r;

	memset(list, 0, sizeof(*list));
	r = gather(list, &gathering, err);
	mapper_release();
	gathering_free(&gathering);
	list->left_over = r ? NULL : lvm_hold_leftovers();
	list->mirrors = gathering.mirrors;
	list->nr = gathering.nr;
	if (r)
		mirror_list_free(list);
	return r;
}

void mirror_list_free(struct mirror_list *list)
{
	for (size_t i = 0; i < list->nr; i++)
		listed_mirror_free(&list->mirrors[i]);
	free(list->mirrors);
	free(list->left_over);
	memset(list, 0, sizeof(*list));
}
