/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/audit_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int run_passes(struct audit *audit)
{
	int r, settled;

	do {
		r = audit_scan(audit);
		if (r == -ETIMEDOUT) {	/* nothing can be looked at again */
			audit->result->hung = true;
			r = STOP_USER;
		}
		if (r && r != STOP_SETTLE && r != STOP_USER && r != STOP_CHANGED)
			return r;
		settled = audit_settle(audit, r);
		if (settled)
			r = settled;
		if (r == STOP_SETTLE)
			audit_scan_rewind(audit);
	} while (r == STOP_SETTLE);
	return r;
}

static uint64_t selected_sectors(const struct audit_input *input)
{
	uint64_t first, last, from = 0, sectors = 0;

	while (bitmap_next_run(input->selected, true, from, &first, &last)) {
		sectors += region_run_sectors(&input->geometry,
					      (struct region_run){ first, last });
		from = last + 1;
	}
	return sectors;
}

static int audit_prepare(struct audit *audit)
{
	const struct audit_input *input = audit->input;
	uint64_t rate_sectors = audit->options->rate_bytes / SECTOR_BYTES / 20;
	int r;

	for (unsigned int leg = 0; leg < input->nr_legs; leg++)
		audit->legs_present += input->legs[leg] != NULL;
	audit->progress.total_sectors = selected_sectors(input);
	audit->result->selected_regions = bitmap_count(input->selected);
	audit->max_unsettled = audit->options->max_candidates ? audit->options->max_candidates :
			       CANDIDATES_MAX;
	/* A whole chunk must fit behind them, and a note of the region that was cut. */
	audit->room = audit->max_unsettled + input->engine->buffer_bytes / SECTOR_BYTES + 1;
	audit->candidates = malloc(audit->room * sizeof(*audit->candidates));
	audit->notes = malloc(audit->room * sizeof(*audit->notes));
	if (!audit->candidates || !audit->notes)
		return -ENOMEM;
	r = leg_reader_create(&audit->reader, input->engine, input->legs, input->nr_legs);
	if (!r && audit->options->rate_bytes)
		leg_reader_limit_chunk(audit->reader,
				       rate_sectors < UINT32_MAX ? (uint32_t)rate_sectors : UINT32_MAX);
	return r;
}

static int audit_finish(struct audit *audit, int r)
{
	struct audit_result *result = audit->result;
	uint64_t told = 0;

	if (r == STOP_USER)
		result->end = AUDIT_STOPPED;
	else if (r == STOP_CHANGED)
		result->end = AUDIT_CHANGED;
	else if (r)
		return error_operation(audit->err, -r, "the audit cannot go on: %s", error_reason(r));
	for (unsigned int verdict = 0; verdict < VERDICT_NOT_COMPARED; verdict++)
		told += result->regions.count[verdict];
	result->regions.count[VERDICT_NOT_COMPARED] = audit->input->geometry.nr_regions - told;
	if (run_list_finish(&result->runs))
		return error_operation(audit->err, ENOMEM, "not enough memory for the findings");
	return 0;
}

int audit_run(struct audit_result *result, const struct audit_input *input,
	      const struct audit_options *options, const struct audit_hooks *hooks,
	      struct error *err)
{
	struct audit audit = { .input = input, .options = options, .hooks = hooks,
			       .result = result, .err = err };
	int r;

	memset(result, 0, sizeof(*result));
	run_list_init(&result->runs, options->max_runs);
	region_verdicts_init(&result->regions, options->max_runs);
	r = audit_prepare(&audit);
	if (!r && !audit_is_unchanged(&audit, true))
		r = STOP_CHANGED;
	if (!r) {
		audit_set_mark(&audit);
		r = run_passes(&audit);
	}
	r = audit_finish(&audit, r);
	if (result->hung)
		result->abandoned = audit.reader;
	else
		leg_reader_destroy(audit.reader);
	free(audit.candidates);
	free(audit.notes);
	return r;
}

void audit_result_free(struct audit_result *result)
{
	run_list_free(&result->runs);
	region_verdicts_free(&result->regions);
}
