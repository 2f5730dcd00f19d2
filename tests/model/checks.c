/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "world.h"

static bool equal_now(const struct model *model, const struct world *world, unsigned int region)
{
	unsigned int leg;

	for (leg = 1; leg < model->config.legs; leg++) {
		if (world->now[leg][region] != world->now[0][region])
			return false;
	}
	return true;
}

/* Whatever a cut leaves: one value, the same on all legs. */
static bool equal_after_cut(const struct model *model, const struct world *world,
			    unsigned int region)
{
	unsigned int leg;

	for (leg = 0; leg < model->config.legs; leg++) {
		if (world->may[leg][region] != 1u << world->now[0][region])
			return false;
	}
	return true;
}

static unsigned int writes_in(const struct world *world, unsigned int region, bool submitted)
{
	unsigned int i, nr = 0;

	for (i = 0; i < MODEL_WRITES; i++) {
		if (world->writes[i].region == region &&
		    (world->writes[i].phase == WRITE_SUBMITTED ||
		     (!submitted && world->writes[i].phase == WRITE_WAITING)))
			nr++;
	}
	return nr;
}

/* On leg 0 there is, or after a cut would be, something older than the last write that was
 * acknowledged and flushed. */
static bool write_lost(const struct world *world, unsigned int leg, unsigned int region)
{
	return world->may[leg][region] & ((1u << world->flushed[region]) - 1);
}

static unsigned int check_lost(const struct model *model, const struct world *world,
			       unsigned int region)
{
	unsigned int leg;

	if (!write_lost(world, 0, region))
		return 0;
	if (world->leg_0_flush_failed)
		return CHECK_KNOWN_FLUSH;
	if (!world->leg_0_refused)
		return CHECK_WRITE_LOST;
	for (leg = 1; leg < model->config.legs; leg++) {
		if (!write_lost(world, leg, region))
			return CHECK_KNOWN_LOSS;
	}
	return CHECK_KNOWN_LOSS | CHECK_KNOWN_GONE;
}

/* What the engine says of one region, against itself and the writes that there are. */
static bool engine_wrong(const struct world *world, unsigned int region)
{
	const struct engine_image *engine = &world->engine;
	unsigned int state = engine->state[region], list = engine->list[region];
	bool clean = engine->clean >> region & 1, sync = engine->sync >> region & 1;
	bool recovering = engine->recovering >> region & 1;

	if (engine->pending[region] != writes_in(world, region, false) || (clean && !sync) ||
	    recovering != (state == REGION_RECOVERING))
		return true;
	switch (state) {
	case 0:
		return clean != sync;
	case REGION_CLEAN:	/* in flight only until the next update and flush */
		return !sync || engine->pending[region] || clean != (list == REGION_LIST_CLEANED);
	case REGION_DIRTY:
		return !sync || clean || !engine->pending[region] || list != REGION_LIST_NONE;
	case REGION_NOSYNC:	/* kept for nothing but writes, or for a bit not yet cleared */
		return sync || list != REGION_LIST_NONE ||
		       (!engine->pending[region] && engine->mark[region] == REGION_MARK_STABLE);
	default:
		return sync || clean || (list != REGION_LIST_NONE && engine->pending[region]);
	}
}

/* Nothing goes on by itself: no write may hang, and unless there was an error since the
 * last resume all must be well. */
static bool not_recovered(const struct model *model, const struct world *world)
{
	unsigned int all = (1u << model->config.regions) - 1, i;

	for (i = 0; i < MODEL_WRITES; i++) {
		if (world->writes[i].phase != WRITE_NONE)
			return true;
	}
	if (world->error_since_resume)
		return false;
	for (i = 0; i < model->config.regions; i++) {
		if (world->engine.state[i] || !equal_now(model, world, i))
			return true;
	}
	return world->engine.clean != all || world->engine.sync != all || world->log_now != all;
}

unsigned int world_check(const struct model *model, const struct world *world, bool ended)
{
	unsigned int failed = 0, i;

	for (i = 0; i < model->config.regions; i++) {
		if (world->log_may_set >> i & 1 && !equal_after_cut(model, world, i))
			failed |= CHECK_CLEAN_BIT;
		if (world->engine.sync >> i & 1 && !writes_in(world, i, true) &&
		    !equal_now(model, world, i))
			failed |= CHECK_IN_SYNC;
		failed |= check_lost(model, world, i);
		if (engine_wrong(world, i))
			failed |= CHECK_ENGINE;
	}
	if (ended && not_recovered(model, world))
		failed |= CHECK_RECOVERED;
	return failed;
}
