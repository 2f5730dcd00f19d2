/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "io/online_private.h"
#include "io/sync_engine.h"
#include "io/vg_lock.h"
#include "io/watch.h"

#define LOG_BUFFER_BYTES (256u << 10)
#define READ_BYTES (UINT64_C(1) << 20)
#define RESUME_TRIES 3u
#define MAX_SUSPEND_MS_MIN 250u

static const char *const step_words[] = {
	[ONLINE_BEGIN] = "begin",
	[ONLINE_WATCHDOG] = "watchdog",
	[ONLINE_TABLE_LOADED] = "loaded",
	[ONLINE_MARKED] = "marked",
	[ONLINE_SUSPENDED] = "suspended",
	[ONLINE_SETTLED] = "settled",
	[ONLINE_COMPARED] = "compared",
	[ONLINE_WRITTEN] = "written",
	[ONLINE_READ_BACK] = "read-back",
	[ONLINE_RESUMED] = "resumed",
	[ONLINE_UNMARKED] = "unmarked",
	[ONLINE_DONE] = "done",
};

uint64_t online_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *name_of(const struct online_run *run)
{
	return run->round->opened->mirror.name;
}

/* --- steps --------------------------------------------------------------- */

/* For tests (HACKING.md): stops at one step, to be killed or continued there. */
static int pause_wanted(void)
{
	const char *word = getenv("MIRRORCTL_PAUSE_AT");

	for (int i = 0; word && i <= ONLINE_DONE; i++)
		if (!strcmp(word, step_words[i]))
			return i;
	return -1;
}

static void pause_at(struct online_run *run, enum online_step step)
{
	if (run->pause_at != (int)step)
		return;
	run->pause_at = -1;	/* the same step may come again */
	raise(SIGSTOP);
}

void online_reached(struct online_run *run, enum online_step step)
{
	run->reached |= 1u << step;
	pause_at(run, step);
}

static void tell(struct online_run *run, enum online_step step)
{
	if (run->round->step)
		run->round->step(run->round->context, step);
	pause_at(run, step);
}

static void tell_reached(struct online_run *run)
{
	for (int i = 0; i <= ONLINE_DONE; i++)
		if (run->reached & 1u << i && run->round->step)
			run->round->step(run->round->context, (enum online_step)i);
	run->reached = 0;
}

static void log_flushed(void *context)
{
	online_reached(context, ONLINE_WRITTEN);
}

/* --- the log ------------------------------------------------------------- */

