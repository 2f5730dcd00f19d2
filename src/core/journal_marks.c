/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/journal_marks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"

#define STEP_BYTES (UINT64_C(8) << 20)

int journal_marks_note(struct journal_marks *marks, const struct journal_reader *reader)
{
	struct journal_mark *mark;

	if (!reader->committed)
		return 0;
	marks->bounds = reader->bounds;
	marks->end = reader->offset;
	if (marks->nr && reader->offset - marks->marks[marks->nr - 1].offset < STEP_BYTES)
		return 0;
	if (marks->nr == marks->room) {
		size_t room = marks->room ? 2 * marks->room : 64;

		mark = reallocarray(marks->marks, room, sizeof(*mark));
		if (!mark)
			return -ENOMEM;
		marks->marks = mark;
		marks->room = room;
	}
	mark = &marks->marks[marks->nr++];
	mark->offset = reader->offset;
	mark->sequence = reader->sequence;
	memcpy(mark->chain, reader->chain, sizeof(mark->chain));
	return 0;
}

void journal_marks_free(struct journal_marks *marks)
{
	free(marks->marks);
	memset(marks, 0, sizeof(*marks));
}

/* --- what stands between two marks ----------------------------------------- */

struct segment {
	struct journal_bytes *items;	/* in the order of the file, then sorted */
	size_t nr, room;
	unsigned char *data;
	size_t used;
};

static int no_memory(const struct journal_source *source, struct error *err)
{
	return error_operation(err, ENOMEM, "%s: not enough memory to read it backwards",
			       source->name);
}

static int has_changed(const struct journal_source *source, uint64_t offset, struct error *err)
{
	return error_operation(err, EBADMSG, "%s: has changed at byte %" PRIu64 " since it was read; "
			       "run it again", source->name, offset);
}

static int add_item(struct segment *segment, const struct journal_bytes *bytes)
{
	size_t nr_bytes = (size_t)bytes->sectors * SECTOR_BYTES;
	size_t nr_fingers = (size_t)bytes->sectors * JOURNAL_FINGERPRINT_BYTES;
	struct journal_bytes *item;

	if (segment->nr == segment->room) {
		size_t room = segment->room ? 2 * segment->room : 256;

		item = reallocarray(segment->items, room, sizeof(*item));
		if (!item)
			return -ENOMEM;
		segment->items = item;
		segment->room = room;
	}
	item = &segment->items[segment->nr++];
	*item = *bytes;
	item->data = segment->data + segment->used;
	memcpy(segment->data + segment->used, bytes->data, nr_bytes);
	segment->used += nr_bytes;
	item->replaced_by = segment->data + segment->used;
	memcpy(segment->data + segment->used, bytes->replaced_by, nr_fingers);
	segment->used += nr_fingers;
	return 0;
}

/* `data` of the segment has room for all that stands between the mark and `end`. */
static int read_segment(struct segment *segment, struct journal_reader *reader, uint64_t end,
			struct error *err)
{
	const struct journal_source *source = &reader->source;
	struct journal_record record;
	struct error why = { .kind = ERROR_NONE };
	int r = 0;

	segment->nr = segment->used = 0;
	while (!r && reader->offset < end) {
		r = journal_next(reader, &record, &why);
		if (r != 1)
			return !r || r == -ENODATA || r == -EBADMSG ?
			       has_changed(source, reader->offset, err) :
			       error_operation(err, -r, "%s", why.text);
		if (reader->offset > end)
			return has_changed(source, record.offset, err);
		r = record.type == JOURNAL_BYTES ? add_item(segment, &record.bytes) : 0;
		if (r)
			return no_memory(source, err);
	}
	return r;
}

/* --- in which order it goes out ---------------------------------------------- */

static int compare_items(const void *left, const void *right)
{
	const struct journal_bytes *a = left, *b = right;

	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return (a->start_sector > b->start_sector) - (a->start_sector < b->start_sector);
}

static bool overlap(const struct segment *segment)
{
	for (size_t i = 1; i < segment->nr; i++) {
		const struct journal_bytes *item = &segment->items[i];

		if (item->place == item[-1].place &&
		    item->start_sector < item[-1].start_sector + item[-1].sectors)
			return true;
	}
	return false;
}

static int compare_ages(const void *left, const void *right)
{
	const struct journal_bytes *a = left, *b = right;

	return (a->data < b->data) - (a->data > b->data);
}

/* All at once; where two are of the same sectors one by one, the youngest first. */
static int hand_out(struct segment *segment,
		    int (*take)(void *context, const struct journal_bytes *items,
				size_t nr_items, struct error *err),
		    void *context, struct error *err)
{
	int r = 0;

	if (!segment->nr)
		return 0;
	qsort(segment->items, segment->nr, sizeof(*segment->items), compare_items);
	if (!overlap(segment))
		return take(context, segment->items, segment->nr, err);
	qsort(segment->items, segment->nr, sizeof(*segment->items), compare_ages);
	for (size_t i = 0; !r && i < segment->nr; i++)
		r = take(context, &segment->items[i], 1, err);
	return r;
}

int journal_backwards(const struct journal_marks *marks, const struct journal_source *source,
		      int (*take)(void *context, const struct journal_bytes *items,
				  size_t nr_items, struct error *err),
		      void *context, struct error *err)
{
	struct segment segment = { .items = NULL };
	/* A record may begin just in front of the next mark's place. */
	const size_t room = STEP_BYTES + JOURNAL_PAYLOAD_MAX + 64;
	struct journal_reader reader;
	uint64_t end = marks->end;
	int r = 0;

	if (!marks->nr)
		return 0;
	segment.data = malloc(room);
	if (!segment.data)
		return no_memory(source, err);
	journal_reader_init(&reader, *source);
	reader.committed = true;
	reader.bounds = marks->bounds;
	for (size_t i = marks->nr; i-- > 0 && !r; end = marks->marks[i].offset) {
		const struct journal_mark *mark = &marks->marks[i];

		reader.offset = mark->offset;
		reader.sequence = mark->sequence;
		memcpy(reader.chain, mark->chain, sizeof(reader.chain));
		r = end - mark->offset > room ? has_changed(source, mark->offset, err) :
		    read_segment(&segment, &reader, end, err);
		if (!r)
			r = hand_out(&segment, take, context, err);
	}
	journal_reader_free(&reader);
	free(segment.items);
	free(segment.data);
	return r;
}
