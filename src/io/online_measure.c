/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "core/region_reading.h"
#include "io/online_private.h"

#define SAMPLES 3u
/* One region has to fit into the time several times, or a round would come to
 * nothing as soon as something is a little slower. */
#define REGION_MARGIN 2u

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- the log ------------------------------------------------------------- */

struct write_statistics {
	uint64_t writes, ms;
};

/* What the kernel counts of a block device (its `stat` in sysfs). */
static struct write_statistics statistics_read(dev_t device)
{
	struct write_statistics statistics = { 0 };
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(device), minor(device));
	file = fopen(path, "re");
	if (!file)
		return statistics;
	if (fscanf(file, "%*u %*u %*u %*u %" SCNu64 " %*u %*u %" SCNu64, &statistics.writes,
		   &statistics.ms) != 2)
		memset(&statistics, 0, sizeof(statistics));
	fclose(file);
	return statistics;
}

/* A write of the kernel's cannot be timed from here. Its own statistics can: those
 * of the time measured, or else those since the device is there. */
static uint64_t write_latency(struct write_statistics before, struct write_statistics after)
{
	if (after.writes > before.writes && after.ms >= before.ms) {
		after.writes -= before.writes;
		after.ms -= before.ms;
	}
	return after.writes ? after.ms * NS_PER_MS / after.writes : 0;
}

static int time_log_reads(struct online_run *run, struct error *err)
{
	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint64_t began = online_now_ns();
		int r = online_log_read(run, run->now, err);

		if (r)
			return r;
		run->latency.read = max_u64(run->latency.read, online_now_ns() - began);
	}
	return 0;
}

/* --- the legs, through the caller's engine ------------------------------- */

static int engine_failed(struct online_run *run, int r, const char *what, const char *name,
			 struct error *err)
{
	/* Given up while it was on its way: the buffer is not ours any more. */
	if (r == -ECANCELED)
		run->outcome->hung = run->round->engine->in_flight != 0;
	return error_operation(err, -r, "%s: cannot be %s: %s; nothing was suspended", name, what,
			       r == -ECANCELED ? "interrupted" : error_reason(r));
}

/* A flush writes nothing: all data is the mirror's, and already with the device. */
static int time_flush(struct online_run *run, struct block_device *device, uint64_t *ns,
		      struct error *err)
{
	uint64_t began = online_now_ns();
	int r = block_flush(run->round->engine, device);

	*ns = max_u64(*ns, online_now_ns() - began);
	return r ? engine_failed(run, r, "flushed", device->name, err) : 0;
}

static int time_leg(struct online_run *run, struct block_device *leg, struct error *err)
{
	struct block_engine *engine = run->round->engine;
	uint32_t sectors = leg->block_sectors ? leg->block_sectors : 1;

	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint64_t place = leg->sectors / (SAMPLES + 1) * (i + 1), began = online_now_ns();
		int r = block_read(engine, leg, place - place % sectors, sectors,
				   block_buffer(engine, 0));

		if (r)
			return engine_failed(run, r, "read", leg->name, err);
		run->leg_read_ns = max_u64(run->leg_read_ns, online_now_ns() - began);
	}
	return time_flush(run, leg, &run->latency.leg_flush, err);
}

static int time_legs(struct online_run *run, struct error *err)
{
	const struct opened_mirror *opened = run->round->opened;
	int r = 0;

	for (unsigned int i = 0; i < opened->mirror.nr_legs && !r; i++)
		if (opened->legs[i])
			r = time_leg(run, &opened->legs[i]->block, err);
	return r;
}

static int region_taken(void *context, const struct region_reading *reading)
{
	(void)context;
	(void)reading;
	return 0;
}

/* Reads the first region as all will be read under the suspend, which also brings
 * the code and the memory for it in. */
static int time_region(struct online_run *run, struct error *err)
{
	const struct online_round *round = run->round;
	const struct mirror *mirror = &round->opened->mirror;
	struct block_device *legs[MIRROR_LEGS_MAX];
	const struct region_reading_client client = { .region = region_taken };
	uint64_t first = bitmap_next_set(round->wanted, 0), began;
	struct bitmap one;
	int r;

	r = bitmap_alloc(&one, mirror->geometry.nr_regions);
	if (r)
		return error_operation(err, -r, "%s: not enough memory", mirror->name);
	bitmap_set(&one, first);
	mirror_leg_devices(round->opened, legs);
	began = online_now_ns();
	r = region_readings_run(round->engine, legs, mirror->nr_legs, &mirror->geometry, &one,
				&client);
	run->region_read_ns = online_now_ns() - began;
	run->outcome->hung = r == -ETIMEDOUT;
	bitmap_free(&one);
	return r ? error_operation(err, -r, "%s: region %" PRIu64 " cannot be read: %s; nothing "
				   "was suspended", mirror->name, first, error_reason(r)) : 0;
}

/* --- what follows -------------------------------------------------------- */

static int check_time(struct online_run *run, struct error *err)
{
	const struct online_round *round = run->round;
	const char *name = round->opened->mirror.name;
	uint64_t max = round->max_suspend_ms * NS_PER_MS, need;

	if (run->leg_read_ns > max / 4)
		return error_operation(err, EAGAIN, "%s: a leg needs %" PRIu64 " ms for a small "
				       "read now, more than a quarter of --max-suspend: nothing "
				       "was suspended; try again when it is less busy, or allow "
				       "more", name,
				       run->leg_read_ns / NS_PER_MS);
	need = run->settle_ns + run->edit_ns + REGION_MARGIN * run->region_read_ns;
	if (need <= max)
		return 0;
	return error_operation(err, EAGAIN, "%s: would be suspended for %" PRIu64 " ms at least "
			       "(%" PRIu64 " ms until its log is at rest, %" PRIu64 " ms for one "
			       "region): nothing was suspended; try again when it is less busy, "
			       "or allow it with --max-suspend",
			       name, need / NS_PER_MS + 1, run->settle_ns / NS_PER_MS,
			       run->region_read_ns / NS_PER_MS);
}

int online_measure(struct online_run *run, struct error *err)
{
	dev_t log = run->log->file->dev;
	struct write_statistics before = statistics_read(log);
	int r;

	r = time_log_reads(run, err);
	if (!r)
		r = time_legs(run, err);
	if (!r)
		r = time_flush(run, &run->log->block, &run->latency.log_flush, err);
	if (!r)
		r = time_region(run, err);
	if (r)
		return r;
	run->latency.write = write_latency(before, statistics_read(log));
	run->settle_ns = log_settle_ns(&run->latency);
	/* Write, flush, read back, and the last look. */
	run->edit_ns = 4 * run->latency.read + 2 * (run->latency.write + run->latency.log_flush);
	return check_time(run, err);
}
