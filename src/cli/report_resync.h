/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_RESYNC_H
#define CLI_REPORT_RESYNC_H

#include "cli/report.h"
#include "cli/resync_job.h"

/* The comparing before a resync as a report of its own. */
void report_resync_audit(struct audit_report *report, const struct resync_job *job);

/* The last region of a run of written sectors. What lies behind the mirror in its last block
 * is written with it. */
uint64_t report_resync_last_region(const struct region_geometry *geometry,
				   const struct piece *written);

/* What was, or would be, written to each leg, and what was equal. */
void report_resync_legs(const struct resync_job *job, const struct resync_result *result);
/* The runs of sectors that would be. */
void report_resync_writes(const struct resync_job *job, const struct resync_result *result);
/* Which of three legs or more agree, as the preview has found. */
void report_resync_agreement(const struct resync_job *job);
/* Regions in which legs agree with each other against leg 0. */
uint64_t report_resync_against_leg_0(const struct resync_job *job);

/* Before the question: what will be read and written, and from where. */
void report_resync_plan_text(const struct resync_job *job);
/* Afterwards. */
void report_resync_text(const struct resync_job *job);
void report_resync_json(const struct resync_job *job);

#endif
