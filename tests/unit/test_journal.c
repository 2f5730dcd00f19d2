/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal.h"
#include "core/mirror_log.h"
#include "support/audit_world.h"
#include "support/memory_file.h"
#include "unit/suites.h"

#define HEAD 64u

static struct memory_file file;
static struct journal_writer writer;
static struct journal_reader reader;
static struct journal_record record;
static struct error err;

/* Bytes that no writer has made. */
static void put_bytes(struct memory_file *to, const void *bytes, size_t nr_bytes)
{
	ck_assert_int_eq(memory_file_sink(to).append(to, bytes, nr_bytes), 0);
}

static void setup(void)
{
	memset(&file, 0, sizeof(file));
	journal_writer_init(&writer, memory_file_sink(&file));
	journal_reader_init(&reader, memory_file_source(&file));
	err.kind = ERROR_NONE;
}

static void teardown(void)
{
	journal_reader_free(&reader);
	memory_file_free(&file);
}

static void reopen(void)
{
	journal_reader_free(&reader);
	journal_reader_init(&reader, memory_file_source(&file));
	err.kind = ERROR_NONE;
}

static int next(void)
{
	err.kind = ERROR_NONE;
	return journal_next(&reader, &record, &err);
}

/* --- a small journal with one of everything ------------------------------ */

#define NR_REGIONS 3000u
#define AREA 2048u
#define NR_RECORDS 9u

static const char identity_text[] = "{\"kind\":\"weak\"}";	/* 15 bytes: is padded */
static const struct region_run runs[] = { { 3, 3 }, { 5, 9 }, { 10, 2999 } };
static unsigned char contents[4 * SECTOR_BYTES];

static struct journal_log_state sample_state(void)
{
	struct journal_log_state state = { .area_bytes = AREA, .nr_regions = NR_REGIONS };

	memset(state.before, 0xb0, sizeof(state.before));
	memset(state.after, 0xa0, sizeof(state.after));
	return state;
}

static struct journal_bytes sample_bytes(unsigned int place, enum journal_bytes_kind kind)
{
	return (struct journal_bytes){ .place = place, .kind = kind,
		.start_sector = place == JOURNAL_LOG ? 2 : UINT64_C(1) << 40,
		.sectors = place == JOURNAL_LOG ? 2 : 1, .data = contents + kind };
}

static struct journal_region sample_region(void)
{
	struct journal_region region = { .region = 2999, .nr_legs = 2 };

	memset(region.digest[0], 1, JOURNAL_DIGEST_BYTES);
	memset(region.digest[1], 2, JOURNAL_DIGEST_BYTES);
	return region;
}

/* Puts record `nr` of the sample. */
static int put_sample(unsigned int nr)
{
	struct journal_log_state state = sample_state();
	struct journal_bytes old = sample_bytes(JOURNAL_LOG, JOURNAL_OLD);
	struct journal_bytes new = sample_bytes(JOURNAL_LOG, JOURNAL_NEW);
	struct journal_bytes leg = sample_bytes(8, JOURNAL_OLD);
	struct journal_region region = sample_region();
	struct journal_outcome outcome = { .runs = runs, .nr_runs = 3 };
	struct journal_outcome nothing = { .nr_runs = 0 };

	switch (nr) {
	case 0: return journal_put_identity(&writer, identity_text);
	case 1: return journal_put_log_state(&writer, &state);
	case 2: return journal_put_bytes(&writer, &old);
	case 3: return journal_put_bytes(&writer, &new);
	case 4: return journal_put_bytes(&writer, &leg);
	case 5: return journal_put_region(&writer, &region);
	case 6: return journal_put_commit(&writer);
	case 7: return journal_put_outcome(&writer, &outcome);
	default: return journal_put_outcome(&writer, &nothing);
	}
}

static size_t ends[NR_RECORDS];		/* of the sample's records in the file */

static void make_sample(void)
{
	for (size_t i = 0; i < sizeof(contents); i++)
		contents[i] = (unsigned char)(i * 7 + i / 256);
	for (unsigned int i = 0; i < NR_RECORDS; i++) {
		ck_assert_int_eq(put_sample(i), 0);
		ends[i] = file.size;
	}
}

static void same_bytes(const struct journal_bytes *is, struct journal_bytes was)
{
	ck_assert_uint_eq(is->place, was.place);
	ck_assert_int_eq(is->kind, was.kind);
	ck_assert_uint_eq(is->start_sector, was.start_sector);
	ck_assert_uint_eq(is->sectors, was.sectors);
	ck_assert(!memcmp(is->data, was.data, was.sectors * SECTOR_BYTES));
}

