/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worlds that differ in names only are one. Values are numbered anew after each step and the
 * slots of writes sorted. A word of the packing holds all of a region but its writes, so the
 * region with the smaller word is region 0; and of the worlds that come from one another by
 * exchanging legs 1 and 2 the one with the smaller packing stands for both. (Leg 0, which is
 * copied from, cannot be exchanged.)
 */
#include "world.h"

#include <string.h>

/* --- values */

static unsigned int values_used(const struct model *model, const struct world *world,
				unsigned int region)
{
	unsigned int used = 0, leg, i;

	for (leg = 0; leg < model->config.legs; leg++)
		used |= world->may[leg][region] | 1u << world->now[leg][region];
	for (i = 0; i < MODEL_WRITES; i++) {
		if (world->writes[i].phase == WRITE_SUBMITTED && world->writes[i].region == region)
			used |= 1u << world->writes[i].value;
	}
	if (world->copies[region].active)
		used |= 1u << world->copies[region].value;
	return used;
}

struct renumbering {
	uint8_t name[MODEL_VALUES];
	uint8_t nr;
	unsigned int todo;
};

static void name_values(struct renumbering *names, unsigned int set)
{
	for (set &= names->todo; set; set &= set - 1)
		names->name[__builtin_ctz(set)] = names->nr++;
}

static void name_value(struct renumbering *names, unsigned int value)
{
	name_values(names, 1u << value);
	names->todo &= ~(1u << value);
}

static unsigned int renamed_set(const struct renumbering *names, unsigned int set)
{
	unsigned int renamed = 0;

	for (; set; set &= set - 1)
		renamed |= 1u << names->name[__builtin_ctz(set)];
	return renamed;
}

/* Among values below `flushed` the order means nothing: named as they are met. */
static void names_choose(const struct model *model, const struct world *world,
			 unsigned int region, struct renumbering *names)
{
	unsigned int used = values_used(model, world, region), leg, set;
	unsigned int old = (1u << world->flushed[region]) - 1;

	names->nr = 0;
	names->todo = used & old;
	for (leg = 0; names->todo && leg < model->config.legs; leg++) {
		name_value(names, world->now[leg][region]);
		for (set = world->may[leg][region]; set; set &= set - 1)
			name_value(names, (unsigned int)__builtin_ctz(set));
	}
	for (set = names->todo; set; set &= set - 1)
		name_value(names, (unsigned int)__builtin_ctz(set));
	names->todo = used & ~old;
	name_values(names, names->todo);
}

static void region_renumber(const struct model *model, struct world *world, unsigned int region)
{
	unsigned int used = values_used(model, world, region), leg, i;
	struct renumbering names;

	/* The names are right already. */
	if (!(used & (used + 1)) && world->flushed[region] <= 1 && world->acked[region] < 8 &&
	    1u << world->acked[region] <= used + 1)
		return;
	names_choose(model, world, region, &names);
	world->acked[region] = (uint8_t)set_size(used & ((1u << world->acked[region]) - 1));
	world->flushed[region] =
		(uint8_t)set_size(used & ((1u << world->flushed[region]) - 1));
	for (leg = 0; leg < model->config.legs; leg++) {
		world->now[leg][region] = names.name[world->now[leg][region]];
		world->may[leg][region] = (uint16_t)renamed_set(&names, world->may[leg][region]);
	}
	for (i = 0; i < MODEL_WRITES; i++) {
		struct model_write *write = &world->writes[i];

		if (write->phase == WRITE_SUBMITTED && write->region == region)
			write->value = names.name[write->value];
	}
	if (world->copies[region].active)
		world->copies[region].value = names.name[world->copies[region].value];
}

void world_renumber(const struct model *model, struct world *world)
{
	unsigned int i;

	for (i = 0; i < model->config.regions; i++)
		region_renumber(model, world, i);
}

/* --- bits */

struct bits {
	uint64_t word;
	unsigned int fill;
	bool get;
};

/* Most of the time goes here: one copy for each direction, in a piece. */
#define INLINE static inline __attribute__((always_inline))

INLINE unsigned int get(struct bits *bits, unsigned int width)
{
	uint64_t value = bits->word >> bits->fill;

	bits->fill += width;
	return (unsigned int)(value & ((UINT64_C(1) << width) - 1));
}

