/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/region.h"
#include "io/repair_files.h"
#include "support/audit_world.h"
#include "support/scratch.h"
#include "unit/suites.h"

/* In the place of libc's: what was made durable, in order. */
static struct stat synced[64];
static size_t nr_synced;

int fsync(int fd)
{
	if (nr_synced < sizeof(synced) / sizeof(synced[0]) && !fstat(fd, &synced[nr_synced]))
		nr_synced++;
	return (int)syscall(SYS_fsync, fd);
}

static const char identity[] = "{\"kind\":\"weak\"}";
static struct error err;
static struct journal_file file;

static void setup(void)
{
	scratch_enter();
	memset(&err, 0, sizeof(err));
	memset(&file, 0, sizeof(file));
}

static void teardown(void)
{
	journal_file_close(&file);
	scratch_leave();
}

/* One line that says all of these. */
static bool says(const char *first, const char *second, const char *third)
{
	bool good = err.kind != ERROR_NONE && strstr(err.text, first) &&
		    strstr(err.text, second) && strstr(err.text, third) &&
		    !strchr(err.text, '\n');

	if (!good)
		fprintf(stderr, "\"%s\" lacks \"%s\", \"%s\" or \"%s\"\n", err.text, first, second,
			third);
	memset(&err, 0, sizeof(err));
	return good;
}

static void make(const char *path)
{
	int r = journal_file_create_at(&file, path, &err);

	ck_assert_msg(!r, "%s", err.text);
	ck_assert_int_eq(journal_put_identity(&file.writer, identity), 0);
}

static void make_committed(const char *path)
{
	make(path);
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	journal_file_close(&file);
}

/* Types of the records as digits, and how it ended: '.', cut short '-', damaged '!'. */
static const char *records_of(const char *path, struct journal_reader *reader)
{
	static char types[32];
	struct journal_input input;
	struct journal_record record;
	size_t nr = 0;
	int r;

	ck_assert_int_eq(journal_input_open(&input, path, &err), 0);
	journal_reader_init(reader, input.source);
	while ((r = journal_next(reader, &record, NULL)) == 1 && nr < sizeof(types) - 2)
		types[nr++] = (char)('0' + record.type);
	types[nr++] = r == 0 ? '.' : r == -ENODATA ? '-' : '!';
	types[nr] = '\0';
	journal_input_close(&input);
	return types;
}

static void expect_records(const char *path, const char *types)
{
	struct journal_reader reader;

	ck_assert_str_eq(records_of(path, &reader), types);
	journal_reader_free(&reader);
}

#define CHECK CHILD_CHECK

/* --- creating ---------------------------------------------------------------- */

