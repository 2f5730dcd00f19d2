/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/extract.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

#define TEXT_SHOWN 40	/* characters of a word that a message quotes */

/* --- extents ------------------------------------------------------------- */

static uint64_t end_of(const struct extract_extent *extent)
{
	return extent->start + extent->sectors;
}

static int make_room(struct extract_extents *list)
{
	size_t room = list->room ? 2 * list->room : 64;
	struct extract_extent *extents;

	if (list->nr < list->room)
		return 0;
	extents = reallocarray(list->extents, room, sizeof(*extents));
	if (!extents)
		return -ENOMEM;
	list->extents = extents;
	list->room = room;
	return 0;
}

/* `may_grow`: another extent may be kept. One that follows the last one takes no
 * room. */
static int extents_add(struct extract_extents *list, struct extract_extent extent, bool may_grow)
{
	struct extract_extent *last = list->nr ? &list->extents[list->nr - 1] : NULL;
	int r;

	list->sectors += extent.sectors;
	if (last && !list->truncated && extent.start == end_of(last)) {
		last->sectors += extent.sectors;
		return 0;
	}
	if (last && !list->truncated && end_of(&extent) == last->start) {
		last->start = extent.start;
		last->sectors += extent.sectors;
		return 0;
	}
	list->nr_found++;
	if (!may_grow || list->truncated) {
		list->truncated = true;
		return 0;
	}
	r = make_room(list);
	if (!r)
		list->extents[list->nr++] = extent;
	return r;
}

static int extent_compare(const void *left, const void *right)
{
	const struct extract_extent *a = left, *b = right;

	return (a->start > b->start) - (a->start < b->start);
}

static void extents_merge(struct extract_extents *list)
{
	struct extract_extent *kept = list->extents;

	qsort(list->extents, list->nr, sizeof(*list->extents), extent_compare);
	for (size_t i = 1; i < list->nr; i++) {
		const struct extract_extent *next = &list->extents[i];

		if (next->start > end_of(kept))
			*++kept = *next;
		else if (end_of(next) > end_of(kept))
			kept->sectors = end_of(next) - kept->start;
	}
	list->nr = (size_t)(kept - list->extents) + 1;
}

static void extents_finish(struct extract_extents *list)
{
	if (!list->nr)
		return;
	extents_merge(list);
	if (list->truncated)
		return;
	list->nr_found = list->nr;
	list->sectors = 0;
	for (size_t i = 0; i < list->nr; i++)
		list->sectors += list->extents[i].sectors;
}

/* --- reading ------------------------------------------------------------- */

static const char *name_of(const struct extract *extract)
{
	return extract->reader.source.name ? extract->reader.source.name : "journal";
}

static int no_memory(const struct extract *extract, struct error *err)
{
	return error_operation(err, ENOMEM, "%s: not enough memory to list what it holds",
			       name_of(extract));
}

int extract_begin(struct extract *extract, const struct journal_source *source,
		  size_t max_extents, struct error *err)
{
	struct error why = { .kind = ERROR_NONE };
	struct journal_record record;
	int r;

	memset(extract, 0, sizeof(*extract));
	extract->max_extents = max_extents;
	journal_reader_init(&extract->reader, *source);
	r = journal_next(&extract->reader, &record, &why);
	if (!r)
		return error_operation(err, EBADMSG, "%s: is empty; give a file that "
				       "--save-divergent or an undo journal has filled",
				       name_of(extract));
	if (r == -ENODATA)
		return error_operation(err, ENODATA, "%s: was cut short before anything was saved; "
				       "take an intact copy", name_of(extract));
	if (r < 0)
		return error_operation(err, -r, "%s", why.text);
	r = identity_from_json(&extract->identity, record.identity, &why);
	if (r)
		return error_operation(err, -r, "%s: %s", name_of(extract), why.text);
	extract->identity_json = strdup(record.identity);
	if (!extract->identity_json)
		return no_memory(extract, err);
	return region_geometry_init(&extract->geometry, extract->identity.length,
				    extract->identity.region_size, err);
}

/* A chain that fits over contents that do not: somebody else's writer. */
static int check_place(const struct extract *extract, const struct journal_record *record,
		       struct error *err)
{
	const struct journal_bytes *bytes = &record->bytes;
	uint64_t length = extract->identity.length;

	if (bytes->place >= extract->identity.nr_legs)
		return error_operation(err, EBADMSG, "%s: damaged at byte %" PRIu64 " (leg %u of a "
				       "mirror with %u legs); it cannot be used, so take an intact "
				       "copy", name_of(extract), record->offset, bytes->place,
				       extract->identity.nr_legs);
	if (bytes->sectors > length || bytes->start_sector > length - bytes->sectors)
		return error_operation(err, EBADMSG, "%s: damaged at byte %" PRIu64 " (sectors "
				       "behind the mirror's end); it cannot be used, so take an "
				       "intact copy", name_of(extract), record->offset);
	return 0;
}

