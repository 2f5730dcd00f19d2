/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/probe_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/child_files.h"

#define PROBE_MS 2000

/* The words of an assertion would stand between our own, and puzzle. */
static void child_begin(int *out)
{
	const struct rlimit none = { 0, 0 };

	child_files_close(out);
	setrlimit(RLIMIT_CORE, &none);
}

__attribute__((noreturn))
static void work_and_tell(const struct probe_question *questions, size_t nr, size_t bytes,
			  probe_work *work, int out)
{
	child_begin(&out);
	for (size_t i = 0; i < nr; i++) {
		int ret = work(questions[i].answer, questions[i].context);
		const struct iovec told[] = {
			{ .iov_base = &ret, .iov_len = sizeof(ret) },
			{ .iov_base = questions[i].answer, .iov_len = ret ? 0 : bytes },
		};

		if (writev(out, told, 2) != (ssize_t)(sizeof(ret) + told[1].iov_len))
			_exit(1);
	}
	_exit(0);
}

/* A signal ends the wait too: its sender does not want to wait for a label. False: no
 * more answers will come from this child. */
static bool wait_for_answer(struct probe_question *question, int in, size_t bytes)
{
	struct pollfd ready = { .fd = in, .events = POLLIN };
	int r = poll(&ready, 1, PROBE_MS);

	if (r <= 0) {
		question->result = r ? -errno : -ETIMEDOUT;
		return false;
	}
	if (read(in, &question->result, sizeof(question->result)) != sizeof(question->result) ||
	    (!question->result && read(in, question->answer, bytes) != (ssize_t)bytes)) {
		question->result = -EIO;
		return false;
	}
	return true;
}

/* Asks one child until it answers no more; how many questions have a result then. */
static size_t ask_one_child(struct probe_question *questions, size_t nr, size_t bytes,
			    probe_work *work)
{
	size_t told = 0;
	int ends[2];
	pid_t child;

	questions[0].result = -EAGAIN;
	if (pipe2(ends, O_CLOEXEC)) {
		questions[0].result = -errno;
		return 1;
	}
	child = fork();
	if (child == 0)
		work_and_tell(questions, nr, bytes, work, ends[1]);
	close(ends[1]);
	while (child > 0 && told < nr && wait_for_answer(&questions[told], ends[0], bytes))
		told++;
	close(ends[0]);
	if (child > 0 && told < nr && questions[told].result != -EIO)
		kill(child, SIGKILL);	/* a device that hangs holds it: not waited for */
	else if (child > 0)
		waitpid(child, NULL, 0);
	return told < nr ? told + 1 : nr;
}

void probe_child_ask_all(struct probe_question *questions, size_t nr, size_t bytes,
			 probe_work *work)
{
	size_t told = 0;

	while (told < nr) {
		told += ask_one_child(&questions[told], nr - told, bytes, work);
		/* Whoever sent a signal does not want to wait for the others either. */
		for (; told < nr && questions[told - 1].result == -EINTR; told++)
			questions[told].result = -EINTR;
	}
}

int probe_child_ask(void *answer, size_t bytes, probe_work *work, void *context)
{
	struct probe_question question = { .answer = answer, .context = context };

	probe_child_ask_all(&question, 1, bytes, work);
	return question.result;
}
