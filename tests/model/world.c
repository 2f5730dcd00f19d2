/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "world.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* --- what lies on legs and log */

static unsigned int all_regions(const struct model *model)
{
	return (1u << model->config.regions) - 1;
}

static unsigned int all_legs(const struct model *model)
{
	return (1u << model->config.legs) - 1;
}

static unsigned int nth_set_bit(unsigned int set, unsigned int n)
{
	while (n--)
		set &= set - 1;
	return (unsigned int)__builtin_ctz(set);
}

/* Values on their way to a sector of a leg: no flush makes them stable. */
static unsigned int values_in_flight(const struct world *world, unsigned int leg,
				     unsigned int region)
{
	const struct model_copy *copy = &world->copies[region];
	unsigned int set = 0, i;

	for (i = 0; i < MODEL_WRITES; i++) {
		if (world->writes[i].phase == WRITE_SUBMITTED &&
		    world->writes[i].region == region && world->writes[i].legs >> leg & 1)
			set |= 1u << world->writes[i].value;
	}
	if (copy->active && copy->legs >> leg & 1)
		set |= 1u << copy->value;
	return set;
}

static void legs_flush(const struct model *model, struct world *world)
{
	unsigned int leg, i;

	for (leg = 0; leg < model->config.legs; leg++) {
		for (i = 0; i < model->config.regions; i++)
			world->may[leg][i] = (uint16_t)(1u << world->now[leg][i] |
							values_in_flight(world, leg, i));
	}
}

static uint64_t leg_contents(const struct model *model, const struct world *world,
			     unsigned int leg)
{
	uint64_t nr = 1;
	unsigned int i;

	for (i = 0; i < model->config.regions; i++)
		nr *= set_size(world->may[leg][i]);
	return nr;
}

/* Contents number `choice` of those; what remains of the number. */
static uint64_t leg_choose(const struct model *model, struct world *world, unsigned int leg,
			   uint64_t choice)
{
	unsigned int i, nr;

	for (i = 0; i < model->config.regions; i++) {
		nr = set_size(world->may[leg][i]);
		world->now[leg][i] = (uint8_t)nth_set_bit(world->may[leg][i], choice % nr);
		choice /= nr;
	}
	return choice;
}

/* Each bit in `open` is 1 or 0, as the number says. */
static unsigned int choose_bits(unsigned int open, uint64_t choice)
{
	unsigned int set = 0;

	for (; open; open &= open - 1, choice >>= 1) {
		if (choice & 1)
			set |= open & -open;
	}
	return set;
}

static uint64_t bit_choices(unsigned int open)
{
	return UINT64_C(1) << set_size(open);
}

static void error_happened(struct world *world)
{
	world->errors_left--;
	world->error_since_resume = true;
}

/* What leg 0 had not flushed may be gone although it was acknowledged, and the next flush
 * succeeds: a write error that comes late. */
static void leg_lost_its_cache(const struct model *model, struct world *world,
			       const struct step *step)
{
	error_happened(world);
	leg_choose(model, world, step->leg, step->choice);
	if (!step->leg)
		world->leg_0_flush_failed = true;
}

/* --- writes */

static uint8_t next_value(const struct model *model, const struct world *world,
			  unsigned int region)
{
	unsigned int used = 1u << world->acked[region] >> 1, leg, i;

	for (leg = 0; leg < model->config.legs; leg++)
		used |= world->may[leg][region];
	for (i = 0; i < MODEL_WRITES; i++) {
		if (world->writes[i].phase == WRITE_SUBMITTED && world->writes[i].region == region)
			used |= 1u << world->writes[i].value;
	}
	return (uint8_t)(32 - __builtin_clz(used));
}

static void write_submit_if_allowed(struct model *model, struct world *world,
				    struct model_write *write)
{
	unsigned int leg;

	if (!region_engine_may_submit(model->engine, write->region) &&
	    model->config.fault != FAULT_EARLY_WRITE)
		return;
	write->phase = WRITE_SUBMITTED;
	write->value = next_value(model, world, write->region);
	for (leg = 0; leg < model->config.legs; leg++) {
		if (write->legs >> leg & 1)
			world->may[leg][write->region] |= (uint16_t)(1u << write->value);
	}
}

