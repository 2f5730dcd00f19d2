/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Looking again: a difference counts only when it is still there, the same
 * bytes under a bit that was clean all the while. */

#include "core/audit_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_RUNNING 5u
#define LOOK_MS_RUNNING 500u
/* Candidates closer than this (sectors) are read together. */
#define TOGETHER 256u

struct again {
	struct audit *audit;
	size_t asked;		/* candidates below have their range asked for */
	size_t taken;		/* candidates below have been looked at this time */
	unsigned char *log_block;
	uint64_t log_block_at;	/* sector of the log it holds; UINT64_MAX: none */
};

/* ---- the log ----------------------------------------------------------------- */

/* Reads the log block that holds the region's bit, unless it is there already. */
static int load_log_block(struct again *again, uint64_t region)
{
	struct block_device *log = again->audit->input->log;
	uint64_t sector = (MIRROR_LOG_BITS_OFFSET + region / 8) / SECTOR_BYTES;
	uint64_t at = sector / log->block_sectors * log->block_sectors;
	int r;

	if (again->log_block_at == at)
		return 0;
	again->log_block_at = UINT64_MAX;
	r = block_read(again->audit->input->engine, log, at, log->block_sectors, again->log_block);
	if (r == -ECANCELED) {
		again->log_block = NULL;	/* still being read: not ours any more */
		return -ETIMEDOUT;
	}
	if (r)
		return error_operation(again->audit->err, -r,
				       "%s: cannot be read again at sector %llu: %s", log->name,
				       (unsigned long long)at, error_reason(r));
	again->log_block_at = at;
	return 0;
}

/* Reads the bits of all candidates' regions afresh. */
static int look_at_bits(struct again *again)
{
	struct audit *audit = again->audit;
	int r = 0;

	if (!audit->input->log)
		return 0;	/* the kernel keeps the bits: steady() watches it */
	again->log_block_at = UINT64_MAX;
	for (size_t i = 0; i < audit->nr_candidates && !r; i++) {
		struct candidate *candidate = &audit->candidates[i];
		uint64_t region = region_of_sector(&audit->input->geometry, candidate->sector);
		uint64_t byte = MIRROR_LOG_BITS_OFFSET + region / 8;

		r = load_log_block(again, region);
		if (!r && !(again->log_block[byte - again->log_block_at * SECTOR_BYTES] >>
			    (region % 8) & 1))
			candidate->bit_cleared = true;
	}
	return r;
}

/* ---- the legs ------------------------------------------------------------------ */

static bool next_candidates(void *context, uint64_t *start, uint64_t *end)
{
	struct again *again = context;
	const struct audit *audit = again->audit;
	const struct candidate *candidates = audit->candidates;

	if (again->asked == audit->nr_candidates)
		return false;
	*start = candidates[again->asked].sector;
	do {
		*end = candidates[again->asked++].sector + 1;
	} while (again->asked < audit->nr_candidates &&
		 candidates[again->asked].sector - *end < TOGETHER);
	return true;
}

static void note_lost_legs(struct candidate *candidate, const struct leg_chunk *chunk,
			   unsigned int lost)
{
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		if (lost & 1u << leg)
			candidate->lost_error[leg] = chunk->error[leg];
	candidate->lost |= (uint16_t)lost;
}

static void look_at_sector(struct again *again, struct candidate *candidate,
			   const struct leg_chunk *chunk)
{
	const unsigned int nr_legs = again->audit->input->nr_legs;
	const unsigned char *legs[MIRROR_LEGS_MAX];
	struct sector_comparison now;

	audit_sector_data(chunk, nr_legs, (uint32_t)(candidate->sector - chunk->start), legs);
	compare_sector(&now, legs, nr_legs);
	note_lost_legs(candidate, chunk, now.unreadable & ~candidate->seen.unreadable);
	if (now.unreadable != candidate->seen.unreadable)
		candidate->unreadable = true;
	else if (audit_digest(legs, nr_legs) != candidate->digest)
		candidate->changed = true;
	candidate->equal = !now.differs;
}

static int take_candidates(void *context, const struct leg_chunk *chunk)
{
	struct again *again = context;
	struct audit *audit = again->audit;

	while (again->taken < audit->nr_candidates &&
	       audit->candidates[again->taken].sector < chunk->start + chunk->sectors)
		look_at_sector(again, &audit->candidates[again->taken++], chunk);
	return 0;
}

static unsigned int no_pace(void *context, uint32_t sectors)
{
	(void)context;
	(void)sectors;
	return 0;
}

