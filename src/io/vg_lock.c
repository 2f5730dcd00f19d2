/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/vg_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_DIRECTORY "/run/lock/lvm"

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

int vg_lock(int *fd, const struct mapped_device *device, struct error *err)
{
	char vg[sizeof(device->name)], path[sizeof(LOCK_DIRECTORY) + sizeof(vg) + 4];
	int code;

	*fd = -1;
	if (strncmp(device->uuid, "LVM-", 4) || access(LOCK_DIRECTORY, W_OK))
		return 0;
	vg_name_of(vg, device->name);
	snprintf(path, sizeof(path), LOCK_DIRECTORY "/V_%s", vg);
	for (;;) {
		*fd = open(path, O_CREAT | O_APPEND | O_RDWR | O_CLOEXEC, 0777);
		code = *fd < 0 || flock(*fd, LOCK_SH | LOCK_NB) ? errno : 0;
		if (!code && still_named(*fd, path))
			return 0;
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		if (code == EWOULDBLOCK)
			return error_operation(err, EBUSY, "the volume group %s is locked by an "
					       "LVM command: wait for its end; nothing was "
					       "suspended", vg);
		if (code)
			return error_operation(err, code, "cannot lock the volume group %s (%s): "
					       "%s; nothing was suspended", vg, path, error_reason(code));
	}
}
