/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/resync_job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/places.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "io/identify.h"
#include "io/system_log.h"
#include "io/text_file.h"

int resync_job_close(struct resync_job *job)
{
	bool hung = job->hung || job->comparison.result.hung || job->recorded.hung ||
		    job->preview.hung || job->result.hung || job->salvage.hung;

	if (!hung) {
		bitmap_free(&job->work);
		resync_result_free(&job->preview);
		resync_result_free(&job->result);
		salvage_result_free(&job->salvage);
	}
	resync_plan_free(&job->plan);
	comparison_free(&job->comparison);
	resync_files_close(&job->files);
	leg_ends_free(&job->ends);
	free(job->area_before);
	free(job->journal);
	free(job->place_warning);
	free(job->identity);
	return session_close(&job->session, hung);
}

static int no_memory(const struct resync_job *job, struct error *err)
{
	return error_operation(err, ENOMEM, "%s: not enough memory for %" PRIu64 " regions; nothing was changed",
			       job->session.opened.mirror.name,
			       job->session.opened.mirror.geometry.nr_regions);
}

/* --- is it one that can be synchronised? ------------------------------------------ */

static int check_legs(const struct resync_job *job, struct error *err)
{
	const struct mirror *mirror = &job->session.opened.mirror;

	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++)
		if (mirror->legs[leg].missing)
			return error_operation(err, ENODEV, "leg %u of %s is missing, and a bit says that all legs are equal: give it, or a table without it; nothing was changed",
					       leg, mirror->name);
	if (job->words->source_given && job->words->source >= mirror->nr_legs)
		return error_usage(err, "--source %llu: %s has legs 0 to %u", job->words->source,
				   mirror->name, mirror->nr_legs - 1);
	return 0;
}

/* A file system where the log should be is worth more than a log. */
static int check_signature(const struct resync_job *job, struct error *err)
{
	const struct finding_list *findings = &job->session.findings;

	if (mirror_log_header_accepted(&job->session.log.header))
		return 0;
	for (size_t i = 0; i < findings->nr; i++)
		if (findings->items[i].id == FINDING_LOG_SIGNATURE)
			return error_operation(err, EEXIST, "%s, and no log: check path and offset; wipefs it if it shall become the log; nothing was changed",
					       findings->items[i].detail);
	return 0;
}

/* What it will write beside the mirror. */
static int check_files(const struct resync_job *job, struct error *err)
{
	const struct resync_words *words = job->words;
	const struct {
		const char *option, *path;
	} files[] = {
		{ "--save-divergent", words->save_divergent },
		{ "--write-plan", words->write_plan },
		{ "--undo-file", words->undo_file },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && !r; i++)
		r = places_check_file(files[i].option, files[i].path, &words->write,
				      &job->session.opened, err);
	return r;
}

int resync_job_check(struct resync_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	const struct mirror_log *log = &job->session.log;
	int r = session_check_legs(&job->session, "resync copies", err);

	if (r)
		return r;
	if (opened->mirror.activity != MIRROR_INACTIVE)		/* opened for reading only */
		return error_operation(err, EBUSY, "%s is active: deactivate it first, or let mirrorctl repair-log --online repair it while it runs; nothing was changed",
				       opened->mirror.name);
	r = session_check_log(&job->session, "activating it synchronises everything", err);
	if (r)
		return r;
	if (log->defects & (LOG_TOO_SMALL | LOG_HEADER_TRUNCATED))
		return error_operation(err, ENOSPC, "%s is too small for the bits of %" PRIu64 " regions: the kernel refuses such a table; take a larger one",
				       opened->log->name, log->nr_regions);
	r = check_files(job, err);
	if (!r)
		r = session_check_count(&job->session, err);
	if (!r)
		r = check_legs(job, err);
	if (!r)
		r = check_signature(job, err);
	return r;
}

/* --- which regions, from where ----------------------------------------------------- */

