/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/salvage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_log.h"
#include "core/salvage_private.h"

/* Few: where sectors are bad each of them can take many seconds, and a user who wants to
 * stop waits for one batch. */
#define BATCH_SECTORS 128u
#define MEMORY_ALIGNMENT 4096u

const char *salvage_outcome_name(enum salvage_outcome outcome)
{
	static const char *const names[SALVAGE_OUTCOMES] = {
		[SALVAGE_DONE] = "salvaged",
		[SALVAGE_SOURCE_FAILED] = "source_failed",
		[SALVAGE_LEG_FAILED] = "leg_failed",
		[SALVAGE_DISAGREE] = "disagree",
		[SALVAGE_LOST] = "lost",
		[SALVAGE_READABLE] = "readable",
		[SALVAGE_CLEAN] = "clean",
		[SALVAGE_UNFINISHED] = "unfinished",
	};

	return names[outcome];
}

bool salvage_is_dangerous(enum salvage_outcome outcome)
{
	return outcome == SALVAGE_SOURCE_FAILED || outcome == SALVAGE_DISAGREE ||
	       outcome == SALVAGE_UNFINISHED;
}

void salvage_result_free(struct salvage_result *result)
{
	free(result->runs);
	bitmap_free(&result->regions);
	memset(result, 0, sizeof(*result));
}

/* --- what became of it -------------------------------------------------------------- */

static bool run_goes_on(const struct salvage_run *tail, const struct salvage_run *piece)
{
	return tail->start + tail->sectors == piece->start && tail->outcome == piece->outcome &&
	       tail->source == piece->source && tail->from == piece->from &&
	       tail->failed_legs == piece->failed_legs;
}

