/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/device.h"
#include "io/engine.h"
#include "io/signature.h"
#include "support/scratch.h"
#include "unit/suites.h"

#define SECTOR 512u

static void setup(void)
{
	scratch_enter();
}

static void teardown(void)
{
	scratch_leave();
}

static struct device *open_at(const char *path, uint64_t offset)
{
	struct error err = { .kind = ERROR_NONE };
	struct device *device;
	int ret = device_open(&device, "leg 0", path, offset, DEVICE_READ, &err);

	ck_assert_msg(ret == 0, "%s", err.text);
	return device;
}

/* The error must name the device and say `says`. */
static void refuse(const char *path, uint64_t offset, enum device_open_flags flags,
		   const char *says)
{
	struct error err = { .kind = ERROR_NONE };
	struct device *device = (struct device *)&err;
	int ret = device_open(&device, "leg 7", path, offset, flags, &err);

	ck_assert_int_lt(ret, 0);
	ck_assert_ptr_null(device);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(strstr(err.text, "leg 7 (") && strstr(err.text, path) &&
		      strstr(err.text, says), "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_ptr_null(strchr(err.text, '\n'));
}

/* --- what kind of thing -------------------------------------------------- */

START_TEST(regular_file)
{
	const char *path = scratch_file("leg", 1 << 20), *why;
	struct device *device = open_at(path, 16);

	ck_assert_str_eq(device->block.name, device->name);
	ck_assert_ptr_nonnull(strstr(device->name, "leg 0 (/"));
	ck_assert_uint_eq(device->block.sectors, 2048 - 16);
	ck_assert_uint_eq(device->block.nr_extents, 1);
	ck_assert_uint_eq(device->block.extents[0].file_sector, 16);
	ck_assert(!device->block.writable);
	ck_assert(device->file->regular);
	ck_assert_uint_eq(device->file->bytes, 1 << 20);
	ck_assert_int_eq(fcntl(device->file->cached_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	if (device_is_direct(device, &why)) {
		ck_assert_ptr_null(why);
		ck_assert_int_ne(fcntl(device->file->direct_fd, F_GETFL) & O_DIRECT, 0);
		ck_assert_int_eq(fcntl(device->file->direct_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	} else {
		ck_assert_ptr_nonnull(why);
	}
	device_close(device);
	device_close(NULL);
}
END_TEST

START_TEST(odd_sizes)
{
	struct device *device = open_at(scratch_file("tail", 3 * SECTOR + 100), 1);
	const char *why;

	ck_assert_uint_eq(device->block.sectors, 2);
	ck_assert_uint_eq(device->block.block_sectors, 1);
	ck_assert(!device_is_direct(device, &why));
	ck_assert_ptr_nonnull(strstr(why, "size"));
	device_close(device);
}
END_TEST

START_TEST(refused_by_kind)
{
	const char *fifo = scratch_path("fifo"), *small = scratch_file("small", 100);

	refuse(scratch_path("nothing"), 0, DEVICE_READ, "does not exist");
	refuse(scratch_file("empty", 0), 0, DEVICE_READ, "is empty");
	refuse(small, 0, DEVICE_READ, "100 bytes");
	refuse("/dev/null", 0, DEVICE_READ, "is a character device");
	refuse("/", 0, DEVICE_READ, "is a directory");
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	refuse(fifo, 0, DEVICE_READ, "is a named pipe");
	refuse(fifo, 0, DEVICE_WRITE, "is a named pipe");
}
END_TEST

START_TEST(offset_beyond_end)
{
	const char *path = scratch_file("leg", 8 * SECTOR);

	refuse(path, 8, DEVICE_READ, "offset of 8 sectors");
	refuse(path, UINT64_MAX, DEVICE_READ, "18446744073709551615");
	refuse(path, UINT64_MAX / SECTOR + 1, DEVICE_READ, "it has 8");
	device_close(open_at(path, 7));
}
END_TEST

START_TEST(memory_is_not_direct)
{
	char path[] = "/dev/shm/mirrorctl-test-XXXXXX";
	int fd = mkstemp(path);
	struct device *device;
	const char *why;

	if (fd < 0) {
		scratch_skip("memory_is_not_direct", "no /dev/shm");
		return;
	}
	ck_assert_int_eq(ftruncate(fd, 65536), 0);
	close(fd);
	device = open_at(path, 0);
	unlink(path);
	ck_assert(!device_is_direct(device, &why));
	ck_assert_ptr_nonnull(strstr(why, "tmpfs"));
	device_close(device);
}
END_TEST

/* --- locks --------------------------------------------------------------- */

enum lock_kind { LOCK_FLOCK, LOCK_OFD };

/* A process that holds a lock on `path` until its pipe is closed. */
static pid_t hold_lock(const char *path, enum lock_kind kind, bool exclusive, int *release)
{
	struct flock all = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	int held[2], hold[2], fd;
	char byte = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(held), 0);
	ck_assert_int_eq(pipe(hold), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(hold[1]);
		fd = open(path, O_RDWR);
		if (kind == LOCK_FLOCK ? flock(fd, exclusive ? LOCK_EX : LOCK_SH)
				       : fcntl(fd, F_OFD_SETLK, &all))
			_exit(1);
		if (write(held[1], &byte, 1) == 1 && read(hold[0], &byte, 1) == 0)
			_exit(0);
		_exit(1);
	}
	close(held[1]);
	close(hold[0]);
	ck_assert_int_eq(read(held[0], &byte, 1), 1);
	close(held[0]);
	*release = hold[1];
	return pid;
}

START_TEST(locked_by_another)
{
	const char *path = scratch_file("leg", 4096);
	int release, status;
	pid_t pid = hold_lock(path, _i, true, &release);

	refuse(path, 0, DEVICE_READ, "is locked by another process");
	refuse(path, 0, DEVICE_WRITE, "is locked by another process");
	close(release);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	device_close(open_at(path, 0));

	/* Readers do not disturb each other, but a writer is alone. */
	pid = hold_lock(path, _i, false, &release);
	device_close(open_at(path, 0));
	refuse(path, 0, DEVICE_WRITE, "is locked by another process");
	close(release);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}
END_TEST

START_TEST(own_locks)
{
	const char *path = scratch_file("leg", 4096);
	struct error err = { .kind = ERROR_NONE };
	struct device *reader = open_at(path, 0), *again = open_at(path, 0), *writer;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	refuse(path, 0, DEVICE_WRITE, "is locked");
	device_close(reader);
	device_close(again);
	ck_assert_int_eq(device_open(&writer, "leg 0", path, 0, DEVICE_WRITE, &err), 0);
	ck_assert(writer->block.writable);
	ck_assert_int_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
	refuse(path, 0, DEVICE_READ, "is locked");
	device_close(writer);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}
END_TEST

/* --- loop devices -------------------------------------------------------- */

START_TEST(big_sectors)
{
	const char *path = scratch_file("leg", 1 << 20), *why;
	struct engine_params params = { .depth = 2, .nr_buffers = 1, .buffer_bytes = 65536 };
	struct block_engine *engine;
	struct device *device;
	char loop[32];
	uint8_t *data;
	int fd = scratch_loop(loop, path, 4096, 0);

	if (fd < 0) {
		scratch_skip("big_sectors", "no loop devices here");
		return;
	}
	refuse(loop, 3, DEVICE_READ, "use a multiple of 8");
	device = open_at(loop, 16);
	ck_assert_uint_eq(device->file->logical_bytes, 4096);
	ck_assert_uint_eq(device->block.block_sectors, 8);
	ck_assert_uint_eq(device->block.sectors, 2032);
	ck_assert(!device->file->regular);
	ck_assert_int_eq(device->file->cached_fd, -1);
	ck_assert(device_is_direct(device, &why));

	params.kind = _i ? ENGINE_THREADS : ENGINE_AUTO;
	ck_assert_int_eq(engine_create(&engine, &params, NULL), 0);
	data = block_buffer(engine, 0);
	memset(data, 0, 65536);	/* valgrind does not see what io_uring writes */
	ck_assert_int_eq(block_read(engine, &device->block, 1, 8, data), -EINVAL);
	ck_assert_int_eq(block_read(engine, &device->block, 8, 8, data), 0);
	ck_assert_uint_eq(data[0], scratch_byte(24 * SECTOR));
	ck_assert_uint_eq(data[4095], scratch_byte(31 * SECTOR));
	block_engine_destroy(engine);
	device_close(device);
	close(fd);
}
END_TEST

START_TEST(writer_claims)
{
	const char *path = scratch_file("leg", 1 << 20);
	struct error err = { .kind = ERROR_NONE };
	struct device *writer;
	char loop[32];
	int fd = scratch_loop(loop, path, 512, 0);

	if (fd < 0) {
		scratch_skip("writer_claims", "no loop devices here");
		return;
	}
	refuse(path, 0, DEVICE_WRITE, "backs /dev/loop");
	device_close(open_at(path, 0));
	ck_assert_int_eq(device_open(&writer, "leg 0", loop, 0, DEVICE_WRITE, &err), 0);
	refuse(loop, 0, DEVICE_WRITE, "is in use");
	device_close(open_at(loop, 0));		/* readers may look */
	device_close(writer);
	close(fd);
}
END_TEST

/* --- overlap ------------------------------------------------------------- */

static bool overlap(const char *path_a, uint64_t offset_a, uint64_t length_a,
		    const char *path_b, uint64_t offset_b, uint64_t length_b)
{
	struct device *a = open_at(path_a, offset_a), *b = open_at(path_b, offset_b);
	bool there = device_overlap(a, length_a, b, length_b);

	ck_assert(device_overlap(b, length_b, a, length_a) == there);
	device_close(a);
	device_close(b);
	return there;
}

START_TEST(overlap_of_files)
{
	const char *path = scratch_file("leg", 64 * SECTOR);
	const char *other = scratch_file("other", 64 * SECTOR);
	const char *link_path = scratch_path("link"), *hard_path = scratch_path("hard");

	ck_assert_int_eq(symlink(path, link_path), 0);
	ck_assert_int_eq(link(path, hard_path), 0);
	ck_assert(overlap(path, 0, UINT64_MAX, path, 0, UINT64_MAX));
	ck_assert(overlap(path, 0, UINT64_MAX, link_path, 63, UINT64_MAX));
	ck_assert(overlap(path, 0, 1, hard_path, 0, 1));
	ck_assert(!overlap(path, 0, UINT64_MAX, other, 0, UINT64_MAX));
	ck_assert(!overlap(path, 0, 32, link_path, 32, UINT64_MAX));
	ck_assert(overlap(path, 0, 33, link_path, 32, UINT64_MAX));
	ck_assert(!overlap(path, 0, 0, path, 0, 8));
}
END_TEST

START_TEST(overlap_through_loops)
{
	const char *path = scratch_file("disk", 2 << 20);
	char loop[32], inner[32];
	int fd = scratch_loop(loop, path, 512, 64 * SECTOR), inner_fd;

	if (fd < 0) {
		scratch_skip("overlap_through_loops", "no loop devices here");
		return;
	}
	ck_assert(overlap(loop, 0, UINT64_MAX, path, 0, UINT64_MAX));
	ck_assert(!overlap(loop, 0, UINT64_MAX, path, 0, 64));
	ck_assert(overlap(loop, 0, UINT64_MAX, path, 0, 65));
	ck_assert(!overlap(loop, 8, 8, path, 64, 8));
	ck_assert(overlap(loop, 8, 8, path, 72, 8));

	inner_fd = scratch_loop(inner, loop, 512, 16 * SECTOR);
	ck_assert_int_ge(inner_fd, 0);
	ck_assert(!overlap(inner, 0, 1, path, 79, 1));
	ck_assert(overlap(inner, 0, 1, path, 80, 1));
	ck_assert(overlap(inner, 0, 1, loop, 16, 1));
	close(inner_fd);
	close(fd);
}
END_TEST

START_TEST(overlap_of_partitions)
{
	const char *path = scratch_file("disk", 2 << 20);
	struct blkpg_partition first = { .start = 1 << 20, .length = 65536, .pno = 1 };
	struct blkpg_ioctl_arg add = {
		.op = BLKPG_ADD_PARTITION, .datalen = sizeof(first), .data = &first,
	};
	char loop[32], partition[48];
	int fd = scratch_loop(loop, path, 512, 0);
	unsigned int tries;

	if (fd < 0 || ioctl(fd, BLKPG, &add)) {
		scratch_skip("overlap_of_partitions", "no partitions of loop devices here");
		return;
	}
	snprintf(partition, sizeof(partition), "%sp1", loop);
	for (tries = 0; tries < 50 && access(partition, F_OK); tries++)
		usleep(20000);
	if (access(partition, F_OK) == 0) {
		ck_assert(overlap(partition, 0, UINT64_MAX, loop, 0, UINT64_MAX));
		ck_assert(overlap(partition, 0, UINT64_MAX, path, 2048, 1));
		ck_assert(!overlap(partition, 0, UINT64_MAX, loop, 0, 2048));
		ck_assert(!overlap(partition, 0, UINT64_MAX, path, 2048 + 128, UINT64_MAX));
	} else {
		scratch_skip("overlap_of_partitions", "nobody makes the partition's node");
	}
	add.op = BLKPG_DEL_PARTITION;
	ck_assert_int_eq(ioctl(fd, BLKPG, &add), 0);
	close(fd);
}
END_TEST

START_TEST(path_of_number)
{
	const char *file = scratch_file("leg", 65536);
	struct stat node;
	char loop[32], *path = (char *)"junk";
	int fd;

	ck_assert_int_eq(device_path_of_number(&path, makedev(4095, 77777)), -ENODEV);
	ck_assert_ptr_null(path);
	fd = scratch_loop(loop, file, 512, 0);
	if (fd < 0) {
		scratch_skip("path_of_number", "no loop devices here");
		return;
	}
	ck_assert_int_eq(stat(loop, &node), 0);
	ck_assert_int_eq(device_path_of_number(&path, node.st_rdev), 0);
	ck_assert_str_eq(path, loop);
	free(path);
	close(fd);
}
END_TEST

/* --- signatures ---------------------------------------------------------- */

static bool run(const char *command, const char *path)
{
	char line[1024];

	snprintf(line, sizeof(line), "PATH=$PATH:/sbin:/usr/sbin; %s'%s' >/dev/null 2>&1",
		 command, path);
	return system(line) == 0;
}

static void expect_signature(const char *path, uint64_t offset, uint64_t length,
			     const char *says)
{
	struct device *device = open_at(path, offset);
	struct signature_wanted wanted[] = {
		{ .device = NULL }, { .device = device, .length = length },
	};
	const struct signature *signature = &wanted[1].signature;
	char text[128];

	signature_probe(wanted, 2);
	ck_assert_int_eq(wanted[0].result, 0);
	ck_assert(!wanted[0].signature.found);
	ck_assert_int_eq(wanted[1].result, 0);
	ck_assert_str_eq(signature_describe(text, sizeof(text), signature), says);
	ck_assert(signature->found == (says[0] != '\0'));
	device_close(device);
}

START_TEST(signatures)
{
	const char *path = scratch_hole("leg", 8 << 20);

	expect_signature(path, 0, 0, "");
	if (!run("mkswap -L spare ", path)) {
		scratch_skip("signatures", "no mkswap here");
		return;
	}
	expect_signature(path, 0, 0, "a swap area \"spare\"");
	expect_signature(path, 2048, 0, "");
	if (run("mke2fs -q -F -t ext4 -L home ", path)) {
		expect_signature(path, 0, 0, "an ext4 file system \"home\"");
		expect_signature(path, 0, 2, "");
	}
}
END_TEST

START_TEST(signature_at_offset)
{
	const char *path = scratch_hole("leg", 8 << 20), *swap = scratch_hole("swap", 1 << 20);
	char command[600];

	if (!run("mkswap ", swap)) {
		scratch_skip("signature_at_offset", "no mkswap here");
		return;
	}
	snprintf(command, sizeof(command), "<'%s' dd conv=notrunc bs=1M seek=2 of=", swap);
	ck_assert(run(command, path));
	expect_signature(path, 0, 0, "");
	expect_signature(path, 4096, 0, "a swap area");
}
END_TEST

START_TEST(signature_words)
{
	struct signature signature = { .found = true };
	char text[64];

	strcpy(signature.type, "LVM2_member");
	ck_assert_str_eq(signature_describe(text, sizeof(text), &signature),
			 "an LVM physical volume");
	ck_assert_str_eq(signature_describe(text, 8, &signature), "an LVM ");
	strcpy(signature.type, "xfs");
	strcpy(signature.usage, "filesystem");
	ck_assert_str_eq(signature_describe(text, sizeof(text), &signature), "an xfs file system");
	signature.type[0] = '\0';
	strcpy(signature.partition_table, "gpt");
	ck_assert_str_eq(signature_describe(text, sizeof(text), &signature),
			 "a GPT partition table");
	signature.ambivalent = true;
	ck_assert_ptr_nonnull(strstr(signature_describe(text, sizeof(text), &signature), "several"));
	memset(&signature, 0, sizeof(signature));
	ck_assert_str_eq(signature_describe(text, sizeof(text), &signature), "");
}
END_TEST

Suite *device_suite(void)
{
	Suite *suite = suite_create("device");
	TCase *tcase = tcase_create("device");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, regular_file);
	tcase_add_test(tcase, odd_sizes);
	tcase_add_test(tcase, refused_by_kind);
	tcase_add_test(tcase, offset_beyond_end);
	tcase_add_test(tcase, memory_is_not_direct);
	tcase_add_loop_test(tcase, locked_by_another, LOCK_FLOCK, LOCK_OFD + 1);
	tcase_add_test(tcase, own_locks);
	tcase_add_loop_test(tcase, big_sectors, 0, 2);
	tcase_add_test(tcase, writer_claims);
	tcase_add_test(tcase, overlap_of_files);
	tcase_add_test(tcase, overlap_through_loops);
	tcase_add_test(tcase, overlap_of_partitions);
	tcase_add_test(tcase, path_of_number);
	tcase_add_test(tcase, signatures);
	tcase_add_test(tcase, signature_at_offset);
	tcase_add_test(tcase, signature_words);
	suite_add_tcase(suite, tcase);
	return suite;
}
