/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cause.h"
#include "core/size.h"

#define RUNS_SHOWN 1000u
#define RUNS_SHOWN_TERMINAL 24u

/* A text that is put together piece by piece and never overflows. */
struct paragraph {
	char text[2400];
	size_t used;
};

static void say(struct paragraph *paragraph, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct paragraph *paragraph, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(paragraph->text + paragraph->used, sizeof(paragraph->text) - paragraph->used,
		      format, args);
	va_end(args);
	if (n > 0)
		paragraph->used += (size_t)n;
	if (paragraph->used >= sizeof(paragraph->text))
		paragraph->used = sizeof(paragraph->text) - 1;
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_compared(const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	char bytes[32], rate[32], holes[32];
	double seconds = (double)report->elapsed_ns / 1e9;
	uint64_t done = result->selected_regions;

	if (result->end != AUDIT_COMPLETE)
		done = report->session->opened.mirror.geometry.nr_regions -
		       result->regions.count[VERDICT_NOT_COMPARED];
	if (result->selected_regions && !result->compared_sectors) {
		printf("compared  0 of %" PRIu64 " regions\n", result->selected_regions);
		return;
	}
	printf("compared  %" PRIu64 " region%s, %s on each leg", done, plural(done),
	       size_format(bytes, sizeof(bytes), result->compared_sectors * SECTOR_BYTES));
	if (result->hole_sectors)
		printf(" (%s of it holes in every leg)",
		       size_format(holes, sizeof(holes), result->hole_sectors * SECTOR_BYTES));
	printf(", in %.*f s", seconds < 10 ? 1 : 0, seconds);
	if (result->read_sectors && seconds >= 0.05)
		printf(" (%s/s)", size_format(rate, sizeof(rate),
		       (uint64_t)((double)result->read_sectors * SECTOR_BYTES / seconds)));
	putchar('\n');
	if (*report->scope)
		report_text_paragraph("scope", report->scope);
}

static void format_holds(char *out, size_t room, const struct sector_run *run)
{
	size_t n;

	switch (run->content) {
	case CONTENT_ZEROS: n = (size_t)snprintf(out, room, "zeros"); break;
	case CONTENT_ONES: n = (size_t)snprintf(out, room, "ones (0xFF)"); break;
	case CONTENT_REPEATED: n = (size_t)snprintf(out, room, "0x%02X all over", run->byte); break;
	default: n = (size_t)snprintf(out, room, run->one_bit ? "one bit flipped" : "other data");
	}
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX && n < room; leg++)
		if (run->equal_legs & 1u << leg)
			n += (size_t)snprintf(out + n, room - n, ", as leg %u", leg);
	if (run->against && n < room)
		snprintf(out + n, room - n, " (against leg %u)", run->against);
}

static void print_run(const struct audit_report *report, const struct sector_run *run)
{
	const struct region_geometry *geometry = &report->session->opened.mirror.geometry;
	uint64_t first = region_of_sector(geometry, run->start);
	uint64_t last = region_of_sector(geometry, run->start + run->sectors - 1);
	char regions[REPORT_RANGE_MAX], sectors[48], holds[128];

	report_text_range(regions, first, last);
	snprintf(sectors, sizeof(sectors), "%" PRIu64 "-%" PRIu64, run->start,
		 run->start + run->sectors - 1);
	if (run->verdict == VERDICT_UNVERIFIABLE)
		snprintf(holds, sizeof(holds), "%s", error_reason(run->error));
	else
		format_holds(holds, sizeof(holds), run);
	printf("  %-11s %-23s %9" PRIu64 "  %3u  %s\n", regions, sectors, run->sectors, run->leg, holds);
}

