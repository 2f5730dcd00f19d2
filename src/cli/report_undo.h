/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_UNDO_H
#define CLI_REPORT_UNDO_H

#include "cli/undo_job.h"

/* Before the question: journal, mirror, what will be written and what follows. */
void report_undo_plan_text(const struct undo_job *job);
/* Afterwards: what was done. */
void report_undo_text(const struct undo_job *job);
/* All of it, as one object. */
void report_undo_json(const struct undo_job *job);

/* Of a plan: what of the log is written. */
void report_undo_blocks(const struct undo_job *job);

/* --- report_undo_resync.c: the parts that are of a resync's journal --- */

void report_undo_resync_journal(const struct undo_job *job);
void report_undo_resync_plan(const struct undo_job *job);
void report_undo_resync_done(const struct undo_job *job);

#endif
