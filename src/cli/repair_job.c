/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/repair_job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/places.h"
#include "cli/signals.h"
#include "core/audit_file.h"
#include "io/identify.h"
#include "io/new_image.h"
#include "io/state.h"
#include "io/text_file.h"

#define JOURNAL_BYTES_MIN 4096u

int repair_job_close(struct repair_job *job)
{
	bool hung = job->hung || job->comparison.result.hung || job->recorded.hung ||
		    job->rounds.hung;

	if (!hung) {
		bitmap_free(&job->selected);
		bitmap_free(&job->lies);
		bitmap_free(&job->done);
		repair_plan_free(&job->plan);
		free(job->edited);
	}
	online_rounds_free(&job->rounds);
	comparison_free(&job->comparison);
	free(job->identity);
	free(job->journal);
	free(job->place_warning);
	return session_close(&job->session, hung);
}

static int no_memory(const struct repair_job *job, struct error *err)
{
	return error_operation(err, ENOMEM, "%s: not enough memory for a repair of %" PRIu64
			       " regions", job->session.opened.mirror.name,
			       job->session.opened.mirror.geometry.nr_regions);
}

/* --- is it one that can be repaired? ---------------------------------------- */

static int check_activity(const struct repair_job *job, struct error *err)
{
	const struct mirror *mirror = &job->session.opened.mirror;
	const struct repair_words *words = job->words;

	if (words->online && mirror->activity == MIRROR_INACTIVE)
		return error_usage(err, "--online repairs a mirror that runs, and %s is not active: "
				   "leave it out", mirror->name);
	if (words->output && mirror->activity != MIRROR_INACTIVE)
		return error_operation(err, EBUSY, "%s is active and its log changes all the time: "
				       "deactivate it first for -o, or use --online", mirror->name);
	return 0;
}

/* What it will write beside the log. */
static int check_places(const struct repair_job *job, struct error *err)
{
	const struct opened_mirror *opened = &job->session.opened;
	const struct repair_words *words = job->words;
	int r = places_check_file("--output", words->output, &words->write, opened, err);

	if (!r)
		r = places_check_file("--save-divergent", words->save_divergent, &words->write,
				      opened, err);
	if (!r && !words->output)
		r = places_check_journal(&words->write, opened, JOURNAL_BYTES_MIN, err);
	return r;
}

int repair_job_check(const struct repair_job *job, struct error *err)
{
	int r = session_check_legs(&job->session, "repair-log compares", err);

	if (!r)
		r = session_check_log(&job->session, "there are no bits on disk to repair; deactivating and activating it synchronises everything",
				      err);
	if (!r)
		r = check_activity(job, err);
	if (!r)
		r = check_places(job, err);
	return r ? r : session_check_count(&job->session, err);
}

/* --- which regions ----------------------------------------------------------- */

static int read_text(char **text, size_t *nr_bytes, const char *path, struct error *err)
{
	int r = text_file_read(text, nr_bytes, path, AUDIT_FILE_BYTES_MAX);

	return r ? error_operation(err, -r, "--from %s: cannot be read: %s; give a report of mirrorctl audit --json",
				   path, r == -EINVAL ? "not a regular file" : error_reason(r)) : 0;
}

/* The regions that a report names, if it is a report about this very mirror. */
static int select_from_report(struct repair_job *job, struct error *err)
{
	struct session *session = &job->session;
	const char *path = job->words->from;
	struct audit_file file = { 0 };
	struct identity identity;
	struct error why_not = { 0 };
	char *text = NULL, why[256];
	size_t nr_bytes = 0;
	int r;

	r = read_text(&text, &nr_bytes, path, err);
	if (!r) {
		r = audit_file_parse(&file, text, nr_bytes,
				     session->opened.mirror.geometry.nr_regions, &why_not);
		if (r)
			error_operation(err, -r, "--from %.200s: %s", path, why_not.text);
	}
	free(text);
	if (!r)
		r = mirror_identify(&identity, &session->opened, session->engine, err);
	job->hung = job->hung || r == -ETIMEDOUT;
	if (!r && !identity_matches(&file.identity, &identity, why, sizeof(why)))
		r = error_operation(err, ESTALE, "--from %.150s is about another mirror, or this one has changed since: %s; audit again; nothing was changed",
				    path, why);
	if (!r) {
		job->selected = file.regions;
		job->from_cut = file.truncated;
		memset(&file.regions, 0, sizeof(file.regions));
		snprintf(job->scope, sizeof(job->scope), "%" PRIu64 " regions that %.100s names%s",
			 file.nr_regions, path, file.truncated ? ", which was cut short" : "");
	}
	audit_file_free(&file);
	return r;
}

