/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_COMPARISON_H
#define CLI_COMPARISON_H

#include "cli/progress.h"
#include "cli/session.h"
#include "core/audit.h"

/* An audit of an open session, with progress, signals and a look at the mirror once a
 * second: what audit, and every command that acts on an audit, begins with. */
struct comparison {
	const struct bitmap *selected;	/* regions to compare */
	struct bitmap *lies;		/* NULL, or as audit_input.lies */
	uint64_t rate_bytes;
	/* filled by comparison_run() */
	struct audit_result result;
	uint64_t elapsed_ns;
	char change[ERROR_TEXT_BYTES];		/* what changed meanwhile, when something did */
};

/* 0, also when it ended early (result.end), or -errno with an error. Freed with
 * comparison_free(), which accepts a zeroed one and leaves what a device still holds
 * (result.hung) to the process. */
int comparison_run(struct comparison *comparison, struct session *session,
		   const struct report_words *words, struct error *err);
void comparison_free(struct comparison *comparison);

/* The verdicts become findings of the session. */
void comparison_add_findings(const struct comparison *comparison, struct session *session);

#endif
