/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Does LVM's metadata still describe the mirror that is held? A thread of its own asks, so
 * that no disk waits for it. First for the group's seqno alone, which needs no lock of
 * LVM's; only when that has moved for the rest.
 */

#include "io/lvm_hold_private.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/lvm_same.h"
#include "io/lvm.h"
#include "io/vg_lock.h"

#define AGE_MS 4000u		/* so old may an answer be … */
#define SHARE 10u		/* … or so many times what it takes to get one */
#define RETRY_MS 500u		/* after none */

unsigned int hold_watch_give_up_ms = 60000;

struct hold_watch {
	struct lvm_hold *hold;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;		/* of the thread */
	pthread_cond_t news;		/* of who waits for an answer */
	/* under the mutex: */
	bool wanted;
	bool asking;
	uint64_t nr_asked, nr_answered;	/* questions: begun, the last one that had an answer */
	uint64_t asked_ms;		/* when that was put */
	uint64_t cost_ms;		/* that it took */
	bool changed;
	struct error change;		/* … what has */
	struct error failure;		/* of the last try, if that had no answer */
	atomic_bool stop;
	/* the thread's own: */
	uint64_t seqno;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool wait_ms(struct hold_watch *watch, pthread_cond_t *cond, unsigned int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(cond, &watch->mutex, &until) == 0;
}

/* --- asking LVM ------------------------------------------------------------------------ */

int hold_mirror_of(struct lvm_mirror *mirror, const struct lvm_report *report,
		   const struct lvm_mirror *then, struct error *err)
{
	char id[HOLD_ID_LENGTH + 1], why[sizeof(err->text)];
	struct error no_mirror = { 0 };
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;
	int r;

	memset(mirror, 0, sizeof(*mirror));
	hold_id_make(id, then->vg->uuid, then->visible->uuid);
	lv = lvm_report_lv_of_uuid(report, id, &vg);
	if (!lv)
		return error_operation(err, ESTALE, "was removed");
	r = lvm_mirror_layout(mirror, vg, lv, &then->start, &no_mirror);
	if (r == -ENOMEM)
		return error_operation(err, ENOMEM, "not enough memory for what LVM reports");
	if (r)
		return error_operation(err, ESTALE, "is not what it was: %s", no_mirror.text);
	if (lvm_mirror_same(then, mirror, why, sizeof(why)))
		return 0;
	lvm_mirror_free(mirror);
	return error_operation(err, ESTALE, "%s", why);
}

/* What follows the mirror's name. */
static int gone(struct error *err)
{
	memset(err, 0, sizeof(*err));
	return error_operation(err, ESTALE, "belongs to a volume group that LVM does not know any "
			       "more");
}

/* 0: the same. -ESTALE: what became of it. Others: no answer. */
static int ask(struct hold_watch *watch, struct error *err)
{
	struct lvm_report report = { 0 };
	struct lvm_mirror mirror = { 0 };
	char vg_name[LVM_NAME_ROOM];
	uint64_t seqno;
	int r = lvm_vg_seqno(&seqno, vg_name, watch->hold->mirror.vg->uuid, err);

	if (r == -ENODEV)
		return gone(err);
	if (r || seqno == watch->seqno)
		return r;
	r = lvm_report_read(&report, vg_name, err);
	if (!r)
		r = hold_mirror_of(&mirror, &report, &watch->hold->mirror, err);
	if (!r)
		watch->seqno = mirror.vg->seqno;
	lvm_mirror_free(&mirror);
	lvm_report_free(&report);
	return r;
}

static void note_answer(struct hold_watch *watch, uint64_t asked_ms, int r,
			const struct error *err)
{
	watch->asking = false;
	memset(&watch->failure, 0, sizeof(watch->failure));
	if (r == -ESTALE) {
		watch->changed = true;
		watch->change = *err;
	} else if (r) {
		watch->failure = *err;
	} else {
		watch->nr_answered = watch->nr_asked;
		watch->asked_ms = asked_ms;
		watch->cost_ms = now_ms() - asked_ms;
	}
	pthread_cond_broadcast(&watch->news);
}

static bool stop_wanted(void *context)
{
	const struct hold_watch *watch = context;

	return watch->stop;
}

static void *watch_main(void *context)
{
	struct hold_watch *watch = context;
	const struct lvm_cancel cancel = { .wanted = stop_wanted, .context = watch };

	/* What is proven is recorded although the end was asked for. */
	lvm_cancel_by(&cancel);
	pthread_mutex_lock(&watch->mutex);
	while (!watch->stop) {
		struct error err = { 0 };
		uint64_t asked;
		int r;

		if (!watch->wanted || watch->changed) {
			pthread_cond_wait(&watch->wake, &watch->mutex);
			continue;
		}
		watch->wanted = false;
		watch->asking = true;
		watch->nr_asked++;
		asked = now_ms();
		pthread_mutex_unlock(&watch->mutex);
		r = ask(watch, &err);
		pthread_mutex_lock(&watch->mutex);
		note_answer(watch, asked, r, &err);
		if (r && r != -ESTALE && !watch->stop)
			wait_ms(watch, &watch->wake, RETRY_MS);
	}
	pthread_mutex_unlock(&watch->mutex);
	return NULL;
}

/* --- who asks us ------------------------------------------------------------------------- */

static void want(struct hold_watch *watch)
{
	watch->wanted = true;
	pthread_cond_signal(&watch->wake);
}

/* Waits for the answer to question number `nr` or a later one. */
static bool wait_for_answer(struct hold_watch *watch, uint64_t nr, char *why, size_t room)
{
	uint64_t began = now_ms();

	while (!watch->changed && watch->nr_answered < nr) {
		if (now_ms() - began >= hold_watch_give_up_ms) {
			snprintf(why, room, "cannot be looked up in LVM's metadata for %u s: %s",
				 hold_watch_give_up_ms / 1000, watch->failure.kind ?
				 watch->failure.text : "lvm does not answer");
			return false;
		}
		if (lvm_cancel_late.wanted(NULL)) {
			snprintf(why, room, "could not be looked up in LVM's metadata any more when "
				 "the end was asked for");
			return false;
		}
		if (!watch->asking || watch->nr_asked < nr)
			want(watch);
		wait_ms(watch, &watch->news, RETRY_MS);
	}
	if (watch->changed)
		snprintf(why, room, "%s", watch->change.text);
	return !watch->changed;
}

static uint64_t age_allowed(const struct hold_watch *watch)
{
	uint64_t age = watch->cost_ms * SHARE;

	return age > AGE_MS ? age : AGE_MS;
}

/* With the group locked nothing changes, unless somebody took the lock's file away. */
static bool lock_unchanged(const struct lvm_hold *hold, char *why, size_t room)
{
	if (vg_lock_holds(hold->vg_lock_fd, hold->locking_directory, hold->mirror.vg->name))
		return true;
	snprintf(why, room, "belongs to a volume group whose lock was taken away (%s/V_%s)",
		 hold->locking_directory, hold->mirror.vg->name);
	return false;
}

static bool unchanged_since(struct lvm_hold *hold, bool now, char *why, size_t room)
{
	struct hold_watch *watch = hold->watch;
	uint64_t age, nr;
	bool same;

	if (!watch)
		return lock_unchanged(hold, why, room);
	pthread_mutex_lock(&watch->mutex);
	age = now_ms() - watch->asked_ms;
	nr = now ? watch->nr_asked + 1 :
	     age > age_allowed(watch) ? watch->nr_answered + 1 : watch->nr_answered;
	if (age > age_allowed(watch) / 2 && !watch->asking)
		want(watch);
	same = wait_for_answer(watch, nr, why, room);
	pthread_mutex_unlock(&watch->mutex);
	return same;
}

bool lvm_hold_unchanged(struct lvm_hold *hold, char *why, size_t room)
{
	return unchanged_since(hold, false, why, room);
}

bool lvm_hold_unchanged_now(struct lvm_hold *hold, char *why, size_t room)
{
	return unchanged_since(hold, true, why, room);
}

/* --- beginning and end --------------------------------------------------------------------- */

/* The thread takes no signal: they are for whoever waits for them. */
static int thread_start(struct hold_watch *watch)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&watch->thread, NULL, watch_main, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return code;
}

