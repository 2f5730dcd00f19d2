/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan of a resync from hostile text: what is accepted names every region of the
 * mirror once and no leg that is not there, and says the same when written out again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/resync_plan.h"

#define NR_REGIONS 200u
#define NR_LEGS 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Walks from answer to answer; `text` gets a line for each. */
static void write_out(const struct resync_plan *plan, char *text, size_t room)
{
	uint64_t region = 0, last;
	size_t used = (size_t)snprintf(text, room, "mirrorctl resync plan 1\n* skip\n");
	unsigned int before = NR_LEGS, source;

	for (; region < NR_REGIONS; region = last + 1) {
		source = resync_plan_source(plan, region, NR_REGIONS, &last);
		require(last >= region && last < NR_REGIONS);
		require(source < NR_LEGS || source == RESYNC_SKIP);
		require(source != before);	/* else the answer before was too short */
		before = source;
		if (source != RESYNC_SKIP)
			used += (size_t)snprintf(text + used, room - used, "%" PRIu64 "-%" PRIu64
						 " source %u\n", region, last, source);
		require(used < room);
	}
}

static void check(const struct resync_plan *plan)
{
	static char text[NR_REGIONS * 32];
	struct resync_plan again;
	uint64_t last;

	for (size_t i = 0; i < plan->nr_runs; i++) {
		require(plan->runs[i].first <= plan->runs[i].last);
		require(plan->runs[i].last < NR_REGIONS);
		require(!i || plan->runs[i - 1].last < plan->runs[i].first);
	}
	write_out(plan, text, sizeof(text));
	require(!resync_plan_parse(&again, "plan", text, strlen(text), NR_REGIONS, NR_LEGS, NULL));
	for (uint64_t region = 0; region < NR_REGIONS; region++)
		require(resync_plan_source(plan, region, NR_REGIONS, &last) ==
			resync_plan_source(&again, region, NR_REGIONS, &last));
	resync_plan_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { .kind = ERROR_NONE };
	struct resync_plan plan;
	char *text = malloc(size ? size : 1);	/* of this very size, for ASan */

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	if (!resync_plan_parse(&plan, "plan", text, size, NR_REGIONS, NR_LEGS, &err))
		check(&plan);
	else
		require(err.kind == ERROR_USAGE && !plan.runs && !strncmp(err.text, "plan:", 5));
	resync_plan_free(&plan);
	free(text);
	return 0;
}
