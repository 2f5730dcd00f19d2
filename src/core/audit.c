/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/audit_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NS_PER_S UINT64_C(1000000000)
#define SAMPLE_NS NS_PER_S
/* Data this close together (sectors) is read in one go, the hole included. */
#define HOLE_WORTH_SKIPPING 256u
#define RANGE_ENOUGH 8192u
/* How long an ended run may still look again at what it has found. */
#define CLOSING_NS (15 * NS_PER_S)
/* How long differences may wait to be looked at again. */
#define UNSETTLED_NS (60 * NS_PER_S)
/* ending codes of a run, internal to the audit */
#define STOP_USER (-ECANCELED)
#define STOP_CHANGED (-ESTALE)
#define STOP_SETTLE (-EAGAIN)	/* too many candidates: settle, then go on */

/* ---- what is worth noting ------------------------------------------------ */

int audit_note(struct audit *audit, uint64_t region, unsigned int flag)
{
	size_t low = 0, high = audit->nr_notes;

	/* Nearly always the last one: the pass goes upwards. */
	if (high && audit->notes[high - 1].region < region)
		low = high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (audit->notes[middle].region < region)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < audit->nr_notes && audit->notes[low].region == region) {
		audit->notes[low].flags |= flag;
		return 0;
	}
	if (audit->nr_notes == audit->room)
		return -ENOMEM;	/* cannot be: the pass settles before that */
	memmove(&audit->notes[low + 1], &audit->notes[low],
		(audit->nr_notes - low) * sizeof(*audit->notes));
	audit->notes[low] = (struct note){ .region = region, .flags = (uint8_t)flag };
	audit->nr_notes++;
	return 0;
}

uint64_t audit_digest(const unsigned char *const legs[], unsigned int nr_legs)
{
	uint64_t digest = 0;

	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (legs[leg])
			digest = XXH3_64bits_withSeed(legs[leg], SECTOR_BYTES, digest + leg + 1);
	return digest;
}

static uint16_t legs_equal_to(const struct sector_comparison *seen, unsigned int leg)
{
	uint16_t legs = 0;

	for (unsigned int other = 0; other < MIRROR_LEGS_MAX; other++)
		if (other != leg && (seen->differs & 1u << other) &&
		    seen->group[other] == seen->group[leg])
			legs |= 1u << other;
	return legs;
}

int audit_record(struct audit *audit, uint64_t sector, enum verdict verdict,
		 const struct sector_comparison *seen)
{
	int r = 0;

	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++) {
		if (!(seen->differs & 1u << leg))
			continue;
		r = run_list_add(&audit->result->runs, &(struct sector_run){
			.verdict = verdict, .leg = leg, .against = seen->reference,
			.start = sector, .sectors = 1,
			.content = seen->content[leg], .byte = seen->byte[leg],
			.against_content = seen->content[seen->reference],
			.against_byte = seen->byte[seen->reference],
			.one_bit = seen->one_bit & 1u << leg,
			.equal_legs = legs_equal_to(seen, leg),
		});
	}
	return r;
}

void audit_sector_data(const struct leg_chunk *chunk, unsigned int nr_legs,
		       uint32_t sector, const unsigned char *legs[])
{
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		bool there = chunk->data[leg] && !leg_chunk_sector_is_bad(chunk, leg, sector);

		legs[leg] = there ? chunk->data[leg] + (size_t)sector * SECTOR_BYTES : NULL;
	}
}

static bool region_is_clean(const struct audit *audit, uint64_t region)
{
	return region < audit->input->clean_bits->nr_bits &&
	       bitmap_test(audit->input->clean_bits, region);
}

int audit_record_unreadable(struct audit *audit, uint64_t sector, unsigned int leg, int error)
{
	audit->result->unreadable_sectors[leg]++;
	return run_list_add(&audit->result->runs, &(struct sector_run){
		.verdict = VERDICT_UNVERIFIABLE, .leg = leg,
		.start = sector, .sectors = 1, .error = -error,
	});
}

static int record_unreadable(struct audit *audit, const struct leg_chunk *chunk,
			     uint32_t sector, uint64_t region)
{
	int r = audit_note(audit, region, NOTE_UNREADABLE);

	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++) {
		if (leg_chunk_sector_is_bad(chunk, leg, sector))
			r = audit_record_unreadable(audit, chunk->start + sector, leg,
						    chunk->error[leg]);
	}
	return r;
}

