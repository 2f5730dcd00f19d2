/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What repair-log will do, in words, before it asks; and what it has done. */

#include "cli/report_repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cause.h"
#include "core/size.h"

#define LIST_BYTES 600u

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

void report_repair_audit(struct audit_report *report, const struct repair_job *job)
{
	static const struct selection clean = { .scope = SELECT_CLEAN };

	*report = (struct audit_report){
		.session = &job->session, .words = &job->words->report,
		.result = &job->comparison.result, .selection = &clean,
		.complete = job->complete && job->comparison.result.end == AUDIT_COMPLETE,
		.elapsed_ns = job->comparison.elapsed_ns,
	};
	snprintf(report->scope, sizeof(report->scope), "%s", job->scope);
	snprintf(report->change, sizeof(report->change), "%s", job->comparison.change);
}

/* "leg 1", "legs 1 and 2", "legs 1 to 3" */
static const char *other_legs(char *out, size_t room, unsigned int nr_legs)
{
	if (nr_legs == 2)
		snprintf(out, room, "leg 1");
	else
		snprintf(out, room, "legs 1 %s %u", nr_legs == 3 ? "and" : "to", nr_legs - 1);
	return out;
}

static bool has_missing_leg(const struct repair_job *job)
{
	const struct mirror *mirror = &job->session.opened.mirror;

	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++)
		if (mirror->legs[leg].missing)
			return true;
	return false;
}

static void print_large(const struct repair_job *job)
{
	char text[400], bytes[32];

	size_format(bytes, sizeof(bytes), job->plan.recopy_sectors * SECTOR_BYTES);
	if (repair_job_is_nosync(job)) {
		report_text_paragraph("LARGE", "this mirror was declared in sync without a copy (nosync): what was never written differs by design and needs no repair. --force-large does it all the same.");
		putchar('\n');
	} else if (job->plan.large) {
		snprintf(text, sizeof(text), "this clears %" PRIu64 " of %" PRIu64 " clean bits and makes the kernel copy %s. So much is rarely an interrupted synchronisation: check region size, offsets and that log and legs belong together. --force-large does it.",
			 job->plan.nr_clear, job->session.log.clean, bytes);
		report_text_paragraph("LARGE", text);
		putchar('\n');
	}
}

static void print_plan(const struct repair_job *job)
{
	const struct repair_plan *plan = &job->plan;
	char text[LIST_BYTES + 200], regions[LIST_BYTES];
	int used;

	report_text_regions(regions, sizeof(regions), &plan->clear);
	snprintf(text, sizeof(text), "clear %" PRIu64 " clean bit%s: region%s %s", plan->nr_clear,
		 plural(plan->nr_clear), plural(plan->nr_clear), regions);
	report_text_paragraph("PLAN", text);
	used = snprintf(text, sizeof(text), "%zu block%s of %u bytes of the log, at sector %" PRIu64,
			plan->nr_blocks, plural(plan->nr_blocks), plan->block_sectors * SECTOR_BYTES,
			plan->blocks[0].sector);
	if (plan->nr_blocks > 1)
		used += snprintf(text + used, sizeof(text) - (size_t)used, " to %" PRIu64,
				 plan->blocks[plan->nr_blocks - 1].sector);
	snprintf(text + used, sizeof(text) - (size_t)used, "; every other byte stays as it is");
	report_text_paragraph("", text);
}

/* Where the table, or a missing leg 0, makes something else of the cleared bits. */
static const char *other_future(const struct repair_job *job)
{
	const struct mirror *mirror = &job->session.opened.mirror;

	if (mirror->legs[0].missing)
		return "leg 0 is missing. What the kernel copies at the next activation is whatever the first leg of the table then is: see to it that it is the right one.";
	if (job->words->online)
		return NULL;
	if (job->session.log.defects & LOG_TOO_SMALL)
		return "the kernel refuses this table, because the log is too small for it. With a table that it takes it copies leg 0 over the others there.";
	if (job->session.log.defects & LOG_PANICS_KERNEL)
		return "the kernel panics at the next activation, as it does with a log of so many regions (Linux 6.1): do not activate this mirror.";
	if (mirror->sync == MIRROR_SYNC_NOSYNC)
		return "with nosync in the table the kernel sets every bit at the next activation, copies nothing, and these regions stay as they are. Activate it with a table without nosync; then it copies leg 0 over the others there.";
	if (mirror->sync == MIRROR_SYNC_SYNC)
		return "with sync in the table the kernel clears every bit at the next activation and copies leg 0 over the others everywhere, with or without this repair.";
	return NULL;
}

