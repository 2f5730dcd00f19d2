/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_AUDIT_FILE_H
#define CORE_AUDIT_FILE_H

#include "core/bitmap.h"
#include "core/identity.h"

/*
 * A report of `mirrorctl audit --json`, read back as a hint: which regions to look at
 * again (repair-log --from). The file is input like any other: nothing in it is
 * believed before the disks have said the same.
 */

#define AUDIT_FILE_BYTES_MAX (UINT64_C(256) << 20)

struct audit_file {
	struct identity identity;
	struct bitmap regions;		/* bogus_clean and suspect; owned */
	uint64_t nr_regions;		/* how many of them */
	bool truncated;			/* the report was cut (--max-runs): there are more */
};

/* Parses `text` (nr_bytes, need not end in NUL), which names at most
 * `mirror_regions` regions. -EBADMSG with an error that names the key, or says that
 * it is no report of an audit (an error report, another command, another schema,
 * truncated JSON); -ENOMEM. Freed with audit_file_free(), which accepts a zeroed one. */
int audit_file_parse(struct audit_file *file, const char *text, size_t nr_bytes,
		     uint64_t mirror_regions, struct error *err);
void audit_file_free(struct audit_file *file);

#endif
