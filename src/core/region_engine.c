/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/region_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/region_engine_private.h"

#define CAPACITY_MAX (UINT32_C(1) << 24)

/* --- the log's three sets of bits */

/* core_mark_region(). A bit that is 0 already needs no flush: the entry's mark says how far
 * that has come. */
static void mark_region(struct region_engine *engine, struct region_entry *entry)
{
	if (!bitmap_test(engine->params.clean_bits, entry->region))
		return;
	bitmap_clear(engine->params.clean_bits, entry->region);
	engine->touched_dirtied = true;
	entry->mark = REGION_MARK_UNWRITTEN;
}

/* core_clear_region(): the region is clean, which in the kernel's words clears it. The legs
 * are not flushed yet, so the entry stays until they are. */
static void clear_region(struct region_engine *engine, struct region_entry *entry)
{
	bitmap_set(engine->params.clean_bits, entry->region);
	engine->touched_cleaned = true;
	entry->state = REGION_CLEAN;
	entry->mark = REGION_MARK_STABLE;
	region_entry_move(engine, entry, REGION_LIST_CLEANED);
}

/* core_set_region_sync() without its recovering bit. */
static void set_region_sync(struct region_engine *engine, uint64_t region, bool in_sync)
{
	if (bitmap_test(&engine->sync_bits, region) == in_sync)
		return;
	if (in_sync) {
		bitmap_set(&engine->sync_bits, region);
		engine->sync_count++;
	} else {
		bitmap_clear(&engine->sync_bits, region);
		engine->sync_count--;
	}
}

/* --- entries */

/* __rh_find(), __rh_alloc(). A CLEAN one is not put on the clean list: it is about to be
 * written or recovered. */
static struct region_entry *entry_get(struct region_engine *engine, uint64_t region)
{
	struct region_entry *entry = region_entry_find(engine, region);

	if (entry)
		return entry;
	entry = region_entry_add(engine, region);
	if (entry)
		entry->state = region_engine_in_sync(engine, region) ? REGION_CLEAN : REGION_NOSYNC;
	return entry;
}

/* An entry that holds nothing which the bits do not say goes. One whose cleared bit may
 * still be 1 on the disk must stay: it is what makes the next write wait. */
static void entry_drop_if_idle(struct region_engine *engine, struct region_entry *entry)
{
	if (entry->state == REGION_NOSYNC && !entry->pending && entry->mark == REGION_MARK_STABLE)
		region_entry_drop(engine, entry);
}

/* Every way to NOSYNC clears the sync bit, so that the state survives the entry. */
static void entry_nosync(struct region_engine *engine, struct region_entry *entry)
{
	mark_region(engine, entry);
	set_region_sync(engine, entry->region, false);
	entry->state = REGION_NOSYNC;
	region_entry_move(engine, entry, REGION_LIST_NONE);
	entry_drop_if_idle(engine, entry);
}

/* complete_resync_work() */
static void recovery_over(struct region_engine *engine, uint64_t region, bool success)
{
	bitmap_clear(&engine->recovering_bits, region);
	set_region_sync(engine, region, success);
	engine->in_recovery--;
	if (engine->params.recovery_over)
		engine->params.recovery_over(engine->params.context, region, success);
}

static void entry_quiesce_if_ready(struct region_engine *engine, struct region_entry *entry)
{
	if (entry->state == REGION_RECOVERING && entry->list == REGION_LIST_NONE &&
	    !entry->pending && entry->mark == REGION_MARK_STABLE)
		region_entry_move(engine, entry, REGION_LIST_QUIESCED);
}

/* --- life */

static int engine_alloc(struct region_engine *engine)
{
	uint64_t nr_regions = engine->params.clean_bits->nr_bits;
	uint32_t places = 4;

	while (places < engine->params.capacity * 2)
		places *= 2;
	engine->table_mask = places - 1;
	engine->entries = calloc(engine->params.capacity + REGION_NR_LISTS,
				 sizeof(*engine->entries));
	engine->table = calloc(places, sizeof(*engine->table));
	if (!engine->entries || !engine->table)
		return -ENOMEM;
	if (bitmap_alloc(&engine->sync_bits, nr_regions))
		return -ENOMEM;
	return bitmap_alloc(&engine->recovering_bits, nr_regions);
}

