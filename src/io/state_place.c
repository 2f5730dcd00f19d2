/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/state_place.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/sysmacros.h>

#include "core/mirror_log.h"
#include "core/region.h"
#include "io/state.h"

#define LOG_OPERAND MIRROR_LEGS_MAX

/* --- down the stack ------------------------------------------------------------ */

struct descent {
	const struct stack *stack;
	bool through_files;	/* from a file to what its file system lies on */
	struct claim_item *items;
	const struct stack_edge **mirrors;	/* per item: the first mirror above it */
	size_t nr_items;
};

static void descent_free(struct descent *descent)
{
	free(descent->items);
	free(descent->mirrors);
}

static int descent_add(struct descent *descent, const struct claim_item *item,
		       const struct stack_edge *mirror)
{
	size_t nr = descent->nr_items;
	const struct stack_edge **mirrors;
	struct claim_item *items;

	for (size_t i = 0; i < nr; i++)
		if (claim_item_within(item, &descent->items[i]))
			return 0;
	items = reallocarray(descent->items, nr + 1, sizeof(*items));
	if (items)
		descent->items = items;
	mirrors = reallocarray(descent->mirrors, nr + 1, sizeof(*mirrors));
	if (mirrors)
		descent->mirrors = mirrors;
	if (!items || !mirrors)
		return -ENOMEM;
	items[nr] = *item;
	mirrors[nr] = mirror;
	descent->nr_items = nr + 1;
	return 0;
}

static int descent_cross_edges(struct descent *descent, size_t i)
{
	const struct stack *stack = descent->stack;
	int r = 0;

	for (size_t e = 0; e < stack->nr_edges && !r; e++) {
		const struct stack_edge *edge = &stack->edges[e];
		struct claim_item from = descent->items[i], to;
		const struct stack_edge *mirror = descent->mirrors[i];

		if (edge->upper.ino && !descent->through_files)
			continue;
		/* What is not resumed yet carries nothing. */
		if (edge->inactive || !claim_item_cross(&to, &from, edge, false))
			continue;
		if (!mirror && edge->kind == STACK_MAPPED && !strcmp(edge->type, "mirror"))
			mirror = edge;
		r = descent_add(descent, &to, mirror);
	}
	return r;
}

/* The blocks of a file may be anywhere on its file system. */
static int descent_leave_file(struct descent *descent, size_t i)
{
	struct claim_item item = descent->items[i];

	if (!descent->through_files || !item.range.node.ino || !major(item.range.node.dev))
		return 0;
	item.range.node.ino = 0;
	item.range.first = 0;
	item.range.sectors = UINT64_MAX;
	item.exact = false;
	return descent_add(descent, &item, descent->mirrors[i]);
}

/* Takes what was added so far down to the disks. */
static int descent_run(struct descent *descent)
{
	int r = 0;

	for (size_t i = 0; i < descent->nr_items && !r; i++) {
		r = descent_cross_edges(descent, i);
		if (!r)
			r = descent_leave_file(descent, i);
	}
	return r;
}

/* --- the decision ---------------------------------------------------------------- */

/* What a leg reaches inexactly it shares with others: two parts of one thin pool lie
 * apart. */
static bool find_inside(struct place_verdict *verdict, const struct descent *place,
			const struct descent *parts)
{
	for (size_t i = 0; i < place->nr_items; i++)
		for (size_t j = 0; j < parts->nr_items; j++) {
			const struct claim_item *a = &place->items[i], *b = &parts->items[j];

			if (!b->exact || !claim_items_meet(a, b))
				continue;
			verdict->answer = PLACE_INSIDE;
			verdict->operand = b->range.operand;
			if (place->mirrors[i])
				memcpy(verdict->mirror, place->mirrors[i]->name,
				       sizeof(verdict->mirror));
			return true;
		}
	return false;
}

static bool is_disk(const struct stack *stack, struct stack_node node)
{
	if (node.ino)
		return false;
	for (size_t e = 0; e < stack->nr_edges; e++)
		if (!stack->edges[e].inactive && stack_node_equal(stack->edges[e].upper, node))
			return false;
	return true;
}

static void find_same_disk(struct place_verdict *verdict, const struct descent *place,
			   const struct descent *parts)
{
	for (size_t i = 0; i < place->nr_items; i++)
		for (size_t j = 0; j < parts->nr_items; j++) {
			struct stack_node node = place->items[i].range.node;

			if (!stack_node_equal(node, parts->items[j].range.node) ||
			    !is_disk(place->stack, node))
				continue;
			verdict->answer = PLACE_SAME_DISK;
			verdict->operand = parts->items[j].range.operand;
			verdict->disk = node.dev;
			return;
		}
}

int place_find(struct place_verdict *verdict, const struct stack *stack,
	       const struct stack_node *under, size_t nr_under,
	       const struct claim_range *parts, size_t nr_parts)
{
	struct descent place = { .stack = stack, .through_files = true };
	struct descent below = { .stack = stack };
	int r = 0;

	memset(verdict, 0, sizeof(*verdict));
	for (size_t i = 0; i < nr_under && !r; i++) {
		struct claim_item item = { .exact = true, .range = {
			.node = under[i], .sectors = UINT64_MAX } };

		r = descent_add(&place, &item, NULL);
	}
	for (size_t i = 0; i < nr_parts && !r; i++) {
		struct claim_item item = { .exact = true, .range = parts[i] };

		r = descent_add(&below, &item, NULL);
	}
	if (!r)
		r = descent_run(&place);
	if (!r)
		r = descent_run(&below);
	if (!r && !find_inside(verdict, &place, &below))
		find_same_disk(verdict, &place, &below);
	descent_free(&place);
	descent_free(&below);
	return r;
}

