/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/device_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/region.h"

/* --- what the engines ask of a file -------------------------------------- */

/* Does the page cache hold all of the range? Asked of a mapping that is never
 * touched, so that a file cut short cannot raise SIGBUS. Only a hint: a page
 * may go away before it is read, which costs time and nothing else. */
static bool range_is_resident(const struct block_file *file, uint64_t offset, size_t bytes)
{
	static const size_t step = 1u << 20;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t at = offset - offset % page, end;
	unsigned char resident[256];

	if (!file->residency || __builtin_add_overflow(offset, bytes, &end) ||
	    end > file->bytes)
		return false;
	for (; at < end; at += step) {
		size_t span = end - at < step ? (size_t)(end - at) : step;
		size_t i, nr_pages = (span + page - 1) / page;

		if (mincore((char *)file->residency + at, span, resident))
			return false;
		for (i = 0; i < nr_pages; i++)
			if (!(resident[i] & 1))
				return false;
	}
	return true;
}

int block_file_fd(const struct block_file *file, enum block_op op,
		  uint64_t offset_bytes, size_t bytes, bool *cached)
{
	*cached = file->direct_fd < 0 ||
		  (op == BLOCK_READ && file->cached_fd >= 0 &&
		   range_is_resident(file, offset_bytes, bytes));
	return *cached ? file->cached_fd : file->direct_fd;
}

int block_file_next_data(struct block_engine *engine, struct block_file *file,
			 uint64_t offset_bytes, uint64_t *start, uint64_t *end)
{
	off_t data, hole;

	(void)engine;
	if (!file->holes_known || offset_bytes > INT64_MAX)
		return -EOPNOTSUPP;
	data = lseek(file->cached_fd, (off_t)offset_bytes, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		/* Also the answer for an offset beyond the end: a file that got
		 * shorter must be read to be noticed. */
		struct stat now;

		if (fstat(file->cached_fd, &now) || (uint64_t)now.st_size < file->bytes)
			return -EOPNOTSUPP;
		*start = *end = UINT64_MAX;
		return 0;
	}
	if (data < 0)
		return -errno;
	hole = lseek(file->cached_fd, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	*start = (uint64_t)data;
	*end = (uint64_t)hole;
	return 0;
}

/* --- opening: what kind of thing is it? ---------------------------------- */

struct opening {
	const char *name;	/* "leg 0 (/dev/sdb)" */
	const char *path;
	uint64_t offset;	/* sectors */
	bool write;
	bool alone;		/* nobody else may have it open */
	bool held;		/* … which is seen to already */
	struct stat stat;
	struct block_file *file;
	struct error *err;
};

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "a directory";
	case S_IFCHR: return "a character device";
	case S_IFIFO: return "a named pipe";
	case S_IFSOCK: return "a socket";
	default: return "neither a regular file nor a block device";
	}
}

static int refuse_open(struct opening *opening, int code)
{
	const char *advice = "";

	switch (code) {
	case ENOENT:
		return error_operation(opening->err, code,
				       "%s does not exist: check the path", opening->name);
	case EBUSY:
		return error_operation(opening->err, code,
				       "%s is in use (mounted, or held by device-mapper, md or swap): stop its user first",
				       opening->name);
	case EACCES:
	case EPERM:
		advice = ": run as root or as its owner";
		break;
	case EROFS:
		advice = ": make it writable first";
		break;
	case ENXIO:
	case ENODEV:
	case ENOMEDIUM:
		advice = ": check that the device is connected";
		break;
	case ETXTBSY:
		advice = ": stop the program or swap that uses it";
		break;
	}
	return error_operation(opening->err, code, "cannot open %s: %s%s",
			       opening->name, error_reason(code), advice);
}

