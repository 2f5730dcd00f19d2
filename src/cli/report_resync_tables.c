/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What resync offline writes to each leg, or would, sector by sector; and who agrees. */

#include "cli/report_resync.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/size.h"

#define RUNS_SHOWN 1000u
#define RUNS_SHOWN_TERMINAL 24u
#define REGIONS_WIDTH 48u

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* --- each leg ------------------------------------------------------------- */

static uint64_t runs_of_leg(const struct piece_list *list, unsigned int leg)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < list->nr; i++)
		nr += list->pieces[i].kind == leg;
	return nr;
}

/* Bytes that belong to no leg alone. */
static void print_beside(const struct resync_job *job, const struct resync_result *result)
{
	char bytes[32];
	uint64_t rewritten = 0;

	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++)
		rewritten += result->rewritten_bytes[leg];
	if (result->hole_bytes)
		printf("holes %17s  in every leg: equal, and not read\n",
		       size_format(bytes, sizeof(bytes), result->hole_bytes));
	if (rewritten)
		printf("%s of what %s written was equal before (--copy-all)\n",
		       size_format(bytes, sizeof(bytes), rewritten),
		       job->state == RESYNC_DONE ? "was" : "would be");
}

void report_resync_legs(const struct resync_job *job, const struct resync_result *result)
{
	char read[32], equal[32], written[32];

	printf("\n%-10s %12s %12s %12s  where\n", "", "read", "equal",
	       job->state == RESYNC_DONE ? "written" : "to write");
	for (unsigned int leg = 0; leg < job->session.opened.mirror.nr_legs; leg++) {
		uint64_t runs = runs_of_leg(&result->written, leg);

		size_format(read, sizeof(read), result->read_bytes[leg]);
		if (!job->words->plan && leg == job->words->source) {
			printf("leg %-6u %12s %12s %12s  the source\n", leg, read, "-", "-");
			continue;
		}
		size_format(equal, sizeof(equal), result->equal_bytes[leg]);
		size_format(written, sizeof(written), result->written_bytes[leg]);
		printf("leg %-6u %12s %12s %12s  ", leg, read, equal, written);
		if (runs)
			printf("%s%" PRIu64 " run%s of sectors\n",
			       result->written.truncated ? "more than " : "", runs, plural(runs));
		else
			printf("%s\n", result->written.truncated ? "beyond what is listed" : "nowhere");
	}
	print_beside(job, result);
}

/* --- each run of sectors -------------------------------------------------- */

static const char *content_words(char *out, size_t room, const struct piece_content *content)
{
	switch ((enum content)content->content) {
	case CONTENT_ZEROS: return "zeros";
	case CONTENT_ONES: return "bytes 0xff";
	case CONTENT_REPEATED:
		snprintf(out, room, "bytes 0x%02x", content->byte);
		return out;
	default: return "data";
	}
}

uint64_t report_resync_last_region(const struct region_geometry *geometry,
				   const struct piece *written)
{
	uint64_t last = written->start + written->count - 1;

	return last < geometry->length ? region_of_sector(geometry, last) :
					 geometry->nr_regions - 1;
}

static void print_write(const struct resync_job *job, const struct piece *piece)
{
	const struct region_geometry *geometry = &job->session.opened.mirror.geometry;
	uint64_t first = region_of_sector(geometry, piece->start);
	uint64_t last = report_resync_last_region(geometry, piece);
	char regions[REPORT_RANGE_MAX], sectors[48], held[24], given[24];

	report_text_range(regions, first, last);
	snprintf(sectors, sizeof(sectors), "%" PRIu64 "-%" PRIu64, piece->start,
		 piece->start + piece->count - 1);
	printf("  %-11s %-21s %9" PRIu64 "  %3u  %-11s", regions, sectors, piece->count,
	       piece->kind, content_words(held, sizeof(held), &piece->held));
	if (job->words->plan)
		printf("  %s (leg %u)\n", content_words(given, sizeof(given), &piece->given),
		       piece->source);
	else
		printf("  %s\n", content_words(given, sizeof(given), &piece->given));
}

