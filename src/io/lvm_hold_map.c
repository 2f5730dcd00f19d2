/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The maps through which a held mirror is written: LVM's own of its components are
 * read-only. */

#include "io/lvm_hold_private.h"

#include <errno.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "io/dm_map.h"

#define PARAMS_MAX 4096u

void hold_map_uuid(char uuid[130], const char *id)
{
	snprintf(uuid, 130, HOLD_MAP_PREFIX "%s", id);
}

/* Said by `dmsetup ls` to people; a name that is too long says less. */
void hold_map_name(char name[128], const struct hold_component *component)
{
	char *lvm_name = lvm_dm_name(component->vg_name, component->lv_name);

	if (!lvm_name || snprintf(name, 128, "mirrorctl-%s", lvm_name) >= 128)
		snprintf(name, 128, "mirrorctl-%s", component->id);
	free(lvm_name);
}

/* --- what the report says, as a table ---------------------------------------------- */

static int pv_number(dev_t *number, const struct lvm_pv *pv, struct error *err)
{
	struct stat st;

	if (stat(pv->name, &st) || !S_ISBLK(st.st_mode))
		return error_operation(err, ENODEV, "the physical volume %s is no block device here: "
				       "run pvscan --cache, and try again", pv->name);
	*number = st.st_rdev;
	return 0;
}

static int add_stripe(char params[PARAMS_MAX], const struct lvm_stripe *stripe, struct error *err)
{
	size_t used = strlen(params);
	dev_t number;
	int r = pv_number(&number, stripe->pv, err);

	if (r)
		return r;
	if ((size_t)snprintf(params + used, PARAMS_MAX - used, "%s%u:%u %" PRIu64,
			     used ? " " : "", major(number), minor(number), stripe->sector) >=
	    PARAMS_MAX - used)
		return error_operation(err, E2BIG, "a segment with %s has too many stripes",
				       stripe->pv->name);
	return 0;
}

static int add_extent(struct mapped_table *table, const struct lvm_extent *extent,
		      struct error *err)
{
	struct mapped_target *target = &table->targets[table->nr_targets];
	char params[PARAMS_MAX] = "";
	int r = 0;

	if (extent->stripe_sectors)
		snprintf(params, sizeof(params), "%u %" PRIu32, extent->nr_stripes,
			 extent->stripe_sectors);
	for (unsigned int i = 0; i < extent->nr_stripes && !r; i++)
		r = add_stripe(params, &extent->stripes[i], err);
	if (r)
		return r;
	target->start = extent->first;
	target->length = extent->sectors;
	target->type = strdup(extent->stripe_sectors ? "striped" : "linear");
	target->params = strdup(params);
	table->nr_targets++;
	return target->type && target->params ? 0 :
	       error_operation(err, ENOMEM, "not enough memory to map %s", extent->stripes[0].pv->name);
}

static int table_of_place(struct mapped_table *table, const struct lvm_place *place,
			  struct error *err)
{
	int r = 0;

	memset(table, 0, sizeof(*table));
	table->targets = calloc(place->nr_extents ? place->nr_extents : 1, sizeof(*table->targets));
	if (!table->targets)
		return error_operation(err, ENOMEM, "not enough memory to map %s", place->lv->name);
	for (size_t i = 0; i < place->nr_extents && !r; i++)
		r = add_extent(table, &place->extents[i], err);
	if (r)
		mapped_table_free(table);
	return r;
}

/* --- do two tables map alike? ------------------------------------------------------- */

/* Where `sector` of a linear target lies: the device's word and the sector there. */
static bool linear_at(const struct mapped_target *target, uint64_t sector, char device[32],
		      uint64_t *at)
{
	int end = 0;

	if (strcmp(target->type, "linear") ||
	    sscanf(target->params, "%31s %" SCNu64 "%n", device, at, &end) != 2 ||
	    target->params[end])
		return false;
	*at += sector - target->start;
	return true;
}

static bool targets_agree(const struct mapped_target *a, const struct mapped_target *b,
			  uint64_t sector)
{
	char a_device[32], b_device[32];
	uint64_t a_at, b_at;

	if (linear_at(a, sector, a_device, &a_at) && linear_at(b, sector, b_device, &b_at))
		return !strcmp(a_device, b_device) && a_at == b_at;
	return !strcmp(a->type, b->type) && !strcmp(a->params, b->params) &&
	       a->start == b->start && a->length == b->length;
}

/* Sector for sector, however they are cut into targets. */
static bool tables_agree(const struct mapped_table *a, const struct mapped_table *b)
{
	size_t i = 0, j = 0;
	uint64_t sector = 0;

	while (i < a->nr_targets && j < b->nr_targets) {
		uint64_t a_end = a->targets[i].start + a->targets[i].length;
		uint64_t b_end = b->targets[j].start + b->targets[j].length;

		if (a->targets[i].start > sector || b->targets[j].start > sector ||
		    !targets_agree(&a->targets[i], &b->targets[j], sector))
			return false;
		sector = a_end < b_end ? a_end : b_end;
		i += a_end == sector;
		j += b_end == sector;
	}
	return i == a->nr_targets && j == b->nr_targets;
}

/* --- making and removing -------------------------------------------------------------- */

/* The kernel's table of the component, if it is what the report says. */
static int live_table(struct mapped_table *live, const struct mapped_table *expected,
		      const struct hold_component *component, struct error *err)
{
	int r = mapped_table_read(live, component->number, MAPPED_TABLE, err);

	if (r || tables_agree(live, expected))
		return r;
	mapped_table_free(live);
	return error_operation(err, ESTALE, "%s/%s lies elsewhere than LVM's report says: have its "
			       "disks changed their names? (dmsetup table, pvs)", component->vg_name,
			       component->lv_name);
}

/* For people the name that says what it is, where there is a node of it. */
static int find_path(struct hold_component *component, const char *name, struct error *err)
{
	struct stat st;
	int r;

	if (asprintf(&component->map_path, "%s/%s", dm_dir(), name) < 0) {
		component->map_path = NULL;
		return error_operation(err, ENOMEM, "not enough memory to map %s", name);
	}
	if (!stat(component->map_path, &st) && S_ISBLK(st.st_mode) &&
	    st.st_rdev == component->map_number)
		return 0;
	free(component->map_path);
	r = device_path_of_number(&component->map_path, component->map_number);
	return r ? error_operation(err, -r, "the dm device %s has no node under /dev", name) : 0;
}

int hold_map_make(struct hold_component *component, const struct lvm_place *place,
		  struct error *err)
{
	struct mapped_table expected, live = { 0 };
	char name[128], uuid[130];
	int r = table_of_place(&expected, place, err);

	if (r)
		return r;
	if (component->number)
		r = live_table(&live, &expected, component, err);
	hold_map_name(name, component);
	hold_map_uuid(uuid, component->id);
	if (!r)
		r = dm_map_create(&component->map_number, name, uuid,
				  component->number ? &live : &expected, false, err);
	if (!r)
		r = find_path(component, name, err);
	mapped_table_free(&expected);
	mapped_table_free(&live);
	return r;
}

int hold_map_remove(struct hold_component *component, struct error *err)
{
	char uuid[130];
	int r;

	hold_map_uuid(uuid, component->id);
	r = dm_map_remove(uuid, err);
	if (!r)
		component->map_number = 0;
	return r;
}