/* Looks before opening: some character devices act on an open. */
static int opening_look(struct opening *opening)
{
	if (stat(opening->path, &opening->stat))
		return refuse_open(opening, errno);
	if (S_ISREG(opening->stat.st_mode) || S_ISBLK(opening->stat.st_mode))
		return 0;
	return error_operation(opening->err, ENOTBLK,
			       "%s is %s: give a block device or a regular file",
			       opening->name, kind_of(opening->stat.st_mode));
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return (a->st_mode & S_IFMT) == (b->st_mode & S_IFMT) &&
	       a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A descriptor of the very thing that opening_look() saw, or -errno. */
static int open_same(const struct opening *opening, int flags)
{
	struct stat now;
	int fd;

	flags |= O_CLOEXEC | O_NOCTTY;
	if (S_ISREG(opening->stat.st_mode))
		flags |= O_NONBLOCK;	/* should it be a named pipe by now */
	fd = open(opening->path, flags);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &now) || !same_inode(&opening->stat, &now)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/* --- opening: block devices ---------------------------------------------- */

static int open_block(struct opening *opening)
{
	struct block_file *file = opening->file;
	unsigned int physical = 0;
	int logical = 0, read_only = 0;
	int fd = open_same(opening, O_DIRECT | (opening->write ? O_RDWR : O_RDONLY) |
			   (opening->alone && !opening->held ? O_EXCL : 0));

	if (fd < 0)
		return refuse_open(opening, -fd);
	file->direct_fd = fd;
	file->dev = opening->stat.st_rdev;
	if (ioctl(fd, BLKGETSIZE64, &file->bytes) || ioctl(fd, BLKSSZGET, &logical))
		return error_operation(opening->err, errno,
				       "cannot ask %s for its size: %s: check that the device is connected",
				       opening->name, error_reason(errno));
	if (opening->write && (ioctl(fd, BLKROGET, &read_only) || read_only))
		return error_operation(opening->err, EROFS,
				       "%s is read-only (as LVM activates parts of a mirror): make it writable (blockdev --setrw), or map its sectors writably; nothing was changed",
				       opening->name);
	if (logical < (int)SECTOR_BYTES || (logical & (logical - 1)))
		return error_operation(opening->err, EINVAL,
				       "%s says that its sectors have %d bytes: such a device cannot be used",
				       opening->name, logical);
	if (ioctl(fd, BLKPBSZGET, &physical) || physical < (unsigned int)logical)
		physical = (unsigned int)logical;
	file->logical_bytes = (uint32_t)logical;
	file->physical_bytes = physical;
	file->direct_align_bytes = (uint32_t)logical;
	return 0;
}

/* --- opening: regular files ---------------------------------------------- */

static bool fs_is_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
		fs.f_type == HUGETLBFS_MAGIC);
}

/* Tries what alignment the file system wants where statx() cannot tell. */
static uint32_t probe_direct_alignment(int fd)
{
	uint32_t found = 0, bytes;
	void *data = aligned_alloc(4096, 4096);

	for (bytes = SECTOR_BYTES; data && bytes <= 4096 && !found; bytes *= 2)
		if (pread(fd, data, bytes, 0) >= 0)
			found = bytes;
	free(data);
	return found;
}

/* 0: direct I/O does not work on this file. */
static uint32_t direct_alignment(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx statx_now;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &statx_now) == 0 &&
	    (statx_now.stx_mask & STATX_DIOALIGN)) {
		uint32_t align = statx_now.stx_dio_offset_align;

		if (align && statx_now.stx_dio_mem_align > align)
			align = statx_now.stx_dio_mem_align;
		if (align & (align - 1))
			return 0;
		return align && align < SECTOR_BYTES ? SECTOR_BYTES : align;
	}
#endif
	return probe_direct_alignment(fd);
}

