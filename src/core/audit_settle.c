/* SPDX-License-Identifier: GPL-2.0-or-later */

/* From notes to verdicts: when something has been looked at well enough, and when it
 * must be withdrawn. */

#include "core/audit_private.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
/* How often the mirror is looked at: is it still the same one? */
#define SAMPLE_NS NS_PER_S
/* How long an ended run may still look again at what it has found. */
#define CLOSING_NS (15 * NS_PER_S)
/* How long differences may wait to be looked at again. */
#define UNSETTLED_NS (60 * NS_PER_S)

bool audit_is_unchanged(struct audit *audit, bool closely)
{
	audit->sampled_ns = audit->hooks->now_ns(audit->hooks->context);
	return audit->hooks->unchanged(audit->hooks->context, closely);
}

void audit_pause(void *context, unsigned int ms)
{
	struct audit *audit = context;

	audit->hooks->sleep_ms(audit->hooks->context, ms);
}

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
	struct bitmap bits = *audit->input->clean_bits;

	/* No look beyond `last`: a sample of an all-clean log would else scan the
	 * whole rest for each of its regions. */
	if (bits.nr_bits > last + 1)
		bits.nr_bits = last + 1;
	if (clean)
		return bitmap_next_clear(&bits, first) - 1;
	if (first >= bits.nr_bits || bitmap_next_set(&bits, first) == bits.nr_bits)
		return last;
	return bitmap_next_set(&bits, first) - 1;
}

static int give_verdict(struct audit *audit, enum verdict verdict, uint64_t first, uint64_t last)
{
	if (audit->input->lies && (verdict == VERDICT_BOGUS_CLEAN || verdict == VERDICT_SUSPECT))
		bitmap_set_run(audit->input->lies, first, last);
	return region_verdicts_add(&audit->result->regions, verdict, first, last);
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
			bool clean = audit_region_is_clean(audit, first);

			if (next && next->region - 1 < end)
				end = next->region - 1;
			end = same_bit_until(audit, first, end, clean);
			verdict = verdict_without_note(audit, clean);
		}
		r = give_verdict(audit, verdict, first, end);
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
	return give_verdict(audit, verdict, audit->notes[0].region, audit->notes[0].region);
}

/* All that was found so far was found on the mirror that was opened. */
void audit_set_mark(struct audit *audit)
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
	audit_set_mark(audit);
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
	if (!audit_is_unchanged(audit, false))
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
	if ((!r || r == STOP_USER) && !audit_is_unchanged(audit, true))
		return STOP_CHANGED;
	if (!r && !audit->result->hung)
		r = audit_conclude(audit);
	audit->nr_candidates = 0;
	return r;
}

/* Ends a batch; `why` is what ended it, 0: everything has been compared. A region
 * that is cut by the batch's end keeps its outcome as a note and is settled with
 * the next one. */
int audit_settle(struct audit *audit, int why)
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
		audit_advance(audit, audit->input->geometry.length, 0);
	if (settle_until(audit, compared_regions(audit, !why)))
		return -ENOMEM;
	audit_set_mark(audit);
	if ((why == STOP_USER || r == STOP_USER) && settle_cut_region(audit))
		return -ENOMEM;
	return r;
}
