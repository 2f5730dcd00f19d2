/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Runs LVM's own command: in a process group of its own, which is gone afterwards. */

#include "io/lvm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 100	/* shall it go on, is the child still there? */
/* lvm writes a line at a time, and to be woken for every one takes the processor away
 * from it: what it prints is gathered in the pipe for so long, unless it comes fast. */
#define GATHER_MS 20
#define FAST_BYTES 32768
#define PIPE_BYTES (1 << 20)	/* where one may: what comes while we gather */
#define TERM_MS 2000	/* for a child that cleans up when it is asked to end */
#define KILL_MS 1000	/* a device that hangs may hold a killed one: not waited for */
#define FIRST_ROOM 65536u
#define MESSAGES_ROOM (1u << 20)	/* some lines for each of thousands of disks */

unsigned int lvm_late_ms = 10000;

static bool (*cancelled)(void *context);
static void *cancelled_context;
static _Atomic uint64_t noticed_ms;	/* that it was; 0: it is not */
static unsigned int idle_ms_max;
static __thread const struct lvm_cancel *own_cancel;
static const char usual_directories[] = "/usr/sbin:/sbin";
static const char *directories = usual_directories;

void lvm_watch_cancel(bool (*function)(void *context), void *context)
{
	cancelled = function;
	cancelled_context = context;
	noticed_ms = 0;
}

const struct lvm_cancel *lvm_cancel_by(const struct lvm_cancel *cancel)
{
	const struct lvm_cancel *before = own_cancel;

	own_cancel = cancel;
	return before;
}

void lvm_give_up_idle(unsigned int idle_ms)
{
	idle_ms_max = idle_ms;
}