/* Leaves of `set` what the list names. */
static void keep_listed(struct bitmap *set, const struct region_list *list)
{
	uint64_t next = 0;

	for (size_t i = 0; i < list->nr_runs; i++) {
		if (list->runs[i].first > next)
			bitmap_clear_run(set, next, list->runs[i].first - 1);
		next = list->runs[i].last + 1;
	}
	if (next < set->nr_bits)
		bitmap_clear_run(set, next, set->nr_bits - 1);
}

static int limit_to_list(struct repair_job *job, struct error *err)
{
	struct region_list list;
	int r = region_list_parse(&list, job->words->regions,
				  job->session.opened.mirror.geometry.nr_regions, err);

	if (r)
		return r;
	keep_listed(&job->selected, &list);
	region_list_free(&list);
	if (!job->words->from)
		snprintf(job->scope, sizeof(job->scope), "regions %.120s", job->words->regions);
	return 0;
}

int repair_job_select(struct repair_job *job, struct error *err)
{
	uint64_t nr_regions = job->session.opened.mirror.geometry.nr_regions, first, last, from = 0;
	const struct bitmap *clean = &job->session.log.clean_bits;
	int r = 0;

	job->complete = !job->words->from && !job->words->regions;
	snprintf(job->scope, sizeof(job->scope), "regions that the log calls clean");
	if (job->words->from)
		r = select_from_report(job, err);
	else if (bitmap_alloc(&job->selected, nr_regions))
		r = no_memory(job, err);
	else
		bitmap_set_run(&job->selected, 0, nr_regions - 1);
	if (!r && job->words->regions)
		r = limit_to_list(job, err);
	/* Only what the log calls clean can be cleared. */
	while (!r && bitmap_next_run(clean, false, from, &first, &last) && first < nr_regions) {
		bitmap_clear_run(&job->selected, first, last < nr_regions ? last : nr_regions - 1);
		from = last + 1;
	}
	if (!r && clean->nr_bits < nr_regions)
		bitmap_clear_run(&job->selected, clean->nr_bits, nr_regions - 1);
	return r;
}

int repair_job_compare(struct repair_job *job, struct error *err)
{
	uint64_t nr_regions = job->session.opened.mirror.geometry.nr_regions;
	int r;

	if (bitmap_alloc(&job->lies, nr_regions))
		return no_memory(job, err);
	job->comparison = (struct comparison){ .selected = &job->selected, .lies = &job->lies,
					       .rate_bytes = job->words->rate_bytes };
	if (job->words->clear_regardless) {
		memcpy(job->lies.words, job->selected.words, bitmap_bytes(nr_regions));
		return 0;
	}
	r = comparison_run(&job->comparison, &job->session, &job->words->report, err);
	if (r)
		return r;
	job->compared = true;
	comparison_add_findings(&job->comparison, &job->session);
	if (job->comparison.result.end != AUDIT_COMPLETE)
		job->state = REPAIR_UNFINISHED;
	return 0;
}

/* --- the plan ---------------------------------------------------------------- */

bool repair_job_is_nosync(const struct repair_job *job)
{
	return job->session.opened.mirror.sync == MIRROR_SYNC_NOSYNC ||
	       (job->session.log.defects & LOG_PADDING_ONES);
}

int repair_job_plan(struct repair_job *job, struct error *err)
{
	const struct log_area *area = &job->session.area;

	if (repair_plan_make(&job->plan, &job->session.log, &job->session.opened.mirror.geometry,
			     &job->lies, job->session.opened.log->block.block_sectors))
		return no_memory(job, err);
	if (!job->plan.nr_clear)
		return 0;
	job->edited = repair_plan_edited(&job->plan, job->session.engine, area->bytes,
					 area->nr_bytes);
	if (!job->edited)
		return no_memory(job, err);
	job->state = REPAIR_PLANNED;
	return 0;
}

/* --- writing down, and doing it ------------------------------------------------ */

int repair_job_identify(struct repair_job *job, struct error *err)
{
	struct identity identity;
	int r = mirror_identify(&identity, &job->session.opened, job->session.engine, err);

	job->hung = job->hung || r == -ETIMEDOUT;
	if (!r && mirror_identity_json(&job->identity, &identity, &job->session.opened))
		r = no_memory(job, err);
	return r;
}

