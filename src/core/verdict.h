/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_VERDICT_H
#define CORE_VERDICT_H

/* What an audit says of a region: the same words everywhere (mirrorctl(8),
 * mirrorctl-json(5)). */
enum verdict {
	VERDICT_VERIFIED,	/* clean, all legs read and equal */
	VERDICT_BOGUS_CLEAN,	/* clean, and the legs differ */
	VERDICT_EQUAL_NOT_CLEAN,	/* not clean, yet equal: an unneeded resync */
	VERDICT_RESYNC_PENDING,	/* not clean, and the legs differ, as they may */
	VERDICT_UNVERIFIABLE,	/* something could not be read */
	VERDICT_SUSPECT,	/* as bogus_clean, on a mirror that was running */
	VERDICT_TRANSIENT,	/* differed once, equal when looked at again */
	VERDICT_BUSY,		/* being written: no two looks were alike */
	VERDICT_NOT_COMPARED,
	VERDICT_COUNT,
};

/* "verified", "bogus_clean", … */
const char *verdict_name(enum verdict verdict);

#endif
