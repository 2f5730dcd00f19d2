/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PID 1 of the guest: modules, the test, its results to the host, power off. A program,
 * because every process that a script would start costs a tenth of a second in there.
 *
 * The root is the host's file system, read only (the checkout may lie in its /tmp), so
 * everything written goes to a tmpfs on /run, and the results to a hostfs mount of their
 * own. The kernel passes on what it does not know of its command line as environment:
 *
 *	UML_OUT		the host's directory for the results; in it, the list of modules
 *	UML_TEST	the test
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESULTS "/run/out"

static void complain(const char *what, const char *which)
{
	fprintf(stderr, "guest_init: %s %s: %s\n", what, which, strerror(errno));
}

static void mount_all(const char *out)
{
	static const char *const directories[] = {
		"/run/tmp", "/run/out", "/run/lock", "/run/lock/lvm", "/run/lvm",
	};
	size_t i;

	if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL) ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
		complain("mount", "/proc, /sys and /run");
	for (i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		mkdir(directories[i], 0755);
	if (mount("none", RESULTS, "hostfs", 0, out))
		complain("mount", out);
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		complain("module", path);
	if (fd >= 0)
		close(fd);
}

/* A line each; what a module needs stands before it. */
static void load_modules(void)
{
	FILE *list = fopen(RESULTS "/modules", "re");
	char line[4096];

	if (!list) {
		complain("open", RESULTS "/modules");
		return;
	}
	while (fgets(line, sizeof(line), list)) {
		line[strcspn(line, "\n")] = '\0';
		load_module(line);
	}
	fclose(list);
}

static void set_environment(void)
{
	setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", 1);
	setenv("HOME", "/run/tmp", 1);
	setenv("TMPDIR", "/run/tmp", 1);
	setenv("LC_ALL", "C", 1);
	/* There is no udev: libdevmapper makes the nodes itself and waits for nobody. */
	setenv("DM_DISABLE_UDEV", "1", 1);
}

/* In the child: does not return. */
static void become_test(const char *test)
{
	int in = open("/dev/null", O_RDONLY);
	int out = open(RESULTS "/tap", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(99);
	close(in);
	close(out);
	execlp("bash", "bash", test, NULL);
	_exit(127);
}

/* Also collects what the test leaves behind. */
static int run_test(const char *test)
{
	pid_t child = fork(), pid;
	int status = -1;

	if (child == 0)
		become_test(test);
	if (child < 0)
		return 99;
	do {
		pid = waitpid(-1, &status, 0);
	} while (pid != child && (pid > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void tell_status(int status)
{
	FILE *file = fopen(RESULTS "/status", "we");

	if (!file || fprintf(file, "%d\n", status) < 0 || fflush(file) || syncfs(fileno(file)))
		complain("write", RESULTS "/status");
	if (file)
		fclose(file);
}

int main(void)
{
	const char *out = getenv("UML_OUT"), *test = getenv("UML_TEST");

	if (!out || !test) {
		fputs("guest_init: UML_OUT and UML_TEST are not set; run-uml sets them\n", stderr);
		return 99;
	}
	if (getpid() != 1) {
		fputs("guest_init: this is PID 1 of a guest; see tests/kernel/run-uml\n", stderr);
		return 99;
	}
	mount_all(out);
	load_modules();
	set_environment();
	tell_status(run_test(test));
	/* Without a sync, which would wait for ever for a leg that hangs. */
	reboot(RB_POWER_OFF);
	return 0;
}
