/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/region_engine_private.h"

/*
 * Entries live in one array and are found through a table of at least twice as many
 * places. Lists are rings of indices through a head of their own behind the entries, so
 * that to take an entry off needs no case distinction; REGION_LIST_NONE is one too.
 */

static uint32_t list_head(const struct region_engine *engine, enum region_entry_list list)
{
	return engine->params.capacity + (uint32_t)list;
}

static uint32_t entry_index(const struct region_engine *engine, const struct region_entry *entry)
{
	return (uint32_t)(entry - engine->entries);
}

/* Neighbouring regions must not crowd: multiplied by 2^64 divided by the golden ratio. */
static uint32_t table_place(const struct region_engine *engine, uint64_t region)
{
	return (uint32_t)(region * UINT64_C(0x9e3779b97f4a7c15) >> 32) & engine->table_mask;
}

static void ring_insert(struct region_engine *engine, uint32_t head, uint32_t index)
{
	struct region_entry *entries = engine->entries;

	entries[index].prev = entries[head].prev;
	entries[index].next = head;
	entries[entries[head].prev].next = index;
	entries[head].prev = index;
}

static void ring_remove(struct region_engine *engine, uint32_t index)
{
	struct region_entry *entries = engine->entries;

	entries[entries[index].prev].next = entries[index].next;
	entries[entries[index].next].prev = entries[index].prev;
}

void region_entries_reset(struct region_engine *engine)
{
	uint32_t capacity = engine->params.capacity, i;

	for (i = capacity; i < capacity + REGION_NR_LISTS; i++)
		engine->entries[i].next = engine->entries[i].prev = i;
	for (i = 0; i < capacity; i++) {
		engine->entries[i].list = REGION_LIST_FREE;
		ring_insert(engine, list_head(engine, REGION_LIST_FREE), i);
	}
	for (i = 0; i <= engine->table_mask; i++)
		engine->table[i] = REGION_NO_ENTRY;
	engine->nr_entries = 0;
}

struct region_entry *region_entry_find(const struct region_engine *engine, uint64_t region)
{
	uint32_t place = table_place(engine, region), index;

	for (; (index = engine->table[place]) != REGION_NO_ENTRY;
	     place = (place + 1) & engine->table_mask) {
		if (engine->entries[index].region == region)
			return &engine->entries[index];
	}
	return NULL;
}

struct region_entry *region_entry_first(const struct region_engine *engine,
					enum region_entry_list list)
{
	uint32_t head = list_head(engine, list), first = engine->entries[head].next;

	return first == head ? NULL : &engine->entries[first];
}

void region_entry_move(struct region_engine *engine, struct region_entry *entry,
		       enum region_entry_list list)
{
	uint32_t index = entry_index(engine, entry);

	ring_remove(engine, index);
	ring_insert(engine, list_head(engine, list), index);
	entry->list = list;
}

struct region_entry *region_entry_add(struct region_engine *engine, uint64_t region)
{
	struct region_entry *entry = region_entry_first(engine, REGION_LIST_FREE);
	uint32_t place = table_place(engine, region);

	if (!entry)
		return NULL;
	/* More places than entries: there is always one free. */
	while (engine->table[place] != REGION_NO_ENTRY)
		place = (place + 1) & engine->table_mask;
	engine->table[place] = entry_index(engine, entry);
	engine->nr_entries++;
	region_entry_move(engine, entry, REGION_LIST_NONE);
	entry->region = region;
	entry->pending = 0;
	entry->mark = REGION_MARK_STABLE;
	return entry;
}

void region_entry_drop(struct region_engine *engine, struct region_entry *entry)
{
	uint32_t mask = engine->table_mask, index = entry_index(engine, entry);
	uint32_t hole = table_place(engine, entry->region), place, home;

	while (engine->table[hole] != index)
		hole = (hole + 1) & mask;
	/* What follows without a gap and would no longer be found moves into the hole. */
	for (place = (hole + 1) & mask; engine->table[place] != REGION_NO_ENTRY;
	     place = (place + 1) & mask) {
		home = table_place(engine, engine->entries[engine->table[place]].region);
		if (((place - home) & mask) < ((place - hole) & mask))
			continue;
		engine->table[hole] = engine->table[place];
		hole = place;
	}
	engine->table[hole] = REGION_NO_ENTRY;
	engine->nr_entries--;
	region_entry_move(engine, entry, REGION_LIST_FREE);
}
