/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER	/* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

#define KEEP_MAX 8u
#define LOOK_MS 10
#define RESUME_TRIES 50u
#define START_MS 10000
#define NS_PER_MS UINT64_C(1000000)

enum state { IDLE, SUSPENDING, OPEN, WRITING, RESUMING, DONE, TAKEN };
enum word { WORD_READY = 'r', WORD_SUSPEND = 's', WORD_SUSPENDED = 'S', WORD_GO = 'q' };

struct watchdog_shared {
	atomic_int state;
	atomic_bool resumed;		/* the watchdog did */
	int start_error;
	const char *start_what;		/* a literal: the same address in both */
	int suspend_result;
	uint64_t began_ns, ended_ns, resumed_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool move(struct watchdog_shared *shared, int from, int to)
{
	return atomic_compare_exchange_strong(&shared->state, &from, to);
}

/* --- in the child: nothing but system calls ------------------------------ */

struct guard {
	struct watchdog_shared *shared;
	const struct watchdog_plan *plan;
	pid_t process;
	int socket;
	uint64_t deadline;	/* 0: nothing is suspended */
};

static void guard_sleep(unsigned int ms)
{
	const struct timespec time = { .tv_nsec = ms * (long)NS_PER_MS };

	nanosleep(&time, NULL);
}

/* The resume of a device that is gone, or of one that others resumed, needs no
 * second try; one that failed (no memory?) gets many. */
static bool guard_resume(const struct guard *guard, bool resuming)
{
	const struct watchdog_device *device = &guard->plan->device;

	for (unsigned int i = 0; i < RESUME_TRIES; i++) {
		int suspended = device->suspended(device->context, resuming);

		if (!suspended || suspended == -ENXIO)
			return true;
		if (!device->resume(device->context)) {
			guard->shared->resumed_ns = now_ns();
			atomic_store(&guard->shared->resumed, true);
			return true;
		}
		guard_sleep(100);
	}
	return false;
}

/* Everything is over: in order, or with a device that will not be resumed, whose
 * marker then stays. */
