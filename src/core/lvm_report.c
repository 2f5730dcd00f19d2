/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/lvm_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_scan.h"
#include "core/lvm_report_private.h"
#include "core/region.h"

#define UUID_LENGTH 32u		/* without dashes */

/* --binary and these settings make every lvm say the same, whatever lvm.conf holds (with
 * its "prefixes" 2.03.16 prints no JSON at all). Where a state has a field of its own in
 * newer versions only, its letter is asked for ("vg_attr", not "vg_shared"). */
const char lvm_report_settings[] =
	"report{compact_output=0 compact_output_cols=\"\" prefixes=0 quoted=1 buffered=1 "
	"columns_as_rows=0 list_item_separator=\",\" mark_hidden_devices=1} "
	"log{prefix=\"\" command_names=0 verbose=0 report_command_log=0}";

const char *const lvm_report_arguments[] = {
	"fullreport", "--all", "--foreign", "--shared", "--reportformat", "json",
	"--units", "s", "--nosuffix", "--binary", "--config", lvm_report_settings,
	"--configreport", "vg", "-o",
	"vg_name,vg_uuid,vg_attr,vg_extent_size,vg_seqno,vg_systemid,vg_lock_type",
	"--configreport", "pv", "-o", "pv_name,pv_uuid,pv_attr,pe_start,pv_size",
	"--configreport", "lv", "-o",
	"lv_name,lv_uuid,lv_attr,lv_role,lv_size,lv_active,lv_converting,lv_initial_image_sync,"
		"mirror_log,move_pv",
	"--configreport", "pvseg", "-o", "pvseg_start",
	"--configreport", "seg", "-o",
	"lv_uuid,segtype,seg_start,seg_size,stripe_size,region_size,seg_le_ranges",
	NULL,
};

/* --- uuids ------------------------------------------------------------------------ */

static char uuid_next(const char **uuid)
{
	while (**uuid == '-')
		(*uuid)++;
	return **uuid ? *(*uuid)++ : '\0';
}

int lvm_uuid_compare(const char *a, const char *b)
{
	char x, y;

	do {
		x = uuid_next(&a);
		y = uuid_next(&b);
	} while (x == y && x);
	return (unsigned char)x - (unsigned char)y;
}

static size_t uuid_length(const char *uuid)
{
	size_t length = 0;

	while (uuid_next(&uuid))
		length++;
	return length;
}

/* --- what is owned ---------------------------------------------------------------- */

static void pv_clear(struct lvm_pv *pv)
{
	free(pv->name);
	free(pv->uuid);
	free(pv->duplicate);
}

static void lv_clear(struct lvm_lv *lv)
{
	free(lv->name);
	free(lv->uuid);
	free(lv->attr);
	free(lv->mirror_log);
	free(lv->move_pv);
}

static void vg_clear(struct lvm_vg *vg)
{
	for (size_t i = 0; i < vg->nr_pvs; i++)
		pv_clear(&vg->pvs[i]);
	for (size_t i = 0; i < vg->nr_lvs; i++)
		lv_clear(&vg->lvs[i]);
	for (size_t i = 0; i < vg->nr_segments; i++)
		lvm_segment_clear(&vg->segments[i]);
	free(vg->pvs);
	free(vg->lvs);
	free(vg->segments);
	free(vg->name);
	free(vg->uuid);
	free(vg->system_id);
	free(vg->lock_type);
	*vg = (struct lvm_vg){ .name = NULL };
}

void lvm_report_free(struct lvm_report *report)
{
	for (size_t i = 0; i < report->nr_vgs; i++)
		vg_clear(&report->vgs[i]);
	free(report->vgs);
	free(report->by_uuid);
	free(report->skipped);
	*report = (struct lvm_report){ .vgs = NULL };
}

/* --- rows of groups, physical volumes and logical volumes ----------------------------- */

static bool attr_is(const char *attr, size_t at, char letter)
{
	return strlen(attr) > at && attr[at] == letter;
}

