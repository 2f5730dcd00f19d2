/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/repair_record.h"

#include <errno.h>
#include <string.h>

#include "core/region_reading.h"

/* Neighbouring blocks of the log up to this size share a record: each old one is
 * followed by its new one, so that a reader needs no more memory than that for
 * what it compares. */
#define LOG_SECTORS_MAX 2048u
/* Runs of cleared regions that share a record. */
#define OUTCOME_RUNS 1024u

struct recording {
	const struct repair_record *record;
	struct repair_recorded *recorded;
	struct error *err;
	uint64_t regions_done;
	int stopped;			/* what poll() returned */
};

/* `r` is what a put into `file` returned. -ETIMEDOUT, which a file system in the
 * network may say, would look like a leg that hangs. */
static int check_put(const struct recording *recording, const struct journal_writer *file, int r)
{
	const char *what = file == recording->record->journal ? "the undo journal" :
			   "the file for the divergent sectors";

	if (!r)
		return 0;
	return error_operation(recording->err, r == -ETIMEDOUT ? EIO : -r, "%s cannot be written: %s; "
			       "nothing was changed, so make room for it or choose another place",
			       what, error_reason(r));
}

/* --- whose log, and what it held ----------------------------------------- */

static int put_state(const struct recording *recording, struct journal_writer *file,
		     const struct journal_log_state *state)
{
	int r;

	if (!file)
		return 0;
	r = journal_put_identity(file, recording->record->identity);
	if (!r)
		r = journal_put_log_state(file, state);
	return check_put(recording, file, r);
}

/* The saved file goes with a log that it does not change. */
static int put_states(const struct recording *recording)
{
	const struct repair_record *record = recording->record;
	struct journal_log_state state = {
		.area_bytes = record->area_bytes, .nr_regions = record->geometry.nr_regions,
	};
	int r;

	journal_digest(state.before, record->current, (size_t)record->area_bytes);
	memcpy(state.after, state.before, sizeof(state.after));
	r = put_state(recording, record->saved, &state);
	if (r || !record->journal)
		return r;
	journal_digest(state.after, record->edited, (size_t)record->area_bytes);
	return put_state(recording, record->journal, &state);
}

/* --- the blocks of the log ----------------------------------------------- */

static int put_log_bytes(const struct recording *recording, enum journal_bytes_kind kind,
			 uint64_t sector, uint64_t sectors)
{
	const struct repair_record *record = recording->record;
	const unsigned char *area = kind == JOURNAL_OLD ? record->current : record->edited;
	struct journal_bytes bytes = {
		.place = JOURNAL_LOG, .kind = kind, .start_sector = sector, .sectors = sectors,
		.data = area + sector * SECTOR_BYTES,
	};

	return check_put(recording, record->journal, journal_put_bytes(record->journal, &bytes));
}

static bool block_changes(const struct repair_record *record, uint64_t sector)
{
	uint64_t at = sector * SECTOR_BYTES, nr_bytes = (uint64_t)record->block_sectors * SECTOR_BYTES;

	if (nr_bytes > record->area_bytes - at)
		nr_bytes = record->area_bytes - at;
	return memcmp((const char *)record->current + at, (const char *)record->edited + at,
		      (size_t)nr_bytes) != 0;
}

/* Sectors of the changing blocks from this one on that are neighbours. */
static uint64_t neighbours(const struct repair_record *record, uint64_t sector)
{
	uint64_t end = record->area_bytes / SECTOR_BYTES - sector, sectors = record->block_sectors;

	while (sectors < end && sectors + record->block_sectors <= LOG_SECTORS_MAX &&
	       block_changes(record, sector + sectors))
		sectors += record->block_sectors;
	return sectors;
}

static int put_log_blocks(const struct recording *recording)
{
	const struct repair_record *record = recording->record;
	uint64_t end = record->area_bytes / SECTOR_BYTES, sector = 0, sectors;
	int r = 0;

	for (; sector < end && !r; sector += sectors) {
		sectors = record->block_sectors;
		if (!block_changes(record, sector))
			continue;
		sectors = neighbours(record, sector);
		if (sectors > end - sector)
			return error_operation(recording->err, EINVAL, "a block that changes ends behind "
					       "the log's area: a defect of mirrorctl, please report "
					       "it; nothing was changed");
		r = put_log_bytes(recording, JOURNAL_OLD, sector, sectors);
		if (!r)
			r = put_log_bytes(recording, JOURNAL_NEW, sector, sectors);
	}
	return r;
}

/* --- what the legs hold -------------------------------------------------- */