int hold_watch_start(struct lvm_hold *hold, struct error *err)
{
	struct hold_watch *watch = calloc(1, sizeof(*watch));
	pthread_condattr_t monotonic;
	int code;

	if (!watch)
		return error_operation(err, ENOMEM, "not enough memory to watch the mirror");
	watch->hold = hold;
	watch->seqno = hold->mirror.vg->seqno;
	watch->asked_ms = now_ms();
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&watch->mutex, NULL);
	pthread_cond_init(&watch->wake, &monotonic);
	pthread_cond_init(&watch->news, &monotonic);
	pthread_condattr_destroy(&monotonic);
	code = thread_start(watch);
	if (code) {
		free(watch);
		return error_operation(err, code, "cannot watch the mirror: %s", error_reason(code));
	}
	hold->watch = watch;
	return 0;
}

void hold_watch_stop(struct lvm_hold *hold)
{
	struct hold_watch *watch = hold->watch;

	if (!watch)
		return;
	pthread_mutex_lock(&watch->mutex);
	watch->stop = true;
	pthread_cond_signal(&watch->wake);
	pthread_mutex_unlock(&watch->mutex);
	pthread_join(watch->thread, NULL);
	pthread_cond_destroy(&watch->wake);
	pthread_cond_destroy(&watch->news);
	pthread_mutex_destroy(&watch->mutex);
	free(watch);
	hold->watch = NULL;
}
