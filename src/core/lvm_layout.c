/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/lvm_layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS_MAX 8u		/* _mimagetmp_ in _mimagetmp_: one for each conversion */

/* What every function here looks at. */
struct layout {
	const struct lvm_vg *vg;
	struct error *err;
};

/* The three ways to say no to an LV; each puts "vg/lv" in front of the formatted text.
 * -EBADMSG: */
__attribute__((format(printf, 3, 4)))
static int contradiction(const struct layout *layout, const struct lvm_lv *lv,
			 const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_operation(layout->err, EBADMSG, "lvm's report of %.128s/%.128s contradicts "
			       "itself: %s", layout->vg->name, lv->name, text);
}

/* -EOPNOTSUPP: */
__attribute__((format(printf, 3, 4)))
static int unsupported(const struct layout *layout, const struct lvm_lv *lv,
		       const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_operation(layout->err, EOPNOTSUPP, "%.128s/%.128s%s", layout->vg->name,
			       lv->name, text);
}

/* -EINVAL: */
__attribute__((format(printf, 3, 4)))
static int usage(const struct layout *layout, const struct lvm_lv *lv, const char *format, ...)
{
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_usage(layout->err, "%.128s/%.128s%s", layout->vg->name, lv->name, text);
}

static int no_memory(const struct layout *layout)
{
	return error_operation(layout->err, ENOMEM, "no memory for the layout of a mirror");
}

static bool is_mirror(const struct lvm_segment *segment)
{
	return !strcmp(segment->type, "mirror");
}

/* --- extents: where an image lies ----------------------------------------------------- */

static void place_clear(struct lvm_place *place)
{
	for (size_t i = 0; i < place->nr_extents; i++)
		free(place->extents[i].stripes);
	free(place->extents);
	*place = (struct lvm_place){ .lv = NULL };
}

/* One stripe, or all of a linear extent: `sectors` of it. */
static int stripe_set(struct lvm_stripe *stripe, const struct layout *layout,
		      const struct lvm_lv *lv, const struct lvm_area *area, uint64_t sectors)
{
	const struct lvm_pv *pv = lvm_vg_pv(layout->vg, area->name);
	uint64_t start, end;

	if (!pv)
		return contradiction(layout, lv, "it lies on %.128s, which is no physical volume "
				     "of the group", area->name);
	if (__builtin_mul_overflow(area->extent, layout->vg->extent_sectors, &start) ||
	    __builtin_add_overflow(start, pv->pe_start, &start) ||
	    __builtin_mul_overflow(area->extents, layout->vg->extent_sectors, &end) ||
	    end != sectors)
		return contradiction(layout, lv, "%" PRIu64 " extents on %.128s are not %" PRIu64
				     " sectors", area->extents, area->name, sectors);
	if (__builtin_add_overflow(start, sectors, &end) || end > pv->sectors)
		return contradiction(layout, lv, "its extents on %.128s end behind the last one",
				     area->name);
	stripe->pv = pv;
	stripe->sector = start;
	return 0;
}

/* The kernel's conditions for a stripe: the same of each, in whole chunks. */
static int check_stripes(const struct layout *layout, const struct lvm_lv *lv,
			 const struct lvm_segment *segment)
{
	uint32_t chunk = segment->stripe_sectors;

	if (!segment->nr_areas || !segment->sectors || segment->nr_areas > UINT32_MAX)
		return contradiction(layout, lv, "a segment lies on nothing");
	if (segment->nr_areas == 1)
		return 0;
	if (strcmp(segment->type, "striped") || !chunk ||
	    segment->sectors % segment->nr_areas ||
	    segment->sectors / segment->nr_areas % chunk)
		return contradiction(layout, lv, "%zu stripes of %" PRIu32 " sectors do not make a "
				     "segment of %" PRIu64, segment->nr_areas, chunk,
				     segment->sectors);
	return 0;
}