/* One list of fields for both directions. */
#define FIELD(bits, field, width) do { \
	if ((bits)->get) { \
		(field) = (__typeof__(field))get(bits, width); \
	} else { \
		(bits)->word |= (uint64_t)(field) << (bits)->fill; \
		(bits)->fill += width; \
	} \
} while (0)

/* The bit of a region in a set of regions. */
#define SET_FIELD(bits, set, region) do { \
	unsigned int bit_ = (set) >> (region) & 1; \
	FIELD(bits, bit_, 1); \
	if ((bits)->get) \
		(set) |= (__typeof__(set))(bit_ << (region)); \
} while (0)

INLINE void region_fields(const struct model *model, struct world *world, unsigned int region,
			  struct bits *bits)
{
	struct engine_image *engine = &world->engine;
	struct model_copy *copy = &world->copies[region];
	unsigned int legs = model->config.legs, leg;
	unsigned int values = legs + model->config.writes;

	FIELD(bits, engine->state[region], 4);
	FIELD(bits, engine->list[region], 3);
	FIELD(bits, engine->mark[region], 2);
	FIELD(bits, engine->pending[region], 2);
	SET_FIELD(bits, engine->clean, region);
	SET_FIELD(bits, engine->sync, region);
	SET_FIELD(bits, engine->recovering, region);
	SET_FIELD(bits, world->visited, region);
	SET_FIELD(bits, world->log_now, region);
	SET_FIELD(bits, world->log_may_set, region);
	SET_FIELD(bits, world->log_may_clear, region);
	for (leg = 0; leg < legs; leg++) {
		FIELD(bits, world->now[leg][region], 3);
		FIELD(bits, world->may[leg][region], values);
	}
	FIELD(bits, world->acked[region], 3);
	FIELD(bits, world->flushed[region], 3);
	FIELD(bits, copy->active, 1);
	FIELD(bits, copy->failed, 1);
	FIELD(bits, copy->value, 3);
	FIELD(bits, copy->legs, legs);
}

INLINE void write_fields(const struct model *model, struct model_write *write, struct bits *bits)
{
	FIELD(bits, write->phase, 3);
	FIELD(bits, write->region, 1);
	FIELD(bits, write->value, 3);
	FIELD(bits, write->legs, model->config.legs);
	FIELD(bits, write->taken, 1);
	FIELD(bits, write->refused, 1);
}

INLINE void other_fields(const struct model *model, struct world *world, struct bits *bits)
{
	struct engine_image *engine = &world->engine;
	unsigned int i;

	FIELD(bits, engine->phase, 2);
	FIELD(bits, engine->resumed, 2);
	FIELD(bits, engine->suspended, 1);
	FIELD(bits, engine->flush_failure, 1);
	FIELD(bits, engine->touched_cleaned, 1);
	FIELD(bits, engine->touched_dirtied, 1);
	FIELD(bits, engine->taking_cleaned, 1);
	FIELD(bits, engine->taking_dirtied, 1);
	FIELD(bits, world->flush, 3);
	FIELD(bits, world->writes_left, 2);
	FIELD(bits, world->suspends_left, 2);
	FIELD(bits, world->cuts_left, 1);
	FIELD(bits, world->errors_left, 1);
	FIELD(bits, world->leg_0_refused, 1);
	FIELD(bits, world->leg_0_flush_failed, 1);
	FIELD(bits, world->error_since_resume, 1);
	for (i = 0; i < model->config.in_flight; i++)
		write_fields(model, &world->writes[i], bits);
}

bool can_be_packed(const struct model *model)
{
	const struct model_config *config = &model->config;
	struct bits region = { .get = false }, other = { .get = false };
	struct world world;

	/* What does not fit the widths above. */
	if (config->regions >= PACKED_WORDS || config->legs > 3 ||
	    config->legs + config->writes > 7 || config->writes > 3 || config->suspends > 3 ||
	    config->cuts > 1 || config->errors > 1)
		return false;
	memset(&world, 0, sizeof(world));
	region_fields(model, &world, 0, &region);
	other_fields(model, &world, &other);
	return region.fill <= 64 && other.fill <= 64;
}

static uint64_t region_word(const struct model *model, struct world *world, unsigned int region)
{
	struct bits bits = { .get = false };

	region_fields(model, world, region, &bits);
	return bits.word;
}

static uint64_t other_word(const struct model *model, struct world *world)
{
	struct bits bits = { .get = false };

	other_fields(model, world, &bits);
	return bits.word;
}

/* --- writes */