/* A sector whose legs are not all alike. */
static int take_sector(struct audit *audit, const struct leg_chunk *chunk, uint32_t at)
{
	const unsigned char *legs[MIRROR_LEGS_MAX];
	uint64_t sector = chunk->start + at;
	uint64_t region = region_of_sector(&audit->input->geometry, sector);
	struct candidate *candidate = &audit->candidates[audit->nr_candidates];
	int r = 0;

	audit_sector_data(chunk, audit->input->nr_legs, at, legs);
	memset(candidate, 0, sizeof(*candidate));
	compare_sector(&candidate->seen, legs, audit->input->nr_legs);
	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++)
		if (leg_chunk_sector_is_bad(chunk, leg, at)) {
			r = record_unreadable(audit, chunk, at, region);
			break;
		}
	if (r || !candidate->seen.differs)
		return r;
	if (!region_is_clean(audit, region)) {
		r = audit_note(audit, region, NOTE_PENDING);
		return r ? r : audit_record(audit, sector, VERDICT_RESYNC_PENDING, &candidate->seen);
	}
	candidate->sector = sector;
	candidate->digest = audit_digest(legs, audit->input->nr_legs);
	audit->nr_candidates++;
	audit->progress.found_sectors++;
	return audit_note(audit, region, NOTE_UNRESOLVED);
}

/* ---- the first pass ------------------------------------------------------- */

static bool chunk_is_equal(const struct audit *audit, const struct leg_chunk *chunk)
{
	const unsigned char *first = NULL;

	for (unsigned int leg = 0; leg < audit->input->nr_legs; leg++) {
		if (!chunk->data[leg])
			continue;
		if (chunk->error[leg])
			return false;
		if (first && memcmp(first, chunk->data[leg], (size_t)chunk->sectors * SECTOR_BYTES))
			return false;
		if (!first)
			first = chunk->data[leg];
	}
	return true;
}

/* Skips to the first sector at or after `at` in which the legs are not plainly
 * equal, comparing 4 KiB at a time. */
static uint32_t next_unequal(const struct audit *audit, const struct leg_chunk *chunk, uint32_t at)
{
	while (at < chunk->sectors) {
		uint32_t step = chunk->sectors - at < 8 ? chunk->sectors - at : 8;
		struct leg_chunk piece = *chunk;

		for (unsigned int leg = 0; leg < audit->input->nr_legs; leg++)
			if (piece.data[leg])
				piece.data[leg] += (size_t)at * SECTOR_BYTES;
		piece.sectors = step;
		if (!chunk_is_equal(audit, &piece))
			break;
		at += step;
	}
	return at;
}

/* Selected sectors in [from, to): what lies between two chunks are holes. */
static uint64_t selected_between(const struct audit *audit, uint64_t from, uint64_t to)
{
	const struct region_geometry *geometry = &audit->input->geometry;
	uint64_t first, last, sectors = 0, start, end;

	while (from < to && bitmap_next_run(audit->input->selected, true,
					    region_of_sector(geometry, from), &first, &last)) {
		start = region_start(geometry, first);
		end = region_start(geometry, last) + region_sectors(geometry, last);
		if (start < from)
			start = from;
		if (end > to)
			end = to;
		if (start >= end)
			break;
		sectors += end - start;
		from = end;
	}
	return sectors;
}

/* All selected sectors below `sector` are compared now; those that were not
 * read were holes in every leg. */
static void advance(struct audit *audit, uint64_t sector, uint64_t read_sectors)
{
	uint64_t sectors = selected_between(audit, audit->taken, sector);

	audit->taken = sector;
	audit->result->compared_sectors += sectors;
	audit->result->read_sectors += read_sectors;
	audit->result->hole_sectors += sectors - read_sectors;
	audit->progress.done_sectors += sectors;
	audit->progress.bytes_per_leg += read_sectors * SECTOR_BYTES;
}

static int take_chunk(void *context, const struct leg_chunk *chunk)
{
	struct audit *audit = context;
	int r = 0;

	if (!chunk_is_equal(audit, chunk))
		for (uint32_t at = next_unequal(audit, chunk, 0); at < chunk->sectors && !r;
		     at = (at + 1) % 8 ? at + 1 : next_unequal(audit, chunk, at + 1))
			r = take_sector(audit, chunk, at);
	if (r)
		return r;
	advance(audit, chunk->start + chunk->sectors, chunk->sectors);
	if (audit->nr_candidates >= audit->max_unsettled || audit->nr_notes >= audit->max_unsettled)
		return STOP_SETTLE;
	return 0;
}