void repair_job_log_action(const struct repair_job *job, uint64_t bits, bool done,
			   const char *journal)
{
	system_log_action("repair-log", "%s %" PRIu64 " clean bits of %s%s; undo journal %s",
			  done ? "cleared" : "set out to clear", bits,
			  job->session.opened.mirror.name,
			  done ? "" : " and failed: any of them may be cleared",
			  journal ? journal : "none");
}

/* What is being written down protects nothing yet. */
static int poll_stop(void *context, uint64_t regions_done)
{
	(void)context;
	(void)regions_done;
	return signals_stop_wanted() ? -ECANCELED : 0;
}

static int write_down(struct repair_job *job, struct repair_files *files, struct error *err)
{
	const struct repair_record record = {
		.identity = job->identity, .regions = &job->plan.clear,
		.current = job->session.area.bytes, .edited = job->edited,
		.area_bytes = job->session.area.nr_bytes,
		.block_sectors = job->plan.block_sectors, .engine = job->session.engine,
		.poll = poll_stop,
	};

	return repair_files_write(files, &job->recorded, &record, &job->session.opened, err);
}

/* Files beside the mirror: none of them may lie on it. */
static int create_files(struct repair_job *job, struct repair_files *files, struct error *err)
{
	const struct repair_words *words = job->words;
	const struct opened_mirror *opened = &job->session.opened;
	char *directory = NULL;
	int r = 0;

	if (words->output)
		r = state_check_place(words->output, opened, &job->place_warning, err);
	else
		r = state_directory(&directory, words->write.state_dir, err);
	if (!r)
		r = repair_files_check(directory, words->save_divergent, opened,
				       &job->place_warning, err);
	if (!r)
		r = repair_files_create(files, directory, words->save_divergent, 1,
					opened->mirror.name, err);
	free(directory);
	return r;
}

/* From here on the plan is what was done. */
static void note_done(struct repair_job *job, enum repair_state state)
{
	job->state = state;
	job->cleared = job->plan.nr_clear;
	job->done = job->plan.clear;
	job->done.owned = false;
}

static int clear_bits(struct repair_job *job, struct repair_files *files, struct error *err)
{
	struct error why = { 0 };
	int r;

	r = repair_apply(&job->plan, job->session.engine, &job->session.opened.log->block,
			 job->session.area.bytes, job->edited, &job->step, &why);
	job->hung = job->hung || r == -ECANCELED;
	if (r && job->step == REPAIR_NOT_BEGUN)
		return error_operation(err, -r, "%.400s; nothing was changed", why.text);
	repair_job_log_action(job, job->plan.nr_clear, !r, job->journal);
	if (r)
		return error_operation(err, -r, "%.250s; some bits may be cleared, which is safe; to put the log back: mirrorctl undo %.150s",
				       why.text, job->journal);
	note_done(job, REPAIR_CLEARED);
	/* The bits are cleared and stay so; that this is not noted costs nothing. */
	job->outcome_lost = repair_files_note_cleared(files, &job->done, NULL) != 0;
	session_look_again(&job->session);
	return 0;
}

/* -o: the area as it would be, in a file of its own. */
static int write_copy(struct repair_job *job, struct error *err)
{
	uint64_t sectors = job->session.area.nr_bytes / SECTOR_BYTES;
	struct new_image image;
	struct error why = { 0 };
	int r = new_image_create(&image, job->words->output, sectors, &why);

	if (!r)
		r = new_image_write(&image, 0, job->edited, sectors, &why);
	if (!r)
		r = new_image_sync(&image, &why);
	if (!r)
		new_image_keep(&image);
	new_image_close(&image);
	if (r)
		return error_operation(err, -r, "-o %.450s; nothing was changed", why.text);
	note_done(job, REPAIR_COPIED);
	return 0;
}

int repair_job_apply(struct repair_job *job, struct error *err)
{
	struct repair_files files = { 0 };
	int r;

	r = repair_job_identify(job, err);
	if (!r)
		r = create_files(job, &files, err);
	if (!r && files.journal.path && !(job->journal = strdup(files.journal.path)))
		r = no_memory(job, err);
	if (!r)
		r = write_down(job, &files, err);
	if (!r)
		r = session_check_unchanged(&job->session, err);
	if (!r)
		r = job->words->output ? write_copy(job, err) : clear_bits(job, &files, err);
	/* A journal whose bits were never touched protects nothing. */
	if (job->step == REPAIR_NOT_BEGUN) {
		journal_file_discard(&files.journal);
		free(job->journal);
		job->journal = NULL;
	}
	if (r && job->step == REPAIR_NOT_BEGUN)
		journal_file_discard(&files.saved);
	repair_files_close(&files);
	return r;
}