static unsigned int write_key(const struct model_write *write)
{
	return write->phase == WRITE_NONE ? 0 :
	       1u << 16 | (unsigned int)write->region << 14 | (unsigned int)write->value << 10 |
	       (unsigned int)write->phase << 6 | write->legs;
}

static void sort_writes(const struct model *model, struct world *world)
{
	unsigned int i, j;

	for (i = 1; i < model->config.in_flight; i++) {
		struct model_write write = world->writes[i];

		for (j = i; j && write_key(&world->writes[j - 1]) < write_key(&write); j--)
			world->writes[j] = world->writes[j - 1];
		world->writes[j] = write;
	}
}

/* --- regions and legs */

static void pack_with_writes(const struct model *model, struct world *world, bool exchange,
			     struct packed *packed)
{
	struct model_write writes[MODEL_WRITES];
	unsigned int i;

	memcpy(writes, world->writes, sizeof(writes));
	for (i = 0; exchange && i < model->config.in_flight; i++) {
		if (world->writes[i].phase != WRITE_NONE)
			world->writes[i].region ^= 1;
	}
	sort_writes(model, world);
	packed->words[PACKED_WORDS - 1] = other_word(model, world);
	memcpy(world->writes, writes, sizeof(writes));
}

static void pack_regions(const struct model *model, struct world *world, struct packed *packed)
{
	uint64_t first, second;
	struct packed other;

	world_renumber(model, world);
	memset(packed, 0, sizeof(*packed));
	first = region_word(model, world, 0);
	second = model->config.regions > 1 ? region_word(model, world, 1) : UINT64_MAX;
	packed->words[0] = first < second ? first : second;
	packed->words[1] = model->config.regions < 2 ? 0 : first < second ? second : first;
	pack_with_writes(model, world, first > second, packed);
	if (first != second)
		return;
	/* Regions that differ in their writes at most. */
	other = *packed;
	pack_with_writes(model, world, true, &other);
	if (memcmp(&other, packed, sizeof(other)) < 0)
		*packed = other;
}

static unsigned int set_exchanged(unsigned int legs)
{
	return (legs & ~6u) | (legs & 2) << 1 | (legs & 4) >> 1;
}

static void exchange_legs(const struct model *model, struct world *world)
{
	unsigned int i;
	uint16_t may;
	uint8_t now;

	for (i = 0; i < model->config.regions; i++) {
		now = world->now[1][i];
		world->now[1][i] = world->now[2][i];
		world->now[2][i] = now;
		may = world->may[1][i];
		world->may[1][i] = world->may[2][i];
		world->may[2][i] = may;
		world->copies[i].legs = (uint8_t)set_exchanged(world->copies[i].legs);
	}
	for (i = 0; i < MODEL_WRITES; i++)
		world->writes[i].legs = (uint8_t)set_exchanged(world->writes[i].legs);
}

/* Nothing tells leg 1 from leg 2. */
static bool legs_are_alike(const struct model *model, const struct world *world)
{
	unsigned int i;

	if (memcmp(world->now[1], world->now[2], sizeof(world->now[1])) ||
	    memcmp(world->may[1], world->may[2], sizeof(world->may[1])))
		return false;
	for (i = 0; i < model->config.regions; i++) {
		if (set_exchanged(world->copies[i].legs) != world->copies[i].legs)
			return false;
	}
	for (i = 0; i < model->config.in_flight; i++) {
		if (set_exchanged(world->writes[i].legs) != world->writes[i].legs)
			return false;
	}
	return true;
}

void world_pack(const struct model *model, struct world *world, struct packed *packed)
{
	struct world exchanged;
	struct packed other;

	if (model->config.legs == 3)
		exchanged = *world;
	pack_regions(model, world, packed);
	if (model->config.legs != 3 || legs_are_alike(model, world))
		return;
	exchange_legs(model, &exchanged);
	pack_regions(model, &exchanged, &other);
	if (memcmp(&other, packed, sizeof(other)) < 0)
		*packed = other;
}

void world_unpack(const struct model *model, struct world *world, const struct packed *packed)
{
	struct bits bits = { .get = true };
	unsigned int i;

	memset(world, 0, sizeof(*world));
	for (i = 0; i < model->config.regions; i++) {
		bits = (struct bits){ .word = packed->words[i], .get = true };
		region_fields(model, world, i, &bits);
	}
	bits = (struct bits){ .word = packed->words[PACKED_WORDS - 1], .get = true };
	other_fields(model, world, &bits);
}