static int read_plan(struct resync_job *job, struct error *err)
{
	const struct mirror *mirror = &job->session.opened.mirror;
	const char *path = job->words->plan;
	size_t nr_bytes;
	char *text;
	int r = text_file_read(&text, &nr_bytes, path, RESYNC_PLAN_BYTES_MAX);

	if (r == -EINVAL)
		return error_usage(err, "--plan %s: is not a file: name one that --write-plan has written",
				   path);
	if (r == -EFBIG)
		return error_usage(err, "--plan %s: is larger than a plan can be", path);
	if (r)
		return error_operation(err, -r, "--plan %s: cannot be read: %s", path,
				       error_reason(r));
	r = resync_plan_parse(&job->plan, path, text, nr_bytes, mirror->geometry.nr_regions,
			      mirror->nr_legs, err);
	free(text);
	return r;
}

/* A weak identity is made of contents, which the very run that the plan is for changes: of
 * it the geometry alone can be compared. */
static bool is_planned_for(const struct identity *plan, const struct identity *now, char *why,
			   size_t room)
{
	if (strcmp(plan->kind, "weak") && strcmp(now->kind, "weak"))
		return identity_matches(plan, now, why, room);
	snprintf(why, room, "it has another length, region size or number of legs");
	return plan->length == now->length && plan->region_size == now->region_size &&
	       plan->nr_legs == now->nr_legs;
}

/* A plan belongs to the mirror that it was written for. */
static int check_plan(struct resync_job *job, struct error *err)
{
	struct identity identity;
	char why[256];
	int r;

	if (!job->plan.has_identity)
		return 0;
	r = mirror_identify(&identity, &job->session.opened, job->session.engine, err);
	job->hung = job->hung || r == -ETIMEDOUT;
	if (!r && !is_planned_for(&job->plan.identity, &identity, why, sizeof(why)))
		r = error_operation(err, ESTALE, "--plan %.150s is for another mirror, or this one has changed since: %s; write a new one; nothing was changed",
				    job->words->plan, why);
	return r;
}

/* How much of the work the plan skips. */
static uint64_t count_skipped(const struct resync_job *job)
{
	uint64_t nr_regions = job->session.opened.mirror.geometry.nr_regions, last, skipped = 0;

	for (uint64_t region = 0; region < nr_regions; region = last + 1)
		if (resync_plan_source(&job->plan, region, nr_regions, &last) == RESYNC_SKIP)
			skipped += bitmap_count_run(&job->work, region, last);
	return skipped;
}

int resync_job_select(struct resync_job *job, struct error *err)
{
	uint64_t nr_regions = job->session.opened.mirror.geometry.nr_regions, first, last, from = 0;
	const struct mirror_log *log = &job->session.log;
	uint32_t count = (uint32_t)log->header.nr_regions;
	int r = 0;

	resync_plan_init(&job->plan, (unsigned int)job->words->source);
	if (bitmap_alloc(&job->work, nr_regions))
		return no_memory(job, err);
	bitmap_set_run(&job->work, 0, nr_regions - 1);
	job->nr_not_clean = nr_regions - log->clean;
	while (!job->words->verify && bitmap_next_run(&log->clean_bits, true, from, &first, &last)) {
		bitmap_clear_run(&job->work, first, last);
		from = last + 1;
	}
	job->header_bad = !mirror_log_header_accepted(&log->header) || count < nr_regions;
	if (job->words->plan)
		r = read_plan(job, err);
	if (!r && job->words->plan)
		r = check_plan(job, err);
	if (r)
		return r;
	job->nr_skipped = count_skipped(job);
	job->nr_work = bitmap_count(&job->work) - job->nr_skipped;
	if (!job->nr_work)
		return 0;
	job->state = RESYNC_PLANNED;
	/* The log as it was goes into the journal. */
	return job->words->write_plan ? 0 :
	       places_check_journal(&job->words->write, &job->session.opened,
				    job->session.area.nr_bytes, err);
}

/* --- looking first ------------------------------------------------------------------ */

/* Three legs or more can outvote leg 0, which must be told before it is copied. */
static bool must_preview(const struct resync_job *job)
{
	const struct resync_words *words = job->words;

	return words->write.dry_run ||
	       (job->session.opened.mirror.nr_legs > 2 && !words->source_given && !words->plan);
}

