/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "core/region.h"
#include "io/lvm_origin.h"

#define BUFFER_BYTES (512u * 1024)
#define ARENA_BYTES (24u * 1024 * 1024)
#define CHUNKS_MAX 16u
#define CHUNKS_MIN 4u
#define DEPTH 64u

/* Chunks in flight: as many as fit the arena, for any number of legs. */
static unsigned int chunks_for(unsigned int legs)
{
	unsigned int chunks = ARENA_BYTES / BUFFER_BYTES / (legs ? legs : 1);

	if (chunks > CHUNKS_MAX)
		chunks = CHUNKS_MAX;
	return chunks < CHUNKS_MIN ? CHUNKS_MIN : chunks;
}

/* Legs that are memory anyway (tmpfs): copying is all there is to do, threads do it
 * best, and a few chunks stay in the processor's cache. */
static bool legs_are_memory(const struct opened_mirror *opened)
{
	const char *why;

	for (unsigned int leg = 0; leg < opened->mirror.nr_legs; leg++)
		if (opened->legs[leg] && device_is_direct(opened->legs[leg], &why))
			return false;
	return opened->mirror.nr_legs > 0;
}

static int create_engine(struct session *session, const struct report_words *report,
			 struct error *err)
{
	unsigned int legs = session->opened.mirror.nr_legs;
	struct engine_params params = {
		.kind = report->engine, .depth = DEPTH, .buffer_bytes = BUFFER_BYTES,
		.nr_buffers = chunks_for(legs) * (legs ? legs : 1),
		.expected_bytes = legs ? session->opened.mirror.geometry.length * SECTOR_BYTES : 1,
	};
	int r;

	if (report->engine == ENGINE_AUTO && legs_are_memory(&session->opened)) {
		params.kind = ENGINE_THREADS;
		params.nr_buffers = CHUNKS_MIN * legs;
	}
	r = engine_create(&session->engine, &params, err);
	if (r)
		return r;
	session->engine->cancelled = signals_cancelled;
	return 0;
}

static void note_buffered(struct session *session, const struct device *device)
{
	const char *why = NULL;

	if (device && !device_is_direct(device, &why))
		finding_add(&session->findings, FINDING_BUFFERED_READS, "%s: %s", device->name,
			    why ? why : "");
}

/* A file system where the log should be, a physical volume given as a leg. */
static void note_signatures(struct session *session)
{
	const struct opened_mirror *opened = &session->opened;
	unsigned int nr_legs = opened->mirror.nr_legs;
	struct signature_wanted *contents = session->contents, *on_log = &contents[nr_legs];
	char text[160];

	for (unsigned int leg = 0; leg < nr_legs; leg++)
		contents[leg] = (struct signature_wanted){
			.device = opened->legs[leg], .length = opened->mirror.geometry.length };
	*on_log = (struct signature_wanted){ .device = opened->log };
	signature_probe(contents, nr_legs + 1);
	if (!on_log->result && on_log->signature.found)
		finding_add(&session->findings, FINDING_LOG_SIGNATURE, "%s holds %s",
			    opened->log->name,
			    signature_describe(text, sizeof(text), &on_log->signature));
	for (unsigned int leg = 0; leg < nr_legs; leg++)
		if (!contents[leg].result && !strcmp(contents[leg].signature.type, "LVM2_member"))
			finding_add(&session->findings, FINDING_LEG_SIGNATURE_PV, "%s",
				    opened->legs[leg]->name);
}

int session_read_log(struct session *session, struct error *err)
{
	const struct opened_mirror *opened = &session->opened;

	return log_area_renew(&session->area, &session->log, session->engine, &opened->log->block,
			      opened->mirror.geometry.nr_regions, err);
}

static int read_first_log(struct session *session, struct error *err)
{
	const struct opened_mirror *opened = &session->opened;
	int r;

	if (!opened->log)
		return 0;
	r = session_read_log(session, err);
	if (r)
		return r;
	session->has_log = true;
	finding_add_log_defects(&session->findings, &session->log, &opened->mirror.geometry);
	return 0;
}

