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

/* With its UUID: a leg of another mirror may well hold the same kind of thing. */
static void describe_contents(char *out, size_t room, const struct signature *signature)
{
	size_t used;

	signature_describe(out, room, signature);
	used = strlen(out);
	if (signature->uuid[0] && !signature->ambivalent)
		snprintf(out + used, room - used, ", %s", signature->uuid);
}

/* A swapped leg is seen best by what lives on it: one line where all hold the same. */
static void print_contents(const struct resync_job *job)
{
	const struct session *session = &job->session;
	unsigned int nr_legs = session->opened.mirror.nr_legs, alike = 0;
	char what[MIRROR_LEGS_MAX][160];

	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		const struct signature_wanted *contents = &session->contents[leg];

		if (contents->result)
			snprintf(what[leg], sizeof(what[leg]), "could not be looked at (%s)",
				 error_reason(contents->result));
		else if (!contents->signature.found)
			snprintf(what[leg], sizeof(what[leg]), "nothing known at its start");
		else
			describe_contents(what[leg], sizeof(what[leg]), &contents->signature);
		alike += !strcmp(what[leg], what[0]);
	}
	putchar('\n');
	if (alike == nr_legs)
		printf("on each   %s\n", what[0]);
	for (unsigned int leg = 0; leg < nr_legs && alike < nr_legs; leg++)
		printf("on leg %-3u%s\n", leg, what[leg]);
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
	const char *copy = job->words->copy_all ? "copy everything, equal or not" : "copy what differs";
	uint64_t sectors = job->nr_not_clean * geometry->region_size;

	if (sectors > geometry->length)
		sectors = geometry->length;
	size_format(bytes, sizeof(bytes), sectors * SECTOR_BYTES);
	if (job->words->verify)
		snprintf(text, sizeof(text), "read all %" PRIu64 " regions of every leg, %" PRIu64 " of them (%s) not clean; %s, and set their bits",
			 geometry->nr_regions, job->nr_not_clean, bytes, copy);
	else
		snprintf(text, sizeof(text), "read %" PRIu64 " region%s (%s) that %s not clean, of every leg; %s, and set %s",
			 job->nr_not_clean, plural(job->nr_not_clean), bytes,
			 job->nr_not_clean == 1 ? "is" : "are", copy,
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

static void print_log(const struct resync_job *job, const struct resync_result *result)
{
	uint64_t set = result->regions_copied + result->regions_equal;
	const char *be = job->state == RESYNC_DONE ? "" : "to be ";
	char text[300];
	int n = 0;

	if (result->bits_cleared)
		n = snprintf(text, sizeof(text), "%" PRIu64 " bit%s %scleared, then ",
			     result->bits_cleared, plural(result->bits_cleared), be);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "%" PRIu64 " bit%s %sset", set,
		      plural(set), be);
	if (result->header_made_good)
		snprintf(text + n, sizeof(text) - (size_t)n, "; the header %smade good", be);
	report_text_paragraph("log", text);
}

/* Regions that were to be copied, and were not come to. */
static uint64_t left_over(const struct resync_result *result)
{
	uint64_t seen = result->regions_copied + result->regions_equal + result->regions_failed;

	return result->regions_work > seen ? result->regions_work - seen : 0;
}

static void print_counts(const struct resync_job *job, const struct resync_result *result)
{
	bool done = job->state == RESYNC_DONE;
	uint64_t left = left_over(result);
	const struct { uint64_t count; const char *did, *would; } rows[] = {
		{ result->regions_copied, "copied, and now clean", "to be copied, and clean then" },
		{ result->regions_rewritten, "  of them equal before, and written anew", "  of them equal, and to be written anew" },
		{ result->regions_lied, "  of them called clean before, and differing", "  of them called clean, and differing" },
		{ result->regions_equal, "were equal already, and are now clean", "are equal already, and will be clean" },
		{ result->regions_verified, "clean and equal", "clean and equal" },
		{ job->nr_skipped, "skipped by the plan", "skipped by the plan" },
		{ result->regions_failed, "could not be made equal, and stay not clean", "cannot be made equal, and stay not clean" },
		{ left, "not clean, and not done yet", "not looked at" },
		{ result->regions_unverified, "clean, but could not be read everywhere", "clean, but cannot be read everywhere" },
	};

	putchar('\n');
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].count)
			printf("%10" PRIu64 "  %s\n", rows[i].count, done ? rows[i].did : rows[i].would);
}

static bool has_errors(const struct resync_job *job, const struct resync_result *result)
{
	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (result->leg_error[leg])
			return true;
	return result->keep_error || (result == &job->result && job->salvage.keep_error) ||
	       result->log_failed || result->unreadable.nr;
}

static void print_errors(const struct resync_job *job, const struct resync_result *result)
{
	const struct run_list *runs = &result->unreadable;
	size_t shown = 0;
	char text[200];

	if (has_errors(job, result))
		putchar('\n');
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
	if (shown < runs->nr || runs->truncated)
		printf("          … and %s%zu more runs (--json lists them)\n",
		       runs->truncated ? "at least " : "", runs->nr - shown);
}

