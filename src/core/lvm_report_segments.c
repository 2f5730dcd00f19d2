/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/lvm_report_private.h"
#include "core/number.h"
#include "core/region.h"

void lvm_segment_clear(struct lvm_segment *segment)
{
	for (size_t i = 0; i < segment->nr_areas; i++)
		free(segment->areas[i].name);
	free(segment->areas);
	free(segment->type);
	*segment = (struct lvm_segment){ .type = NULL };
}

/* --- areas: "/dev/sdb:0-7,[home_mimage_0]:0-15" ------------------------------------- */

/* Does [text, end) end in ":FIRST-LAST"? The area then gets the extents, and *name_end is
 * where its name ends: a name may hold colons, blanks and even commas. */
static bool range_take(struct lvm_area *area, const char **name_end, const char *text,
		       const char *end)
{
	const char *colon = end;
	uint64_t first, last;
	const char *at;

	while (colon > text && *--colon != ':')
		if (*colon != '-' && (*colon < '0' || *colon > '9'))
			return false;
	at = colon + 1;
	if (colon == text || number_scan(&at, end, &first) || at == end || *at++ != '-' ||
	    number_scan(&at, end, &last) || at != end || last < first || last >= UINT32_MAX)
		return false;
	area->extent = first;
	area->extents = last - first + 1;
	*name_end = colon;
	return true;
}

/* LVM prints "[unknown]" for a PV that is missing, "unknown device" in older versions. A
 * hidden LV is in brackets, unless lvm.conf says otherwise; no LV's name holds a '/'. */
static int area_name(struct lvm_area *area, const struct lvm_vg *vg, const char *name,
		     size_t length)
{
	area->name = strndup(name, length);
	if (!area->name)
		return -ENOMEM;
	if (!strcmp(area->name, "[unknown]"))
		return 0;
	if (length > 2 && name[0] == '[' && name[length - 1] == ']') {
		memmove(area->name, area->name + 1, length - 2);
		area->name[length - 2] = '\0';
		area->is_lv = true;
	} else {
		area->is_lv = name[0] != '/' && lvm_vg_lv(vg, area->name);
	}
	return 0;
}

/* Takes the area that *at begins with. -EBADMSG: none. */
static int area_take(struct lvm_area *area, const struct lvm_vg *vg, const char **at)
{
	const char *name_end, *end = strchrnul(*at, ',');
	int r;

	while (!range_take(area, &name_end, *at, end)) {
		if (!*end)
			return -EBADMSG;
		end = strchrnul(end + 1, ',');
	}
	r = area_name(area, vg, *at, (size_t)(name_end - *at));
	*at = *end ? end + 1 : end;
	return r;
}

static int areas_parse(struct lvm_segment *segment, const struct lvm_vg *vg, const char *text)
{
	size_t room = 1;
	int r = 0;

	for (const char *at = text; *at; at++)
		room += *at == ',';
	segment->areas = calloc(room, sizeof(*segment->areas));
	if (!segment->areas)
		return -ENOMEM;
	while (*text && !r)
		r = area_take(&segment->areas[segment->nr_areas++], vg, &text);
	return r;
}

/* Areas of other types are nobody's business: only what they are called. */
static bool type_is_followed(const char *type)
{
	return !strcmp(type, "linear") || !strcmp(type, "striped") || !strcmp(type, "mirror");
}

static int areas_read(struct lvm_segment *segment, const struct lvm_row *row, const char *lv_name,
		      struct error *err)
{
	char *text;
	int r;

	if (!type_is_followed(segment->type))
		return 0;
	r = lvm_row_text(&text, row, "seg_le_ranges", true, err);
	if (r)
		return r;
	r = areas_parse(segment, row->vg, text);
	if (r == -EBADMSG)
		r = lvm_report_refuse(err, "seg_le_ranges of %.128s/%.128s is \"%.64s\", which is "
				      "no list of extents", row->vg->name, lv_name, text);
	else if (r)
		lvm_report_no_memory(err);
	free(text);
	return r;
}

/* --- rows ----------------------------------------------------------------------- */

/* A segment, and whose it is. */
struct owned_segment {
	struct lvm_segment segment;
	struct lvm_lv *lv;
};

static int lv_by_uuid(const void *a, const void *b)
{
	const struct lvm_lv *const *x = a, *const *y = b;

	return lvm_uuid_compare((*x)->uuid, (*y)->uuid);
}

static int uuid_to_lv(const void *key, const void *element)
{
	const struct lvm_lv *const *lv = element;

	return lvm_uuid_compare(key, (*lv)->uuid);
}

