/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_EXTRACT_H
#define CLI_REPORT_EXTRACT_H

#include "cli/opts.h"
#include "core/extract.h"

/* What a file holds; with `output` also what was written from it. */
struct extract_report {
	const struct extract *extract;
	const struct report_words *words;
	const char *file;
	const char *output;	/* NULL: only a list was wanted */
	unsigned int leg;
	struct region_run span;	/* sectors of the mirror that the output stands for */
	int exit_status;
};

void report_extract_text(const struct extract_report *report);
void report_extract_json(const struct extract_report *report);

#endif