/* `record` is number `nr` of the sample. */
static void check_sample(unsigned int nr)
{
	static const enum journal_type types[NR_RECORDS] = {
		JOURNAL_IDENTITY, JOURNAL_LOG_STATE, JOURNAL_BYTES, JOURNAL_BYTES, JOURNAL_BYTES,
		JOURNAL_REGION, JOURNAL_COMMIT, JOURNAL_OUTCOME, JOURNAL_OUTCOME,
	};
	struct journal_log_state state = sample_state();
	struct journal_region region = sample_region();

	ck_assert_int_eq(record.type, types[nr]);
	ck_assert_uint_eq(record.sequence, nr);
	ck_assert_uint_eq(record.offset, nr ? ends[nr - 1] : 0);
	switch (nr) {
	case 0: ck_assert_str_eq(record.identity, identity_text); break;
	case 1: ck_assert(!memcmp(&record.log_state, &state, sizeof(state))); break;
	case 2: same_bytes(&record.bytes, sample_bytes(JOURNAL_LOG, JOURNAL_OLD)); break;
	case 3: same_bytes(&record.bytes, sample_bytes(JOURNAL_LOG, JOURNAL_NEW)); break;
	case 4: same_bytes(&record.bytes, sample_bytes(8, JOURNAL_OLD)); break;
	case 5: ck_assert(!memcmp(&record.region, &region, sizeof(region))); break;
	case 7:
		ck_assert_uint_eq(record.outcome.nr_runs, 3);
		ck_assert(!memcmp(record.outcome.runs, runs, sizeof(runs)));
		break;
	case 8: ck_assert_uint_eq(record.outcome.nr_runs, 0); break;
	}
	ck_assert(reader.committed == (nr >= 6));
}