/* Moves the leg's known extent of data to the first one that ends after `at`. */
static void find_data(struct audit *audit, unsigned int leg, uint64_t at)
{
	if (audit->data_end[leg] <= at &&
	    !block_next_data(audit->input->engine, audit->input->legs[leg], at,
			     &audit->data_first[leg], &audit->data_end[leg]))
		audit->data_first[leg] = audit->data_end[leg] = UINT64_MAX;
}

/* Where some leg holds data at or after `at`, below `end`: holes in every leg
 * are equal without being read. Returns false when there is none. */
static bool next_data(struct audit *audit, uint64_t at, uint64_t end,
		      uint64_t *first, uint64_t *data_end)
{
	const struct audit_input *input = audit->input;
	bool grown = true;

	*first = UINT64_MAX;
	for (unsigned int leg = 0; leg < input->nr_legs; leg++) {
		if (!input->legs[leg])
			continue;
		find_data(audit, leg, at);
		if (audit->data_first[leg] < *first)
			*first = audit->data_first[leg];
	}
	if (*first >= end)
		return false;
	if (*first < at)
		*first = at;
	*data_end = *first;
	while (grown && *data_end < end && *data_end - *first < RANGE_ENOUGH) {
		grown = false;
		/* Not beyond `end`: the next range may begin before what is
		 * found there, and what a leg holds until then be forgotten. */
		for (unsigned int leg = 0; leg < input->nr_legs && *data_end < end; leg++) {
			if (!input->legs[leg])
				continue;
			find_data(audit, leg, *data_end);
			if (audit->data_first[leg] > *data_end + HOLE_WORTH_SKIPPING ||
			    audit->data_first[leg] >= end)
				continue;
			*data_end = audit->data_end[leg];
			grown = true;
		}
	}
	if (*data_end > end)
		*data_end = end;
	return true;
}

/* The next run of selected regions, in sectors. */
static bool next_selected(struct audit *audit)
{
	const struct region_geometry *geometry = &audit->input->geometry;
	uint64_t first, last;

	if (audit->select_next >= geometry->length ||
	    !bitmap_next_run(audit->input->selected, true,
			     region_of_sector(geometry, audit->select_next), &first, &last))
		return false;
	audit->range_start = region_start(geometry, first);
	if (audit->range_start < audit->select_next)
		audit->range_start = audit->select_next;
	audit->range_end = region_start(geometry, last) + region_sectors(geometry, last);
	audit->select_next = audit->range_end;
	return true;
}

static bool next_range(void *context, uint64_t *start, uint64_t *end)
{
	struct audit *audit = context;

	if (audit->legs_present < 2)
		return false;	/* nothing to compare with */
	for (;;) {
		if (audit->range_start == audit->range_end && !next_selected(audit))
			return false;
		if (next_data(audit, audit->range_start, audit->range_end, start, end))
			break;
		audit->range_start = audit->range_end;
	}
	audit->range_start = *end;
	return true;
}

/* --rate: what has been asked for so far must not be ahead of the clock. */
static unsigned int pace(void *context, uint32_t sectors)
{
	struct audit *audit = context;
	uint64_t rate = audit->options->rate_bytes;
	double due_ns, now;

	if (!rate)
		return 0;
	now = (double)audit->hooks->now_ns(audit->hooks->context);
	if (!audit->paced_since_ns)
		audit->paced_since_ns = (uint64_t)now;
	due_ns = (double)audit->paced_since_ns +
		 (double)audit->paced_sectors * SECTOR_BYTES * 1e9 / (double)rate;
	if (due_ns > now)
		return (unsigned int)((due_ns - now) / 1e6) + 1;
	/* A disk that fell behind must not be followed by a burst. */
	if (now - due_ns > 1e9) {
		audit->paced_since_ns = (uint64_t)now;
		audit->paced_sectors = 0;
	}
	audit->paced_sectors += sectors;
	return 0;
}

static bool is_unchanged(struct audit *audit)
{
	audit->sampled_ns = audit->hooks->now_ns(audit->hooks->context);
	return audit->hooks->unchanged(audit->hooks->context);
}

void audit_pause(void *context, unsigned int ms)
{
	struct audit *audit = context;

	audit->hooks->sleep_ms(audit->hooks->context, ms);
}

