/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static int marker_failed(const struct marker *marker, int code, const char *what,
			 struct error *err)
{
	return error_operation(err, code, "cannot %s %s: %s; nothing was suspended", what,
			       marker->path, error_reason(code));
}

static int directory_make(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

static int directory_open(struct marker *marker, const char *run_directory, struct error *err)
{
	int length = snprintf(marker->path, sizeof(marker->path), "%s/suspended", run_directory);
	int r;

	if (length < 0 || (size_t)length >= sizeof(marker->path))
		return error_operation(err, ENAMETOOLONG, "the path %s is too long; nothing was "
				       "suspended", run_directory);
	r = directory_make(run_directory);
	if (!r)
		r = directory_make(marker->path);
	if (r)
		return marker_failed(marker, -r, "make the directory", err);
	marker->directory_fd = open(marker->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return marker->directory_fd < 0 ? marker_failed(marker, errno, "open", err) : 0;
}

/* The file that is there, locked; -EAGAIN when it was removed meanwhile. */
static int file_claim(struct marker *marker)
{
	struct stat ours, named;

	marker->fd = openat(marker->directory_fd, marker->name,
			    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
	if (marker->fd < 0)
		return -errno;
	if (flock(marker->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(marker->fd, &ours) ||
	    fstatat(marker->directory_fd, marker->name, &named, AT_SYMLINK_NOFOLLOW) ||
	    ours.st_ino != named.st_ino || ours.st_dev != named.st_dev) {
		close(marker->fd);
		marker->fd = -1;
		return -EAGAIN;
	}
	return S_ISREG(ours.st_mode) ? 0 : -EINVAL;
}

int marker_open(struct marker *marker, const char *run_directory, const char *name,
		struct error *err)
{
	size_t used;
	int r;

	memset(marker, 0, sizeof(*marker));
	marker->fd = marker->directory_fd = -1;
	/* A dm name holds no slash, but may be "..". */
	snprintf(marker->name, sizeof(marker->name), "%s%s", name[0] == '.' ? "_" : "", name);
	r = directory_open(marker, run_directory, err);
	if (r)
		return r;
	used = strlen(marker->path);
	if ((size_t)snprintf(marker->path + used, sizeof(marker->path) - used, "/%s",
			     marker->name) >= sizeof(marker->path) - used)
		return marker_failed(marker, ENAMETOOLONG, "make", err);
	do {
		r = file_claim(marker);
	} while (r == -EAGAIN);
	if (r == -EBUSY)
		return error_operation(err, EBUSY, "another mirrorctl works on %s while it runs "
				       "(it holds %s): wait for its end", name, marker->path);
	return r ? marker_failed(marker, -r, "claim", err) : 0;
}

const char *marker_remedy(char *text, size_t room, const struct mapped_device *device)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._+:=@-";

	if (device->name[0] != '-' && !device->name[strspn(device->name, plain)])
		snprintf(text, room, "dmsetup resume %s", device->name);
	else
		snprintf(text, room, "dmsetup resume -j %u -m %u", major(device->number),
			 minor(device->number));
	return text;
}

int marker_write(struct marker *marker, const struct mapped_device *device, struct error *err)
{
	char text[768], remedy[192], when[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	int length;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	marker_remedy(remedy, sizeof(remedy), device);
	length = snprintf(text, sizeof(text),
			  "# mirrorctl suspended this device to repair its log. If it is still "
			  "suspended\n# and no mirrorctl runs, this resumes it, rightly:\n"
			  "%s\n"
			  "name %s\nuuid %s\ndevice %u:%u\npid %ld\ntime %s\n",
			  remedy, device->name, device->uuid[0] ? device->uuid : "-",
			  major(device->number), minor(device->number), (long)getpid(), when);
	errno = 0;
	if (ftruncate(marker->fd, 0))
		return marker_failed(marker, errno, "write", err);
	if (pwrite(marker->fd, text, (size_t)length, 0) != length)
		return marker_failed(marker, errno ? errno : ENOSPC, "write", err);
	return 0;
}

void marker_remove(const struct marker *marker)
{
	struct stat stat;

	/* Removed already, somebody else may have the name by now. */
	if (marker->fd >= 0 && !fstat(marker->fd, &stat) && stat.st_nlink)
		unlinkat(marker->directory_fd, marker->name, 0);
}

void marker_close(struct marker *marker)
{
	if (marker->fd >= 0)
		close(marker->fd);
	if (marker->directory_fd >= 0)
		close(marker->directory_fd);
	marker->fd = marker->directory_fd = -1;
}
