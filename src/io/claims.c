/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/claims.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/dm.h"

struct walk {
	const struct stack *stack;
	struct claims *claims;
	dev_t self;
	struct claim_item *items;
	size_t nr_items;
	size_t nr_down;		/* the operands and what lies under them */
};

int claim_ranges_add(struct claim_ranges *ranges, const struct device *device,
		     uint64_t sectors, unsigned int operand)
{
	struct claim_range *list = reallocarray(ranges->ranges, ranges->nr + device->nr_pieces,
						sizeof(*list));

	if (!list)
		return -ENOMEM;
	ranges->ranges = list;
	for (unsigned int i = 0; i < device->nr_pieces; i++) {
		const struct device_piece *piece = &device->pieces[i];
		const struct block_file *file = piece->file;

		list[ranges->nr++] = (struct claim_range){
			.operand = operand,
			.node = { .dev = file->dev, .ino = file->regular ? file->ino : 0 },
			.first = piece->sector,
			.sectors = sectors && device->nr_pieces == 1 && sectors < piece->sectors ?
				   sectors : piece->sectors,
		};
	}
	return 0;
}

void claim_ranges_free(struct claim_ranges *ranges)
{
	free(ranges->ranges);
	memset(ranges, 0, sizeof(*ranges));
}

void claims_free(struct claims *claims)
{
	free(claims->claims);
	memset(claims, 0, sizeof(*claims));
}

static bool claim_equal(const struct claim *a, const struct claim *b)
{
	return a->kind == b->kind && a->operand == b->operand && a->other == b->other &&
	       a->inactive == b->inactive && a->holder == b->holder &&
	       a->lower == b->lower && a->lower_first == b->lower_first &&
	       !strcmp(a->name, b->name);
}

bool claims_have(const struct claims *claims, const struct claim *claim)
{
	size_t i;

	for (i = 0; i < claims->nr_claims; i++)
		if (claim_equal(&claims->claims[i], claim))
			return true;
	return false;
}

