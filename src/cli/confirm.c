/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/confirm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/signals.h"

#define LOOK_MS 200

/* Waits for a line; a signal ends the wait. Nothing, or more than text, is no answer. */
static bool read_answer(char *answer, size_t room)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t n = 0;

	while (!signals_stop_wanted() && poll(&input, 1, LOOK_MS) <= 0)
		;
	if (!signals_stop_wanted())
		n = read(STDIN_FILENO, answer, room - 1);
	if (n <= 0 || memchr(answer, '\0', (size_t)n))
		return false;
	answer[n] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	return true;
}

int confirm_name(const struct write_words *words, const char *name, struct error *err)
{
	char answer[4096];

	if (words->yes)
		return 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return error_usage(err, "there is no terminal to ask on: say --yes to do this, or "
				   "--dry-run to look only; nothing was changed");
	fflush(stdout);
	fprintf(stderr, "\nType the mirror's name, ");
	report_text_plain(stderr, name);
	fprintf(stderr, ", to do this: ");
	if (!read_answer(answer, sizeof(answer))) {
		fputc('\n', stderr);
		if (signals_stop_wanted())
			return error_operation(err, ECANCELED, "interrupted; nothing was changed");
		return error_usage(err, "no answer; nothing was changed");
	}
	if (strcmp(answer, name))
		return error_usage(err, "that is not its name; nothing was changed");
	return 0;
}