/* ---- verdicts --------------------------------------------------------------- */

/* The gravest thing known of a region; proof of a lie outweighs what could not
 * be read. */
static enum verdict verdict_of_note(const struct audit *audit, const struct note *note)
{
	if (note->flags & NOTE_CONFIRMED)
		return audit->options->running && !audit->options->steady ?
			VERDICT_SUSPECT : VERDICT_BOGUS_CLEAN;
	if (note->flags & NOTE_UNRESOLVED)
		return VERDICT_NOT_COMPARED;
	if (note->flags & NOTE_UNREADABLE)
		return VERDICT_UNVERIFIABLE;
	if (audit->legs_present < audit->input->nr_legs && !(note->flags & NOTE_PENDING))
		return VERDICT_UNVERIFIABLE;
	if (note->flags & NOTE_PENDING)
		return VERDICT_RESYNC_PENDING;
	return note->flags & NOTE_BUSY ? VERDICT_BUSY : VERDICT_TRANSIENT;
}

static enum verdict verdict_without_note(const struct audit *audit, bool clean)
{
	if (audit->legs_present < audit->input->nr_legs)
		return VERDICT_UNVERIFIABLE;
	return clean ? VERDICT_VERIFIED : VERDICT_EQUAL_NOT_CLEAN;
}

/* The last region from `first` on (<= last) with the same clean bit. */
static uint64_t same_bit_until(const struct audit *audit, uint64_t first, uint64_t last, bool clean)
{
	const struct bitmap *bits = audit->input->clean_bits;
	uint64_t next;

	if (clean)
		next = bitmap_next_clear(bits, first);
	else
		next = first < bits->nr_bits ? bitmap_next_set(bits, first) : bits->nr_bits;
	if (!clean && next >= bits->nr_bits)
		return last;
	return next - 1 < last ? next - 1 : last;
}

/* Gives regions first..last (all selected) their verdicts; *note is the index of
 * the first note not yet used. */
static int settle_run(struct audit *audit, uint64_t first, uint64_t last, size_t *note)
{
	int r = 0;

	while (first <= last && !r) {
		const struct note *next = *note < audit->nr_notes ? &audit->notes[*note] : NULL;
		uint64_t end = last;
		enum verdict verdict;

		if (next && next->region == first) {
			verdict = verdict_of_note(audit, next);
			end = first;
			(*note)++;
		} else {
			bool clean = region_is_clean(audit, first);

			if (next && next->region - 1 < end)
				end = next->region - 1;
			end = same_bit_until(audit, first, end, clean);
			verdict = verdict_without_note(audit, clean);
		}
		r = region_verdicts_add(&audit->result->regions, verdict, first, end);
		first = end + 1;
	}
	return r;
}

/* Gives every selected region below `until` its verdict and forgets its notes. */
static int settle_until(struct audit *audit, uint64_t until)
{
	uint64_t from = audit->settled, first, last;
	size_t used = 0;
	int r = 0;

	while (!r && from < until &&
	       bitmap_next_run(audit->input->selected, true, from, &first, &last) && first < until) {
		if (last >= until)
			last = until - 1;
		r = settle_run(audit, first, last, &used);
		from = last + 1;
	}
	memmove(audit->notes, audit->notes + used, (audit->nr_notes - used) * sizeof(*audit->notes));
	audit->nr_notes -= used;
	if (until > audit->settled)
		audit->settled = until;
	return r;
}

/* All selected regions below this one have been compared whole. */
static uint64_t compared_regions(const struct audit *audit, bool complete)
{
	const struct region_geometry *geometry = &audit->input->geometry;
	uint64_t region;

	if (complete || audit->taken == geometry->length)
		return geometry->nr_regions;
	if (!audit->taken)
		return 0;
	region = region_of_sector(geometry, audit->taken - 1);
	return audit->taken % geometry->region_size ? region : region + 1;
}

/* Of a region that was compared in part only, what is proven stays proven. */
static int settle_cut_region(struct audit *audit)
{
	enum verdict verdict;

	if (!audit->nr_notes)
		return 0;
	verdict = verdict_of_note(audit, &audit->notes[0]);
	if (verdict == VERDICT_NOT_COMPARED || verdict == VERDICT_BUSY ||
	    verdict == VERDICT_TRANSIENT)
		return 0;
	return region_verdicts_add(&audit->result->regions, verdict,
				   audit->notes[0].region, audit->notes[0].region);
}