int online_log_read(struct online_run *run, void *buffer, struct error *err)
{
	int fd = run->log->file->direct_fd;
	uint64_t start = run->log->offset * SECTOR_BYTES, done = 0;

	while (done < run->area_bytes) {
		uint64_t bytes = run->area_bytes - done;
		ssize_t got = pread(fd, (char *)buffer + done,
				    bytes < READ_BYTES ? bytes : READ_BYTES,
				    (off_t)(start + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_operation(err, got ? errno : ENODATA, "%s: cannot be read at "
					       "byte %"
					       PRIu64 ": %s", run->log->name, done,
					       error_reason(got ? errno : ENODATA));
		done += (uint64_t)got;
	}
	return 0;
}

/* Its own descriptor, for writing; the mirror itself holds the device. */
static int log_open(struct online_run *run, struct error *err)
{
	const struct opened_mirror *opened = run->round->opened;
	uint64_t wanted;
	int r;

	r = device_open(&run->log, "log", opened->log->file->path, opened->log->offset,
			DEVICE_WRITE | DEVICE_HELD, err);
	if (r)
		return r;
	if (run->log->file->dev != opened->log->file->dev || run->log->file->direct_fd < 0)
		return error_operation(err, ESTALE, "%s is another device now: run the command "
				       "again",
				       run->log->name);
	wanted = mirror_log_area_bytes(opened->mirror.geometry.nr_regions,
				       run->log->block.block_sectors * SECTOR_BYTES);
	run->area_bytes = run->log->block.sectors * SECTOR_BYTES;
	if (run->area_bytes > wanted)
		run->area_bytes = wanted;
	r = sync_engine_create(&run->log_engine, LOG_BUFFER_BYTES, log_flushed, run);
	if (r)
		return error_operation(err, -r, "%s: not enough memory", run->log->name);
	return 0;
}

static int areas_map(struct online_run *run, struct error *err)
{
	uint64_t bytes = run->area_bytes;

	run->areas = mmap(NULL, 3 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (run->areas == MAP_FAILED) {
		run->areas = NULL;
		return error_operation(err, ENOMEM, "%s: not enough memory for %" PRIu64 " bytes "
				       "of log",
				       run->log->name, 3 * bytes);
	}
	run->current = run->areas;
	run->edited = run->areas + bytes;
	run->now = run->areas + 2 * bytes;
	return 0;
}

/* --- before the suspend -------------------------------------------------- */

static int check_round(const struct online_round *round, struct error *err)
{
	const struct opened_mirror *opened = round->opened;

	if (!watch_mapped_device(opened->watch) || !opened->log)
		return online_check(round->opened, NULL, err);
	if (round->max_suspend_ms < MAX_SUSPEND_MS_MIN || round->max_suspend_ms > 3600000)
		return error_usage(err, "--max-suspend of %u ms: the log alone has to be watched "
				   "for 200 ms; give %u ms to an hour", round->max_suspend_ms,
				   MAX_SUSPEND_MS_MIN);
	if (round->wanted->nr_bits != opened->mirror.geometry.nr_regions ||
	    !bitmap_count(round->wanted))
		return error_operation(err, EINVAL, "%s: there is no region to clear",
				       opened->mirror.name);
	return 0;
}

/* The live table as it will be, less what would override the log. */
static int target_make(struct online_device *device, const char *name, struct error *err)
{
	size_t nr_targets;
	int r = dm_target_read(device->control, device->is.number, DM_LIVE_TABLE, &device->target,
			       &nr_targets);

	memcpy(device->scratch.params, device->target.params, sizeof(device->scratch.params));
	if (!r)
		r = mirror_params_without_sync(device->target.params, DM_PARAMS_MAX,
					       device->scratch.params);
	return r ? error_operation(err, -r, "%s: its table cannot be read or understood: %s; "
				   "nothing was suspended", name, error_reason(r)) : 0;
}

/* The log as it is on disk, and all conditions. */
static int check_now(struct online_run *run, struct error *err)
{
	struct opened_mirror *opened = run->round->opened;
	struct suspend_facts facts;
	struct mirror_log log;
	int r = online_log_read(run, run->current, err);

	if (r)
		return r;
	mirror_log_decode(&log, run->current, run->area_bytes, opened->mirror.geometry.nr_regions);
	online_facts(&facts, &run->device, opened, &log);
	return suspend_check(&facts, err);
}

/* Claims, opens and allocates everything. */
static int prepare(struct online_run *run, struct error *err)
{
	const struct online_round *round = run->round;
	const struct mapped_device *watched = watch_mapped_device(round->opened->watch);
	struct online_device *device = &run->device;
	uint64_t nr_regions = round->opened->mirror.geometry.nr_regions;
	int r = mapped_device_read(&device->is, watched->number, err);

	if (!r)
		r = marker_open(&device->marker, round->run_directory, device->is.name, err);
	if (!r)
		r = vg_lock(&run->vg_lock, &device->is, err);
	if (!r && (device->control = dm_control_open(err)) < 0)
		r = device->control;
	if (!r)
		r = log_open(run, err);
	if (!r)
		r = areas_map(run, err);
	if (r)
		return r;
	if (bitmap_alloc(&run->proven, nr_regions) ||
	    bitmap_alloc(&run->outcome->cleared, nr_regions))
		return error_operation(err, ENOMEM, "%s: not enough memory", name_of(run));
	r = check_now(run, err);
	if (!r)
		r = target_make(device, name_of(run), err);
	return r ? r : online_measure(run, err);
}

static int load(struct online_run *run, struct error *err)
{
	struct online_device *device = &run->device;
	int r = dm_load(device->control, device->is.number, &device->target, device->is.read_only);

	if (r)
		return error_operation(err, -r, "%s: the kernel does not take the table that it "
				       "is to be resumed into: %s (see its messages); nothing was "
				       "suspended",
				       name_of(run), error_reason(r));
	device->loaded = true;
	return 0;
}

/* Semaphore and number for udev to answer with. Without udev, or without a
 * semaphore, nobody is waited for. */
static void cookie_make(struct online_run *run)
{
	struct dm_task *task;

	if (!dm_udev_get_sync_support() || !dm_udev_create_cookie(&run->cookie))
		return;
	task = dm_task_create(DM_DEVICE_RESUME);
	if (!task || !dm_task_set_cookie(task, &run->cookie, 0)) {
		dm_udev_wait(run->cookie);
		run->cookie = 0;
	}
	if (task)
		dm_task_destroy(task);
}

static void cookie_wait(struct online_run *run)
{
	if (!run->cookie)
		return;
	if (!run->event)
		dm_udev_complete(run->cookie);
	dm_udev_wait(run->cookie);
	dm_lib_release();
	run->cookie = 0;
}

static bool is_cancelled(const struct online_run *run)
{
	const struct block_engine *engine = run->round->engine;

	return engine->cancelled && engine->cancelled(engine->cancelled_context);
}

/* Everything up to the suspend itself, each with its step. */
static int approach(struct online_run *run, struct error *err)
{
	int r = online_watchdog_start(run, err);

	if (!r) {
		tell(run, ONLINE_WATCHDOG);
		r = load(run, err);
	}
	if (!r) {
		tell(run, ONLINE_TABLE_LOADED);
		r = marker_write(&run->device.marker, &run->device.is, err);
	}
	if (!r) {
		tell(run, ONLINE_MARKED);
		r = check_now(run, err);
	}
	if (!r && is_cancelled(run))
		r = error_operation(err, ECANCELED, "%s: interrupted; nothing was suspended",
				    name_of(run));
	return r;
}

/* --- suspend, edit, resume ----------------------------------------------- */

static bool is_suspended(struct online_run *run)
{
	struct dm_device_state state;

	return !dm_state(run->device.control, run->device.is.number, &state) && state.suspended;
}

/* true: suspended, if only just. */
static bool suspend(struct online_run *run, uint64_t *began, int *r, struct error *err)
{
	uint64_t ended;

	*r = watchdog_suspend(&run->watchdog, began, &ended);
	run->outcome->suspend_call_ns = ended - *began;
	run->limit_ns = ended + run->round->max_suspend_ms * NS_PER_MS;
	run->device.suspended = *r == 0 || (*r == -EPIPE && is_suspended(run));
	if (*r == -EPIPE)
		error_operation(err, EPIPE, "%s: the watchdog was killed: nothing was "
				"cleared", name_of(run));
	else if (*r)
		error_operation(err, -*r, "%s cannot be suspended: %s; nothing was "
				"changed%s", name_of(run),
				error_reason(*r), *r == -EINTR ? ", but a suspend that was "
						"interrupted makes the next one wait for ever: "
						"deactivate the mirror as soon as possible" : "");
	return run->device.suspended;
}

/* What of the bits that were to be cleared is clear on the disk, the last look before
 * the resume. */
static void count_cleared(struct online_run *run)
{
	struct bitmap *cleared = &run->outcome->cleared;
	struct mirror_log log;

	if (online_log_read(run, run->now, NULL))
		return;		/* then all of them may be */
	mirror_log_decode(&log, run->now, run->area_bytes, cleared->nr_bits);
	run->outcome->clean_after = log.clean;
	for (uint64_t region = bitmap_next_set(cleared, 0); region < cleared->nr_bits;
	     region = bitmap_next_set(cleared, region + 1))
		if (region < log.raw_bits.nr_bits && bitmap_test(&log.raw_bits, region))
			bitmap_clear(cleared, region);
}

static void read_first_count(struct online_run *run)
{
	struct suspend_facts facts;

	online_facts(&facts, &run->device, run->round->opened, NULL);
	run->outcome->first_in_sync = facts.status_known ? facts.in_sync : 0;
}

/* By us; or by the watchdog, if it was first or we cannot. */
static void resume(struct online_run *run, uint64_t began)
{
	struct online_outcome *outcome = run->outcome;
	uint64_t resumed = 0;
	int r = -EAGAIN;

	if (watchdog_resume_begin(&run->watchdog)) {
		count_cleared(run);
		for (unsigned int i = 0; r && i < RESUME_TRIES; i++)
			r = dm_resume(run->device.control, run->device.is.number,
				      run->cookie & 0xffff, &run->event);
		resumed = online_now_ns();
		if (!r)
			watchdog_resume_end(&run->watchdog);
	}
	if (r)
		outcome->resumed_by_watchdog = watchdog_stop(&run->watchdog, &resumed);
	/* Nobody else is left to try. */
	if (r && !outcome->resumed_by_watchdog && is_suspended(run)) {
		dm_resume(run->device.control, run->device.is.number, 0, NULL);
		resumed = online_now_ns();
	}
	outcome->suspended_ns = resumed > began ? resumed - began : 0;
}

/* What went wrong besides is no wonder, then. */
static int resumed_for_us(struct online_run *run, struct error *err)
{
	memset(err, 0, sizeof(*err));
	return error_operation(err, ETIME, "%s: the watchdog has resumed it after %" PRIu64 " ms, "
			       "because we did not (stopped, or held up by a device?): "
			       "%s", name_of(run),
			       run->outcome->suspended_ns / NS_PER_MS,
			       bitmap_count(&run->outcome->cleared) ? "bits had been cleared by "
			       		"then" :
			       "nothing had been cleared by then");
}

/* Whatever happens in here: it ends with a resume into the table that was loaded. */
static int suspend_and_edit(struct online_run *run, struct error *err)
{
	uint64_t began;
	int r;

	if (!suspend(run, &began, &r, err))
		return r;
	online_reached(run, ONLINE_SUSPENDED);
	if (!r)
		r = online_edit(run, err);
	resume(run, began);
	read_first_count(run);
	run->device.loaded = false;
	if (!is_suspended(run))
		run->device.suspended = false;
	online_reached(run, ONLINE_RESUMED);
	return run->outcome->resumed_by_watchdog ? resumed_for_us(run, err) : r;
}

static int still_suspended(struct online_run *run, struct error *err)
{
	char remedy[192];

	/* What there was to say before is less urgent now. */
	memset(err, 0, sizeof(*err));
	return error_operation(err, EIO, "%s IS STILL SUSPENDED and cannot be resumed: run: "
			       "%s", name_of(run),
			       marker_remedy(remedy, sizeof(remedy), &run->device.is));
}

/* From the watchdog's first to its last moment. *resumed: there was a suspend. */
static int guarded(struct online_run *run, bool *resumed, struct error *err)
{
	int r = online_protect(run, err);

	if (!r)
		r = approach(run, err);
	if (!r) {
		r = suspend_and_edit(run, err);
		*resumed = !run->device.loaded && !run->device.suspended;
	}
	if (run->device.loaded)		/* nothing was suspended */
		online_unload(&run->device);
	if (!run->device.suspended) {
		run_file_remove(&run->device.marker);
		if (*resumed)
			online_reached(run, ONLINE_UNMARKED);
	}
	watchdog_stop(&run->watchdog, NULL);
	online_unprotect(run);
	cookie_wait(run);
	tell_reached(run);
	return run->device.suspended ? still_suspended(run, err) : r;
}

/* --- the round ----------------------------------------------------------- */

static void run_close(struct online_run *run)
{
	block_engine_destroy(run->log_engine);
	device_close(run->log);
	bitmap_free(&run->proven);
	if (run->areas)
		munmap(run->areas, 3 * run->area_bytes);
	if (run->device.control >= 0)
		close(run->device.control);
	if (run->vg_lock >= 0)
		close(run->vg_lock);
	/* A marker without a word of a suspended device is of no use to anybody. */
	if (!run->device.suspended)
		run_file_remove(&run->device.marker);
	run_file_close(&run->device.marker);
	mapper_release();
}

int online_round_run(struct online_outcome *outcome, const struct online_round *round,
		     struct error *err)
{
	struct online_run run = {
		.round = round, .outcome = outcome, .vg_lock = -1, .pause_at = pause_wanted(),
		.device = { .control = -1, .marker = { .fd = -1, .directory_fd = -1 } },
		.watchdog = { .socket = -1 },
	};
	bool resumed = false;
	struct error own = { 0 };
	int r, verified = 0;

	if (!err)
		err = &own;
	memset(outcome, 0, sizeof(*outcome));
	r = check_round(round, err);
	if (r)
		return r;
	tell(&run, ONLINE_BEGIN);
	r = prepare(&run, err);
	if (!r) {
		cookie_make(&run);
		r = guarded(&run, &resumed, err);
	}
	if (resumed)
		verified = online_verify(&run, err);
	run_close(&run);
	tell(&run, ONLINE_DONE);
	return r ? r : verified;
}

void online_outcome_free(struct online_outcome *outcome)
{
	bitmap_free(&outcome->cleared);
	memset(outcome, 0, sizeof(*outcome));
}