/* A state that has a letter in the attributes, and in some reports a field of its own. */
static int state_read(bool *state, const struct lvm_row *row, const char *attr, size_t at,
		      char letter, const char *field, struct error *err)
{
	bool told = false;
	int r = lvm_row_flag(&told, row, field, err);

	*state = told || attr_is(attr, at, letter);
	return r;
}

static int vg_states_read(struct lvm_vg *vg, const struct lvm_row *row, struct error *err)
{
	char *attr;
	int r = lvm_row_text(&attr, row, "vg_attr", true, err);

	if (r)
		return r;
	r = state_read(&vg->exported, row, attr, 2, 'x', "vg_exported", err);
	if (!r)
		r = state_read(&vg->partial, row, attr, 3, 'p', "vg_partial", err);
	if (!r)
		r = state_read(&vg->clustered, row, attr, 5, 'c', "vg_clustered", err);
	if (!r)
		r = state_read(&vg->shared, row, attr, 5, 's', "vg_shared", err);
	vg->shared |= *vg->lock_type && strcmp(vg->lock_type, "none");
	free(attr);
	return r;
}

static int vg_row_read(struct lvm_vg *vg, const struct lvm_row *row, struct error *err)
{
	int r = lvm_row_text(&vg->name, row, "vg_name", true, err);

	if (!r)
		r = lvm_row_text(&vg->uuid, row, "vg_uuid", true, err);
	if (!r)
		r = lvm_row_text(&vg->system_id, row, "vg_systemid", false, err);
	if (!r)
		r = lvm_row_text(&vg->lock_type, row, "vg_lock_type", false, err);
	if (!r)
		r = lvm_row_number(&vg->extent_sectors, row, "vg_extent_size", UINT32_MAX, true,
				   err);
	if (!r)
		r = lvm_row_number(&vg->seqno, row, "vg_seqno", INT64_MAX, true, err);
	if (!r)
		r = vg_states_read(vg, row, err);
	if (!r && !vg->extent_sectors)
		r = lvm_report_refuse(err, "%.128s has extents of no size", vg->name);
	return r;
}

static int pv_read(struct lvm_pv *pv, const struct lvm_row *row, struct error *err)
{
	char *attr = NULL;
	int r = lvm_row_text(&pv->name, row, "pv_name", true, err);

	if (!r)
		r = lvm_row_text(&pv->uuid, row, "pv_uuid", true, err);
	if (!r)
		r = lvm_row_number(&pv->pe_start, row, "pe_start", REGION_LENGTH_MAX, true, err);
	if (!r)
		r = lvm_row_number(&pv->sectors, row, "pv_size", REGION_LENGTH_MAX, true, err);
	if (!r)
		r = lvm_row_text(&attr, row, "pv_attr", true, err);
	if (!r)
		r = state_read(&pv->missing, row, attr, 2, 'm', "pv_missing", err);
	free(attr);
	if (r)
		return r;
	pv->sectors += pv->pe_start;
	pv->missing |= !strcmp(pv->name, "[unknown]") || !strcmp(pv->name, "unknown device");
	return 0;
}

/* "[home_mimage_0]" is home_mimage_0, and hidden. */
static bool brackets_strip(char *name)
{
	size_t length = strlen(name);

	if (length < 3 || name[0] != '[' || name[length - 1] != ']')
		return false;
	memmove(name, name + 1, length - 2);
	name[length - 2] = '\0';
	return true;
}

/* No log is NULL and not "". */
static void empty_to_null(char **text)
{
	if (**text)
		return;
	free(*text);
	*text = NULL;
}

/* Parts of a mirror are known by their role where lvm.conf takes the brackets away. */
static int lv_hidden_read(struct lvm_lv *lv, const struct lvm_row *row, struct error *err)
{
	char *role;
	int r = lvm_row_text(&role, row, "lv_role", false, err);

	if (r)
		return r;
	lv->hidden = brackets_strip(lv->name) || !strncmp(role, "private,mirror", 14) ||
		     !strncmp(role, "private,pvmove", 14);
	free(role);
	return 0;
}

