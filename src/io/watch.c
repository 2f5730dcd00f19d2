/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/watch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_table.h"
#include "io/lvm_origin.h"

struct mirror_watch {
	bool is_mapped;
	/* an active dm device */
	struct mapped_device device;
	char *live, *inactive;		/* tables as text; owned */
	uint64_t start;
	/* explicit legs and log */
	struct claim_ranges ranges;
	struct claims claims;
};

void watch_free(struct mirror_watch *watch)
{
	if (!watch)
		return;
	free(watch->live);
	free(watch->inactive);
	claim_ranges_free(&watch->ranges);
	claims_free(&watch->claims);
	free(watch);
}

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory to watch the mirror");
}

static int table_text_read(char **text, dev_t number, enum mapped_slot slot, struct error *err)
{
	struct mapped_table table;
	int ret;

	*text = NULL;
	ret = mapped_table_read(&table, number, slot, err);
	if (ret)
		return ret;
	*text = mapped_table_text(&table);
	mapped_table_free(&table);
	return *text ? 0 : no_memory(err);
}

int watch_mapped(struct mirror_watch **watch, const struct mapped_device *device,
		 const struct mapped_table *live, uint64_t start, struct error *err)
{
	struct mirror_watch *new = calloc(1, sizeof(*new));
	int ret;

	*watch = NULL;
	if (!new)
		return no_memory(err);
	new->is_mapped = true;
	new->device = *device;
	new->start = start;
	new->live = mapped_table_text(live);
	ret = new->live ? table_text_read(&new->inactive, device->number,
					  MAPPED_TABLE_INACTIVE, err) : no_memory(err);
	if (ret)
		watch_free(new);
	else
		*watch = new;
	return ret;
}

int watch_ranges(struct mirror_watch **watch, struct claim_ranges *ranges,
		 struct claims *claims, struct error *err)
{
	struct mirror_watch *new = calloc(1, sizeof(*new));

	*watch = NULL;
	if (!new)
		return no_memory(err);
	new->ranges = *ranges;
	memset(ranges, 0, sizeof(*ranges));
	new->claims = *claims;
	memset(claims, 0, sizeof(*claims));
	*watch = new;
	return 0;
}

__attribute__((format(printf, 3, 4)))
static void sample_set(struct mirror_sample *sample, enum mirror_change change,
		       const char *format, ...)
{
	va_list args;

	sample->change = change;
	va_start(args, format);
	vsnprintf(sample->reason, sizeof(sample->reason), format, args);
	va_end(args);
}

/* ---------------------------------------------------- an active dm device */

/* Another device under the same number? The event counter only ever grows, and a
 * rename alone is no change. */
static bool device_replaced(const struct mapped_device *was, const struct mapped_device *is)
{
	if (strcmp(was->uuid, is->uuid) || is->event_nr < was->event_nr)
		return true;
	if (was->diskseq && is->diskseq)
		return was->diskseq != is->diskseq;
	return !was->uuid[0] && strcmp(was->name, is->name);
}

const struct mapped_device *watch_mapped_device(const struct mirror_watch *watch)
{
	return watch && watch->is_mapped ? &watch->device : NULL;
}

const char *watch_live_table(const struct mirror_watch *watch)
{
	return watch->live;
}

bool watch_is_replaced(const struct mirror_watch *watch, const struct mapped_device *is)
{
	return device_replaced(&watch->device, is);
}

int watch_renew(struct mirror_watch *watch, struct error *err)
{
	dev_t number = watch->device.number;
	char *live, *inactive = NULL;
	int ret;

	ret = table_text_read(&live, number, MAPPED_TABLE, err);
	if (!ret)
		ret = table_text_read(&inactive, number, MAPPED_TABLE_INACTIVE, err);
	mapper_release();
	if (ret) {
		free(live);
		return ret;
	}
	free(watch->live);
	free(watch->inactive);
	watch->live = live;
	watch->inactive = inactive;
	return 0;
}

static void sample_tables(const struct mirror_watch *watch, struct mirror_sample *sample)
{
	const char *name = watch->device.name;
	char *live = NULL, *inactive = NULL;
	struct error why = { 0 };

	if (table_text_read(&live, watch->device.number, MAPPED_TABLE, &why) ||
	    table_text_read(&inactive, watch->device.number, MAPPED_TABLE_INACTIVE, &why))
		sample_set(sample, MIRROR_STATE_UNKNOWN, "%s", why.text);
	else if (strcmp(live, watch->live))
		sample_set(sample, MIRROR_CHANGED, "the table of %s was reloaded", name);
	else if (strcmp(inactive, watch->inactive))
		sample_set(sample, MIRROR_CHANGED, inactive[0] ?
			   "a new table was loaded into %s (not resumed yet)" :
			   "the table that was loaded into %s was taken back", name);
	free(live);
	free(inactive);
}