/* All that was found so far was found on the mirror that was opened. */
static void set_mark(struct audit *audit)
{
	audit->mark.runs = audit->result->runs;
	memcpy(audit->mark.unreadable_sectors, audit->result->unreadable_sectors,
	       sizeof(audit->mark.unreadable_sectors));
	audit->mark.cut = audit->nr_notes ? audit->notes[0] : (struct note){ 0 };
	audit->settled_ns = audit->sampled_ns;
}

/* The mirror is still the same one: what has been compared needs no second look
 * unless there are candidates, and these should not wait for ever. */
static int settle_meanwhile(struct audit *audit)
{
	if (audit->nr_candidates)
		return audit->sampled_ns - audit->settled_ns >= UNSETTLED_NS ? STOP_SETTLE : 0;
	if (settle_until(audit, compared_regions(audit, false)))
		return -ENOMEM;
	set_mark(audit);
	return 0;
}

int audit_poll(void *context)
{
	struct audit *audit = context;
	uint64_t now = audit->hooks->now_ns(audit->hooks->context);
	bool looking_again = audit->progress.looking_again;

	if (audit->hooks->poll(audit->hooks->context, &audit->progress)) {
		if (looking_again && !audit->closing_ns)
			audit->closing_ns = now + CLOSING_NS;
		if (now > audit->closing_ns)
			return STOP_USER;
	}
	if (now - audit->sampled_ns < SAMPLE_NS)
		return 0;
	if (!is_unchanged(audit))
		return STOP_CHANGED;
	return looking_again ? 0 : settle_meanwhile(audit);
}

/* The mirror is another one now: nothing found since the last good look counts. */
static void withdraw(struct audit *audit)
{
	run_list_rollback(&audit->result->runs, &audit->mark.runs);
	memcpy(audit->result->unreadable_sectors, audit->mark.unreadable_sectors,
	       sizeof(audit->mark.unreadable_sectors));
	audit->nr_candidates = 0;
	if (audit->mark.cut.flags) {	/* the lowest note is this region's */
		audit->result->withdrawn_regions = audit->nr_notes - 1;
		audit->notes[0] = audit->mark.cut;
		audit->nr_notes = 1;
	} else {
		audit->result->withdrawn_regions = audit->nr_notes;
		audit->nr_notes = 0;
	}
}

/* Looks again at what was found, and at the mirror; then nothing found so far is
 * in doubt. 0, STOP_CHANGED, STOP_USER (candidates stay unresolved) or -errno. */
static int resolve(struct audit *audit)
{
	int r = 0;

	if (audit->nr_candidates && !audit->result->hung)
		r = audit_look_again(audit);
	if ((!r || r == STOP_USER) && !is_unchanged(audit))
		return STOP_CHANGED;
	if (!r && !audit->result->hung)
		r = audit_conclude(audit);
	audit->nr_candidates = 0;
	return r;
}

/* Ends a batch; `why` is what ended it, 0: everything has been compared. A region
 * that is cut by the batch's end keeps its outcome as a note and is settled with
 * the next one. */
static int settle(struct audit *audit, int why)
{
	int r = why == STOP_CHANGED ? why : 0;

	/* Who ends a run wants to know what it has found. */
	if (why == STOP_USER)
		audit->closing_ns = audit->hooks->now_ns(audit->hooks->context) + CLOSING_NS;
	if (!r)
		r = resolve(audit);
	audit->closing_ns = 0;
	if (r && r != STOP_USER && r != STOP_CHANGED)
		return r;
	if (r == STOP_CHANGED) {
		withdraw(audit);
		return settle_cut_region(audit) ? -ENOMEM : r;
	}
	if (!why && audit->legs_present >= 2)
		advance(audit, audit->input->geometry.length, 0);
	if (settle_until(audit, compared_regions(audit, !why)))
		return -ENOMEM;
	set_mark(audit);
	if ((why == STOP_USER || r == STOP_USER) && settle_cut_region(audit))
		return -ENOMEM;
	return r;
}

static const struct leg_reader_client first_pass = {
	.next_range = next_range, .take = take_chunk, .pace = pace,
	.poll = audit_poll, .pause = audit_pause,
};