START_TEST(round_trip)
{
	make_sample();
	for (unsigned int i = 0; i < NR_RECORDS; i++) {
		ck_assert_msg(next() == 1, "%s", err.text);
		check_sample(i);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(next(), 0);
	ck_assert_uint_eq(reader.offset, file.size);
}
END_TEST

/* --- the format, written down a second time ------------------------------ */

struct forger {
	uint64_t sequence;
	unsigned char chain[32];
};

/* Appends a record as mirrorctl-journal(5) describes it, whatever is in it. */
static void forge_as(struct forger *forger, uint32_t type, uint32_t version, uint32_t claimed,
		     const void *payload, size_t nr_bytes)
{
	unsigned char head[HEAD], digest[32];
	uint64_t sequence = htole64(forger->sequence);
	struct sha256_ctx sha;

	memcpy(head, "mctljrnl", 8);
	type = htole32(type);
	memcpy(head + 8, &type, 4);
	version = htole32(version);
	memcpy(head + 12, &version, 4);
	claimed = htole32(claimed);
	memcpy(head + 16, &claimed, 4);
	memcpy(head + 24, &sequence, 8);

	sha256_init(&sha);
	sha256_update(&sha, 32, forger->chain);
	sha256_update(&sha, 20, head);
	sha256_update(&sha, 8, head + 24);
	sha256_digest(&sha, 32, digest);
	memcpy(head + 20, digest, 4);

	sha256_init(&sha);
	sha256_update(&sha, 32, forger->chain);
	sha256_update(&sha, 32, head);
	if (nr_bytes)
		sha256_update(&sha, nr_bytes, payload);
	sha256_digest(&sha, 32, head + 32);
	put_bytes(&file, head, sizeof(head));
	put_bytes(&file, payload, nr_bytes);
	put_bytes(&file, "\0\0\0\0\0\0\0", -nr_bytes % 8);
	memcpy(forger->chain, head + 32, 32);
	forger->sequence++;
}

static void forge(struct forger *forger, uint32_t type, const void *payload, size_t nr_bytes)
{
	forge_as(forger, type, 1, (uint32_t)nr_bytes, payload, nr_bytes);
}

/* Numbers of 4 and 8 bytes, one after the other. */
struct payload {
	unsigned char bytes[8192];
	size_t size;
};

static void add32(struct payload *payload, uint32_t value)
{
	value = htole32(value);
	memcpy(payload->bytes + payload->size, &value, 4);
	payload->size += 4;
}

static void add64(struct payload *payload, uint64_t value)
{
	value = htole64(value);
	memcpy(payload->bytes + payload->size, &value, 8);
	payload->size += 8;
}

static void add_data(struct payload *payload, const void *data, size_t bytes)
{
	memcpy(payload->bytes + payload->size, data, bytes);
	payload->size += bytes;
}

static void forge_payload(struct forger *forger, uint32_t type, struct payload *payload)
{
	forge(forger, type, payload->bytes, payload->size);
	memset(payload, 0, sizeof(*payload));
}

static void forge_state(struct forger *forger, uint64_t area_bytes, uint64_t nr_regions)
{
	struct journal_log_state state = sample_state();
	struct payload payload = { .size = 0 };

	add64(&payload, area_bytes);
	add64(&payload, nr_regions);
	add_data(&payload, state.before, 32);
	add_data(&payload, state.after, 32);
	forge_payload(forger, JOURNAL_LOG_STATE, &payload);
}

static void forge_bytes(struct forger *forger, uint32_t place, uint32_t kind, uint64_t start,
			uint64_t sectors, const void *data, size_t bytes)
{
	struct payload payload = { .size = 0 };

	add32(&payload, place);
	add32(&payload, kind);
	add64(&payload, start);
	add64(&payload, sectors);
	add_data(&payload, data, bytes);
	forge_payload(forger, JOURNAL_BYTES, &payload);
}

/* The manual page and the code agree to the byte. */
START_TEST(format)
{
	struct journal_region region = sample_region();
	struct payload payload = { .size = 0 };
	struct forger forger = { .sequence = 0 };
	unsigned char *written;
	size_t size;

	make_sample();
	written = file.bytes;
	size = file.size;
	memset(&file, 0, sizeof(file));

	forge(&forger, 1, identity_text, strlen(identity_text));
	forge_state(&forger, AREA, NR_REGIONS);
	forge_bytes(&forger, 0xffff, 0, 2, 2, contents, 1024);
	forge_bytes(&forger, 0xffff, 1, 2, 2, contents + 1, 1024);
	forge_bytes(&forger, 8, 0, UINT64_C(1) << 40, 1, contents, 512);
	add64(&payload, 2999);
	add32(&payload, 2);
	add32(&payload, 0);
	add_data(&payload, region.digest, 64);
	forge_payload(&forger, 4, &payload);
	forge_payload(&forger, 5, &payload);
	for (unsigned int i = 0; i < 3; i++) {
		add64(&payload, runs[i].first);
		add64(&payload, runs[i].last);
	}
	forge_payload(&forger, 6, &payload);
	forge_payload(&forger, 6, &payload);

	ck_assert_uint_eq(file.size, size);
	ck_assert(!memcmp(file.bytes, written, size));
	free(written);
}
END_TEST

START_TEST(digest)
{
	static const unsigned char of_abc[] = {	/* FIPS 180-4's example */
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
		0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
		0xf2, 0x00, 0x15, 0xad,
	};
	unsigned char is[JOURNAL_DIGEST_BYTES], nothing[JOURNAL_DIGEST_BYTES];

	journal_digest(is, "abc", 3);
	ck_assert(!memcmp(is, of_abc, sizeof(is)));
	journal_digest(is, NULL, 0);
	journal_digest(nothing, "", 0);
	ck_assert(!memcmp(is, nothing, sizeof(is)));
}
END_TEST

/* --- cut, flipped, reordered --------------------------------------------- */

/* Everything is tried, but under valgrind one in n. */
static unsigned int stride(unsigned int n)
{
	return world_rounds(2) < 2 ? n : 1;
}

/* Reads on until there is no record; returns how it ended. */
static int read_all(unsigned int *nr)
{
	int r;

	for (*nr = 0; (r = next()) == 1; ++*nr)
		check_sample(*nr);
	ck_assert(record.identity == NULL || r == 0 || err.kind == ERROR_OPERATION);
	return r;
}

static void expect_error(int r, int code, const char *says)
{
	ck_assert_int_eq(r, code);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(strstr(err.text, "j.undo: ") == err.text, "%s", err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
}

START_TEST(cut_at_every_byte)
{
	size_t whole;
	unsigned int nr, complete;

	make_sample();
	whole = file.size;
	for (size_t cut = 0; cut <= whole; cut += stride(5)) {
		bool boundary = cut == 0;
		int r;

		for (complete = 0; complete < NR_RECORDS && ends[complete] <= cut; complete++)
			boundary = ends[complete] == cut;
		file.size = cut;
		reopen();
		r = read_all(&nr);
		ck_assert_uint_eq(nr, complete);
		ck_assert(reader.committed == (complete > 6));
		if (boundary) {
			ck_assert_int_eq(r, 0);
			continue;
		}
		expect_error(r, -ENODATA, complete > 6 ? "up to its commit is intact" :
			     "nothing was changed");
		/* And again: a reader that failed stays where it was. */
		expect_error(next(), -ENODATA, "cut short");
		ck_assert_uint_eq(reader.offset, complete ? ends[complete - 1] : 0);
	}
}
END_TEST

/* Back to a place in the middle, so that only what is damaged is read again. */
static void stand_before(const struct journal_reader *there)
{
	journal_reader_free(&reader);
	reader = *there;
	reader.payload = NULL;
}

/* Damage is damage: never another record, never a clean end, never "cut short". */
START_TEST(every_bit_flipped)
{
	struct journal_reader there;
	size_t at = 0;

	make_sample();
	for (unsigned int nr = 0; nr < NR_RECORDS; nr++) {
		there = reader;
		for (; at < ends[nr]; at++) {
			for (unsigned int bit = at % stride(8); bit < 8; bit += stride(8)) {
				file.bytes[at] ^= 1u << bit;
				stand_before(&there);
				expect_error(next(), -EBADMSG, nr ? "byte " : "byte 0");
				ck_assert(reader.committed == (nr > 6));
				ck_assert_uint_eq(reader.sequence, nr);
				file.bytes[at] ^= 1u << bit;
			}
		}
		stand_before(&there);
		ck_assert_int_eq(next(), 1);
		check_sample(nr);
	}
}
END_TEST

/* A flipped bit in what a cut left: a length that grew is not mistaken for the cut. */
START_TEST(flipped_then_cut)
{
	unsigned int nr;

	make_sample();
	for (unsigned int i = 0; i < NR_RECORDS; i++) {
		size_t start = i ? ends[i - 1] : 0;

		file.size = ends[i];
		for (unsigned int bit = 0; bit < 64 * 8; bit += stride(13)) {
			file.bytes[start + bit / 8] ^= 1u << bit % 8;
			reopen();
			ck_assert_int_eq(read_all(&nr), -EBADMSG);
			file.bytes[start + bit / 8] ^= 1u << bit % 8;
		}
	}
}
END_TEST

static void sample_from_pieces(const unsigned char *from, const unsigned int *order,
			       unsigned int nr_pieces)
{
	file.size = 0;
	for (unsigned int i = 0; i < nr_pieces; i++) {
		size_t start = order[i] ? ends[order[i] - 1] : 0;

		put_bytes(&file, from + start, ends[order[i]] - start);
	}
	reopen();
}

/* Every record left out, doubled, or swapped with any other. */
START_TEST(reordered)
{
	unsigned int order[NR_RECORDS + 1], nr;
	unsigned char *copy;

	make_sample();
	copy = malloc(file.size);
	memcpy(copy, file.bytes, file.size);
	for (unsigned int a = 0; a < NR_RECORDS; a++) {
		for (unsigned int b = a + 1; b < NR_RECORDS; b++) {
			for (unsigned int i = 0; i < NR_RECORDS; i++)
				order[i] = i == a ? b : i == b ? a : i;
			sample_from_pieces(copy, order, NR_RECORDS);
			ck_assert_int_eq(read_all(&nr), -EBADMSG);
			ck_assert_uint_eq(nr, a);
		}
		for (unsigned int i = 0; i + 1 < NR_RECORDS; i++)
			order[i] = i + (i >= a);
		sample_from_pieces(copy, order, NR_RECORDS - 1);
		ck_assert_int_eq(read_all(&nr), a + 1 < NR_RECORDS ? -EBADMSG : 0);
		ck_assert_uint_eq(nr, a);
		for (unsigned int i = 0; i <= NR_RECORDS; i++)
			order[i] = i - (i > a);
		sample_from_pieces(copy, order, NR_RECORDS + 1);
		ck_assert_int_eq(read_all(&nr), -EBADMSG);
		ck_assert_uint_eq(nr, a + 1);
	}
	free(copy);
}
END_TEST

/* The tail of another journal, with the right sequence numbers. */
START_TEST(patched_together)
{
	struct memory_file other;
	unsigned int nr;

	make_sample();
	other = file;
	memset(&file, 0, sizeof(file));
	journal_writer_init(&writer, memory_file_sink(&file));
	contents[0] ^= 1;
	for (unsigned int i = 0; i < NR_RECORDS; i++)
		ck_assert_int_eq(put_sample(i), 0);
	contents[0] ^= 1;
	ck_assert_uint_eq(file.size, other.size);
	/* Records 0 and 1 are the same in both; 2 differs; 3 is the same but for its chain. */
	memcpy(other.bytes + ends[2], file.bytes + ends[2], file.size - ends[2]);
	memory_file_free(&file);
	file = other;
	reopen();
	expect_error(read_all(&nr), -EBADMSG, "head of a record");
	ck_assert_uint_eq(nr, 3);
}
END_TEST

START_TEST(foreign)
{
	static const char *const texts[] = {
		"\n", "m\n", "mctljrn\n", "#!/bin/sh\n", "{ \"schema\": \"mirrorctl/1\" }",
		"MCTLJRNL and so on, for more than the sixty-four bytes of the head of a record",
		"# mapfile\n0x0 0x1 +\n, for more than the sixty-four bytes that a head has at least",
	};
	static const unsigned char zeros[4096];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		file.size = 0;
		put_bytes(&file, texts[i], strlen(texts[i]));
		reopen();
		expect_error(next(), -EBADMSG, "not a journal");
	}
	for (size_t n = 1; n < sizeof(zeros); n += 63) {
		file.size = 0;
		put_bytes(&file, zeros, n);
		reopen();
		expect_error(next(), -EBADMSG, "not a journal");
	}
	file.size = 0;
	reopen();
	ck_assert_int_eq(next(), 0);
	ck_assert_uint_eq(reader.sequence, 0);
	ck_assert(!reader.committed);

	/* Something behind a good journal: a newline, zeros of a file system. */
	make_sample();
	for (size_t n = 1; n < 100; n += 9) {
		unsigned int nr;

		file.size = ends[NR_RECORDS - 1];
		put_bytes(&file, n == 1 ? (const void *)"\n" : zeros, n);
		reopen();
		expect_error(read_all(&nr), -EBADMSG, "no record begins here");
		ck_assert_uint_eq(nr, NR_RECORDS);
	}
}
END_TEST

/* --- hostile records with right checksums -------------------------------- */

static void refused(const char *says)
{
	int r;

	reopen();
	while ((r = next()) == 1)
		;
	expect_error(r, -EBADMSG, says);
	file.size = 0;
}

static struct forger begin(void)
{
	struct forger forger = { .sequence = 0 };

	file.size = 0;
	forge(&forger, JOURNAL_IDENTITY, "{}", 2);
	return forger;
}

START_TEST(hostile_heads)
{
	struct forger forger = begin();

	forge_as(&forger, JOURNAL_COMMIT, 2, 0, NULL, 0);
	refused("version 2");
	forger = begin();
	forge(&forger, 0, NULL, 0);
	refused("unknown type");
	forger = begin();
	forge(&forger, 8, NULL, 0);
	refused("unknown type");
	forger = begin();
	forger.sequence = 7;
	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	refused("missing");
	forger = begin();
	memset(forger.chain, 0, 32);
	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	refused("head of a record");
}
END_TEST

/* What a head says is neither allocated nor read beyond the limit. */
START_TEST(hostile_lengths)
{
	static const uint32_t beyond[] = {
		UINT32_MAX, UINT32_MAX - 7, 1u << 31, 1u << 24, (1u << 24) - 7,
	};

	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
		struct forger forger = begin();

		forge_as(&forger, JOURNAL_BYTES, 1, beyond[i], contents, 512);
		refused("too long");
		ck_assert_uint_le(file.largest_read, 64);
	}
	{
		struct forger forger = begin();

		forge_as(&forger, JOURNAL_BYTES, 1, (1u << 24) - 8, contents, 512);
		reopen();
		ck_assert_int_eq(next(), 1);
		expect_error(next(), -ENODATA, "cut short");
		ck_assert_uint_eq(file.largest_read, JOURNAL_PAYLOAD_MAX - 8);
	}
}
END_TEST

