/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/probe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_MS 2000

/* The words of an assertion would stand between our own, and puzzle. */
static void be_quiet(void)
{
	const struct rlimit none = { 0, 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDERR_FILENO);
	setrlimit(RLIMIT_CORE, &none);
}

static void work_and_tell(void *answer, size_t bytes, probe_work *work, void *context, int out)
{
	int ret;
	const struct iovec told[] = {
		{ .iov_base = &ret, .iov_len = sizeof(ret) },
		{ .iov_base = answer, .iov_len = bytes },
	};

	be_quiet();
	ret = work(answer, context);
	_exit(writev(out, told, 2) != (ssize_t)(sizeof(ret) + bytes));
}

/* A signal ends the wait too: its sender does not want to wait for a label. */
static int wait_for_answer(int in, void *answer, size_t bytes)
{
	struct pollfd ready = { .fd = in, .events = POLLIN };
	int r = poll(&ready, 1, PROBE_MS), ret;

	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	if (read(in, &ret, sizeof(ret)) != sizeof(ret))
		return -EIO;
	if (ret)
		return ret;
	return read(in, answer, bytes) == (ssize_t)bytes ? 0 : -EIO;
}

int probe_child_ask(void *answer, size_t bytes, probe_work *work, void *context)
{
	int ends[2], ret;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child == 0)
		work_and_tell(answer, bytes, work, context, ends[1]);
	close(ends[1]);
	ret = child < 0 ? -EAGAIN : wait_for_answer(ends[0], answer, bytes);
	close(ends[0]);
	if (child > 0 && (ret == -ETIMEDOUT || ret == -EINTR))
		kill(child, SIGKILL);	/* a device that hangs holds it: not waited for */
	else if (child > 0)
		waitpid(child, NULL, 0);
	return ret;
}