static int compare(struct resync_job *job, struct error *err)
{
	int r;

	job->comparison = (struct comparison){ .selected = &job->work,
					       .rate_bytes = job->words->rate_bytes };
	r = comparison_run(&job->comparison, &job->session, &job->words->report, err);
	if (r)
		return r;
	job->compared = true;
	comparison_add_findings(&job->comparison, &job->session);
	if (job->comparison.result.end != AUDIT_COMPLETE)
		job->state = RESYNC_NOT_BEGUN;
	return 0;
}

static int put_line(void *context, const char *line)
{
	return fprintf(context, "%s\n", line) < 0 ? -EIO : 0;
}

static int identify(struct resync_job *job, struct error *err)
{
	struct identity identity;
	int r;

	if (job->identity)
		return 0;
	r = mirror_identify(&identity, &job->session.opened, job->session.engine, err);
	job->hung = job->hung || r == -ETIMEDOUT;
	job->weak = !r && !strcmp(identity.kind, "weak");
	if (!r && mirror_identity_json(&job->identity, &identity, &job->session.opened))
		r = no_memory(job, err);
	return r;
}

int resync_job_write_plan(struct resync_job *job, struct error *err)
{
	const char *path = job->words->write_plan;
	const struct mirror *mirror = &job->session.opened.mirror;
	FILE *file;
	int fd, r = identify(job, err);

	if (r)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file) {
		r = -errno;
	} else {
		r = resync_plan_write(put_line, file, job->identity, &job->work,
				      job->compared ? &job->comparison.result : NULL, &mirror->geometry, mirror->nr_legs,
				      (unsigned int)job->words->source);
		if (fclose(file) && !r)
			r = -errno;
		if (r)
			unlink(path);
	}
	if (!r)
		return 0;
	return error_operation(err, -r, "--write-plan %s: cannot be written: %s; give the name of a new file",
			       path, error_reason(r));
}

/* --- doing it ---------------------------------------------------------------------- */

struct run {
	struct resync_job *job;
	struct progress progress;
};

static bool hook_poll(void *context, const struct resync_progress *at)
{
	struct run *run = context;
	struct audit_progress shown = {
		.done_sectors = at->done_sectors, .total_sectors = at->total_sectors,
		.bytes_per_leg = at->bytes_per_leg,
	};

	progress_show(&run->progress, &shown, signals_status_wanted());
	return signals_stop_wanted();
}

static bool hook_unchanged(void *context)
{
	struct run *run = context;

	return session_unchanged(&run->job->session, false, run->job->change,
				 sizeof(run->job->change));
}

static int poll_saving(void *context, uint64_t regions_done)
{
	(void)context;
	(void)regions_done;
	return signals_stop_wanted() ? -ECANCELED : 0;
}

/* Everything that differs, of every leg, before the first byte is overwritten. */
static int save_divergent(struct resync_job *job, struct error *err)
{
	const char *path = job->words->save_divergent;
	const struct opened_mirror *opened = &job->session.opened;
	struct repair_record record = {
		.regions = &job->work, .current = job->session.area.bytes,
		.edited = job->session.area.bytes, .area_bytes = job->session.area.nr_bytes,
		.engine = job->session.engine, .poll = poll_saving,
	};
	struct repair_files files = { 0 };
	char *warning = NULL;
	int r;

	if (!path)
		return 0;
	r = identify(job, err);
	record.identity = job->identity;
	if (!r)
		r = repair_files_check(NULL, path, opened, &warning, err);
	if (!r)
		r = repair_files_create(&files, NULL, path, 1, opened->mirror.name, err);
	if (!r)
		r = repair_files_write(&files, &job->recorded, &record, opened, err);
	if (r)
		repair_files_discard(&files);
	repair_files_close(&files);
	free(warning);
	return r;
}

static void describe(const struct resync_job *job, struct resync_input *input,
		     struct resync_options *options)
{
	const struct session *session = &job->session;