START_TEST(hostile_order)
{
	struct forger forger = { .sequence = 0 };

	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	refused("without an identity");
	forger = begin();
	forge(&forger, JOURNAL_IDENTITY, "{}", 2);
	refused("second identity");
	forger = begin();
	forge(&forger, JOURNAL_OUTCOME, NULL, 0);
	refused("outcome without a commit");
	forger = begin();
	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	refused("behind the commit");
	forger = begin();
	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	forge_bytes(&forger, 0, 0, 0, 1, contents, 512);
	refused("behind the commit");
	forger = begin();
	forge_state(&forger, AREA, NR_REGIONS);
	forge_state(&forger, AREA, NR_REGIONS);
	refused("second log state");
	forger = begin();
	forge_bytes(&forger, JOURNAL_LOG, 0, 0, 1, contents, 512);
	refused("not described");
}
END_TEST

/* Only an open journal has anything but outcomes behind its commit. */
START_TEST(hostile_open)
{
	unsigned char payload[80] = { 0 };
	static unsigned char replaced[SECTOR_BYTES + JOURNAL_FINGERPRINT_BYTES];
	struct forger forger = begin();
	uint64_t run[2] = { htole64(3), htole64(4) };

	memset(payload + 16, 7, 32);
	payload[1] = AREA >> 8;
	payload[8] = 32;
	for (unsigned int i = 0; i < 9; i++) {
		forger = begin();
		forge(&forger, JOURNAL_LOG_STATE, payload, sizeof(payload));
		if (i == 6)
			forge_bytes(&forger, 0, JOURNAL_REPLACED, 0, 1, replaced, sizeof(replaced));
		if (i < 2)
			forge_bytes(&forger, i ? 0 : JOURNAL_LOG, JOURNAL_NEW, 0, 1, contents, 512);
		if (i == 2)
			forge(&forger, JOURNAL_SET, NULL, 0);
		forge(&forger, JOURNAL_COMMIT, NULL, 0);
		if (i == 3)
			forge_bytes(&forger, JOURNAL_LOG, JOURNAL_OLD, 0, 1, contents, 512);
		if (i == 4)
			forge_bytes(&forger, 9, JOURNAL_OLD, 0, 1, contents, 512);
		if (i > 6)
			forge_bytes(&forger, 0, i == 7 ? JOURNAL_OLD : JOURNAL_REPLACED, 0, 1, replaced,
				    SECTOR_BYTES);
		run[1] = htole64(32);
		if (i == 5)
			forge(&forger, JOURNAL_SET, run, sizeof(run));
		refused(i < 2 ? "does not know any" : i == 2 ? "outcome without a commit" :
			i == 3 ? "behind the commit" : i == 4 ? "place" :
			i == 5 ? "behind the last" : i == 6 ? "in front of the commit" :
			i == 7 ? "not what has replaced them" : "wrong length");
	}
	forger = begin();
	payload[48] = 1;
	forge(&forger, JOURNAL_LOG_STATE, payload, sizeof(payload));
	forge(&forger, JOURNAL_COMMIT, NULL, 0);
	forge(&forger, JOURNAL_SET, NULL, 0);
	refused("cannot have any");
}
END_TEST

