/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Running `lvm`: stand-ins in a scratch directory that behave as badly as they can. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/lvm.h"
#include "support/audit_world.h"
#include "support/lvm_text.h"
#include "support/scratch.h"
#include "unit/suites.h"

#define ROOM (1u << 20)
#define LONG_MS 30000u

static const char *const words[] = { "fullreport", "--all", NULL };
static char *output;
static size_t nr_bytes;
static struct error err;
static char saved_path[4096];

/* An `lvm` first in PATH whose body is `script`. */
static void stand_in(const char *script)
{
	FILE *file = fopen(scratch_path("lvm"), "w");

	ck_assert_ptr_nonnull(file);
	fprintf(file, "#!/bin/sh\ncd \"${0%%/*}\" || exit 9\n%s\n", script);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(scratch_path("lvm"), 0755), 0);
}

static void setup(void)
{
	char path[600];

	scratch_enter();
	snprintf(saved_path, sizeof(saved_path), "%s", getenv("PATH") ? getenv("PATH") : "");
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", scratch_path("."));
	setenv("PATH", path, 1);
	/* A real lvm of this host must never answer. */
	lvm_look_in("/nonexistent");
	memset(&err, 0, sizeof(err));
	output = NULL;
}

static void teardown(void)
{
	free(output);
	lvm_give_up_idle(0);
	lvm_watch_cancel(NULL, NULL);
	lvm_look_in(NULL);
	setenv("PATH", saved_path, 1);
	scratch_leave();
}

static int run(unsigned int timeout_ms)
{
	free(output);
	output = NULL;
	memset(&err, 0, sizeof(err));
	return lvm_run(&output, &nr_bytes, words, ROOM, timeout_ms, &err);
}

