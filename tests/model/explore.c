/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "explore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_STATE (UINT32_MAX >> 1)
#define STATES_FIRST (UINT32_C(1) << 16)
#define BATCH 64	/* states looked up together, so that the memory is waited for once */
/* In the place of a parent: a cut here leaves nothing that it does not leave there. */
#define CUTS_DONE (UINT32_C(1) << 31)

struct explorer {
	struct model *model;
	struct exploration *found;
	struct packed *states;		/* in the order in which they were found */
	uint32_t *parents;
	uint32_t nr, room;
	uint32_t *table;		/* open addressing, index of a state or NO_STATE */
	uint32_t table_mask;
	uint64_t max_states;
	struct candidate {
		struct packed packed;
		uint32_t parent;	/* and CUTS_DONE */
		uint32_t place;		/* where the search for it begins */
	} batch[BATCH];
	unsigned int nr_batch;
};

/* --- the set of states */

static uint64_t packed_hash(const struct packed *packed)
{
	uint64_t hash = 0;
	unsigned int i;

	for (i = 0; i < PACKED_WORDS; i++) {
		hash = (hash ^ packed->words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

static uint32_t *table_place(const struct explorer *ex, const struct packed *packed,
			     uint32_t place)
{
	place &= ex->table_mask;
	while (ex->table[place] != NO_STATE &&
	       memcmp(&ex->states[ex->table[place]], packed, sizeof(*packed)))
		place = (place + 1) & ex->table_mask;
	return &ex->table[place];
}

/* Half as many places again as states, at least. */
static int table_grow(struct explorer *ex)
{
	size_t places = ex->table ? ((size_t)ex->table_mask + 1) * 2 : STATES_FIRST * 2;
	uint32_t i;

	free(ex->table);
	ex->table = malloc(places * sizeof(*ex->table));
	if (!ex->table)
		return -ENOMEM;
	ex->table_mask = (uint32_t)(places - 1);
	for (i = 0; i <= ex->table_mask; i++)
		ex->table[i] = NO_STATE;
	for (i = 0; i < ex->nr; i++)
		*table_place(ex, &ex->states[i], (uint32_t)packed_hash(&ex->states[i])) = i;
	return 0;
}

static int states_grow(struct explorer *ex)
{
	uint32_t room = ex->room ? ex->room + ex->room / 2 : STATES_FIRST;
	struct packed *states = realloc(ex->states, room * sizeof(*states));
	uint32_t *parents;

	if (!states)
		return -ENOMEM;
	ex->states = states;
	parents = realloc(ex->parents, room * sizeof(*parents));
	if (!parents)
		return -ENOMEM;
	ex->parents = parents;
	ex->room = room;
	return 0;
}

/* 0 or -ENOMEM; at max_states nothing is added any more. */
static int state_add(struct explorer *ex, const struct candidate *candidate)
{
	const struct packed *packed = &candidate->packed;
	uint32_t *place = table_place(ex, packed, candidate->place);

	if (*place != NO_STATE)
		return 0;
	if (ex->nr >= ex->max_states) {
		ex->found->complete = false;
		return 0;
	}
	if (ex->nr == ex->room && states_grow(ex))
		return -ENOMEM;
	ex->states[ex->nr] = *packed;
	ex->parents[ex->nr] = candidate->parent;
	*place = ex->nr++;
	return (uint64_t)ex->nr * 3 > (uint64_t)ex->table_mask * 2 ? table_grow(ex) : 0;
}

static int batch_add(struct explorer *ex)
{
	unsigned int i;
	uint32_t index;
	int ret = 0;

	for (i = 0; i < ex->nr_batch; i++) {
		index = ex->table[ex->batch[i].place & ex->table_mask];
		if (index != NO_STATE)
			__builtin_prefetch(&ex->states[index]);
	}
	for (i = 0; !ret && i < ex->nr_batch; i++)
		ret = state_add(ex, &ex->batch[i]);
	ex->nr_batch = 0;
	return ret;
}

/* To be looked up and added with others. 0 or -ENOMEM. */
static int candidate_add(struct explorer *ex, struct world *world, uint32_t parent)
{
	struct candidate *candidate = &ex->batch[ex->nr_batch++];

	world_pack(ex->model, world, &candidate->packed);
	candidate->parent = parent;
	candidate->place = (uint32_t)packed_hash(&candidate->packed);
	__builtin_prefetch(&ex->table[candidate->place & ex->table_mask]);
	return ex->nr_batch == BATCH ? batch_add(ex) : 0;
}

/* --- how a state came about */

static void describe_beginning(const struct model *model, const struct world *world, FILE *out)
{
	unsigned int i;

	fprintf(out, "an inactive mirror:");
	for (i = 0; i < model->config.regions; i++)
		fprintf(out, "%s region %u %s", i ? "," : "", i,
			world->log_now >> i & 1 ? "clean" : "not clean");
	fprintf(out, "\n");
}

/* The step that leads from `world` to a state, found by trying; takes it. The world keeps
 * its names of regions and legs, while each state may have others. */
static bool step_towards(struct explorer *ex, struct world *world, const struct packed *to,
			 struct step *found)
{
	struct step steps[STEPS_MAX];
	struct packed packed;
	struct world next, named;
	unsigned int nr = world_steps(ex->model, world, steps), i;
	struct step *step;

	for (i = 0; i < nr; i++) {
		step = &steps[i];
		for (step->choice = 0; step->choice < step->choices; step->choice++) {
			next = *world;
			if (!world_step(ex->model, &next, step))
				break;
			world_renumber(ex->model, &next);
			named = next;
			world_pack(ex->model, &next, &packed);
			if (memcmp(&packed, to, sizeof(packed)))
				continue;
			*world = named;
			*found = *step;
			return true;
		}
	}
	return false;
}

/* Goes the way from the beginning again; `world` is then that state. Its steps. */
static unsigned int history_write(struct explorer *ex, uint32_t state, struct world *world,
				  FILE *out)
{
	uint32_t parent = ex->parents[state] & ~CUTS_DONE;
	struct world before;
	struct step step;
	unsigned int nr;
	char text[160];

	if (parent == NO_STATE) {
		world_unpack(ex->model, world, &ex->states[state]);
		describe_beginning(ex->model, world, out);
		return 0;
	}
	nr = history_write(ex, parent, world, out) + 1;
	before = *world;
	if (step_towards(ex, world, &ex->states[state], &step))
		step_describe(ex->model, &before, &step, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "?");
	fprintf(out, "%2u. %s\n", nr, text);
	return nr;
}

static int failure_note(struct explorer *ex, uint32_t state, unsigned int check)
{
	struct exploration *found = ex->found;
	struct world world;
	size_t size;
	FILE *out;

	if (found->failed[check]++)
		return 0;
	out = open_memstream(&found->histories[check], &size);
	if (!out)
		return -ENOMEM;
	found->history_steps[check] = history_write(ex, state, &world, out);
	return fclose(out) ? -ENOMEM : 0;
}

/* --- breadth first */

/* A step that changed nothing of what a cut leaves, nor of what can happen after it: the
 * cuts of the state before it are those of the state behind it. */
static bool same_cuts(const struct world *world, const struct world *next)
{
	return world->cuts_left && !memcmp(world->may, next->may, sizeof(world->may)) &&
	       !memcmp(world->flushed, next->flushed, sizeof(world->flushed)) &&
	       world->log_may_set == next->log_may_set &&
	       world->log_may_clear == next->log_may_clear &&
	       world->writes_left == next->writes_left &&
	       world->suspends_left == next->suspends_left &&
	       world->errors_left == next->errors_left && world->cuts_left == next->cuts_left &&
	       world->leg_0_refused == next->leg_0_refused &&
	       world->leg_0_flush_failed == next->leg_0_flush_failed;
}

/* Every step of a state, with every outcome. *ended: nothing went on by itself. */
static int expand(struct explorer *ex, uint32_t state, const struct world *world, bool *ended)
{
	struct step steps[STEPS_MAX];
	struct world next;
	unsigned int nr = world_steps(ex->model, world, steps), i;
	struct step *step;
	uint32_t parent;

	*ended = true;
	for (i = 0; i < nr; i++) {
		step = &steps[i];
		if (step->kind == STEP_CUT && ex->parents[state] & CUTS_DONE)
			continue;
		for (step->choice = 0; step->choice < step->choices; step->choice++) {
			next = *world;
			if (!world_step(ex->model, &next, step))
				break;
			if (step->kind >= STEP_INTERNAL)
				*ended = false;
			ex->found->transitions++;
			parent = same_cuts(world, &next) ? state | CUTS_DONE : state;
			if (candidate_add(ex, &next, parent))
				return -ENOMEM;
		}
	}
	return batch_add(ex);
}

static int explore_from(struct explorer *ex, unsigned int until)
{
	struct exploration *found = ex->found;
	uint32_t state, level_end = ex->nr;
	unsigned int failed, check;
	struct world world;
	bool ended;

	for (state = 0; state < ex->nr; state++) {
		if (state == level_end) {
			found->longest++;
			level_end = ex->nr;
		}
		world_unpack(ex->model, &world, &ex->states[state]);
		if (expand(ex, state, &world, &ended))
			return -ENOMEM;
		found->ends += ended;
		failed = world_check(ex->model, &world, ended);
		for (check = 0; check < NR_CHECKS; check++) {
			if (failed >> check & 1 && failure_note(ex, state, check))
				return -ENOMEM;
		}
		if (failed & until) {
			found->complete = false;
			break;
		}
	}
	return 0;
}

int explore(struct model *model, unsigned int until, uint64_t max_states,
	    struct exploration *found)
{
	struct explorer ex = { .model = model, .found = found, .max_states = max_states };
	unsigned int clean;
	struct world world;
	int ret;

	memset(found, 0, sizeof(*found));
	if (!can_be_packed(model) || max_states >= NO_STATE)
		return -EINVAL;
	found->complete = true;
	ret = table_grow(&ex);
	for (clean = 0; !ret && clean < 1u << model->config.regions; clean++) {
		world_init(model, &world, clean);
		ret = candidate_add(&ex, &world, NO_STATE);
	}
	if (!ret)
		ret = batch_add(&ex);
	if (!ret)
		ret = explore_from(&ex, until);
	found->states = ex.nr;
	found->memory_bytes = ex.room * (uint64_t)(sizeof(*ex.states) + sizeof(*ex.parents)) +
			      ((uint64_t)ex.table_mask + 1) * sizeof(*ex.table);
	free(ex.states);
	free(ex.parents);
	free(ex.table);
	return ret;
}

void exploration_free(struct exploration *found)
{
	unsigned int i;

	for (i = 0; i < NR_CHECKS; i++)
		free(found->histories[i]);
	memset(found, 0, sizeof(*found));
}

/* --- random walks */

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* One step that can happen now, taken at random; `steps` as world_steps() says. False:
 * there is none. Misfortunes and suspends are many and rare: tried one time in eight. */
static bool walk_step(struct model *model, struct world *world, uint64_t *random, bool *ended,
		      char *text, size_t room)
{
	struct step steps[STEPS_MAX];
	unsigned int nr = world_steps(model, world, steps), pick;
	struct world next;
	bool rare_too;

	*ended = true;
	for (pick = 0; pick < nr && *ended; pick++) {
		next = *world;
		*ended = steps[pick].kind < STEP_INTERNAL ||
			 !world_step(model, &next, &steps[pick]);
	}
	while (nr) {
		rare_too = random_next(random) % 8 == 0;
		pick = (unsigned int)(random_next(random) % nr);
		if (!rare_too && !*ended && steps[pick].kind >= STEP_SUSPEND &&
		    steps[pick].kind < STEP_INTERNAL)
			continue;
		steps[pick].choice = random_next(random) % steps[pick].choices;
		next = *world;
		if (world_step(model, &next, &steps[pick])) {
			step_describe(model, world, &steps[pick], text, room);
			*world = next;
			world_renumber(model, world);
			return true;
		}
		steps[pick] = steps[--nr];
	}
	return false;
}

/* One walk; its steps go to `out`. The checks that failed in it. */
static unsigned int walk_once(struct model *model, unsigned int until, uint64_t *random,
			      struct exploration *found, FILE *out)
{
	unsigned int failed = 0, now, nr = 0, check;
	struct world world;
	bool ended, more;
	char text[160];

	world_init(model, &world, (unsigned int)(random_next(random) &
						 ((1u << model->config.regions) - 1)));
	describe_beginning(model, &world, out);
	do {
		struct world before = world;

		more = walk_step(model, &world, random, &ended, text, sizeof(text));
		now = world_check(model, &before, ended);
		found->states++;
		found->ends += ended;
		failed |= now;
		for (check = 0; check < NR_CHECKS; check++)
			found->failed[check] += now >> check & 1;
		if (more && !(now & until)) {
			found->transitions++;
			fprintf(out, "%2u. %s\n", ++nr, text);
		}
	} while (more && !(now & until));
	if (nr > found->longest)
		found->longest = nr;
	return failed;
}

int walk(struct model *model, unsigned int until, uint64_t walks, uint64_t seed,
	 struct exploration *found)
{
	unsigned int failed, check;
	char *history = NULL;
	size_t size;
	FILE *out;

	memset(found, 0, sizeof(*found));
	for (; walks; walks--) {
		out = open_memstream(&history, &size);
		if (!out)
			return -ENOMEM;
		failed = walk_once(model, until, &seed, found, out);
		if (fclose(out))
			return -ENOMEM;
		for (check = 0; check < NR_CHECKS; check++) {
			if (failed >> check & 1 && !found->histories[check])
				found->histories[check] = strdup(history);
		}
		free(history);
		if (failed & until)
			break;
	}
	return 0;
}
