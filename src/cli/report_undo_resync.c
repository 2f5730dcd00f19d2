/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the undo of a resync will do, in words, before it asks; and what it has done. */

#include "cli/report_undo.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/report.h"
#include "core/size.h"

#define LIST_BYTES 600u

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static uint64_t put_back_sectors(const struct undo_job *job)
{
	uint64_t sectors = 0;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		sectors += job->restore.legs[leg].put_back;
	return sectors;
}

/* "1.5 MiB on leg 1 and 4 KiB on leg 2": what was kept, or what goes back. */
static void list_legs(char *out, size_t room, const struct undo_job *job, bool kept)
{
	size_t used = 0;
	char size[32];

	out[0] = '\0';
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		uint64_t sectors = kept ? job->journal.overwritten[leg] :
					  job->restore.legs[leg].put_back;

		if (sectors && used < room)
			used += (size_t)snprintf(out + used, room - used, "%s%s %s leg %u",
						 used ? ", " : "",
						 size_format(size, sizeof(size), sectors * SECTOR_BYTES),
						 kept ? "of" : "on", leg);
	}
}

/* --- the journal ---------------------------------------------------------------------- */

void report_undo_resync_journal(const struct undo_job *job)
{
	const struct undo_journal *journal = &job->journal;
	char text[400], legs[200];

	report_text_paragraph("journal", job->words->journal);
	if (journal->has_set)
		snprintf(text, sizeof(text), "%s%s: a resync, by which %" PRIu64 " more region%s came to be called clean",
			 *job->time ? "of " : "", job->time, bitmap_count(&journal->set),
			 plural(bitmap_count(&journal->set)));
	else
		snprintf(text, sizeof(text), "%s%s: a resync that did not come to its end",
			 *job->time ? "of " : "", job->time);
	report_text_paragraph("", text);
	list_legs(legs, sizeof(legs), job, true);
	snprintf(text, sizeof(text), "it holds what was overwritten: %s", legs);
	if (job->kept_sectors)
		report_text_paragraph("", text);
	if (journal->torn)
		snprintf(text, sizeof(text), "behind byte %" PRIu64 " the journal is not whole, as a power cut may leave its end; what stood there was not needed yet, unless the file was damaged later",
			 job->cut_at);
	else
		snprintf(text, sizeof(text), "the journal ends in a record that was cut short (byte %" PRIu64 "); what it would have held was not overwritten yet",
			 job->cut_at);
	if (job->cut_at)
		report_text_paragraph("note", text);
}

/* --- the plan -------------------------------------------------------------------------- */

static void print_bits(const struct undo_job *job)
{
	char text[LIST_BYTES + 200], list[LIST_BYTES];

	if (!job->nr_clear) {
		report_text_paragraph("PLAN", "no bit of the log needs to be cleared");
		return;
	}
	report_text_regions(list, sizeof(list), &job->clear);
	snprintf(text, sizeof(text), "clear %" PRIu64 " clean bit%s: region%s %s", job->nr_clear,
		 plural(job->nr_clear), plural(job->nr_clear), list);
	report_text_paragraph("PLAN", text);
	report_undo_blocks(job);
}

static void print_legs(const struct undo_job *job)
{
	uint64_t regions = bitmap_count(&job->restore.regions);
	char text[LIST_BYTES + 400], list[LIST_BYTES], size[32];

	if (!put_back_sectors(job))
		return;
	report_text_regions(list, sizeof(list), &job->restore.regions);
	snprintf(text, sizeof(text), "then put back what was overwritten in %" PRIu64 " region%s: %s",
		 regions, plural(regions), list);
	report_text_paragraph("", text);
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		const struct restore_leg *at = &job->restore.legs[leg];

		if (!at->put_back)
			continue;
		snprintf(text, sizeof(text), "on leg %u: %" PRIu64 " sector%s, in blocks of altogether %" PRIu64 " bytes (%s)",
			 leg, at->put_back, plural(at->put_back), at->written_bytes,
			 size_format(size, sizeof(size), at->written_bytes));
		report_text_paragraph("", text);
	}
}

/* --- what cannot come back ---------------------------------------------------------------- */

static void print_lost(const struct undo_job *job)
{
	if (!job->kept_sectors)
		report_text_paragraph("LOST", "what the resync wrote over on the legs, if anything, is not in this journal and cannot be brought back by it: only the file of its --undo-file, or of --save-divergent, would hold it.");
}

static void print_refused(const char *heading, const struct bitmap *regions, const char *why)
{
	uint64_t nr = regions->words ? bitmap_count(regions) : 0;
	char text[LIST_BYTES + 400], list[LIST_BYTES];

	if (!nr)
		return;
	report_text_regions(list, sizeof(list), regions);
	snprintf(text, sizeof(text), "nothing is put back in %" PRIu64 " region%s: %s. %s", nr,
		 plural(nr), list, why);
	report_text_paragraph(heading, text);
}

static void print_as_kept(const struct undo_job *job)
{
	uint64_t sectors = 0;
	char text[200], size[32];

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		sectors += job->restore.legs[leg].as_kept;
	if (!sectors)
		return;
	snprintf(text, sizeof(text), "%s of the legs hold what was kept already",
		 size_format(size, sizeof(size), sectors * SECTOR_BYTES));
	report_text_paragraph("", text);
}

static void print_future(const struct undo_job *job)
{
	char text[600];

	if (job->session.opened.mirror.sync == MIRROR_SYNC_NOSYNC) {
		report_text_paragraph("What will happen:", "with nosync in the table the kernel sets every bit at the next activation and copies nothing, also where the legs differ then. Activate the mirror with a table without nosync; then it copies leg 0 over the others wherever the log is not clean, and so over what was put back on them.");
		return;
	}
	snprintf(text, sizeof(text), "at the next activation the kernel copies leg 0 over the other legs wherever the log is not clean%s.%s",
		 put_back_sectors(job) ? ", and so over what was put back on them" : "",
		 put_back_sectors(job) ? " To keep another leg's version, do not activate the mirror before mirrorctl resync offline --source=N has copied that leg (or take it out of the journal with mirrorctl extract)." :
		 " Where the resync had made them equal that costs time and changes nothing.");
	report_text_paragraph("What will happen:", text);
}

void report_undo_resync_plan(const struct undo_job *job)
{
	if (job->state == UNDO_PLANNED) {
		print_bits(job);
		print_legs(job);
		print_as_kept(job);
	}
	print_lost(job);
	print_refused("REFUSED", &job->restore.refused, "The legs hold there neither what the resync wrote nor what was kept: somebody has written to them since, and putting old data back would lose that. mirrorctl extract gives what was kept.");
	print_refused("UNREAD", &job->restore.unreadable, "A leg is missing or cannot be read there now, and what cannot be looked at is not overwritten. mirrorctl extract gives what was kept.");
	if (job->state == UNDO_PLANNED)
		print_future(job);
}

/* --- what was done -------------------------------------------------------------------------- */

void report_undo_resync_done(const struct undo_job *job)
{
	char text[400], legs[200];

	list_legs(legs, sizeof(legs), job, false);
	if (*legs)
		snprintf(text, sizeof(text), "%" PRIu64 " clean bit%s cleared, then put back, written and flushed: %s.",
			 job->nr_clear, plural(job->nr_clear), legs);
	else
		snprintf(text, sizeof(text), "%" PRIu64 " clean bit%s cleared, written, flushed and read back.",
			 job->nr_clear, plural(job->nr_clear));
	putchar('\n');
	report_text_paragraph("UNDONE", text);
}
