/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/opts.h"
#include "core/audit.h"

/*
 * Progress on stderr: a bar that redraws itself on a terminal, a line now and
 * then elsewhere, JSON lines when asked for. Rate and time left are of this run
 * alone.
 */
struct progress {
	enum when when;		/* WHEN_AUTO is resolved by progress_start() */
	bool terminal;
	bool drawn;		/* a bar stands in the current line */
	uint64_t started_ns, shown_ns;
};

void progress_start(struct progress *progress, const struct report_words *words);
/* Shows where the run is, if it is time to, or at once with `now` (SIGUSR1). */
void progress_show(struct progress *progress, const struct audit_progress *at, bool now);
/* Clears the bar before the report. */
void progress_end(struct progress *progress);

/* Monotonic time. */
uint64_t clock_now_ns(void);
/* The same, and a pause, as the hooks of core want them. */
uint64_t clock_hook_now(void *context);
void clock_hook_sleep(void *context, unsigned int ms);

#endif
