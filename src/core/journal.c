/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/journal.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/mirror_log.h"

#define HEAD_BYTES 64u
#define HEAD_PROVEN_BYTES 32u	/* what the digest covers of a head */
#define VERSION 1u
#define CHECK_OFFSET 20u
#define CHECK_BYTES 4u

#define LOG_STATE_BYTES (16u + 2 * JOURNAL_DIGEST_BYTES)
#define BYTES_FIXED 24u		/* of a bytes record, in front of the data */
#define REGION_FIXED 16u
#define RUN_BYTES 16u

/* What one record holds at most; a put splits what is more. */
#define BYTES_SECTORS_MAX UINT64_C(16384)
#define OUTCOME_RUNS_MAX ((size_t)65536)

/* The area of the largest log, rounded up to the largest block there is. */
#define AREA_SECTORS_MAX ((mirror_log_bytes(REGION_COUNT_MAX) >> 9) + 4096)

static const char magic[8] = { 'm', 'c', 't', 'l', 'j', 'r', 'n', 'l' };

static void put_le32(unsigned char *to, uint32_t value)
{
	value = htole32(value);
	memcpy(to, &value, sizeof(value));
}

static void put_le64(unsigned char *to, uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static uint32_t get_le32(const unsigned char *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return le32toh(value);
}

static uint64_t get_le64(const unsigned char *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return le64toh(value);
}

static size_t padding_of(size_t payload)
{
	return -payload % 8;
}

/* --- digests ------------------------------------------------------------- */

static void add_part(struct sha256_ctx *sha, const void *bytes, size_t nr_bytes)
{
	if (nr_bytes)
		sha256_update(sha, nr_bytes, bytes);
}

void journal_digest(unsigned char digest[JOURNAL_DIGEST_BYTES], const void *bytes,
		    size_t nr_bytes)
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	add_part(&sha, bytes, nr_bytes);
	sha256_digest(&sha, JOURNAL_DIGEST_BYTES, digest);
}

void journal_fingerprint(unsigned char fingerprint[JOURNAL_FINGERPRINT_BYTES],
			 const void *sector)
{
	put_le64(fingerprint, XXH3_64bits(sector, SECTOR_BYTES));
}

/* All of a head but the check and the digest, behind the record before. */
static void head_check(unsigned char check[CHECK_BYTES], const unsigned char *chain,
		       const unsigned char *head)
{
	unsigned char digest[JOURNAL_DIGEST_BYTES];
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, JOURNAL_DIGEST_BYTES, chain);
	sha256_update(&sha, CHECK_OFFSET, head);
	sha256_update(&sha, HEAD_PROVEN_BYTES - CHECK_OFFSET - CHECK_BYTES,
		      head + CHECK_OFFSET + CHECK_BYTES);
	sha256_digest(&sha, sizeof(digest), digest);
	memcpy(check, digest, CHECK_BYTES);
}

/* A payload may be gathered from so many parts. */
#define PARTS 3u

struct part {
	const void *bytes;
	size_t nr_bytes;
};

static void record_digest(unsigned char *digest, const unsigned char *chain,
			  const unsigned char *head, const struct part parts[PARTS])
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, JOURNAL_DIGEST_BYTES, chain);
	sha256_update(&sha, HEAD_PROVEN_BYTES, head);
	for (unsigned int i = 0; i < PARTS; i++)
		add_part(&sha, parts[i].bytes, parts[i].nr_bytes);
	sha256_digest(&sha, JOURNAL_DIGEST_BYTES, digest);
}

/* --- the rules that hold for writer and reader alike: NULL or what is wrong - */

static const char *order_wrong(uint32_t type, uint64_t sequence, bool committed,
			       const struct journal_bounds *bounds)
{
	bool behind = type == JOURNAL_OUTCOME || type == JOURNAL_SET;

	if (type < JOURNAL_IDENTITY || type > JOURNAL_SET)
		return "a record of unknown type";
	if ((sequence == 0) != (type == JOURNAL_IDENTITY))
		return sequence ? "a second identity" : "a journal without an identity";
	if (type == JOURNAL_SET && !bounds->open)
		return "bits that were set, in a journal that cannot have any";
	if (committed && !behind && !(type == JOURNAL_BYTES && bounds->open))
		return "a record behind the commit";
	if (!committed && behind)
		return "an outcome without a commit";
	if (type == JOURNAL_LOG_STATE && bounds->log_sectors)
		return "a second log state";
	return NULL;
}

