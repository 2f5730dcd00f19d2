/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "io/device.h"
#include "io/engine.h"
#include "support/scratch.h"
#include "unit/suites.h"

#define SECTOR 512u
#define BUFFER_BYTES (64u << 10)

static const enum engine_kind kinds[] = { ENGINE_URING, ENGINE_THREADS };
#define NR_KINDS 2

static struct block_engine *engine;
static struct device *device;

static void setup(void)
{
	scratch_enter();
}

static void teardown(void)
{
	block_engine_destroy(engine);
	device_close(device);
	engine = NULL;
	device = NULL;
	scratch_leave();
}

/* false: not to be had here. */
static bool engine_of(enum engine_kind kind, unsigned int depth)
{
	struct engine_params params = {
		.kind = kind, .depth = depth, .nr_buffers = 8, .buffer_bytes = BUFFER_BYTES,
	};
	struct error err = { .kind = ERROR_NONE };
	int ret = engine_create(&engine, &params, &err);

	if (ret == -ENOSYS && kind == ENGINE_URING) {
		scratch_skip("engine", err.text);
		return false;
	}
	ck_assert_msg(ret == 0, "%s", err.text);
	/* valgrind(1) does not see what io_uring writes. */
	memset(block_buffer(engine, 0), 0, 8 * BUFFER_BYTES);
	return true;
}

static void open_file(const char *path, enum device_open_flags flags)
{
	struct error err = { .kind = ERROR_NONE };
	int ret = device_open(&device, "leg 0", path, 0, flags, &err);

	ck_assert_msg(ret == 0, "%s", err.text);
}

static void check_sectors(const uint8_t *data, uint64_t first, uint64_t sectors)
{
	uint64_t i;

	for (i = 0; i < sectors; i++) {
		ck_assert_uint_eq(data[i * SECTOR], scratch_byte((first + i) * SECTOR));
		ck_assert_uint_eq(data[i * SECTOR + 511], scratch_byte((first + i) * SECTOR));
	}
}

/* Some things cannot be done there: no signal ends io_uring_enter(), and forked
 * children are reported for what glibc keeps of the parent's threads. */
static bool under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

/* Out of the page cache, as far as that can be asked for. */
static void drop_cache(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	fsync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- names --------------------------------------------------------------- */

START_TEST(kind_parse)
{
	struct error err = { .kind = ERROR_NONE };
	enum engine_kind kind = ENGINE_THREADS;

	ck_assert_int_eq(engine_kind_parse(&kind, "auto", &err), 0);
	ck_assert_int_eq(kind, ENGINE_AUTO);
	ck_assert_int_eq(engine_kind_parse(&kind, "io_uring", &err), 0);
	ck_assert_int_eq(kind, ENGINE_URING);
	ck_assert_int_eq(engine_kind_parse(&kind, "threads", &err), 0);
	ck_assert_int_eq(kind, ENGINE_THREADS);
	ck_assert_int_eq(engine_kind_parse(&kind, "thread", &err), -EINVAL);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	ck_assert_ptr_nonnull(strstr(err.text, "'thread'"));
	ck_assert_int_eq(engine_kind_parse(&kind, "", NULL), -EINVAL);
}
END_TEST

/* --- transfers ----------------------------------------------------------- */

struct flight {
	struct block_request request;
	bool flying;
};

static unsigned int landed;

static void land(struct block_request *request)
{
	struct flight *flight = request->context;

	ck_assert_int_eq(request->result, 0);
	check_sectors(request->data, request->sector, request->sectors);
	flight->flying = false;
	landed++;
}

/* Many reads at once, in and outside the arena, more than the depth, in and out
 * of the page cache. */
START_TEST(read_many)
{
	bool cached = _i & 2, arena = _i & 4;
	const char *path = scratch_file("leg", 4 << 20);
	uint32_t block, sectors = BUFFER_BYTES / SECTOR;
	struct flight flights[8];
	uint8_t *outside = aligned_alloc(4096, 8 * BUFFER_BYTES);
	unsigned int i, round;

	ck_assert_ptr_nonnull(outside);
	if (!engine_of(kinds[_i & 1], 5))
		goto out;
	if (!cached)
		drop_cache(path);
	open_file(path, DEVICE_READ);
	block = device->block.block_sectors;
	for (round = 0, landed = 0; round < 50; round++) {
		for (i = 0; i < 8; i++) {
			uint64_t at = (round * 8 + i) * 13u % (8192 / block) * block;

			if (at + sectors > 8192)
				at = 8192 - sectors;
			flights[i].flying = true;
			flights[i].request = (struct block_request){
				.device = &device->block, .op = BLOCK_READ, .sector = at,
				.sectors = i % 2 ? sectors : block,
				.data = arena ? block_buffer(engine, i) : outside + i * BUFFER_BYTES,
				.done = land, .context = &flights[i],
			};
			memset(flights[i].request.data, 0, BUFFER_BYTES);
			ck_assert_int_eq(block_submit(engine, &flights[i].request), 0);
		}
		while (engine->in_flight)
			ck_assert_int_ge(block_wait(engine, 1, 10000), 1);
		ck_assert_uint_eq(landed, 8 * (round + 1));
	}
out:
	free(outside);
}
END_TEST

START_TEST(write_flush_read)
{
	const char *path = scratch_hole("leg", 1 << 20);
	uint8_t sector[SECTOR], *data;
	int fd;

	if (!engine_of(kinds[_i], 4))
		return;
	open_file(path, DEVICE_WRITE);
	data = block_buffer(engine, 0);
	memset(data, 'w', BUFFER_BYTES);
	ck_assert_int_eq(block_write(engine, &device->block, 128, 128, data), 0);
	ck_assert_int_eq(block_flush(engine, &device->block), 0);
	memset(data, 0, BUFFER_BYTES);
	ck_assert_int_eq(block_read(engine, &device->block, 120, 16, data), 0);
	ck_assert_uint_eq(data[7 * SECTOR], 0);
	ck_assert_uint_eq(data[8 * SECTOR], 'w');

	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, sector, SECTOR, 255 * SECTOR), SECTOR);
	ck_assert_uint_eq(sector[511], 'w');
	ck_assert_int_eq(pread(fd, sector, SECTOR, 256 * SECTOR), SECTOR);
	ck_assert_uint_eq(sector[0], 0);
	close(fd);
}
END_TEST