/* Adds the second descriptor, for direct I/O, or says why there is none. */
static void open_direct(struct opening *opening)
{
	struct block_file *file = opening->file;
	uint32_t align;
	int fd;

	if (fs_is_memory(file->cached_fd)) {
		file->why_not_direct = "the file is in memory (tmpfs): there is nothing below the page cache";
		return;
	}
	fd = open_same(opening, O_DIRECT | (opening->write ? O_RDWR : O_RDONLY));
	align = fd < 0 ? 0 : direct_alignment(fd);
	if (!align) {
		file->why_not_direct = "the file system does not allow direct I/O on this file";
	} else if (file->bytes % align) {
		file->why_not_direct = "the file's size is not a multiple of what direct I/O needs here";
	} else if (opening->offset % (align / SECTOR_BYTES)) {
		file->why_not_direct = "the offset is not a multiple of what direct I/O needs here";
	} else {
		file->direct_fd = fd;
		file->direct_align_bytes = align;
		return;
	}
	if (fd >= 0)
		close(fd);
}

#define LOCK_TRIES 6u
#define LOCK_PAUSE_US 50000u

/* Both kinds of lock, because neither sees the other: flock(2) is what people
 * script with, OFD locks are what QEMU takes. *held is false on file systems
 * that know no locks. */
static int lock_file(struct opening *opening, bool for_writing, bool *held)
{
	int fd = opening->file->cached_fd;
	struct flock all = {
		.l_type = opening->alone && for_writing ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
	};
	int code = 0;

	*held = true;
	if (opening->held)
		return 0;
	/* The kernel closes the files of a process that was killed a moment later. */
	for (unsigned int tries = 0; tries < LOCK_TRIES; tries++) {
		code = 0;
		if (!flock(fd, (opening->alone ? LOCK_EX : LOCK_SH) | LOCK_NB) &&
		    !fcntl(fd, F_OFD_SETLK, &all))
			break;
		code = errno;
		if (code != EWOULDBLOCK && code != EACCES)
			break;
		usleep(LOCK_PAUSE_US);
	}
	if (code == EWOULDBLOCK || code == EACCES)
		return error_operation(opening->err, EBUSY,
				       "%s is locked by another process: stop it first (lslocks names it)",
				       opening->name);
	if (code && opening->alone)
		return error_operation(opening->err, code,
				       "cannot lock %s: %s: copy it to a file system that has locks",
				       opening->name, error_reason(code));
	*held = !code;
	return 0;
}

/* mincore() tells the truth only to those who own the file; the others' reads
 * are direct. A mapping may be impossible for its size: the same. */
static void map_residency(struct block_file *file, const struct stat *stat)
{
	void *map;

	if (file->direct_fd < 0 || file->bytes > SIZE_MAX ||
	    (geteuid() != 0 && geteuid() != stat->st_uid))
		return;
	map = mmap(NULL, (size_t)file->bytes, PROT_NONE, MAP_SHARED, file->cached_fd, 0);
	if (map != MAP_FAILED)
		file->residency = map;
}

