/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "world.h"

#include <stdio.h>

static const char *const sentences[] = {
	[STEP_WRITE] = "a write to region %u",
	[STEP_FLUSH] = "all legs are flushed by the user",
	[STEP_SUSPEND] = "suspend",
	[STEP_CUT] = "the power is cut; the mirror is activated again",
	[STEP_LEG_ERROR] = "a write to region %u is refused by leg %u",
	[STEP_READ_ERROR] = "region %u cannot be read for its recovery",
	[STEP_COPY_ERROR] = "the copy of region %u is refused by leg %u",
	[STEP_FLUSH_ERROR] = "a flush by the user fails on leg %u",
	[STEP_LEG_FLUSH_ERROR] = "the flush of the legs fails on leg %u",
	[STEP_LOG_WRITE_ERROR] = "the log cannot be written",
	[STEP_LOG_FLUSH_ERROR] = "the log cannot be flushed",
	[STEP_LEG_DONE] = "a write to region %u is done on leg %u",
	[STEP_RESTART] = "the delayed write to region %u begins",
	[STEP_PREPARE] = "region %u is taken into recovery",
	[STEP_RECOVER] = "the recovery of region %u begins",
	[STEP_COPY_DONE] = "region %u is copied to leg %u",
	[STEP_UPDATE] = "update: regions that became clean get their bit",
	[STEP_FLUSH_BEGIN] = "the worker begins to flush the log",
	[STEP_LEG_FLUSH] = "the worker flushes all legs",
	[STEP_LOG_WRITE] = "the worker writes the log",
	[STEP_LOG_FLUSH] = "the worker flushes the log",
	[STEP_RESUME] = "resume: the log is read and believed",
};

static const char *write_is(const struct world *world, unsigned int region)
{
	switch (world->engine.state[region]) {
	case REGION_RECOVERING:
		return ", which is in recovery: delayed";
	case REGION_NOSYNC:
		return ", not in sync: to leg 0 only";
	case 0:
		return world->engine.sync >> region & 1 ? ", in sync: to all legs" :
							  ", not in sync: to leg 0 only";
	default:
		return ", in sync: to all legs";
	}
}

void step_describe(const struct model *model, const struct world *world, const struct step *step,
		   char *text, size_t room)
{
	const char *more = "";
	unsigned int region = step->which;
	int used;

	if (step->kind == STEP_LEG_DONE || step->kind == STEP_LEG_ERROR ||
	    step->kind == STEP_RESTART)
		region = world->writes[step->which].region;
	else if (step->kind == STEP_FLUSH_ERROR || step->kind == STEP_LEG_FLUSH_ERROR)
		region = step->leg;	/* the only number of that sentence */
	used = snprintf(text, room, sentences[step->kind], region, step->leg);
	if (step->kind == STEP_WRITE)
		more = write_is(world, region);
	else if ((step->kind == STEP_LEG_FLUSH && model->config.fault == FAULT_NO_LEG_FLUSH) ||
		 (step->kind == STEP_LOG_FLUSH && model->config.fault == FAULT_NO_LOG_FLUSH))
		more = " (left out)";
	if (used > 0 && (size_t)used < room)
		snprintf(text + used, room - (size_t)used, "%s", more);
}
