/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_ACTIVATION_H
#define CORE_ACTIVATION_H

#include "core/mirror.h"
#include "core/mirror_log.h"

/*
 * What the kernel will do with a log at the next resume (dm-log.c, disk_resume;
 * mirrorctl-log(5)): a pure prediction from header, bits and the table's words.
 */
struct activation {
	bool loads;		/* false: the table load is refused (log too small) */
	bool panics;		/* the resume panics the kernel */
	bool log_fails;		/* log health becomes 'D' */
	bool every_resume;	/* the same happens again at every resume */
	uint64_t clean;		/* regions taken as in sync */
	uint64_t recovered;	/* regions that will be copied, leg 0 over the others */
	uint64_t recovered_sectors;
	uint64_t trusted_without_bit;	/* set by `nosync` though the bit was clear */
};

void activation_predict(struct activation *activation, const struct mirror *mirror,
			const struct mirror_log *log);

#endif