static bool write_start(struct model *model, struct world *world, struct model_write *write)
{
	int route = region_engine_write_start(model->engine, write->region);

	if (route < 0)
		return false;
	write->phase = WRITE_DELAYED;
	if (route == REGION_DELAYED)
		return true;
	write->phase = WRITE_WAITING;
	write->legs = route == REGION_ALL_LEGS ? (uint8_t)all_legs(model) : 1;
	write_submit_if_allowed(model, world, write);
	return true;
}

static bool do_write(struct model *model, struct world *world, const struct step *step)
{
	struct model_write *write = world->writes;

	while (write->phase != WRITE_NONE)
		write++;
	write->region = step->which;
	world->writes_left--;
	return write_start(model, world, write);
}

static bool do_restart(struct model *model, struct world *world, const struct step *step)
{
	return write_start(model, world, &world->writes[step->which]);
}

/* The worker of 2006 and before: whatever the region was, it is clean now. */
static void write_end_before_2006(struct region_engine *engine, unsigned int region)
{
	struct region_entry *entry = region_entry_find(engine, region);

	if (entry && entry->pending == 1 && entry->state == REGION_NOSYNC)
		entry->state = REGION_DIRTY;
}

static void write_leg_is_done(struct model *model, struct world *world, struct model_write *write,
			      unsigned int leg)
{
	unsigned int region = write->region;

	write->legs &= (uint8_t)~(1u << leg);
	if (write->legs)
		return;
	if (write->refused && model->config.fault != FAULT_LEG_ERROR_IGNORED)
		region_engine_leg_error(model->engine, region);
	if (write->taken && write->value > world->acked[region])
		world->acked[region] = write->value;
	if (model->config.fault == FAULT_RULE_BEFORE_2006)
		write_end_before_2006(model->engine, region);
	region_engine_write_end(model->engine, region);
	memset(write, 0, sizeof(*write));
}

static bool do_leg_done(struct model *model, struct world *world, const struct step *step)
{
	struct model_write *write = &world->writes[step->which];

	world->now[step->leg][write->region] = write->value;
	write->taken = true;
	write_leg_is_done(model, world, write, step->leg);
	return true;
}

/* Choice 1: it is there all the same. */
static bool do_leg_error(struct model *model, struct world *world, const struct step *step)
{
	struct model_write *write = &world->writes[step->which];

	error_happened(world);
	if (!step->leg)
		world->leg_0_refused = true;
	if (step->choice)
		world->now[step->leg][write->region] = write->value;
	write->refused = true;
	write_leg_is_done(model, world, write, step->leg);
	return true;
}

/* --- flushes by the user */

static bool do_flush(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	legs_flush(model, world);
	memcpy(world->flushed, world->acked, sizeof(world->flushed));
	return true;
}

static bool do_flush_error(struct model *model, struct world *world, const struct step *step)
{
	leg_lost_its_cache(model, world, step);
	if (model->config.fault != FAULT_FLUSH_ERROR_IGNORED)
		region_engine_flush_error(model->engine);
	return true;
}

/* --- suspend, resume, power cut */

static bool do_suspend(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	world->suspends_left--;
	region_engine_suspend(model->engine);
	return true;
}

/* The log is read, and believed. */
static bool resume(struct model *model, struct world *world)
{
	model->clean_word = htole64(world->log_now);
	if (region_engine_resume(model->engine))
		return false;
	world->visited = 0;
	if (model->config.fault == FAULT_NO_RECOVERY)
		world->visited = (uint8_t)all_regions(model);
	world->error_since_resume = false;
	return true;
}

static bool do_resume(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	return resume(model, world);
}

static uint64_t cut_choices(const struct model *model, const struct world *world)
{
	uint64_t nr = bit_choices(world->log_may_set & world->log_may_clear);
	unsigned int leg;

	for (leg = 0; leg < model->config.legs; leg++)
		nr *= leg_contents(model, world, leg);
	return nr;
}

