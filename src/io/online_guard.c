/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "io/online_private.h"

#ifndef PR_SET_IO_FLUSHER	/* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

#define WATCHDOG_MARGIN_MS 1000u
#define HEAP_BYTES (UINT64_C(8) << 20)

/* --- memory and signals -------------------------------------------------- */

/* What is forked off must neither copy nor share what the devices read into. */
static void large_memory_advise(struct online_run *run, int advice)
{
	const struct block_engine *engine = run->round->engine;

	madvise(run->areas, 3 * run->area_bytes, advice);
	if (engine->buffers)
		madvise(engine->buffers, engine->buffer_bytes * engine->nr_buffers, advice);
}

/* A heap that does not have to grow under the suspend: what is wanted then is freed
 * here, and stays with the process. */
static bool heap_prime(const struct online_run *run)
{
	size_t bytes = HEAP_BYTES + 4 * bitmap_bytes(run->outcome->cleared.nr_bits) +
		       run->area_bytes / 8;
	volatile char *heap;

	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	heap = malloc(bytes);
	for (size_t i = 0; heap && i < bytes; i += 4096)
		heap[i] = 1;
	free((void *)heap);
	return heap != NULL;
}

static void heap_release(void)
{
	mallopt(M_MMAP_MAX, 65536);	/* glibc's own values */
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	malloc_trim(0);
}

/* The device may carry what this process would be paged in from, or out to. */
int online_protect(struct online_run *run, struct error *err)
{
	sigset_t all;

	run->memory_locked = true;
	if (!heap_prime(run) || mlockall(MCL_CURRENT | MCL_FUTURE))
		return error_operation(err, errno, "cannot lock the memory that is needed while "
				       "%s is suspended: %s; nothing was "
				       "suspended", run->round->opened->mirror.name,
				       error_reason(errno));
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	sigfillset(&all);
	run->signals_blocked = !pthread_sigmask(SIG_SETMASK, &all, &run->signals);
	return 0;
}

void online_unprotect(struct online_run *run)
{
	if (run->signals_blocked)
		pthread_sigmask(SIG_SETMASK, &run->signals, NULL);
	if (run->memory_locked) {
		prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
		munlockall();
		heap_release();
	}
	run->signals_blocked = run->memory_locked = false;
}

/* --- what the watchdog does with the device ------------------------------ */

static int device_suspend(void *context)
{
	struct online_device *device = context;

	return dm_suspend(device->control, device->is.number);
}

static int device_suspended(void *context, bool resuming)
{
	struct online_device *device = context;
	struct dm_device_state state;
	int r = dm_state(device->control, device->is.number, &state);

	if (r)
		return r;
	if (!state.suspended || strcmp(state.uuid, device->is.uuid))
		return 0;
	/* The table has been swapped in: then it ran, and this is another's suspend. */
	return !resuming || state.inactive_table;
}

static int device_resume(void *context)
{
	struct online_device *device = context;

	return dm_resume(device->control, device->is.number, 0, NULL);
}

void online_unload(struct online_device *device)
{
	if (online_table_is_ours(device, DM_INACTIVE_TABLE))
		dm_clear(device->control, device->is.number);
}

static void device_clear(void *context)
{
	online_unload(context);
}

static void device_unmark(void *context)
{
	struct online_device *device = context;

	run_file_remove(&device->marker);
}

int online_watchdog_start(struct online_run *run, struct error *err)
{
	struct online_device *device = &run->device;
	const int keep[] = { device->control, device->marker.fd, device->marker.directory_fd,
			     run->vg_lock };
	const struct watchdog_plan plan = {
		.device = {
			.context = device,
			.suspend = device_suspend, .suspended = device_suspended,
			.resume = device_resume, .clear = device_clear, .unmark = device_unmark,
		},
		.max_suspend_ms = run->round->max_suspend_ms, .margin_ms = WATCHDOG_MARGIN_MS,
		.lock_memory = true, .keep = keep, .nr_keep = run->vg_lock < 0 ? 3 : 4,
	};
	int r;

	large_memory_advise(run, MADV_DONTFORK);
	r = watchdog_start(&run->watchdog, &plan, err);
	large_memory_advise(run, MADV_DOFORK);
	return r;
}