/* The first range that ends at `sector` or behind it. */
static size_t first_range(const struct extract_wish *wish, uint64_t sector)
{
	size_t low = 0, high = wish->nr_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (wish->ranges[middle].last < sector)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Those of the saved sectors that are in the wish's ranges. */
static int hand_out(struct extract *extract, const struct extract_wish *wish,
		    const struct journal_bytes *bytes, struct error *err)
{
	uint64_t last = bytes->start_sector + bytes->sectors - 1;
	int r = 0;

	for (size_t i = first_range(wish, bytes->start_sector);
	     !r && i < wish->nr_ranges && wish->ranges[i].first <= last; i++) {
		const struct region_run *range = &wish->ranges[i];
		uint64_t from = range->first > bytes->start_sector ? range->first :
				bytes->start_sector;
		uint64_t to = range->last < last ? range->last : last;
		uint64_t skip = (from - bytes->start_sector) * SECTOR_BYTES;

		r = wish->write(wish->context, from, bytes->data + skip, to - from + 1, err);
		if (!r && extents_add(&extract->written,
				      (struct extract_extent){ from, to - from + 1 }, true))
			r = no_memory(extract, err);
	}
	return r;
}

static int take_bytes(struct extract *extract, const struct extract_wish *wish,
		      const struct journal_record *record, struct error *err)
{
	const struct journal_bytes *bytes = &record->bytes;
	struct extract_extents *leg;
	size_t nr_before;
	int r;

	if (bytes->place == JOURNAL_LOG) {
		extract->has_log = true;
		return 0;
	}
	/* In front of an open one's commit are only the ends of legs, to know them by. */
	if (extract->open && !extract->reader.committed)
		return 0;
	r = check_place(extract, record, err);
	if (r || bytes->kind == JOURNAL_NEW)
		return r;
	leg = &extract->legs[bytes->place];
	nr_before = leg->nr;
	if (extents_add(leg, (struct extract_extent){ bytes->start_sector, bytes->sectors },
			extract->nr_kept < extract->max_extents))
		return no_memory(extract, err);
	extract->nr_kept += leg->nr - nr_before;
	if (wish && bytes->place == wish->leg && !extract->open)
		r = hand_out(extract, wish, bytes, err);
	return r;
}

struct reading {
	struct extract *extract;
	const struct extract_wish *wish;
	bool (*cancelled)(void *context);
	void *context;
};

static int check_cancelled(const struct reading *reading, struct error *err)
{
	if (!reading->cancelled || !reading->cancelled(reading->context))
		return 0;
	return error_operation(err, ECANCELED, "%s: ended by a signal", name_of(reading->extract));
}

static int take_record(const struct reading *reading, const struct journal_record *record,
		       struct error *err)
{
	struct extract *extract = reading->extract;
	int r = check_cancelled(reading, err);

	if (r)
		return r;
	if (record->type == JOURNAL_LOG_STATE)
		extract->open = journal_is_open(&record->log_state);
	else if (record->type == JOURNAL_BYTES)
		r = take_bytes(extract, reading->wish, record, err);
	else if (record->type == JOURNAL_REGION)
		extract->nr_digests++;
	if (!r && extract->open && journal_marks_note(&extract->marks, &extract->reader))
		r = no_memory(extract, err);
	return r;
}

static int take_backwards(void *context, const struct journal_bytes *items, size_t nr_items,
			  struct error *err)
{
	const struct reading *reading = context;
	int r = check_cancelled(reading, err);

	for (size_t i = 0; i < nr_items && !r; i++)
		if (items[i].place == reading->wish->leg)
			r = hand_out(reading->extract, reading->wish, &items[i], err);
	return r;
}

static void finish_lists(struct extract *extract)
{
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		extents_finish(&extract->legs[leg]);
	extents_finish(&extract->written);
}

int extract_read(struct extract *extract, const struct extract_wish *wish,
		 bool (*cancelled)(void *context), void *context, struct error *err)
{
	struct reading reading = { extract, wish, cancelled, context };
	struct error why = { .kind = ERROR_NONE };
	struct journal_record record;
	int r, failed;

	while ((r = journal_next(&extract->reader, &record, &why)) > 0) {
		failed = take_record(&reading, &record, err);
		if (failed)
			return failed;
	}
	/* Of what was written last and not synced a power cut may leave anything. */
	extract->torn = r == -EBADMSG && extract->open && extract->reader.committed;
	extract->complete = extract->reader.committed && !extract->torn;
	if (r && r != -ENODATA && !extract->torn)
		return error_operation(err, -r, "%s", why.text);
	r = wish && extract->open ? journal_backwards(&extract->marks, &extract->reader.source,
						      take_backwards, &reading, err) : 0;
	finish_lists(extract);
	return r;
}

void extract_free(struct extract *extract)
{
	journal_reader_free(&extract->reader);
	journal_marks_free(&extract->marks);
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		free(extract->legs[leg].extents);
	free(extract->written.extents);
	free(extract->identity_json);
	memset(extract, 0, sizeof(*extract));
}

/* --- words --------------------------------------------------------------- */

int extract_parse_sectors(struct region_run *range, const char *text, uint64_t length,
			  struct error *err)
{
	const char *at = text, *end = text + strlen(text);
	struct region_run parsed = { 0, 0 };
	int r = number_scan(&at, end, &parsed.first);

	parsed.last = parsed.first;
	if (!r && *at == '-') {
		at++;
		if (at == end)
			parsed.last = length - 1;
		else
			r = number_scan(&at, end, &parsed.last);
	}
	if (r == -EINVAL || (!r && *at))
		return error_usage(err, "--sectors: \"%.*s\" is not a range: give START-END, both "
				   "included, as in 25600-25735", TEXT_SHOWN, text);
	if (r || parsed.first >= length || parsed.last >= length)
		return error_usage(err, "--sectors: \"%.*s\" is beyond the end: the mirror's last "
				   "sector is %" PRIu64, TEXT_SHOWN, text, length - 1);
	if (parsed.last < parsed.first)
		return error_usage(err, "--sectors: \"%.*s\" runs backwards", TEXT_SHOWN, text);
	*range = parsed;
	return 0;
}
