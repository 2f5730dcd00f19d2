/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_MAPFILE_H
#define CLI_MAPFILE_H

#include "core/audit.h"
#include "core/error.h"

/*
 * ddrescue maps (ddrescue's manual, "Mapfile structure"), bytes from the
 * mirror's start: '+' verified (or clean, in show), '-' bogus or unverifiable,
 * '*' resync pending, '?' not compared (or not clean, in show). Written to a
 * temporary file beside `path` and renamed. 0 or -errno with an error.
 */
int mapfile_write_log(const char *path, const struct bitmap *clean_bits,
		      const struct region_geometry *geometry, struct error *err);
int mapfile_write_audit(const char *path, const struct audit_result *result,
			const struct region_geometry *geometry, struct error *err);

#endif