static int poll_again(void *context)
{
	struct again *again = context;

	return audit_poll(again->audit);
}

static void pause_again(void *context, unsigned int ms)
{
	struct again *again = context;

	audit_pause(again->audit, ms);
}

static int look_once(struct again *again)
{
	static const struct leg_reader_client looking = {
		.next_range = next_candidates, .take = take_candidates, .pace = no_pace,
		.poll = poll_again, .pause = pause_again,
	};
	struct leg_reader_client client = looking;
	int r;

	client.context = again;
	again->asked = again->taken = 0;
	r = look_at_bits(again);
	if (!r)
		r = leg_reader_run(again->audit->reader, &client);
	if (!r)
		r = look_at_bits(again);
	return r;
}

static int wait_between_looks(struct audit *audit, unsigned int ms)
{
	int r = 0;

	for (; ms && !r; ms -= ms < 100 ? ms : 100) {
		audit_pause(audit, ms < 100 ? ms : 100);
		r = audit_poll(audit);
	}
	return r;
}

/* ---- what came of it -------------------------------------------------------------- */

static void count_pattern(struct audit_result *result, const struct sector_comparison *seen)
{
	for (size_t i = 0; i < result->nr_patterns; i++)
		if (!memcmp(result->patterns[i].group, seen->group, sizeof(seen->group))) {
			result->patterns[i].sectors++;
			return;
		}
	if (result->nr_patterns == AUDIT_PATTERNS_MAX) {
		result->other_pattern_sectors++;
		return;
	}
	memcpy(result->patterns[result->nr_patterns].group, seen->group, sizeof(seen->group));
	result->patterns[result->nr_patterns++].sectors = 1;
}

/* Legs that could be read at first only: their sectors are named too. */
static int record_lost(struct audit *audit, const struct candidate *candidate)
{
	int r = 0;

	for (unsigned int leg = 0; leg < audit->input->nr_legs && !r; leg++)
		if (candidate->lost & 1u << leg)
			r = audit_record_unreadable(audit, candidate->sector, leg,
						    candidate->lost_error[leg]);
	return r;
}

static int conclude(struct audit *audit, const struct candidate *candidate)
{
	uint64_t region = region_of_sector(&audit->input->geometry, candidate->sector);
	enum verdict verdict = audit->options->running && !audit->options->steady ?
		VERDICT_SUSPECT : VERDICT_BOGUS_CLEAN;
	int r;

	if (candidate->unreadable) {
		r = record_lost(audit, candidate);
		return r ? r : audit_note(audit, region, NOTE_UNREADABLE);
	}
	if (candidate->equal)
		return audit_note(audit, region, NOTE_TRANSIENT);
	if (candidate->changed || candidate->bit_cleared)
		return audit_note(audit, region, NOTE_BUSY);
	count_pattern(audit->result, &candidate->seen);
	r = audit_note(audit, region, NOTE_CONFIRMED);
	return r ? r : audit_record(audit, candidate->sector, verdict, &candidate->seen);
}

int audit_conclude(struct audit *audit)
{
	int r = 0;

	for (size_t i = 0; i < audit->nr_notes; i++)
		audit->notes[i].flags &= (uint8_t)~NOTE_UNRESOLVED;
	for (size_t i = 0; i < audit->nr_candidates && !r; i++)
		r = conclude(audit, &audit->candidates[i]);
	audit->nr_candidates = 0;
	return r;
}

int audit_look_again(struct audit *audit)
{
	const struct audit_options *options = audit->options;
	unsigned int looks = options->looks ? options->looks : options->running ? LOOKS_RUNNING : 1;
	unsigned int look_ms = options->look_ms ? options->look_ms :
			       options->running ? LOOK_MS_RUNNING : 0;
	struct block_device *log = audit->input->log;
	struct again again = { .audit = audit };
	int r = 0;

	if (log) {
		again.log_block = aligned_alloc(4096, ((size_t)log->block_sectors * SECTOR_BYTES + 4095)
						      / 4096 * 4096);
		if (!again.log_block)
			return -ENOMEM;
	}
	audit->progress.looking_again = true;
	for (unsigned int look = 0; look < looks && !r; look++) {
		r = wait_between_looks(audit, look_ms);
		if (!r)
			r = look_once(&again);
	}
	audit->progress.looking_again = false;
	free(again.log_block);	/* NULL while it is being read */
	if (r == -ETIMEDOUT) {
		audit->result->hung = true;
		return -ECANCELED;
	}
	return r;
}
