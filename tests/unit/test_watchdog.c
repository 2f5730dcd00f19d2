/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/watchdog.h"
#include "unit/suites.h"

#define MAX_MS 200u
#define MARGIN_MS 150u
#define FOR_EVER_MS 5000u

/*
 * A device in memory that a test, a process under guard and its watchdog share. The
 * process is a child, because it is killed and stopped.
 */
struct world {
	atomic_int suspended;
	atomic_int loaded;		/* our table waits in the slot */
	atomic_int suspends, resumes, clears, unmarks;
	atomic_int orphaned;		/* at the resume the process was gone */
	atomic_int suspend_error;
	atomic_int suspend_ms;
	atomic_int resume_failures;	/* so many fail first */
	atomic_int said[8];		/* what the process saw */
	atomic_int pid;			/* of the watchdog */
};

static struct world *world;
static int lifeline[2];			/* the process holds the write end */

static void sleep_ms(unsigned int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

/* --- the device ---------------------------------------------------------- */

static int fake_suspend(void *context)
{
	(void)context;
	world->suspends++;
	sleep_ms((unsigned int)world->suspend_ms);
	if (world->suspend_error)
		return world->suspend_error;
	world->suspended = 1;
	return 0;
}

static int fake_suspended(void *context, bool resuming)
{
	(void)context;
	return world->suspended && (!resuming || world->loaded);
}

static int fake_resume(void *context)
{
	struct pollfd event = { .fd = lifeline[0] };

	(void)context;
	if (world->resume_failures > 0) {
		world->resume_failures--;
		return -ENOMEM;
	}
	/* Of the files of a process that ends, one is closed before the other. */
	world->orphaned = poll(&event, 1, 50) == 1 && event.revents & POLLHUP;
	world->suspended = world->loaded = 0;
	world->resumes++;
	return 0;
}

static void fake_clear(void *context)
{
	(void)context;
	world->loaded = 0;
	world->clears++;
}

static void fake_unmark(void *context)
{
	(void)context;
	world->unmarks++;
}

/* --- the process --------------------------------------------------------- */

static void start(struct watchdog *watchdog)
{
	const int keep[] = { lifeline[0] };
	const struct watchdog_plan plan = {
		.device = {
			.suspend = fake_suspend, .suspended = fake_suspended,
			.resume = fake_resume, .clear = fake_clear, .unmark = fake_unmark,
		},
		.max_suspend_ms = MAX_MS, .margin_ms = MARGIN_MS, .keep = keep, .nr_keep = 1,
	};

	if (watchdog_start(watchdog, &plan, NULL))
		_exit(9);
	world->pid = watchdog->pid;
	world->loaded = 1;
}

static int suspend(struct watchdog *watchdog)
{
	uint64_t began, ended;
	int r = watchdog_suspend(watchdog, &began, &ended);

	world->said[7] = (int)((ended - began) / 1000000);
	return r;
}

static void setup(void)
{
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	ck_assert_ptr_ne(world, MAP_FAILED);
	ck_assert_int_eq(pipe(lifeline), 0);
}

static void teardown(void)
{
	munmap(world, sizeof(*world));
	if (lifeline[0] >= 0)
		close(lifeline[0]);
	if (lifeline[1] >= 0)
		close(lifeline[1]);
}

/* Runs `body` in a process of its own, which alone holds the lifeline. */
static pid_t process(void (*body)(struct watchdog *watchdog))
{
	struct watchdog watchdog;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		body(&watchdog);
		_exit(0);
	}
	close(lifeline[1]);
	lifeline[1] = -1;
	return pid;
}

/* Within two seconds. */
static bool becomes(atomic_int *value, int wanted)
{
	for (unsigned int i = 0; i < 400 && *value != wanted; i++)
		sleep_ms(5);
	return *value == wanted;
}