START_TEST(hostile_identity)
{
	struct forger forger = { .sequence = 0 };

	forge(&forger, JOURNAL_IDENTITY, NULL, 0);
	refused("no text");
	memset(&forger, 0, sizeof(forger));
	forge(&forger, JOURNAL_IDENTITY, "{}\0{}", 5);
	refused("no text");
	memset(&forger, 0, sizeof(forger));
	forge(&forger, JOURNAL_IDENTITY, "{} longer", 9);
	file.bytes[file.size - 1] = 1;
	refused("padding");
}
END_TEST

START_TEST(hostile_log_state)
{
	static const struct { uint64_t area_bytes, nr_regions; } states[] = {
		{ 2048, 0 }, { 2048, UINT64_C(1) << 32 }, { 2048, UINT64_MAX },
		{ 1024, 1 }, { 0, 1 }, { 2047, 8 }, { 1536, 4097 }, { UINT64_MAX - 511, 8 },
		{ UINT64_C(1) << 40, 8 },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct forger forger = begin();

		forge_state(&forger, states[i].area_bytes, states[i].nr_regions);
		refused(i < 3 ? "number of regions" : "impossible size");
	}
	for (size_t n = 0; n < 100; n++) {
		struct forger forger = begin();

		if (n == 80)
			continue;
		forge(&forger, JOURNAL_LOG_STATE, contents, n);
		refused("wrong length");
	}
	{
		struct forger forger = begin();

		forge_state(&forger, 1536, 4096);	/* just fits */
		reopen();
		ck_assert_int_eq(next(), 1);
		ck_assert_int_eq(next(), 1);
	}
}
END_TEST

