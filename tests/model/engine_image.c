/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine from and to a few bytes. Its lists are put together again in the order of the
 * regions; where that order matters the step says which is first.
 */
#include "world.h"

#include <endian.h>
#include <string.h>

static void entry_load(struct region_engine *engine, const struct engine_image *image,
		       unsigned int region)
{
	struct region_entry *entry;

	if (!image->state[region])
		return;
	entry = region_entry_add(engine, region);
	entry->state = image->state[region];
	entry->mark = image->mark[region];
	entry->pending = image->pending[region];
	engine->writes += entry->pending;
	if (image->list[region] != REGION_LIST_NONE)
		region_entry_move(engine, entry, image->list[region]);
}

void engine_load(struct model *model, const struct world *world, unsigned int first)
{
	const struct engine_image *image = &world->engine;
	struct region_engine *engine = model->engine;
	unsigned int i;

	region_entries_reset(engine);
	engine->writes = 0;
	entry_load(engine, image, first);
	for (i = 0; i < model->config.regions; i++) {
		if (i != first)
			entry_load(engine, image, i);
	}
	model->clean_word = htole64(image->clean);
	engine->sync_bits.words[0] = htole64(image->sync);
	engine->recovering_bits.words[0] = htole64(image->recovering);
	engine->sync_count = set_size(image->sync);
	engine->in_recovery = set_size(image->recovering);
	engine->sync_search = first;
	engine->phase = image->phase;
	engine->resumed = image->resumed;
	engine->resumed_once = true;
	engine->suspended = image->suspended;
	engine->flush_failure = image->flush_failure;
	engine->touched_cleaned = image->touched_cleaned;
	engine->touched_dirtied = image->touched_dirtied;
	engine->taking_cleaned = image->taking_cleaned;
	engine->taking_dirtied = image->taking_dirtied;
}

void engine_store(struct model *model, struct world *world)
{
	struct engine_image *image = &world->engine;
	const struct region_engine *engine = model->engine;
	const struct region_entry *entry;
	unsigned int i;

	memset(image, 0, sizeof(*image));
	for (i = 0; i < model->config.regions; i++) {
		entry = region_entry_find(engine, i);
		if (!entry)
			continue;
		image->state[i] = (uint8_t)entry->state;
		image->list[i] = (uint8_t)entry->list;
		image->mark[i] = (uint8_t)entry->mark;
		image->pending[i] = (uint8_t)entry->pending;
	}
	image->clean = (uint8_t)le64toh(model->clean_word);
	image->sync = (uint8_t)le64toh(engine->sync_bits.words[0]);
	image->recovering = (uint8_t)le64toh(engine->recovering_bits.words[0]);
	image->phase = (uint8_t)engine->phase;
	image->resumed = (uint8_t)engine->resumed;
	image->suspended = engine->suspended;
	image->flush_failure = engine->flush_failure;
	image->touched_cleaned = engine->touched_cleaned;
	image->touched_dirtied = engine->touched_dirtied;
	image->taking_cleaned = engine->taking_cleaned;
	image->taking_dirtied = engine->taking_dirtied;
}