static const char *log_state_wrong(const struct journal_log_state *state)
{
	if (!state->nr_regions || state->nr_regions > REGION_COUNT_MAX)
		return "a number of regions that no mirror has";
	if (state->area_bytes % SECTOR_BYTES ||
	    state->area_bytes < mirror_log_bytes(state->nr_regions) ||
	    state->area_bytes / SECTOR_BYTES > AREA_SECTORS_MAX)
		return "a log of impossible size";
	return NULL;
}

/* `limit`: sectors there are at most. */
static bool extent_fits(uint64_t start, uint64_t sectors, uint64_t limit)
{
	return sectors && sectors <= limit && start <= limit - sectors;
}

static const char *bytes_wrong(const struct journal_bytes *bytes,
			       const struct journal_bounds *bounds, bool committed)
{
	if (bytes->kind > JOURNAL_REPLACED)
		return "bytes that are neither old nor new";
	if (bytes->kind == JOURNAL_NEW && bounds->open)
		return "new bytes in a journal that does not know any";
	if (bytes->place == JOURNAL_LOG && committed)
		return "bytes of the log behind the commit";
	if (bytes->place != JOURNAL_LOG && bytes->place >= MIRROR_LEGS_MAX)
		return "bytes of a place that does not exist";
	if (bytes->place == JOURNAL_LOG && !bounds->log_sectors)
		return "bytes of a log that was not described";
	if (!extent_fits(bytes->start_sector, bytes->sectors,
			 bytes->place == JOURNAL_LOG ? bounds->log_sectors : REGION_LENGTH_MAX))
		return "bytes behind the end of their device";
	if (committed != (bytes->kind == JOURNAL_REPLACED))
		return committed ? "old bytes and not what has replaced them" :
		       "bytes that were replaced, in front of the commit";
	return NULL;
}

static uint64_t region_limit(const struct journal_bounds *bounds)
{
	return bounds->nr_regions ? bounds->nr_regions : REGION_COUNT_MAX;
}

bool journal_is_open(const struct journal_log_state *state)
{
	static const unsigned char unknown[JOURNAL_DIGEST_BYTES];

	return !memcmp(state->after, unknown, sizeof(unknown));
}

static const char *region_wrong(const struct journal_region *region,
				const struct journal_bounds *bounds)
{
	if (region->nr_legs < MIRROR_LEGS_MIN || region->nr_legs > MIRROR_LEGS_MAX)
		return "a region with an impossible number of legs";
	if (region->region >= region_limit(bounds))
		return "a region behind the last one";
	return NULL;
}

static const char *outcome_wrong(const struct journal_outcome *outcome,
				 const struct journal_bounds *bounds)
{
	for (size_t i = 0; i < outcome->nr_runs; i++) {
		const struct region_run *run = &outcome->runs[i];

		if (run->first > run->last || run->last >= region_limit(bounds) ||
		    (i && run->first <= run[-1].last))
			return "regions that are out of order or behind the last one";
	}
	return NULL;
}

/* --- writing ------------------------------------------------------------- */

void journal_writer_init(struct journal_writer *writer, struct journal_sink sink)
{
	memset(writer, 0, sizeof(*writer));
	writer->sink = sink;
}

void journal_writer_continue(struct journal_writer *writer, struct journal_sink sink,
			     const struct journal_reader *reader)
{
	journal_writer_init(writer, sink);
	writer->sequence = reader->sequence;
	memcpy(writer->chain, reader->chain, sizeof(writer->chain));
	writer->committed = reader->committed;
	writer->bounds = reader->bounds;
}

static void append(struct journal_writer *writer, const void *bytes, size_t nr_bytes)
{
	int r;

	if (writer->failed || !nr_bytes)
		return;
	r = writer->sink.append(writer->sink.context, bytes, nr_bytes);
	if (r)
		writer->failed = r < 0 ? r : -EIO;
}

/* Anything refused ends the journal: a caller that overlooks it must not reach a
 * commit. */
static bool may_put(struct journal_writer *writer, enum journal_type type, const char *wrong)
{
	if (!writer->failed &&
	    (wrong || order_wrong(type, writer->sequence, writer->committed, &writer->bounds)))
		writer->failed = -EINVAL;
	return !writer->failed;
}