START_TEST(hostile_bytes)
{
	static const struct {
		uint32_t place, kind;
		uint64_t start, sectors;
		const char *says;
	} cases[] = {
		{ 9, 0, 0, 1, "place that does not exist" },
		{ 0xfffe, 0, 0, 1, "place that does not exist" },
		{ 0x1ffff, 0, 0, 1, "place that does not exist" },
		{ 0, 2, 0, 1, "wrong length" },
		{ 0, 3, 0, 1, "neither old nor new" },
		{ 0, UINT32_MAX, 0, 1, "neither old nor new" },
		{ 0, 0, 0, 0, "wrong length" },
		{ 0, 0, 0, 2, "wrong length" },
		{ 0, 0, 0, UINT64_C(1) << 55 | 1, "wrong length" },
		{ 0, 0, 0, UINT64_MAX, "wrong length" },
		{ 0, 0, UINT64_MAX, 1, "behind the end" },
		{ 0, 0, REGION_LENGTH_MAX, 1, "behind the end" },
		{ JOURNAL_LOG, 0, 4, 1, "behind the end" },
		{ JOURNAL_LOG, 0, UINT64_MAX, 1, "behind the end" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forger forger = begin();

		forge_state(&forger, AREA, NR_REGIONS);
		forge_bytes(&forger, cases[i].place, cases[i].kind, cases[i].start,
			    cases[i].sectors, contents, 512);
		refused(cases[i].says);
	}
	for (size_t n = 0; n < 24 + 512; n += 1 + n / 24 * 50) {
		struct forger forger = begin();

		forge(&forger, JOURNAL_BYTES, contents + 1024, n);
		refused(n < 24 ? "without a place" : "");
	}
	{
		struct forger forger = begin();

		forge_state(&forger, AREA, NR_REGIONS);
		forge_bytes(&forger, 0, 0, REGION_LENGTH_MAX - 1, 1, contents, 512);
		forge_bytes(&forger, JOURNAL_LOG, 0, 3, 1, contents, 512);
		forge_bytes(&forger, 0, 0, 0, 0, contents, 0);
		reopen();
		for (int i = 0; i < 4; i++)
			ck_assert_msg(next() == 1, "%s", err.text);
		expect_error(next(), -EBADMSG, "behind the end");
	}
}
END_TEST

static void forge_region(uint64_t region, uint32_t nr_legs, uint32_t reserved, size_t digests,
			 bool with_state)
{
	struct forger forger = begin();
	struct payload payload = { .size = 0 };

	if (with_state)
		forge_state(&forger, AREA, NR_REGIONS);
	add64(&payload, region);
	add32(&payload, nr_legs);
	add32(&payload, reserved);
	add_data(&payload, contents, digests);
	forge_payload(&forger, JOURNAL_REGION, &payload);
}

START_TEST(hostile_region)
{
	struct forger forger;

	forge_region(NR_REGIONS, 2, 0, 64, true);
	refused("behind the last one");
	forge_region(REGION_COUNT_MAX, 2, 0, 64, false);
	refused("behind the last one");
	forge_region(0, 1, 0, 32, true);
	refused("number of legs");
	forge_region(0, 10, 0, 320, true);
	refused("number of legs");
	forge_region(0, UINT32_MAX, 0, 64, true);
	refused("number of legs");
	forge_region(0, 2, 0, 63, true);
	refused("wrong length");
	forge_region(0, 2, 0, 96, true);
	refused("wrong length");
	forge_region(0, 9, 0, 9 * 32 - 32, true);
	refused("wrong length");
	forge_region(0, 2, 1, 64, true);
	refused("wrong length");
	forger = begin();
	forge(&forger, JOURNAL_REGION, contents, 15);
	refused("wrong length");
	forge_region(0, 9, 0, 9 * 32, true);
	reopen();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(next(), 1);
	ck_assert_uint_eq(record.region.nr_legs, 9);
	ck_assert(!memcmp(record.region.digest, contents, 9 * 32));
}
END_TEST

START_TEST(hostile_outcome)
{
	static const struct { uint64_t runs[4]; size_t bytes; const char *says; } cases[] = {
		{ { 5, 4 }, 16, "out of order" },
		{ { 0, NR_REGIONS }, 16, "behind the last" },
		{ { 0, UINT64_MAX }, 16, "behind the last" },
		{ { 0, 5, 5, 6 }, 32, "out of order" },
		{ { 7, 8, 1, 2 }, 32, "out of order" },
		{ { 0, 1, 2, 3 }, 24, "wrong length" },
		{ { 0, 1 }, 15, "wrong length" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forger forger = begin();
		struct payload payload = { .size = 0 };

		forge_state(&forger, AREA, NR_REGIONS);
		forge(&forger, JOURNAL_COMMIT, NULL, 0);
		for (int j = 0; j < 4; j++)
			add64(&payload, cases[i].runs[j]);
		payload.size = cases[i].bytes;
		forge_payload(&forger, JOURNAL_OUTCOME, &payload);
		refused(cases[i].says);
	}
	{
		struct forger forger = begin();

		forge(&forger, JOURNAL_COMMIT, contents, 8);
		refused("commit of wrong length");
	}
}
END_TEST

/* --- a source that fails ------------------------------------------------- */

START_TEST(source_fails)
{
	unsigned int reads, nr;

	make_sample();
	ck_assert_int_eq(read_all(&nr), 0);
	reads = file.reads;
	for (unsigned int at = 1; at <= reads; at++) {
		file.reads = 0;
		file.fail_read_at = at;
		reopen();
		for (nr = 0; next() == 1; nr++)
			check_sample(nr);
		expect_error(-EIO, -EIO, "cannot read at byte");
		/* It was the wire: the same reader goes on. */
		for (; next() == 1; nr++)
			check_sample(nr);
		ck_assert_uint_eq(nr, NR_RECORDS);
	}
	file.fail_read_at = 0;
	file.lie = 1;
	reopen();
	expect_error(next(), -EIO, "cannot read at byte 0");
}
END_TEST

/* --- a sink that fails --------------------------------------------------- */

static void sink_fails_at(unsigned int at, bool half, int with)
{
	unsigned int i, complete = 0, nr;
	size_t left;
	int r = 0;

	file.size = 0;
	file.appends = 0;
	file.fail_at = at;
	file.fail_whole = !half;
	file.fail_with = with;
	journal_writer_init(&writer, memory_file_sink(&file));
	for (i = 0; i < NR_RECORDS && !r; i++) {
		r = put_sample(i);
		complete += !r;
	}
	ck_assert_int_eq(r, with < 0 ? with : -EIO);
	left = file.size;
	/* Nothing follows half a record, least of all a commit. */
	for (i = 0; i < NR_RECORDS; i++)
		ck_assert_int_eq(put_sample(i), with < 0 ? with : -EIO);
	ck_assert_uint_eq(file.size, left);
	ck_assert_uint_eq(file.appends, at);
	ck_assert(writer.committed == (complete > 6));

	reopen();
	r = read_all(&nr);
	ck_assert_uint_eq(nr, complete);
	ck_assert(r == 0 || r == -ENODATA);
	ck_assert(reader.committed == (complete > 6));
}

START_TEST(sink_fails)
{
	unsigned int appends;

	make_sample();
	appends = file.appends;
	ck_assert_uint_gt(appends, NR_RECORDS);
	for (unsigned int at = 1; at <= appends; at++) {
		sink_fails_at(at, false, -ENOSPC);
		sink_fails_at(at, true, -EIO);
		sink_fails_at(at, true, 1);
	}
}
END_TEST

/* --- a writer that is used wrongly --------------------------------------- */

static void fresh(unsigned int records)
{
	file.size = 0;
	journal_writer_init(&writer, memory_file_sink(&file));
	for (unsigned int i = 0; i < records; i++)
		ck_assert_int_eq(put_sample(i), 0);
	file.appends = 0;
}

/* Refused, not a byte of it written, and no commit can follow. */
static void is_refused(int r)
{
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_int_eq(journal_put_commit(&writer), -EINVAL);
	ck_assert_uint_eq(file.appends, 0);
}

START_TEST(writer_order)
{
	make_sample();
	for (unsigned int i = 1; i < NR_RECORDS; i++) {
		fresh(0);
		is_refused(put_sample(i));
	}
	fresh(1);
	is_refused(put_sample(0));
	fresh(1);
	is_refused(put_sample(2));
	fresh(2);
	is_refused(put_sample(1));
	fresh(2);
	is_refused(put_sample(7));
	for (unsigned int i = 0; i < 7; i++) {
		fresh(7);
		is_refused(put_sample(i));
	}
}
END_TEST

START_TEST(writer_bounds)
{
	struct journal_log_state state = sample_state();
	struct journal_bytes bytes = sample_bytes(0, JOURNAL_OLD);
	struct journal_region region = sample_region();
	struct region_run bad[] = { { 4, 7 }, { 7, 8 } };
	struct journal_outcome outcome = { .runs = bad, .nr_runs = 2 };

	make_sample();
	fresh(0);
	is_refused(journal_put_identity(&writer, ""));
	fresh(1);
	state.nr_regions = 0;
	is_refused(journal_put_log_state(&writer, &state));
	fresh(2);
	bytes.sectors = 0;
	is_refused(journal_put_bytes(&writer, &bytes));
	fresh(2);
	bytes.sectors = UINT64_MAX;
	is_refused(journal_put_bytes(&writer, &bytes));
	fresh(2);
	bytes = sample_bytes(9, JOURNAL_OLD);
	is_refused(journal_put_bytes(&writer, &bytes));
	fresh(2);
	bytes = sample_bytes(JOURNAL_LOG, JOURNAL_OLD);
	bytes.start_sector = 3;
	is_refused(journal_put_bytes(&writer, &bytes));
	fresh(2);
	region.region = NR_REGIONS;
	is_refused(journal_put_region(&writer, &region));
	fresh(2);
	region = sample_region();
	region.nr_legs = 10;
	is_refused(journal_put_region(&writer, &region));
	fresh(7);
	is_refused(journal_put_outcome(&writer, &outcome));
}
END_TEST

/* --- more than a record holds -------------------------------------------- */

START_TEST(splits_bytes)
{
	uint64_t sectors = 2 * 16384 + 5, done = 0, seed = 5;
	struct journal_bytes bytes = { .place = 3, .kind = JOURNAL_NEW, .start_sector = 77,
				       .sectors = sectors };
	unsigned char *data = malloc(sectors * SECTOR_BYTES);
	unsigned int nr = 0;

	for (uint64_t i = 0; i < sectors * SECTOR_BYTES; i++)
		data[i] = (unsigned char)(seed = seed * 6364136223846793005u + 1, seed >> 56);
	bytes.data = data;
	ck_assert_int_eq(put_sample(0), 0);
	ck_assert_int_eq(journal_put_bytes(&writer, &bytes), 0);
	ck_assert_int_eq(put_sample(6), 0);
	ck_assert_int_eq(next(), 1);
	while (next() == 1 && record.type == JOURNAL_BYTES) {
		ck_assert_uint_eq(record.bytes.place, 3);
		ck_assert_int_eq(record.bytes.kind, JOURNAL_NEW);
		ck_assert_uint_eq(record.bytes.start_sector, 77 + done);
		ck_assert(!memcmp(record.bytes.data, data + done * SECTOR_BYTES,
				  record.bytes.sectors * SECTOR_BYTES));
		done += record.bytes.sectors;
		nr++;
	}
	ck_assert_uint_eq(done, sectors);
	ck_assert_uint_eq(nr, 3);
	ck_assert(reader.committed);
	ck_assert_uint_le(file.largest_read, JOURNAL_PAYLOAD_MAX);
	free(data);
}
END_TEST

START_TEST(splits_outcome)
{
	size_t nr_runs = 2 * 65536 + 1, done = 0;
	struct region_run *many = malloc(nr_runs * sizeof(*many));
	struct journal_outcome outcome = { .runs = many, .nr_runs = nr_runs };

	for (size_t i = 0; i < nr_runs; i++)
		many[i] = (struct region_run){ .first = 3 * i, .last = 3 * i + i % 2 };
	ck_assert_int_eq(put_sample(0), 0);
	ck_assert_int_eq(put_sample(6), 0);
	ck_assert_int_eq(journal_put_outcome(&writer, &outcome), 0);
	ck_assert_int_eq(next(), 1);
	ck_assert_int_eq(next(), 1);
	while (next() == 1) {
		ck_assert(!memcmp(record.outcome.runs, many + done,
				  record.outcome.nr_runs * sizeof(*many)));
		done += record.outcome.nr_runs;
	}
	ck_assert_int_eq(err.kind, ERROR_NONE);
	ck_assert_uint_eq(done, nr_runs);
	free(many);
}
END_TEST

/* --- carrying on --------------------------------------------------------- */

/* A journal that was read to its end takes outcomes, also after a torn one. */
START_TEST(carries_on)
{
	unsigned int nr;

	make_sample();
	for (size_t cut = ends[6]; cut < ends[7]; cut += 9) {
		file.size = cut;
		reopen();
		read_all(&nr);
		ck_assert_uint_eq(nr, 7);
		file.size = reader.offset;
		journal_writer_continue(&writer, memory_file_sink(&file), &reader);
		file.appends = 0;
		is_refused(journal_put_identity(&writer, "{}"));
		journal_writer_continue(&writer, memory_file_sink(&file), &reader);
		ck_assert_int_eq(put_sample(7), 0);
		ck_assert_int_eq(put_sample(8), 0);
		reopen();
		ck_assert_int_eq(read_all(&nr), 0);
		ck_assert_uint_eq(nr, NR_RECORDS);
	}
	/* The bounds of the log state still hold. */
	file.size = ends[6];
	reopen();
	read_all(&nr);
	{
		struct region_run beyond = { NR_REGIONS - 1, NR_REGIONS };
		struct journal_outcome outcome = { .runs = &beyond, .nr_runs = 1 };

		journal_writer_continue(&writer, memory_file_sink(&file), &reader);
		ck_assert_int_eq(journal_put_outcome(&writer, &outcome), -EINVAL);
	}
}
END_TEST

Suite *journal_suite(void)
{
	Suite *suite = suite_create("journal");
	TCase *tests = tcase_create("journal");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, format);
	tcase_add_test(tests, digest);
	tcase_add_test(tests, cut_at_every_byte);
	tcase_add_test(tests, every_bit_flipped);
	tcase_add_test(tests, flipped_then_cut);
	tcase_add_test(tests, reordered);
	tcase_add_test(tests, patched_together);
	tcase_add_test(tests, foreign);
	tcase_add_test(tests, hostile_heads);
	tcase_add_test(tests, hostile_lengths);
	tcase_add_test(tests, hostile_order);
	tcase_add_test(tests, hostile_open);
	tcase_add_test(tests, hostile_identity);
	tcase_add_test(tests, hostile_log_state);
	tcase_add_test(tests, hostile_bytes);
	tcase_add_test(tests, hostile_region);
	tcase_add_test(tests, hostile_outcome);
	tcase_add_test(tests, source_fails);
	tcase_add_test(tests, sink_fails);
	tcase_add_test(tests, writer_order);
	tcase_add_test(tests, writer_bounds);
	tcase_add_test(tests, splits_bytes);
	tcase_add_test(tests, splits_outcome);
	tcase_add_test(tests, carries_on);
	suite_add_tcase(suite, tests);
	return suite;
}