	*input = (struct resync_input){
		.engine = session->engine, .nr_legs = session->opened.mirror.nr_legs,
		.log = &session->opened.log->block, .geometry = session->opened.mirror.geometry,
		.area = session->area.bytes, .area_bytes = session->area.nr_bytes,
		.plan = &job->plan,
	};
	mirror_leg_devices(&session->opened, input->legs);
	*options = (struct resync_options){
		.verify = job->words->verify, .copy_all = job->words->copy_all,
		.readback = job->words->readback, .rate_bytes = job->words->rate_bytes,
		.max_runs = job->words->report.max_runs ? job->words->report.max_runs :
							  MAX_RUNS_DEFAULT,
	};
}

/* The same run with nothing written, on a copy of the log. */
static int preview(struct resync_job *job, struct error *err)
{
	const struct log_area *area = &job->session.area;
	struct run run = { .job = job };
	struct resync_hooks hooks = {
		.context = &run, .now_ns = clock_hook_now, .sleep_ms = clock_hook_sleep,
		.poll = hook_poll, .unchanged = hook_unchanged,
	};
	struct resync_options options;
	struct resync_input input;
	void *log = malloc(area->nr_bytes);
	int r;

	if (!log)
		return no_memory(job, err);
	memcpy(log, area->bytes, area->nr_bytes);
	describe(job, &input, &options);
	input.area = log;
	options.dry_run = true;
	progress_start(&run.progress, &job->words->report);
	r = resync_run(&job->preview, &input, &options, &hooks, err);
	progress_end(&run.progress);
	job->preview_ns = clock_now_ns() - run.progress.started_ns;
	if (!job->preview.hung)
		free(log);
	if (r)
		return r;
	job->previewed = true;
	if (job->preview.end != RESYNC_COMPLETE)
		job->state = RESYNC_NOT_BEGUN;
	return 0;
}

int resync_job_compare(struct resync_job *job, struct error *err)
{
	struct error why = { 0 };
	int r = 0;

	if (job->state != RESYNC_PLANNED)
		return 0;
	if (job->words->write_plan)
		return compare(job, err);
	if (must_preview(job))
		r = preview(job, err);
	if (r || !job->words->undo_file || job->state != RESYNC_PLANNED)
		return r;
	/* Where not all regions would find room, only those that differ may. */
	r = resync_undo_check_space(job, job->previewed ? err : &why);
	if ((r != -ENOSPC && r != -EFBIG) || job->previewed)
		return r ? error_operation(err, -r, "%s", why.text) : 0;
	r = preview(job, err);
	return r || job->state != RESYNC_PLANNED ? r : resync_undo_check_space(job, err);
}

static void log_action(const struct resync_job *job)
{
	const char *undo = job->journal ? job->words->undo_file : NULL;

	system_log_action("resync offline", "made %" PRIu64 " regions of %s clean, source leg %llu%s; journal %s%s%s",
			  job->result.regions_copied + job->result.regions_equal,
			  job->session.opened.mirror.name, job->words->source,
			  job->words->plan ? " or as planned" : "",
			  job->journal ? job->journal : "none, as nothing was written",
			  undo ? "; undo file " : "", undo ? undo : "");
}

static int hook_keep(void *context, unsigned int leg, uint64_t sector, uint32_t sectors,
		     const void *old, const void *new)
{
	struct run *run = context;

	return resync_files_keep(&run->job->files, leg, sector, sectors, old, new);
}

static int hook_kept(void *context)
{
	struct run *run = context;

	return resync_files_kept(&run->job->files);
}

static bool poll_salvage(void *context, uint64_t done_sectors, uint64_t total_sectors)
{
	(void)context;
	(void)done_sectors;
	(void)total_sectors;
	return signals_stop_wanted();
}

/* What the source could not deliver, from another leg onto every leg. */
static int salvage(struct resync_job *job, struct run *run, const struct resync_input *copied,
		   struct error *err)
{
	struct salvage_hooks hooks = {
		.context = run, .poll = poll_salvage, .unchanged = hook_unchanged,
		.keep = job->words->undo_file ? hook_keep : NULL,
		.kept = job->words->undo_file ? hook_kept : NULL,
	};
	struct salvage_input input = {
		.engine = copied->engine, .nr_legs = copied->nr_legs,
		.geometry = copied->geometry, .area = copied->area,
		.area_bytes = copied->area_bytes, .plan = copied->plan,
		.unreadable = &job->result.unreadable, .max_runs = MAX_RUNS_DEFAULT,
	};