/* `first` is where the extent begins in its leg. */
static int extent_set(struct lvm_extent *extent, const struct layout *layout,
		      const struct lvm_lv *lv, const struct lvm_segment *segment, uint64_t first)
{
	int r = check_stripes(layout, lv, segment);

	if (r)
		return r;
	extent->first = first;
	extent->sectors = segment->sectors;
	extent->stripe_sectors = segment->nr_areas > 1 ? segment->stripe_sectors : 0;
	extent->stripes = calloc(segment->nr_areas, sizeof(*extent->stripes));
	if (!extent->stripes)
		return no_memory(layout);
	extent->nr_stripes = (unsigned int)segment->nr_areas;
	for (unsigned int i = 0; i < extent->nr_stripes && !r; i++)
		r = stripe_set(&extent->stripes[i], layout, lv, &segment->areas[i],
			       segment->sectors / extent->nr_stripes);
	return r;
}

/* --- images and logs -------------------------------------------------------------- */

#define NAME_THE_ACTIVE "activate the mirror and name it again (it is then read through " \
	"device-mapper)"

/* Images lie on physical volumes; on nothing else are they followed. */
static int check_nesting(const struct layout *layout, const struct lvm_lv *lv,
			 const struct lvm_segment *segment)
{
	if (strcmp(segment->type, "linear") && strcmp(segment->type, "striped"))
		return unsupported(layout, lv, ", a part of the mirror, is of type %.64s itself: "
				   NAME_THE_ACTIVE, segment->type);
	for (size_t i = 0; i < segment->nr_areas; i++) {
		const struct lvm_area *area = &segment->areas[i];
		const struct lvm_lv *below = area->is_lv ? lvm_vg_lv(layout->vg, area->name) : NULL;

		if (below && below->move_pv)
			return unsupported(layout, lv, ", a part of the mirror, is being moved by "
					   "pvmove: wait until that is done, or end it with pvmove "
					   "--abort");
		if (area->is_lv)
			return unsupported(layout, lv, ", a part of the mirror, lies on the "
					   "logical volume %.128s: " NAME_THE_ACTIVE, area->name);
	}
	return 0;
}

static bool segment_is_missing(const struct lvm_vg *vg, const struct lvm_segment *segment)
{
	for (size_t i = 0; i < segment->nr_areas; i++) {
		const struct lvm_pv *pv = lvm_vg_pv(vg, segment->areas[i].name);

		if (pv && pv->missing)
			return true;
	}
	return false;
}

/* The segments cover the LV: ascending, no gap, to its end. Sets place->missing. */
static int check_segments(struct lvm_place *place, const struct layout *layout)
{
	const struct lvm_lv *lv = place->lv;
	uint64_t end = 0;
	int r;

	place->missing = lv->partial;
	for (size_t i = 0; i < lv->nr_segments; i++) {
		const struct lvm_segment *segment = &lv->segments[i];

		r = check_nesting(layout, lv, segment);
		if (r)
			return r;
		if (segment->start != end || __builtin_add_overflow(end, segment->sectors, &end))
			return contradiction(layout, lv, "its segments do not follow each other");
		place->missing |= segment_is_missing(layout->vg, segment);
	}
	if (!end || end != lv->sectors)
		return contradiction(layout, lv, "its segments hold %" PRIu64 " sectors and it %"
				     PRIu64, end, lv->sectors);
	return 0;
}

static int place_of_lv(struct lvm_place *place, const struct layout *layout,
		       const struct lvm_lv *lv)
{
	int r;

	place->lv = lv;
	r = check_segments(place, layout);
	if (r || place->missing)
		return r;
	place->extents = calloc(lv->nr_segments, sizeof(*place->extents));
	if (!place->extents)
		return no_memory(layout);
	while (place->nr_extents < lv->nr_segments && !r) {
		const struct lvm_segment *segment = &lv->segments[place->nr_extents];

		r = extent_set(&place->extents[place->nr_extents++], layout, lv, segment,
			       segment->start);
	}
	return r;
}

/* pvmove mirrors physical volumes, with no LV between. */
static int place_of_pv(struct lvm_place *place, const struct layout *layout,
		       const struct lvm_lv *lv, const struct lvm_segment *segment,
		       struct lvm_area *area)
{
	struct lvm_segment linear = {
		.type = segment->type, .sectors = segment->sectors, .areas = area, .nr_areas = 1,
	};

	place->lv = lv;
	place->missing = segment_is_missing(layout->vg, &linear);
	if (place->missing)
		return 0;
	place->extents = calloc(1, sizeof(*place->extents));
	if (!place->extents)
		return no_memory(layout);
	place->nr_extents = 1;
	return extent_set(place->extents, layout, lv, &linear, 0);
}