/* After STOP_SETTLE the reader starts again behind what was taken. */
static void rewind_to_taken(struct audit *audit)
{
	audit->select_next = audit->taken;
	audit->range_start = audit->range_end = 0;
	memset(audit->data_end, 0, sizeof(audit->data_end));
	memset(audit->data_first, 0, sizeof(audit->data_first));
}

static int run_passes(struct audit *audit)
{
	struct leg_reader_client client = first_pass;
	int r, settled;

	client.context = audit;
	do {
		r = leg_reader_run(audit->reader, &client);
		if (r == -ETIMEDOUT) {	/* nothing can be looked at again */
			audit->result->hung = true;
			r = STOP_USER;
		}
		if (r && r != STOP_SETTLE && r != STOP_USER && r != STOP_CHANGED)
			return r;
		settled = settle(audit, r);
		if (settled)
			r = settled;
		if (r == STOP_SETTLE)
			rewind_to_taken(audit);
	} while (r == STOP_SETTLE);
	return r;
}

/* ---- the whole ---------------------------------------------------------------- */

static uint64_t selected_sectors(const struct audit_input *input)
{
	uint64_t first, last, from = 0, sectors = 0;

	while (bitmap_next_run(input->selected, true, from, &first, &last)) {
		sectors += region_run_sectors(&input->geometry,
					      (struct region_run){ first, last });
		from = last + 1;
	}
	return sectors;
}

static int audit_prepare(struct audit *audit)
{
	const struct audit_input *input = audit->input;
	uint64_t rate_sectors = audit->options->rate_bytes / SECTOR_BYTES / 20;
	int r;

	for (unsigned int leg = 0; leg < input->nr_legs; leg++)
		audit->legs_present += input->legs[leg] != NULL;
	audit->progress.total_sectors = selected_sectors(input);
	audit->result->selected_regions = bitmap_count(input->selected);
	audit->max_unsettled = audit->options->max_candidates ? audit->options->max_candidates :
			       CANDIDATES_MAX;
	/* A whole chunk must fit behind them, and a note of the region that was cut. */
	audit->room = audit->max_unsettled + input->engine->buffer_bytes / SECTOR_BYTES + 1;
	audit->candidates = malloc(audit->room * sizeof(*audit->candidates));
	audit->notes = malloc(audit->room * sizeof(*audit->notes));
	if (!audit->candidates || !audit->notes)
		return -ENOMEM;
	r = leg_reader_create(&audit->reader, input->engine, input->legs, input->nr_legs);
	if (!r && audit->options->rate_bytes)
		leg_reader_limit_chunk(audit->reader,
				       rate_sectors < UINT32_MAX ? (uint32_t)rate_sectors : UINT32_MAX);
	return r;
}

static int audit_finish(struct audit *audit, int r)
{
	struct audit_result *result = audit->result;
	uint64_t told = 0;

	if (r == STOP_USER)
		result->end = AUDIT_STOPPED;
	else if (r == STOP_CHANGED)
		result->end = AUDIT_CHANGED;
	else if (r)
		return error_operation(audit->err, -r, "the audit cannot go on: %s", error_reason(r));
	for (unsigned int verdict = 0; verdict < VERDICT_NOT_COMPARED; verdict++)
		told += result->regions.count[verdict];
	result->regions.count[VERDICT_NOT_COMPARED] = audit->input->geometry.nr_regions - told;
	if (run_list_finish(&result->runs))
		return error_operation(audit->err, ENOMEM, "not enough memory for the findings");
	return 0;
}

int audit_run(struct audit_result *result, const struct audit_input *input,
	      const struct audit_options *options, const struct audit_hooks *hooks,
	      struct error *err)
{
	struct audit audit = { .input = input, .options = options, .hooks = hooks,
			       .result = result, .err = err };
	int r;

	memset(result, 0, sizeof(*result));
	run_list_init(&result->runs, options->max_runs);
	region_verdicts_init(&result->regions, options->max_runs);
	r = audit_prepare(&audit);
	if (!r && !is_unchanged(&audit))
		r = STOP_CHANGED;
	if (!r) {
		set_mark(&audit);
		r = run_passes(&audit);
	}
	r = audit_finish(&audit, r);
	if (result->hung)
		result->abandoned = audit.reader;
	else
		leg_reader_destroy(audit.reader);
	free(audit.candidates);
	free(audit.notes);
	return r;
}

void audit_result_free(struct audit_result *result)
{
	run_list_free(&result->runs);
	region_verdicts_free(&result->regions);
}