/* One record. The first part is short: it goes out with the head. */
static int put_parts(struct journal_writer *writer, enum journal_type type,
		     const struct part parts[PARTS])
{
	unsigned char front[HEAD_BYTES + REGION_FIXED + MIRROR_LEGS_MAX * JOURNAL_DIGEST_BYTES];
	static const unsigned char zeros[8];
	unsigned char *digest = front + HEAD_PROVEN_BYTES;
	size_t nr_bytes = 0;

	for (unsigned int i = 0; i < PARTS; i++)
		nr_bytes += parts[i].nr_bytes;
	memcpy(front, magic, sizeof(magic));
	put_le32(front + 8, type);
	put_le32(front + 12, VERSION);
	put_le32(front + 16, (uint32_t)nr_bytes);
	put_le64(front + 24, writer->sequence);
	head_check(front + CHECK_OFFSET, writer->chain, front);
	record_digest(digest, writer->chain, front, parts);
	if (parts[0].nr_bytes)
		memcpy(front + HEAD_BYTES, parts[0].bytes, parts[0].nr_bytes);
	append(writer, front, HEAD_BYTES + parts[0].nr_bytes);
	for (unsigned int i = 1; i < PARTS; i++)
		append(writer, parts[i].bytes, parts[i].nr_bytes);
	append(writer, zeros, padding_of(nr_bytes));
	if (writer->failed)
		return writer->failed;
	memcpy(writer->chain, digest, sizeof(writer->chain));
	writer->sequence++;
	return 0;
}

/* The payload is `fixed` and then `data`. */
static int put(struct journal_writer *writer, enum journal_type type, const void *fixed,
	       size_t fixed_bytes, const void *data, size_t data_bytes)
{
	const struct part parts[PARTS] = { { fixed, fixed_bytes }, { data, data_bytes } };

	return put_parts(writer, type, parts);
}

int journal_put_identity(struct journal_writer *writer, const char *json)
{
	size_t length = strlen(json);

	if (!may_put(writer, JOURNAL_IDENTITY,
		     length && length <= JOURNAL_PAYLOAD_MAX - 8 ? NULL : "size"))
		return writer->failed;
	return put(writer, JOURNAL_IDENTITY, NULL, 0, json, length);
}

int journal_put_log_state(struct journal_writer *writer, const struct journal_log_state *state)
{
	unsigned char fixed[LOG_STATE_BYTES];

	if (!may_put(writer, JOURNAL_LOG_STATE, log_state_wrong(state)))
		return writer->failed;
	put_le64(fixed, state->area_bytes);
	put_le64(fixed + 8, state->nr_regions);
	memcpy(fixed + 16, state->before, JOURNAL_DIGEST_BYTES);
	memcpy(fixed + 16 + JOURNAL_DIGEST_BYTES, state->after, JOURNAL_DIGEST_BYTES);
	writer->bounds.log_sectors = state->area_bytes / SECTOR_BYTES;
	writer->bounds.nr_regions = state->nr_regions;
	writer->bounds.open = journal_is_open(state);
	return put(writer, JOURNAL_LOG_STATE, fixed, sizeof(fixed), NULL, 0);
}

int journal_put_bytes(struct journal_writer *writer, const struct journal_bytes *bytes)
{
	bool replaced = bytes->kind == JOURNAL_REPLACED;
	unsigned char fixed[BYTES_FIXED];

	if (!may_put(writer, JOURNAL_BYTES, bytes_wrong(bytes, &writer->bounds, writer->committed)))
		return writer->failed;
	for (uint64_t done = 0, sectors; done < bytes->sectors; done += sectors) {
		sectors = bytes->sectors - done;
		if (sectors > BYTES_SECTORS_MAX)
			sectors = BYTES_SECTORS_MAX;
		put_le32(fixed, bytes->place);
		put_le32(fixed + 4, bytes->kind);
		put_le64(fixed + 8, bytes->start_sector + done);
		put_le64(fixed + 16, sectors);
		const struct part parts[PARTS] = {
			{ fixed, sizeof(fixed) },
			{ bytes->data + done * SECTOR_BYTES, (size_t)sectors * SECTOR_BYTES },
			{ replaced ? bytes->replaced_by + done * JOURNAL_FINGERPRINT_BYTES : NULL,
			  replaced ? (size_t)sectors * JOURNAL_FINGERPRINT_BYTES : 0 },
		};

		if (put_parts(writer, JOURNAL_BYTES, parts))
			break;
	}
	return writer->failed;
}