static int claim_add(struct claims *claims, const struct claim *claim)
{
	struct claim *list;

	if (claims_have(claims, claim))
		return 0;
	list = reallocarray(claims->claims, claims->nr_claims + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	claims->claims = list;
	list[claims->nr_claims++] = *claim;
	return 0;
}

static uint64_t end_of(uint64_t first, uint64_t sectors)
{
	return sectors > UINT64_MAX - first ? UINT64_MAX : first + sectors;
}

/* The common part of two ranges, false when there is none. */
static bool ranges_meet(uint64_t a_first, uint64_t a_sectors, uint64_t b_first,
			uint64_t b_sectors, uint64_t *first, uint64_t *sectors)
{
	uint64_t a_end = end_of(a_first, a_sectors), b_end = end_of(b_first, b_sectors);
	uint64_t end = a_end < b_end ? a_end : b_end;

	*first = a_first > b_first ? a_first : b_first;
	if (*first >= end)
		return false;
	*sectors = end - *first;
	return true;
}

bool claim_item_cross(struct claim_item *to, const struct claim_item *from,
		      const struct stack_edge *edge, bool up)
{
	struct stack_node near = up ? edge->lower : edge->upper;
	uint64_t near_first = up ? edge->lower_first : edge->upper_first;
	uint64_t near_sectors = up ? edge->lower_sectors : edge->upper_sectors;
	uint64_t far_first = up ? edge->upper_first : edge->lower_first;
	uint64_t first, sectors;

	if (!stack_node_equal(near, from->range.node) ||
	    !ranges_meet(near_first, near_sectors, from->range.first, from->range.sectors,
			 &first, &sectors))
		return false;
	*to = *from;
	to->exact = from->exact && edge->exact;
	to->range.node = up ? edge->upper : edge->lower;
	if (edge->exact) {
		to->range.first = end_of(far_first, first - near_first);
		to->range.sectors = sectors;
	} else {
		to->range.first = far_first;
		to->range.sectors = up ? edge->upper_sectors : edge->lower_sectors;
	}
	return true;
}

bool claim_item_within(const struct claim_item *inner, const struct claim_item *outer)
{
	const struct claim_range *in = &inner->range, *out = &outer->range;

	return in->operand == out->operand && inner->exact == outer->exact &&
	       stack_node_equal(in->node, out->node) && in->first >= out->first &&
	       end_of(in->first, in->sectors) <= end_of(out->first, out->sectors);
}

bool claim_items_meet(const struct claim_item *a, const struct claim_item *b)
{
	uint64_t first, sectors;

	return stack_node_equal(a->range.node, b->range.node) &&
	       ranges_meet(a->range.first, a->range.sectors, b->range.first, b->range.sectors,
			   &first, &sectors);
}

static int item_add(struct walk *walk, const struct claim_item *item)
{
	struct claim_item *items;
	size_t i;

	for (i = 0; i < walk->nr_items; i++)
		if (claim_item_within(item, &walk->items[i]))
			return 0;
	items = reallocarray(walk->items, walk->nr_items + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	walk->items = items;
	items[walk->nr_items++] = *item;
	return 0;
}

/* A dm device under an operand may get another table: then other sectors are
 * read from there on. */
static int edge_claim_under(struct walk *walk, const struct claim_item *to,
			    const struct stack_edge *edge)
{
	struct claim claim = {
		.kind = CLAIM_UNDER,
		.operand = to->range.operand,
		.inactive = edge->inactive,
		.holder = edge->upper.dev,
		.lower = edge->lower.dev,
		.lower_first = edge->lower_first,
	};

	memcpy(claim.name, edge->name, sizeof(claim.name));
	memcpy(claim.type, edge->type, sizeof(claim.type));
	return edge->kind == STACK_MAPPED ? claim_add(walk->claims, &claim) : 0;
}

/* From the operands down to what they stand on, by live tables. */
static int walk_down(struct walk *walk)
{
	size_t i, e;
	int ret = 0;

	for (i = 0; i < walk->nr_items; i++) {
		for (e = 0; e < walk->stack->nr_edges && !ret; e++) {
			const struct stack_edge *edge = &walk->stack->edges[e];
			struct claim_item from = walk->items[i], to;

			if (edge->kind == STACK_HOLDER ||
			    !claim_item_cross(&to, &from, edge, false))
				continue;
			ret = edge_claim_under(walk, &to, edge);
			if (!ret && !edge->inactive)
				ret = item_add(walk, &to);
		}
	}
	walk->nr_down = walk->nr_items;
	return ret;
}

/* The operand itself, and what it stands on, are no strangers to it. */
static bool is_below(const struct walk *walk, unsigned int operand, struct stack_node node)
{
	size_t i;

	for (i = 0; i < walk->nr_down; i++)
		if (walk->items[i].range.operand == operand &&
		    stack_node_equal(walk->items[i].range.node, node))
			return true;
	return false;
}

static int edge_claim(struct walk *walk, const struct claim_item *item,
		      const struct stack_edge *edge)
{
	struct claim claim = {
		.kind = CLAIM_HOLDER,
		.operand = item->range.operand,
		.inactive = edge->inactive,
		.holder = edge->upper.dev,
	};

	if (edge->kind == STACK_PARTITION)
		return 0;
	if (edge->kind == STACK_LOOP)
		claim.kind = CLAIM_LOOP;
	if (edge->kind == STACK_MAPPED)
		claim.kind = !strcmp(edge->type, "mirror") && !edge->inactive ?
			     CLAIM_MIRROR : CLAIM_MAPPED;
	memcpy(claim.name, edge->name, sizeof(claim.name));
	memcpy(claim.type, edge->type, sizeof(claim.type));
	return claim_add(walk->claims, &claim);
}

/* And from there up to everything that uses them. */
static int walk_up(struct walk *walk)
{
	size_t i, e;
	int ret = 0;

	for (i = 0; i < walk->nr_items; i++) {
		for (e = 0; e < walk->stack->nr_edges && !ret; e++) {
			const struct stack_edge *edge = &walk->stack->edges[e];
			struct claim_item from = walk->items[i], to;

			if ((walk->self && edge->upper.dev == walk->self) ||
			    !claim_item_cross(&to, &from, edge, true) ||
			    is_below(walk, from.range.operand, edge->upper))
				continue;
			ret = edge_claim(walk, &from, edge);
			/* What is not resumed yet carries nothing. */
			if (!ret && !edge->inactive)
				ret = item_add(walk, &to);
		}
	}
	return ret;
}

static int claim_suspended(struct walk *walk)
{
	size_t i, s, e;
	int ret = 0;

	for (i = 0; i < walk->nr_down && !ret; i++) {
		const struct claim_range *range = &walk->items[i].range;
		struct claim claim = { .kind = CLAIM_SUSPENDED, .operand = range->operand };

		for (s = 0; s < walk->stack->nr_suspended; s++)
			if (!range->node.ino && range->node.dev == walk->stack->suspended[s])
				claim.holder = range->node.dev;
		for (e = 0; claim.holder && e < walk->stack->nr_edges; e++)
			if (walk->stack->edges[e].upper.dev == claim.holder)
				memcpy(claim.name, walk->stack->edges[e].name,
				       sizeof(claim.name));
		if (claim.holder)
			ret = claim_add(walk->claims, &claim);
	}
	return ret;
}

/* Mounts and swap, on the operand itself or anything above or below it. */
static int claim_uses(struct walk *walk)
{
	size_t i, u;
	int ret = 0;

	for (i = 0; i < walk->nr_items; i++) {
		const struct claim_range *range = &walk->items[i].range;

		for (u = 0; u < walk->stack->nr_uses && !ret; u++) {
			const struct stack_use *use = &walk->stack->uses[u];
			struct claim claim = {
				.kind = use->swap ? CLAIM_SWAP : CLAIM_MOUNT,
				.operand = range->operand,
				.holder = use->node.dev,
			};

			if (!stack_node_equal(use->node, range->node))
				continue;
			memcpy(claim.name, use->name, sizeof(claim.name));
			ret = claim_add(walk->claims, &claim);
		}
	}
	return ret;
}

/* Two operands that come to the same sectors further down. */
static int claim_overlaps(struct walk *walk)
{
	size_t i, j;
	int ret = 0;

	for (i = 0; i < walk->nr_down; i++) {
		const struct claim_item *a = &walk->items[i];

		for (j = i + 1; j < walk->nr_down && !ret; j++) {
			const struct claim_item *b = &walk->items[j];
			struct claim claim = { .kind = CLAIM_OVERLAP };

			claim.operand = a->range.operand < b->range.operand ?
					a->range.operand : b->range.operand;
			claim.other = a->range.operand ^ b->range.operand ^ claim.operand;
			if (a->exact && b->exact && claim.operand != claim.other &&
			    claim_items_meet(a, b))
				ret = claim_add(walk->claims, &claim);
		}
	}
	return ret;
}

int claims_find(struct claims *claims, const struct stack *stack,
		const struct claim_range *ranges, size_t nr_ranges, dev_t self)
{
	struct walk walk = { .stack = stack, .claims = claims, .self = self };
	size_t i;
	int ret = 0;

	memset(claims, 0, sizeof(*claims));
	claims->mapper_asked = stack->mapper_asked;
	for (i = 0; i < nr_ranges && !ret; i++) {
		struct claim_item item = { .range = ranges[i], .exact = true };

		ret = item_add(&walk, &item);
	}
	if (!ret)
		ret = walk_down(&walk);
	if (!ret)
		ret = claim_overlaps(&walk);
	if (!ret)
		ret = claim_suspended(&walk);
	if (!ret)
		ret = walk_up(&walk);
	if (!ret)
		ret = claim_uses(&walk);
	free(walk.items);
	if (ret)
		claims_free(claims);
	return ret;
}

int claims_read(struct claims *claims, const struct claim_range *ranges, size_t nr_ranges,
		dev_t self, struct error *err)
{
	struct stack stack;
	int ret;

	memset(claims, 0, sizeof(*claims));
	ret = stack_read(&stack, err);
	if (ret)
		return ret;
	ret = claims_find(claims, &stack, ranges, nr_ranges, self);
	stack_free(&stack);
	if (ret)
		error_operation(err, -ret, "not enough memory to look at the block devices");
	return ret;
}

char *claim_describe(char *out, size_t room, const struct claim *claim)
{
	const char *type = claim->type[0] ? claim->type : "dm";

	switch (claim->kind) {
	case CLAIM_MIRROR:
		snprintf(out, room, "is in use by the active mirror %s", claim->name);
		break;
	case CLAIM_MAPPED:
		snprintf(out, room, claim->inactive ?
			 "is in a table (%s) loaded into the dm device %s and not resumed yet" :
			 "is in use by the %s device %s",
			 type, claim->name);
		break;
	case CLAIM_LOOP:
	case CLAIM_HOLDER:
		snprintf(out, room, "is in use by %s", claim->name);
		break;
	case CLAIM_MOUNT:
		snprintf(out, room, "is mounted on %s", claim->name);
		break;
	case CLAIM_SWAP:
		snprintf(out, room, "is swap space");
		break;
	case CLAIM_SUSPENDED:
		snprintf(out, room, "stands on the suspended dm device %s", claim->name);
		break;
	case CLAIM_OVERLAP:
		snprintf(out, room, "shares sectors with another leg or the log");
		break;
	case CLAIM_UNDER:
		snprintf(out, room, claim->inactive ?
			 "stands on %s, into which another table was loaded" :
			 "stands on %s, whose table was reloaded", claim->name);
		break;
	}
	return out;
}