static int end_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void in_order(struct watchdog *watchdog)
{
	start(watchdog);
	world->said[0] = suspend(watchdog);
	world->said[1] = watchdog_write_begin(watchdog);
	watchdog_write_end(watchdog);
	world->said[2] = watchdog_resume_begin(watchdog);
	world->suspended = world->loaded = 0;
	watchdog_resume_end(watchdog);
	world->said[3] = watchdog_stop(watchdog, NULL);
	world->said[4] = watchdog_stop(watchdog, NULL);
}

START_TEST(it_does_nothing_when_all_goes_well)
{
	world->suspend_ms = 30;
	ck_assert_int_eq(end_of(process(in_order)), 0);
	ck_assert_int_eq(world->suspends, 1);
	ck_assert_int_eq(world->said[0], 0);
	ck_assert(world->said[1] && world->said[2]);
	ck_assert(!world->said[3] && !world->said[4]);
	ck_assert_int_ge(world->said[7], 30);
	ck_assert_int_eq(world->resumes, 0);
	ck_assert_int_eq(world->clears, 0);
}
END_TEST

/* After the resume somebody else suspends it: none of its business. */
static void in_order_and_wait(struct watchdog *watchdog)
{
	start(watchdog);
	suspend(watchdog);
	watchdog_resume_begin(watchdog);
	world->loaded = 0;		/* swapped in, and suspended again by others */
	watchdog_resume_end(watchdog);
	world->said[0] = 1;
	sleep_ms(MAX_MS + 3 * MARGIN_MS);
	world->said[1] = watchdog_is_alive(watchdog);
	world->said[2] = watchdog_stop(watchdog, NULL);
}

START_TEST(it_leaves_alone_what_others_suspend_later)
{
	ck_assert_int_eq(end_of(process(in_order_and_wait)), 0);
	ck_assert_int_eq(world->said[1], 1);
	ck_assert_int_eq(world->said[2], 0);
	ck_assert_int_eq(world->resumes, 0);
	ck_assert_int_eq(world->suspended, 1);
}
END_TEST

static void before_the_suspend(struct watchdog *watchdog)
{
	start(watchdog);
	world->said[0] = 1;
	sleep_ms(FOR_EVER_MS);
}

START_TEST(killed_before_the_suspend)
{
	pid_t pid = process(before_the_suspend);

	ck_assert(becomes(&world->said[0], 1));
	world->suspended = 1;		/* by somebody else, meanwhile */
	kill(pid, SIGKILL);
	end_of(pid);
	ck_assert(becomes(&world->unmarks, 1));
	ck_assert_int_eq(world->clears, 1);
	ck_assert_int_eq(world->resumes, 0);
}
END_TEST

static void under_the_suspend(struct watchdog *watchdog)
{
	start(watchdog);
	if (suspend(watchdog))
		_exit(8);
	world->said[0] = 1;
	sleep_ms(FOR_EVER_MS);
}

START_TEST(killed_under_the_suspend)
{
	pid_t pid = process(under_the_suspend);

	world->resume_failures = 2;
	ck_assert(becomes(&world->said[0], 1));
	kill(pid, SIGKILL);
	end_of(pid);
	ck_assert(becomes(&world->unmarks, 1));
	ck_assert_int_eq(world->resumes, 1);
	ck_assert_int_eq(world->orphaned, 1);
	ck_assert_int_eq(world->suspended, 0);
	ck_assert_int_eq(world->clears, 0);
}
END_TEST

START_TEST(killed_in_the_suspend_call)
{
	pid_t pid = process(under_the_suspend);

	world->suspend_ms = 300;
	ck_assert(becomes(&world->suspends, 1));
	kill(pid, SIGKILL);
	end_of(pid);
	ck_assert(becomes(&world->unmarks, 1));
	ck_assert_int_eq(world->suspended, 0);
	ck_assert_int_eq(world->resumes, 1);
}
END_TEST

