/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/probe_child.h"
#include "unit/suites.h"

struct found {
	int number;
	char text[300];
};

static int answer_it(void *answer, void *context)
{
	struct found *found = answer;

	found->number = *(int *)context;
	snprintf(found->text, sizeof(found->text), "an answer");
	return 0;
}

static int refuse(void *answer, void *context)
{
	((struct found *)answer)->number = 1;
	return *(int *)context;
}

/* What a failed assertion of a library does. */
static int complain_and_abort(void *answer, void *context)
{
	struct rlimit core;

	(void)answer;
	fprintf(stderr, "a failed assertion\n");
	if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0)
		*(bool *)context = true;
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	return 0;
}

static int hang(void *answer, void *context)
{
	(void)answer;
	(void)context;
	for (;;)
		pause();
	return 0;
}

START_TEST(answers)
{
	struct found found = { 0 };
	int number = 7;

	ck_assert_int_eq(probe_child_ask(&found, sizeof(found), answer_it, &number), 0);
	ck_assert_int_eq(found.number, 7);
	ck_assert_str_eq(found.text, "an answer");
}
END_TEST

START_TEST(refusals)
{
	struct found found = { .number = 5 };
	int code = -ESTALE;

	ck_assert_int_eq(probe_child_ask(&found, sizeof(found), refuse, &code), -ESTALE);
	ck_assert_int_eq(found.number, 5);
}
END_TEST

/* Nothing of it is seen, on stderr or as a core file; no child is left. */
START_TEST(dies)
{
	int stderr_before = dup(STDERR_FILENO);
	FILE *caught = tmpfile();
	struct found found = { .number = 5 };
	bool *without_core = mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	ck_assert_ptr_ne(without_core, MAP_FAILED);
	ck_assert_ptr_nonnull(caught);
	dup2(fileno(caught), STDERR_FILENO);
	r = probe_child_ask(&found, sizeof(found), complain_and_abort, without_core);
	dup2(stderr_before, STDERR_FILENO);
	close(stderr_before);
	ck_assert_int_eq(r, -EIO);
	ck_assert_int_eq(found.number, 5);
	ck_assert_int_eq(lseek(fileno(caught), 0, SEEK_END), 0);
	ck_assert(*without_core);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
	munmap(without_core, sizeof(bool));
	fclose(caught);
}
END_TEST

START_TEST(hangs)
{
	struct found found = { .number = 5 };
	int status;

	ck_assert_int_eq(probe_child_ask(&found, sizeof(found), hang, NULL), -ETIMEDOUT);
	ck_assert_int_eq(found.number, 5);
	ck_assert_int_gt(waitpid(-1, &status, 0), 0);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
END_TEST

/* Locks, devices and the other end of a pipe are not a child's. */
static int look_at_files(void *answer, void *context)
{
	struct found *found = answer;

	found->number = fcntl(*(int *)context, F_GETFD);
	for (int fd = 0; fd < 3; fd++)
		found->text[fd] = isatty(fd) || lseek(fd, 0, SEEK_CUR) ? 'x' : '-';
	return 0;
}

START_TEST(nothing_is_open)
{
	struct found found = { .number = 5 };
	FILE *file = tmpfile();
	int fd = fcntl(fileno(file), F_DUPFD, 40), before = dup(STDOUT_FILENO);

	ck_assert_int_eq(fd, 40);
	ck_assert_int_eq(fputs("not empty", file), 1);
	fflush(stdout);
	fflush(file);
	dup2(fd, STDOUT_FILENO);
	ck_assert_int_eq(probe_child_ask(&found, sizeof(found), look_at_files, &fd), 0);
	dup2(before, STDOUT_FILENO);
	close(before);
	ck_assert_int_eq(found.number, -1);
	ck_assert_str_eq(found.text, "---");
	close(fd);
	fclose(file);
}
END_TEST

/* Which child answers, and on the way what its context says. */
static int work_of(void *answer, void *context)
{
	probe_work *const *works = context;

	((struct found *)answer)->number = (int)getpid();
	return *works ? (*works)(answer, context) : 0;
}

static int refuse_it(void *answer, void *context)
{
	(void)answer;
	(void)context;
	return -ENODEV;
}

static int die(void *answer, void *context)
{
	(void)answer;
	(void)context;
	_exit(0);
}

/* One that hangs, dies or refuses costs the others nothing. */
START_TEST(many)
{
	static probe_work *works[] = { NULL, refuse_it, NULL, die, NULL, hang, NULL };
	static const int results[] = { 0, -ENODEV, 0, -EIO, 0, -ETIMEDOUT, 0 };
	enum { NR = sizeof(works) / sizeof(works[0]) };
	struct probe_question questions[NR];
	struct found found[NR] = { { .number = 0 } };

	for (size_t i = 0; i < NR; i++)
		questions[i] = (struct probe_question){ .answer = &found[i],
							.context = &works[i] };
	probe_child_ask_all(questions, NR, sizeof(struct found), work_of);
	for (size_t i = 0; i < NR; i++) {
		ck_assert_int_eq(questions[i].result, results[i]);
		ck_assert((found[i].number > 0) == !results[i]);
	}
	ck_assert_int_eq(found[0].number, found[2].number);
	ck_assert_int_ne(found[2].number, found[4].number);
	ck_assert_int_ne(found[4].number, found[6].number);
	/* The one that hung was killed, and the others were waited for. */
	ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	probe_child_ask_all(questions, 0, sizeof(struct found), work_of);
}
END_TEST

Suite *probe_child_suite(void)
{
	Suite *suite = suite_create("probe_child");
	TCase *tcase = tcase_create("io");

	tcase_add_test(tcase, answers);
	tcase_add_test(tcase, refusals);
	tcase_add_test(tcase, dies);
	tcase_add_test(tcase, hangs);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, nothing_is_open);
	suite_add_tcase(suite, tcase);
	return suite;
}