/* LVM prints an LV that a segment lies on as a whole, wherever in it the segment lies: so
 * the place is known only where the segment is all of both. */
static int leg_set(struct lvm_place *place, const struct layout *layout,
		   const struct lvm_lv *lv, const struct lvm_segment *segment,
		   struct lvm_area *area)
{
	const struct lvm_lv *image;
	uint64_t extents = area->extent + area->extents, end;

	if (!area->is_lv)
		return place_of_pv(place, layout, lv, segment, area);
	image = lvm_vg_lv(layout->vg, area->name);
	if (!image)
		return contradiction(layout, lv, "its image %.128s is not listed", area->name);
	if (__builtin_mul_overflow(extents, layout->vg->extent_sectors, &end) ||
	    end > image->sectors || image->sectors < segment->sectors)
		return contradiction(layout, lv, "its image %.128s is too short", area->name);
	if (segment->start || area->extent || end != segment->sectors ||
	    image->sectors != segment->sectors)
		return unsupported(layout, lv, " is mirrored in pieces, and lvm does not say which "
				   "piece of %.128s is whose: " NAME_THE_ACTIVE, image->name);
	return place_of_lv(place, layout, image);
}

/* --- what the mirror is --------------------------------------------------------------- */

static const struct lvm_segment *only_mirror_segment(const struct lvm_lv *lv)
{
	return lv->nr_segments == 1 && is_mirror(lv->segments) ? lv->segments : NULL;
}

/* A mirrored log is a mirror with a core log: its legs, the first of which is what the
 * kernel copies from at each activation. */
static int mirrored_log_set(struct lvm_mirror *mirror, const struct layout *layout,
			    const struct lvm_lv *log, const struct lvm_segment *segment)
{
	int r = 0;

	if (log->mirror_log || segment->nr_areas < MIRROR_LEGS_MIN ||
	    segment->nr_areas > MIRROR_LEGS_MAX)
		return contradiction(layout, log, "a mirrored log has 2 to %u legs and no log of "
				     "its own", MIRROR_LEGS_MAX);
	mirror->log_mirrored = true;
	for (size_t i = 0; i < segment->nr_areas && !r; i++)
		r = leg_set(i ? &mirror->log_other[mirror->nr_log_other++] : &mirror->log, layout,
			    log, segment, &segment->areas[i]);
	return r;
}

static int log_set(struct lvm_mirror *mirror, const struct layout *layout)
{
	const struct lvm_segment *segment;
	const struct lvm_lv *log;

	mirror->log_kind = mirror->lv->mirror_log ? MIRROR_LOG_DISK : MIRROR_LOG_CORE;
	if (mirror->log_kind == MIRROR_LOG_CORE)
		return 0;
	log = lvm_vg_lv(layout->vg, mirror->lv->mirror_log);
	if (!log || log == mirror->lv)
		return contradiction(layout, mirror->lv, "its log %.128s is not listed",
				     mirror->lv->mirror_log);
	segment = only_mirror_segment(log);
	if (segment)
		return mirrored_log_set(mirror, layout, log, segment);
	return place_of_lv(&mirror->log, layout, log);
}

/* pvmove's own are made to fit the piece that is moved when LVM activates it, whatever its
 * metadata says (LVM adjusted_mirror_region_size(): the largest power of two of extents
 * that divides it). */
static uint64_t region_sectors_of(const struct lvm_mirror *mirror, const struct layout *layout,
				  const struct lvm_segment *segment)
{
	uint64_t extents = segment->sectors / layout->vg->extent_sectors;
	uint64_t most = (extents & -extents) * layout->vg->extent_sectors;

	return mirror->lv->move_pv && most && most < segment->region_sectors ? most :
	       segment->region_sectors;
}