int journal_put_region(struct journal_writer *writer, const struct journal_region *region)
{
	unsigned char fixed[REGION_FIXED];

	if (!may_put(writer, JOURNAL_REGION, region_wrong(region, &writer->bounds)))
		return writer->failed;
	put_le64(fixed, region->region);
	put_le32(fixed + 8, region->nr_legs);
	put_le32(fixed + 12, 0);
	return put(writer, JOURNAL_REGION, fixed, sizeof(fixed), region->digest,
		   (size_t)region->nr_legs * JOURNAL_DIGEST_BYTES);
}

int journal_put_commit(struct journal_writer *writer)
{
	if (!may_put(writer, JOURNAL_COMMIT, NULL))
		return writer->failed;
	if (!put(writer, JOURNAL_COMMIT, NULL, 0, NULL, 0))
		writer->committed = true;
	return writer->failed;
}

static int put_runs(struct journal_writer *writer, enum journal_type type,
		    const struct region_run *runs, size_t nr_runs)
{
	unsigned char *data = malloc(nr_runs * RUN_BYTES + 1);
	int r;

	if (!data)
		return writer->failed = -ENOMEM;
	for (size_t i = 0; i < nr_runs; i++) {
		put_le64(data + i * RUN_BYTES, runs[i].first);
		put_le64(data + i * RUN_BYTES + 8, runs[i].last);
	}
	r = put(writer, type, NULL, 0, data, nr_runs * RUN_BYTES);
	free(data);
	return r;
}

static int put_all_runs(struct journal_writer *writer, enum journal_type type,
			const struct journal_outcome *outcome)
{
	size_t done = 0, nr_runs;

	if (!may_put(writer, type, outcome_wrong(outcome, &writer->bounds)))
		return writer->failed;
	do {	/* a record without runs says that there were none */
		nr_runs = outcome->nr_runs - done;
		if (nr_runs > OUTCOME_RUNS_MAX)
			nr_runs = OUTCOME_RUNS_MAX;
		if (put_runs(writer, type, nr_runs ? outcome->runs + done : NULL, nr_runs))
			break;
		done += nr_runs;
	} while (done < outcome->nr_runs);
	return writer->failed;
}

int journal_put_outcome(struct journal_writer *writer, const struct journal_outcome *outcome)
{
	return put_all_runs(writer, JOURNAL_OUTCOME, outcome);
}

int journal_put_set(struct journal_writer *writer, const struct journal_outcome *set)
{
	return put_all_runs(writer, JOURNAL_SET, set);
}

/* --- reading ------------------------------------------------------------- */

void journal_reader_init(struct journal_reader *reader, struct journal_source source)
{
	memset(reader, 0, sizeof(*reader));
	reader->source = source;
}

void journal_reader_free(struct journal_reader *reader)
{
	free(reader->payload);
	memset(reader, 0, sizeof(*reader));
}

static const char *name_of(const struct journal_reader *reader)
{
	return reader->source.name ? reader->source.name : "journal";
}

static int damaged(const struct journal_reader *reader, const char *what, struct error *err)
{
	return error_operation(err, EBADMSG, "%s: damaged at byte %" PRIu64 " (%s); it cannot be "
			       "used, so take an intact copy", name_of(reader), reader->offset, what);
}

static int cut_short(const struct journal_reader *reader, struct error *err)
{
	return error_operation(err, ENODATA, "%s: cut short in the record at byte %" PRIu64 "; %s",
			       name_of(reader), reader->offset, reader->committed ?
			       "everything up to its commit is intact" :
			       "nothing was changed when it ended here");
}

/* Bytes read, or -errno. */
static int64_t source_read(const struct journal_reader *reader, uint64_t offset, void *bytes,
			   size_t nr_bytes, struct error *err)
{
	const struct journal_source *source = &reader->source;
	int64_t r = source->read_at(source->context, offset, bytes, nr_bytes);

	if (r >= 0 && (uint64_t)r <= nr_bytes)
		return r;
	if (r >= 0 || r < -4095)
		r = -EIO;
	error_operation(err, (int)-r, "%s: cannot read at byte %" PRIu64 ": %s", name_of(reader),
			offset, error_reason((int)r));
	/* A medium error must never pass for a file that was cut short. */
	return r == -ENODATA || r == -EBADMSG ? -EIO : r;
}

struct head {
	uint32_t type;
	size_t payload;
	unsigned char bytes[HEAD_BYTES];
};

static int foreign(const struct journal_reader *reader, struct error *err)
{
	if (reader->sequence)
		return damaged(reader, "no record begins here", err);
	return error_operation(err, EBADMSG, "%s: not a journal of mirrorctl (byte 0)",
			       name_of(reader));
}

