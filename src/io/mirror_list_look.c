/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Status, log, status: what the kernel and the logs say of each listed mirror. */

#include "io/mirror_list_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS 100000000L	/* between looks */

/* The 2006 kernel's status has no letters, a daemon's log no counts: what there is. */
static bool status_read(struct mirror_status *status, struct sync_look *look,
			const struct listed_mirror *listed, const struct found_mirror *found)
{
	const struct mapped_target *target;
	struct mapped_device device;
	struct mapped_table table;
	struct error ignored = { 0 };
	bool known;

	if (mapped_table_read_of(&device, &table, found->number, MAPPED_STATUS, &ignored))
		return false;
	look->suspended |= device.suspended;
	target = mapped_table_at(&table, listed->mirror.start);
	known = target && !strcmp(target->type, "mirror") &&
		!mirror_status_parse(status, target->params, &ignored);
	mapped_table_free(&table);
	return known;
}

/* Is it still the device that was found, with the table that was found? */
static bool is_unchanged(const struct listed_mirror *listed, const struct found_mirror *found,
			 bool *suspended)
{
	const struct mapped_target *target;
	struct mapped_device device;
	struct mapped_table table;
	struct error ignored = { 0 };
	bool same;

	if (mapped_table_read_of(&device, &table, found->number, MAPPED_TABLE, &ignored))
		return false;
	*suspended |= device.suspended;
	target = mapped_table_at(&table, listed->mirror.start);
	same = mapped_diskseq(found->number) == found->diskseq &&
	       !strcmp(device.name, listed->mirror.name) &&
	       target && !strcmp(target->type, "mirror") && !strcmp(target->params, found->params);
	mapped_table_free(&table);
	return same;
}

static void status_apply(struct listed_mirror *listed, const struct mirror_status *status)
{
	struct mirror *mirror = &listed->mirror;

	if (listed->table_known) {
		mirror_apply_status(mirror, status, NULL);
		return;
	}
	/* A daemon's log: all that is known is the status. */
	mirror->nr_legs = status->nr_legs;
	for (unsigned int i = 0; i < status->nr_legs; i++)
		mirror->legs[i].health = status->leg_health[i];
	mirror->log.health = status->log_health;
	mirror->geometry.nr_regions = status->nr_regions;
	mirror->in_sync = status->in_sync;
	mirror->status_known = true;
}

static void look_before(struct listed_mirror *listed, struct found_mirror *found)
{
	struct sync_look *look = &found->look;

	*look = (struct sync_look){ 0 };
	look->status_known = status_read(&look->before, look, listed, found);
	if (look->status_known)
		status_apply(listed, &look->before);
}

static void look_after(struct listed_mirror *listed, struct found_mirror *found)
{
	struct sync_look *look = &found->look;

	if (!status_read(&look->after, look, listed, found))
		look->status_known = false;
	if (!is_unchanged(listed, found, &look->suspended))
		look->changed = true;
	if (look->status_known && !look->changed)
		status_apply(listed, &look->after);
	look->log_known = listed->log_known;
	look->clean = listed->log.clean;
}

static void log_answered(void *context, size_t i, const struct log_answer *answer)
{
	struct gathering *gathering = context;
	struct listed_mirror *listed = &gathering->mirrors[i];
	struct found_mirror *found = &gathering->found[i];
	bool again = found->again;

	listed->log_known = !answer->result;
	if (answer->result) {
		snprintf(listed->log_unread, sizeof(listed->log_unread), "%s", answer->why);
		found->again = false;
		listed->verdict = SYNC_NOT_TESTED;
		return;
	}
	listed->log = answer->log;
	if (!found->number)
		return;
	look_after(listed, found);
	listed->verdict = sync_look_judge(&found->look);
	/* A first look that says so, or one more that does. */
	found->again = listed->verdict == SYNC_BOGUS && (again || !found->looks);
	found->looks++;
}

/* One look at all mirrors, or at those that are to be looked at again. */
static int look_once(struct gathering *gathering, bool again, struct error *err)
{
	struct log_wanted *wanted = calloc(gathering->nr ? gathering->nr : 1, sizeof(*wanted));
	struct log_batch batch = {
		.wanted = wanted, .nr = gathering->nr, .answer_ms = gathering->request->answer_ms,
		.answered = log_answered, .cancelled = gathering->request->cancelled,
		.context = gathering,
	};
	int r;

	if (!wanted)
		return -ENOMEM;
	for (size_t i = 0; i < gathering->nr; i++) {
		struct found_mirror *found = &gathering->found[i];

		if (again && !found->again)
			continue;
		wanted[i] = (struct log_wanted){
			.path = found->log_path, .extents = found->extents,
			.nr_extents = found->nr_extents, .what = found->log_lv,
			.nr_regions = gathering->mirrors[i].mirror.geometry.nr_regions,
		};
		if (found->number)
			look_before(&gathering->mirrors[i], found);
	}
	r = log_batch_read(&batch, err);
	free(wanted);
	return r;
}

static bool any_again(const struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->nr; i++)
		if (gathering->found[i].again)
			return true;
	return false;
}

/* What the mirror above a layer has copied. */
static void conversions_note(struct gathering *gathering)
{
	for (size_t i = 0; i < gathering->nr; i++) {
		struct listed_mirror *upper = &gathering->mirrors[i];

		if (upper->kind != LISTED_UPPER || !upper->mirror.status_known)
			continue;
		gathering->mirrors[upper->owner].copied = upper->mirror.in_sync;
		gathering->mirrors[upper->owner].to_copy = upper->mirror.geometry.nr_regions;
	}
}

int gathering_look(struct gathering *gathering, struct error *err)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS };
	int r = look_once(gathering, false, err);

	for (unsigned int looks = 1; !r && looks < SYNC_LOOKS && any_again(gathering); looks++) {
		nanosleep(&pause, NULL);
		r = look_once(gathering, true, err);
	}
	conversions_note(gathering);
	return r;
}