static void print_future(const struct repair_job *job)
{
	const struct repair_plan *plan = &job->plan;
	char text[500], bytes[32], legs[32];
	unsigned int nr_legs = job->session.opened.mirror.nr_legs;

	if (other_future(job)) {
		report_text_paragraph("What will happen:", other_future(job));
		return;
	}
	snprintf(text, sizeof(text), "%s the kernel copies leg 0 over %s in %s %" PRIu64
		 " region%s (%s); %s present contents there are lost%s",
		 job->words->online ? "at once" : "at the next activation",
		 other_legs(legs, sizeof(legs), nr_legs), plan->nr_clear == 1 ? "this" : "these",
		 plan->nr_clear, plural(plan->nr_clear),
		 size_format(bytes, sizeof(bytes), plan->recopy_sectors * SECTOR_BYTES),
		 nr_legs == 2 ? "leg 1's" : "their",
		 job->words->save_divergent ? ", but for what --save-divergent keeps." :
		 ". --save-divergent FILE keeps what differs.");
	report_text_paragraph("What will happen:", text);
}

/* Walks the causes that fit and speak for leg 0 (or do not). */
static void print_causes(const struct repair_job *job, unsigned int evidence, bool leg0_right)
{
	const struct cause_row *cause;
	size_t index = 0;

	(void)job;
	while ((cause = cause_next(evidence, &index)) != NULL)
		if (cause->leg0_right == leg0_right)
			report_text_bullet(cause->text);
}

static void print_letters(const struct repair_job *job)
{
	const struct mirror *mirror = &job->session.opened.mirror;
	char text[120];

	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++) {
		if (!mirror->legs[leg].health || mirror->legs[leg].health == 'A')
			continue;
		snprintf(text, sizeof(text), "the kernel has seen errors on leg %u ('%c')", leg,
			 mirror->legs[leg].health);
		report_text_bullet(text);
	}
}

static void print_evidence(const struct repair_job *job)
{
	unsigned int evidence;

	if (!job->compared)
		return;
	evidence = evidence_collect(&job->comparison.result, &job->session.opened.mirror,
				    &job->session.log);
	printf("\nFor leg 0 being right:\n");
	report_text_bullet("the kernel reads and copies from leg 0, so what programs have seen since is leg 0's");
	print_causes(job, evidence, true);
	printf("Against it:\n");
	print_letters(job);
	if (evidence & EVIDENCE_LEG0_EMPTY)
		report_text_bullet("wherever they differ leg 0 is empty (zeros or one byte) and another leg holds data");
	print_causes(job, evidence, false);
	report_text_bullet("what the legs cannot tell: was leg 0 ever replaced, restored, or missing for a while? If so, stop here");
}

void report_repair_plan_text(const struct repair_job *job)
{
	struct audit_report report;

	if (job->words->report.quiet)
		return;
	report_repair_audit(&report, job);
	if (job->compared)
		report_audit_body(&report);
	else
		report_text_mirror(&job->session);
	putchar('\n');
	if (!job->plan.nr_clear)
		return;
	print_large(job);
	print_plan(job);
	print_future(job);
	if (has_missing_leg(job))
		report_text_paragraph("Undo:", "will not be possible, because a leg is missing: undo needs to know that no leg has changed.");
	print_evidence(job);
	fflush(stdout);
}

static void print_done(const struct repair_job *job)
{
	char text[800];

	if (job->state == REPAIR_COPIED)
		snprintf(text, sizeof(text), "%.300s holds the repaired log (%" PRIu64 " bytes); the log itself is as it was.",
			 job->words->output, job->session.area.nr_bytes);
	else if (job->words->online)
		snprintf(text, sizeof(text), "%" PRIu64 " clean bit%s in %u round%s; the device was suspended for %" PRIu64
			 " ms at most (%" PRIu64 " ms of it the kernel's own wait)%s.",
			 job->cleared, plural(job->cleared), job->rounds.nr, plural(job->rounds.nr),
			 job->rounds.suspended_ns / 1000000, job->rounds.suspend_call_ns / 1000000,
			 job->rounds.in_sync ? ", and everything is in sync again" : "");
	else
		snprintf(text, sizeof(text), "%" PRIu64 " clean bit%s, written, flushed and read back.",
			 job->cleared, plural(job->cleared));
	report_text_paragraph(job->state == REPAIR_COPIED ? "COPIED" : "CLEARED", text);
	if (!job->differing_after)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " cleared region%s not known to be equal after the kernel's copying: a leg has failed or cannot be read (dmsetup status shows its letter). Mend it; the kernel copies them at the next activation.",
		 job->differing_after, job->differing_after == 1 ? " is" : "s are");
	report_text_paragraph("UNKNOWN", text);
}