/* Does `line`, "/path more words" as in /proc/swaps, name this inode? */
static bool swap_line_names(char *line, const struct stat *wanted)
{
	char *in = line, *out = line;
	struct stat stat_now;

	while (*in && *in != ' ' && *in != '\t' && *in != '\n') {
		unsigned int byte;

		if (*in == '\\' && sscanf(in + 1, "%3o", &byte) == 1 && strlen(in) >= 4) {
			*out++ = (char)byte;
			in += 4;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return stat(line, &stat_now) == 0 && same_inode(&stat_now, wanted);
}

static bool file_is_swap(const struct stat *wanted)
{
	FILE *swaps = fopen("/proc/swaps", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	if (!swaps)
		return false;
	while (!found && getline(&line, &room, swaps) > 0)
		found = line[0] == '/' && swap_line_names(line, wanted);
	free(line);
	fclose(swaps);
	return found;
}

static int refuse_backing_file(struct opening *opening)
{
	unsigned int number;

	if (file_backs_loop(opening->stat.st_dev, opening->stat.st_ino, &number))
		return error_operation(opening->err, EBUSY,
				       "%s backs /dev/loop%u: detach it (losetup -d /dev/loop%u) or give the loop device itself",
				       opening->name, number, number);
	if (file_is_swap(&opening->stat))
		return error_operation(opening->err, EBUSY,
				       "%s is used as swap: swapoff it first", opening->name);
	return 0;
}

/* Only who may write to a file can keep others from it by an OFD lock; a copy that
 * is read-only is held by flock alone. */
static int open_buffered(const struct opening *opening, bool *for_writing)
{
	int fd = -EACCES;

	*for_writing = opening->write || opening->alone;
	if (*for_writing)
		fd = open_same(opening, O_RDWR);
	if (!opening->write && (fd == -EACCES || fd == -EPERM || fd == -EROFS)) {
		*for_writing = false;
		fd = open_same(opening, O_RDONLY);
	}
	return fd;
}

static int open_regular(struct opening *opening)
{
	struct block_file *file = opening->file;
	struct stat now;
	bool locked, for_writing;
	int err, fd = open_buffered(opening, &for_writing);

	if (fd < 0)
		return refuse_open(opening, -fd);
	file->cached_fd = fd;
	file->regular = true;
	err = lock_file(opening, for_writing, &locked);
	if (err)
		return err;
	if (opening->alone) {
		err = refuse_backing_file(opening);
		if (err)
			return err;
	}
	/* The size counts from the moment the lock is held. */
	if (fstat(fd, &now))
		return refuse_open(opening, errno);
	file->dev = now.st_dev;
	file->ino = now.st_ino;
	file->bytes = (uint64_t)now.st_size;
	file->logical_bytes = SECTOR_BYTES;
	file->physical_bytes = SECTOR_BYTES;
	open_direct(opening);
	if (!file->bytes)
		return 0;
	map_residency(file, &now);
	file->holes_known = locked && (lseek(fd, 0, SEEK_DATA) >= 0 || errno == ENXIO);
	return 0;
}

/* --- opening: the device ------------------------------------------------- */

static int check_place(const struct opening *opening)
{
	const struct block_file *file = opening->file;
	uint64_t sectors = file->bytes / SECTOR_BYTES;

	if (!file->bytes)
		return error_operation(opening->err, ENODATA, "%s is empty: check the path",
				       opening->name);
	if (!sectors)
		return error_operation(opening->err, ENODATA,
				       "%s has only %llu bytes, less than one sector: check the path",
				       opening->name, (unsigned long long)file->bytes);
	if (opening->offset >= sectors)
		return error_operation(opening->err, EINVAL,
				       "%s: the offset of %llu sectors is not before its end (it has %llu): correct the offset",
				       opening->name, (unsigned long long)opening->offset,
				       (unsigned long long)sectors);
	if (opening->offset % (file->logical_bytes / SECTOR_BYTES))
		return error_operation(opening->err, EINVAL,
				       "%s: an offset of %llu sectors cannot be addressed, its sectors have %u bytes: use a multiple of %u",
				       opening->name, (unsigned long long)opening->offset,
				       file->logical_bytes,
				       file->logical_bytes / SECTOR_BYTES);
	return 0;
}

int device_open_file(const struct device *device, struct block_file *file, uint64_t offset,
		     unsigned int flags, struct error *err)
{
	struct opening opening = {
		.name = device->name, .path = file->path, .file = file, .offset = offset,
		.write = flags & DEVICE_WRITE, .alone = flags & (DEVICE_WRITE | DEVICE_HOLD),
		.held = flags & DEVICE_HELD, .err = err,
	};
	int ret = opening_look(&opening);

	if (ret)
		return ret;
	ret = S_ISBLK(opening.stat.st_mode) ? open_block(&opening) : open_regular(&opening);
	return ret ? ret : check_place(&opening);
}

static struct block_file *block_file_alloc(const char *path)
{
	struct block_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->direct_fd = file->cached_fd = -1;
	file->path = strdup(path);
	if (file->path)
		return file;
	free(file);
	return NULL;
}

int device_add_file(struct device *device, const char *path)
{
	struct block_file **files = reallocarray(device->files, device->nr_files + 1,
						 sizeof(*files));

	if (!files)
		return -ENOMEM;
	device->files = files;
	files[device->nr_files] = block_file_alloc(path);
	if (!files[device->nr_files])
		return -ENOMEM;
	device->file = files[0];
	device->nr_files++;
	return 0;
}

struct device *device_alloc(const char *role, const char *what)
{
	struct device *device = calloc(1, sizeof(*device));

	if (device && asprintf(&device->name, "%s (%s)", role, what) >= 0)
		return device;
	free(device);
	return NULL;
}

uint32_t file_block_sectors(const struct block_file *file)
{
	return file->direct_fd < 0 ? 1 : file->direct_align_bytes / SECTOR_BYTES;
}

/* --- a device that is one file from an offset on ------------------------- */

static int device_lay_out(struct device *device)
{
	struct block_device *block = &device->block;
	const struct block_file *file = device->file;

	block->extents = calloc(1, sizeof(*block->extents));
	device->pieces = calloc(1, sizeof(*device->pieces));
	if (!block->extents || !device->pieces)
		return -ENOMEM;
	block->nr_extents = device->nr_pieces = 1;
	block->name = device->name;
	block->block_sectors = file_block_sectors(file);
	block->sectors = file->bytes / SECTOR_BYTES - device->offset;
	block->sectors -= block->sectors % block->block_sectors;
	block->extents[0].sectors = block->sectors;
	block->extents[0].file_sector = device->offset;
	block->extents[0].file = device->file;
	device->pieces[0] = (struct device_piece){ device->file, device->offset, block->sectors };
	return 0;
}

int device_open(struct device **opened, const char *role, const char *path,
		uint64_t offset, unsigned int flags, struct error *err)
{
	struct device *device = device_alloc(role, path);
	int ret = -ENOMEM;

	*opened = NULL;
	if (!device || device_add_file(device, path))
		goto out;
	device->offset = offset;
	ret = device_open_file(device, device->file, offset, flags, err);
	if (!ret)
		ret = device_lay_out(device);
	if (ret)
		goto out;
	device->block.writable = flags & DEVICE_WRITE;
	*opened = device;
	device = NULL;
out:
	if (ret == -ENOMEM)
		error_operation(err, ENOMEM, "cannot open %s (%s): out of memory: free some",
				role, path);
	device_close(device);
	return ret;
}

static void block_file_close(struct block_file *file)
{
	if (!file)
		return;
	if (file->residency)
		munmap(file->residency, (size_t)file->bytes);
	if (file->direct_fd >= 0)
		close(file->direct_fd);
	if (file->cached_fd >= 0)
		close(file->cached_fd);
	free(file->path);
	free(file);
}

void device_close(struct device *device)
{
	if (!device)
		return;
	for (unsigned int i = 0; i < device->nr_files; i++)
		block_file_close(device->files[i]);
	for (unsigned int i = 0; i < device->block.nr_extents; i++)
		free(device->block.extents[i].stripes);
	free(device->files);
	free(device->pieces);
	free(device->block.extents);
	free(device->name);
	free(device);
}

bool device_has_file(const struct device *device, const struct stat *status)
{
	for (unsigned int i = 0; i < device->nr_files; i++) {
		const struct block_file *file = device->files[i];

		if (file->regular ? S_ISREG(status->st_mode) && file->dev == status->st_dev &&
				    file->ino == status->st_ino :
				    S_ISBLK(status->st_mode) && file->dev == status->st_rdev)
			return true;
	}
	return false;
}

bool device_is_direct(const struct device *device, const char **why)
{
	for (unsigned int i = 0; i < device->nr_files; i++) {
		*why = device->files[i]->why_not_direct;
		if (device->files[i]->direct_fd < 0)
			return false;
	}
	*why = NULL;
	return true;
}
