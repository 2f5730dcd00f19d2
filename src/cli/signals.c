/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/signals.h"

#include <signal.h>
#include <stddef.h>

#include "io/lvm.h"

static volatile sig_atomic_t stop_wanted;
static volatile sig_atomic_t status_wanted;

static void on_stop(int number)
{
	if (stop_wanted) {	/* asked twice: at once, by the signal itself */
		signal(number, SIG_DFL);
		raise(number);
	}
	stop_wanted = 1;
}

/* A terminal that goes may say so twice: its shell does, and the kernel. */
static void on_hangup(int number)
{
	(void)number;
	stop_wanted = 1;
}

static void on_status(int number)
{
	(void)number;
	status_wanted = 1;
}

/* An orderly end, as a login that breaks off must not leave LVM kept out; nohup(1) has
 * the last word. */
static void catch_hangup(void)
{
	struct sigaction hangup = { .sa_handler = on_hangup, .sa_flags = SA_RESTART }, now;

	if (!sigaction(SIGHUP, NULL, &now) && now.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &hangup, NULL);
}

void signals_install(void)
{
	/* Restarted, or a signal would cut a report short that a pipe takes slowly. What
	 * waits looks several times a second whether it shall go on. */
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
	struct sigaction status = { .sa_handler = on_status, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGUSR1, &status, NULL);
	catch_hangup();
	signal(SIGPIPE, SIG_IGN);	/* close_stdout() reports it */
	signal(SIGXFSZ, SIG_IGN);	/* whoever writes reports it */
	lvm_watch_cancel(signals_cancelled, NULL);
}

bool signals_stop_wanted(void)
{
	return stop_wanted;
}

bool signals_status_wanted(void)
{
	bool wanted = status_wanted;

	status_wanted = 0;
	return wanted;
}

bool signals_cancelled(void *context)
{
	(void)context;
	return stop_wanted;
}