/* The table of runs with one verdict. */
static void print_runs(const struct audit_report *report, enum verdict verdict, const char *what,
		       const char *last_column)
{
	const struct run_list *runs = &report->result->runs;
	size_t limit = isatty(STDOUT_FILENO) ? RUNS_SHOWN_TERMINAL : RUNS_SHOWN;
	uint64_t shown = 0;

	if (report->words->verbose || report->words->max_runs)
		limit = runs->nr;
	printf("  %-11s %-23s %9s  %3s  %s\n", "region", "sectors", what, "leg", last_column);
	for (size_t i = 0; i < runs->nr && shown < limit; i++)
		if (runs->runs[i].verdict == verdict) {
			print_run(report, &runs->runs[i]);
			shown++;
		}
	if (shown < runs->nr_runs[verdict])
		printf("  … and %" PRIu64 " more runs (%s)\n", runs->nr_runs[verdict] - shown,
		       runs->truncated ? "--max-runs keeps more of them" : "--verbose lists them");
}

static void print_heading(const struct audit_report *report, const char *heading,
			  const char *color, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void print_heading(const struct audit_report *report, const char *heading,
			  const char *color, const char *format, ...)
{
	bool colored = report_color(report->words, STDOUT_FILENO);
	va_list args;

	printf("\n%s%-9s%s ", colored ? color : "", heading, colored ? "\033[0m" : "");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

static void print_lies(const struct audit_report *report, enum verdict verdict,
		       const char *heading, const char *text)
{
	const struct audit_result *result = report->result;
	uint64_t regions = result->regions.count[verdict];
	char bytes[32];

	if (!regions)
		return;
	size_format(bytes, sizeof(bytes), result->runs.sectors[verdict] * SECTOR_BYTES);
	print_heading(report, heading, "\033[31;1m", "%" PRIu64 " region%s %s (%s in %" PRIu64 " run%s)",
		      regions, plural(regions), text, bytes, result->runs.nr_runs[verdict],
		      plural(result->runs.nr_runs[verdict]));
	print_runs(report, verdict, "differing", "the leg holds");
}

static void print_unreadable(const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	uint64_t regions = result->regions.count[VERDICT_UNVERIFIABLE];

	if (!regions && !result->runs.nr_runs[VERDICT_UNVERIFIABLE])
		return;
	print_heading(report, "UNKNOWN", "\033[35m", "%" PRIu64
		      " region%s cannot be verified: not known to be equal, nor to differ",
		      regions, plural(regions));
	for (unsigned int leg = 0; leg < report->session->opened.mirror.nr_legs; leg++)
		if (report->session->opened.mirror.legs[leg].missing)
			printf("  leg %u is missing\n", leg);
	if (result->runs.nr_runs[VERDICT_UNVERIFIABLE])
		print_runs(report, VERDICT_UNVERIFIABLE, "sectors", "error");
}

static void print_pending(const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	uint64_t pending = result->regions.count[VERDICT_RESYNC_PENDING];

	if (!pending)
		return;
	print_heading(report, "pending", "\033[33m", "%" PRIu64 " region%s not clean and differ%s, as they may: a resync is due",
		      pending, pending == 1 ? " is" : "s are", pending == 1 ? "s" : "");
	if (report->words->verbose || report->selection->scope != SELECT_CLEAN)
		print_runs(report, VERDICT_RESYNC_PENDING, "differing", "the leg holds");
}

/* One line: the regions about which there is nothing to say but their number. */
static void print_counts(const struct audit_report *report)
{
	const struct { enum verdict verdict; const char *text; } rows[] = {
		{ VERDICT_VERIFIED, report->session->has_log ? "clean and equal" :
				    "equal, as the kernel counts them" },
		{ VERDICT_EQUAL_NOT_CLEAN, "equal though not clean (only an unneeded resync)" },
		{ VERDICT_TRANSIENT, "differed at the first look and were equal at the last" },
		{ VERDICT_BUSY, "were being written: no two looks alike" },
		{ VERDICT_NOT_COMPARED, "not compared" },
	};
	const uint64_t *count = report->result->regions.count;

	putchar('\n');
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (count[rows[i].verdict])
			printf("%10" PRIu64 "  %s\n", count[rows[i].verdict], rows[i].text);
}

/* "legs 0 | 1 = 2", then those that could not be read. */
static void print_pattern(const struct audit_pattern *pattern, unsigned int nr_legs)
{
	const char *before = "legs ";

	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		if (pattern->group[leg] != leg)
			continue;
		printf("%s%u", before, leg);
		before = " | ";
		for (unsigned int other = leg + 1; other < nr_legs; other++)
			if (pattern->group[other] == leg)
				printf(" = %u", other);
	}
	before = " (not read: ";
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (pattern->group[leg] == MIRROR_LEGS_MAX) {
			printf("%s%u", before, leg);
			before = ", ";
		}
	printf("%s\n", *before == ',' ? ")" : "");
}

static void print_agreement(const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	unsigned int nr_legs = report->session->opened.mirror.nr_legs;

	if (nr_legs < 3 || !result->nr_patterns)
		return;
	printf("\nWhich legs agree where they differ (no vote: in a sync that was interrupted the\n"
	       "legs that agree are the stale ones):\n");
	for (size_t i = 0; i < result->nr_patterns; i++) {
		const struct audit_pattern *pattern = &result->patterns[i];

		printf("  %10" PRIu64 " sector%s  ", pattern->sectors, plural(pattern->sectors));
		print_pattern(pattern, nr_legs);
	}
}

static void explain_causes(const struct audit_report *report)
{
	const struct session *session = report->session;
	unsigned int evidence = evidence_collect(report->result, &session->opened.mirror,
						 session->has_log ? &session->log : NULL);
	const struct cause_row *cause;
	size_t index = 0;

	if (!(evidence & EVIDENCE_BOGUS))
		return;
	printf("\nWhat it may be (all that the evidence fits; the legs alone cannot tell):\n");
	while ((cause = cause_next(evidence, &index)) != NULL)
		report_text_bullet(cause->text);
	if (evidence & EVIDENCE_HANDLE_ERRORS_UNKNOWN)
		printf("(With --table, which tells handle_errors, fewer of these may remain.)\n");
}

static uint64_t lies_of(const struct audit_report *report)
{
	return report->result->regions.count[VERDICT_BOGUS_CLEAN] +
	       report->result->regions.count[VERDICT_SUSPECT];
}

static void explain_future(const struct audit_report *report)
{
	struct paragraph paragraph = { .used = 0 };
	char text[400];

	if (!report->session->has_log) {
		putchar('\n');
		report_text_paragraph("What will happen:", "nothing is remembered on disk: at the next activation the kernel copies leg 0 over the other legs everywhere, and until then it never copies what differs.");
		return;
	}
	report_activation_sentence(text, sizeof(text), report->session);
	say(&paragraph, "at the next resume %s", text);
	if (lies_of(report) && report->session->opened.mirror.sync == MIRROR_SYNC_DEFAULT)
		say(&paragraph, " Nothing heals the regions above: while leg 0 works readers get its contents; if it fails, or after a conversion to raid1, they get another leg's.");
	putchar('\n');
	report_text_paragraph("What will happen:", paragraph.text);
}

static bool has_remedies(const struct finding_list *findings)
{
	for (size_t i = 0; i < findings->nr; i++)
		if (finding_row(findings->items[i].id)->remedy)
			return true;
	return false;
}

/* Steps are numbered as they are printed. */
static void print_step(unsigned int *number, const char *text)
{
	char step[8];

	snprintf(step, sizeof(step), "  %u.", ++*number);
	report_text_item(step, text);
}

/* No bit was read, and none can be cleared. */
static void advise_on_core_log(unsigned int *number)
{
	print_step(number, "The mirror was running, and a write that hangs on one leg all the while looks the same: audit it again. What differs again, with the same bytes, is no write in flight.");
	print_step(number, "Until then do not convert it, and do not fail or replace leg 0.");
	print_step(number, "Find out which leg is right. If leg 0 is: deactivate the mirror and activate it again, the kernel then copies leg 0 over the others. If it is not, save the other leg's contents before: that activation overwrites them.");
}

/* What it takes to have leg 0 copied; the table may have the last word. */
static const char *advice_if_leg_0_is_right(enum mirror_sync sync)
{
	switch (sync) {
	case MIRROR_SYNC_SYNC:
		return "If leg 0 is right, let that happen. If another is: mirrorctl resync offline --verify --source=N copies that one, and then activate the mirror with a table without sync.";
	case MIRROR_SYNC_NOSYNC:
		return "If leg 0 is right: mirrorctl repair-log clears the clean bits of these regions, and with a table without nosync the kernel copies leg 0 over the others at the next activation (--dry-run shows it, --save-divergent keeps what differs). With nosync it sets the bits again.";
	default:
		return "If leg 0 is right: mirrorctl repair-log clears the clean bits of these regions, and the kernel copies leg 0 over the others at the next activation (--dry-run shows it, --save-divergent keeps what differs).";
	}
}

static void advise_on_proof(const struct audit_report *report, unsigned int *number)
{
	enum mirror_sync sync = report->session->opened.mirror.sync;

	if (sync == MIRROR_SYNC_SYNC)
		print_step(number, "Do not activate, suspend or resume this mirror before you know which leg is right: with sync in the table the kernel then copies leg 0 over the others everywhere.");
	print_step(number, "Do not convert this mirror, and do not fail or replace leg 0.");
	print_step(number, "Keep this report (--json), and copies of the legs if you can.");
	print_step(number, "Find out which leg is right before these regions are written again: if a first synchronisation was interrupted, leg 0 is.");
	print_step(number, advice_if_leg_0_is_right(sync));
}

static void advise_on_lies(const struct audit_report *report, unsigned int *number)
{
	unsigned int evidence = evidence_collect(report->result, &report->session->opened.mirror,
						 &report->session->log);

	if (!report->session->has_log) {
		advise_on_core_log(number);
		return;
	}
	if (evidence & EVIDENCE_COUNT_MISMATCH)
		print_step(number, "Check --region-size and --length first, with `dmsetup table`: the log's own count does not fit them, and then nothing above means anything.");
	if (report->result->regions.count[VERDICT_SUSPECT] && report->session->opened.elsewhere) {
		print_step(number, "The mirror may be active on another host, so this is suspicion, though a strong one. Audit it there, or deactivate it there and audit it again.");
		return;
	}
	if (report->result->regions.count[VERDICT_SUSPECT]) {
		print_step(number, "The mirror was running, so this is suspicion, though a strong one. If a first synchronisation runs, let it finish: it heals these regions unless a suspend, a snapshot, a resize or a reboot interrupts it. Otherwise deactivate the mirror and audit it again, for proof, or let mirrorctl repair-log --online prove and repair it under a short suspend.");
		print_step(number, "Until then do not convert it, and do not fail or replace leg 0.");
		return;
	}
	advise_on_proof(report, number);
}

static const char *advice_without_findings(const struct audit_report *report)
{
	if (has_remedies(&report->session->findings))
		return "see the warnings above.";
	if (report->selection->sampled)
		return "a sample proves nothing about the rest: audit without --sample to know.";
	if (report->session->log.clean < report->session->log.nr_regions)
		return "nothing: what is not clean the kernel copies at the next activation.";
	return "nothing.";
}

static void advise(const struct audit_report *report)
{
	const struct audit_result *result = report->result;
	unsigned int number = 0;

	if (!lies_of(report) && !result->regions.count[VERDICT_UNVERIFIABLE] &&
	    result->end == AUDIT_COMPLETE) {
		report_text_paragraph("What to do:", advice_without_findings(report));
		return;
	}
	printf("What to do:\n");
	if (lies_of(report))
		advise_on_lies(report, &number);
	if (result->regions.count[VERDICT_UNVERIFIABLE])
		print_step(&number, "Give the missing legs, or save what can be read of a failing one with ddrescue, and audit again.");
	if (result->end == AUDIT_CHANGED)
		print_step(&number, "Audit again when nothing changes the mirror.");
	if (result->end == AUDIT_STOPPED)
		print_step(&number, "Audit again, for the rest.");
}

/* What a sample allows to say of the whole. */
static void print_sample(const struct audit_report *report)
{
	const struct selection *selection = report->selection;
	uint64_t sampled = report->result->selected_regions, lies = lies_of(report);
	struct paragraph paragraph = { .used = 0 };

	if (!selection->sampled || report->result->end != AUDIT_COMPLETE)
		return;
	if (lies)
		say(&paragraph, "%" PRIu64 " of %" PRIu64 " sampled regions diverge, out of %" PRIu64
		    ": with 99 %% confidence at most %" PRIu64 " regions diverge.",
		    lies, sampled, selection->population, report->sample_bound);
	else
		say(&paragraph, "no divergence in %" PRIu64 " of %" PRIu64
		    " regions: with 99 %% confidence fewer than %" PRIu64 " regions diverge.",
		    sampled, selection->population, report->sample_bound + 1);
	putchar('\n');
	report_text_paragraph("sample", paragraph.text);
}

/* Where the differing regions lie says something about how they came to be. */
static void say_where(struct paragraph *found, const struct audit_report *report)
{
	unsigned int evidence = evidence_collect(report->result, &report->session->opened.mirror,
						 &report->session->log);

	if ((evidence & EVIDENCE_SCATTERED) && lies_of(report) > 1)
		say(found, "All regions up to %" PRIu64 " are equal; the differing ones lie above. ",
		    report->result->regions.runs[0].last);
}

static void conclude(const struct audit_report *report)
{
	struct paragraph found = { .used = 0 };
	const struct audit_result *result = report->result;
	uint64_t lies = lies_of(report);

	if (result->end == AUDIT_CHANGED)
		say(&found, "the mirror changed during the run (%s); %" PRIu64 " finding%s withdrawn. ",
		    report->change, result->withdrawn_regions,
		    result->withdrawn_regions == 1 ? " was" : "s were");
	if (result->end == AUDIT_STOPPED)
		say(&found, "the run was ended before everything was compared%s. ",
		    result->hung ? ", while a device did not answer" : "");
	if (lies)
		say(&found, "%" PRIu64 " region%s %s and %s not equal. ", lies,
		    lies == 1 ? " is" : "s are", report->session->has_log ? "called clean" :
		    "counted as in sync", lies == 1 ? "is" : "are");
	if (lies)
		say_where(&found, report);
	else if (!result->selected_regions)
		say(&found, "nothing was compared: the log calls no region clean. ");
	else if (result->regions.count[VERDICT_UNVERIFIABLE])
		say(&found, "no difference was found in what could be read. ");
	else if (result->end == AUDIT_COMPLETE)
		say(&found, "what was compared is as the %s. ", report->session->has_log ?
		    "log says" : "kernel counts");
	putchar('\n');
	report_text_paragraph("Found:", found.text);
	explain_causes(report);
	explain_future(report);
	advise(report);
}

void report_audit_body(const struct audit_report *report)
{
	report_text_mirror(report->session);
	print_compared(report);
	report_text_findings(&report->session->findings, report_color(report->words, STDOUT_FILENO));
	print_lies(report, VERDICT_BOGUS_CLEAN, "BOGUS", "called clean and differing");
	print_lies(report, VERDICT_SUSPECT, "SUSPECT", report->session->has_log ?
		   "clean and differing in every look" :
		   "counted as in sync and differing in every look");
	print_unreadable(report);
	print_pending(report);
	print_counts(report);
	print_agreement(report);
}

void report_audit_text(const struct audit_report *report)
{
	if (report->words->quiet)
		return;
	report_audit_body(report);
	print_sample(report);
	conclude(report);
}
