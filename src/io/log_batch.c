/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/log_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/log_area.h"
#include "io/child_files.h"
#include "io/device.h"
#include "io/sync_engine.h"

/*
 * A read of a dead device cannot be interrupted, and neither can an open(): a thread in
 * one keeps its whole process. So others do it, a few at a time, each taking the next log
 * until none is left. Their answers come through shared memory; a word on a pipe tells
 * that some have come, since to be woken for each costs more than to read most logs.
 */

#define LANES 8u
#define GIVEN_UP_MAX 16u	/* then the rest is not tried: every one is a process */
#define POLL_MS 50
#define PATIENCE_MS 50	/* what takes longer gets one more process each time */
#define WORD_MS 5	/* answers that come faster are told together */

enum slot_state { SLOT_WAITING, SLOT_READING, SLOT_DONE, SLOT_GIVEN_UP };

struct slot {
	_Atomic int state;
	struct log_answer answer;
};

/* What one process of ours says of itself. */
struct lane_word {
	_Atomic int64_t index;		/* what it reads; -1: nothing yet, or any more */
	_Atomic uint64_t progress;
};

struct shared {
	_Atomic size_t next;
	struct lane_word lanes[LANES];
	struct slot slots[];
};

struct lane {
	pid_t pid;			/* 0: none */
	uint64_t progress;
	uint64_t since_ms;		/* when that was new */
};

struct run {
	const struct log_batch *batch;
	struct shared *shared;
	size_t shared_bytes;
	int pipe[2];
	struct lane lanes[LANES];
	unsigned int nr_lanes;		/* that were ever started */
	uint64_t watched_ms;		/* when they were last looked at */
	uint64_t added_ms;		/* when the last one came */
	bool *told;
	size_t left;			/* answers to come */
	unsigned int given_up;
};