/* The sectors of one leg that could be read, among [at, end) of the chunk. */
static int put_leg(const struct recording *recording, const struct leg_chunk *chunk,
		   unsigned int leg, uint32_t at, uint32_t end)
{
	struct journal_writer *saved = recording->record->saved;
	struct journal_bytes bytes = { .place = leg, .kind = JOURNAL_OLD };
	uint32_t first;
	int r = 0;

	while (at < end && !r) {
		for (first = at; at < end && !leg_chunk_sector_is_bad(chunk, leg, at); at++)
			;
		bytes.start_sector = chunk->start + first;
		bytes.sectors = at - first;
		bytes.data = chunk->data[leg] + (size_t)first * SECTOR_BYTES;
		if (bytes.sectors)
			r = check_put(recording, saved, journal_put_bytes(saved, &bytes));
		for (; at < end && leg_chunk_sector_is_bad(chunk, leg, at); at++)
			recording->recorded->unreadable_sectors++;
	}
	return r;
}

static int save_run(void *context, const struct leg_chunk *chunk, uint32_t first, uint32_t sectors)
{
	const struct recording *recording = context;
	int r = 0;

	for (unsigned int leg = 0; leg < recording->record->nr_legs && !r; leg++)
		if (chunk->data[leg])
			r = put_leg(recording, chunk, leg, first, first + sectors);
	if (!r)
		recording->recorded->saved_sectors += sectors;
	return r;
}

static int put_region(void *context, const struct region_reading *reading)
{
	struct recording *recording = context;
	const struct repair_record *record = recording->record;
	struct journal_writer *const files[] = { record->journal, record->saved };
	int r = 0;

	for (unsigned int i = 0; i < 2 && !r; i++)
		if (files[i])
			r = check_put(recording, files[i],
				      journal_put_region(files[i], &reading->digest));
	if (region_digests_compare(&reading->digest) == REGION_LEGS_UNKNOWN)
		recording->recorded->unreadable_regions++;
	recording->regions_done++;
	return r;
}

static int poll_caller(void *context)
{
	struct recording *recording = context;
	const struct repair_record *record = recording->record;

	if (record->poll)
		recording->stopped = record->poll(record->context, recording->regions_done);
	return recording->stopped;
}

/* A caller that wants to stop needs no sentence; all else does. */
static int put_regions(struct recording *recording)
{
	const struct repair_record *record = recording->record;
	const struct region_reading_client client = {
		.context = recording, .differing = record->saved ? save_run : NULL,
		.region = put_region, .poll = poll_caller,
	};
	int r = region_readings_run(record->engine, record->legs, record->nr_legs,
				    &record->geometry, record->regions, &client);

	if (r == -ETIMEDOUT) {
		recording->recorded->hung = true;
		return error_operation(recording->err, ETIMEDOUT, "a leg does not answer; nothing was "
				       "changed, look after its device");
	}
	if (r == -ENXIO)
		return error_operation(recording->err, ENXIO, "a leg is shorter than the mirror; "
				       "nothing was changed, look after its device");
	if (r && r != recording->stopped)
		return error_operation(recording->err, -r, "the legs cannot be read: %s; "
				       "nothing was changed", error_reason(r));
	return r;
}

int repair_record(struct repair_recorded *recorded, const struct repair_record *record,
		  struct error *err)
{
	struct recording recording = { .record = record, .recorded = recorded, .err = err };
	int r;

	memset(recorded, 0, sizeof(*recorded));
	if (!record->journal && !record->saved)
		return 0;
	r = put_states(&recording);
	if (!r && record->journal)
		r = put_log_blocks(&recording);
	if (!r)
		r = put_regions(&recording);
	return r;
}

/* The next runs of `cleared` from region *from on, which moves behind them. */
static size_t next_runs(struct region_run runs[OUTCOME_RUNS], const struct bitmap *cleared,
			uint64_t *from)
{
	size_t nr = 0;

	for (; nr < OUTCOME_RUNS && bitmap_next_run(cleared, true, *from, &runs[nr].first,
						    &runs[nr].last); nr++)
		*from = runs[nr].last + 1;
	return nr;
}

int repair_record_cleared(struct journal_writer *journal, const struct bitmap *cleared)
{
	struct region_run runs[OUTCOME_RUNS];
	struct journal_outcome outcome = { .runs = runs };
	uint64_t from = 0;
	int r;

	do {
		outcome.nr_runs = next_runs(runs, cleared, &from);
		r = journal_put_outcome(journal, &outcome);
	} while (!r && outcome.nr_runs == OUTCOME_RUNS);
	return r;
}
