/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/comparison.h"

#include <errno.h>
#include <stdio.h>

#include "cli/signals.h"
#include "core/log_area.h"

/* What the audit's hooks need. */
struct run {
	struct session *session;
	struct comparison *comparison;
	struct progress progress;
};

static bool hook_poll(void *context, const struct audit_progress *at)
{
	struct run *run = context;

	progress_show(&run->progress, at, signals_status_wanted());
	return signals_stop_wanted();
}

static bool hook_unchanged(void *context, bool closely)
{
	struct run *run = context;

	return session_unchanged(run->session, closely, run->comparison->change,
				 sizeof(run->comparison->change));
}

static void describe(struct audit_input *input, struct audit_options *options,
		     const struct comparison *comparison, const struct session *session,
		     const struct report_words *words)
{
	const struct mirror *mirror = &session->opened.mirror;

	*input = (struct audit_input){
		.engine = session->engine, .nr_legs = mirror->nr_legs,
		.geometry = mirror->geometry,
		.log = session->opened.log ? &session->opened.log->block : NULL,
		.clean_bits = &session->log.clean_bits, .selected = comparison->selected,
		.lies = comparison->lies,
	};
	*options = (struct audit_options){
		.running = mirror->activity != MIRROR_INACTIVE || session->opened.elsewhere,
		/* Without bits on disk a difference is never more than suspect. */
		.steady = mirror->activity == MIRROR_SUSPENDED && session->has_log,
		.rate_bytes = comparison->rate_bytes,
		.max_runs = words->max_runs ? words->max_runs : MAX_RUNS_DEFAULT,
	};
	mirror_leg_devices(&session->opened, input->legs);
}

int comparison_run(struct comparison *comparison, struct session *session,
		   const struct report_words *words, struct error *err)
{
	struct run run = { .session = session, .comparison = comparison };
	struct audit_hooks hooks = {
		.context = &run, .now_ns = clock_hook_now, .sleep_ms = clock_hook_sleep,
		.poll = hook_poll, .unchanged = hook_unchanged,
	};
	struct audit_options options;
	struct audit_input input;
	int r;

	describe(&input, &options, comparison, session, words);
	progress_start(&run.progress, words);
	r = audit_run(&comparison->result, &input, &options, &hooks, err);
	progress_end(&run.progress);
	comparison->elapsed_ns = clock_now_ns() - run.progress.started_ns;
	return r;
}

void comparison_free(struct comparison *comparison)
{
	if (!comparison->result.hung)
		audit_result_free(&comparison->result);
}

/* Nothing may write to the log of a mirror that stands still; a file that was cut
 * short or overwritten meanwhile makes the report worthless. */
static bool log_has_changed(struct session *session)
{
	struct mirror_log_header now;
	struct log_area area;
	struct error ignored = { 0 };
	bool changed;

	if (session->opened.mirror.activity != MIRROR_INACTIVE || session->opened.elsewhere ||
	    signals_stop_wanted())
		return false;
	if (log_area_read(&area, session->engine, &session->opened.log->block, 1, &ignored))
		return true;
	mirror_log_header_decode(&now, area.bytes, area.nr_bytes);
	changed = now.magic != session->log.header.magic ||
		  now.version != session->log.header.version ||
		  now.nr_regions != session->log.header.nr_regions;
	log_area_free(&area);
	return changed;
}

static bool has_missing_leg(const struct mirror *mirror)
{
	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++)
		if (mirror->legs[leg].missing)
			return true;
	return false;
}

void comparison_add_findings(const struct comparison *comparison, struct session *session)
{
	const struct audit_result *result = &comparison->result;
	const uint64_t *count = result->regions.count;

	if (count[VERDICT_BOGUS_CLEAN])
		finding_add(&session->findings, FINDING_BOGUS_CLEAN, "%llu regions, %llu sectors",
			    (unsigned long long)count[VERDICT_BOGUS_CLEAN],
			    (unsigned long long)result->runs.sectors[VERDICT_BOGUS_CLEAN]);
	if (count[VERDICT_SUSPECT])
		finding_add(&session->findings, session->has_log ? FINDING_SUSPECT :
			    FINDING_SUSPECT_CORE_LOG, "%llu regions, %llu sectors",
			    (unsigned long long)count[VERDICT_SUSPECT],
			    (unsigned long long)result->runs.sectors[VERDICT_SUSPECT]);
	if (count[VERDICT_UNVERIFIABLE] || result->runs.nr_runs[VERDICT_UNVERIFIABLE] ||
	    (result->selected_regions && has_missing_leg(&session->opened.mirror)))
		finding_add(&session->findings, FINDING_UNVERIFIABLE, "%llu regions%s",
			    (unsigned long long)count[VERDICT_UNVERIFIABLE],
			    has_missing_leg(&session->opened.mirror) ? ", a leg is missing" : "");
	if (result->end == AUDIT_CHANGED)
		finding_add(&session->findings, FINDING_CHANGED, "%s", comparison->change);
	else if (!result->hung && log_has_changed(session))
		finding_add(&session->findings, FINDING_CHANGED,
			    "the log's header is not what it was at the start");
	if (result->end == AUDIT_STOPPED)
		finding_add(&session->findings, FINDING_UNFINISHED, "%s",
			    result->hung ? "a device did not answer" : "");
}
