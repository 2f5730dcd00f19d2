/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_REGION_ENGINE_PRIVATE_H
#define CORE_REGION_ENGINE_PRIVATE_H

#include "core/region_engine.h"

/*
 * Inside the region engine: the entries of regions in flight. For region_engine.c,
 * region_entries.c, and the model checker, which stores and loads whole engines.
 */

#define REGION_NO_ENTRY UINT32_MAX

enum region_entry_list {
	REGION_LIST_NONE,
	REGION_LIST_CLEAN,	/* last write ended: rh->clean_regions */
	REGION_LIST_QUIESCED,	/* recovery may begin: rh->quiesced_regions */
	REGION_LIST_STARTED,	/* recovery has begun */
	REGION_LIST_RECOVERED,	/* rh->recovered_regions */
	REGION_LIST_FAILED,	/* rh->failed_recovered_regions */
	REGION_LIST_CLEANED,	/* bit set in memory, legs not flushed since */
	REGION_LIST_FREE,
	REGION_NR_LISTS,
};

/* How far a change that must be durable before anything relies on it has come. */
enum region_mark {
	REGION_MARK_STABLE,
	REGION_MARK_UNWRITTEN,	/* the next flush takes it */
	REGION_MARK_WRITING,	/* the flush under way does */
};

enum region_flush_phase { REGION_FLUSH_IDLE, REGION_FLUSH_ON_LEGS, REGION_FLUSH_ON_LOG };

struct region_entry {
	uint64_t region;
	uint32_t pending;	/* writes counted */
	uint32_t next, prev;	/* on its list; round about the head of it */
	enum region_state state;
	enum region_entry_list list;
	enum region_mark mark;	/* of the clean bit that was cleared */
};

struct region_engine {
	struct region_engine_params params;
	struct bitmap sync_bits, recovering_bits;
	uint64_t sync_count, sync_search;
	uint64_t writes;		/* sum of pending */
	uint32_t in_recovery;		/* prepared and not reported as over */
	bool resumed_once, suspended, flush_failure;
	bool touched_cleaned, touched_dirtied;	/* since the last flush began … */
	bool taking_cleaned, taking_dirtied;	/* … and what that one took with it */
	enum region_flush_phase phase;
	enum region_mark resumed;	/* the log has to be flushed after a resume */

	struct region_entry *entries;	/* capacity of them, then the heads of the lists */
	uint32_t *table;		/* open addressing: index of an entry or NO_ENTRY */
	uint32_t table_mask;
	uint32_t nr_entries;
};

/* All entries free, all lists empty. */
void region_entries_reset(struct region_engine *engine);
/* NULL when there is none. */
struct region_entry *region_entry_find(const struct region_engine *engine, uint64_t region);
/* A new one with nothing but its number; there is none yet. NULL: no room. */
struct region_entry *region_entry_add(struct region_engine *engine, uint64_t region);
void region_entry_drop(struct region_engine *engine, struct region_entry *entry);
/* Takes the entry off its list and puts it at the tail of another. */
void region_entry_move(struct region_engine *engine, struct region_entry *entry,
		       enum region_entry_list list);
/* The head of a list; NULL: empty. */
struct region_entry *region_entry_first(const struct region_engine *engine,
					enum region_entry_list list);

#endif
