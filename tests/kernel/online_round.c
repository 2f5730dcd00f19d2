/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * online_round MIRROR REGIONS [MAX_SUSPEND_MS [RUN_DIRECTORY]]: one round of the repair
 * of a running mirror (io/online.h), without audit and journal. Says on stdout each
 * step as it is told of, then what came out of it, and on stderr the error. Exits with
 * 0, 1 (an error), 2 (usage).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/region_reading.h"
#include "io/engine.h"
#include "io/online.h"

struct saved {
	struct journal_region *regions;
	size_t nr, room;
};

static int save(void *context, const struct region_reading *reading)
{
	struct saved *saved = context;

	if (saved->nr == saved->room)
		return -ENOSPC;
	saved->regions[saved->nr++] = reading->digest;
	return 0;
}

static void tell(void *context, enum online_step step)
{
	(void)context;
	printf("step %d\n", (int)step);
	fflush(stdout);
}

/* "5,7-9" */
static int wanted_parse(struct bitmap *wanted, const char *text)
{
	while (*text) {
		char *end;
		uint64_t first = strtoull(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoull(end + 1, &end, 10);
		if (end == text || (*end && *end != ',') || first > last ||
		    last >= wanted->nr_bits)
			return -EINVAL;
		bitmap_set_run(wanted, first, last);
		text = *end ? end + 1 : end;
	}
	return 0;
}

static int round_run(struct opened_mirror *opened, struct block_engine *engine,
		     struct online_round *round, struct saved *saved, struct error *err)
{
	const struct mirror *mirror = &opened->mirror;
	const struct region_reading_client client = { .context = saved, .region = save };
	struct block_device *legs[MIRROR_LEGS_MAX] = { NULL };
	struct online_outcome outcome;
	int r;

	for (unsigned int i = 0; i < mirror->nr_legs; i++)
		legs[i] = opened->legs[i] ? &opened->legs[i]->block : NULL;
	r = region_readings_run(engine, legs, mirror->nr_legs, &mirror->geometry, round->wanted,
				&client);
	if (r)
		return error_operation(err, -r, "cannot save: %s", error_reason(r));
	round->digests = saved->regions;
	round->nr_digests = saved->nr;
	r = online_round_run(&outcome, round, err);
	printf("cleared %" PRIu64 " changed %" PRIu64 " left %" PRIu64 " suspend_call_ms %" PRIu64
	       " suspended_ms %" PRIu64 " first_in_sync %" PRIu64 " clean_after %" PRIu64
	       " watchdog %d\n", outcome.cleared.words ? bitmap_count(&outcome.cleared) : 0,
	       outcome.changed_regions, outcome.left_regions, outcome.suspend_call_ns / 1000000,
	       outcome.suspended_ns / 1000000, outcome.first_in_sync, outcome.clean_after,
	       outcome.resumed_by_watchdog);
	online_outcome_free(&outcome);
	return r;
}

int main(int argc, char **argv)
{
	const struct engine_params params = {
		.kind = getenv("ENGINE_THREADS") ? ENGINE_THREADS : ENGINE_AUTO,
		.depth = 32, .nr_buffers = 32, .buffer_bytes = 256u << 10,
	};
	struct mirror_operand operand = { .name = argc > 1 ? argv[1] : NULL };
	struct online_round round = {
		.max_suspend_ms = argc > 3 ? (unsigned int)atoi(argv[3]) : 2000,
		.run_directory = argc > 4 ? argv[4] : "/run/mirrorctl", .step = tell,
	};
	struct opened_mirror opened = { 0 };
	struct block_engine *engine = NULL;
	struct bitmap wanted = { 0 };
	struct saved saved = { 0 };
	struct error err = { 0 };
	int r;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = mirror_discover(&opened, &operand, &err);
	if (!r)
		r = engine_create(&engine, &params, &err);
	if (!r)
		r = bitmap_alloc(&wanted, opened.mirror.geometry.nr_regions);
	if (!r)
		r = wanted_parse(&wanted, argv[2]);
	if (!r) {
		saved.room = bitmap_count(&wanted);
		saved.regions = calloc(saved.room + 1, sizeof(*saved.regions));
		round.opened = &opened;
		round.engine = engine;
		round.wanted = &wanted;
		r = saved.regions ? round_run(&opened, engine, &round, &saved, &err) : -ENOMEM;
	}
	if (r)
		fprintf(stderr, "online_round: %s (%s)\n", err.text, strerror(-r));
	free(saved.regions);
	bitmap_free(&wanted);
	block_engine_destroy(engine);
	mirror_close(&opened);
	return r ? 1 : 0;
}
