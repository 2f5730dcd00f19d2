/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_MAPFILE_H
#define CLI_MAPFILE_H

#include "core/audit.h"
#include "core/error.h"
#include "core/extract.h"
#include "io/discover.h"

/*
 * ddrescue maps (ddrescue's manual, "Mapfile structure"), bytes from the
 * mirror's start: '+' verified (or clean, in show), '-' bogus or unverifiable,
 * '*' resync pending, '?' not compared (or not clean, in show). Of an extracted
 * image, bytes from its own start: '+' saved sectors, '?' holes.
 */
struct mapfile;

/* Makes a temporary file beside `path`, before hours are spent on what goes into
 * it. Refuses, as wrong usage, a path that is no regular file, or that is a leg,
 * the log or the table of the mirror. NULL path: *map is NULL and 0. */
int mapfile_create(struct mapfile **map, const char *path, const struct opened_mirror *opened,
		   const struct mirror_operand *operand, struct error *err);
/* The same for an image of `length` sectors; the path must be none of the open files. */
int mapfile_create_for_image(struct mapfile **map, const char *path, uint64_t length,
			     const int *fds, size_t nr_fds, struct error *err);
/* Writes and renames it to its name. 0 or -errno with an error; nothing is left
 * behind then. */
int mapfile_write_log(struct mapfile *map, const struct bitmap *clean_bits, struct error *err);
int mapfile_write_audit(struct mapfile *map, const struct audit_result *result,
			struct error *err);
/* `origin`: the sector of the mirror with which the image begins. */
int mapfile_write_extents(struct mapfile *map, const struct extract_extents *extents,
			  uint64_t origin, struct error *err);
/* Removes what was not written; frees. NULL is fine. */
void mapfile_close(struct mapfile *map);

#endif
