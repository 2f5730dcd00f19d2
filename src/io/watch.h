/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_WATCH_H
#define IO_WATCH_H

#include "io/claims.h"
#include "io/discover.h"
#include "io/dm.h"

/*
 * What mirror_sample() compares with: how things stood when the mirror was
 * opened. Both are freed with watch_free(), which accepts NULL.
 */

/* For an active dm device; `start` is its mirror target. `live` is the table that
 * was believed. */
int watch_mapped(struct mirror_watch **watch, const struct mapped_device *device,
		 const struct mapped_table *live, uint64_t start, struct error *err);

/* For explicit legs and a log; takes `ranges` and `claims` over and zeroes them. */
int watch_ranges(struct mirror_watch **watch, struct claim_ranges *ranges,
		 struct claims *claims, struct error *err);

void watch_free(struct mirror_watch *watch);

/* The dm device that is watched, NULL where legs and log are, or `watch` is NULL. */
const struct mapped_device *watch_mapped_device(const struct mirror_watch *watch);
/* Its live table, as mapped_table_text() has it. */
const char *watch_live_table(const struct mirror_watch *watch);
/* Is `is` another device under the same number? */
bool watch_is_replaced(const struct mirror_watch *watch, const struct mapped_device *is);
/* From now on it is watched as it stands: its table was reloaded by us. */
int watch_renew(struct mirror_watch *watch, struct error *err);

#endif