static int lv_states_read(struct lvm_lv *lv, const struct lvm_row *row, struct error *err)
{
	bool synced = true;
	int r = state_read(&lv->partial, row, lv->attr, 8, 'p', "lv_partial", err);

	if (!r)
		r = state_read(&lv->active, row, lv->attr, 4, 'a', "lv_active", err);
	if (!r)
		r = state_read(&lv->converting, row, lv->attr, 0, 'c', "lv_converting", err);
	if (!r && lvm_row_has(row, "lv_initial_image_sync"))
		r = lvm_row_flag(&synced, row, "lv_initial_image_sync", err);
	lv->active |= attr_is(lv->attr, 4, 's');
	lv->nosync = attr_is(lv->attr, 0, 'M') || !synced;
	return r;
}

static int lv_read(struct lvm_lv *lv, const struct lvm_row *row, struct error *err)
{
	int r = lvm_row_text(&lv->name, row, "lv_name", true, err);

	if (!r)
		r = lvm_row_text(&lv->uuid, row, "lv_uuid", true, err);
	if (!r)
		r = lvm_row_text(&lv->attr, row, "lv_attr", true, err);
	if (!r)
		r = lvm_row_number(&lv->sectors, row, "lv_size", REGION_LENGTH_MAX, true, err);
	if (!r)
		r = lvm_row_text(&lv->mirror_log, row, "mirror_log", false, err);
	if (!r)
		r = lvm_row_text(&lv->move_pv, row, "move_pv", false, err);
	if (!r)
		r = lv_hidden_read(lv, row, err);
	if (!r)
		r = lv_states_read(lv, row, err);
	if (r)
		return r;
	brackets_strip(lv->mirror_log);
	empty_to_null(&lv->mirror_log);
	empty_to_null(&lv->move_pv);
	return 0;
}

/* --- sections --------------------------------------------------------------------- */