static void print_numbers(const struct resync_job *job, const struct resync_result *result)
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

	report_resync_writes(job, result);
	report_resync_agreement(job);
	print_numbers(job, result);
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
	char bytes[32];
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
	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (job->salvage.written_bytes[leg])
			printf("  %s written to leg %u for them\n",
			       size_format(bytes, sizeof(bytes), job->salvage.written_bytes[leg]), leg);
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
	if (job->state == RESYNC_PLANNED)
		print_contents(job);
	if (job->state == RESYNC_PLANNED && !job->words->write_plan) {
		putchar('\n');
		print_work(job);
		if (job->session.opened.mirror.sync == MIRROR_SYNC_SYNC)
			report_text_paragraph("WARNING", "the table says sync: with it the kernel copies leg 0 over the others at the next activation, whatever is done here.");
	}
	if (job->previewed)
		print_preview(job);
	fflush(stdout);
}

/* What is left not clean, and a table with which the kernel does not care. */
static void warn_of_nosync(const struct resync_job *job)
{
	const struct resync_result *result = &job->result;

	if (job->session.opened.mirror.sync == MIRROR_SYNC_NOSYNC &&
	    (left_over(result) || result->regions_failed || job->nr_skipped))
		report_text_paragraph("WARNING", "the table says nosync: with it the kernel calls every region clean at the next activation, those that are left, too. Do not activate the mirror with it.");
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

/* --- the end --------------------------------------------------------------- */

/* Words, and how long it took. */
static const char *format_took(char *out, size_t room, const struct resync_result *result,
			       uint64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / 1e9;
	uint64_t most = 0;
	char rate[32];
	int n;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		if (result->read_bytes[leg] > most)
			most = result->read_bytes[leg];
	n = snprintf(out, room, "in %.*f s", seconds < 10 ? 1 : 0, seconds);
	if (seconds >= 0.05 && most)
		snprintf(out + n, room - (size_t)n, ", %s/s of each leg",
			 size_format(rate, sizeof(rate), (uint64_t)((double)most / seconds)));
	return out;
}

#define WHY_BYTES (ERROR_TEXT_BYTES + 80)

/* Why it ended where it did; false: it is complete. */
static bool why_ended(char *out, size_t room, const struct resync_job *job,
		      const struct resync_result *result)
{
	if (result->end == RESYNC_COMPLETE)
		return false;
	if (result->end == RESYNC_CHANGED)
		snprintf(out, room, "as the mirror has changed, or may have (%s)", job->change);
	else if (result->keep_error)
		snprintf(out, room, "as the undo file could not be written");
	else if (result->log_failed)
		snprintf(out, room, "as the log could not be written (%s)",
			 error_reason(result->log_error));
	else
		snprintf(out, room, result->hung ? "as a device does not answer" : "by a signal");
	return true;
}

static void print_end(const struct resync_job *job)
{
	const struct resync_result *result = &job->result;
	uint64_t left = left_over(result) + result->regions_failed;
	char text[WHY_BYTES + 400], took[80], why[WHY_BYTES], still[120] = "";

	format_took(took, sizeof(took), result, job->elapsed_ns);
	if (left)
		snprintf(still, sizeof(still), ": %" PRIu64 " region%s still not clean", left,
			 left == 1 ? " is" : "s are");
	if (result->regions_unverified)
		snprintf(still + strlen(still), sizeof(still) - strlen(still), "%s%" PRIu64
			 " clean one%s could not be read", left ? ", " : ": ",
			 result->regions_unverified, plural(result->regions_unverified));
	if (why_ended(why, sizeof(why), job, result)) {
		snprintf(text, sizeof(text), "%s, %s%s.", why, took,
			 left || result->regions_unverified ? still :
			 ": not every clean region was looked at");
		report_text_paragraph("Ended:", text);
		return;
	}
	if (*still)
		snprintf(text, sizeof(text), "%s%s.", took, still);
	else if (job->nr_skipped)
		snprintf(text, sizeof(text), "but for what the plan skips; %s.", took);
	else
		snprintf(text, sizeof(text), "%s; %s.", job->words->verify ?
			 "the legs are equal, and the log says so" : "every region is clean", took);
	report_text_paragraph(*still ? "Not all:" : "Done:", text);
}

/* Is it a source that could not be read, and not only what would be copied to? */
static bool source_is_unread(const struct resync_job *job, const struct resync_result *result)
{
	const struct region_geometry *geometry = &job->session.opened.mirror.geometry;
	uint64_t last;

	for (size_t i = 0; i < result->unreadable.nr; i++) {
		const struct sector_run *run = &result->unreadable.runs[i];

		if (resync_plan_source(&job->plan, region_of_sector(geometry, run->start),
				       geometry->nr_regions, &last) == run->leg)
			return true;
	}
	return !result->unreadable.nr;
}

/* What could not be read or written. */
static const char *mend(const struct resync_job *job, const struct resync_result *result)
{
	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		if (result->leg_error[leg])
			return "find out why that leg takes no writes (the kernel's log tells), replace it if need be, and run this again: what is not clean is copied then. Until then do not activate the mirror without handle_errors.";
	if (!source_is_unread(job, result))
		return "only legs that are copied to could not be read, in regions that are called clean, which were left alone. If a leg fails there (the kernel's log tells), replace it. Single bad sectors heal when they are written: mirrorctl repair-log --clear-regardless with these --regions, then run this again.";
	return job->salvaged ? "what could not be read may be readable elsewhere: copy the failing leg to a good disk with ddrescue, give the copy, and run this again." :
		"what the source cannot deliver another leg may still hold: --salvage takes such sectors from there, --write-plan makes a plan to choose another source for these regions; or copy the failing leg to a good disk with ddrescue, and give the copy.";
}

static const char *next_step(const struct resync_job *job)
{
	const struct resync_result *result = &job->result;

	if (result->end == RESYNC_CHANGED)
		return "nothing was written since. Find out who uses it, then run this again.";
	if (result->keep_error)
		return "make room, or name another --undo-file, and run this again: it goes on where the log says. The file holds all that was overwritten up to now.";
	if (result->log_failed)
		return "find out why the log takes no writes, and run this again: what was copied and could not be noted there is read again, no more.";
	if (result->end == RESYNC_STOPPED)
		return "run this again: it goes on where the log says.";
	if (job->salvaged && !job->words->accept_salvaged && job->salvage.sectors[SALVAGE_DONE])
		return "what was salvaged is on every leg; its regions are not called clean before you run this again, or with --accept-salvaged.";
	if (result->regions_failed || result->regions_unverified)
		return mend(job, result);
	if (job->session.opened.mirror.sync == MIRROR_SYNC_SYNC)
		return "the table says sync: with it the kernel clears every bit at the next activation and copies leg 0 over the others everywhere. Activate with a table without sync.";
	if (job->nr_skipped && job->session.opened.mirror.sync == MIRROR_SYNC_NOSYNC)
		return "the skipped regions are still as the log says.";
	if (job->nr_skipped)
		return "the skipped regions are still as the log says; the kernel copies those that are not clean from leg 0 at the next activation.";
	if (!job->words->verify)
		return "nothing: the kernel will copy nothing. What was clean before was not looked at; --verify does.";
	return "nothing: the kernel will copy nothing.";
}

static void print_done(const struct resync_job *job)
{
	print_numbers(job, &job->result);
	print_salvage(job);
	putchar('\n');
	print_files(job);
	print_end(job);
	report_text_paragraph("What to do:", next_step(job));
	warn_of_nosync(job);
}

static void print_dry_run(const struct resync_job *job)
{
	const struct resync_result *result = &job->preview;
	char text[200], took[80];

	snprintf(text, sizeof(text), "this is all that would be written; nothing was. It took %s.",
		 format_took(took, sizeof(took), result, job->preview_ns) + 3);
	report_text_paragraph("dry run", text);
	if (result->regions_failed || result->regions_unverified)
		report_text_paragraph("What to do:", mend(job, result));
	else
		report_text_paragraph("What to do:", "if that is what you want, the same without --dry-run.");
}

/* Of what only looked, the end before the end. */
static void print_not_begun(const struct resync_job *job)
{
	char text[WHY_BYTES + 100], why[WHY_BYTES] = "by a signal";

	if (job->previewed)
		why_ended(why, sizeof(why), job, &job->preview);
	else if (*job->comparison.change)
		snprintf(why, sizeof(why), "as the mirror has changed, or may have (%s)", job->comparison.change);
	snprintf(text, sizeof(text), "%s, before all was looked at. Nothing was written.", why);
	report_text_paragraph("Ended:", text);
}

static void print_plan(const struct resync_job *job)
{
	char text[400];

	snprintf(text, sizeof(text), "written to %.150s. No leg and no log was. Edit it, then: mirrorctl resync offline --plan=%.150s",
		 job->words->write_plan, job->words->write_plan);
	report_text_paragraph("plan", text);
}

void report_resync_text(const struct resync_job *job)
{
	if (job->words->report.quiet)
		return;
	if (job->state != RESYNC_DONE)
		putchar('\n');
	switch (job->state) {
	case RESYNC_NOTHING_TO_DO:
		report_text_paragraph("Nothing to do:", job->nr_skipped ?
			"what is not clean is skipped by the plan. Nothing was written." :
			"every region is clean, and the log is good. Nothing was written. (--verify reads what is clean, too.)");
		if (job->words->write_plan)
			print_plan(job);
		break;
	case RESYNC_PLANNED:
		if (job->words->write_plan)
			print_plan(job);
		else
			print_dry_run(job);
		break;
	case RESYNC_NOT_BEGUN:
		print_not_begun(job);
		break;
	default:
		print_done(job);
	}
}