int region_engine_create(struct region_engine **engine, const struct region_engine_params *params)
{
	struct region_engine *new;

	if (!params->clean_bits->nr_bits || !params->max_recovery || !params->capacity ||
	    params->capacity > CAPACITY_MAX)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->params = *params;
	if (engine_alloc(new)) {
		region_engine_destroy(new);
		return -ENOMEM;
	}
	new->suspended = true;
	region_entries_reset(new);
	*engine = new;
	return 0;
}

void region_engine_destroy(struct region_engine *engine)
{
	if (!engine)
		return;
	bitmap_free(&engine->sync_bits);
	bitmap_free(&engine->recovering_bits);
	free(engine->entries);
	free(engine->table);
	free(engine);
}

int region_engine_resume(struct region_engine *engine)
{
	size_t bytes = (size_t)bitmap_bytes(engine->sync_bits.nr_bits);

	if (!engine->suspended || engine->writes || engine->in_recovery ||
	    engine->phase != REGION_FLUSH_IDLE)
		return -EBUSY;
	region_entries_reset(engine);
	memcpy(engine->sync_bits.words, engine->params.clean_bits->words, bytes);
	engine->sync_count = bitmap_count(&engine->sync_bits);
	engine->sync_search = 0;
	engine->flush_failure = false;
	/* What was read may lie in the log's cache only; until it is stable, a write to a
	 * region that is not clean here could meet a clean bit after a power cut. */
	engine->resumed = REGION_MARK_UNWRITTEN;
	engine->touched_dirtied = true;
	engine->touched_cleaned = false;
	engine->resumed_once = true;
	engine->suspended = false;
	return 0;
}

void region_engine_suspend(struct region_engine *engine)
{
	engine->suspended = true;
}

/* --- questions */

enum region_state region_engine_state(const struct region_engine *engine, uint64_t region)
{
	const struct region_entry *entry = region_entry_find(engine, region);

	if (entry)
		return entry->state;
	return region_engine_in_sync(engine, region) ? REGION_CLEAN : REGION_NOSYNC;
}

bool region_engine_in_sync(const struct region_engine *engine, uint64_t region)
{
	return bitmap_test(&engine->sync_bits, region);
}

uint64_t region_engine_sync_count(const struct region_engine *engine)
{
	return engine->sync_count;
}

uint32_t region_engine_in_flight(const struct region_engine *engine)
{
	return engine->nr_entries;
}

bool region_engine_flush_failed(const struct region_engine *engine)
{
	return engine->flush_failure;
}

/* --- writes */

int region_engine_write_start(struct region_engine *engine, uint64_t region)
{
	struct region_entry *entry;

	if (region >= engine->sync_bits.nr_bits)
		return -EINVAL;
	if (!engine->resumed_once)
		return -EBUSY;
	entry = entry_get(engine, region);
	if (!entry || entry->pending == UINT32_MAX)
		return -EAGAIN;
	if (entry->state == REGION_RECOVERING)
		return REGION_DELAYED;
	if (entry->state == REGION_CLEAN) {
		entry->state = REGION_DIRTY;
		region_entry_move(engine, entry, REGION_LIST_NONE);
		mark_region(engine, entry);
	}
	entry->pending++;
	engine->writes++;
	return entry->state == REGION_NOSYNC ? REGION_DEFAULT_LEG : REGION_ALL_LEGS;
}

bool region_engine_may_submit(const struct region_engine *engine, uint64_t region)
{
	const struct region_entry *entry = region_entry_find(engine, region);

	return entry && entry->pending && entry->mark == REGION_MARK_STABLE &&
	       engine->resumed == REGION_MARK_STABLE;
}

