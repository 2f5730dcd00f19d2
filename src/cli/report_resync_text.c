/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What resync offline will do, in words, before it asks; and what it has done. */

#include "cli/report_resync.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/size.h"
#include "io/signature.h"

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

void report_resync_audit(struct audit_report *report, const struct resync_job *job)
{
	static const struct selection all = { .scope = SELECT_ALL };

	*report = (struct audit_report){
		.session = &job->session, .words = &job->words->report,
		.result = &job->comparison.result, .selection = &all,
		.complete = job->comparison.result.end == AUDIT_COMPLETE,
		.elapsed_ns = job->comparison.elapsed_ns,
	};
	snprintf(report->scope, sizeof(report->scope), "%s", job->words->verify ?
		 "all regions" : "regions that are not clean");
	snprintf(report->change, sizeof(report->change), "%s", job->comparison.change);
}

/* A swapped leg is seen best by what lives on it. */
static void print_contents(const struct resync_job *job)
{
	const struct opened_mirror *opened = &job->session.opened;
	struct signature signature;
	char what[160];

	for (unsigned int leg = 0; leg < opened->mirror.nr_legs; leg++) {
		const char *found = "nothing known at its start";

		if (!signature_probe(&signature, opened->legs[leg], opened->mirror.geometry.length) &&
		    signature.found)
			found = signature_describe(what, sizeof(what), &signature);
		printf("%s %-5u%s\n", leg ? "leg " : "\nleg ", leg, found);
	}
}

static void print_way_back(const struct resync_job *job)
{
	const struct resync_words *words = job->words;
	char text[500], bytes[32];

	if (words->undo_file)
		snprintf(text, sizeof(text), "what is overwritten goes into %.200s first, %s at most%s",
			 words->undo_file, size_format(bytes, sizeof(bytes), job->undo_bytes),
			 words->save_divergent ? ", and --save-divergent keeps what differs" : "");
	else
		snprintf(text, sizeof(text), "what is overwritten cannot be brought back%s. --undo-file FILE keeps it",
			 words->save_divergent ? " to its place; --save-divergent keeps what differs for extract" : "");
	report_text_paragraph("undo", text);
}

static void print_work(const struct resync_job *job)
{
	const struct region_geometry *geometry = &job->session.opened.mirror.geometry;
	char text[500], bytes[32];
	uint64_t sectors = job->nr_not_clean * geometry->region_size;

	if (sectors > geometry->length)
		sectors = geometry->length;
	size_format(bytes, sizeof(bytes), sectors * SECTOR_BYTES);
	if (job->words->verify)
		snprintf(text, sizeof(text), "read all %" PRIu64 " regions of every leg; copy what differs, and set every bit (not clean: %" PRIu64
			 ", %s)", geometry->nr_regions, job->nr_not_clean, bytes);
	else
		snprintf(text, sizeof(text), "read %" PRIu64 " region%s (%s) that %s not clean, of every leg; copy what differs, and set %s",
			 job->nr_not_clean, plural(job->nr_not_clean), bytes,
			 job->nr_not_clean == 1 ? "is" : "are",
			 job->nr_not_clean == 1 ? "its bit" : "their bits");
	report_text_paragraph("PLAN", text);
	if (job->header_bad)
		report_text_paragraph("", "the log's header, which the kernel would not accept or which counts too few regions, is made good: after every bit that nothing proves was cleared");
	if (job->words->plan)
		snprintf(text, sizeof(text), "from the legs that %.200s says; what it skips stays as it is", job->words->plan);
	else
		snprintf(text, sizeof(text), "from leg %llu", job->words->source);
	report_text_paragraph("source", text);
	print_way_back(job);
}

static void print_rate(const struct resync_result *result, unsigned int nr_legs, uint64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9;
	char read[32], rate[32];
	uint64_t most = 0;

	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (result->read_bytes[leg] > most)
			most = result->read_bytes[leg];
	printf("read      %s of each leg, in %.*f s", size_format(read, sizeof(read), most),
	       seconds < 10 ? 1 : 0, seconds);
	if (seconds >= 0.05 && most)
		printf(" (%s/s)", size_format(rate, sizeof(rate), (uint64_t)((double)most / seconds)));
	if (result->hole_bytes)
		printf("; %s are holes in every leg", size_format(read, sizeof(read), result->hole_bytes));
	putchar('\n');
}