static void sample_device(const struct mirror_watch *watch, struct mirror_sample *sample)
{
	const struct mapped_device *was = &watch->device;
	struct mapped_device is;
	struct error why = { 0 };
	int ret = mapped_device_read(&is, was->number, &why);

	if (ret == -ENXIO || ret == -ENODEV) {
		sample->activity = MIRROR_INACTIVE;
		sample_set(sample, MIRROR_CHANGED, "%s was removed", was->name);
		return;
	}
	if (ret) {
		sample_set(sample, MIRROR_STATE_UNKNOWN, "%s", why.text);
		return;
	}
	sample->activity = is.suspended ? MIRROR_SUSPENDED : MIRROR_ACTIVE;
	if (device_replaced(was, &is))
		sample_set(sample, MIRROR_CHANGED, "%s was removed and another device made",
			   was->name);
	else if (is.suspended != was->suspended)
		sample_set(sample, MIRROR_CHANGED, "%s was %s", was->name,
			   is.suspended ? "suspended" : "resumed");
	else
		sample_tables(watch, sample);
}

static void sample_status(const struct mirror_watch *watch, struct mirror_sample *sample)
{
	const struct mapped_target *target;
	struct mirror_status status;
	struct mapped_table table;

	if (mapped_table_read(&table, watch->device.number, MAPPED_STATUS, NULL))
		return;
	target = mapped_table_at(&table, watch->start);
	if (target && !strcmp(target->type, "mirror") &&
	    !mirror_status_parse(&status, target->params, NULL)) {
		sample->status_known = true;
		sample->in_sync = status.in_sync;
		memcpy(sample->leg_health, status.leg_health, sizeof(sample->leg_health));
		sample->log_health = status.log_health;
	}
	mapped_table_free(&table);
}

/* --------------------------------------------------- explicit legs and log */

static const char *operand_name(const struct opened_mirror *opened, unsigned int operand)
{
	const struct device *device = operand < MIRROR_LEGS_MAX ? opened->legs[operand] :
				      opened->log;

	return device ? device->name : "a leg";
}

/* A new holder, or another table under a leg, means that what is read may change,
 * or has; a holder that went away, or a device that is only suspended, does not. */
static bool claim_is_news(const struct claims *then, const struct claim *claim)
{
	return claim->kind != CLAIM_SUSPENDED && claim->kind != CLAIM_OVERLAP &&
	       claim->kind != CLAIM_LOOP &&
	       !claims_have(then, claim);
}

static void sample_claims(const struct opened_mirror *opened, const struct claims *now,
			  struct mirror_sample *sample)
{
	const struct claim *first = NULL;
	const char *name;
	char what[192];
	size_t i;

	/* Activating a mirror makes its legs' own devices first: the mirror is
	 * the news. */
	for (i = 0; i < now->nr_claims; i++) {
		const struct claim *claim = &now->claims[i];

		if (claim_is_news(&opened->watch->claims, claim) &&
		    (!first || (claim->kind == CLAIM_MIRROR && first->kind != CLAIM_MIRROR)))
			first = claim;
	}
	if (!first)
		return;
	name = operand_name(opened, first->operand);
	if (first->kind == CLAIM_MIRROR) {
		sample->activity = MIRROR_ACTIVE;
		sample_set(sample, MIRROR_CHANGED, "%s became active as %s", name, first->name);
	} else {
		sample_set(sample, MIRROR_CHANGED, "since the start %s %s", name,
			   claim_describe(what, sizeof(what), first));
	}
}

static void sample_ranges(const struct opened_mirror *opened, struct mirror_sample *sample)
{
	const struct mirror_watch *watch = opened->watch;
	struct error why = { 0 };
	struct claims now;

	if (claims_read(&now, watch->ranges.ranges, watch->ranges.nr, 0, &why)) {
		sample_set(sample, MIRROR_STATE_UNKNOWN, "%s", why.text);
		return;
	}
	if (now.mapper_asked != watch->claims.mapper_asked)
		sample_set(sample, MIRROR_STATE_UNKNOWN, "device-mapper %s", now.mapper_asked ?
			   "answers only now" : "does not answer any more");
	else
		sample_claims(opened, &now, sample);
	claims_free(&now);
}

static void sample_all(struct opened_mirror *opened, bool closely, struct mirror_sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->activity = opened->mirror.activity;
	if (!opened->watch) {
		sample_set(sample, MIRROR_STATE_UNKNOWN, "the mirror is not watched");
	} else if (opened->watch->is_mapped) {
		sample_device(opened->watch, sample);
		if (sample->activity != MIRROR_INACTIVE)
			sample_status(opened->watch, sample);
	} else {
		sample_ranges(opened, sample);
	}
	mapper_release();
	if (opened->lvm)
		lvm_origin_sample(opened->lvm, closely, sample);
}

void mirror_sample(struct opened_mirror *opened, struct mirror_sample *sample)
{
	sample_all(opened, false, sample);
}

void mirror_sample_closely(struct opened_mirror *opened, struct mirror_sample *sample)
{
	sample_all(opened, true, sample);
}
