/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/device.h"
#include "io/engine.h"

/* Enough to keep a few devices busy; more only compete for the CPUs. */
#define WORKERS_MAX 8u

struct outcome {
	int64_t result;
	bool cached;		/* went through the page cache */
};

struct threads_engine {
	struct block_engine base;
	pthread_mutex_t lock;
	pthread_cond_t work;		/* `queue` is not empty, or `stop` */
	struct block_io *queue;
	struct block_io **queue_tail;
	struct block_io *finished;	/* in the order of completion */
	struct block_io **finished_tail;
	struct outcome *outcomes;	/* by io */
	bool stop;
	int event;		/* readable when `finished` became non-empty */
	pthread_t workers[WORKERS_MAX];
	unsigned int nr_workers;
};

static struct threads_engine *to_threads(struct block_engine *engine)
{
	return (struct threads_engine *)engine;
}

/* --- in the workers ------------------------------------------------------ */

static void carry_out(const struct block_io *io, struct outcome *outcome)
{
	int fd = block_file_fd(io->file, io->op, io->offset_bytes, io->bytes,
			       &outcome->cached);
	ssize_t ret;

	if (io->op == BLOCK_READ)
		ret = pread(fd, io->data, io->bytes, (off_t)io->offset_bytes);
	else if (io->op == BLOCK_WRITE)
		ret = pwrite(fd, io->data, io->bytes, (off_t)io->offset_bytes);
	else
		ret = fdatasync(fd);
	outcome->result = ret < 0 ? -errno : ret;
}

/* Called with the lock held. */
static void finish(struct threads_engine *threads, struct block_io *io)
{
	static const uint64_t one = 1;
	bool first = !threads->finished;

	io->next = NULL;
	*threads->finished_tail = io;
	threads->finished_tail = &io->next;
	/* Cannot fail: the counter is taken back each time it is seen. */
	if (first && write(threads->event, &one, sizeof(one)) < 0)
		abort();
}

static void *worker(void *context)
{
	struct threads_engine *threads = context;
	struct block_io *io;

	pthread_mutex_lock(&threads->lock);
	for (;;) {
		while (!threads->queue && !threads->stop)
			pthread_cond_wait(&threads->work, &threads->lock);
		io = threads->queue;
		if (!io)
			break;
		threads->queue = io->next;
		if (!threads->queue)
			threads->queue_tail = &threads->queue;
		pthread_mutex_unlock(&threads->lock);
		carry_out(io, &threads->outcomes[io - threads->base.ios]);
		pthread_mutex_lock(&threads->lock);
		finish(threads, io);
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

/* --- in the caller ------------------------------------------------------- */

static void threads_submit(struct block_engine *engine, struct block_io *io)
{
	struct threads_engine *threads = to_threads(engine);

	io->next = NULL;
	pthread_mutex_lock(&threads->lock);
	*threads->queue_tail = io;
	threads->queue_tail = &io->next;
	pthread_cond_signal(&threads->work);
	pthread_mutex_unlock(&threads->lock);
}

static struct block_io *take_finished(struct threads_engine *threads)
{
	struct block_io *list;
	uint64_t count;

	pthread_mutex_lock(&threads->lock);
	list = threads->finished;
	threads->finished = NULL;
	threads->finished_tail = &threads->finished;
	if (list && read(threads->event, &count, sizeof(count)) < 0)
		abort();	/* written under the same lock */
	pthread_mutex_unlock(&threads->lock);
	return list;
}

static int threads_wait(struct block_engine *engine, int timeout_ms)
{
	struct threads_engine *threads = to_threads(engine);
	struct pollfd event = { .fd = threads->event, .events = POLLIN };
	struct block_io *io, *next;

	/* poll(), not a condition variable: a signal must end the wait. */
	if (poll(&event, 1, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN)
		return -errno;
	for (io = take_finished(threads); io; io = next) {
		const struct outcome *outcome = &threads->outcomes[io - engine->ios];

		next = io->next;
		if (outcome->cached && io->op == BLOCK_READ && outcome->result > 0)
			io->file->from_cache_bytes += (uint64_t)outcome->result;
		block_io_done(engine, io, outcome->result);
	}
	return 0;
}

static void threads_free(struct threads_engine *threads)
{
	if (threads->event >= 0)
		close(threads->event);
	pthread_cond_destroy(&threads->work);
	pthread_mutex_destroy(&threads->lock);
	block_engine_fini(&threads->base);
	free(threads->outcomes);
	free(threads);
}

static void stop_workers(struct threads_engine *threads)
{
	unsigned int i;

	pthread_mutex_lock(&threads->lock);
	threads->stop = true;
	pthread_cond_broadcast(&threads->work);
	pthread_mutex_unlock(&threads->lock);
	for (i = 0; i < threads->nr_workers; i++)
		pthread_join(threads->workers[i], NULL);
}

/* With requests in flight nobody is joined and nothing freed: a worker may hang
 * in a device for ever, and those that come back still look at their engine. */
static void threads_destroy(struct block_engine *engine)
{
	struct threads_engine *threads = to_threads(engine);
	unsigned int i;

	if (engine->in_flight) {
		for (i = 0; i < threads->nr_workers; i++)
			pthread_detach(threads->workers[i]);
		return;
	}
	stop_workers(threads);
	threads_free(threads);
}

static const struct block_engine_ops threads_ops = {
	.name = "threads",
	.submit = threads_submit,
	.wait = threads_wait,
	.next_data = block_file_next_data,
	.expect = engine_expect,
	.destroy = threads_destroy,
};

/* One worker is enough to go on with. */
static int start_workers(struct threads_engine *threads)
{
	unsigned int wanted = threads->base.depth < WORKERS_MAX ? threads->base.depth :
			      WORKERS_MAX;
	sigset_t all, old;
	int err = 0;

	/* Signals belong to the thread that polls the flags they set. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (threads->nr_workers < wanted && !err) {
		err = pthread_create(&threads->workers[threads->nr_workers], NULL,
				     worker, threads);
		if (!err)
			threads->nr_workers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return threads->nr_workers ? 0 : -err;
}

int threads_create(struct block_engine **engine, const struct engine_params *params)
{
	struct threads_engine *threads = calloc(1, sizeof(*threads));
	int err;

	if (!threads)
		return -ENOMEM;
	threads->event = -1;
	threads->queue_tail = &threads->queue;
	threads->finished_tail = &threads->finished;
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work, NULL);
	err = block_engine_init(&threads->base, &threads_ops, params->depth,
				params->nr_buffers, params->buffer_bytes);
	if (err)
		goto out;
	err = -ENOMEM;
	threads->outcomes = calloc(threads->base.depth, sizeof(*threads->outcomes));
	if (!threads->outcomes)
		goto out;
	threads->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = threads->event < 0 ? -errno : start_workers(threads);
	if (err)
		goto out;
	*engine = &threads->base;
out:
	if (err)
		threads_free(threads);
	return err;
}