/* Nothing of a head is believed before its check has vouched for it, but for the
 * version: another one may have another head. */
static int head_validate(const struct journal_reader *reader, struct head *head,
			 struct error *err)
{
	unsigned char check[CHECK_BYTES];
	uint32_t version = get_le32(head->bytes + 12);
	const char *wrong;

	if (version != VERSION)
		return error_operation(err, EBADMSG, "%s: the record at byte %" PRIu64
				       " has version %" PRIu32 ", and this mirrorctl reads version "
				       "1: damaged, or written by a newer one", name_of(reader),
				       reader->offset, version);
	head_check(check, reader->chain, head->bytes);
	if (memcmp(check, head->bytes + CHECK_OFFSET, CHECK_BYTES))
		return damaged(reader, "the head of a record is wrong", err);
	if (get_le64(head->bytes + 24) != reader->sequence)
		return damaged(reader, "a record is missing", err);
	head->type = get_le32(head->bytes + 8);
	head->payload = get_le32(head->bytes + 16);
	wrong = order_wrong(head->type, reader->sequence, reader->committed, &reader->bounds);
	if (!wrong && head->payload > JOURNAL_PAYLOAD_MAX - 8)
		wrong = "a record that is too long";
	return wrong ? damaged(reader, wrong, err) : 0;
}

/* 1: a head, 0: the end of the file. */
static int head_read(const struct journal_reader *reader, struct head *head, struct error *err)
{
	int64_t got = source_read(reader, reader->offset, head->bytes, HEAD_BYTES, err);
	int r;

	if (got <= 0)
		return (int)got;
	if (memcmp(head->bytes, magic, got < (int64_t)sizeof(magic) ? (size_t)got : sizeof(magic)))
		return foreign(reader, err);
	if (got < (int64_t)HEAD_BYTES)
		return cut_short(reader, err);
	r = head_validate(reader, head, err);
	return r ? r : 1;
}

/* The payload, padding and digest proven, with a NUL behind it. */
static int payload_read(struct journal_reader *reader, const struct head *head,
			unsigned char *digest, struct error *err)
{
	size_t padded = head->payload + padding_of(head->payload);
	int64_t got;

	free(reader->payload);
	reader->payload = malloc(padded + 1);
	if (!reader->payload)
		return error_operation(err, ENOMEM, "%s: not enough memory to read it",
				       name_of(reader));
	got = source_read(reader, reader->offset + HEAD_BYTES, reader->payload, padded, err);
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < padded)
		return cut_short(reader, err);
	record_digest(digest, reader->chain, head->bytes,
		      (const struct part[PARTS]){ { reader->payload, head->payload } });
	if (memcmp(digest, head->bytes + HEAD_PROVEN_BYTES, JOURNAL_DIGEST_BYTES))
		return damaged(reader, "the checksum is wrong", err);
	for (size_t i = head->payload; i < padded; i++)
		if (reader->payload[i])
			return damaged(reader, "the padding is not zero", err);
	reader->payload[head->payload] = '\0';
	return 0;
}

/* --- from payloads to structs: NULL or what is wrong --------------------- */

static const char *identity_decode(struct journal_record *record, const unsigned char *payload,
				   size_t bytes)
{
	if (!bytes || memchr(payload, '\0', bytes))
		return "an identity that is no text";
	record->identity = (const char *)payload;
	return NULL;
}

static const char *log_state_decode(struct journal_log_state *state,
				    const unsigned char *payload, size_t bytes)
{
	if (bytes != LOG_STATE_BYTES)
		return "a log state of wrong length";
	state->area_bytes = get_le64(payload);
	state->nr_regions = get_le64(payload + 8);
	memcpy(state->before, payload + 16, JOURNAL_DIGEST_BYTES);
	memcpy(state->after, payload + 16 + JOURNAL_DIGEST_BYTES, JOURNAL_DIGEST_BYTES);
	return log_state_wrong(state);
}