static void failed(int code, const char *text)
{
	ck_assert_msg(err.kind == ERROR_OPERATION && strstr(err.text, text), "no \"%s\" in: %s",
		      text, err.text);
	ck_assert_ptr_null(strchr(err.text, '\n'));
	ck_assert_ptr_null(output);
	ck_assert_int_lt(code, 0);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The process whose id a stand-in wrote into `name`. */
static pid_t pid_of(const char *name)
{
	FILE *file = fopen(scratch_path(name), "r");
	int pid = 0;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

/* Running, and no corpse that nobody has waited for. */
static bool is_running(pid_t pid)
{
	char path[64], state = 'X';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	fclose(file);
	return state != 'Z' && state != 'X';
}

/* One that was killed may need a moment for it on a busy machine. */
static bool has_ended(pid_t pid)
{
	double start = seconds();

	while (is_running(pid) && seconds() - start < 20)
		usleep(10000);
	return !is_running(pid);
}

START_TEST(words_output_and_environment)
{
	setenv("LC_ALL", "de_DE.UTF-8", 1);
	setenv("LVM_OUT_FD", "7", 1);
	ck_assert_int_ge(open(scratch_path("canary"), O_RDWR | O_CREAT, 0600), 0);
	stand_in("echo \"$*|$LC_ALL|$LVM_SUPPRESS_FD_WARNINGS|${LVM_OUT_FD-none}\"; echo noise >&2;"
		 "read x && echo 'stdin gives' $x; ls -l /proc/$$/fd | grep -c canary; true");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	ck_assert_str_eq(output, "fullreport --all|C|1|none\n0\n");
	ck_assert_uint_eq(nr_bytes, strlen(output));
	unsetenv("LC_ALL");
	unsetenv("LVM_OUT_FD");
}
END_TEST

START_TEST(no_output_is_an_empty_string)
{
	stand_in("exit 0");
	ck_assert_int_eq(run(LONG_MS), 0);
	ck_assert_str_eq(output, "");
	ck_assert_uint_eq(nr_bytes, 0);
	ck_assert_int_eq(lvm_run(NULL, NULL, words, ROOM, LONG_MS, &err), 0);
}
END_TEST

START_TEST(failure_tells_what_lvm_said)
{
	stand_in("echo '  WARNING: something old.' >&2; printf '  Volume group \"v\\033[1mg\" "
		 "not found.\\n  Cannot process\\n' >&2; exit 5");
	failed(run(LONG_MS), "lvm fullreport ");
	failed(run(LONG_MS), "Volume group \"v?[1mg\" not found");
	ck_assert_ptr_null(strstr(err.text, "WARNING"));
	stand_in("exit 5");
	failed(run(LONG_MS), "run it alone");
	stand_in("echo '  WARNING: only that' >&2; exit 5");
	failed(run(LONG_MS), "WARNING: only that");
}
END_TEST

START_TEST(missing_and_not_executable)
{
	ck_assert_int_eq(run(LONG_MS), -ENOENT);
	failed(-ENOENT, "no lvm command is installed");
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(lvm_probe(&err), -ENOENT);
	stand_in("exit 0");
	ck_assert_int_eq(lvm_probe(&err), 0);
	ck_assert_int_eq(chmod(scratch_path("lvm"), 0644), 0);
	ck_assert_int_eq(run(LONG_MS), -EACCES);
	failed(-EACCES, "must not be executed");
	/* A directory of that name is none. */
	ck_assert_int_eq(unlink(scratch_path("lvm")), 0);
	ck_assert_int_eq(mkdir(scratch_path("lvm"), 0755), 0);
	ck_assert_int_eq(run(LONG_MS), -ENOENT);
}
END_TEST

START_TEST(working_directory_is_not_searched)
{
	char *home = realpath(".", NULL);

	stand_in("exit 0");
	ck_assert_int_eq(chdir(scratch_path(".")), 0);
	setenv("PATH", ":.:/usr/bin", 1);
	ck_assert_int_eq(run(LONG_MS), -ENOENT);
	ck_assert_int_eq(chdir(home), 0);
	free(home);
}
END_TEST

START_TEST(not_a_program)
{
	FILE *file;

	/* valgrind ends a child whose execve() fails this way. */
	if (world_under_valgrind()) {
		scratch_skip(__func__, "valgrind");
		return;
	}
	file = fopen(scratch_path("lvm"), "w");
	fputs("#!/nonexistent/interpreter\n", file);
	fclose(file);
	ck_assert_int_eq(chmod(scratch_path("lvm"), 0755), 0);
	ck_assert_int_eq(run(LONG_MS), -ENOENT);
	failed(-ENOENT, "is lvm2 installed properly?");
}
END_TEST

START_TEST(hanging_one_is_ended_with_what_it_started)
{
	double start = seconds();

	stand_in("sleep 1000 & echo $! > pid; wait");
	ck_assert_int_eq(run(700), -ETIMEDOUT);
	failed(-ETIMEDOUT, "did not answer within 1 s");
	ck_assert(seconds() - start < 10);
	ck_assert(has_ended(pid_of("pid")));
}
END_TEST

/* Who only looks does not wait long for what does not move; what moves may take its time. */
START_TEST(idle_one_is_given_up)
{
	double start = seconds();

	lvm_give_up_idle(700);
	stand_in("exec sleep 1000");
	ck_assert_int_eq(run(LONG_MS), -ETIMEDOUT);
	failed(-ETIMEDOUT, "did not answer within 1 s: a disk hangs");
	ck_assert(seconds() - start < 20);
	stand_in("i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	stand_in("i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	lvm_give_up_idle(0);
	stand_in("exec sleep 1.5");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
}
END_TEST

START_TEST(who_has_the_lock_is_told)
{
	char said[128];
	int fd = open(scratch_path("V_vg"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	stand_in("exec flock V_vg true");
	ck_assert_int_eq(run(700), -ETIMEDOUT);
	snprintf(said, sizeof(said), "has waited 1 s for a lock of LVM's that process %ld has",
		 (long)getpid());
	failed(-ETIMEDOUT, said);
	close(fd);
}
END_TEST

START_TEST(hanging_one_is_asked_first)
{
	stand_in("trap 'echo > asked; exit 0' TERM; sleep 1000 & echo $! > pid; wait");
	ck_assert_int_eq(run(700), -ETIMEDOUT);
	ck_assert_int_eq(access(scratch_path("asked"), F_OK), 0);
	ck_assert(has_ended(pid_of("pid")));
	stand_in("trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done");
	ck_assert_int_eq(run(700), -ETIMEDOUT);
	ck_assert(has_ended(pid_of("pid")));
}
END_TEST

START_TEST(silent_one_that_closed_its_pipes_is_ended_too)
{
	stand_in("echo $$ > pid; exec >&- 2>&-; sleep 1000");
	ck_assert_int_eq(run(700), -ETIMEDOUT);
	ck_assert(has_ended(pid_of("pid")));
}
END_TEST

START_TEST(killed)
{
	stand_in("echo '{'; kill -9 $$");
	failed(run(LONG_MS), "was killed by signal 9");
}
END_TEST

START_TEST(both_pipes_are_read)
{
	stand_in("i=0; while [ $i -lt 40 ]; do head -c 10000 /dev/zero >&2; echo out; i=$((i+1)); "
		 "done; exit 0");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	ck_assert_uint_eq(nr_bytes, 160);
	stand_in("head -c 20000000 /dev/zero | tr '\\0' x >&2; exit 5");
	failed(run(LONG_MS), "lvm fullreport failed: xxxx");
}
END_TEST

/* It writes line by line; to wake up for each takes the processor away from it. */
START_TEST(lines_are_gathered)
{
	double start = seconds();
	struct rusage before, after;
	long wakes;

	stand_in("i=0; while [ $i -lt 1000 ]; do echo 0123456; j=0; while [ $j -lt 300 ]; do "
		 "j=$((j+1)); done; i=$((i+1)); done");
	getrusage(RUSAGE_SELF, &before);
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	getrusage(RUSAGE_SELF, &after);
	ck_assert_uint_eq(nr_bytes, 8000);
	wakes = after.ru_nvcsw - before.ru_nvcsw;
	ck_assert_msg(wakes < 50 + (long)((seconds() - start) * 60), "woken %ld times", wakes);
}
END_TEST

START_TEST(endless_output)
{
	double start = seconds();

	stand_in("echo $$ > pid; exec cat /dev/zero");
	ck_assert_int_eq(run(LONG_MS), -EFBIG);
	failed(-EFBIG, "more than 1048576 bytes");
	ck_assert(seconds() - start < 10);
	ck_assert(has_ended(pid_of("pid")));
	/* As much as is allowed is not too much. */
	stand_in("head -c 1048576 /dev/zero");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	ck_assert_uint_eq(nr_bytes, ROOM);
	stand_in("head -c 1048577 /dev/zero");
	ck_assert_int_eq(run(LONG_MS), -EFBIG);
}
END_TEST

/* Daemons that LVM starts (dmeventd, lvmpolld) are not of its group. */
START_TEST(daemon_left_behind_is_not_waited_for)
{
	double start = seconds();

	stand_in("setsid sh -c 'echo $$ > pid; exec sleep 1000' & echo done; while ! [ -s pid ]; do "
		 "sleep 0.05; done");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	ck_assert(seconds() - start < 10);
	ck_assert_str_eq(output, "done\n");
	ck_assert(is_running(pid_of("pid")));
	kill(pid_of("pid"), SIGKILL);
}
END_TEST

static bool count_down(void *context)
{
	unsigned int *left = context;

	return !*left || !--*left;
}

START_TEST(cancelled)
{
	unsigned int left = 3;
	double start = seconds();

	lvm_watch_cancel(count_down, &left);
	stand_in("echo $$ > pid; exec sleep 1000");
	ck_assert_int_eq(run(LONG_MS), -ECANCELED);
	failed(-ECANCELED, "interrupted while lvm fullreport");
	ck_assert(seconds() - start < 10);
	ck_assert(has_ended(pid_of("pid")));
	stand_in("exec >&- 2>&-; sleep 1000");
	left = 3;
	ck_assert_int_eq(run(LONG_MS), -ECANCELED);
}
END_TEST

START_TEST(signals_and_descriptors_are_as_a_program_expects)
{
	struct sigaction old;
	unsigned long blocked = 1, ignored = UINT64_MAX;
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &before);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, &old);
	stand_in("grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\t '");
	ck_assert_msg(!run(LONG_MS), "%s", err.text);
	sigaction(SIGPIPE, &old, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	ck_assert_int_eq(sscanf(output, "SigBlk:%lx SigIgn:%lx", &blocked, &ignored), 2);
	ck_assert_uint_eq(blocked, 0);
	/* Others may have been ignored when the test was started, and are none of ours. */
	ck_assert_uint_eq(ignored >> (SIGPIPE - 1) & 1, 0);
}
END_TEST

START_TEST(system_id)
{
	char *id;

	stand_in("[ \"$*\" = systemid ] && echo '  system ID: host-1'");
	ck_assert_msg(!lvm_host_system_id(&id, &err), "%s", err.text);
	ck_assert_str_eq(id, "host-1");
	free(id);
	stand_in("echo '  system ID: '");
	ck_assert_int_eq(lvm_host_system_id(&id, &err), 0);
	ck_assert_str_eq(id, "");
	free(id);
	stand_in("exit 3");
	ck_assert_int_lt(lvm_host_system_id(&id, &err), 0);
	ck_assert_ptr_null(id);
}
END_TEST

/* A stand-in that prints a report; the words are left in "words". */
static void stand_in_of_report(const char *name)
{
	char *text = lvm_text_recorded(name);
	FILE *file = fopen(scratch_path("report"), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	free(text);
	stand_in("printf '%s\\n' \"$@\" > words; cat report");
}

START_TEST(reports_are_read)
{
	struct lvm_report report;
	char line[256] = "", last[256];
	FILE *file;

	stand_in_of_report("mirror-active");
	ck_assert_msg(!lvm_report_read(&report, "vg", &err), "%s", err.text);
	ck_assert_uint_eq(report.nr_vgs, 1);
	ck_assert_ptr_nonnull(lvm_vg_lv(&report.vgs[0], "lv_mimage_1"));
	lvm_report_free(&report);
	file = fopen(scratch_path("words"), "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), file));
	ck_assert_str_eq(line, "fullreport\n");
	while (fgets(last, sizeof(last), file))
		;
	fclose(file);
	ck_assert_str_eq(last, "vg\n");
	ck_assert_msg(!lvm_report_read(&report, NULL, &err), "%s", err.text);
	lvm_report_free(&report);
}
END_TEST

/* Whatever comes before it: that a disk is there twice is heard, or nothing is. */
START_TEST(what_is_said_beside_a_report)
{
	struct lvm_report report;
	char script[1024];

	stand_in_of_report("mirror-active");
	ck_assert_msg(!lvm_report_read(&report, NULL, &err), "%s", err.text);
	snprintf(script, sizeof(script),
		 "i=0; while [ $i -lt 4 ]; do head -c 25000 /dev/zero | tr '\\0' x >&2; i=$((i+1)); done; "
		 "echo >&2; echo '  WARNING: Not using device /dev/copy for PV %s.' >&2; cat report",
		 report.vgs[0].pvs[0].uuid);
	lvm_report_free(&report);
	stand_in(script);
	ck_assert_msg(!lvm_report_read(&report, NULL, &err), "%s", err.text);
	ck_assert_str_eq(report.vgs[0].pvs[0].duplicate, "/dev/copy");
	lvm_report_free(&report);
	stand_in("head -c 1100000 /dev/zero | tr '\\0' x >&2; cat report");
	failed(lvm_report_read(&report, NULL, &err), "says more than 1048575 bytes beside");
}
END_TEST

START_TEST(reports_that_cannot_be_read)
{
	static const struct lvm_report zeroed;
	struct lvm_report report;

	memset(&report, 0xff, sizeof(report));
	stand_in("echo '{ \"report\": ['");
	ck_assert_int_eq(lvm_report_read(&report, NULL, &err), -EBADMSG);
	ck_assert_int_eq(memcmp(&report, &zeroed, sizeof(report)), 0);
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(lvm_report_read(&report, "-x", &err), -EINVAL);
	/* Half a GiB takes a minute there. */
	if (world_under_valgrind())
		return;
	memset(&err, 0, sizeof(err));
	stand_in("head -c 600000000 /dev/zero");
	ck_assert_int_eq(lvm_report_read(&report, NULL, &err), -EFBIG);
	failed(-EFBIG, "that is no report of a real host");
}
END_TEST

START_TEST(sequence_numbers)
{
	char name[LVM_NAME_ROOM];
	uint64_t seqno = 0;

	/* Without a lock, of all groups, in the shape that is expected here. */
	stand_in("echo '  WARNING: something' >&2\n"
		 "case \"$*\" in 'vgs --readonly --foreign --shared --config report{'*' prefixes=0 '*"
		 "'columns_as_rows=0 '*' --reportformat basic --separator   --noheadings -o "
		 "vg_seqno,vg_name --select vg_uuid=ab-'*) ;; *) exit 5 ;; esac\n"
		 "case \"$*\" in *=ab-1) echo '  7 v-g' ;; *=ab-2) echo '  x vg' ;; "
		 "*=ab-4) echo '  7' ;; esac");
	ck_assert_msg(!lvm_vg_seqno(&seqno, name, "ab-1", &err), "%s", err.text);
	ck_assert_uint_eq(seqno, 7);
	ck_assert_str_eq(name, "v-g");
	for (const char *const *none = (const char *const []){ "ab-2", "ab-3", "ab-4", NULL }; *none; none++) {
		memset(&err, 0, sizeof(err));
		ck_assert_int_eq(lvm_vg_seqno(&seqno, name, *none, &err), -ENODEV);
	}
	stand_in("exit 5");
	ck_assert_int_lt(lvm_vg_seqno(&seqno, name, "ab-1", &err), 0);
}
END_TEST

Suite *lvm_suite(void)
{
	Suite *suite = suite_create("lvm");
	TCase *tcase = tcase_create("run");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, words_output_and_environment);
	tcase_add_test(tcase, no_output_is_an_empty_string);
	tcase_add_test(tcase, failure_tells_what_lvm_said);
	tcase_add_test(tcase, missing_and_not_executable);
	tcase_add_test(tcase, working_directory_is_not_searched);
	tcase_add_test(tcase, not_a_program);
	tcase_add_test(tcase, hanging_one_is_ended_with_what_it_started);
	tcase_add_test(tcase, idle_one_is_given_up);
	tcase_add_test(tcase, who_has_the_lock_is_told);
	tcase_add_test(tcase, hanging_one_is_asked_first);
	tcase_add_test(tcase, silent_one_that_closed_its_pipes_is_ended_too);
	tcase_add_test(tcase, killed);
	tcase_add_test(tcase, both_pipes_are_read);
	tcase_add_test(tcase, lines_are_gathered);
	tcase_add_test(tcase, endless_output);
	tcase_add_test(tcase, daemon_left_behind_is_not_waited_for);
	tcase_add_test(tcase, cancelled);
	tcase_add_test(tcase, signals_and_descriptors_are_as_a_program_expects);
	tcase_add_test(tcase, system_id);
	tcase_add_test(tcase, reports_are_read);
	tcase_add_test(tcase, what_is_said_beside_a_report);
	tcase_add_test(tcase, reports_that_cannot_be_read);
	tcase_add_test(tcase, sequence_numbers);
	suite_add_tcase(suite, tcase);
	return suite;
}