/* The mirror is activated again with what is on stable storage. */
static bool do_cut(struct model *model, struct world *world, const struct step *step)
{
	unsigned int open = world->log_may_set & world->log_may_clear, leg;
	uint64_t choice = step->choice;

	for (leg = 0; leg < model->config.legs; leg++)
		choice = leg_choose(model, world, leg, choice);
	world->log_now = (uint8_t)((world->log_may_set & ~open) | choose_bits(open, choice));
	world->log_may_set = world->log_now;
	world->log_may_clear = (uint8_t)(all_regions(model) & ~world->log_now);
	memset(world->writes, 0, sizeof(world->writes));
	memset(world->copies, 0, sizeof(world->copies));
	legs_flush(model, world);
	memcpy(world->acked, world->flushed, sizeof(world->acked));
	world->flush = 0;
	world->cuts_left--;
	memset(&world->engine, 0, sizeof(world->engine));
	world->engine.suspended = true;
	engine_load(model, world, 0);
	return resume(model, world);
}

/* --- recovery */

static bool do_prepare(struct model *model, struct world *world, const struct step *step)
{
	struct region_entry *entry;
	uint64_t region;

	if (region_engine_recovery_prepare(model->engine, &region) != 1)
		return false;
	world->visited |= (uint8_t)(1u << step->which);
	entry = region_entry_find(model->engine, region);
	if (model->config.fault == FAULT_EARLY_RECOVERY && entry->pending)
		region_entry_move(model->engine, entry, REGION_LIST_QUIESCED);
	return true;
}

static bool do_recover(struct model *model, struct world *world, const struct step *step)
{
	struct model_copy *copy = &world->copies[step->which];
	unsigned int source = 0, leg;
	uint64_t region;

	if (!region_engine_recovery_start(model->engine, &region))
		return false;
	if (model->config.fault == FAULT_WRONG_SOURCE)
		source = model->config.legs - 1;
	copy->active = true;
	copy->value = world->now[source][step->which];
	copy->legs = (uint8_t)(all_legs(model) & ~(1u << source));
	for (leg = 0; leg < model->config.legs; leg++) {
		if (copy->legs >> leg & 1)
			world->may[leg][step->which] |= (uint16_t)(1u << copy->value);
	}
	return true;
}

static bool do_read_error(struct model *model, struct world *world, const struct step *step)
{
	uint64_t region;

	(void)step;
	error_happened(world);
	return region_engine_recovery_start(model->engine, &region) &&
	       !region_engine_recovery_end(model->engine, region, false);
}

static void copy_leg_is_done(struct model *model, struct world *world, const struct step *step)
{
	struct model_copy *copy = &world->copies[step->which];

	copy->legs &= (uint8_t)~(1u << step->leg);
	if (copy->legs)
		return;
	region_engine_recovery_end(model->engine, step->which, !copy->failed);
	memset(copy, 0, sizeof(*copy));
}

static bool do_copy_done(struct model *model, struct world *world, const struct step *step)
{
	world->now[step->leg][step->which] = world->copies[step->which].value;
	copy_leg_is_done(model, world, step);
	return true;
}

static bool do_copy_error(struct model *model, struct world *world, const struct step *step)
{
	error_happened(world);
	world->copies[step->which].failed = true;
	if (step->choice)
		world->now[step->leg][step->which] = world->copies[step->which].value;
	copy_leg_is_done(model, world, step);
	return true;
}

/* --- the worker: update and flush */

/* Without handle_errors a failed recovery counts as in sync; the bit is left alone. */
static void believe_failed_recoveries(struct model *model, const struct world *world)
{
	unsigned int i;

	for (i = 0; i < model->config.regions; i++) {
		if (world->engine.list[i] == REGION_LIST_FAILED)
			model->engine->sync_bits.words[0] |= htole64(UINT64_C(1) << i);
	}
}

static bool do_update(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	if (region_engine_update(model->engine))
		return false;
	if (model->config.fault == FAULT_RECOVERY_ERROR_IGNORED)
		believe_failed_recoveries(model, world);
	return true;
}

static bool do_flush_begin(struct model *model, struct world *world, const struct step *step)
{
	int steps = region_engine_flush_begin(model->engine);

	(void)step;
	if (steps <= 0)
		return false;
	world->flush = (uint8_t)steps;
	return true;
}