void lvm_look_in(const char *list)
{
	directories = list ? list : usual_directories;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_late(void *context)
{
	uint64_t none = 0, now = now_ms();

	(void)context;
	if (!cancelled || !cancelled(cancelled_context))
		return false;
	atomic_compare_exchange_strong(&noticed_ms, &none, now);
	return now - noticed_ms >= lvm_late_ms;
}

const struct lvm_cancel lvm_cancel_late = { .wanted = is_late };

bool lvm_is_cancelled(void)
{
	if (own_cancel)
		return own_cancel->wanted(own_cancel->context);
	return cancelled && cancelled(cancelled_context);
}

static void pause_ms(unsigned int ms)
{
	struct timespec pause = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* --- which program, which environment ------------------------------------------- */

/* 0, -ENOENT, or -EACCES: it is there and must not be run. */
static int try_directory(char path[PATH_MAX], const char *directory, size_t length)
{
	struct stat st;

	/* Neither the working directory nor one below it. */
	if (!length || directory[0] != '/' ||
	    (size_t)snprintf(path, PATH_MAX, "%.*s/lvm", (int)length, directory) >= PATH_MAX ||
	    stat(path, &st) || !S_ISREG(st.st_mode))
		return -ENOENT;
	return access(path, X_OK) ? -EACCES : 0;
}

/* The sbin directories are missing in the PATH of many users and of cron. */
static int find_lvm(char path[PATH_MAX])
{
	const char *lists[] = { getenv("PATH"), directories };
	char refused[PATH_MAX] = "";

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *at = lists[i];

		while (at && *at) {
			size_t length = strcspn(at, ":");
			int r = try_directory(path, at, length);

			if (!r)
				return 0;
			if (r == -EACCES && !refused[0])
				strcpy(refused, path);
			at += length + (at[length] == ':');
		}
	}
	strcpy(path, refused);
	return refused[0] ? -EACCES : -ENOENT;
}

static int find_lvm_or_say(char path[PATH_MAX], struct error *err)
{
	int r = find_lvm(path);

	if (r == -ENOENT)
		return error_operation(err, ENOENT, "no lvm command is installed here, so volume "
				       "groups cannot be looked at: install lvm2 (what is given with "
				       "--leg and --log needs none)");
	if (r)
		return error_operation(err, EACCES, "%s must not be executed here, so volume groups "
				       "cannot be looked at: correct its mode (what is given with "
				       "--leg and --log needs no LVM)", path);
	return 0;
}

int lvm_probe(struct error *err)
{
	char path[PATH_MAX];

	return find_lvm_or_say(path, err);
}

/* Ours in place of the user's; the others would send lvm's words elsewhere, or in
 * another shape. */
static const char *const variables_ours[] = { "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1" };
static const char *const variables_dropped[] = {
	"LC_ALL=", "LANGUAGE=", "LVM_SUPPRESS_FD_WARNINGS=", "LVM_OUT_FD=", "LVM_ERR_FD=",
	"LVM_REPORT_FD=", "LVM_COMMAND_PROFILE=",
};

#define NR_OURS (sizeof(variables_ours) / sizeof(variables_ours[0]))

static bool is_dropped(const char *variable)
{
	for (size_t i = 0; i < sizeof(variables_dropped) / sizeof(variables_dropped[0]); i++)
		if (!strncmp(variable, variables_dropped[i], strlen(variables_dropped[i])))
			return true;
	return false;
}

/* The array alone is allocated. */
static const char **environment_make(void)
{
	size_t nr = 0, used = 0;
	const char **list;

	while (environ && environ[nr])
		nr++;
	list = calloc(nr + NR_OURS + 1, sizeof(*list));
	if (!list)
		return NULL;
	for (size_t i = 0; i < nr; i++)
		if (!is_dropped(environ[i]))
			list[used++] = environ[i];
	for (size_t i = 0; i < NR_OURS; i++)
		list[used++] = variables_ours[i];
	return list;
}

/* --- the child -------------------------------------------------------------------- */

struct run {
	char path[PATH_MAX];
	const char **argv, **envp;	/* the arrays are owned */
	const char *command;		/* the first word, for messages */
	pid_t child;
	bool gone;			/* it has ended: a zombie that keeps its id for us */
	unsigned long long waits;	/* how often it has waited for something so far … */
	uint64_t waiting_since_ms;	/* … and this time since when */
	int out, messages;		/* what it prints; -1: closed */
	bool gathering;			/* not read for a while */
	int failed;			/* tells an errno when it could not be executed */
	char *text;			/* owned */
	size_t used, room, max_bytes;
	char *said;			/* owned: stderr, as much as fits */
	size_t said_used;
	bool said_more;			/* than fits */
	struct error *err;
};

/* A handler of ours would run in our memory; what is ignored stays so. */
static void uncatch(int signal_number)
{
	struct sigaction action;

	if (!sigaction(signal_number, NULL, &action) && action.sa_handler != SIG_IGN)
		signal(signal_number, SIG_DFL);
}

/* From here to the exec: async-signal-safe calls only, threads may hold locks, and the
 * memory is still ours (vfork). */
__attribute__((noreturn))
static void child_exec(const struct run *run, const int out[2], const int messages[2],
		       const int failed[2], pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), code;
	sigset_t none;

	sigemptyset(&none);
	setpgid(0, 0);
	/* Were we killed, nobody would read it. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	uncatch(SIGINT);
	uncatch(SIGTERM);
	uncatch(SIGHUP);
	uncatch(SIGUSR1);
	if (null >= 0 && getppid() == parent && dup2(null, STDIN_FILENO) >= 0 &&
	    dup2(out[1], STDOUT_FILENO) >= 0 && dup2(messages[1], STDERR_FILENO) >= 0) {
		if (failed[1] != STDERR_FILENO + 1)
			dup3(failed[1], STDERR_FILENO + 1, O_CLOEXEC);
#ifdef SYS_close_range
		/* Before Linux 5.9 there is none: ours are opened with O_CLOEXEC anyway. */
		syscall(SYS_close_range, STDERR_FILENO + 2, ~0u, 0);
#endif
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(run->path, (char *const *)run->argv, (char *const *)run->envp);
	}
	code = errno;
	_exit(write(STDERR_FILENO + 1, &code, sizeof(code)) != sizeof(code));
}

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void pipes_close(int pipes[3][2])
{
	for (size_t i = 0; i < 3; i++) {
		close_if_open(&pipes[i][0]);
		close_if_open(&pipes[i][1]);
	}
}