static bool has_place(const struct log_wanted *wanted)
{
	return wanted->path || wanted->nr_extents;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- in a process of its own --------------------------------------------------------- */

static int log_open(struct device **device, const struct log_wanted *wanted, struct error *err)
{
	if (wanted->path)
		return device_open(device, "log", wanted->path, 0, DEVICE_READ, err);
	return device_open_extents(device, "log", wanted->what, wanted->extents,
				   wanted->nr_extents, DEVICE_READ, err);
}

/* Asked after every request of an engine that does one at a time: the device is alive. */
static bool progress_tell(void *context)
{
	struct lane_word *word = context;

	atomic_fetch_add(&word->progress, 1);
	return false;
}

static int log_read(struct log_answer *answer, const struct log_wanted *wanted,
		    struct lane_word *word, struct error *err)
{
	struct block_engine *engine = NULL;
	struct device *device = NULL;
	struct log_area area = { 0 };
	int r = log_open(&device, wanted, err);

	if (!r)
		r = sync_engine_create(&engine, 4096, NULL, NULL);
	if (r)
		goto out;
	engine->cancelled = progress_tell;
	engine->cancelled_context = word;
	r = log_area_read(&area, engine, &device->block, wanted->nr_regions, err);
	if (r)
		goto out;
	mirror_log_decode(&answer->log, area.bytes, area.nr_bytes, wanted->nr_regions);
	answer->log.raw_bits = answer->log.clean_bits = (struct bitmap){ 0 };
out:
	log_area_free(&area);
	block_engine_destroy(engine);
	device_close(device);
	return r;
}

static void why_set(struct log_answer *answer, const char *text)
{
	snprintf(answer->why, sizeof(answer->why), "%.*s", (int)sizeof(answer->why) - 1, text);
}

/* A pipe that is full says it already. */
static void say(const struct run *run)
{
	if (write(run->pipe[1], "", 1) < 0 && errno != EAGAIN)
		_exit(1);
}

__attribute__((noreturn))
static void lane_run(struct run *run, unsigned int lane)
{
	struct shared *shared = run->shared;
	struct lane_word *word = &shared->lanes[lane];
	uint64_t said_ms = now_ms();
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	child_files_close(&run->pipe[1]);
	while ((i = atomic_fetch_add(&shared->next, 1)) < run->batch->nr) {
		struct slot *slot = &shared->slots[i];
		struct error err = { 0 };
		int reading = SLOT_READING, waiting = SLOT_WAITING;

		if (!has_place(&run->batch->wanted[i]) ||
		    !atomic_compare_exchange_strong(&slot->state, &waiting, SLOT_READING))
			continue;
		atomic_fetch_add(&word->progress, 1);
		atomic_store(&word->index, (int64_t)i);
		slot->answer.result = log_read(&slot->answer, &run->batch->wanted[i], word, &err);
		if (slot->answer.result)
			why_set(&slot->answer, err.text);
		atomic_compare_exchange_strong(&slot->state, &reading, SLOT_DONE);
		if (now_ms() - said_ms >= WORD_MS) {
			say(run);
			said_ms = now_ms();
		}
		atomic_store(&word->index, -1);
	}
	say(run);
	_exit(0);
}

/* --- in ours ------------------------------------------------------------------------- */

static void tell(struct run *run, size_t i, const struct log_answer *answer)
{
	const struct log_batch *batch = run->batch;

	run->told[i] = true;
	run->left--;
	if (batch->answered)
		batch->answered(batch->context, i, answer);
}

static void done_tell(struct run *run)
{
	for (size_t i = 0; i < run->batch->nr; i++) {
		const struct slot *slot = &run->shared->slots[i];

		if (!run->told[i] && atomic_load(&slot->state) == SLOT_DONE)
			tell(run, i, &slot->answer);
	}
}

/* Another answer than the process's own, which may still come and is not wanted then. */
static void slot_give_up(struct run *run, size_t i, int result, const char *why)
{
	struct slot *slot = &run->shared->slots[i];
	int state = atomic_load(&slot->state);

	if ((state != SLOT_WAITING && state != SLOT_READING) ||
	    !atomic_compare_exchange_strong(&slot->state, &state, SLOT_GIVEN_UP))
		return;
	/* What is told must not be written over by one that is late. */
	if (!run->told[i]) {
		struct log_answer answer = { .result = result };

		why_set(&answer, why);
		tell(run, i, &answer);
	}
}

static void lane_start(struct run *run, unsigned int lane)
{
	pid_t pid;

	atomic_store(&run->shared->lanes[lane].index, -1);
	run->lanes[lane] = (struct lane){ .progress = atomic_load(&run->shared->lanes[lane].progress),
					  .since_ms = now_ms() };
	pid = fork();
	if (!pid)
		lane_run(run, lane);
	run->lanes[lane].pid = pid > 0 ? pid : 0;
}

static bool work_remains(const struct run *run)
{
	return atomic_load(&run->shared->next) < run->batch->nr;
}

/* A process that was lost: ended by itself, or given up. */
static void lane_lost(struct run *run, unsigned int lane, int result, const char *why)
{
	int64_t index = atomic_load(&run->shared->lanes[lane].index);

	run->lanes[lane].pid = 0;
	if (index >= 0)
		slot_give_up(run, (size_t)index, result, why);
	if (work_remains(run) && run->given_up < GIVEN_UP_MAX)
		lane_start(run, lane);
}

static void lane_watch(struct run *run, unsigned int lane)
{
	struct lane *watched = &run->lanes[lane];
	uint64_t progress = atomic_load(&run->shared->lanes[lane].progress), now = now_ms();
	char why[96];

	if (!watched->pid)
		return;
	if (waitpid(watched->pid, NULL, WNOHANG) == watched->pid) {
		lane_lost(run, lane, -EIO, "log: the process that read it ended");
		return;
	}
	if (progress != watched->progress) {
		watched->progress = progress;
		watched->since_ms = now;
	}
	if (now - watched->since_ms < run->batch->answer_ms)
		return;
	kill(watched->pid, SIGKILL);
	run->given_up++;
	snprintf(why, sizeof(why), "its device does not answer (%u s)",
		 (run->batch->answer_ms + 999) / 1000);
	lane_lost(run, lane, -ETIMEDOUT, why);
}

static bool any_lane(const struct run *run)
{
	for (unsigned int lane = 0; lane < LANES; lane++)
		if (run->lanes[lane].pid)
			return true;
	return false;
}

/* Nobody is left to read these, or to say that they were read. */
static void rest_give_up(struct run *run)
{
	const char *why = run->given_up ? "not tried: too many devices do not answer" :
					  "not tried: no process could be made";

	done_tell(run);
	for (size_t i = 0; i < run->batch->nr; i++)
		slot_give_up(run, i, -ETIMEDOUT, why);
}

static bool lane_may_come(const struct run *run)
{
	return run->left && run->nr_lanes < LANES && work_remains(run);
}

/* Another process costs more than reading the logs of most hosts. */
static void lane_add(struct run *run)
{
	if (!lane_may_come(run) || now_ms() - run->added_ms < PATIENCE_MS)
		return;
	lane_start(run, run->nr_lanes++);
	run->added_ms = now_ms();
}

/* Also what was read by one that hangs now, which did not say so. */
static void answers_tell(struct run *run)
{
	struct pollfd wait = { .fd = run->pipe[0], .events = POLLIN };
	char said[256];

	if (poll(&wait, 1, lane_may_come(run) ? PATIENCE_MS : POLL_MS) > 0 &&
	    read(run->pipe[0], said, sizeof(said)) < 0)
		return;
	done_tell(run);
}

static void lanes_watch(struct run *run)
{
	if (now_ms() - run->watched_ms < POLL_MS)
		return;
	run->watched_ms = now_ms();
	for (unsigned int lane = 0; lane < run->nr_lanes; lane++)
		lane_watch(run, lane);
}

static int batch_run(struct run *run)
{
	const struct log_batch *batch = run->batch;

	run->watched_ms = now_ms();
	lane_add(run);
	while (run->left) {
		if (batch->cancelled && batch->cancelled(batch->context))
			return -ECANCELED;
		answers_tell(run);
		lane_add(run);
		lanes_watch(run);
		if (!any_lane(run))
			rest_give_up(run);
	}
	return 0;
}

/* Those that have read all there was end by themselves; one that hangs is the kernel's. */
static void lanes_end(struct run *run)
{
	for (unsigned int lane = 0; lane < LANES; lane++)
		if (run->lanes[lane].pid) {
			kill(run->lanes[lane].pid, SIGKILL);
			waitpid(run->lanes[lane].pid, NULL, WNOHANG);
		}
}

static int run_begin(struct run *run, struct error *err)
{
	const struct log_batch *batch = run->batch;

	run->shared_bytes = sizeof(*run->shared) + batch->nr * sizeof(struct slot);
	run->told = calloc(batch->nr ? batch->nr : 1, sizeof(*run->told));
	run->shared = mmap(NULL, run->shared_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->shared == MAP_FAILED)
		run->shared = NULL;
	if (!run->told || !run->shared)
		return error_operation(err, ENOMEM, "not enough memory to read the logs");
	if (pipe2(run->pipe, O_CLOEXEC | O_NONBLOCK))
		return error_operation(err, errno, "cannot make a pipe to read the logs: %s",
				       error_reason(errno));
	for (size_t i = 0; i < batch->nr; i++) {
		run->told[i] = !has_place(&batch->wanted[i]);
		run->left += !run->told[i];
	}
	return 0;
}

int log_batch_read(const struct log_batch *batch, struct error *err)
{
	struct run run = { .batch = batch, .pipe = { -1, -1 } };
	int r = run_begin(&run, err);

	if (!r)
		r = batch_run(&run);
	lanes_end(&run);
	for (int i = 0; i < 2; i++)
		if (run.pipe[i] >= 0)
			close(run.pipe[i]);
	if (run.shared)
		munmap(run.shared, run.shared_bytes);
	free(run.told);
	return r;
}
