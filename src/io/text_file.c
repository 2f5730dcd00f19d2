/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, char *text, size_t size, size_t *nr_bytes)
{
	while (*nr_bytes < size) {
		ssize_t got = read(fd, text + *nr_bytes, size - *nr_bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : 0;	/* or it has become shorter */
		*nr_bytes += (size_t)got;
	}
	return 0;
}

int text_file_read(char **text, size_t *nr_bytes, const char *path, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r = 0;
	struct stat st;

	*text = NULL;
	*nr_bytes = 0;
	if (fd < 0 || fstat(fd, &st)) {
		r = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		r = -EINVAL;
	} else if ((uint64_t)st.st_size > max) {
		r = -EFBIG;
	} else {
		*text = malloc((size_t)st.st_size + 1);
		r = *text ? read_all(fd, *text, (size_t)st.st_size, nr_bytes) : -ENOMEM;
	}
	if (fd >= 0)
		close(fd);
	if (r) {
		free(*text);
		*text = NULL;
	}
	return r;
}