static void suspend_fails(struct watchdog *watchdog)
{
	start(watchdog);
	world->said[0] = suspend(watchdog);
	sleep_ms(MAX_MS + 3 * MARGIN_MS);
	kill(getpid(), SIGKILL);
}

START_TEST(a_suspend_that_fails)
{
	world->suspend_error = -EINTR;
	end_of(process(suspend_fails));
	ck_assert(becomes(&world->unmarks, 1));
	ck_assert_int_eq(world->said[0], -EINTR);
	ck_assert_int_eq(world->resumes, 0);
	ck_assert_int_eq(world->clears, 1);
}
END_TEST

/* --- the deadline -------------------------------------------------------- */

static void too_slow(struct watchdog *watchdog)
{
	uint64_t resumed_ns = 0;

	start(watchdog);
	suspend(watchdog);
	sleep_ms(MAX_MS + 3 * MARGIN_MS);
	world->said[0] = world->resumes;
	world->said[1] = watchdog_write_begin(watchdog);
	world->said[2] = watchdog_resume_begin(watchdog);
	world->said[3] = watchdog_stop(watchdog, &resumed_ns);
	world->said[4] = resumed_ns != 0;
}

START_TEST(too_slow_and_it_takes_over)
{
	ck_assert_int_eq(end_of(process(too_slow)), 0);
	ck_assert_int_eq(world->said[0], 1);
	ck_assert_int_eq(world->said[1], 0);	/* never may it write now */
	ck_assert_int_eq(world->said[2], 0);	/* nor resume what others suspend */
	ck_assert_int_eq(world->said[3], 1);
	ck_assert_int_eq(world->said[4], 1);
	ck_assert_int_eq(world->orphaned, 0);	/* … but it was not killed for that */
	ck_assert_int_eq(world->unmarks, 1);
}
END_TEST

static void writes_for_ever(struct watchdog *watchdog)
{
	start(watchdog);
	suspend(watchdog);
	world->said[0] = watchdog_write_begin(watchdog);
	sleep_ms(FOR_EVER_MS);
}

START_TEST(killed_first_when_it_writes)
{
	pid_t pid = process(writes_for_ever);
	int status = end_of(pid);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	ck_assert(becomes(&world->unmarks, 1));
	ck_assert_int_eq(world->said[0], 1);
	ck_assert_int_eq(world->resumes, 1);
	ck_assert_int_eq(world->orphaned, 1);	/* resumed only then */
}
END_TEST

static void writes_a_little_long(struct watchdog *watchdog)
{
	start(watchdog);
	suspend(watchdog);
	watchdog_write_begin(watchdog);
	sleep_ms(MAX_MS + MARGIN_MS + MARGIN_MS / 2);
	world->said[0] = world->resumes;
	watchdog_write_end(watchdog);
	sleep_ms(2 * MARGIN_MS);
	world->said[1] = world->resumes;
	world->said[2] = watchdog_stop(watchdog, NULL);
}

START_TEST(a_write_is_waited_for)
{
	ck_assert_int_eq(end_of(process(writes_a_little_long)), 0);
	ck_assert_int_eq(world->said[0], 0);
	ck_assert_int_eq(world->said[1], 1);
	ck_assert_int_eq(world->said[2], 1);
}
END_TEST

static void resumes_for_ever(struct watchdog *watchdog)
{
	start(watchdog);
	suspend(watchdog);
	watchdog_resume_begin(watchdog);
	if (world->said[1])		/* the request had been carried out */
		world->loaded = 0;
	sleep_ms(FOR_EVER_MS);
}

START_TEST(killed_first_when_it_resumes)
{
	/* 0: before the request. 1: behind it, and somebody else has suspended since. */
	world->said[1] = _i;
	ck_assert(WIFSIGNALED(end_of(process(resumes_for_ever))));
	ck_assert(becomes(&world->unmarks, 1));
	ck_assert_int_eq(world->resumes, !_i);
	ck_assert_int_eq(world->suspended, _i);
	ck_assert(_i || world->orphaned);
}
END_TEST

