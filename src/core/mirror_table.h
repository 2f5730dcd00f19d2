/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_MIRROR_TABLE_H
#define CORE_MIRROR_TABLE_H

#include "core/mirror.h"

/*
 * The `mirror` target's table and status lines (dm-raid1.c, mirror_ctr and mirror_status) as
 * `dmsetup table` and `dmsetup status` print them:
 *
 *   <start> <len> mirror <log_type> <#log_args> <log_args…>
 *           <#mirrors> {<dev> <offset>}… [<#features> <feature>…]
 *
 * An optional leading "NAME: " (dmsetup prints it when asked for all devices)
 * and trailing blanks or one newline are accepted. Every number is checked for
 * overflow; anything after the last known word is an error.
 */

/* Parses one table line into `mirror` (legs, log, geometry, sync word,
 * features; name only from a "NAME: " prefix). Log types that keep no readable
 * dirty log (userspace, clustered-core, clustered-disk, clustered_core,
 * clustered_disk, top-level legacy forms) and targets other than mirror are
 * recognised and refused by name with what to do. The legacy block_on_error
 * log argument is accepted. Errors are usage errors that quote the word and its
 * position. Publishes last: on an error `mirror` is zeroed. */
int mirror_table_parse(struct mirror *mirror, const char *line, struct error *err);

/* The same from separate parts, as libdevmapper hands them over. */
int mirror_table_parse_params(struct mirror *mirror, uint64_t start,
			      uint64_t length, const char *params,
			      struct error *err);

/*
 * The status (INFO) line's parameters:
 *   <#mirrors> <dev>… <insync>/<N> 1 <letters> <log status>
 * The log status is `1 core`, `3 disk <dev> <letter>`, `1 clustered-core`,
 * `3 clustered-disk <dev> <letter>`, or `userspace 1 COM_FAILURE`. The 2006 form
 * that ends after <insync>/<N> is accepted: letters are then 0.
 */
struct mirror_status {
	unsigned int nr_legs;
	char leg_health[MIRROR_LEGS_MAX];
	uint64_t in_sync;
	uint64_t nr_regions;
	char log_health;	/* 0 = core log or not told */
	bool log_daemon_dead;	/* userspace 1 COM_FAILURE */
};

int mirror_status_parse(struct mirror_status *status, const char *params,
			struct error *err);

/* Copies letters and counts into `mirror`; -EINVAL when the number of legs or
 * regions does not match its table. */
int mirror_apply_status(struct mirror *mirror, const struct mirror_status *status,
			struct error *err);

#endif
