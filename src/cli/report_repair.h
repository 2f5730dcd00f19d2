/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_REPAIR_H
#define CLI_REPORT_REPAIR_H

#include "cli/repair_job.h"
#include "cli/report.h"

/* The audit inside a repair as a report of its own. */
void report_repair_audit(struct audit_report *report, const struct repair_job *job);

/* Before the question: what was found, what will be written, what follows. */
void report_repair_plan_text(const struct repair_job *job);
/* Afterwards: what was done. */
void report_repair_text(const struct repair_job *job);
/* All of it, as one object. */
void report_repair_json(const struct repair_job *job);

#endif