static void print_log(const struct resync_job *job, const struct resync_result *result)
{
	uint64_t set = result->regions_copied + result->regions_equal;
	const char *be = job->state == RESYNC_DONE ? "" : "to be ";
	char text[300];
	int n;

	n = snprintf(text, sizeof(text), "%" PRIu64 " bit%s %sset", set, plural(set), be);
	if (result->bits_cleared)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ", %" PRIu64 " of them %scleared before the first write there",
			      result->bits_cleared, be);
	if (result->header_made_good)
		snprintf(text + n, sizeof(text) - (size_t)n, "; the header %smade good", be);
	report_text_paragraph("log", text);
}

static void print_counts(const struct resync_job *job, const struct resync_result *result)
{
	bool done = job->state == RESYNC_DONE;
	const struct { uint64_t count; const char *did, *would; } rows[] = {
		{ result->regions_copied, "copied, and now clean", "to be copied, and clean then" },
		{ result->regions_rewritten, "among them: equal before, and written anew", "among them: equal, and to be written anew" },
		{ result->regions_equal, "were equal already, and are now clean", "are equal already, and will be clean" },
		{ result->regions_verified, "clean and equal", "clean and equal" },
		{ result->regions_lied, "among them: called clean, and differing", "among them: called clean, and differing" },
		{ job->nr_skipped, "skipped by the plan", "skipped by the plan" },
		{ result->regions_failed, "could not be made equal, and stay not clean", "cannot be made equal, and stay not clean" },
		{ result->regions_unverified, "clean, but could not be read everywhere", "clean, but cannot be read everywhere" },
	};

	putchar('\n');
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].count)
			printf("%10" PRIu64 "  %s\n", rows[i].count, done ? rows[i].did : rows[i].would);
}

static void print_errors(const struct resync_job *job, const struct resync_result *result)
{
	const struct run_list *runs = &result->unreadable;
	size_t shown = 0;
	char text[200];

	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (result->leg_error[leg]) {
			snprintf(text, sizeof(text), "leg %u: a write failed (%s), and it was given up", leg,
				 error_reason(result->leg_error[leg]));
			report_text_paragraph("FAILED", text);
		}
	if (result->keep_error || (result == &job->result && job->salvage.keep_error))
		report_text_paragraph("FAILED", job->files.kept.text);
	if (result->log_failed)
		report_text_paragraph("FAILED", "the log could not be written: what was copied since its last write will be copied again");
	for (size_t i = 0; i < runs->nr && shown < 20; i++, shown++) {
		const struct sector_run *run = &runs->runs[i];

		snprintf(text, sizeof(text), "leg %u, sectors %" PRIu64 "-%" PRIu64 ": %s", run->leg,
			 run->start, run->start + run->sectors - 1, error_reason(run->error));
		report_text_paragraph("UNREAD", text);
	}
	if (shown < runs->nr)
		printf("          … and %zu more runs (--json lists them)\n", runs->nr - shown);
}

static void print_done(const struct resync_job *job, const struct resync_result *result)
{
	report_resync_legs(job, result);
	print_log(job, result);
	print_counts(job, result);
	print_errors(job, result);
}

/* All that would be done. */
static void print_preview(const struct resync_job *job)
{
	const struct resync_result *result = &job->preview;

	print_rate(result, job->session.opened.mirror.nr_legs, job->preview_ns);
	print_done(job, result);
	report_resync_writes(job, result);
	report_resync_agreement(job);
}

/* Sectors by what became of them. */
static void print_salvage(const struct resync_job *job)
{
	static const char *const texts[SALVAGE_OUTCOMES] = {
		[SALVAGE_DONE] = "taken from another leg, and now on every leg",
		[SALVAGE_SOURCE_FAILED] = "held by another leg, but the source does not take them",
		[SALVAGE_LEG_FAILED] = "held by the source, but another leg does not take them",
		[SALVAGE_DISAGREE] = "differ between the legs that can be read: choose with --plan",
		[SALVAGE_LOST] = "cannot be read on any leg",
		[SALVAGE_READABLE] = "could be read on the source after all",
		[SALVAGE_CLEAN] = "in regions that are called clean: left alone",
		[SALVAGE_UNFINISHED] = "not looked at",
	};
	bool danger = false;

	if (!job->salvaged)
		return;
	printf("\nSectors that the source could not read:\n");
	for (unsigned int outcome = 0; outcome < SALVAGE_OUTCOMES; outcome++) {
		if (!job->salvage.sectors[outcome])
			continue;
		printf("%10" PRIu64 "  %s\n", job->salvage.sectors[outcome], texts[outcome]);
		danger = danger || salvage_is_dangerous((enum salvage_outcome)outcome);
	}
	if (danger)
		report_text_paragraph("DANGER", "leg 0 is what a kernel copies from. Do not activate this mirror without handle_errors in its table: the kernel would write zeros over what only another leg still holds. Copy the source leg with ddrescue to a good disk, give the copy, and run this again.");
}

