/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/scratch.h"
#include "support/quick_check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[256];

void scratch_enter(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/mirrorctl-test-XXXXXX",
		 parent && *parent ? parent : "/var/tmp");
	ck_assert_msg(mkdtemp(directory) != NULL, "mkdtemp %s: %s", directory, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	remove(path);
	return 0;
}

void scratch_leave(void)
{
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

const char *scratch_path(const char *name)
{
	static char paths[8][512];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

const char *scratch_hole(const char *name, uint64_t bytes)
{
	const char *path = scratch_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
	return path;
}

uint8_t scratch_byte(uint64_t offset)
{
	return (uint8_t)((offset / 512) * 37 + offset / 512 / 256 + 1);
}

const char *scratch_file(const char *name, uint64_t bytes)
{
	const char *path = scratch_hole(name, bytes);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	uint8_t sector[512];
	uint64_t at;

	ck_assert_int_ge(fd, 0);
	for (at = 0; at < bytes; at += sizeof(sector)) {
		size_t span = bytes - at < sizeof(sector) ? bytes - at : sizeof(sector);

		memset(sector, scratch_byte(at), sizeof(sector));
		ck_assert_int_eq(write(fd, sector, span), (ssize_t)span);
	}
	ck_assert_int_eq(fsync(fd), 0);
	close(fd);
	return path;
}

static int loop_configure(char path[32], int backing, uint32_t block_bytes, uint64_t offset)
{
	struct loop_config config = {
		.fd = (uint32_t)backing,
		.block_size = block_bytes,
		.info = { .lo_offset = offset,
			  .lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN },
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int tries, number, fd = -1;

	/* Others look for a free one at the same time. */
	for (tries = 0; control >= 0 && tries < 20; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			break;
		snprintf(path, 32, "/dev/loop%d", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			break;
		close(fd);
		fd = -1;
		if (errno != EBUSY)
			break;
	}
	if (control >= 0)
		close(control);
	return fd;
}

int scratch_loop(char path[32], const char *file, uint32_t block_bytes, uint64_t offset)
{
	int backing = open(file, O_RDWR | O_CLOEXEC);
	int fd;

	ck_assert_int_ge(backing, 0);
	fd = loop_configure(path, backing, block_bytes, offset);
	close(backing);
	return fd;
}

void scratch_skip(const char *test, const char *why)
{
	size_t length = strlen(test);

	/* __func__ in a START_TEST() */
	if (length > 3 && !strcmp(test + length - 3, "_fn"))
		length -= 3;
	fprintf(stderr, "skipped: %.*s: %s\n", (int)length, test, why);
}

void scratch_in_child(const char *test, int (*body)(void), const char *why)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(body());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SCRATCH_CANNOT)
		scratch_skip(test, why);
	else
		ck_assert_msg(!status, "its child ended with %x", status);
}

int scratch_child_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, condition);
	return 1;
}

bool scratch_own_mounts(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", "none", MS_REC | MS_PRIVATE, "");
}

bool scratch_mount_small(const char *path)
{
	return !mkdir(path, 0755) && scratch_own_mounts() &&
	       !mount("none", path, "tmpfs", 0, "size=64k");
}