static int legs_set(struct lvm_mirror *mirror, const struct layout *layout,
		    const struct lvm_segment *segment)
{
	uint64_t region_sectors = region_sectors_of(mirror, layout, segment);
	struct region_geometry geometry;
	struct error why = { .kind = ERROR_NONE };
	int r = 0;

	if (segment->nr_areas < MIRROR_LEGS_MIN || segment->nr_areas > MIRROR_LEGS_MAX)
		return contradiction(layout, mirror->lv, "it has %zu legs, and a mirror has %u to "
				     "%u", segment->nr_areas, MIRROR_LEGS_MIN, MIRROR_LEGS_MAX);
	if (region_geometry_init(&geometry, segment->sectors, region_sectors, &why))
		return contradiction(layout, mirror->lv, "%s", why.text);
	mirror->start = segment->start;
	mirror->length = segment->sectors;
	mirror->region_size = (uint32_t)region_sectors;
	while (mirror->nr_legs < segment->nr_areas && !r) {
		struct lvm_area *area = &segment->areas[mirror->nr_legs];

		r = leg_set(&mirror->legs[mirror->nr_legs++], layout, mirror->lv, segment, area);
	}
	return r;
}

/* --- which LV and which segment ---------------------------------------------------- */

/* "home_mimage_0" and "home_mlog" are home's. NULL: not a part, or of nothing known. */
static const struct lvm_lv *whole_of_part(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	static const char *const suffixes[] = { "_mimage_", "_mimagetmp_", "_mlog" };
	const struct lvm_lv *whole;
	const char *found;
	char *name;

	for (size_t i = 0; lv->hidden && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		found = strstr(lv->name, suffixes[i]);
		name = found ? strndup(lv->name, (size_t)(found - lv->name)) : NULL;
		whole = name ? lvm_vg_lv(vg, name) : NULL;
		free(name);
		if (whole && whole->nr_segments && is_mirror(whole->segments))
			return whole;
	}
	return NULL;
}

/* The pvmove that moves a piece of the LV, or NULL. */
static const struct lvm_lv *pvmove_of(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	for (size_t i = 0; i < lv->nr_segments; i++)
		for (size_t j = 0; j < lv->segments[i].nr_areas; j++) {
			const struct lvm_area *area = &lv->segments[i].areas[j];
			const struct lvm_lv *below = area->is_lv ? lvm_vg_lv(vg, area->name) : NULL;

			if (below && below->move_pv)
				return below;
		}
	return NULL;
}

/* Says what it is instead, and what to do. */
static int refuse_other(const struct layout *layout, const struct lvm_lv *lv)
{
	const char *vg = layout->vg->name, *type = lv->nr_segments ? lv->segments[0].type : "none";
	const struct lvm_lv *whole = whole_of_part(layout->vg, lv);
	const struct lvm_lv *move = pvmove_of(layout->vg, lv);

	if (whole)
		return usage(layout, lv, " is a part of the mirror %.128s/%.128s: name that one",
			     vg, whole->name);
	if (!strncmp(type, "raid", 4))
		return usage(layout, lv, " is of type %.64s, which has no mirror log: let md "
			     "compare it with lvchange --syncaction check", type);
	if (move)
		return usage(layout, lv, " is no mirror (type %.64s); what moves it just now is "
			     "one: %.128s/%.128s", type, vg, move->name);
	return usage(layout, lv, " is no mirror but of type %.64s: mirrorctl list shows the "
		     "mirrors", type);
}

/* The visible LV of a mirror that gets another leg is a mirror without a log on disk: of
 * the mirror that it was, which has the log, and the new leg. */
static const struct lvm_lv *below_layers(const struct layout *layout, const struct lvm_lv *lv)
{
	for (unsigned int i = 0; i < LAYERS_MAX; i++) {
		const struct lvm_segment *segment = only_mirror_segment(lv);
		const struct lvm_area *area = segment ? segment->areas : NULL;
		const struct lvm_lv *layer;

		if (!area || !segment->nr_areas || !area->is_lv || lv->mirror_log ||
		    !strstr(area->name, "_mimagetmp_"))
			break;
		layer = lvm_vg_lv(layout->vg, area->name);
		if (!layer || !only_mirror_segment(layer) || layer->sectors != lv->sectors)
			break;
		lv = layer;
	}
	return lv;
}

/* "0, 16384, 32768 …" of the mirror segments. */
static void list_starts(char *text, size_t room, const struct lvm_lv *lv)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < lv->nr_segments && used + 32 < room; i++)
		if (is_mirror(&lv->segments[i]))
			used += (size_t)snprintf(text + used, room - used, "%s%" PRIu64,
						 used ? ", " : "", lv->segments[i].start);
	if (used + 32 >= room)
		snprintf(text + used, room - used, " ...");
}