START_TEST(creates)
{
	const char *state = scratch_path("a/b");
	struct stat st;

	umask(022);
	ck_assert_int_eq(journal_file_create(&file, state, "vg/home", &err), 0);
	ck_assert_int_eq(strncmp(file.path, state, strlen(state)), 0);
	ck_assert_int_eq(strncmp(file.path + strlen(state), "/undo/vg-home.2", 15), 0);
	ck_assert_int_eq(fcntl(file.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fcntl(file.directory_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(stat(file.path, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(stat(scratch_path("a/b/undo"), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
	ck_assert_int_eq(stat(scratch_path("a/b"), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
	ck_assert_int_eq(stat(scratch_path("a"), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
	journal_file_discard(&file);
	ck_assert_ptr_null(file.path);
	ck_assert_int_eq(rmdir(scratch_path("a/b/undo")), 0);
}
END_TEST

static bool was_synced(size_t nr, const char *path)
{
	struct stat st;

	return nr < nr_synced && !stat(path, &st) && st.st_dev == synced[nr].st_dev &&
	       st.st_ino == synced[nr].st_ino;
}

/* Every new name before it is used, and all that was written before the commit. */
START_TEST(order_of_syncs)
{
	const char *state = scratch_path("a/b");

	nr_synced = 0;
	ck_assert_int_eq(journal_file_create(&file, state, "m", &err), 0);
	ck_assert_uint_eq(nr_synced, 4);
	ck_assert(was_synced(0, scratch_path("")));
	ck_assert(was_synced(1, scratch_path("a")));
	ck_assert(was_synced(2, state));
	ck_assert(was_synced(3, scratch_path("a/b/undo")));
	ck_assert_int_eq(journal_put_identity(&file.writer, identity), 0);
	nr_synced = 0;
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	ck_assert_uint_eq(nr_synced, 4);
	ck_assert(was_synced(0, file.path));
	ck_assert(was_synced(1, scratch_path("a/b/undo")));
	ck_assert(was_synced(2, file.path));
	ck_assert_int_eq(synced[0].st_size, 64 + 16);
	ck_assert_int_eq(synced[2].st_size, 64 + 16 + 64);
}
END_TEST

START_TEST(round_trip)
{
	struct region_run runs[] = { { 3, 3 } };
	struct journal_outcome outcome = { .runs = runs, .nr_runs = 1 };
	const char *path = scratch_path("saved");

	make(path);
	ck_assert_int_eq(journal_file_sync(&file, &err), 0);
	expect_records(path, "1.");
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	expect_records(path, "15.");
	ck_assert_int_eq(journal_put_outcome(&file.writer, &outcome), 0);
	expect_records(path, "15.");	/* buffered */
	ck_assert_int_eq(journal_file_sync(&file, &err), 0);
	expect_records(path, "156.");
}
END_TEST

/* Longer than the buffer, in pieces that do not fit it. */
START_TEST(long_data)
{
	uint64_t sectors = 5 * 2048 + 7;
	unsigned char *data = malloc(sectors * SECTOR_BYTES);
	struct journal_bytes bytes = { .place = 1, .start_sector = 9, .sectors = sectors,
				       .data = data };
	const char *path = scratch_path("saved");
	struct journal_input input;
	struct journal_reader reader;
	struct journal_record record;

	for (size_t i = 0; i < sectors * SECTOR_BYTES; i++)
		data[i] = (unsigned char)(i * 7 + i / 4099);
	make(path);
	ck_assert_int_eq(journal_put_bytes(&file.writer, &bytes), 0);
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	ck_assert_int_eq(journal_input_open(&input, path, &err), 0);
	journal_reader_init(&reader, input.source);
	ck_assert_int_eq(journal_next(&reader, &record, &err), 1);
	ck_assert_int_eq(journal_next(&reader, &record, &err), 1);
	ck_assert_uint_eq(record.bytes.sectors, sectors);
	ck_assert_mem_eq(record.bytes.data, data, sectors * SECTOR_BYTES);
	journal_reader_free(&reader);
	journal_input_close(&input);
	free(data);
}
END_TEST

static void refuse_name(const char *path, int code, const char *why)
{
	ck_assert_int_eq(journal_file_create_at(&file, path, &err), -code);
	ck_assert(says(path, why, "nothing was changed"));
	ck_assert_ptr_null(file.path);
}

START_TEST(never_over_anything)
{
	const char *there = scratch_file("there", 100), *link = scratch_path("link");
	const char *dangling = scratch_path("dangling"), *fifo = scratch_path("fifo");
	struct stat st;

	ck_assert_int_eq(symlink(there, link), 0);
	ck_assert_int_eq(symlink(scratch_path("elsewhere"), dangling), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	refuse_name(there, EEXIST, "exists already");
	refuse_name(link, EEXIST, "exists already");
	refuse_name(dangling, EEXIST, "exists already");
	refuse_name(fifo, EEXIST, "exists already");
	refuse_name(scratch_path(""), EINVAL, "is not the name of a file");
	refuse_name(scratch_path("."), EINVAL, "is not the name of a file");
	refuse_name(scratch_path(".."), EINVAL, "is not the name of a file");
	refuse_name("", EINVAL, "is not the name of a file");
	ck_assert_int_eq(lstat(there, &st), 0);
	ck_assert_int_eq(st.st_size, 100);
	ck_assert_int_ne(lstat(scratch_path("elsewhere"), &st), 0);
}
END_TEST

START_TEST(no_such_directory)
{
	const char *path = scratch_path("no/saved");

	scratch_file("plain", 1);
	ck_assert_int_eq(journal_file_create_at(&file, path, &err), -ENOENT);
	ck_assert(says("saved: cannot be written in ", "/no: no such file", "nothing was changed"));
	ck_assert_int_eq(journal_file_create_at(&file, scratch_path("plain/saved"), &err),
			 -ENOTDIR);
	ck_assert(says("/plain: ", "not a directory", "nothing was changed"));
	ck_assert_int_eq(journal_file_create(&file, scratch_path("plain"), "m", &err), -ENOTDIR);
	ck_assert(says("/plain/undo", "not a directory", "give another --state-dir"));
}
END_TEST

/* A bare name stands in the current directory. */
START_TEST(bare_name)
{
	char *here = getcwd(NULL, 0);

	ck_assert_int_eq(chdir(scratch_path("")), 0);
	make_committed("bare");
	expect_records(scratch_path("bare"), "15.");
	refuse_name("bare", EEXIST, "exists already");
	ck_assert_int_eq(chdir(here), 0);
	free(here);
}
END_TEST

/* --- where nothing can be written ---------------------------------------------- */

static int as_nobody(void)
{
	CHECK(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534));
	CHECK(journal_file_create(&file, scratch_path("root"), "m", &err) == -EACCES);
	CHECK(says("/root/undo", "permission denied", "nothing was changed"));
	CHECK(journal_file_create_at(&file, scratch_path("root/saved"), &err) == -EACCES);
	CHECK(says("saved: cannot be written in", "/root: permission denied",
		   "nothing was changed"));
	CHECK(!file.path);
	return 0;
}

START_TEST(not_writable)
{
	if (geteuid()) {
		scratch_skip("not_writable", "not root");
		return;
	}
	ck_assert_int_eq(chmod(scratch_path(""), 0755), 0);
	ck_assert_int_eq(mkdir(scratch_path("root"), 0755), 0);
	scratch_in_child(__func__, as_nobody, "");
}
END_TEST

static int put_sectors(uint64_t sectors)
{
	unsigned char *data = calloc(sectors, SECTOR_BYTES);
	struct journal_bytes bytes = { .place = 0, .sectors = sectors, .data = data };
	int r = journal_put_bytes(&file.writer, &bytes);

	free(data);
	return r;
}

static int on_full_disk(void)
{
	if (!scratch_mount_small(scratch_path("small")))
		return SCRATCH_CANNOT;
	/* Seen when it is synced, as it fits the buffer. */
	CHECK(!journal_file_create(&file, scratch_path("small"), "m", &err));
	CHECK(!journal_put_identity(&file.writer, identity) && !put_sectors(200));
	CHECK(journal_file_commit(&file, &err) == -ENOSPC);
	CHECK(says(".undo: cannot be written in ", "/small/undo: no space left; make room there or give another --state-dir",
		   "; nothing was changed"));
	journal_file_discard(&file);
	/* Seen when it is put. */
	CHECK(!journal_file_create_at(&file, scratch_path("small/saved"), &err));
	CHECK(!journal_put_identity(&file.writer, identity));
	CHECK(put_sectors(3000) == -ENOSPC);
	CHECK(journal_put_commit(&file.writer) == -ENOSPC);
	CHECK(journal_file_sync(&file, &err) == -ENOSPC);
	CHECK(says("saved: cannot be written in ", "make room there or give the name of another",
		   "; nothing was changed"));
	journal_file_discard(&file);
	CHECK(access(scratch_path("small/saved"), F_OK));
	return 0;
}

static int on_read_only(void)
{
	if (!scratch_mount_small(scratch_path("small")))
		return SCRATCH_CANNOT;
	CHECK(!mount("none", scratch_path("small"), "tmpfs", MS_REMOUNT | MS_RDONLY, ""));
	CHECK(journal_file_create(&file, scratch_path("small"), "m", &err) == -EROFS);
	CHECK(says("/small/undo", "read-only", "nothing was changed"));
	CHECK(journal_file_create_at(&file, scratch_path("small/saved"), &err) == -EROFS);
	CHECK(says("saved: cannot be written in ", "/small: read-only", "nothing was changed"));
	return 0;
}

START_TEST(disk_full)
{
	scratch_in_child(__func__, on_full_disk, "nothing can be mounted");
}
END_TEST

START_TEST(read_only)
{
	scratch_in_child(__func__, on_read_only, "nothing can be mounted");
}
END_TEST

static int below_limit(void)
{
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };

	signal(SIGXFSZ, SIG_IGN);
	CHECK(!journal_file_create_at(&file, scratch_path("saved"), &err));
	CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
	CHECK(!journal_put_identity(&file.writer, identity) && !put_sectors(20));
	CHECK(journal_file_sync(&file, &err) == -EFBIG);
	CHECK(says("saved: cannot be written in ", "file too large; raise the limit on file sizes",
		   "; nothing was changed"));
	return 0;
}

START_TEST(file_too_large)
{
	scratch_in_child(__func__, below_limit, "");
}
END_TEST

/* --- what a kernel may answer ---------------------------------------------------- */

/* Puts `other` in the place of *fd and keeps what was there. */
static int swap_fd(int fd, int other)
{
	int kept = dup(fd);

	ck_assert_int_ge(kept, 0);
	ck_assert_int_ge(dup2(other, fd), 0);
	return kept;
}

static void swap_back(int fd, int kept)
{
	ck_assert_int_ge(dup2(kept, fd), 0);
	close(kept);
}

/* A pipe takes the bytes and cannot be synced. A later fsync that works would prove
 * nothing: the kernel may have dropped what it could not write. */
START_TEST(fsync_fails)
{
	const char *path = scratch_path("saved");
	int ends[2], kept;

	ck_assert_int_eq(pipe(ends), 0);
	make(path);
	kept = swap_fd(file.fd, ends[1]);
	ck_assert_int_eq(journal_file_sync(&file, &err), -EINVAL);
	ck_assert(says("saved: cannot be written in", "", "nothing was changed"));
	swap_back(file.fd, kept);
	ck_assert_int_eq(journal_file_sync(&file, &err), -EINVAL);
	ck_assert(says("saved: cannot be written in", "", "nothing was changed"));
	ck_assert_int_eq(journal_file_commit(&file, &err), -EINVAL);
	ck_assert_int_eq(journal_put_commit(&file.writer), -EINVAL);
	expect_records(path, ".");
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(directory_fsync_fails)
{
	int dead = open(scratch_path(""), O_PATH | O_CLOEXEC), kept;

	make(scratch_path("saved"));
	kept = swap_fd(file.directory_fd, dead);
	ck_assert_int_eq(journal_file_commit(&file, &err), -EBADF);
	ck_assert(says("saved: cannot be written in", "", "nothing was changed"));
	swap_back(file.directory_fd, kept);
	expect_records(scratch_path("saved"), "1.");
	close(dead);
}
END_TEST

/* After the commit the truth is another one. */
START_TEST(outcome_fails)
{
	struct journal_outcome outcome = { 0 };
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), kept;

	if (full < 0) {
		scratch_skip("outcome_fails", "no /dev/full");
		return;
	}
	make(scratch_path("saved"));
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	kept = swap_fd(file.fd, full);
	ck_assert_int_eq(journal_put_outcome(&file.writer, &outcome), 0);
	ck_assert_int_eq(journal_file_sync(&file, &err), -ENOSPC);
	ck_assert_ptr_null(strstr(err.text, "nothing was changed"));
	ck_assert(says("saved: cannot be written in", "make room there; ",
		       "stays as it is, but is not noted in it"));
	swap_back(file.fd, kept);
	close(full);
	expect_records(scratch_path("saved"), "15.");
}
END_TEST

struct pipe_reader {
	int from, to;
};

static void *pipe_read(void *context)
{
	const struct pipe_reader *reader = context;
	char buffer[3000];
	unsigned int nr = 0;
	ssize_t n;

	while ((n = read(reader->from, buffer, sizeof(buffer))) > 0) {
		ck_assert_int_eq(write(reader->to, buffer, (size_t)n), n);
		/* Long enough for an alarm before the first byte of a write. */
		usleep(nr++ % 64 ? 20 : 5000);
	}
	return NULL;
}

static void on_alarm(int number)
{
	(void)number;
}

/* A pipe that is read slowly while a timer interrupts: writes are short or end in
 * EINTR, and nothing is lost or written twice. */
START_TEST(short_writes)
{
	struct sigaction action = { .sa_handler = on_alarm }, before;
	/* Where valgrind looks on, a signal every half a millisecond lets nothing else run. */
	suseconds_t every = world_rounds(30) < 30 ? 50000 : 500;
	struct itimerval timer = { .it_interval.tv_usec = every, .it_value.tv_usec = every };
	struct itimerval never = { .it_value.tv_usec = 0 };
	struct pipe_reader reader;
	pthread_t thread;
	sigset_t alarm_set, was;
	int ends[2], kept;

	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	make(scratch_path("saved"));
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
	reader.from = ends[0];
	reader.to = open(scratch_path("through"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	kept = swap_fd(file.fd, ends[1]);
	close(ends[1]);
	sigaction(SIGALRM, &action, &before);
	pthread_sigmask(SIG_BLOCK, &alarm_set, &was);
	ck_assert_int_eq(pthread_create(&thread, NULL, pipe_read, &reader), 0);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	ck_assert_int_eq(put_sectors(6000), 0);
	ck_assert_int_eq(journal_put_commit(&file.writer), 0);
	/* It is written, and then cannot be synced. */
	ck_assert_int_eq(journal_file_sync(&file, &err), -EINVAL);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	swap_back(file.fd, kept);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(reader.to);
	expect_records(scratch_path("through"), "135.");
}
END_TEST

START_TEST(name_taken_away)
{
	const char *path = scratch_path("saved"), *other;

	make(path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(journal_file_commit(&file, &err), -ENOENT);
	ck_assert(says("saved: was removed", "", "nothing was changed"));
	ck_assert_int_lt(journal_put_commit(&file.writer), 0);
	/* Another's file of that name is left alone. */
	other = scratch_file("saved", 10);
	journal_file_discard(&file);
	ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(discard)
{
	const char *path = scratch_path("saved");

	make(path);
	journal_file_discard(&file);
	ck_assert_int_ne(access(path, F_OK), 0);
	journal_file_discard(&file);
	make_committed(path);
	ck_assert_int_eq(access(path, F_OK), 0);
	journal_file_close(&file);
}
END_TEST

/* --- carrying on ------------------------------------------------------------------- */

static int append_to(const char *path, const struct journal_reader *reader)
{
	int r = journal_file_append(&file, path, reader, &err);

	ck_assert(!r == !!file.path);
	return r;
}

static off_t size_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

static void put_run(uint64_t first)
{
	struct region_run run = { first, first };
	struct journal_outcome outcome = { .runs = &run, .nr_runs = 1 };

	ck_assert_int_eq(journal_put_outcome(&file.writer, &outcome), 0);
	ck_assert_int_eq(journal_file_sync(&file, &err), 0);
}

/* An outcome cut at every byte is cut off, and another one takes its place. */
START_TEST(cut_outcome)
{
	const char *path = scratch_path("saved");
	struct journal_reader reader;
	off_t committed, whole;

	make(path);
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	committed = size_of(path);
	put_run(3);
	whole = size_of(path);
	journal_file_close(&file);
	for (off_t cut = whole; cut >= committed; cut -= 5) {
		const char *types;

		ck_assert_int_eq(truncate(path, cut), 0);
		types = records_of(path, &reader);
		ck_assert_str_eq(types, cut == whole ? "156." : cut == committed ? "15." : "15-");
		ck_assert_int_eq(append_to(path, &reader), 0);
		journal_reader_free(&reader);
		put_run(4);
		journal_file_close(&file);
		expect_records(path, cut == whole ? "1566." : "156.");
		if (cut > committed && cut - 5 < committed)
			cut = committed + 5;
	}
}
END_TEST

START_TEST(two_writers)
{
	const char *path = scratch_path("saved");
	struct journal_reader reader;
	struct journal_file other;

	make_committed(path);
	records_of(path, &reader);
	ck_assert_int_eq(append_to(path, &reader), 0);
	ck_assert_int_eq(journal_file_append(&other, path, &reader, &err), -EWOULDBLOCK);
	ck_assert(says(path, "in use by another mirrorctl", "nothing was added"));
	ck_assert_ptr_null(other.path);
	put_run(3);
	journal_file_close(&file);
	/* What the other one has written in between is not overwritten. */
	ck_assert_int_eq(append_to(path, &reader), -ESTALE);
	ck_assert(says(path, "changed since it was read", "nothing was added"));
	journal_reader_free(&reader);
	expect_records(path, "156.");
}
END_TEST

START_TEST(being_written)
{
	const char *path = scratch_path("saved");
	struct journal_reader reader;
	struct journal_file other;

	make(path);
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	records_of(path, &reader);
	ck_assert_int_eq(journal_file_append(&other, path, &reader, &err), -EWOULDBLOCK);
	journal_reader_free(&reader);
}
END_TEST

START_TEST(append_refused)
{
	const char *path = scratch_path("saved"), *link = scratch_path("link");
	struct journal_reader reader, good;
	off_t size;
	int fd;

	make(path);
	ck_assert_int_eq(journal_file_sync(&file, &err), 0);
	journal_file_close(&file);
	records_of(path, &reader);
	size = size_of(path);
	ck_assert_int_eq(append_to(path, &reader), -EINVAL);
	ck_assert(says(path, "never committed", "nothing was added"));
	journal_reader_free(&reader);
	ck_assert_int_eq(size_of(path), size);

	ck_assert_int_eq(unlink(path), 0);
	make_committed(path);
	records_of(path, &good);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_eq(append_to(link, &good), -ELOOP);
	ck_assert(says(link, "symbolic link", "nothing was added"));
	ck_assert_int_eq(append_to(scratch_path("none"), &good), -ENOENT);
	ck_assert_int_eq(append_to(scratch_path("no/none"), &good), -ENOENT);
	ck_assert_int_lt(append_to(scratch_path(""), &good), 0);
	memset(&err, 0, sizeof(err));

	/* Damaged behind what was read; the tail is not cut off. */
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_eq(write(fd, scratch_path(""), 64), 64);
	close(fd);
	size = size_of(path);
	ck_assert_int_eq(append_to(path, &good), -EBADMSG);
	ck_assert(says(path, "damaged", ""));
	ck_assert_int_eq(size_of(path), size);
	journal_reader_free(&good);
}
END_TEST

/* Another journal of the same length under that name. */
START_TEST(append_to_another)
{
	const char *path = scratch_path("saved");
	struct journal_reader reader;

	ck_assert_int_eq(journal_file_create_at(&file, path, &err), 0);
	ck_assert_int_eq(journal_put_identity(&file.writer, "{\"kind\":\"wrong\"}"), 0);
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	journal_file_close(&file);
	records_of(path, &reader);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(journal_file_create_at(&file, path, &err), 0);
	ck_assert_int_eq(journal_put_identity(&file.writer, "{\"kind\":\"other\"}"), 0);
	ck_assert_int_eq(journal_file_commit(&file, &err), 0);
	journal_file_close(&file);
	ck_assert_uint_eq(size_of(path), reader.offset);
	ck_assert_int_eq(append_to(path, &reader), -ESTALE);
	journal_reader_free(&reader);
}
END_TEST

/* --- reading ------------------------------------------------------------------------- */

static void refuse_input(const char *path, int code, const char *why)
{
	struct journal_input input;

	ck_assert_int_eq(journal_input_open(&input, path, &err), -code);
	ck_assert(says(path, why, "give the name of a journal"));
	ck_assert_ptr_null(input.path);
	journal_input_close(&input);
}

START_TEST(inputs)
{
	const char *path = scratch_file("file", 1000), *fifo = scratch_path("fifo");
	struct journal_input input;
	struct journal_source source;
	char bytes[200];

	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	refuse_input(fifo, EINVAL, "not a regular file");
	refuse_input("/dev/null", EINVAL, "not a regular file");
	refuse_input(scratch_path("none"), ENOENT, "no such file");
	refuse_input(scratch_path(""), EISDIR, "is a directory");
	ck_assert_int_eq(journal_input_open(&input, path, &err), 0);
	source = input.source;
	ck_assert_str_eq(source.name, path);
	ck_assert_int_eq(source.read_at(source.context, 0, bytes, 200), 200);
	ck_assert_int_eq(bytes[0], (char)scratch_byte(0));
	ck_assert_int_eq(source.read_at(source.context, 900, bytes, 200), 100);
	ck_assert_int_eq(source.read_at(source.context, 1000, bytes, 200), 0);
	ck_assert_int_eq(source.read_at(source.context, UINT64_MAX - 3, bytes, 200), 0);
	ck_assert_int_eq(source.read_at(source.context, (uint64_t)INT64_MAX, bytes, 0), 0);
	journal_input_close(&input);
	ck_assert_int_lt(source.read_at((void *)-1, 0, bytes, 200), 0);
}
END_TEST

/* Each round of a repair that goes on in rounds has its own. */
START_TEST(saved_of_rounds)
{
	static const char *const names[] = { "saved", "saved", "saved.2", "saved.3" };
	struct repair_files files;

	for (unsigned int nr = 1; nr <= 3; nr++) {
		ck_assert_int_eq(repair_files_create(&files, scratch_path("state"),
						     scratch_path("saved"), nr, "m", &err), 0);
		ck_assert_str_eq(files.saved.path, scratch_path(names[nr]));
		ck_assert(files.journal.path && !access(files.journal.path, F_OK));
		repair_files_close(&files);
		ck_assert(!access(scratch_path(names[nr]), F_OK));
	}
	/* Nothing is overwritten, and then there is no journal either. */
	ck_assert_int_eq(repair_files_create(&files, scratch_path("other"), scratch_path("saved"), 2,
					     "m", &err), -EEXIST);
	ck_assert(says("saved.2: exists already", "nothing was changed", ""));
	ck_assert(!files.journal.path && access(scratch_path("other"), F_OK));
	repair_files_discard(&files);
	ck_assert(!access(scratch_path("saved.2"), F_OK));
	/* Discarded: both go. */
	ck_assert_int_eq(repair_files_create(&files, scratch_path("other"), scratch_path("saved"), 4,
					     "m", &err), 0);
	repair_files_discard(&files);
	ck_assert(access(scratch_path("saved.4"), F_OK));
}
END_TEST

Suite *journal_file_suite(void)
{
	Suite *suite = suite_create("journal_file");
	TCase *tests = tcase_create("journal_file");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, creates);
	tcase_add_test(tests, order_of_syncs);
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, long_data);
	tcase_add_test(tests, never_over_anything);
	tcase_add_test(tests, no_such_directory);
	tcase_add_test(tests, bare_name);
	tcase_add_test(tests, not_writable);
	tcase_add_test(tests, disk_full);
	tcase_add_test(tests, read_only);
	tcase_add_test(tests, file_too_large);
	tcase_add_test(tests, fsync_fails);
	tcase_add_test(tests, directory_fsync_fails);
	tcase_add_test(tests, outcome_fails);
	tcase_add_test(tests, short_writes);
	tcase_add_test(tests, name_taken_away);
	tcase_add_test(tests, discard);
	tcase_add_test(tests, cut_outcome);
	tcase_add_test(tests, two_writers);
	tcase_add_test(tests, being_written);
	tcase_add_test(tests, append_refused);
	tcase_add_test(tests, append_to_another);
	tcase_add_test(tests, inputs);
	tcase_add_test(tests, saved_of_rounds);
	suite_add_tcase(suite, tests);
	return suite;
}