START_TEST(flush_read_only)
{
	if (!engine_of(kinds[_i], 4))
		return;
	open_file(scratch_file("leg", 8192), DEVICE_READ);
	ck_assert_int_eq(block_flush(engine, &device->block), 0);
	ck_assert_int_eq(block_write(engine, &device->block, 0, 8, block_buffer(engine, 0)),
			 -EROFS);
}
END_TEST

/* A pipe can be read but not flushed: so it shows that flushes arrive. */
START_TEST(flush_fails)
{
	struct block_file file = { .direct_fd = -1, .cached_fd = -1 };
	struct block_extent extent = { .sectors = 8, .file = &file };
	struct block_device pipe_device = {
		.name = "pipe", .sectors = 8, .block_sectors = 1,
		.extents = &extent, .nr_extents = 1,
	};
	int fds[2];

	if (!engine_of(kinds[_i], 4))
		return;
	ck_assert_int_eq(pipe(fds), 0);
	file.direct_fd = fds[0];
	ck_assert_int_eq(block_flush(engine, &pipe_device), -EINVAL);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Cut while open: at the cut the read ends with "no data", before it is fine. */
START_TEST(truncated_while_open)
{
	const char *path = scratch_file("leg", 1 << 20);
	uint8_t *data;

	if (!engine_of(kinds[_i & 1], 4))
		return;
	open_file(path, DEVICE_READ);
	data = block_buffer(engine, 0);
	/* Behind the offset, and a cut in the middle of a sector. */
	ck_assert_int_eq(truncate(path, _i & 2 ? 64 * SECTOR + 100 : 64 * SECTOR), 0);
	ck_assert_int_eq(block_read(engine, &device->block, 0, 64, data), 0);
	check_sectors(data, 0, 64);
	ck_assert_int_eq(block_read(engine, &device->block, 0, 128, data), -ENODATA);
	ck_assert_int_eq(block_read(engine, &device->block, 64, 64, data), -ENODATA);
	ck_assert_int_eq(block_read(engine, &device->block, 1024, 64, data), -ENODATA);
}
END_TEST

static unsigned int resident_pages(const char *path, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *map = mmap(NULL, bytes, PROT_NONE, MAP_SHARED, fd, 0);
	unsigned char pages[256];
	unsigned int i, resident = 0;

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mincore(map, bytes, pages), 0);
	for (i = 0; i < bytes / 4096; i++)
		resident += pages[i] & 1;
	munmap(map, bytes);
	close(fd);
	return resident;
}