static void flush_end(struct model *model, struct world *world, bool success)
{
	unsigned int i;

	world->flush = 0;
	region_engine_log_written(model->engine, success);
	for (i = 0; success && i < MODEL_WRITES; i++) {
		if (world->writes[i].phase == WRITE_WAITING)
			write_submit_if_allowed(model, world, &world->writes[i]);
	}
}

static bool do_leg_flush(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	if (model->config.fault != FAULT_NO_LEG_FLUSH)
		legs_flush(model, world);
	world->flush &= (uint8_t)~REGION_FLUSH_LEGS;
	region_engine_legs_flushed(model->engine, true);
	return true;
}

static bool do_leg_flush_error(struct model *model, struct world *world, const struct step *step)
{
	leg_lost_its_cache(model, world, step);
	world->flush &= (uint8_t)~REGION_FLUSH_LEGS;
	region_engine_legs_flushed(model->engine,
				   model->config.fault == FAULT_FLUSH_ERROR_IGNORED);
	return true;
}

/* The bits that the engine has now are on their way. */
static unsigned int log_submit(const struct model *model, struct world *world)
{
	unsigned int clean = (unsigned int)le64toh(model->clean_word);

	world->log_may_set |= (uint8_t)clean;
	world->log_may_clear |= (uint8_t)(all_regions(model) & ~clean);
	return clean;
}

static bool do_log_write(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	world->log_now = (uint8_t)log_submit(model, world);
	world->flush &= (uint8_t)~REGION_WRITE_LOG;
	if (!world->flush)
		flush_end(model, world, true);
	return true;
}

static bool do_log_write_error(struct model *model, struct world *world, const struct step *step)
{
	unsigned int clean = log_submit(model, world), changed = clean ^ world->log_now;

	error_happened(world);
	world->log_now ^= (uint8_t)choose_bits(changed, step->choice);
	flush_end(model, world, false);
	return true;
}

static bool do_log_flush(struct model *model, struct world *world, const struct step *step)
{
	(void)step;
	if (model->config.fault != FAULT_NO_LOG_FLUSH) {
		world->log_may_set = world->log_now;
		world->log_may_clear = (uint8_t)(all_regions(model) & ~world->log_now);
	}
	flush_end(model, world, true);
	return true;
}

static bool do_log_flush_error(struct model *model, struct world *world, const struct step *step)
{
	unsigned int open = world->log_may_set & world->log_may_clear;

	error_happened(world);
	world->log_now = (uint8_t)((world->log_may_set & ~open) | choose_bits(open, step->choice));
	flush_end(model, world, false);
	return true;
}

static bool (*const handlers[])(struct model *model, struct world *world,
				const struct step *step) = {
	[STEP_WRITE] = do_write,
	[STEP_FLUSH] = do_flush,
	[STEP_SUSPEND] = do_suspend,
	[STEP_CUT] = do_cut,
	[STEP_LEG_ERROR] = do_leg_error,
	[STEP_READ_ERROR] = do_read_error,
	[STEP_COPY_ERROR] = do_copy_error,
	[STEP_FLUSH_ERROR] = do_flush_error,
	[STEP_LEG_FLUSH_ERROR] = do_leg_flush_error,
	[STEP_LOG_WRITE_ERROR] = do_log_write_error,
	[STEP_LOG_FLUSH_ERROR] = do_log_flush_error,
	[STEP_LEG_DONE] = do_leg_done,
	[STEP_RESTART] = do_restart,
	[STEP_PREPARE] = do_prepare,
	[STEP_RECOVER] = do_recover,
	[STEP_COPY_DONE] = do_copy_done,
	[STEP_UPDATE] = do_update,
	[STEP_FLUSH_BEGIN] = do_flush_begin,
	[STEP_LEG_FLUSH] = do_leg_flush,
	[STEP_LOG_WRITE] = do_log_write,
	[STEP_LOG_FLUSH] = do_log_flush,
	[STEP_RESUME] = do_resume,
};

bool world_step(struct model *model, struct world *world, const struct step *step)
{
	model->current = world;
	engine_load(model, world, step->kind == STEP_PREPARE || step->kind == STEP_RECOVER ||
		    step->kind == STEP_READ_ERROR ? step->which : 0);
	if (!handlers[step->kind](model, world, step))
		return false;
	engine_store(model, world);
	return true;
}

