/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In which order what a resync did is taken back. */

#include "core/restore_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory for the undo; nothing was changed");
}

void restore_free(struct restore *restore)
{
	bitmap_free(&restore->regions);
	bitmap_free(&restore->refused);
	bitmap_free(&restore->unreadable);
	memset(restore, 0, sizeof(*restore));
}

/* --- what there is to do ------------------------------------------------------------ */

static int check_legs(const struct restore_input *input, struct error *err)
{
	for (unsigned int leg = 0; leg < input->nr_legs; leg++)
		if (input->legs[leg] && input->legs[leg]->sectors < input->geometry.length)
			return error_operation(err, ENXIO, "%s: is shorter than the mirror; nothing "
					       "was changed", input->legs[leg]->name);
	return 0;
}

static bool any_set(const struct bitmap *bits)
{
	return bitmap_next_set(bits, 0) < bits->nr_bits;
}

/* Sectors that hold neither: nothing goes back to their regions. */
static void refuse_doubted(struct restore_pass *pass)
{
	const struct region_geometry *geometry = &pass->input->geometry;
	uint64_t first, last, from;

	for (unsigned int leg = 0; leg < pass->input->nr_legs; leg++)
		for (from = 0; bitmap_next_run(&pass->doubt[leg], true, from, &first, &last);
		     from = last + 1) {
			pass->restore->legs[leg].foreign += last - first + 1;
			bitmap_set_run(&pass->restore->refused, region_of_sector(geometry, first),
				       region_of_sector(geometry, last));
		}
}

/* Again, with what was found out: so what is counted is what would be written. */
static int look_again(struct restore_pass *pass)
{
	struct restore *restore = pass->restore;

	memset(restore->legs, 0, sizeof(restore->legs));
	bitmap_clear_run(&restore->regions, 0, UINT64_MAX);
	return restore_pass_run(pass, false);
}

int restore_examine(struct restore *restore, const struct restore_input *input,
		    struct error *err)
{
	uint64_t nr_regions = input->geometry.nr_regions;
	struct restore_pass *pass;
	int r = check_legs(input, err);

	memset(restore, 0, sizeof(*restore));
	if (r)
		return r;
	pass = restore_pass_create(restore, input, err);
	if (!pass)
		return no_memory(err);
	if (bitmap_alloc(&restore->regions, nr_regions) ||
	    bitmap_alloc(&restore->refused, nr_regions) ||
	    bitmap_alloc(&restore->unreadable, nr_regions))
		r = no_memory(err);
	if (!r)
		r = restore_pass_run(pass, false);
	if (!r)
		refuse_doubted(pass);
	if (!r && (any_set(&restore->refused) || any_set(&restore->unreadable))) {
		r = look_again(pass);
		if (!r)
			refuse_doubted(pass);
	}
	restore_pass_destroy(pass);
	return r;
}

int restore_bits(struct bitmap *bits, const struct undo_journal *undo,
		 const struct mirror_log *now, const struct bitmap *regions)
{
	const struct bitmap *clean = &now->clean_bits;
	int r = undo_resync_bits(bits, undo, now);
	uint64_t region;

	if (r)
		return r;
	for (region = bitmap_next_set(regions, 0); region < regions->nr_bits &&
	     region < clean->nr_bits; region = bitmap_next_set(regions, region + 1))
		if (bitmap_test(clean, region))
			bitmap_set(bits, region);
	return 0;
}

void restore_edit(void *area, const struct bitmap *bits)
{
	struct bitmap held;
	uint64_t first, last, from = 0;

	bitmap_borrow(&held, (unsigned char *)area + MIRROR_LOG_BITS_OFFSET, bits->nr_bits);
	for (; bitmap_next_run(bits, true, from, &first, &last); from = last + 1)
		bitmap_clear_run(&held, first, last);
}

/* --- doing it ------------------------------------------------------------------------ */

/* The log first, and durably: even a bit that is 0 now may be so in a volatile cache only. */
static int clear_bits(struct restore_pass *pass, const struct restore_log *log,
		      enum restore_step *step)
{
	enum repair_step log_step;
	int r = repair_undo_apply(pass->input->engine, log->device, log->now, log->target,
				  log->nr_bytes, &log_step, pass->err);

	if (log_step != REPAIR_NOT_BEGUN)
		*step = RESTORE_LOG;
	if (r || log_step != REPAIR_NOT_BEGUN)
		return r;
	r = restore_pass_flush(pass, log->device);
	return r ? error_operation(pass->err, -r, "%s: cannot be flushed: %s; nothing was written",
				   log->device->name, error_reason(r)) : 0;
}

static int flush_legs(struct restore_pass *pass, struct error *err)
{
	const struct restore_input *input = pass->input;
	int r = 0;

	for (unsigned int leg = 0; leg < input->nr_legs && !r; leg++) {
		if (!input->legs[leg] || !input->undo->overwritten[leg])
			continue;
		r = restore_pass_flush(pass, input->legs[leg]);
		if (r)
			error_operation(err, -r, "%s: cannot be flushed: %s", input->legs[leg]->name,
					error_reason(r));
	}
	return r;
}

/* Somebody has written to a leg while it was being restored. */
static int check_doubted(const struct restore_pass *pass)
{
	for (unsigned int leg = 0; leg < pass->input->nr_legs; leg++) {
		uint64_t sector = bitmap_next_set(&pass->doubt[leg], 0);

		if (sector < pass->doubt[leg].nr_bits)
			return error_operation(pass->err, ESTALE, "%s: sector %" PRIu64 " has changed, or "
					       "cannot be read any more, since it was looked at",
					       pass->input->legs[leg]->name, sector);
	}
	return 0;
}

/* What was written is made durable whatever happened then. */
static int put_back(struct restore_pass *pass)
{
	int r = restore_pass_run(pass, true);
	struct error ignored = { .kind = ERROR_NONE };

	if (pass->input->engine->in_flight)
		return r;
	if (r) {
		flush_legs(pass, &ignored);
		return r;
	}
	r = flush_legs(pass, pass->err);
	return r ? r : check_doubted(pass);
}

int restore_apply(struct restore *restore, const struct restore_input *input,
		  const struct restore_log *log, enum restore_step *step, struct error *err)
{
	struct restore_pass *pass = restore_pass_create(restore, input, err);
	int r;

	*step = RESTORE_NOT_BEGUN;
	if (!pass)
		return no_memory(err);
	r = clear_bits(pass, log, step);
	if (!r && any_set(&restore->regions)) {
		*step = RESTORE_LEGS;
		r = put_back(pass);
	}
	if (!r)
		*step = RESTORE_DONE;
	restore_pass_destroy(pass);
	return r;
}

int restore_settle(struct restore *restore, const struct restore_input *input,
		   struct error *err)
{
	struct restore_pass *pass = restore_pass_create(restore, input, err);
	int r;

	if (!pass)
		return no_memory(err);
	r = flush_legs(pass, err);
	restore_pass_destroy(pass);
	return r;
}
