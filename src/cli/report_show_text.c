/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/picture.h"
#include "core/size.h"

/* The next run of clean or not clean regions; bits the kernel would not believe
 * count as not clean. */
static bool next_run(const struct mirror_log *log, uint64_t from, uint64_t *last, bool *clean)
{
	uint64_t first;

	if (from >= log->nr_regions)
		return false;
	*clean = from < log->clean_bits.nr_bits && bitmap_test(&log->clean_bits, from);
	if (from >= log->clean_bits.nr_bits)
		*last = log->nr_regions - 1;
	else if (!bitmap_next_run(&log->clean_bits, *clean, from, &first, last))
		*last = log->nr_regions - 1;
	if (!*clean && *last + 1 == log->clean_bits.nr_bits)
		*last = log->nr_regions - 1;
	return true;
}

static void print_run(const struct region_geometry *geometry, uint64_t first, uint64_t last,
		      bool clean)
{
	char regions[REPORT_RANGE_MAX], sectors[48], bytes[32];

	report_text_range(regions, first, last);
	printf("  %-22s %-10s", regions, clean ? "clean" : "not clean");
	if (geometry->nr_regions) {
		uint64_t start = region_start(geometry, first);
		uint64_t count = region_run_sectors(geometry, (struct region_run){ first, last });

		snprintf(sectors, sizeof(sectors), "%" PRIu64 "-%" PRIu64, start, start + count - 1);
		printf(" %-26s %s", sectors, size_format(bytes, sizeof(bytes), count * SECTOR_BYTES));
	}
	putchar('\n');
}

static void print_runs(const struct show_report *report)
{
	const struct mirror_log *log = &report->session->log;
	const struct region_geometry *geometry = &report->session->opened.mirror.geometry;
	uint64_t from = 0, last;
	size_t left = report->words->max_runs ? report->words->max_runs : MAX_RUNS_DEFAULT;
	bool clean;

	printf("\n  %-22s %-10s%s\n", "regions", "bit",
	       geometry->nr_regions ? " sectors                    size" : "");
	while (next_run(log, from, &last, &clean)) {
		if (!left--) {
			printf("  … and more: --max-runs lists them\n");
			break;
		}
		print_run(geometry, from, last, clean);
		from = last + 1;
	}
}

static void print_unknowns(const struct session *session)
{
	if (!session->opened.log_only)
		return;
	putchar('\n');
	report_text_paragraph("Unknown:", session->opened.mirror.geometry.nr_regions ?
		"with the log alone nothing can be said about the legs: whether a clean bit is true shows only when they are compared." :
		"a log does not hold the region size, the mirror's length or its legs. Which sectors a bit stands for, whether the number of regions is right and whether the bits are true cannot be told from it; --region-size and --length give the places, --leg lets audit compare.");
}

void report_show_text(const struct show_report *report)
{
	const struct session *session = report->session;
	bool color = report_color(report->words, STDOUT_FILENO);
	char text[400];

	if (report->words->quiet)
		return;
	report_text_mirror(session);
	report_text_findings(&session->findings, color);
	if (session->has_log && report->map) {
		putchar('\n');
		picture_print(stdout, &session->log.clean_bits, session->log.nr_regions,
			      report_columns(), color);
	}
	if (session->has_log && report->runs)
		print_runs(report);
	print_unknowns(session);
	if (session->has_log && session->opened.mirror.geometry.nr_regions) {
		report_activation_sentence(text, sizeof(text), session);
		putchar('\n');
		report_text_paragraph("At the next resume", text);
	}
}