	memcpy(input.legs, copied->legs, sizeof(input.legs));
	job->salvaged = true;
	return salvage_run(&job->salvage, &input, &hooks, err);
}

/* The second pass goes on where the first has ended: what both did counts. */
static void add_first_pass(struct resync_result *result, const struct resync_result *first)
{
	result->regions_work += first->regions_copied + first->regions_equal;
	result->regions_copied += first->regions_copied;
	result->regions_rewritten += first->regions_rewritten;
	result->regions_equal += first->regions_equal;
	result->regions_lied += first->regions_lied;
	result->log_writes += first->log_writes;
	result->bits_cleared += first->bits_cleared;
	result->hole_bytes += first->hole_bytes;
	piece_list_merge(&result->written, &first->written);
	result->header_made_good = result->header_made_good || first->header_made_good;
	result->kept_sectors += first->kept_sectors;
	result->lost_sectors += first->lost_sectors;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		result->read_bytes[leg] += first->read_bytes[leg];
		result->written_bytes[leg] += first->written_bytes[leg];
		result->rewritten_bytes[leg] += first->rewritten_bytes[leg];
		result->equal_bytes[leg] += first->equal_bytes[leg];
		if (!result->leg_error[leg])
			result->leg_error[leg] = first->leg_error[leg];
	}
}

static bool wants_second_pass(const struct resync_job *job)
{
	return job->words->accept_salvaged && salvage_can_be_proven(&job->salvage, &job->result);
}

/* Every pass in turn. */
static int copy(struct resync_job *job, struct run *run, const struct resync_input *input,
		const struct resync_options *options, const struct resync_hooks *hooks,
		struct error *err)
{
	struct resync_result first;
	int r = resync_run(&job->result, input, options, hooks, err);

	if (r || !job->words->salvage || job->result.end != RESYNC_COMPLETE ||
	    !job->result.unreadable.nr)
		return r;
	r = salvage(job, run, input, err);
	if (r || !wants_second_pass(job))
		return r;
	first = job->result;
	r = resync_run(&job->result, input, options, hooks, err);
	add_first_pass(&job->result, &first);
	resync_result_free(&first);
	return r;
}

static int run_and_time(struct resync_job *job, struct error *err)
{
	struct run run = { .job = job };
	struct resync_hooks hooks = {
		.context = &run, .now_ns = clock_hook_now, .sleep_ms = clock_hook_sleep,
		.poll = hook_poll, .unchanged = hook_unchanged,
		.keep = job->words->undo_file ? hook_keep : NULL,
		.kept = job->words->undo_file ? hook_kept : NULL,
	};
	struct resync_options options;
	struct resync_input input;
	int r;

	describe(job, &input, &options);
	progress_start(&run.progress, &job->words->report);
	r = copy(job, &run, &input, &options, &hooks, err);
	progress_end(&run.progress);
	job->elapsed_ns = clock_now_ns() - run.progress.started_ns;
	return r;
}

/* Whose log is it that says so now? */
static void look_again(struct resync_job *job)
{
	if (job->state != RESYNC_DONE || job->result.hung)
		return;
	if (job->result.end != RESYNC_CHANGED &&
	    !session_unchanged(&job->session, true, job->change, sizeof(job->change)))
		job->result.end = RESYNC_CHANGED;
	if (job->result.end == RESYNC_CHANGED)
		session_tell_change(&job->session, job->change);
}

int resync_job_apply(struct resync_job *job, struct error *err)
{
	int r = save_divergent(job, err);

	if (!r)
		r = identify(job, err);
	if (!r)
		r = resync_undo_begin(job, err);
	if (r)
		return r;
	r = session_check_unchanged(&job->session, err);
	if (r) {
		resync_undo_discard(job);
		return r;
	}
	r = run_and_time(job, err);
	if (!r)
		job->state = RESYNC_DONE;
	look_again(job);
	resync_undo_end(job);
	log_action(job);
	return r;
}