static int segment_choose(const struct lvm_segment **chosen, const struct layout *layout,
			  const struct lvm_lv *lv, const uint64_t *start)
{
	char starts[128];
	size_t nr = 0;

	*chosen = NULL;
	for (size_t i = 0; i < lv->nr_segments; i++) {
		if (!is_mirror(&lv->segments[i]))
			continue;
		nr++;
		if (!start || lv->segments[i].start == *start)
			*chosen = &lv->segments[i];
	}
	if (!nr)
		return refuse_other(layout, lv);
	if (*chosen && (start || nr == 1))
		return 0;
	list_starts(starts, sizeof(starts), lv);
	if (start)
		return usage(layout, lv, " has no mirror segment that begins at sector %" PRIu64
			     ": --segment is one of %s", *start, starts);
	return usage(layout, lv, " has %zu mirror segments: choose one with --segment START, one "
		     "of %s", nr, starts);
}

void lvm_mirror_free(struct lvm_mirror *mirror)
{
	for (unsigned int i = 0; i < mirror->nr_legs; i++)
		place_clear(&mirror->legs[i]);
	for (unsigned int i = 0; i < mirror->nr_log_other; i++)
		place_clear(&mirror->log_other[i]);
	place_clear(&mirror->log);
	memset(mirror, 0, sizeof(*mirror));
}

int lvm_mirror_layout(struct lvm_mirror *mirror, const struct lvm_vg *vg,
		      const struct lvm_lv *lv, const uint64_t *segment, struct error *err)
{
	const struct layout layout = { .vg = vg, .err = err };
	const struct lvm_segment *chosen;
	int r;

	memset(mirror, 0, sizeof(*mirror));
	mirror->vg = vg;
	mirror->visible = lv;
	mirror->lv = below_layers(&layout, lv);
	r = segment_choose(&chosen, &layout, mirror->lv, segment);
	if (!r)
		r = legs_set(mirror, &layout, chosen);
	if (!r)
		r = log_set(mirror, &layout);
	mirror->nosync = mirror->lv->nosync;
	mirror->pvmove = mirror->lv->move_pv;
	if (r)
		lvm_mirror_free(mirror);
	return r;
}

/* --- who else has a word in it ------------------------------------------------------ */

int lvm_vg_check_writable(const struct lvm_vg *vg, const char *host_system_id,
			  struct error *err)
{
	const char *name = vg->name;

	if (vg->name_twice)
		return error_operation(err, EOPNOTSUPP, "there are two volume groups called "
				       "%.128s: give one of them another name with vgrename UUID "
				       "first", name);
	if (vg->exported)
		return error_operation(err, EOPNOTSUPP, "the volume group %.128s is exported: "
				       "nothing is written to it before vgimport %.128s", name,
				       name);
	if (vg->clustered)
		return error_operation(err, EOPNOTSUPP, "the volume group %.128s is clustered: "
				       "nothing is written to it, another host may use the mirror "
				       "(vgchange --locktype none makes it this host's alone, "
				       "lvmlockd(8))", name);
	if (vg->shared)
		return error_operation(err, EOPNOTSUPP, "the volume group %.128s is shared (lock "
				       "type %.32s): nothing is written to it, another host may "
				       "use the mirror (vgchange --locktype none makes it this "
				       "host's alone, lvmlockd(8))", name,
				       *vg->lock_type ? vg->lock_type : "unknown");
	if (*vg->system_id && (!host_system_id || strcmp(vg->system_id, host_system_id)))
		return error_operation(err, EOPNOTSUPP, "the volume group %.128s belongs to the "
				       "host with the system ID %.128s: nothing is written to it "
				       "from here; run this there, or make the group this host's "
				       "first (lvmsystemid(7))", name, vg->system_id);
	for (size_t i = 0; i < vg->nr_pvs; i++)
		if (vg->pvs[i].duplicate)
			return error_operation(err, EOPNOTSUPP, "a physical volume of %.128s is there "
					       "twice, as %.100s and as %.100s: nothing is written "
					       "before one of them is taken away, or made another "
					       "with vgimportclone", name, vg->pvs[i].name,
					       vg->pvs[i].duplicate);
	if (vg->partial)
		return error_operation(err, EOPNOTSUPP, "a physical volume of %.128s is missing: "
				       "bring it back before anything is written (pvs shows what "
				       "is there)", name);
	return 0;
}