static const char *bytes_decode(struct journal_bytes *decoded, const unsigned char *payload,
				size_t bytes, const struct journal_reader *reader)
{
	size_t each = SECTOR_BYTES;
	uint32_t kind;

	if (bytes < BYTES_FIXED)
		return "bytes without a place";
	decoded->place = get_le32(payload);
	kind = get_le32(payload + 4);
	if (kind > JOURNAL_REPLACED)
		return "bytes that are neither old nor new";
	if (kind == JOURNAL_REPLACED)
		each += JOURNAL_FINGERPRINT_BYTES;
	decoded->kind = kind;
	decoded->start_sector = get_le64(payload + 8);
	decoded->sectors = get_le64(payload + 16);
	decoded->data = payload + BYTES_FIXED;
	if ((bytes - BYTES_FIXED) % each || decoded->sectors != (bytes - BYTES_FIXED) / each)
		return "bytes of wrong length";
	if (kind == JOURNAL_REPLACED)
		decoded->replaced_by = decoded->data + decoded->sectors * SECTOR_BYTES;
	return bytes_wrong(decoded, &reader->bounds, reader->committed);
}

static const char *region_decode(struct journal_region *region, const unsigned char *payload,
				 size_t bytes, const struct journal_bounds *bounds)
{
	const char *wrong;

	if (bytes < REGION_FIXED)
		return "a region of wrong length";
	region->region = get_le64(payload);
	region->nr_legs = get_le32(payload + 8);
	wrong = region_wrong(region, bounds);
	if (wrong)
		return wrong;
	if (get_le32(payload + 12) ||
	    bytes != REGION_FIXED + (size_t)region->nr_legs * JOURNAL_DIGEST_BYTES)
		return "a region of wrong length";
	memcpy(region->digest, payload + REGION_FIXED, bytes - REGION_FIXED);
	return NULL;
}

/* The runs take the place of their bytes. */
static const char *outcome_decode(struct journal_outcome *outcome, unsigned char *payload,
				  size_t bytes, const struct journal_bounds *bounds)
{
	struct region_run run;

	_Static_assert(sizeof(run) == RUN_BYTES, "runs are decoded where they lie");
	if (bytes % RUN_BYTES)
		return "an outcome of wrong length";
	for (size_t at = 0; at < bytes; at += RUN_BYTES) {
		run.first = get_le64(payload + at);
		run.last = get_le64(payload + at + 8);
		memcpy(payload + at, &run, sizeof(run));
	}
	outcome->runs = (const struct region_run *)(void *)payload;
	outcome->nr_runs = bytes / RUN_BYTES;
	return outcome_wrong(outcome, bounds);
}

static const char *decode(struct journal_reader *reader, const struct head *head,
			  struct journal_record *record)
{
	unsigned char *payload = reader->payload;
	const struct journal_bounds *bounds = &reader->bounds;

	switch (head->type) {
	case JOURNAL_IDENTITY:
		return identity_decode(record, payload, head->payload);
	case JOURNAL_LOG_STATE:
		return log_state_decode(&record->log_state, payload, head->payload);
	case JOURNAL_BYTES:
		return bytes_decode(&record->bytes, payload, head->payload, reader);
	case JOURNAL_REGION:
		return region_decode(&record->region, payload, head->payload, bounds);
	case JOURNAL_COMMIT:
		return head->payload ? "a commit of wrong length" : NULL;
	default:
		return outcome_decode(&record->outcome, payload, head->payload, bounds);
	}
}

/* The record is good: what comes next is judged by it. */
static void advance(struct journal_reader *reader, const struct journal_record *record,
		    const struct head *head, const unsigned char *digest)
{
	if (record->type == JOURNAL_LOG_STATE) {
		reader->bounds.log_sectors = record->log_state.area_bytes / SECTOR_BYTES;
		reader->bounds.nr_regions = record->log_state.nr_regions;
		reader->bounds.open = journal_is_open(&record->log_state);
	}
	if (record->type == JOURNAL_COMMIT)
		reader->committed = true;
	reader->offset += HEAD_BYTES + head->payload + padding_of(head->payload);
	reader->sequence++;
	memcpy(reader->chain, digest, sizeof(reader->chain));
}

int journal_next(struct journal_reader *reader, struct journal_record *record,
		 struct error *err)
{
	unsigned char digest[JOURNAL_DIGEST_BYTES];
	struct head head;
	const char *wrong;
	int r;

	memset(record, 0, sizeof(*record));
	r = head_read(reader, &head, err);
	if (r <= 0)
		return r;
	r = payload_read(reader, &head, digest, err);
	if (r)
		return r;
	record->type = head.type;
	record->sequence = reader->sequence;
	record->offset = reader->offset;
	wrong = decode(reader, &head, record);
	if (wrong)
		return damaged(reader, wrong, err);
	advance(reader, record, &head, digest);
	return 1;
}