static int keep_run(struct salvage_result *result, const struct salvage_run *piece)
{
	struct salvage_run *tail = result->nr_runs ? &result->runs[result->nr_runs - 1] : NULL;

	if (result->truncated)
		return 0;
	if (tail && run_goes_on(tail, piece)) {
		tail->sectors += piece->sectors;
		return 0;
	}
	if (result->max_runs && result->nr_runs == result->max_runs) {
		result->truncated = true;
		return 0;
	}
	if (result->nr_runs == result->room_runs) {
		size_t room = result->room_runs ? result->room_runs * 2 : 64;
		struct salvage_run *grown = reallocarray(result->runs, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		result->runs = grown;
		result->room_runs = room;
	}
	result->runs[result->nr_runs++] = *piece;
	return 0;
}

static int record(struct salvage_result *result, const struct region_geometry *geometry,
		  const struct salvage_run *piece)
{
	result->sectors[piece->outcome] += piece->sectors;
	if (piece->outcome != SALVAGE_DONE)
		bitmap_clear_run(&result->regions, region_of_sector(geometry, piece->start),
				 region_of_sector(geometry, piece->start + piece->sectors - 1));
	return keep_run(result, piece);
}

/* --- what is asked for --------------------------------------------------------------- */

/* Sectors that their source could not deliver. */
struct extent {
	uint64_t first, end;
	uint8_t source;
};

struct work {
	const struct salvage_input *input;
	struct extent *extents;		/* owned; ascending, not overlapping */
	size_t nr, room;
	size_t next;			/* what is left begins in this one … */
	uint64_t next_sector;		/* … here, or at its first sector */
};

static int add_extent(struct work *work, uint64_t first, uint64_t end, uint8_t source)
{
	if (work->nr == work->room) {
		size_t room = work->room ? work->room * 2 : 64;
		struct extent *grown = reallocarray(work->extents, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		work->extents = grown;
		work->room = room;
	}
	work->extents[work->nr++] = (struct extent){ first, end, source };
	return 0;
}

/* The parts of a run in regions that are copied from this very leg. */
static int add_run(struct work *work, const struct sector_run *run)
{
	const struct region_geometry *geometry = &work->input->geometry;
	uint64_t at = run->start, end, last;
	int r = 0;

	if (run->verdict != VERDICT_UNVERIFIABLE || at >= geometry->length)
		return 0;
	end = run->sectors < geometry->length - at ? at + run->sectors : geometry->length;
	while (at < end && !r) {
		unsigned int source = resync_plan_source(work->input->plan,
							 region_of_sector(geometry, at),
							 geometry->nr_regions, &last);
		uint64_t to = region_start(geometry, last) + region_sectors(geometry, last);

		if (to > end)
			to = end;
		if (source == run->leg)
			r = add_extent(work, at, to, (uint8_t)source);
		at = to;
	}
	return r;
}

static int compare_extents(const void *left, const void *right)
{
	const struct extent *a = left, *b = right;

	return (a->first > b->first) - (a->first < b->first);
}

/* Overlapping ones are of one leg: a sector has one source. */
static void merge_extents(struct work *work)
{
	size_t kept = 0;

	if (!work->nr)
		return;
	qsort(work->extents, work->nr, sizeof(*work->extents), compare_extents);
	for (size_t i = 1; i < work->nr; i++) {
		struct extent *tail = &work->extents[kept], *extent = &work->extents[i];

		if (extent->first >= tail->end)
			work->extents[++kept] = *extent;
		else if (extent->end > tail->end)
			tail->end = extent->end;
	}
	work->nr = kept + 1;
}

static int collect(struct work *work, struct salvage_batch *batch)
{
	const struct salvage_input *input = work->input;
	int r = bitmap_alloc(&batch->result->regions, input->geometry.nr_regions);

	for (size_t i = 0; i < input->unreadable->nr && !r; i++)
		r = add_run(work, &input->unreadable->runs[i]);
	if (r)
		return r;
	merge_extents(work);
	for (size_t i = 0; i < work->nr; i++) {
		const struct extent *extent = &work->extents[i];

		batch->total_sectors += extent->end - extent->first;
		bitmap_set_run(&batch->result->regions,
			       region_of_sector(&input->geometry, extent->first),
			       region_of_sector(&input->geometry, extent->end - 1));
	}
	return 0;
}

/* --- batches ------------------------------------------------------------------------- */

static bool region_is_clean(const struct salvage_input *input, uint64_t region)
{
	const unsigned char *bits = (const unsigned char *)input->area + MIRROR_LOG_BITS_OFFSET;

	return bits[region / 8] >> region % 8 & 1;
}

static void add_unit(struct salvage_batch *batch, uint64_t start)
{
	const struct salvage_input *input = batch->input;
	const struct region_geometry *geometry = &input->geometry;
	struct salvage_unit *unit = &batch->units[batch->nr_units];
	struct salvage_sector *sectors = &batch->sectors[batch->nr_units * batch->unit_sectors];
	uint64_t last;

	*unit = (struct salvage_unit){ .start = start };
	memset(sectors, 0, batch->unit_sectors * sizeof(*sectors));
	for (uint32_t i = 0; i < batch->unit_sectors; i++) {
		uint64_t region = 0;
		unsigned int source = RESYNC_SKIP;

		sectors[i].source = sectors[i].from = NO_LEG;
		sectors[i].outcome = SALVAGE_UNFINISHED;
		if (start + i >= geometry->length)
			continue;
		region = region_of_sector(geometry, start + i);
		source = resync_plan_source(input->plan, region, geometry->nr_regions, &last);
		if (source < input->nr_legs)
			sectors[i].source = (uint8_t)source;
		/* All regions that a block may reach into, not only that of the sector. */
		unit->clean |= region_is_clean(input, region);
	}
	batch->nr_units++;
}

/* The next blocks; false: there are none left. */
static bool fill_batch(struct work *work, struct salvage_batch *batch)
{
	const uint32_t unit_sectors = batch->unit_sectors;

	batch->nr_units = 0;
	while (work->next < work->nr) {
		const struct extent *extent = &work->extents[work->next];
		uint64_t sector = work->next_sector > extent->first ? work->next_sector :
				  extent->first;
		uint64_t start = sector / unit_sectors * unit_sectors;
		uint64_t end = extent->end < start + unit_sectors ? extent->end :
			       start + unit_sectors;
		struct salvage_sector *sectors;

		if (!batch->nr_units || batch->units[batch->nr_units - 1].start != start) {
			if (batch->nr_units == batch->max_units)
				break;
			add_unit(batch, start);
		}
		sectors = &batch->sectors[(batch->nr_units - 1) * unit_sectors];
		for (uint64_t i = sector; i < end; i++)
			sectors[i - start].bad = true;
		batch->done_sectors += end - sector;
		work->next_sector = end;
		if (end == extent->end)
			work->next++;
	}
	return batch->nr_units;
}

static int record_batch(struct salvage_batch *batch)
{
	int r = 0;

	for (uint32_t i = 0; i < batch->nr_units * batch->unit_sectors && !r; i++) {
		const struct salvage_sector *sector = &batch->sectors[i];
		const struct salvage_run piece = {
			.start = batch->units[i / batch->unit_sectors].start +
				 i % batch->unit_sectors,
			.sectors = 1, .outcome = sector->outcome, .source = sector->source,
			.from = sector->from, .failed_legs = sector->failed,
		};

		if (sector->bad)
			r = record(batch->result, &batch->input->geometry, &piece);
	}
	return r;
}

/* What was not come to. */
static int record_rest(struct work *work, struct salvage_result *result)
{
	int r = 0;

	for (; work->next < work->nr && !r; work->next++) {
		const struct extent *extent = &work->extents[work->next];
		uint64_t first = work->next_sector > extent->first ? work->next_sector :
				 extent->first;
		const struct salvage_run piece = {
			.start = first, .sectors = extent->end - first, .source = extent->source,
			.outcome = SALVAGE_UNFINISHED, .from = NO_LEG,
		};

		r = record(result, &work->input->geometry, &piece);
	}
	return r;
}

/* As it was before anybody tried: of a batch that was stopped nothing was written, and
 * of one with requests out nobody knows. */
static void forget_batch(struct salvage_batch *batch)
{
	for (uint32_t i = 0; i < batch->nr_units * batch->unit_sectors; i++) {
		batch->sectors[i].outcome = SALVAGE_UNFINISHED;
		batch->sectors[i].from = NO_LEG;
		batch->sectors[i].failed = 0;
	}
}

static int run_batches(struct work *work, struct salvage_batch *batch, struct error *err)
{
	struct salvage_result *result = batch->result;
	const struct salvage_hooks *hooks = batch->hooks;
	int r = 0, failed = 0;

	while (!r && !failed) {
		if (work->next < work->nr && hooks->poll &&
		    hooks->poll(hooks->context, batch->done_sectors, batch->total_sectors)) {
			result->end = SALVAGE_STOPPED;
			break;
		}
		if (!fill_batch(work, batch))
			break;
		r = salvage_batch_run(batch);
		if (r)
			forget_batch(batch);
		failed = record_batch(batch);
	}
	if (r > 0)
		result->end = (enum salvage_end)r;
	if (r < 0) {
		result->end = SALVAGE_STOPPED;
		result->hung = batch->input->engine->in_flight != 0;
	}
	if (result->hung) {
		result->abandoned = batch->memory;
		batch->memory = NULL;
	}
	if (!failed)
		failed = record_rest(work, result);
	result->nr_regions = bitmap_count(&result->regions);
	if (failed)
		return error_operation(err, ENOMEM, "not enough memory to say what was salvaged");
	if (r < 0 && r != -ECANCELED)
		return error_operation(err, -r, "salvage: cannot go on: %s; what was "
				       "salvaged until then is on all legs", error_reason(r));
	return 0;
}

/* --- the whole ----------------------------------------------------------------------- */

static int check_leg(const struct block_device *device, uint64_t length, uint32_t unit_sectors,
		     struct error *err)
{
	if (!device->writable)
		return error_operation(err, EINVAL, "%s: open for reading only; nothing was "
				       "written", device->name);
	if (device->sectors < length)
		return error_operation(err, EINVAL, "%s: has %" PRIu64 " sectors, the mirror "
				       "%" PRIu64 ": it is smaller than it was; nothing was written",
				       device->name, device->sectors, length);
	if (device->block_sectors && unit_sectors % device->block_sectors)
		return error_operation(err, EINVAL, "%s: its blocks of %" PRIu32 " sectors do not "
				       "fit those of %" PRIu32 " of another leg; nothing was written",
				       device->name, device->block_sectors, unit_sectors);
	return 0;
}

static int check_legs(const struct salvage_input *input, uint32_t unit_sectors,
		      struct error *err)
{
	int r = 0;

	for (unsigned int leg = 0; leg < input->nr_legs && !r; leg++) {
		if (!input->legs[leg])
			return error_operation(err, EINVAL, "leg %u is missing: nothing can be "
					       "salvaged; nothing was written", leg);
		r = check_leg(input->legs[leg], input->geometry.length, unit_sectors, err);
	}
	return r;
}

static int check_input(const struct salvage_input *input, uint32_t unit_sectors,
		       struct error *err)
{
	if (input->nr_legs < MIRROR_LEGS_MIN || input->nr_legs > MIRROR_LEGS_MAX)
		return error_operation(err, EINVAL, "a mirror of %u legs: nothing can be salvaged",
				       input->nr_legs);
	if (!input->area || input->area_bytes < mirror_log_bytes(input->geometry.nr_regions))
		return error_operation(err, EINVAL, "the log's area of %" PRIu64 " bytes does not "
				       "hold the bits of %" PRIu64 " regions; nothing was written",
				       input->area_bytes, input->geometry.nr_regions);
	return check_legs(input, unit_sectors, err);
}

static uint32_t largest_block(const struct salvage_input *input)
{
	uint32_t largest = 1;

	for (unsigned int leg = 0; leg < input->nr_legs && leg < MIRROR_LEGS_MAX; leg++)
		if (input->legs[leg] && input->legs[leg]->block_sectors > largest)
			largest = input->legs[leg]->block_sectors;
	return largest;
}

/* A buffer for each leg and one more, each aligned as the largest block wants it. */
static int allocate(struct salvage_batch *batch)
{
	const unsigned int nr_buffers = batch->input->nr_legs + 1;
	size_t unit_bytes = (size_t)batch->unit_sectors * SECTOR_BYTES, bytes;
	size_t align = unit_bytes > MEMORY_ALIGNMENT ? unit_bytes : MEMORY_ALIGNMENT;

	batch->max_units = batch->unit_sectors < BATCH_SECTORS ?
			   BATCH_SECTORS / batch->unit_sectors : 1;
	bytes = (batch->max_units * unit_bytes + align - 1) / align * align;
	batch->units = calloc(batch->max_units, sizeof(*batch->units));
	batch->sectors = calloc((size_t)batch->max_units * batch->unit_sectors,
				sizeof(*batch->sectors));
	batch->memory = aligned_alloc(align, nr_buffers * bytes);
	if (!batch->units || !batch->sectors || !batch->memory)
		return -ENOMEM;
	for (unsigned int leg = 0; leg < batch->input->nr_legs; leg++)
		batch->own[leg] = batch->memory + leg * bytes;
	batch->io = batch->memory + (nr_buffers - 1) * bytes;
	return 0;
}

int salvage_run(struct salvage_result *result, const struct salvage_input *input,
		const struct salvage_hooks *hooks, struct error *err)
{
	struct work work = { .input = input };
	struct salvage_batch batch = {
		.input = input, .hooks = hooks, .result = result,
		.unit_sectors = largest_block(input),
	};
	int r;

	memset(result, 0, sizeof(*result));
	result->max_runs = input->max_runs;
	r = check_input(input, batch.unit_sectors, err);
	if (r)
		return r;
	if (collect(&work, &batch) || allocate(&batch))
		r = error_operation(err, ENOMEM, "not enough memory to salvage anything; nothing "
				    "was written");
	else
		r = run_batches(&work, &batch, err);
	free(work.extents);
	free(batch.units);
	free(batch.sectors);
	free(batch.memory);	/* NULL while a request is out */
	if (r && !result->hung)
		salvage_result_free(result);
	return r;
}

bool salvage_can_be_proven(const struct salvage_result *result,
			   const struct resync_result *before)
{
	bool good = result->end == SALVAGE_COMPLETE && !result->hung && !result->unflushed;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		good = good && !before->leg_error[leg];
	return good && (result->sectors[SALVAGE_DONE] || result->sectors[SALVAGE_READABLE]);
}
