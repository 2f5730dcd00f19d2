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

/* Says that the running test could not be done here. */
void scratch_skip(const char *test, const char *why);

#endif
