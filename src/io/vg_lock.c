/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/vg_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/lvm.h"

#define LOCK_DIRECTORY "/run/lock/lvm"
#define PAUSE_MS 50u

/* "my--vg-lv" -> "my-vg": a doubled hyphen is one, a single one ends the name
 * (dm_build_dm_name). */
static void vg_name_of(char *vg, const char *name)
{
	while (*name && (*name != '-' || name[1] == '-')) {
		name += *name == '-';
		*vg++ = *name++;
	}
	*vg = '\0';
}

/* LVM removes the file when it lets go, so what was locked must still be there. */
static bool still_named(int fd, const char *path)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !stat(path, &named) && ours.st_ino == named.st_ino &&
	       ours.st_dev == named.st_dev;
}

/* 0, or a positive errno: EWOULDBLOCK when somebody has it. */
static int lock_try(int *fd, const char *path)
{
	int code;

	for (;;) {
		*fd = open(path, O_CREAT | O_APPEND | O_RDWR | O_CLOEXEC, 0777);
		code = *fd < 0 || flock(*fd, LOCK_SH | LOCK_NB) ? errno : 0;
		if (!code && still_named(*fd, path))
			return 0;
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		if (code)
			return code;
	}
}

int vg_lock(int *fd, const struct mapped_device *device, struct error *err)
{
	char vg[sizeof(device->name)], path[sizeof(LOCK_DIRECTORY) + sizeof(vg) + 4];
	int code;

	*fd = -1;
	if (strncmp(device->uuid, "LVM-", 4) || access(LOCK_DIRECTORY, W_OK))
		return 0;
	vg_name_of(vg, device->name);
	snprintf(path, sizeof(path), LOCK_DIRECTORY "/V_%s", vg);
	code = lock_try(fd, path);
	if (code == EWOULDBLOCK)
		return error_operation(err, EBUSY, "the volume group %s is locked by an LVM command: "
				       "wait for its end; nothing was suspended", vg);
	if (code)
		return error_operation(err, code, "cannot lock the volume group %s (%s): %s; nothing "
				       "was suspended", vg, path, error_reason(code));
	return 0;
}

static void lock_path(char path[PATH_MAX], const char *directory, const char *vg_name)
{
	snprintf(path, PATH_MAX, "%s/V_%s", directory, vg_name);
}

int vg_lock_name(int *fd, const char *directory, const char *vg_name, unsigned int wait_ms,
		 struct error *err)
{
	char path[PATH_MAX];
	unsigned int waited = 0;
	int code;

	lock_path(path, directory, vg_name);
	while ((code = lock_try(fd, path)) == EWOULDBLOCK && waited < wait_ms) {
		if (lvm_is_cancelled())
			return error_operation(err, ECANCELED, "interrupted while the volume group %s "
					       "was locked by an LVM command", vg_name);
		usleep(PAUSE_MS * 1000);
		waited += PAUSE_MS;
	}
	if (code == EWOULDBLOCK)
		return error_operation(err, EBUSY, "the volume group %s is locked by an LVM command "
				       "for %u s already: wait for its end", vg_name,
				       wait_ms / 1000);
	if (code)
		return error_operation(err, code, "cannot lock the volume group %s (%s): %s", vg_name,
				       path, error_reason(code));
	return 0;
}

bool vg_lock_holds(int fd, const char *directory, const char *vg_name)
{
	char path[PATH_MAX];

	lock_path(path, directory, vg_name);
	return still_named(fd, path);
}