int session_open(struct session *session, const struct mirror_words *mirror,
		 const struct report_words *report, struct error *err)
{
	struct mirror_sample sample;
	int r;

	memset(session, 0, sizeof(*session));
	r = mirror_discover(&session->opened, &mirror->operand, err);
	if (r)
		return r;
	r = create_engine(session, report, err);
	if (!r)
		r = read_first_log(session, err);
	if (r)
		return r;
	/* 1.5: the log first, the kernel's count after it. */
	mirror_sample(&session->opened, &sample);
	if (sample.status_known)
		session->opened.mirror.in_sync = sample.in_sync;
	finding_add_mirror(&session->findings, &session->opened.mirror,
			   session->has_log ? &session->log : NULL);
	if (!session->has_log && session->opened.mirror.log_kind == MIRROR_LOG_DISK)
		finding_add(&session->findings, FINDING_LOG_UNREAD, "%s is missing",
			    session->opened.mirror.log.device);
	for (size_t i = 0; i < session->opened.nr_notes; i++)
		finding_add(&session->findings, FINDING_NOTE, "%s", session->opened.notes[i]);
	note_signatures(session);
	note_buffered(session, session->opened.log);
	for (unsigned int leg = 0; leg < session->opened.mirror.nr_legs; leg++)
		note_buffered(session, session->opened.legs[leg]);
	return 0;
}

int session_check_legs(const struct session *session, const char *who, struct error *err)
{
	if (!session->opened.log_only)
		return 0;
	return error_usage(err, "%s legs: give --leg twice or more and --region-size beside --log", who);
}

int session_check_log(const struct session *session, const char *why_not, struct error *err)
{
	const struct mirror *mirror = &session->opened.mirror;

	if (session->has_log)
		return 0;
	if (mirror->log_kind == MIRROR_LOG_DISK)
		return error_operation(err, ENODEV, "the log of %s, %s, is missing: bring back the disk "
				       "that it is on; nothing was changed", mirror->name,
				       mirror->log.device);
	return error_operation(err, EOPNOTSUPP, "%s has a core log: %s", session->opened.mirror.name,
			       why_not);
}

int session_check_count(const struct session *session, struct error *err)
{
	const struct mirror_log *log = &session->log;
	uint32_t count = (uint32_t)log->header.nr_regions;

	if (!mirror_log_header_accepted(&log->header) || session->opened.length_given ||
	    count == log->nr_regions || count == UINT32_MAX)
		return 0;
	return error_usage(err, "the log counts %" PRIu32 " regions and the mirror would have %" PRIu64
			   ": check --region-size, and give --length or --table so that there is no "
			   "doubt; nothing was changed", count, log->nr_regions);
}

static int refuse_count(const struct mirror *mirror, struct error *err)
{
	if (mirror->log_kind == MIRROR_LOG_DISK)
		return error_operation(err, EOPNOTSUPP, "the log of %s, %s, is missing: nothing says "
				       "which regions should be equal; bring back the disk that it is "
				       "on, or compare the legs with another log: --leg and --log",
				       mirror->name, mirror->log.device);
	if (mirror->activity == MIRROR_INACTIVE)
		return error_operation(err, EOPNOTSUPP, "%s has a core log and is not active: nothing "
				       "says which regions should be equal, and the next activation "
				       "copies leg 0 over the others; activate it, wait until it is in "
				       "sync, then audit it", mirror->name);
	if (!mirror->status_known)
		return error_operation(err, EOPNOTSUPP, "%s has a core log, and its status cannot be read: "
				       "nothing says which regions should be equal (dmsetup status "
				       "shows more)", mirror->name);
	return error_operation(err, EOPNOTSUPP, "%s has a core log: the kernel counts %" PRIu64 " of %"
			       PRIu64 " regions as in sync and tells nobody which, so that no comparison "
			       "would prove anything; wait until all are (dmsetup status, lvs), then "
			       "audit it", mirror->name, mirror->in_sync, mirror->geometry.nr_regions);
}

int session_trust_count(struct session *session, struct error *err)
{
	const struct mirror *mirror = &session->opened.mirror;
	uint64_t nr_regions = mirror->geometry.nr_regions;

	if (mirror->activity == MIRROR_INACTIVE || !mirror->status_known ||
	    mirror->in_sync != nr_regions)
		return refuse_count(mirror, err);
	if (bitmap_alloc(&session->counted, nr_regions))
		return error_operation(err, ENOMEM, "not enough memory for %" PRIu64 " regions",
				       nr_regions);
	bitmap_set_run(&session->counted, 0, nr_regions - 1);
	bitmap_borrow(&session->log.clean_bits, session->counted.words, nr_regions);
	session->log.nr_regions = session->log.clean = nr_regions;
	return 0;
}

/* What else must hold where the kernel's count is all that there is. */
static bool count_is_whole(const struct session *session, const struct mirror_sample *sample,
			   char *change, size_t room)
{
	uint64_t nr_regions = session->counted.nr_bits;

	if (!session->counted.words || (sample->status_known && sample->in_sync == nr_regions))
		return true;
	if (!sample->status_known)
		snprintf(change, room, "its status cannot be read any more");
	else
		snprintf(change, room, "the kernel counts only %" PRIu64 " of %" PRIu64
			 " regions as in sync now", sample->in_sync, nr_regions);
	return false;
}