static int child_start(struct run *run)
{
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } }, code;
	pid_t parent = getpid();
	sigset_t all, before;

	for (size_t i = 0; i < 3; i++)
		if (pipe2(pipes[i], O_CLOEXEC)) {
			code = errno;
			pipes_close(pipes);
			return error_operation(run->err, code, "cannot run %s: %s", run->path,
					       error_reason(code));
		}
	/* fork() would copy our memory only for the exec to drop it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	run->child = vfork();
	if (run->child == 0)
		child_exec(run, pipes[0], pipes[1], pipes[2], parent);
	code = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (run->child < 0) {
		pipes_close(pipes);
		return error_operation(run->err, code, "cannot run %s: %s", run->path,
				       error_reason(code));
	}
	setpgid(run->child, run->child);	/* whoever of us is first */
	run->out = pipes[0][0];
	run->messages = pipes[1][0];
	run->failed = pipes[2][0];
	pipes[0][0] = pipes[1][0] = pipes[2][0] = -1;
	pipes_close(pipes);
	fcntl(run->out, F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(run->out, F_SETFL, O_NONBLOCK);
	fcntl(run->messages, F_SETFL, O_NONBLOCK);
	return 0;
}

static bool child_look(struct run *run)
{
	siginfo_t info = { .si_pid = 0 };

	if (!run->gone && !waitid(P_PID, (id_t)run->child, &info, WEXITED | WNOHANG | WNOWAIT))
		run->gone = info.si_pid == run->child;
	return run->gone;
}

/* Waits for its end; false when the time is over. */
static bool child_wait(struct run *run, uint64_t deadline)
{
	unsigned int pause = 1;

	while (!child_look(run)) {
		if (now_ms() >= deadline || lvm_is_cancelled())
			return false;
		pause_ms(pause);
		if (pause < LOOK_MS / 2)
			pause *= 2;
	}
	return true;
}

/* The child and what it started. One that was not done is asked first: LVM has things
 * to put back. Its id stays its own until it is waited for. */
static void child_end(struct run *run, int *status)
{
	uint64_t deadline = now_ms() + TERM_MS;

	*status = -1;
	if (!child_look(run)) {
		kill(-run->child, SIGTERM);
		while (!child_look(run) && now_ms() < deadline)
			pause_ms(5);
	}
	kill(-run->child, SIGKILL);
	deadline = now_ms() + KILL_MS;
	while (!child_look(run) && now_ms() < deadline)
		pause_ms(5);
	if (run->gone)
		waitpid(run->child, status, 0);
}

/* --- what it says ------------------------------------------------------------------- */

static int no_memory(struct run *run)
{
	return error_operation(run->err, ENOMEM, "not enough memory for what lvm %s prints",
			       run->command);
}

static int room_make(struct run *run)
{
	size_t room = run->room ? run->room * 2 : FIRST_ROOM;
	char *text;

	if (run->used + 1 < run->room)
		return 0;
	if (run->used > run->max_bytes)
		return error_operation(run->err, EFBIG, "lvm %s prints more than %zu bytes: that is no "
				       "report of a real host (what is given with --leg and --log "
				       "needs none)", run->command, run->max_bytes);
	if (room > run->max_bytes + 2)
		room = run->max_bytes + 2;
	text = realloc(run->text, room);
	if (!text)
		return no_memory(run);
	run->text = text;
	run->room = room;
	return 0;
}

/* 0 or -errno; at its end the descriptor is closed. */
static int read_output(struct run *run)
{
	ssize_t nr;
	int r = room_make(run);

	if (r)
		return r;
	nr = read(run->out, run->text + run->used, run->room - run->used - 1);
	run->gathering = nr > 0 && nr < FAST_BYTES;
	if (nr > 0)
		run->used += (size_t)nr;
	else if (nr == 0 || (errno != EAGAIN && errno != EINTR))
		close_if_open(&run->out);
	return 0;
}

/* What has no room is read all the same, or the child would wait for us. */
static void read_messages(struct run *run)
{
	char more[4096];
	ssize_t nr = read(run->messages, more, sizeof(more));
	size_t room = MESSAGES_ROOM - 1 - run->said_used;

	if (nr > 0) {
		memcpy(run->said + run->said_used, more, (size_t)nr < room ? (size_t)nr : room);
		run->said_used += (size_t)nr < room ? (size_t)nr : room;
		run->said_more |= (size_t)nr > room;
	} else if (nr == 0 || (errno != EAGAIN && errno != EINTR)) {
		close_if_open(&run->messages);
	}
}