/* All pages in the cache: from there; one missing: from the disk. */
START_TEST(page_cache_choice)
{
	const char *path = scratch_file("leg", 256 << 10);
	const char *why;
	uint8_t *data;
	off_t missing = _i & 2 ? BUFFER_BYTES - 4096 : BUFFER_BYTES / 2;
	int fd;

	if (!engine_of(kinds[_i & 1], 4))
		return;
	open_file(path, DEVICE_READ);
	data = block_buffer(engine, 0);
	if (!device_is_direct(device, &why) || resident_pages(path, 256 << 10) != 64) {
		scratch_skip("page_cache_choice", "no direct I/O here");
		return;
	}
	ck_assert_int_eq(block_read(engine, &device->block, 0, 128, data), 0);
	ck_assert_uint_eq(device->file->from_cache_bytes, BUFFER_BYTES);

	fd = open(path, O_RDONLY | O_CLOEXEC);
	posix_fadvise(fd, missing, 4096, POSIX_FADV_DONTNEED);
	close(fd);
	if (resident_pages(path, 256 << 10) == 64) {
		scratch_skip("page_cache_choice", "pages cannot be dropped here");
		return;
	}
	memset(data, 0, BUFFER_BYTES);
	ck_assert_int_eq(block_read(engine, &device->block, 0, 128, data), 0);
	check_sectors(data, 0, 128);
	ck_assert_uint_eq(device->file->from_cache_bytes, BUFFER_BYTES);
	ck_assert_uint_lt(resident_pages(path, 256 << 10), 64);
	/* Behind the missing page all is there again. */
	ck_assert_int_eq(block_read(engine, &device->block, 128, 128, data), 0);
	ck_assert_uint_eq(device->file->from_cache_bytes, 2 * BUFFER_BYTES);
}
END_TEST

START_TEST(holes)
{
	const char *path = scratch_hole("leg", 16 << 20);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	uint64_t first, end;

	ck_assert_int_eq(pwrite(fd, "x", 1, 8 << 20), 1);
	fsync(fd);
	close(fd);
	if (!engine_of(kinds[_i], 4))
		return;
	open_file(path, DEVICE_READ);
	if (!device->file->holes_known) {
		scratch_skip("holes", "the file system has none");
		return;
	}
	ck_assert(block_next_data(engine, &device->block, 0, &first, &end));
	ck_assert_uint_le(first, 16384);
	ck_assert_uint_gt(first, 0);
	ck_assert_uint_gt(end, 16384);
	ck_assert_uint_lt(end, 32768);
	ck_assert(!block_next_data(engine, &device->block, end, &first, &end));

	/* What was cut off is no hole: reading must find out. */
	ck_assert_int_eq(truncate(path, 1 << 20), 0);
	ck_assert(block_next_data(engine, &device->block, 20000, &first, &end));
	ck_assert_uint_eq(first, 20000);
}
END_TEST

/* --- things that hang ---------------------------------------------------- */

/* A request that never ends. io_uring: a read of an empty pipe. Threads (pread()
 * refuses pipes): a read of a file into a page that nobody fills in. false: not to
 * be had here. Everything is leaked: the test ends the process. */
static bool start_hanging(enum engine_kind kind, struct block_request *request)
{
	static struct block_file file = { .direct_fd = -1, .cached_fd = -1 };
	static struct block_extent extent = { .sectors = 8, .file = &file };
	static struct block_device hanging = {
		.name = "hanging", .sectors = 8, .block_sectors = 1,
		.extents = &extent, .nr_extents = 1,
	};
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pipe_fds[2], user_faults;

	if (kind == ENGINE_URING) {
		ck_assert_int_eq(pipe(pipe_fds), 0);
		file.direct_fd = pipe_fds[0];
	} else {
		user_faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
		range.range.start = (uintptr_t)page;
		range.range.len = 4096;
		if (user_faults < 0 || ioctl(user_faults, UFFDIO_API, &api) ||
		    ioctl(user_faults, UFFDIO_REGISTER, &range)) {
			scratch_skip("hanging requests", "no userfaultfd here");
			return false;
		}
		file.direct_fd = open(scratch_file("leg", 4096), O_RDONLY | O_CLOEXEC);
	}
	*request = (struct block_request){
		.device = &hanging, .op = BLOCK_READ, .sectors = 8, .data = page, .done = land,
	};
	ck_assert_int_eq(block_submit(engine, request), 0);
	return true;
}

