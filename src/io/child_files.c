/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/child_files.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

void child_files_close(int *keep)
{
	int kept = dup2(*keep, 3), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (kept == 3)
		*keep = kept;
#ifdef SYS_close_range
	if (kept == 3 && !syscall(SYS_close_range, 4, ~0U, 0))
		return;
#endif
	for (int fd = 3; fd < 1024; fd++)
		if (fd != *keep)
			close(fd);
}