/* --- why it does not answer ----------------------------------------------------------- */

/* Who has the lock that the child waits for, by /proc/locks: "3: FLOCK ADVISORY WRITE 77 …",
 * and below it "3: -> FLOCK ADVISORY WRITE 78 …" for each that waits. 0: it waits for none. */
static long lock_holder(pid_t child)
{
	FILE *locks = fopen("/proc/locks", "re");
	long holder = 0, id, pid, of = -1;
	bool found = false;
	char line[256];

	while (locks && !found && fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%ld: -> %*s %*s %*s %ld", &id, &pid) == 2) {
			found = id == of && pid == child;
		} else if (sscanf(line, "%ld: %*s %*s %*s %ld", &id, &pid) == 2) {
			of = id;
			holder = pid;
		}
	}
	if (locks)
		fclose(locks);
	return found ? holder : 0;
}

/* What gets answers from its disks waits for something new again and again. Asked when
 * nothing came for a while: to look costs more than to read what it prints. */
static bool is_idle(struct run *run)
{
	unsigned long long waits = run->waits;
	char path[64], line[256], state = 'R';
	uint64_t now = now_ms();
	FILE *status;

	if (!idle_ms_max)
		return false;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)run->child);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "State: %c", &state) != 1)
			sscanf(line, "voluntary_ctxt_switches: %llu", &waits);
	if (!run->waiting_since_ms || waits != run->waits || state == 'R')
		run->waiting_since_ms = now;
	if (status)
		fclose(status);
	run->waits = waits;
	return now - run->waiting_since_ms >= idle_ms_max;
}

static int timed_out(struct run *run, unsigned int timeout_ms)
{
	unsigned int seconds = (timeout_ms + 999) / 1000;
	long holder = lock_holder(run->child);

	if (holder)
		return error_operation(run->err, ETIMEDOUT, "lvm %s has waited %u s for a lock of LVM's "
				       "that process %ld has: wait for its end, or see what it is "
				       "about (ps %ld)", run->command, seconds, holder, holder);
	return error_operation(run->err, ETIMEDOUT, "lvm %s did not answer within %u s: a disk hangs, or "
			       "something else that it waits for (lvm %s -vvvv tells)",
			       run->command, seconds, run->command);
}

static int was_cancelled(struct run *run)
{
	return error_operation(run->err, ECANCELED, "interrupted while lvm %s was running",
			       run->command);
}

/* Something to read, an end (which is told while we gather, too), or time that passed;
 * the number is poll()'s. */
static int look(struct run *run, int *r)
{
	struct pollfd fds[] = { { .fd = run->out, .events = run->gathering ? 0 : POLLIN },
				{ .fd = run->messages, .events = POLLIN } };
	int nr = poll(fds, 2, run->gathering ? GATHER_MS : LOOK_MS);

	run->gathering = false;
	if (nr > 0 && fds[0].revents)
		*r = read_output(run);
	if (nr > 0 && fds[1].revents)
		read_messages(run);
	return nr;
}

/* Until both pipes are at their end. A daemon that it left behind may hold them open:
 * once the child is gone, silence is an end too. */
static int listen(struct run *run, unsigned int timeout_ms, uint64_t deadline)
{
	while (run->out >= 0 || run->messages >= 0) {
		bool gone = child_look(run), gathering = run->gathering;
		int r = 0, nr = look(run, &r);

		if (lvm_is_cancelled())
			return was_cancelled(run);
		if (now_ms() >= deadline)
			return timed_out(run, timeout_ms);
		if (nr > 0)
			run->waiting_since_ms = 0;
		else if (!gone && !gathering && is_idle(run))
			return timed_out(run, idle_ms_max);
		if (nr == 0 && gone && !gathering)
			return 0;
		if (r)
			return r;
	}
	if (child_wait(run, deadline))
		return 0;
	return now_ms() >= deadline ? timed_out(run, timeout_ms) : was_cancelled(run);
}