static int pv_compare(const void *a, const void *b)
{
	const struct lvm_pv *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int pv_by_name(const void *key, const void *element)
{
	const struct lvm_pv *pv = element;

	return strcmp(key, pv->name);
}

static int pvs_read(struct lvm_vg *vg, struct lvm_rows *rows, struct error *err)
{
	int r = 0;

	vg->pvs = calloc(rows->nr + 1, sizeof(*vg->pvs));
	if (!vg->pvs)
		return lvm_report_no_memory(err);
	while (!r && lvm_rows_next(rows, &r, err))
		r = pv_read(&vg->pvs[vg->nr_pvs++], &rows->row, err);
	if (r)
		return r;
	qsort(vg->pvs, vg->nr_pvs, sizeof(*vg->pvs), pv_compare);
	for (size_t i = 1; i < vg->nr_pvs; i++)
		if (!vg->pvs[i].missing && !pv_compare(&vg->pvs[i - 1], &vg->pvs[i]))
			return lvm_report_refuse(err, "%.128s lists the physical volume %.128s "
						 "twice", vg->name, vg->pvs[i].name);
	return 0;
}

static int lv_compare(const void *a, const void *b)
{
	const struct lvm_lv *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int lv_by_name(const void *key, const void *element)
{
	const struct lvm_lv *lv = element;

	return strcmp(key, lv->name);
}

static int lvs_read(struct lvm_vg *vg, struct lvm_rows *rows, struct error *err)
{
	int r = 0;

	vg->lvs = calloc(rows->nr + 1, sizeof(*vg->lvs));
	if (!vg->lvs)
		return lvm_report_no_memory(err);
	while (!r && lvm_rows_next(rows, &r, err))
		r = lv_read(&vg->lvs[vg->nr_lvs++], &rows->row, err);
	if (r)
		return r;
	qsort(vg->lvs, vg->nr_lvs, sizeof(*vg->lvs), lv_compare);
	for (size_t i = 1; i < vg->nr_lvs; i++)
		if (!lv_compare(&vg->lvs[i - 1], &vg->lvs[i]))
			return lvm_report_refuse(err, "%.128s lists the logical volume %.128s "
						 "twice", vg->name, vg->lvs[i].name);
	return 0;
}

/* --- the whole --------------------------------------------------------------------- */

/* What lv_initial_image_sync says of other LVs than mirrors means nothing. */
static void nosync_settle(struct lvm_vg *vg)
{
	for (size_t i = 0; i < vg->nr_lvs; i++)
		vg->lvs[i].nosync = vg->lvs[i].nosync && vg->lvs[i].nr_segments &&
				    !strcmp(vg->lvs[i].segments[0].type, "mirror");
}

/* One section of a group's report, handed to its reader row by row. */
static int section_read(struct lvm_vg *vg, const struct json_wanted *section,
			int (*reader)(struct lvm_vg *vg, struct lvm_rows *rows, struct error *err),
			struct error *err)
{
	struct lvm_rows rows;
	int r = lvm_rows_open(&rows, section, vg, err);

	if (!r)
		r = reader(vg, &rows, err);
	lvm_rows_close(&rows);
	return r;
}

/* Physical volumes that are in no group stand in an entry without one: the group stays
 * empty then. */
static int vg_read(struct lvm_vg *vg, const struct json_wanted *section, size_t nr_lvs,
		   struct error *err)
{
	struct lvm_rows rows;
	int r = lvm_rows_open(&rows, section, NULL, err);

	if (!r && !rows.nr && nr_lvs)
		r = lvm_report_refuse(err, "it holds logical volumes of no group");
	if (!r && rows.nr > 1)
		r = lvm_report_refuse(err, "it does not keep volume groups apart");
	if (!r && lvm_rows_next(&rows, &r, err))
		r = vg_row_read(vg, &rows.row, err);
	lvm_rows_close(&rows);
	return r;
}

/* One volume group, with all that belongs to it. */
static int entry_read(struct lvm_vg *vg, struct json_slice entry, struct error *err)
{
	enum { VG, PV, LV, SEG };
	struct json_wanted sections[] = { { .key = "vg" }, { .key = "pv" }, { .key = "lv" },
					  { .key = "seg" } };
	size_t nr_lvs;
	int r;

	json_scan_members(entry, sections, sizeof(sections) / sizeof(sections[0]));
	r = lvm_rows_count(&nr_lvs, &sections[LV], err);
	if (!r)
		r = vg_read(vg, &sections[VG], nr_lvs, err);
	if (r || !vg->name)
		return r;
	r = section_read(vg, &sections[PV], pvs_read, err);
	if (!r)
		r = section_read(vg, &sections[LV], lvs_read, err);
	if (!r)
		r = section_read(vg, &sections[SEG], lvm_segments_read, err);
	if (!r)
		nosync_settle(vg);
	return r;
}

static int entries_read(struct lvm_report *report, struct json_slice object, struct error *err)
{
	struct json_wanted entries = { .key = "report" };
	struct json_slice entry;
	struct json_scan scan;
	struct lvm_vg *vgs;
	size_t nr_entries;
	int r;

	json_scan_members(object, &entries, 1);
	r = lvm_rows_count(&nr_entries, &entries, err);
	if (r)
		return r;
	if (!entries.value.text || !json_scan_open(&scan, entries.value))
		return lvm_report_refuse(err, "it holds no \"report\"");
	vgs = reallocarray(report->vgs, report->nr_vgs + nr_entries + 1, sizeof(*vgs));
	if (!vgs)
		return lvm_report_no_memory(err);
	report->vgs = vgs;
	while (!r && json_scan_next(&scan, NULL, &entry)) {
		struct lvm_vg *vg = &vgs[report->nr_vgs];

		*vg = (struct lvm_vg){ .name = NULL };
		r = entry_read(vg, entry, err);
		if (r)
			vg_clear(vg);
		else
			report->nr_vgs += vg->name != NULL;
	}
	return r;
}

/* Lvm's warnings may stand before its report and behind it: *text moves to the first line
 * that begins with a brace. */
static bool object_find(const char **text, const char *end)
{
	bool line_start = true;

	for (; *text < end; (*text)++) {
		if (line_start && **text == '{')
			return true;
		line_start = **text == '\n' || (line_start && (**text == ' ' || **text == '\t'));
	}
	return false;
}

/* One JSON object and what it says; *text moves behind it. */
static int object_read(struct lvm_report *report, const char **text, const char *end,
		       struct error *err)
{
	struct json_slice value;
	int r;

	switch (json_scan_first(&value, *text, (size_t)(end - *text))) {
	case JSON_SCAN_GOOD:
		break;
	case JSON_SCAN_CUT:
		return lvm_report_refuse(err, "it is cut short after %zu bytes: run it again",
					 value.length);
	case JSON_SCAN_DEEP:
		return lvm_report_refuse(err, "it is nested too deeply to be lvm's");
	case JSON_SCAN_WRONG:
		return lvm_report_refuse(err, "it is not JSON at byte %zu of the report",
					 value.length);
	}
	r = entries_read(report, value, err);
	*text = value.text + value.length;
	return r;
}

static int vg_by_uuid(const void *a, const void *b)
{
	const struct lvm_vg *x = a, *y = b;

	return lvm_uuid_compare(x->uuid, y->uuid);
}

static int vg_compare(const void *a, const void *b)
{
	const struct lvm_vg *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : vg_by_uuid(a, b);
}

static int vg_by_name(const void *key, const void *element)
{
	const struct lvm_vg *vg = element;

	return strcmp(key, vg->name);
}

/* A report that was printed twice is one, unless a group changed in between. */
static int vgs_sort(struct lvm_report *report, struct error *err)
{
	struct lvm_vg *vgs = report->vgs;
	size_t nr_vgs = 0;
	int r = 0;

	qsort(vgs, report->nr_vgs, sizeof(*vgs), vg_by_uuid);
	for (size_t i = 0; i < report->nr_vgs; i++) {
		if (!nr_vgs || vg_by_uuid(&vgs[nr_vgs - 1], &vgs[i])) {
			if (nr_vgs != i) {
				vgs[nr_vgs] = vgs[i];
				vgs[i] = (struct lvm_vg){ .name = NULL };
			}
			nr_vgs++;
			continue;
		}
		if (vgs[nr_vgs - 1].seqno != vgs[i].seqno)
			r = lvm_report_refuse(err, "it holds %.128s twice, and it changed in "
					      "between: run it again", vgs[i].name);
		vg_clear(&vgs[i]);
	}
	report->nr_vgs = nr_vgs;
	qsort(vgs, nr_vgs, sizeof(*vgs), vg_compare);
	for (size_t i = 1; i < nr_vgs; i++)
		if (!strcmp(vgs[i - 1].name, vgs[i].name))
			vgs[i - 1].name_twice = vgs[i].name_twice = true;
	return r;
}

static int place_compare(const void *a, const void *b)
{
	const struct lvm_lv_place *x = a, *y = b;

	return lvm_uuid_compare(x->lv->uuid, y->lv->uuid);
}

static int lvs_index(struct lvm_report *report, struct error *err)
{
	size_t nr_lvs = 0;

	for (size_t i = 0; i < report->nr_vgs; i++)
		nr_lvs += report->vgs[i].nr_lvs;
	report->by_uuid = calloc(nr_lvs + 1, sizeof(*report->by_uuid));
	if (!report->by_uuid)
		return lvm_report_no_memory(err);
	for (size_t i = 0; i < report->nr_vgs; i++)
		for (size_t j = 0; j < report->vgs[i].nr_lvs; j++)
			report->by_uuid[report->nr_lvs++] = (struct lvm_lv_place){
				.vg = &report->vgs[i], .lv = &report->vgs[i].lvs[j] };
	qsort(report->by_uuid, nr_lvs, sizeof(*report->by_uuid), place_compare);
	return 0;
}

int lvm_report_parse(struct lvm_report *report, const char *text, size_t nr_bytes,
		     struct error *err)
{
	const char *end = text + nr_bytes;
	int r = 0;

	*report = (struct lvm_report){ .vgs = NULL };
	if (nr_bytes > LVM_REPORT_BYTES_MAX)
		return lvm_report_refuse(err, "it is larger than 512 MiB");
	if (!object_find(&text, end))
		return lvm_report_refuse(err, "it holds no JSON: this lvm is too old, name the "
					 "legs and the log with --leg and --log instead");
	do
		r = object_read(report, &text, end, err);
	while (!r && object_find(&text, end));
	if (!r && report->nr_vgs)
		r = vgs_sort(report, err);
	if (!r)
		r = lvs_index(report, err);
	if (r)
		lvm_report_free(report);
	return r;
}

/* --- finding ----------------------------------------------------------------------- */

/* The first of the elements that `compare` takes for the key: bsearch() returns any. */
static const void *find_first(const void *key, const void *elements, size_t nr, size_t size,
			      int (*compare)(const void *key, const void *element))
{
	const char *found;

	if (!nr)
		return NULL;
	found = bsearch(key, elements, nr, size, compare);
	while (found && found != (const char *)elements && !compare(key, found - size))
		found -= size;
	return found;
}

const struct lvm_vg *lvm_report_vg(const struct lvm_report *report, const char *name)
{
	return find_first(name, report->vgs, report->nr_vgs, sizeof(*report->vgs), vg_by_name);
}

const struct lvm_lv *lvm_vg_lv(const struct lvm_vg *vg, const char *name)
{
	return find_first(name, vg->lvs, vg->nr_lvs, sizeof(*vg->lvs), lv_by_name);
}

const struct lvm_pv *lvm_vg_pv(const struct lvm_vg *vg, const char *name)
{
	return find_first(name, vg->pvs, vg->nr_pvs, sizeof(*vg->pvs), pv_by_name);
}

static int place_by_uuid(const void *key, const void *element)
{
	const struct lvm_lv_place *place = element;

	return lvm_uuid_compare(key, place->lv->uuid);
}

/* Does `id`, which begins a longer one, hold this group's uuid? *rest is behind it. */
static bool vg_uuid_is(const struct lvm_vg *vg, const char *id, const char **rest)
{
	const char *uuid = vg->uuid;

	for (unsigned int i = 0; i < UUID_LENGTH; i++)
		if (uuid_next(&uuid) != uuid_next(&id))
			return false;
	*rest = id;
	return !uuid_next(&uuid);
}

const struct lvm_lv *lvm_report_lv_of_uuid(const struct lvm_report *report, const char *uuid,
					   const struct lvm_vg **vg)
{
	size_t length = uuid_length(uuid), nr_found = 0;
	const char *lv_uuid = uuid, *rest;
	const struct lvm_lv_place *place, *end = report->by_uuid + report->nr_lvs;
	const struct lvm_lv *lv = NULL;

	*vg = NULL;
	if (length != UUID_LENGTH && length != 2 * UUID_LENGTH)
		return NULL;
	if (length != UUID_LENGTH)
		for (unsigned int i = 0; i < UUID_LENGTH; i++)
			uuid_next(&lv_uuid);
	place = find_first(lv_uuid, report->by_uuid, report->nr_lvs, sizeof(*place), place_by_uuid);
	for (; place && place < end && !place_by_uuid(lv_uuid, place); place++) {
		if (lv_uuid != uuid && !vg_uuid_is(place->vg, uuid, &rest))
			continue;
		lv = place->lv;
		*vg = place->vg;
		nr_found++;
	}
	return nr_found == 1 ? lv : NULL;
}