__attribute__((noreturn))
static void guard_end(const struct guard *guard, bool running)
{
	const struct watchdog_device *device = &guard->plan->device;

	if (running)
		device->unmark(device->context);
	_exit(running ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* The process has said so, or is gone, all its threads with it. */
__attribute__((noreturn))
static void guard_finish(const struct guard *guard)
{
	const struct watchdog_device *device = &guard->plan->device;
	int state = atomic_load(&guard->shared->state);
	bool running = true;

	if (state == IDLE)
		device->clear(device->context);
	else if (state != DONE)
		running = guard_resume(guard, state == RESUMING);
	guard_end(guard, running);
}

/* Does the process want something within `ms` (-1: wait)? Its end is EOF. */
static bool guard_hear(const struct guard *guard, int ms, enum word *word)
{
	struct pollfd event = { .fd = guard->socket, .events = POLLIN };
	char byte;

	if (poll(&event, 1, ms) <= 0)
		return false;
	if (read(guard->socket, &byte, 1) != 1 || byte == WORD_GO)
		guard_finish(guard);
	*word = (enum word)byte;
	return true;
}

static void guard_suspend(struct guard *guard)
{
	const struct watchdog_plan *plan = guard->plan;
	struct watchdog_shared *shared = guard->shared;
	const char answer = WORD_SUSPENDED;

	atomic_store(&shared->state, SUSPENDING);
	shared->began_ns = now_ns();
	shared->suspend_result = plan->device.suspend(plan->device.context);
	shared->ended_ns = now_ns();
	guard->deadline = 0;
	if (!shared->suspend_result)
		guard->deadline = shared->ended_ns +
				  ((uint64_t)plan->max_suspend_ms + plan->margin_ms) * NS_PER_MS;
	atomic_store(&shared->state, shared->suspend_result ? IDLE : OPEN);
	/* A process that is gone meanwhile is noticed at the next word. */
	if (send(guard->socket, &answer, 1, MSG_NOSIGNAL) < 0)
		return;
}

/* The time is over. */
static void guard_expire(struct guard *guard)
{
	uint64_t hard = guard->deadline + guard->plan->margin_ms * NS_PER_MS;
	struct watchdog_shared *shared = guard->shared;
	enum word word;

	while (!move(shared, OPEN, TAKEN)) {
		guard_hear(guard, LOOK_MS, &word);
		if (atomic_load(&shared->state) == DONE) {
			guard->deadline = 0;
			return;
		}
		if (now_ns() < hard)
			continue;
		/* Its end of the socket is open, so this is still its pid. */
		kill(guard->process, SIGKILL);
		hard = UINT64_MAX;
	}
	guard_end(guard, guard_resume(guard, false));
}

__attribute__((noreturn))
static void guard_run(struct guard *guard)
{
	enum word word;

	for (;;) {
		uint64_t now = now_ns();
		int ms = -1;

		if (guard->deadline && guard->deadline <= now) {
			guard_expire(guard);
			continue;
		}
		if (guard->deadline)
			ms = (int)((guard->deadline - now) / NS_PER_MS + 1);
		if (guard_hear(guard, ms, &word) && word == WORD_SUSPEND)
			guard_suspend(guard);
	}
}

static void close_range_or_each(unsigned int first, unsigned int last)
{
	struct rlimit limit;

#ifdef SYS_close_range
	if (!syscall(SYS_close_range, first, last, 0))
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 1u << 20)
		limit.rlim_cur = 1u << 20;
	for (; first <= last && first < limit.rlim_cur; first++)
		close((int)first);
}

/* What the process has open must be closed when it ends: the log, above all. */
static void close_others(const struct guard *guard)
{
	const struct watchdog_plan *plan = guard->plan;
	unsigned int first = 0;

	for (;;) {
		unsigned int next = (unsigned int)guard->socket >= first ?
				    (unsigned int)guard->socket : UINT32_MAX;

		for (unsigned int i = 0; i < plan->nr_keep; i++)
			if (plan->keep[i] >= (int)first && (unsigned int)plan->keep[i] < next)
				next = (unsigned int)plan->keep[i];
		if (next > first)
			close_range_or_each(first, next - 1);
		if (next == UINT32_MAX)
			return;
		first = next + 1;
	}
}

static void spare_from_oom(void)
{
	static const char never[] = "-1000";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Not root, not allowed: then it is only as safe as others. */
	if (write(fd, never, sizeof(never) - 1) < 0)
		errno = 0;
	close(fd);
}

__attribute__((noreturn))
static void guard_main(struct guard *guard)
{
	const char ready = WORD_READY;

	prctl(PR_SET_NAME, "mirrorctl-watch");
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	setsid();
	if (chdir("/"))
		errno = 0;
	spare_from_oom();
	close_others(guard);
	if (guard->plan->lock_memory && mlockall(MCL_CURRENT | MCL_FUTURE)) {
		guard->shared->start_error = errno;
		guard->shared->start_what = "lock its memory";
	}
	if (send(guard->socket, &ready, 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_FAILURE);
	if (guard->shared->start_error)
		_exit(EXIT_FAILURE);
	guard_run(guard);
}

/* --- in the process ------------------------------------------------------ */

/* The next word of the watchdog; false: it is gone, or silent for `ms`. */
static bool hear(struct watchdog *watchdog, int ms, enum word expected)
{
	struct pollfd event = { .fd = watchdog->socket, .events = POLLIN };
	char byte = 0;
	int r;

	do {
		r = poll(&event, 1, ms);
	} while (r < 0 && errno == EINTR);
	return r > 0 && read(watchdog->socket, &byte, 1) == 1 && byte == (char)expected;
}

static bool say(struct watchdog *watchdog, enum word word)
{
	const char byte = (char)word;

	return send(watchdog->socket, &byte, 1, MSG_NOSIGNAL) == 1;
}

static int start_failed(struct watchdog *watchdog, int code, const char *what, struct error *err)
{
	watchdog_stop(watchdog, NULL);
	return error_operation(err, code, "the watchdog that would resume the mirror cannot %s: "
			       "%s; nothing was suspended", what, error_reason(code));
}

static pid_t fork_guard(struct guard *guard, int other_end)
{
	sigset_t all, old;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (!pid) {
		close(other_end);
		guard_main(guard);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int watchdog_start(struct watchdog *watchdog, const struct watchdog_plan *plan,
		   struct error *err)
{
	struct guard guard = { .plan = plan, .process = getpid() };
	int ends[2];

	*watchdog = (struct watchdog){ .socket = -1 };
	watchdog->shared = mmap(NULL, sizeof(*watchdog->shared), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (watchdog->shared == MAP_FAILED) {
		watchdog->shared = NULL;
		return start_failed(watchdog, errno, "get memory", err);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return start_failed(watchdog, errno, "be connected", err);
	watchdog->socket = ends[0];
	guard.shared = watchdog->shared;
	guard.socket = ends[1];
	watchdog->pid = fork_guard(&guard, ends[0]);
	close(ends[1]);
	if (watchdog->pid < 0) {
		watchdog->pid = 0;
		return start_failed(watchdog, errno, "be started", err);
	}
	if (!hear(watchdog, START_MS, WORD_READY))
		return start_failed(watchdog, EIO, "get ready", err);
	if (watchdog->shared->start_error)
		return start_failed(watchdog, watchdog->shared->start_error,
				    watchdog->shared->start_what, err);
	return 0;
}

int watchdog_suspend(struct watchdog *watchdog, uint64_t *began_ns, uint64_t *ended_ns)
{
	struct watchdog_shared *shared = watchdog->shared;

	*began_ns = *ended_ns = now_ns();
	if (!say(watchdog, WORD_SUSPEND))
		return -EPIPE;
	/* As long as it takes: the kernel waits for all I/O of the device. */
	if (!hear(watchdog, -1, WORD_SUSPENDED)) {
		*ended_ns = now_ns();
		return -EPIPE;
	}
	*began_ns = shared->began_ns;
	*ended_ns = shared->ended_ns;
	return shared->suspend_result;
}

bool watchdog_is_alive(struct watchdog *watchdog)
{
	struct pollfd event = { .fd = watchdog->socket, .events = POLLIN };

	return watchdog->pid && poll(&event, 1, 0) == 0;
}

bool watchdog_write_begin(struct watchdog *watchdog)
{
	return watchdog_is_alive(watchdog) && move(watchdog->shared, OPEN, WRITING);
}

void watchdog_write_end(struct watchdog *watchdog)
{
	move(watchdog->shared, WRITING, OPEN);
}

bool watchdog_resume_begin(struct watchdog *watchdog)
{
	/* Killed in the middle of the suspend it has left SUSPENDING behind. */
	return move(watchdog->shared, OPEN, RESUMING) ||
	       move(watchdog->shared, SUSPENDING, RESUMING);
}

void watchdog_resume_end(struct watchdog *watchdog)
{
	move(watchdog->shared, RESUMING, DONE);
}

bool watchdog_stop(struct watchdog *watchdog, uint64_t *resumed_ns)
{
	bool resumed = false;

	if (watchdog->pid) {
		say(watchdog, WORD_GO);
		while (waitpid(watchdog->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (watchdog->socket >= 0)
		close(watchdog->socket);
	if (watchdog->shared) {
		resumed = atomic_load(&watchdog->shared->resumed);
		if (resumed && resumed_ns)
			*resumed_ns = watchdog->shared->resumed_ns;
		munmap(watchdog->shared, sizeof(*watchdog->shared));
	}
	*watchdog = (struct watchdog){ .socket = -1 };
	return resumed;
}
