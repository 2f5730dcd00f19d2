/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/listed_mirror.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- one look ------------------------------------------------------------------------ */

static bool all_alive(const struct mirror_status *status)
{
	for (unsigned int i = 0; i < status->nr_legs; i++)
		if (status->leg_health[i] != 'A')
			return false;
	return status->log_health == 'A';
}

/* A write that failed takes its region out of the count, and a resume makes the count
 * anew: then the log was read in another life. */
static bool count_may_have_shrunk(const struct sync_look *look)
{
	return look->after.in_sync < look->before.in_sync || !all_alive(&look->before) ||
	       !all_alive(&look->after);
}

enum sync_verdict sync_look_judge(const struct sync_look *look)
{
	if (look->suspended || look->changed || !look->status_known || !look->log_known ||
	    look->before.nr_legs != look->after.nr_legs ||
	    look->before.nr_regions != look->after.nr_regions)
		return SYNC_NOT_TESTED;
	if (look->clean <= look->after.in_sync)
		return SYNC_AGREES;
	return count_may_have_shrunk(look) ? SYNC_NOT_TESTED : SYNC_BOGUS;
}

/* --- one mirror ---------------------------------------------------------------------- */

void listed_mirror_free(struct listed_mirror *listed)
{
	free(listed->name);
	free(listed->vg);
	mirror_free(&listed->mirror);
	for (unsigned int i = 0; i < MIRROR_LEGS_MAX; i++)
		free(listed->leg_names[i]);
	free(listed->log_name);
	memset(listed, 0, sizeof(*listed));
}

bool listed_mirror_is_shown(const struct listed_mirror *listed)
{
	return listed->kind != LISTED_LOG && listed->kind != LISTED_UPPER;
}

static void judge_log(struct finding_list *list, const struct listed_mirror *listed)
{
	if (listed->verdict == SYNC_BOGUS)
		finding_add(list, FINDING_MORE_CLEAN_THAN_SYNC, "%" PRIu64 " clean on disk, %" PRIu64
			    " of %" PRIu64 " in sync; the synchronisation that runs heals them, "
			    "if nothing interrupts it", listed->log.clean, listed->mirror.in_sync,
			    listed->mirror.geometry.nr_regions);
	if (listed->log_known)
		finding_add_log_defects(list, &listed->log, &listed->mirror.geometry);
	if (*listed->log_unread)
		finding_add(list, FINDING_LOG_UNREAD, "%s", listed->log_unread);
	if (listed->log_kind == LISTED_LOG_OTHER && !*listed->table_unread)
		finding_add(list, FINDING_LOG_DAEMON, "%s", "");
}

static void judge_suspended(struct finding_list *list, const struct listed_mirror *listed)
{
	if (listed->mirror.activity == MIRROR_SUSPENDED)
		finding_add(list, listed->abandoned ? FINDING_ABANDONED : FINDING_SUSPENDED, "%s",
			    listed->resume);
}

void listed_mirror_judge(struct finding_list *list, const struct listed_mirror *listed)
{
	bool is_active = listed->mirror.activity != MIRROR_INACTIVE;

	judge_suspended(list, listed);
	if (*listed->table_unread)
		finding_add(list, FINDING_STATUS_UNREAD, "%s", listed->table_unread);
	else if (is_active && !listed->mirror.status_known)
		finding_add(list, FINDING_STATUS_UNREAD, "%s", "no status");
	if (*listed->layout_unread)
		finding_add(list, FINDING_LAYOUT_UNREAD, "%s", listed->layout_unread);
	judge_log(list, listed);
	finding_add_mirror(list, &listed->mirror, NULL);
	if (listed->kind == LISTED_CONVERTING && listed->to_copy)
		finding_add(list, FINDING_NOTE, "it is being given more legs: %" PRIu64 " of %" PRIu64
			    " regions are copied to them", listed->copied, listed->to_copy);
}

int listed_exit_status(const struct finding_list *list)
{
	int status = finding_exit_status(list);

	for (size_t i = 0; i < list->nr; i++)
		switch (list->items[i].id) {
		case FINDING_HEALTH_LEG:
		case FINDING_HEALTH_LOG:
		case FINDING_LEG_MISSING:
			status |= 4;
			break;
		default:
			break;
		}
	return status;
}

bool listed_mirror_is_called(const struct listed_mirror *listed, const char *word)
{
	static const char mapper[] = "/dev/mapper/", dev[] = "/dev/";
	const char *dm_name = listed->mirror.name, *uuid = listed->mirror.uuid;

	if (!strncmp(word, mapper, strlen(mapper)))
		return !strcmp(word + strlen(mapper), dm_name);
	if (!strncmp(word, dev, strlen(dev)))
		word += strlen(dev);
	return !strcmp(word, listed->name) || !strcmp(word, dm_name) ||
	       (uuid && !strcmp(word, uuid)) || (listed->vg && !strcmp(word, listed->vg));
}