int region_engine_write_end(struct region_engine *engine, uint64_t region)
{
	struct region_entry *entry = region_entry_find(engine, region);

	if (!entry || !entry->pending)
		return -EINVAL;
	engine->writes--;
	if (--entry->pending)
		return 0;
	if (engine->flush_failure) {
		entry_nosync(engine, entry);
	} else if (entry->state == REGION_DIRTY) {
		entry->state = REGION_CLEAN;
		region_entry_move(engine, entry, REGION_LIST_CLEAN);
	} else {
		/* The rule of 2006: no list for a NOSYNC region. */
		entry_quiesce_if_ready(engine, entry);
		entry_drop_if_idle(engine, entry);
	}
	return 0;
}

int region_engine_leg_error(struct region_engine *engine, uint64_t region)
{
	struct region_entry *entry = region_entry_find(engine, region);
	bool recovering;

	if (!entry || !entry->pending)
		return -EINVAL;
	recovering = entry->state == REGION_RECOVERING;
	entry_nosync(engine, entry);
	if (recovering)
		recovery_over(engine, region, false);
	return 0;
}

/* What a failed flush of a leg means for one region in flight. */
static void entry_flush_error(struct region_engine *engine, struct region_entry *entry)
{
	uint64_t region = entry->region;
	bool recovering = entry->state == REGION_RECOVERING;

	switch (entry->list) {
	case REGION_LIST_FREE:
	case REGION_LIST_STARTED:	/* fails when it ends */
	case REGION_LIST_FAILED:
		break;
	case REGION_LIST_RECOVERED:
		region_entry_move(engine, entry, REGION_LIST_FAILED);
		break;
	default:
		entry_nosync(engine, entry);
		if (recovering)
			recovery_over(engine, region, false);
	}
}

void region_engine_flush_error(struct region_engine *engine)
{
	uint32_t i;

	engine->flush_failure = true;
	for (i = 0; i < engine->params.capacity; i++)
		entry_flush_error(engine, &engine->entries[i]);
}

/* --- recovery */

static bool recovery_possible(const struct region_engine *engine)
{
	return !engine->suspended && !engine->flush_failure &&
	       engine->resumed == REGION_MARK_STABLE &&
	       engine->in_recovery < engine->params.max_recovery;
}

int region_engine_recovery_prepare_region(struct region_engine *engine, uint64_t region)
{
	struct region_entry *entry;

	if (region >= engine->sync_bits.nr_bits)
		return -EINVAL;
	if (bitmap_test(&engine->recovering_bits, region))
		return -EBUSY;
	entry = recovery_possible(engine) ? entry_get(engine, region) : NULL;
	if (!entry)
		return -EAGAIN;
	mark_region(engine, entry);
	set_region_sync(engine, region, false);
	bitmap_set(&engine->recovering_bits, region);
	engine->in_recovery++;
	entry->state = REGION_RECOVERING;
	region_entry_move(engine, entry, REGION_LIST_NONE);
	entry_quiesce_if_ready(engine, entry);
	return 0;
}

int region_engine_recovery_prepare(struct region_engine *engine, uint64_t *region)
{
	uint64_t nr_regions = engine->sync_bits.nr_bits, next = engine->sync_search;
	int ret;

	if (engine->flush_failure)
		return 0;
	if (!recovery_possible(engine))
		return -EAGAIN;
	do {
		next = bitmap_next_clear(&engine->sync_bits, next);
		if (next >= nr_regions) {
			engine->sync_search = nr_regions;
			return 0;
		}
	} while (bitmap_test(&engine->recovering_bits, next) && ++next);
	ret = region_engine_recovery_prepare_region(engine, next);
	if (ret)
		return ret;
	engine->sync_search = next + 1;
	*region = next;
	return 1;
}

int region_engine_recovery_start(struct region_engine *engine, uint64_t *region)
{
	struct region_entry *entry = region_entry_first(engine, REGION_LIST_QUIESCED);

	if (!entry)
		return 0;
	region_entry_move(engine, entry, REGION_LIST_STARTED);
	*region = entry->region;
	return 1;
}