/* Leak checkers wait for all threads, and one of them hangs. */
static void leave_now(void)
{
	scratch_leave();
	_exit(0);
}

START_TEST(hang_timeout_and_destroy)
{
	struct block_request request;
	double start;

	if (!engine_of(kinds[_i], 4) || !start_hanging(kinds[_i], &request))
		leave_now();
	start = now();
	ck_assert_int_eq(block_wait(engine, 1, 200), 0);
	ck_assert_double_gt(now() - start, 0.15);
	ck_assert_double_lt(now() - start, 3);
	start = now();
	ck_assert_int_eq(block_wait(engine, 1, 0), 0);
	ck_assert_int_eq(block_drain(engine, 120), -ETIMEDOUT);
	ck_assert_uint_eq(engine->in_flight, 1);
	block_engine_destroy(engine);
	ck_assert_double_lt(now() - start, 3);
	/* The kernel or a worker may still come back to these; ASan looks on. */
	ck_assert_uint_eq(engine->in_flight, 1);
	memset(block_buffer(engine, 0), 1, BUFFER_BYTES);
	leave_now();
}
END_TEST

static volatile sig_atomic_t signals_seen;

static void count_signal(int signal)
{
	(void)signal;
	signals_seen++;
}

static void catch_signal(int signal)
{
	struct sigaction action = { .sa_handler = count_signal };

	signals_seen = 0;
	ck_assert_int_eq(sigaction(signal, &action, NULL), 0);
}

START_TEST(signal_ends_wait)
{
	struct itimerval timer = { .it_value = { .tv_usec = 100000 } };
	struct block_request request;
	double start;

	if (kinds[_i & 1] == ENGINE_URING && under_valgrind())
		leave_now();
	if (!engine_of(kinds[_i & 1], 4) || !start_hanging(kinds[_i & 1], &request))
		leave_now();
	catch_signal(SIGALRM);
	start = now();
	setitimer(ITIMER_REAL, &timer, NULL);
	ck_assert_int_eq(block_wait(engine, 1, _i & 2 ? -1 : 30000), 0);
	ck_assert_int_eq(signals_seen, 1);
	ck_assert_double_lt(now() - start, 3);
	leave_now();
}
END_TEST

/* Nobody but the main thread may get a signal: while it blocks one, it stays
 * pending. */
START_TEST(workers_block_signals)
{
	struct timespec while_ms = { .tv_nsec = 50000000 };
	sigset_t usr1;

	if (!engine_of(kinds[_i], 8))
		return;
	open_file(scratch_file("leg", 1 << 20), DEVICE_READ);
	ck_assert_int_eq(block_read(engine, &device->block, 0, 128, block_buffer(engine, 0)), 0);
	catch_signal(SIGUSR1);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	kill(getpid(), SIGUSR1);
	nanosleep(&while_ms, NULL);
	ck_assert_int_eq(signals_seen, 0);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	ck_assert_int_eq(signals_seen, 1);
}
END_TEST

/* --- where io_uring is refused ------------------------------------------- */

/* From now on the system call fails with EPERM (when its second argument is
 * `second`, or always with -1): for this process and its children. */
static bool forbid(long number, int second)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)second, 0, second < 0 ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = 6, .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int without_uring(void)
{
	struct engine_params params = {
		.kind = ENGINE_URING, .depth = 4, .nr_buffers = 1, .buffer_bytes = 4096,
	};
	struct error err = { .kind = ERROR_NONE };
	int status;

	if (under_valgrind() || !forbid(SYS_io_uring_setup, -1))
		return SCRATCH_CANNOT;
	if (engine_create(&engine, &params, &err) != -ENOSYS)
		return 1;
	if (err.kind != ERROR_OPERATION || !strstr(err.text, "--io-engine=threads"))
		return 2;
	params.kind = ENGINE_AUTO;
	err.kind = ERROR_NONE;
	if (engine_create(&engine, &params, &err) || err.kind != ERROR_NONE)
		return 3;
	status = strcmp(engine->ops->name, "threads") ? 4 : 0;
	block_engine_destroy(engine);
	return status;
}

START_TEST(auto_falls_back)
{
	scratch_in_child(__func__, without_uring, "valgrind, or no seccomp here");
}
END_TEST