/* --- what can happen */

struct step_list {
	struct step *steps;
	unsigned int nr;
};

static void add(struct step_list *list, enum step_kind kind, unsigned int which,
		unsigned int leg, uint64_t choices)
{
	list->steps[list->nr++] = (struct step){
		.kind = (uint8_t)kind, .which = (uint8_t)which, .leg = (uint8_t)leg,
		.choices = choices,
	};
}

/* A leg takes writes to one sector in the order of their submission. */
static bool earlier_is_in_flight(const struct world *world, const struct model_write *write,
				 unsigned int leg)
{
	return values_in_flight(world, leg, write->region) & ((1u << write->value) - 1);
}

static void add_write_steps(struct step_list *list, const struct model *model,
			    const struct world *world)
{
	unsigned int i, leg;

	for (i = 0; i < MODEL_WRITES; i++) {
		const struct model_write *write = &world->writes[i];

		if (write->phase == WRITE_RELEASED)
			add(list, STEP_RESTART, i, 0, 1);
		if (write->phase != WRITE_SUBMITTED)
			continue;
		for (leg = 0; leg < model->config.legs; leg++) {
			if (!(write->legs >> leg & 1) || earlier_is_in_flight(world, write, leg))
				continue;
			add(list, STEP_LEG_DONE, i, leg, 1);
			if (world->errors_left)
				add(list, STEP_LEG_ERROR, i, leg, 2);
		}
	}
}

static void add_recovery_steps(struct step_list *list, const struct model *model,
			       const struct world *world)
{
	const struct engine_image *engine = &world->engine;
	unsigned int i, leg;

	for (i = 0; i < model->config.regions; i++) {
		if (!engine->suspended && !((world->visited | engine->sync) >> i & 1))
			add(list, STEP_PREPARE, i, 0, 1);
		if (engine->list[i] == REGION_LIST_QUIESCED) {
			add(list, STEP_RECOVER, i, 0, 1);
			if (world->errors_left)
				add(list, STEP_READ_ERROR, i, 0, 1);
		}
		for (leg = 0; leg < model->config.legs; leg++) {
			if (!(world->copies[i].legs >> leg & 1))
				continue;
			add(list, STEP_COPY_DONE, i, leg, 1);
			if (world->errors_left)
				add(list, STEP_COPY_ERROR, i, leg, 2);
		}
	}
}

static void add_leg_flush_errors(struct step_list *list, const struct model *model,
				 const struct world *world, enum step_kind kind)
{
	unsigned int leg;

	for (leg = 0; world->errors_left && leg < model->config.legs; leg++)
		add(list, kind, 0, leg, leg_contents(model, world, leg));
}

/* Also while a flush is under way: the engine has to refuse it then. */
static void add_update(struct step_list *list, const struct model *model,
		       const struct world *world)
{
	unsigned int i;

	for (i = 0; i < model->config.regions; i++) {
		if (world->engine.list[i] == REGION_LIST_CLEAN ||
		    world->engine.list[i] == REGION_LIST_RECOVERED ||
		    world->engine.list[i] == REGION_LIST_FAILED) {
			add(list, STEP_UPDATE, 0, 0, 1);
			return;
		}
	}
}

static void add_worker_steps(struct step_list *list, const struct model *model,
			     const struct world *world)
{
	const struct engine_image *engine = &world->engine;
	unsigned int open = world->log_may_set & world->log_may_clear;

	add_update(list, model, world);
	if (world->flush & REGION_FLUSH_LEGS) {
		add(list, STEP_LEG_FLUSH, 0, 0, 1);
		add_leg_flush_errors(list, model, world, STEP_LEG_FLUSH_ERROR);
	} else if (world->flush & REGION_WRITE_LOG) {
		add(list, STEP_LOG_WRITE, 0, 0, 1);
		if (world->errors_left)
			add(list, STEP_LOG_WRITE_ERROR, 0, 0,
			    bit_choices(engine->clean ^ world->log_now));
	} else if (world->flush) {
		add(list, STEP_LOG_FLUSH, 0, 0, 1);
		if (world->errors_left)
			add(list, STEP_LOG_FLUSH_ERROR, 0, 0, bit_choices(open));
	} else if (engine->touched_cleaned || engine->touched_dirtied) {
		add(list, STEP_FLUSH_BEGIN, 0, 0, 1);
	}
}

