/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/json_stream.h"
#include "core/size.h"

#define NS_PER_S UINT64_C(1000000000)
#define REDRAW_NS (NS_PER_S / 5)
#define LINE_NS (10 * NS_PER_S)
#define JSON_NS NS_PER_S
#define BAR_CELLS 24u

uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_hook_now(void *context)
{
	(void)context;
	return clock_now_ns();
}

void clock_hook_sleep(void *context, unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)context;
	nanosleep(&time, NULL);
}

void progress_start(struct progress *progress, const struct report_words *words)
{
	bool terminal = isatty(STDERR_FILENO);

	*progress = (struct progress){ .when = words->progress, .terminal = terminal };
	if (progress->when == WHEN_AUTO)
		progress->when = words->quiet ? WHEN_NEVER : WHEN_ALWAYS;
	progress->started_ns = progress->shown_ns = clock_now_ns();
}

static const char *format_seconds(char *out, size_t room, uint64_t seconds)
{
	if (seconds < 60)
		snprintf(out, room, "%" PRIu64 " s", seconds);
	else if (seconds < 3600)
		snprintf(out, room, "%" PRIu64 " min %02" PRIu64 " s", seconds / 60, seconds % 60);
	else
		snprintf(out, room, "%" PRIu64 " h %02" PRIu64 " min", seconds / 3600, seconds / 60 % 60);
	return out;
}

/* "12.3 %  970 MiB/s  5 min 02 s left" */
static void format_state(char *out, size_t room, const struct progress *progress,
			 const struct audit_progress *at, uint64_t now)
{
	double elapsed = (double)(now - progress->started_ns) / 1e9;
	double part = at->total_sectors ? (double)at->done_sectors / (double)at->total_sectors : 1;
	uint64_t rate = elapsed > 0 ? (uint64_t)((double)at->bytes_per_leg / elapsed) : 0;
	char speed[32], left[32];

	if (at->looking_again) {
		snprintf(out, room, "%5.1f %%  looking again at %" PRIu64 " sectors that differ",
			 100 * part, at->found_sectors);
		return;
	}
	size_format(speed, sizeof(speed), rate);
	if (part > 0 && elapsed >= 1)
		format_seconds(left, sizeof(left), (uint64_t)(elapsed / part - elapsed + 0.5));
	else
		snprintf(left, sizeof(left), "?");
	snprintf(out, room, "%5.1f %%  %s/s  %s left%s", 100 * part, speed, left,
		 at->found_sectors ? "  DIFFERENCES" : "");
}

static void show_json(const struct progress *progress, const struct audit_progress *at, uint64_t now)
{
	fprintf(stderr, "{\"progress\": {\"done_sectors\": %" PRIu64 ", \"total_sectors\": %" PRIu64
		", \"read_bytes_per_leg\": %" PRIu64 ", \"differing_sectors\": %" PRIu64
		", \"looking_again\": %s, \"elapsed_ms\": %" PRIu64 "}}\n",
		at->done_sectors, at->total_sectors, at->bytes_per_leg, at->found_sectors,
		at->looking_again ? "true" : "false", (now - progress->started_ns) / 1000000);
}

static unsigned int terminal_columns(void)
{
	struct winsize size;

	return !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

static void draw_bar(struct progress *progress, const struct audit_progress *at, const char *state)
{
	unsigned int columns = terminal_columns();
	unsigned int full = at->total_sectors ? (unsigned int)((double)at->done_sectors * BAR_CELLS /
							       (double)at->total_sectors) : BAR_CELLS;
	char bar[BAR_CELLS + 1];

	memset(bar, ' ', BAR_CELLS);
	memset(bar, '=', full < BAR_CELLS ? full : BAR_CELLS);
	bar[BAR_CELLS] = '\0';
	/* Never a line that wraps: redrawing would scroll the screen. */
	if (columns > BAR_CELLS + 40)
		fprintf(stderr, "\r[%s] %.*s\033[K", bar, (int)(columns - BAR_CELLS - 4), state);
	else
		fprintf(stderr, "\r%.*s\033[K", (int)(columns ? columns - 1 : 0), state);
	progress->drawn = true;
}

void progress_show(struct progress *progress, const struct audit_progress *at, bool at_once)
{
	uint64_t now = clock_now_ns();
	bool bar = progress->when == WHEN_ALWAYS && progress->terminal;
	uint64_t interval = progress->when == WHEN_JSON ? JSON_NS : bar ? REDRAW_NS : LINE_NS;
	char state[120];

	if (!at_once && (progress->when == WHEN_NEVER || now - progress->shown_ns < interval))
		return;
	progress->shown_ns = now;
	if (progress->when == WHEN_JSON) {
		show_json(progress, at, now);
		return;
	}
	format_state(state, sizeof(state), progress, at, now);
	if (bar && !at_once)
		draw_bar(progress, at, state);
	else
		fprintf(stderr, "%smirrorctl:%s\n", progress->drawn ? "\r\033[K" : "", state);
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}