int region_engine_recovery_end(struct region_engine *engine, uint64_t region, bool success)
{
	struct region_entry *entry = region_entry_find(engine, region);

	if (!entry || entry->list != REGION_LIST_STARTED)
		return -EINVAL;
	success = success && !engine->flush_failure;
	region_entry_move(engine, entry, success ? REGION_LIST_RECOVERED : REGION_LIST_FAILED);
	return 0;
}

/* --- the log */

bool region_engine_update_wanted(const struct region_engine *engine)
{
	return engine->phase == REGION_FLUSH_IDLE &&
	       (region_entry_first(engine, REGION_LIST_CLEAN) ||
		region_entry_first(engine, REGION_LIST_RECOVERED) ||
		region_entry_first(engine, REGION_LIST_FAILED));
}

int region_engine_update(struct region_engine *engine)
{
	struct region_entry *entry;

	if (engine->phase != REGION_FLUSH_IDLE)
		return -EBUSY;
	while ((entry = region_entry_first(engine, REGION_LIST_RECOVERED))) {
		clear_region(engine, entry);
		recovery_over(engine, entry->region, true);
	}
	while ((entry = region_entry_first(engine, REGION_LIST_FAILED))) {
		uint64_t region = entry->region;

		entry_nosync(engine, entry);
		recovery_over(engine, region, false);
	}
	while ((entry = region_entry_first(engine, REGION_LIST_CLEAN)))
		clear_region(engine, entry);
	return 0;
}

/* All marks that are at `from` go to `to`; what is stable then may go on. */
static void marks_advance(struct region_engine *engine, enum region_mark from, enum region_mark to)
{
	struct region_entry *entry;
	uint32_t i;

	if (engine->resumed == from)
		engine->resumed = to;
	for (i = 0; i < engine->params.capacity; i++) {
		entry = &engine->entries[i];
		if (entry->list == REGION_LIST_FREE || entry->mark != from)
			continue;
		entry->mark = to;
		entry_quiesce_if_ready(engine, entry);
		entry_drop_if_idle(engine, entry);
	}
}

int region_engine_flush_begin(struct region_engine *engine)
{
	int steps = 0;

	if (engine->phase != REGION_FLUSH_IDLE)
		return -EBUSY;
	if (!engine->touched_cleaned && !engine->touched_dirtied)
		return 0;
	steps = REGION_WRITE_LOG;
	if (engine->touched_cleaned)
		steps |= REGION_FLUSH_LEGS;
	if (engine->touched_dirtied)
		steps |= REGION_FLUSH_LOG;
	engine->taking_cleaned = engine->touched_cleaned;
	engine->taking_dirtied = engine->touched_dirtied;
	engine->touched_cleaned = engine->touched_dirtied = false;
	engine->phase = engine->taking_cleaned ? REGION_FLUSH_ON_LEGS : REGION_FLUSH_ON_LOG;
	marks_advance(engine, REGION_MARK_UNWRITTEN, REGION_MARK_WRITING);
	return steps;
}

int region_engine_legs_flushed(struct region_engine *engine, bool success)
{
	struct region_entry *entry;

	if (engine->phase != REGION_FLUSH_ON_LEGS)
		return -EINVAL;
	engine->phase = REGION_FLUSH_ON_LOG;
	if (!success)
		region_engine_flush_error(engine);
	/* Equal and stable: the bit may go to the log, and says all that the entry said. */
	while ((entry = region_entry_first(engine, REGION_LIST_CLEANED)))
		region_entry_drop(engine, entry);
	return 0;
}

int region_engine_log_written(struct region_engine *engine, bool success)
{
	if (engine->phase != REGION_FLUSH_ON_LOG)
		return -EINVAL;
	engine->phase = REGION_FLUSH_IDLE;
	if (!success) {
		engine->touched_cleaned |= engine->taking_cleaned;
		engine->touched_dirtied |= engine->taking_dirtied;
	}
	engine->taking_cleaned = engine->taking_dirtied = false;
	marks_advance(engine, REGION_MARK_WRITING,
		      success ? REGION_MARK_STABLE : REGION_MARK_UNWRITTEN);
	return 0;
}