/* --- of this host ------------------------------------------------------------------ */

static int parts_of_mirror(struct claim_ranges *parts, const struct opened_mirror *opened)
{
	const struct region_geometry *geometry = &opened->mirror.geometry;
	uint64_t log_sectors = geometry->nr_regions ?
			       (mirror_log_bytes(geometry->nr_regions) + SECTOR_BYTES - 1) /
			       SECTOR_BYTES : 0;
	int r = 0;

	for (unsigned int leg = 0; leg < opened->mirror.nr_legs && !r; leg++)
		if (opened->legs[leg])
			r = claim_ranges_add(parts, opened->legs[leg], geometry->length, leg);
	if (!r && opened->log)
		r = claim_ranges_add(parts, opened->log, log_sectors, LOG_OPERAND);
	return r;
}

static const char *part_name(const struct opened_mirror *opened, unsigned int operand)
{
	return operand == LOG_OPERAND ? opened->log->name : opened->legs[operand]->name;
}

static int refuse(const char *path, const char *part, const char *mirror, struct error *err)
{
	return error_operation(err, ELOOP, "%.150s: would be stored on %.120s of this mirror%s%.60s; choose a place on another disk; nothing was changed",
			       path, part, *mirror ? ", by way of the mirror " : "", mirror);
}

/* The file may be there already, and be a part itself. */
static int check_itself(const char *path, const struct opened_mirror *opened,
			const struct claim_range *parts, size_t nr_parts, struct error *err)
{
	struct stat st;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return 0;
	for (size_t i = 0; i < nr_parts; i++)
		if (parts[i].node.ino == st.st_ino && parts[i].node.dev == st.st_dev)
			return error_operation(err, ELOOP, "%.200s: is %.150s of this mirror; give the name of a new file; nothing was changed",
					       path, part_name(opened, parts[i].operand));
	return 0;
}

static int warn(char **warning, const char *path, const char *part, dev_t disk)
{
	char *node = NULL;
	int r;

	if (*warning)
		return 0;
	if (!disk) {
		r = asprintf(warning, "%s: the device of its file system is not known, so make sure yourself that it is not on this mirror",
			     path);
	} else {
		device_path_of_number(&node, disk);
		r = asprintf(warning, "%s is stored on the same disk (%s) as %s: when that disk fails, both are lost",
			     path, node ? node : "of unknown name", part);
		free(node);
	}
	if (r >= 0)
		return 0;
	*warning = NULL;
	return -ENOMEM;
}

/* The path need not exist: what is above it tells. */
static bool is_memory(const char *path)
{
	struct statfs fs;
	char *existing = NULL;
	bool memory = !state_nearest_existing(&existing, path) && !statfs(existing, &fs) &&
		      (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);

	free(existing);
	return memory;
}

static int decide(const char *path, const struct place_nodes *under,
		  const struct opened_mirror *opened, const struct claim_range *parts,
		  size_t nr_parts, char **warning, struct error *err)
{
	struct place_verdict verdict;
	struct stack stack;
	int r;

	r = stack_read(&stack, err);
	if (r)
		return r;
	r = place_complete_stack(&stack);
	if (!r)
		r = place_find(&verdict, &stack, under->nodes, under->nr, parts, nr_parts);
	stack_free(&stack);
	if (!r && verdict.answer == PLACE_INSIDE)
		return refuse(path, part_name(opened, verdict.operand), verdict.mirror, err);
	if (!r && verdict.answer == PLACE_SAME_DISK)
		r = warn(warning, path, part_name(opened, verdict.operand), verdict.disk);
	if (!r && under->incomplete)
		r = warn(warning, path, NULL, 0);
	if (!r && !*warning && is_memory(path) &&
	    asprintf(warning, "%s is in memory: what is written there is gone at the next boot", path) < 0) {
		*warning = NULL;
		r = -ENOMEM;
	}
	if (r)
		error_operation(err, -r, "not enough memory to look at the block devices; nothing was changed");
	return r;
}

static int check_one(const char *path, const struct opened_mirror *opened, char **warning,
		     struct error *err)
{
	struct claim_ranges parts = { 0 };
	struct place_nodes under = { 0 };
	char *existing = NULL;
	int r = parts_of_mirror(&parts, opened);

	if (r)
		error_operation(err, ENOMEM, "%.300s: not enough memory to look at it", path);
	else
		r = check_itself(path, opened, parts.ranges, parts.nr, err);
	if (r)
		goto out;
	r = state_nearest_existing(&existing, path);
	if (!r)
		r = place_nodes_of_path(&under, existing);
	if (r)
		error_operation(err, -r, "%.300s: cannot be looked at: %s; choose another place; nothing was changed",
				existing ? existing : path, error_reason(r));
	else
		r = decide(path, &under, opened, parts.ranges, parts.nr, warning, err);
out:
	claim_ranges_free(&parts);
	free(under.nodes);
	free(existing);
	return r;
}

int state_check_place(const char *path, const struct opened_mirror *opened, char **warning,
		      struct error *err)
{
	char *undo = NULL;
	struct stat st;
	int r = check_one(path, opened, warning, err);

	/* undo/ may be a link, or something may be mounted on it. */
	if (r || stat(path, &st) || !S_ISDIR(st.st_mode))
		return r;
	if (asprintf(&undo, "%s/undo", path) < 0)
		return error_operation(err, ENOMEM, "not enough memory to look at %.300s; nothing was changed",
				       path);
	r = check_one(undo, opened, warning, err);
	free(undo);
	return r;
}