static int owned_compare(const void *a, const void *b)
{
	const struct owned_segment *x = a, *y = b;

	if (x->lv != y->lv)
		return x->lv < y->lv ? -1 : 1;
	return (x->segment.start > y->segment.start) - (x->segment.start < y->segment.start);
}

/* The group's LVs by uuid; allocated. */
static int index_make(struct lvm_lv ***index, struct lvm_vg *vg, struct error *err)
{
	struct lvm_lv **lvs = calloc(vg->nr_lvs + 1, sizeof(*lvs));

	if (!lvs)
		return lvm_report_no_memory(err);
	for (size_t i = 0; i < vg->nr_lvs; i++)
		lvs[i] = &vg->lvs[i];
	qsort(lvs, vg->nr_lvs, sizeof(*lvs), lv_by_uuid);
	for (size_t i = 1; i < vg->nr_lvs; i++) {
		if (lvm_uuid_compare(lvs[i - 1]->uuid, lvs[i]->uuid))
			continue;
		lvm_report_refuse(err, "%.128s/%.128s and %.128s have one uuid", vg->name,
				  lvs[i - 1]->name, lvs[i]->name);
		free(lvs);
		return -EBADMSG;
	}
	*index = lvs;
	return 0;
}

static int owner_find(struct lvm_lv **lv, const struct lvm_row *row, struct lvm_lv **index,
		      struct error *err)
{
	struct lvm_lv **found;
	char *uuid;
	int r = lvm_row_text(&uuid, row, "lv_uuid", true, err);

	if (r)
		return r;
	found = bsearch(uuid, index, row->vg->nr_lvs, sizeof(*index), uuid_to_lv);
	if (found)
		*lv = *found;
	else
		r = lvm_report_refuse(err, "a segment of %.128s belongs to LV %.64s, which is not "
				      "listed", row->vg->name, uuid);
	free(uuid);
	return r;
}

static int segment_read(struct owned_segment *to, const struct lvm_row *row,
			struct lvm_lv **index, struct error *err)
{
	struct lvm_segment *segment = &to->segment;
	uint64_t stripe_sectors;
	int r = owner_find(&to->lv, row, index, err);

	if (!r)
		r = lvm_row_text(&segment->type, row, "segtype", true, err);
	if (!r)
		r = lvm_row_number(&segment->start, row, "seg_start", REGION_LENGTH_MAX, true, err);
	if (!r)
		r = lvm_row_number(&segment->sectors, row, "seg_size", REGION_LENGTH_MAX, true,
				   err);
	if (!r)
		r = lvm_row_number(&stripe_sectors, row, "stripe_size", UINT32_MAX, false, err);
	if (!r)
		r = lvm_row_number(&segment->region_sectors, row, "region_size", REGION_LENGTH_MAX,
				   !strcmp(segment->type, "mirror"), err);
	if (!r)
		r = areas_read(segment, row, to->lv->name, err);
	if (!r)
		segment->stripe_sectors = segment->nr_areas > 1 &&
			!strcmp(segment->type, "striped") ? (uint32_t)stripe_sectors : 0;
	return r;
}

/* The group's one array, by LV and start, takes the segments over. */
static void segments_hand_out(struct lvm_vg *vg, struct owned_segment *owned)
{
	qsort(owned, vg->nr_segments, sizeof(*owned), owned_compare);
	for (size_t i = 0; i < vg->nr_segments; i++) {
		vg->segments[i] = owned[i].segment;
		if (!owned[i].lv->nr_segments++)
			owned[i].lv->segments = &vg->segments[i];
	}
}

int lvm_segments_read(struct lvm_vg *vg, struct lvm_rows *rows, struct error *err)
{
	struct owned_segment *owned = calloc(rows->nr + 1, sizeof(*owned));
	struct lvm_lv **index = NULL;
	size_t nr = 0;
	int r = 0;

	vg->segments = calloc(rows->nr + 1, sizeof(*vg->segments));
	if (!owned || !vg->segments)
		r = lvm_report_no_memory(err);
	if (!r)
		r = index_make(&index, vg, err);
	while (!r && lvm_rows_next(rows, &r, err))
		r = segment_read(&owned[nr++], &rows->row, index, err);
	if (!r) {
		vg->nr_segments = nr;
		segments_hand_out(vg, owned);
	} else {
		for (size_t i = 0; i < nr; i++)
			lvm_segment_clear(&owned[i].segment);
	}
	free(owned);
	free(index);
	return r;
}