bool session_unchanged(struct session *session, bool closely, char *change, size_t room)
{
	struct mirror_sample sample;

	if (closely)
		mirror_sample_closely(&session->opened, &sample);
	else
		mirror_sample(&session->opened, &sample);
	if (sample.change == MIRROR_UNCHANGED)
		return count_is_whole(session, &sample, change, room);
	snprintf(change, room, "%s", *sample.reason ? sample.reason : "its state could not be read");
	return false;
}

int session_check_unchanged(struct session *session, struct error *err)
{
	char change[ERROR_TEXT_BYTES];

	if (session_unchanged(session, true, change, sizeof(change)))
		return 0;
	if (signals_stop_wanted())
		return error_operation(err, ECANCELED, "%s: ended by a signal, and whether it has changed is not known (%s); nothing was changed",
				       session->opened.mirror.name, change);
	return error_operation(err, ESTALE, "%s has changed since it was opened (%s): run it again; nothing was changed",
			       session->opened.mirror.name, change);
}

void session_look_again(struct session *session)
{
	char change[ERROR_TEXT_BYTES];

	if (session_unchanged(session, true, change, sizeof(change)))
		return;
	finding_add(&session->findings, FINDING_CHANGED, "%s", change);
	session_tell_change(session, change);
}

void session_tell_change(const struct session *session, const char *change)
{
	fprintf(stderr, "mirrorctl: %s changed while it was written, or may have (%s): audit it when nothing changes it any more\n",
		session->opened.mirror.name, change);
}

int session_check_after(struct session *session, const char *what, struct error *err)
{
	char change[ERROR_TEXT_BYTES];

	if (session_unchanged(session, true, change, sizeof(change)))
		return 0;
	return error_operation(err, ESTALE, "%s changed meanwhile, or may have (%s); %s, so audit it when nothing changes it any more",
			       session->opened.mirror.name, change, what);
}

static bool has_finding(const struct finding_list *list, enum finding_id id)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->items[i].id == id)
			return true;
	return false;
}

/* "It is an ext4 file system" says all that "it has no header" would. */
static bool is_told_better(const struct finding_list *list, enum finding_id id)
{
	return (id == FINDING_LOG_MAGIC_ZERO || id == FINDING_LOG_MAGIC_FOREIGN) &&
	       has_finding(list, FINDING_LOG_SIGNATURE);
}

/* What a finding is about, for the line on stderr. */
static const char *name_of_finding(const struct session *session, enum finding_id id)
{
	return session->opened.log && id <= FINDING_LOG_SIGNATURE ? session->opened.log->name :
		session->opened.mirror.name;
}

void session_warn(const struct session *session, const struct report_words *report, size_t from)
{
	if (isatty(STDOUT_FILENO) && !report->quiet && !report->json)
		return;
	for (size_t i = from; i < session->findings.nr; i++) {
		const struct finding *finding = &session->findings.items[i];
		const struct finding_row *row = finding_row(finding->id);
		const char *name = name_of_finding(session, finding->id);

		if (!row->remedy || is_told_better(&session->findings, finding->id))
			continue;
		fprintf(stderr, "mirrorctl: ");
		report_text_plain(stderr, name);
		fprintf(stderr, ": %s%s", row->text, *finding->detail ? " (" : "");
		report_text_plain(stderr, finding->detail);
		fprintf(stderr, "%s; %s\n", *finding->detail ? ")" : "", row->remedy);
	}
}

/* A device holds requests, so nothing under it can go; the process ends all the same. */
static void tell_held(const struct opened_mirror *opened)
{
	char *by_hand = opened->lvm && opened->lvm->hold ? lvm_hold_by_hand(opened->lvm->hold) : NULL;

	if (by_hand)
		fprintf(stderr, "mirrorctl: %s: as a device does not answer, LVM stays kept from it: the next mirrorctl that writes takes that down, or by hand: %s\n",
			opened->mirror.name, by_hand);
	free(by_hand);
}

int session_close(struct session *session, bool hung)
{
	struct error err = { 0 };
	int r;

	if (hung) {
		tell_held(&session->opened);
		return 0;
	}
	log_area_free(&session->area);
	bitmap_free(&session->counted);
	block_engine_destroy(session->engine);
	r = mirror_release(&session->opened, &err);
	if (r)
		fprintf(stderr, "mirrorctl: %s\n", err.text);
	mirror_close(&session->opened);
	return r ? EXIT_TROUBLE : 0;
}