/* Its first line that is more than a warning, without what a terminal could act on. */
static void first_line(char *line, size_t room, const char *said)
{
	const char *best = NULL;
	size_t i, length;

	for (const char *at = said; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		at += strspn(at, " \t\r");
		if (*at == '\n' || !*at)
			continue;
		if (!best || !strncmp(best, "WARNING", 7))
			best = at;
	}
	length = best ? strcspn(best, "\n") : 0;
	if (length >= room)
		length = room - 1;
	for (i = 0; i < length; i++)
		line[i] = (unsigned char)best[i] < ' ' || best[i] == 0x7f ? '?' : best[i];
	while (i && (line[i - 1] == ' ' || line[i - 1] == '.'))
		i--;
	line[i] = '\0';
}

static int check_end(struct run *run, int status)
{
	char line[256];
	int code = 0;

	if (read(run->failed, &code, sizeof(code)) == sizeof(code))
		return error_operation(run->err, code, "cannot run %s: %s: is lvm2 installed "
				       "properly?", run->path, error_reason(code));
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	run->said[run->said_used] = '\0';
	first_line(line, sizeof(line), run->said);
	if (WIFSIGNALED(status))
		return error_operation(run->err, EIO, "lvm %s was killed by signal %d%s%s", run->command,
				       WTERMSIG(status), line[0] ? ": " : "", line);
	if (geteuid())
		return error_operation(run->err, EACCES, "lvm %s does not answer (%s): only root may "
				       "ask it (what is given with --leg and --log needs no LVM)",
				       run->command, line[0] ? line : "it says nothing");
	return error_operation(run->err, EIO, "lvm %s failed: %s", run->command,
			       line[0] ? line : "it does not say why; run it alone");
}

/* --- all of it ------------------------------------------------------------------------ */

/* "lvm" and the words behind it. */
static int run_prepare(struct run *run, const char *const words[])
{
	size_t nr = 0;

	while (words[nr])
		nr++;
	run->command = nr ? words[0] : "";
	run->argv = calloc(nr + 2, sizeof(*run->argv));
	run->envp = environment_make();
	run->said = malloc(MESSAGES_ROOM);
	if (!run->argv || !run->envp || !run->said)
		return no_memory(run);
	run->argv[0] = "lvm";
	memcpy(run->argv + 1, words, nr * sizeof(*words));
	return find_lvm_or_say(run->path, run->err);
}

/* An empty output is a string too. */
static int output_publish(struct run *run, char **output, size_t *nr_bytes)
{
	int r = room_make(run);

	if (r)
		return r;
	run->text[run->used] = '\0';
	if (nr_bytes)
		*nr_bytes = run->used;
	*output = run->text;
	run->text = NULL;
	return 0;
}

/* What was not heard could be that a disk is there twice. */
static int said_publish(struct run *run, char **said)
{
	if (!said)
		return 0;
	if (run->said_more)
		return error_operation(run->err, EFBIG, "lvm %s says more than %u bytes beside its "
				       "report: mend what it complains about first (what is given "
				       "with --leg and --log needs no LVM)", run->command,
				       MESSAGES_ROOM - 1);
	run->said[run->said_used] = '\0';
	*said = strdup(run->said);
	return *said ? 0 : no_memory(run);
}

int lvm_run_heard(char **output, size_t *nr_bytes, char **said, const char *const words[],
		  size_t max_bytes, unsigned int timeout_ms, struct error *err)
{
	struct run run = { .child = -1, .out = -1, .messages = -1, .failed = -1,
			   .max_bytes = max_bytes, .err = err };
	int r, status;

	if (output)
		*output = NULL;
	if (said)
		*said = NULL;
	r = run_prepare(&run, words);
	if (!r)
		r = child_start(&run);
	if (!r)
		r = listen(&run, timeout_ms, now_ms() + timeout_ms);
	if (run.child > 0)
		child_end(&run, &status);
	if (!r)
		r = check_end(&run, status);
	if (!r)
		r = said_publish(&run, said);
	if (!r && output)
		r = output_publish(&run, output, nr_bytes);
	if (r && said) {
		free(*said);
		*said = NULL;
	}
	close_if_open(&run.out);
	close_if_open(&run.messages);
	close_if_open(&run.failed);
	free(run.text);
	free(run.said);
	free(run.argv);
	free(run.envp);
	return r;
}

int lvm_run(char **output, size_t *nr_bytes, const char *const words[], size_t max_bytes,
	    unsigned int timeout_ms, struct error *err)
{
	return lvm_run_heard(output, nr_bytes, NULL, words, max_bytes, timeout_ms, err);
}
