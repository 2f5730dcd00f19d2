/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

/* A directory for one test's files, on a disk rather than in memory where that
 * can be had: $TMPDIR, else /var/tmp. scratch_leave() removes it and all that is
 * in it. A failure fails the test. */
void scratch_enter(void);
void scratch_leave(void);

/* "<directory>/<name>", valid until the next eight calls. */
const char *scratch_path(const char *name);
/* Makes a file of `bytes` bytes, the sectors of which all differ
 * (scratch_byte()), or one that is a single hole; returns its path. */
const char *scratch_file(const char *name, uint64_t bytes);
const char *scratch_hole(const char *name, uint64_t bytes);
/* What scratch_file() put at this place. */
uint8_t scratch_byte(uint64_t offset);

/* Attaches a file (or loop device) to a loop device that goes away with the
 * descriptor which is returned; its node's path is put in `path`. -1 where that
 * is not possible (not root, no loop driver): `why` is printed as skipped. */
int scratch_loop(char path[32], const char *file, uint32_t block_bytes, uint64_t offset);

/* Runs `body` in a process of its own, which may give up root or mount something. Its
 * value: 0 as it should be; SCRATCH_CANNOT, it cannot be done here, and `why` is printed
 * as skipped; else (CHILD_CHECK()) the test fails. */
#define SCRATCH_CANNOT 77
void scratch_in_child(const char *test, int (*body)(void), const char *why);
#define CHILD_CHECK(condition) do { if (!(condition)) \
		return scratch_child_failed(__FILE__, __LINE__, #condition); } while (0)
int scratch_child_failed(const char *file, int line, const char *condition);

/* In such a process: mounts are its own from now on. */
bool scratch_own_mounts(void);
/* … and a file system of 64 KiB in memory at `path`, which is made. */
bool scratch_mount_small(const char *path);

/* Says that the running test could not be done here. */
void scratch_skip(const char *test, const char *why);

#endif
