/* SPDX-License-Identifier: GPL-2.0-or-later */

/* repair-log as JSON (mirrorctl-json(5)): the audit, the plan, what was done. */

#include "cli/report_repair.h"

#include "cli/report_json.h"

static const char *state_name(enum repair_state state)
{
	switch (state) {
	case REPAIR_NOTHING_TO_DO: return "nothing";
	case REPAIR_PLANNED: return "planned";
	case REPAIR_COPIED: return "copied";
	case REPAIR_CLEARED: return "cleared";
	default: return "unfinished";
	}
}

static void put_plan(struct json_stream *json, const struct repair_job *job)
{
	const struct repair_plan *plan = &job->plan;
	size_t room = job->words->report.max_runs ? job->words->report.max_runs : MAX_RUNS_DEFAULT;
	size_t blocks = plan->nr_blocks < room ? plan->nr_blocks : room;
	bool whole;

	json_open_object(json, "plan");
	json_uint(json, "bits", plan->nr_clear);
	whole = report_json_regions(json, "regions", &plan->clear, room);
	json_uint(json, "log_block_bytes", (uint64_t)plan->block_sectors * SECTOR_BYTES);
	json_uint(json, "log_blocks", plan->nr_blocks);
	json_open_array(json, "log_sectors");
	for (size_t i = 0; i < blocks; i++)
		json_uint(json, NULL, plan->blocks[i].sector);
	json_close_array(json);
	json_flag(json, "truncated", !whole || blocks < plan->nr_blocks);
	json_uint(json, "recopy_bytes", plan->recopy_sectors * SECTOR_BYTES);
	json_flag(json, "large", plan->large);
	json_flag(json, "nosync", repair_job_is_nosync(job));
	json_close_object(json);
}

static void put_rounds(struct json_stream *json, const struct repair_job *job)
{
	if (!job->words->online || !job->rounds.nr)
		return;
	json_open_object(json, "online");
	json_uint(json, "rounds", job->rounds.nr);
	json_uint(json, "suspended_ms", job->rounds.suspended_ns / 1000000);
	json_uint(json, "suspend_call_ms", job->rounds.suspend_call_ns / 1000000);
	json_flag(json, "in_sync", job->rounds.in_sync);
	json_uint(json, "differing_after", job->differing_after);
	json_close_object(json);
}

static void put_repair(struct json_stream *json, const struct repair_job *job)
{
	size_t room = job->words->report.max_runs ? job->words->report.max_runs : MAX_RUNS_DEFAULT;

	json_open_object(json, "repair");
	json_string(json, "state", state_name(job->state));
	json_flag(json, "dry_run", job->words->write.dry_run);
	json_flag(json, "proven", job->compared);
	json_uint(json, "cleared_bits", job->cleared);
	report_json_regions(json, "cleared", &job->done, room);
	if (job->plan.nr_clear)
		put_plan(json, job);
	if (job->journal)
		json_string(json, "journal", job->journal);
	if (job->words->output && job->state == REPAIR_COPIED)
		json_string(json, "output", job->words->output);
	if (job->words->save_divergent && job->cleared) {
		json_string(json, "saved", job->words->save_divergent);
		json_uint(json, "saved_bytes_per_leg", job->recorded.saved_sectors * SECTOR_BYTES);
	}
	json_uint(json, "unreadable_regions", job->recorded.unreadable_regions);
	put_rounds(json, job);
	json_close_object(json);
}

void report_repair_json(const struct repair_job *job)
{
	struct audit_report report;
	struct json_stream json;

	report_repair_audit(&report, job);
	report_json_head(&json, "repair-log", &job->session, job->identity);
	json_open_object(&json, "result");
	report_json_log(&json, &job->session);
	if (job->compared)
		report_json_audit_before(&json, &report);
	put_repair(&json, job);
	json_close_object(&json);
	report_json_tail(&json, &job->session, job->exit_status);
}