void report_resync_writes(const struct resync_job *job, const struct resync_result *result)
{
	const struct piece_list *list = &result->written;
	size_t limit = isatty(STDOUT_FILENO) ? RUNS_SHOWN_TERMINAL : RUNS_SHOWN;

	if (!list->nr)
		return;
	if (job->words->report.verbose || job->words->report.max_runs)
		limit = list->nr;
	printf("\n  %-11s %-21s %9s  %3s  %-11s  %s\n", "region", "sectors", "to write", "leg",
	       "it holds", "it gets");
	for (size_t i = 0; i < list->nr && i < limit; i++)
		print_write(job, &list->pieces[i]);
	if (limit < list->nr)
		printf("  … and %zu more runs (--verbose lists them)\n", list->nr - limit);
	if (list->truncated)
		printf("  … and more above sector %" PRIu64 " (--max-runs keeps more of them)\n",
		       list->truncated_at - 1);
}

/* --- which legs agree ------------------------------------------------------ */

/* "0 | 1 = 2", then those that could not be read. */
static void format_groups(char *out, size_t room, const struct resync_agreement *agreement,
			  unsigned int nr_legs)
{
	size_t n = 0;

	for (unsigned int leg = 0; leg < nr_legs && n < room; leg++) {
		if (agreement->group[leg] != leg)
			continue;
		n += (size_t)snprintf(out + n, room - n, "%s%u", n ? " | " : "", leg);
		for (unsigned int other = leg + 1; other < nr_legs && n < room; other++)
			if (agreement->group[other] == leg)
				n += (size_t)snprintf(out + n, room - n, " = %u", other);
	}
	for (unsigned int leg = 0; leg < nr_legs && n < room; leg++)
		if (agreement->group[leg] == MIRROR_LEGS_MAX)
			n += (size_t)snprintf(out + n, room - n, " (%u not read)", leg);
}

/* "17-19, 25, …" */
static void format_regions(char *out, size_t room, const struct piece_list *runs, size_t kind)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < runs->nr; i++) {
		const struct piece *run = &runs->pieces[i];

		if (run->kind != kind)
			continue;
		if (n + 2 * 20 + 8 > room) {
			snprintf(out + n, room - n, ", …");
			return;
		}
		n += (size_t)snprintf(out + n, room - n, "%s%" PRIu64, n ? ", " : "", run->start);
		if (run->count > 1)
			n += (size_t)snprintf(out + n, room - n, "-%" PRIu64,
					      run->start + run->count - 1);
	}
	if (runs->truncated)
		snprintf(out + n, room - n, "%s…", n ? ", " : "");
}

/* Two legs or more that agree with each other, and not with leg 0, which was read. */
static bool is_against_leg_0(const struct resync_agreement *agreement, unsigned int nr_legs)
{
	for (unsigned int leg = 2; leg < nr_legs; leg++)
		if (!agreement->group[0] && agreement->group[leg] &&
		    agreement->group[leg] < leg)
			return true;
	return false;
}

uint64_t report_resync_against_leg_0(const struct resync_job *job)
{
	const struct resync_result *result = &job->preview;
	uint64_t regions = 0;

	for (size_t i = 0; job->previewed && i < result->nr_agreements; i++)
		if (is_against_leg_0(&result->agreements[i], job->session.opened.mirror.nr_legs))
			regions += result->agreements[i].regions;
	return regions;
}

void report_resync_agreement(const struct resync_job *job)
{
	const struct resync_result *result = &job->preview;
	uint64_t against = report_resync_against_leg_0(job);
	char groups[128], regions[160], text[600];

	if (!result->nr_agreements)
		return;
	printf("\nWhich legs agree, over the whole region, where they differ:\n"
	       "  %10s  %-15s  %s\n", "regions", "legs", "which");
	for (size_t i = 0; i < result->nr_agreements; i++) {
		format_groups(groups, sizeof(groups), &result->agreements[i],
			      job->session.opened.mirror.nr_legs);
		format_regions(regions, sizeof(regions), &result->agreement_runs, i);
		snprintf(text, sizeof(text), "  %10" PRIu64 "  %-15s ",
			 result->agreements[i].regions, groups);
		report_text_item(text, regions);
	}
	if (result->other_agreements)
		printf("  %10" PRIu64 "  in other ways\n", result->other_agreements);
	if (!against)
		return;
	snprintf(text, sizeof(text), "in %" PRIu64 " region%s legs agree with each other and not with leg 0. That is no majority: where a region is not in sync writes go to leg 0 alone, so after a first synchronisation that was interrupted the legs that agree are the stale ones, and leg 0 has the data. %s",
		 against, plural(against), job->words->plan ? "What becomes of it is for the plan." :
		 job->words->source ? "Leg 0 will be overwritten there." :
		 "Leg 0 is copied over them; --source and --plan choose otherwise.");
	putchar('\n');
	report_text_paragraph("NO VOTE", text);
}