static void print_files(const struct repair_job *job)
{
	char text[4600], bytes[32];

	if (job->words->save_divergent) {
		size_format(bytes, sizeof(bytes), job->recorded.saved_sectors * SECTOR_BYTES);
		snprintf(text, sizeof(text), "%s of each leg where they differ, in %.4096s",
			 bytes, job->words->save_divergent);
		report_text_paragraph("saved", text);
	}
	if (job->journal)
		report_text_paragraph("journal", job->journal);
	if (job->place_warning)
		report_text_paragraph("note", job->place_warning);
	if (job->outcome_lost)
		report_text_paragraph("note", "the journal could not be closed with what was cleared (is the disk full?). Undo works with it all the same.");
	if (job->from_cut)
		report_text_paragraph("LEFT", "the report of --from was cut short and names only some of the regions: run repair-log without it.");
	if (job->recorded.unreadable_regions) {
		snprintf(text, sizeof(text), "%" PRIu64 " region%s could not be read whole on every leg; undo will not bring %s back.",
			 job->recorded.unreadable_regions, plural(job->recorded.unreadable_regions),
			 job->recorded.unreadable_regions == 1 ? "it" : "them");
		report_text_paragraph("note", text);
	}
}

/* What the plan has said of the next activation must not sound simpler now. */
static const char *how_to_activate(const struct repair_job *job)
{
	const struct mirror *mirror = &job->session.opened.mirror;

	if (mirror->legs[0].missing)
		return "see to it that the first leg of the table is the right one, and activate the mirror; the kernel then copies that leg in the cleared regions.";
	if (job->session.log.defects & LOG_TOO_SMALL)
		return "give the mirror a table that the kernel takes, and activate it; the kernel then copies the cleared regions.";
	if (job->session.log.defects & LOG_PANICS_KERNEL)
		return "do not activate this mirror: the kernel panics with a log of so many regions. mirrorctl resync offline copies them without it.";
	if (mirror->sync == MIRROR_SYNC_NOSYNC)
		return "activate the mirror with a table without nosync; the kernel then copies the cleared regions. With nosync it sets their bits again and copies nothing.";
	if (mirror->sync == MIRROR_SYNC_SYNC)
		return "activate the mirror; with the table's sync the kernel then copies everything, with a table without sync the cleared regions.";
	return "activate the mirror; the kernel then copies the cleared regions.";
}

static void print_next(const struct repair_job *job)
{
	char text[4600];

	if (job->state == REPAIR_COPIED) {
		snprintf(text, sizeof(text), "nothing has changed yet. To use it: dd if=%.2000s of=%.2000s conv=notrunc,fsync",
			 job->words->output, job->session.opened.log->file->path);
		report_text_paragraph("What to do:", text);
		return;
	}
	if (job->words->online)
		return;
	if (job->recorded.unreadable_regions >= job->cleared)
		snprintf(text, sizeof(text), "%s", how_to_activate(job));
	else
		snprintf(text, sizeof(text), "%s Before that, and only before, this takes it back: mirrorctl undo %.4096s",
			 how_to_activate(job), job->journal);
	report_text_paragraph("What to do:", text);
}

static const char *nothing_text(const struct repair_job *job)
{
	const uint64_t *count = job->comparison.result.regions.count;

	if (job->compared && count[VERDICT_UNVERIFIABLE])
		return "nothing is proven wrong in what could be read: nothing was written.";
	if (!job->session.log.clean)
		return "the log calls no region clean, so there is nothing to clear: nothing was written.";
	return "no clean bit that was looked at lies. Nothing was written.";
}

static void print_unfinished(const struct repair_job *job)
{
	char text[ERROR_TEXT_BYTES + 100];

	if (job->comparison.result.end == AUDIT_CHANGED)
		snprintf(text, sizeof(text), "the mirror changed during the audit (%s): nothing was written.",
			 job->comparison.change);
	else
		snprintf(text, sizeof(text), "the audit was ended early: nothing was written.");
	report_text_paragraph("Ended:", text);
}

void report_repair_text(const struct repair_job *job)
{
	if (job->words->report.quiet)
		return;
	switch (job->state) {
	case REPAIR_NOTHING_TO_DO:
		report_text_paragraph("Nothing to do:", nothing_text(job));
		break;
	case REPAIR_PLANNED:
		putchar('\n');
		report_text_paragraph("dry run", "nothing was written.");
		break;
	case REPAIR_UNFINISHED:
		print_unfinished(job);
		break;
	default:
		putchar('\n');
		print_done(job);
		print_files(job);
		print_next(job);
	}
}