static int without_registration(void)
{
	struct engine_params params = {
		.kind = ENGINE_URING, .depth = 4, .nr_buffers = 1, .buffer_bytes = 4096,
	};
	int status;
	struct error err = { .kind = ERROR_NONE };

	if (under_valgrind() || !forbid(SYS_io_uring_register, IORING_REGISTER_BUFFERS))
		return SCRATCH_CANNOT;
	if (engine_create(&engine, &params, &err))
		return SCRATCH_CANNOT;
	memset(block_buffer(engine, 0), 0, 4096);
	if (device_open(&device, "leg", scratch_path("leg"), 0, DEVICE_READ, NULL))
		return 1;
	if (block_read(engine, &device->block, 0, 8, block_buffer(engine, 0)))
		return 2;
	status = *(uint8_t *)block_buffer(engine, 0) == scratch_byte(0) ? 0 : 3;
	block_engine_destroy(engine);
	device_close(device);
	return status;
}

START_TEST(registration_refused)
{
	scratch_file("leg", 4096);
	scratch_in_child(__func__, without_registration,
			 "valgrind, or no seccomp or io_uring here");
}
END_TEST

START_TEST(auto_is_one_of_both)
{
	ck_assert(engine_of(ENGINE_AUTO, 4));
	ck_assert(strcmp(engine->ops->name, "io_uring") == 0 ||
		  strcmp(engine->ops->name, "threads") == 0);
}
END_TEST

/* What the kernel says of the one ring that is open; -1: nothing. */
static int registered_buffers(void)
{
	char path[64], line[128];
	int nr = -1;

	for (int fd = 3; fd < 64; fd++) {
		FILE *info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		info = fopen(path, "re");
		while (info && fgets(line, sizeof(line), info))
			sscanf(line, "UserBufs: %d", &nr);
		if (info)
			fclose(info);
	}
	return nr;
}

START_TEST(registers_where_it_pays)
{
	static const uint64_t little[] = { 1, 4 * 8 * BUFFER_BYTES - 1 };
	static const uint64_t much[] = { 4 * 8 * BUFFER_BYTES, 0 };
	struct engine_params params = {
		.kind = ENGINE_URING, .depth = 4, .nr_buffers = 8, .buffer_bytes = BUFFER_BYTES,
	};
	struct error err = { .kind = ERROR_NONE };

	for (unsigned int i = 0; i < 4; i++) {
		params.expected_bytes = i < 2 ? much[i] : little[i - 2];
		if (engine_create(&engine, &params, &err)) {
			scratch_skip("engine", err.text);
			return;
		}
		if (i == 0 && registered_buffers() != 1) {
			scratch_skip("engine", "nothing can be registered, or seen to be");
			return;
		}
		ck_assert_int_eq(registered_buffers(), i < 2);
		block_engine_destroy(engine);
		engine = NULL;
	}
}
END_TEST

Suite *engine_suite(void)
{
	Suite *suite = suite_create("engine");
	TCase *tcase = tcase_create("engine");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, kind_parse);
	tcase_add_loop_test(tcase, read_many, 0, 8);
	tcase_add_loop_test(tcase, write_flush_read, 0, NR_KINDS);
	tcase_add_test(tcase, registers_where_it_pays);
	tcase_add_loop_test(tcase, flush_read_only, 0, NR_KINDS);
	tcase_add_loop_test(tcase, flush_fails, 0, NR_KINDS);
	tcase_add_loop_test(tcase, truncated_while_open, 0, 2 * NR_KINDS);
	tcase_add_loop_test(tcase, page_cache_choice, 0, 2 * NR_KINDS);
	tcase_add_loop_test(tcase, holes, 0, NR_KINDS);
	tcase_add_loop_test(tcase, workers_block_signals, 0, NR_KINDS);
	/* These end their process, which must not be the runner's. */
	if (!getenv("CK_FORK") || strcmp(getenv("CK_FORK"), "no")) {
		tcase_add_loop_exit_test(tcase, hang_timeout_and_destroy, 0, 0, NR_KINDS);
		tcase_add_loop_exit_test(tcase, signal_ends_wait, 0, 0, 2 * NR_KINDS);
	}
	tcase_add_test(tcase, auto_falls_back);
	tcase_add_test(tcase, registration_refused);
	tcase_add_test(tcase, auto_is_one_of_both);
	suite_add_tcase(suite, tcase);
	return suite;
}
