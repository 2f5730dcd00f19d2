/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/resync_record.h"

#include <errno.h>
#include <stdlib.h>

#include "core/mirror_log.h"

int resync_record_begin(struct journal_writer *journal, const struct resync_record *record,
			const char *what, struct error *err)
{
	struct journal_log_state state = {
		.area_bytes = record->area_bytes, .nr_regions = record->nr_regions,
	};
	struct journal_bytes old = {
		.place = JOURNAL_LOG, .kind = JOURNAL_OLD, .data = record->area,
		.sectors = record->area_bytes / SECTOR_BYTES,
	};
	int r;

	journal_digest(state.before, record->area, (size_t)record->area_bytes);
	r = journal_put_identity(journal, record->identity);
	if (!r)
		r = journal_put_log_state(journal, &state);
	if (!r)
		r = journal_put_bytes(journal, &old);
	if (!r && record->ends)
		r = leg_ends_put(record->ends, journal);
	if (!r)
		return 0;
	return error_operation(err, -r, "%s cannot be written: %s; nothing was changed, so make room for it or choose another place",
			       what, error_reason(r));
}

int resync_record_keep(struct journal_writer *journal, unsigned int leg, uint64_t sector,
		       uint64_t sectors, const void *old, const void *new)
{
	unsigned char *fingerprints = malloc((size_t)sectors * JOURNAL_FINGERPRINT_BYTES + 1);
	const struct journal_bytes bytes = {
		.place = leg, .kind = JOURNAL_REPLACED, .start_sector = sector,
		.sectors = sectors, .data = old, .replaced_by = fingerprints,
	};
	int r;

	if (!fingerprints)
		return journal->failed = journal->failed ? journal->failed : -ENOMEM;
	for (uint64_t i = 0; i < sectors; i++)
		journal_fingerprint(fingerprints + i * JOURNAL_FINGERPRINT_BYTES,
				    (const unsigned char *)new + i * SECTOR_BYTES);
	r = journal_put_bytes(journal, &bytes);
	free(fingerprints);
	return r;
}

/* --- the end of a run --------------------------------------------------------- */

struct runs {
	struct region_run *runs;
	size_t nr, room;
};

static int add_run(struct runs *list, uint64_t first, uint64_t last)
{
	struct region_run *run = list->nr ? &list->runs[list->nr - 1] : NULL;

	if (run && run->last + 1 == first) {
		run->last = last;
		return 0;
	}
	if (list->nr == list->room) {
		size_t room = list->room ? 2 * list->room : 64;

		run = reallocarray(list->runs, room, sizeof(*run));
		if (!run)
			return -ENOMEM;
		list->runs = run;
		list->room = room;
	}
	list->runs[list->nr++] = (struct region_run){ first, last };
	return 0;
}

/* Regions that are in `has` and not in `lacks`. */
static int find_runs(struct runs *list, const struct bitmap *has, const struct bitmap *lacks)
{
	uint64_t first, last, at = 0, end;
	int r = 0;

	while (!r && bitmap_next_run(has, true, at, &first, &last)) {
		for (at = first; !r && at <= last; at = end) {
			bool lacking = at >= lacks->nr_bits || !bitmap_test(lacks, at);

			end = at >= lacks->nr_bits ? last + 1 :
			      lacking ? bitmap_next_set(lacks, at) : bitmap_next_clear(lacks, at);
			if (lacking && end >= lacks->nr_bits)
				end = last + 1;
			if (end > last + 1)
				end = last + 1;
			if (lacking)
				r = add_run(list, at, end - 1);
		}
	}
	return r;
}

int resync_record_end(struct journal_writer *journal, void *before, void *after,
		      uint64_t area_bytes, uint64_t nr_regions)
{
	struct runs set = { .nr = 0 }, cleared = { .nr = 0 };
	struct mirror_log was, is;
	int r;

	mirror_log_decode(&was, before, area_bytes, nr_regions);
	mirror_log_decode(&is, after, area_bytes, nr_regions);
	r = find_runs(&set, &is.clean_bits, &was.clean_bits);
	if (!r)
		r = find_runs(&cleared, &was.clean_bits, &is.clean_bits);
	if (!r && cleared.nr)
		r = journal_put_outcome(journal, &(struct journal_outcome){ cleared.runs,
									    cleared.nr });
	if (!r)
		r = journal_put_set(journal, &(struct journal_outcome){ set.runs, set.nr });
	free(set.runs);
	free(cleared.runs);
	return r;
}

uint64_t resync_record_bytes(uint64_t sectors, uint64_t nr_runs, uint64_t piece)
{
	/* The head of 64 bytes, 24 bytes in front of the data. */
	return sectors * (SECTOR_BYTES + JOURNAL_FINGERPRINT_BYTES) +
	       (nr_runs + sectors / piece + 1) * 88;
}
