/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include "cli/session.h"
#include "core/activation.h"
#include "core/audit.h"
#include "core/selection.h"

/* Two renderers of the same findings: report_text*.c for people, report_json.c
 * for programs. */

struct show_report {
	const struct session *session;
	const struct report_words *words;
	bool runs;
	bool map;
	int exit_status;
};

struct audit_report {
	const struct session *session;
	const struct report_words *words;
	const struct audit_result *result;
	const struct selection *selection;
	bool complete;		/* everything the log calls clean was in scope */
	char scope[160];	/* the scope in words */
	char change[ERROR_TEXT_BYTES];	/* what changed, when it did */
	uint64_t elapsed_ns;
	uint64_t sample_bound;	/* upper bound of diverging regions, when sampled */
	const char *identity_json;	/* mirror_identity_json(); NULL: left out */
	int exit_status;
};

void report_show_text(const struct show_report *report);
void report_show_json(const struct show_report *report);
void report_audit_text(const struct audit_report *report);
void report_audit_json(const struct audit_report *report);
/* What was compared and found, without what to think of it. */
void report_audit_body(const struct audit_report *report);

/* Names are typed, or come out of files: none of them may break a line, or reach a terminal
 * as an escape sequence. All below prints text like this. */
void report_text_plain(FILE *stream, const char *text);
/* Shared by both text reports: the lines about the mirror and its log, then the
 * findings, wrapped to the terminal's width. */
void report_text_mirror(const struct session *session);
void report_text_findings(const struct finding_list *findings, bool color);
/* A paragraph behind a heading, wrapped. */
void report_text_paragraph(const char *heading, const char *text);
/* The same behind the heading of a class of findings. */
void report_text_classed(enum finding_class class, bool color, const char *text);
void report_text_bullet(const char *text);
void report_text_item(const char *mark, const char *text);
/* "204", "200-201" */
#define REPORT_RANGE_MAX 48
const char *report_text_range(char out[REPORT_RANGE_MAX], uint64_t first, uint64_t last);
/* The set bits as "200-201, 204, 207", cut with an ellipsis where the room ends. */
void report_text_regions(char *out, size_t room, const struct bitmap *regions);
/* What the kernel will do with this log at the next activation, one sentence. */
void report_activation_sentence(char *out, size_t room, const struct session *session);

#endif
