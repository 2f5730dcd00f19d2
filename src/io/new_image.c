/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/new_image.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/region.h"

static int create_failed(const char *path, int code, struct error *err)
{
	if (code == EEXIST)
		return error_operation(err, code, "%s: exists already, and nothing is overwritten; "
				       "give the name of a new file", path);
	return error_operation(err, code, "%s: cannot be created: %s; choose another place", path,
			       error_reason(code));
}

static int write_failed(const struct new_image *image, int code, struct error *err)
{
	return error_operation(err, code, "%s: cannot be written: %s; what there was of it has "
			       "been removed", image->path, error_reason(code));
}

int new_image_create(struct new_image *image, const char *path, uint64_t sectors,
		     struct error *err)
{
	*image = (struct new_image){ .path = path };
	image->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (image->fd < 0)
		return create_failed(path, errno, err);
	if (!ftruncate(image->fd, (off_t)(sectors * SECTOR_BYTES)))
		return 0;
	if (errno == EFBIG || errno == EINVAL)
		return error_operation(err, errno, "%s: such a large file cannot be there: %s; "
				       "choose a part of the mirror, or another file system", path,
				       error_reason(errno));
	return write_failed(image, errno, err);
}

int new_image_write(struct new_image *image, uint64_t start_sector, const void *data,
		    uint64_t sectors, struct error *err)
{
	const char *from = data;
	size_t left = (size_t)(sectors * SECTOR_BYTES);
	off_t at = (off_t)(start_sector * SECTOR_BYTES);
	ssize_t done;

	while (left) {
		done = pwrite(image->fd, from, left, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return write_failed(image, done ? errno : EIO, err);
		from += done;
		at += done;
		left -= (size_t)done;
	}
	return 0;
}

/* A file whose name is lost in a power cut is lost too. */
static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, r = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A directory may be writable and not readable; some have no fsync. */
	if (fd < 0)
		r = errno == EACCES ? 0 : -errno;
	else if (fsync(fd) && errno != EINVAL)
		r = -errno;
	if (fd >= 0)
		close(fd);
	free(copy);
	return r;
}

int new_image_sync(struct new_image *image, struct error *err)
{
	int r = fsync(image->fd) ? -errno : sync_directory(image->path);

	return r ? write_failed(image, -r, err) : 0;
}

void new_image_keep(struct new_image *image)
{
	image->kept = true;
}

/* Does the name still stand for what was created? */
static bool is_ours(const struct new_image *image)
{
	struct stat ours, named;

	return !fstat(image->fd, &ours) && !lstat(image->path, &named) &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

void new_image_close(struct new_image *image)
{
	if (!image->path || image->fd < 0)
		return;
	if (!image->kept && is_ours(image))
		unlink(image->path);
	close(image->fd);
	image->fd = -1;
}