/* --- the watchdog itself ------------------------------------------------- */

START_TEST(signals_do_not_reach_it)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGALRM };
	pid_t pid = process(under_the_suspend);

	ck_assert(becomes(&world->said[0], 1));
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(world->pid, signals[i]);
	ck_assert_int_eq(getsid(world->pid), world->pid);
	kill(pid, SIGKILL);
	end_of(pid);
	ck_assert(becomes(&world->resumes, 1));
}
END_TEST

static void watchdog_is_killed(struct watchdog *watchdog)
{
	start(watchdog);
	suspend(watchdog);
	world->said[0] = watchdog_is_alive(watchdog);
	kill(watchdog->pid, SIGKILL);
	sleep_ms(50);
	world->said[1] = watchdog_is_alive(watchdog);
	world->said[2] = watchdog_write_begin(watchdog);
	world->said[3] = watchdog_resume_begin(watchdog);
	world->said[4] = watchdog_stop(watchdog, NULL);
}

START_TEST(without_it_nothing_is_written)
{
	ck_assert_int_eq(end_of(process(watchdog_is_killed)), 0);
	ck_assert_int_eq(world->said[0], 1);
	ck_assert_int_eq(world->said[1], 0);
	ck_assert_int_eq(world->said[2], 0);
	ck_assert_int_eq(world->said[3], 1);	/* somebody has to */
	ck_assert_int_eq(world->said[4], 0);
}
END_TEST

static void killed_while_suspending(struct watchdog *watchdog)
{
	pid_t killer;

	start(watchdog);
	killer = fork();
	if (!killer) {
		sleep_ms(100);
		kill(watchdog->pid, SIGKILL);
		_exit(0);
	}
	world->said[0] = suspend(watchdog);
	world->said[1] = watchdog_resume_begin(watchdog);
	watchdog_stop(watchdog, NULL);
	waitpid(killer, NULL, 0);
}

START_TEST(gone_in_the_suspend_call)
{
	world->suspend_ms = 1000;
	ck_assert_int_eq(end_of(process(killed_while_suspending)), 0);
	ck_assert_int_eq(world->said[0], -EPIPE);
	ck_assert_int_eq(world->said[1], 1);
}
END_TEST

/* It shares nothing that the process has open: else the log would stay open. */
static void closes_the_lifeline(struct watchdog *watchdog)
{
	struct pollfd event = { .fd = lifeline[0] };

	start(watchdog);
	close(lifeline[1]);
	world->said[0] = poll(&event, 1, 1000) == 1 && event.revents & POLLHUP;
	watchdog_stop(watchdog, NULL);
}

START_TEST(it_holds_nothing_open)
{
	ck_assert_int_eq(end_of(process(closes_the_lifeline)), 0);
	ck_assert_int_eq(world->said[0], 1);
}
END_TEST

Suite *watchdog_suite(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *tcase = tcase_create("watchdog");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, it_does_nothing_when_all_goes_well);
	tcase_add_test(tcase, it_leaves_alone_what_others_suspend_later);
	tcase_add_test(tcase, killed_before_the_suspend);
	tcase_add_test(tcase, killed_under_the_suspend);
	tcase_add_test(tcase, killed_in_the_suspend_call);
	tcase_add_test(tcase, a_suspend_that_fails);
	tcase_add_test(tcase, too_slow_and_it_takes_over);
	tcase_add_test(tcase, killed_first_when_it_writes);
	tcase_add_test(tcase, a_write_is_waited_for);
	tcase_add_loop_test(tcase, killed_first_when_it_resumes, 0, 2);
	tcase_add_test(tcase, signals_do_not_reach_it);
	tcase_add_test(tcase, without_it_nothing_is_written);
	tcase_add_test(tcase, gone_in_the_suspend_call);
	tcase_add_test(tcase, it_holds_nothing_open);
	suite_add_tcase(suite, tcase);
	return suite;
}