void report_resync_plan_text(const struct resync_job *job)
{
	struct audit_report report;

	if (job->words->report.quiet)
		return;
	report_resync_audit(&report, job);
	if (job->compared)
		report_audit_body(&report);
	else
		report_text_mirror(&job->session);
	if (!job->compared)
		report_text_findings(&job->session.findings,
				     report_color(&job->words->report, STDOUT_FILENO));
	if (job->previewed) {
		putchar('\n');
		print_preview(job);
	}
	if (job->state == RESYNC_PLANNED) {
		print_contents(job);
		putchar('\n');
		print_work(job);
		if (job->session.opened.mirror.sync == MIRROR_SYNC_SYNC)
			report_text_paragraph("WARNING", "the table says sync: with it the kernel copies leg 0 over the others at the next activation, whatever is done here.");
	}
	fflush(stdout);
}

/* What an undo would need. */
static void print_files(const struct resync_job *job)
{
	uint64_t kept = job->result.kept_sectors + job->salvage.kept_sectors;
	uint64_t lost = job->result.lost_sectors + job->salvage.lost_sectors;
	char text[500], bytes[32];
	int n;

	if (!job->journal)
		return;
	report_text_paragraph("journal", job->journal);
	if (job->words->undo_file) {
		n = snprintf(text, sizeof(text), "%.250s holds what was overwritten (%s)", job->words->undo_file,
			     size_format(bytes, sizeof(bytes), kept * SECTOR_BYTES));
		if (lost)
			snprintf(text + n, sizeof(text) - (size_t)n, ", but for %" PRIu64 " sector%s that could not be read",
				 lost, plural(lost));
		report_text_paragraph("undo file", text);
	}
	if (job->place_warning)
		report_text_paragraph("note", job->place_warning);
	if (job->end_lost)
		report_text_paragraph("note", "that the run has ended could not be noted in the journal: an undo takes what is clean now for its work.");
}

static const char *next_step(const struct resync_job *job)
{
	const struct resync_result *result = &job->result;

	if (result->end == RESYNC_CHANGED)
		return "nothing was written since. Find out who uses it, then run this again.";
	if (result->keep_error)
		return "make room, or name another --undo-file, and run this again: it goes on where the log says. The file holds all that was overwritten up to now.";
	if (result->end == RESYNC_STOPPED)
		return "run this again: it goes on where the log says.";
	if (job->salvaged && !job->words->accept_salvaged && job->salvage.sectors[SALVAGE_DONE])
		return "what was salvaged is on every leg; its regions are not called clean before you run this again, or with --accept-salvaged.";
	if (result->regions_failed || result->regions_unverified)
		return "what could not be read is on one leg only, if anywhere: read it with ddrescue, or choose another --source for it (--write-plan).";
	if (job->session.opened.mirror.sync == MIRROR_SYNC_SYNC)
		return "the table says sync: with it the kernel clears every bit at the next activation and copies leg 0 over the others everywhere. Activate with a table without sync.";
	if (job->nr_skipped)
		return "the skipped regions are still as the log says; the kernel copies those that are not clean from leg 0 at the next activation.";
	if (!job->words->verify)
		return "nothing: every region is clean now, and the kernel will copy nothing. What was clean before was not looked at; --verify does.";
	return "nothing: the legs are equal and the log says so. The kernel will copy nothing.";
}

void report_resync_text(const struct resync_job *job)
{
	if (job->words->report.quiet)
		return;
	putchar('\n');
	switch (job->state) {
	case RESYNC_NOTHING_TO_DO:
		report_text_paragraph("Nothing to do:", job->nr_skipped ?
			"what is not clean is skipped by the plan. Nothing was written." :
			"every region is clean, and the log is good. Nothing was written. (--verify reads what is clean, too.)");
		if (job->words->write_plan)
			report_text_paragraph("plan", job->words->write_plan);
		break;
	case RESYNC_PLANNED:
		if (job->words->write_plan)
			report_text_paragraph("plan", job->words->write_plan);
		report_text_paragraph("dry run", "no leg and no log was written.");
		break;
	case RESYNC_NOT_BEGUN:
		report_text_paragraph("Ended:", "before anything was written.");
		break;
	default:
		print_rate(&job->result, job->session.opened.mirror.nr_legs, job->elapsed_ns);
		print_done(job, &job->result);
		print_salvage(job);
		putchar('\n');
		print_files(job);
		report_text_paragraph("What to do:", next_step(job));
	}
}
