/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What undo will do, in words, before it asks; and what it has done. */

#include "cli/report_undo.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/report.h"

#define LIST_BYTES 600u

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_journal(const struct undo_job *job)
{
	uint64_t cleared = bitmap_count(&job->journal.cleared);
	char text[200];

	report_text_paragraph("journal", job->words->journal);
	snprintf(text, sizeof(text), "%s%s: a repair %s %" PRIu64 " clean bit%s", *job->time ? "of " : "",
		 job->time, job->journal.has_outcome ? "cleared" : "began to clear", cleared,
		 plural(cleared));
	report_text_paragraph("", text);
	if (job->cut_at) {
		snprintf(text, sizeof(text), "the journal ends in a note that was cut short (byte %" PRIu64
			 "); all that stands before it is whole", job->cut_at);
		report_text_paragraph("note", text);
	}
}

void report_undo_blocks(const struct undo_job *job)
{
	uint64_t sectors = bitmap_count(&job->sectors), blocks = sectors / job->block_sectors;
	char text[LIST_BYTES + 200], list[LIST_BYTES];

	report_text_regions(list, sizeof(list), &job->sectors);
	snprintf(text, sizeof(text), "%" PRIu64 " block%s of %" PRIu32 " bytes of the log: sector%s %s; every other byte stays as it is",
		 blocks, plural(blocks), job->block_sectors * SECTOR_BYTES, plural(sectors), list);
	report_text_paragraph("", text);
}

static void print_bits(const struct undo_job *job)
{
	char text[LIST_BYTES + 200], list[LIST_BYTES];

	report_text_regions(list, sizeof(list), &job->back);
	snprintf(text, sizeof(text), "set %" PRIu64 " clean bit%s again: region%s %s", job->nr_back,
		 plural(job->nr_back), plural(job->nr_back), list);
	report_text_paragraph("PLAN", text);
	report_undo_blocks(job);
}

static void print_refused(const struct undo_job *job)
{
	char text[LIST_BYTES + 300], list[LIST_BYTES];

	if (!job->nr_refused)
		return;
	report_text_regions(list, sizeof(list), &job->refused);
	snprintf(text, sizeof(text), "%" PRIu64 " bit%s stay%s cleared: region%s %s. The legs are not known to hold there what they held at the repair: they were written, or could not be read, then or now. The kernel copies what is not clean, so this is safe.",
		 job->nr_refused, plural(job->nr_refused), job->nr_refused == 1 ? "s" : "",
		 plural(job->nr_refused), list);
	report_text_paragraph("REFUSED", text);
}

static void print_future(const struct undo_job *job)
{
	bool one = job->nr_back == 1;
	char text[400];
	int n;

	n = snprintf(text, sizeof(text), "the log again calls %s region%s clean, as before the repair, although the repair found that the legs differ there; ",
		     one ? "this" : "these", plural(job->nr_back));
	if (job->session.opened.mirror.sync == MIRROR_SYNC_SYNC)
		snprintf(text + n, sizeof(text) - (size_t)n, "but with sync in the table the kernel copies leg 0 over the others everywhere at the next activation.");
	else
		snprintf(text + n, sizeof(text) - (size_t)n, "at the next activation the kernel will not copy %s, and only leg 0 is read until it fails.",
			 one ? "it" : "them");
	report_text_paragraph("What will happen:", text);
}

static void print_plan(const struct undo_job *job)
{
	if (job->state == UNDO_PLANNED)
		print_bits(job);
	print_refused(job);
	if (job->state == UNDO_PLANNED)
		print_future(job);
}

void report_undo_plan_text(const struct undo_job *job)
{
	bool resync = job->journal.open;

	if (job->words->report.quiet)
		return;
	if (resync)
		report_undo_resync_journal(job);
	else
		print_journal(job);
	putchar('\n');
	report_text_mirror(&job->session);
	putchar('\n');
	if (resync)
		report_undo_resync_plan(job);
	else
		print_plan(job);
	fflush(stdout);
}

static void print_done(const struct undo_job *job)
{
	char text[200];

	snprintf(text, sizeof(text), "%" PRIu64 " clean bit%s, written, flushed and read back.%s",
		 job->nr_back, plural(job->nr_back), job->nr_refused ? "" :
		 " The log is as it was before the repair.");
	putchar('\n');
	report_text_paragraph("SET BACK", text);
}

void report_undo_text(const struct undo_job *job)
{
	if (job->words->report.quiet)
		return;
	switch (job->state) {
	case UNDO_NEVER_WRITTEN:
		report_text_paragraph("journal", job->words->journal);
		report_text_paragraph("Nothing to do:", "the journal ends before its commit, so its repair or resync never wrote anything (unless this is a copy that was cut short later: then take the whole one). Nothing was written.");
		break;
	case UNDO_AS_BEFORE:
		report_text_paragraph("Nothing to do:", job->journal.open ?
				      "no bit that the resync set is set now, and nothing of what was kept is left to put back. Nothing was written." :
				      "the log is as it was before the repair. Nothing was written.");
		break;
	case UNDO_NONE_PROVEN:
		report_text_paragraph("Nothing to do:", job->journal.open ?
				      "nothing else may be put back. Nothing was written." :
				      "no bit may come back. Nothing was written.");
		break;
	case UNDO_INTERRUPTED:
		report_text_paragraph("Ended:", "interrupted. Nothing was written.");
		break;
	case UNDO_STOPPED:
		putchar('\n');
		report_text_paragraph("Ended:", "interrupted. The bits are cleared, and some of what was kept is back; every byte that was written is safe. Run it again to go on.");
		break;
	case UNDO_PLANNED:
		putchar('\n');
		report_text_paragraph("dry run", "nothing was written.");
		break;
	default:
		if (job->journal.open)
			report_undo_resync_done(job);
		else
			print_done(job);
	}
}