/* Legs hold what is not stable, or writes are acknowledged and not flushed. */
static bool flush_wanted(const struct model *model, const struct world *world)
{
	unsigned int leg, i;

	for (i = 0; i < model->config.regions; i++) {
		if (world->acked[i] != world->flushed[i])
			return true;
		for (leg = 0; leg < model->config.legs; leg++) {
			if (world->may[leg][i] != (1u << world->now[leg][i] |
						   values_in_flight(world, leg, i)))
				return true;
		}
	}
	return false;
}

static void add_user_steps(struct step_list *list, const struct model *model,
			   const struct world *world, unsigned int in_flight)
{
	unsigned int i;

	for (i = 0; i < model->config.regions; i++) {
		if (world->writes_left && in_flight < model->config.in_flight)
			add(list, STEP_WRITE, i, 0, 1);
	}
	if (flush_wanted(model, world)) {
		add(list, STEP_FLUSH, 0, 0, 1);
		add_leg_flush_errors(list, model, world, STEP_FLUSH_ERROR);
	}
	if (world->suspends_left)
		add(list, STEP_SUSPEND, 0, 0, 1);
}

unsigned int world_steps(struct model *model, const struct world *world, struct step *steps)
{
	struct step_list list = { .steps = steps };
	unsigned int in_flight = 0, i;
	bool copies = false;

	for (i = 0; i < MODEL_WRITES; i++)
		in_flight += world->writes[i].phase != WRITE_NONE;
	for (i = 0; i < model->config.regions; i++)
		copies = copies || world->copies[i].active;
	add_write_steps(&list, model, world);
	add_recovery_steps(&list, model, world);
	add_worker_steps(&list, model, world);
	if (!world->engine.suspended)
		add_user_steps(&list, model, world, in_flight);
	else if (!in_flight && !copies && !world->flush)
		add(&list, STEP_RESUME, 0, 0, 1);
	if (world->cuts_left)
		add(&list, STEP_CUT, 0, 0, cut_choices(model, world));
	return list.nr;
}

/* --- life */

static void recovery_over(void *context, uint64_t region, bool success)
{
	struct model *model = context;
	unsigned int i;

	(void)success;
	for (i = 0; i < MODEL_WRITES; i++) {
		struct model_write *write = &model->current->writes[i];

		if (write->phase == WRITE_DELAYED && write->region == region &&
		    model->config.fault != FAULT_LOST_WAKEUP)
			write->phase = WRITE_RELEASED;
	}
}

int model_init(struct model *model, const struct model_config *config)
{
	struct region_engine_params params = {
		.clean_bits = &model->clean_bits, .capacity = config->entries,
		.max_recovery = config->recoveries,
		.recovery_over = recovery_over, .context = model,
	};

	memset(model, 0, sizeof(*model));
	model->config = *config;
	bitmap_borrow(&model->clean_bits, &model->clean_word, config->regions);
	return region_engine_create(&model->engine, &params);
}

void model_fini(struct model *model)
{
	region_engine_destroy(model->engine);
}

void world_init(const struct model *model, struct world *world, unsigned int clean)
{
	unsigned int legs = model->config.legs, leg, i;

	memset(world, 0, sizeof(*world));
	world->engine.suspended = true;
	world->log_now = world->log_may_set = (uint8_t)clean;
	world->log_may_clear = (uint8_t)(all_regions(model) & ~clean);
	for (i = 0; i < model->config.regions; i++) {
		/* What leg 0 holds was acknowledged and flushed, long ago. */
		world->acked[i] = world->flushed[i] = (uint8_t)(legs - 1);
		for (leg = 0; leg < legs; leg++)
			world->now[leg][i] = (uint8_t)(clean >> i & 1 ? legs - 1 : legs - 1 - leg);
	}
	legs_flush(model, world);
	world->writes_left = (uint8_t)model->config.writes;
	world->suspends_left = (uint8_t)model->config.suspends;
	world->cuts_left = (uint8_t)model->config.cuts;
	world->errors_left = (uint8_t)model->config.errors;
}
