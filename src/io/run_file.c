/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/run_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int run_file_failed(const struct run_file *file, int code, const char *what,
			   const char *consequence, struct error *err)
{
	return error_operation(err, code, "cannot %s %s: %s; %s", what, file->path,
			       error_reason(code), consequence);
}

static int directory_make(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

static int directory_open(struct run_file *file, const char *run_directory, const char *kind,
			  const char *consequence, struct error *err)
{
	int length = snprintf(file->path, sizeof(file->path), "%s/%s", run_directory, kind);
	int r;

	if (length < 0 || (size_t)length >= sizeof(file->path))
		return error_operation(err, ENAMETOOLONG, "the path %s is too long; %s",
				       run_directory, consequence);
	r = directory_make(run_directory);
	if (!r)
		r = directory_make(file->path);
	if (r)
		return run_file_failed(file, -r, "make the directory", consequence, err);
	file->directory_fd = open(file->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return file->directory_fd < 0 ?
	       run_file_failed(file, errno, "open", consequence, err) : 0;
}

/* The file that is there, locked; -EAGAIN when it was removed meanwhile. */
static int file_claim(struct run_file *file)
{
	struct stat ours, named;

	file->fd = openat(file->directory_fd, file->name,
			  O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
	if (file->fd < 0)
		return -errno;
	if (flock(file->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(file->fd, &ours) ||
	    fstatat(file->directory_fd, file->name, &named, AT_SYMLINK_NOFOLLOW) ||
	    ours.st_ino != named.st_ino || ours.st_dev != named.st_dev) {
		close(file->fd);
		file->fd = -1;
		return -EAGAIN;
	}
	return S_ISREG(ours.st_mode) ? 0 : -EINVAL;
}

/* A name holds no slash, but may be "..". */
static void name_set(char out[NAME_MAX + 1], const char *name)
{
	snprintf(out, NAME_MAX + 1, "%s%s", name[0] == '.' ? "_" : "", name);
}

int run_file_open(struct run_file *file, const char *run_directory, const char *kind,
		  const char *name, const char *consequence, struct error *err)
{
	size_t used;
	int r;

	memset(file, 0, sizeof(*file));
	file->fd = file->directory_fd = -1;
	name_set(file->name, name);
	r = directory_open(file, run_directory, kind, consequence, err);
	if (r)
		return r;
	used = strlen(file->path);
	if ((size_t)snprintf(file->path + used, sizeof(file->path) - used, "/%s", file->name) >=
	    sizeof(file->path) - used)
		return run_file_failed(file, ENAMETOOLONG, "make", consequence, err);
	do {
		r = file_claim(file);
	} while (r == -EAGAIN);
	return r && r != -EBUSY ? run_file_failed(file, -r, "claim", consequence, err) : r;
}

int run_file_write(struct run_file *file, const char *text)
{
	size_t length = strlen(text);

	if (ftruncate(file->fd, 0))
		return -errno;
	errno = 0;
	if (pwrite(file->fd, text, length, 0) != (ssize_t)length)
		return errno ? -errno : -ENOSPC;
	return 0;
}

void run_file_remove(const struct run_file *file)
{
	struct stat stat;

	/* Removed already, somebody else may have the name by now. */
	if (file->fd >= 0 && !fstat(file->fd, &stat) && stat.st_nlink)
		unlinkat(file->directory_fd, file->name, 0);
}

void run_file_close(struct run_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->directory_fd >= 0)
		close(file->directory_fd);
	file->fd = file->directory_fd = -1;
}

/* Asked of /proc, by inode alone: to try the lock would keep it from who wants it in that
 * moment, and some file systems have other device numbers there. */
static bool is_locked(const struct stat *stat)
{
	FILE *locks = fopen("/proc/locks", "re");
	unsigned long long inode;
	bool locked = !locks;
	char line[256];

	while (locks && !locked && fgets(line, sizeof(line), locks))
		locked = strstr(line, " FLOCK ") &&
			 sscanf(line, "%*s %*s %*s %*s %*s %*[^:]:%*[^:]:%llu", &inode) == 1 &&
			 inode == stat->st_ino;
	if (locks)
		fclose(locks);
	return locked;
}

bool run_file_is_abandoned(const char *run_directory, const char *kind, const char *name)
{
	char path[PATH_MAX], file[NAME_MAX + 1];
	struct stat stat;
	int length;

	name_set(file, name);
	length = snprintf(path, sizeof(path), "%s/%s/%s", run_directory, kind, file);
	return length > 0 && (size_t)length < sizeof(path) && !lstat(path, &stat) &&
	       S_ISREG(stat.st_mode) && stat.st_size > 0 && !is_locked(&stat);
}
