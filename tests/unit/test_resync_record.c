/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is written down of a resync, and what an undo reads of it: open journals, cut and
 * torn anywhere; read backwards; and which bits may be cleared by them.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_log.h"
#include "core/resync_record.h"
#include "core/undo.h"
#include "support/audit_world.h"
#include "support/repair_world.h"
#include "support/sim_disk.h"
#include "unit/suites.h"

#define AREA 2048u
#define NR 100u				/* regions */
#define LENGTH 800u			/* sectors */

static const char identity_text[] =
	"{\"kind\":\"weak\",\"id\":\"\",\"length_bytes\":409600,\"region_size_bytes\":4096,"
	"\"legs\":[\"a\",\"b\"],\"log\":\"c\"}";

static struct {
	struct memory_file file;
	struct journal_writer writer;
	_Alignas(8) unsigned char before[AREA], after[AREA];
	struct leg_ends ends;
	struct undo_journal undo;
	uint64_t cut_at;
	struct error err;
} t;

static void header(unsigned char *area, uint32_t version, uint64_t nr_regions)
{
	uint32_t magic = htole32(MIRROR_LOG_MAGIC);

	version = htole32(version);
	nr_regions = htole64(nr_regions);
	memcpy(area, &magic, 4);
	memcpy(area + 4, &version, 4);
	memcpy(area + 8, &nr_regions, 8);
}

static void bit(unsigned char *area, unsigned int region, bool value)
{
	unsigned char *byte = &area[MIRROR_LOG_BITS_OFFSET + region / 8];

	*byte = (unsigned char)(value ? *byte | 1u << region % 8 : *byte & ~(1u << region % 8));
}

static void setup(void)
{
	memset(&t, 0, sizeof(t));
	header(t.before, 2, NR);
	header(t.after, 2, NR);
	journal_writer_init(&t.writer, memory_file_sink(&t.file));
	leg_ends_init(&t.ends, 2, LENGTH);
	for (unsigned int i = 0; i < 4; i++) {
		t.ends.data[i / 2][i % 2] = malloc(LEG_END_SECTORS * SECTOR_BYTES);
		memset(t.ends.data[i / 2][i % 2], (int)i + 1, LEG_END_SECTORS * SECTOR_BYTES);
	}
}

static void teardown(void)
{
	leg_ends_free(&t.ends);
	undo_journal_free(&t.undo);
	memory_file_free(&t.file);
}

static void begin(void)
{
	const struct resync_record record = {
		.identity = identity_text, .area = t.before, .area_bytes = AREA,
		.nr_regions = NR, .ends = &t.ends,
	};

	ck_assert_int_eq(resync_record_begin(&t.writer, &record, "it", &t.err), 0);
	ck_assert_int_eq(journal_put_commit(&t.writer), 0);
}

static void keep(unsigned int leg, uint64_t sector, uint64_t sectors, unsigned char fill)
{
	unsigned char *data = malloc(sectors * SECTOR_BYTES);
	unsigned char *new = calloc(sectors, SECTOR_BYTES);

	memset(data, fill, sectors * SECTOR_BYTES);
	for (uint64_t i = 0; i < sectors; i++)
		new[i * SECTOR_BYTES] = (unsigned char)(sector + i);
	ck_assert_int_eq(resync_record_keep(&t.writer, leg, sector, sectors, data, new), 0);
	free(data);
	free(new);
}

static void end(void)
{
	ck_assert_int_eq(resync_record_end(&t.writer, t.before, t.after, AREA, NR), 0);
}

static int read_back(void)
{
	struct journal_source source = memory_file_source(&t.file);

	undo_journal_free(&t.undo);
	t.err.kind = ERROR_NONE;
	return undo_journal_read(&t.undo, &source, &t.cut_at, &t.err);
}

/* --- what is read back ---------------------------------------------------- */

START_TEST(round_trip)
{
	begin();
	keep(1, 8, 3, 9);
	keep(0, 700, 1, 8);
	bit(t.before, 5, true);		/* set, then cleared */
	bit(t.after, 7, true);
	bit(t.after, 8, true);
	bit(t.after, NR - 1, true);
	end();
	ck_assert_int_eq(read_back(), 0);
	ck_assert(t.undo.open && t.undo.committed && t.undo.has_log && t.undo.has_set);
	ck_assert(!t.undo.torn && !t.cut_at);
	ck_assert_uint_eq(t.undo.overwritten[0], 1);
	ck_assert_uint_eq(t.undo.overwritten[1], 3);
	ck_assert_uint_eq(bitmap_count(&t.undo.set), 3);
	ck_assert(bitmap_test(&t.undo.set, 7) && bitmap_test(&t.undo.set, NR - 1));
	ck_assert_uint_eq(bitmap_count(&t.undo.cleared), 1);
	ck_assert(bitmap_test(&t.undo.cleared, 5));
	for (unsigned int i = 0; i < 4; i++)
		ck_assert_mem_eq(t.undo.ends.data[i / 2][i % 2], t.ends.data[i / 2][i % 2],
				 LEG_END_SECTORS * SECTOR_BYTES);
	ck_assert_uint_eq(t.undo.nr_blocks, 1);
	ck_assert_uint_eq(t.undo.blocks[0].sectors, AREA / SECTOR_BYTES);
}
END_TEST

/* In front of the commit nothing was written; behind it what is whole counts, be it cut or
 * be there anything else than what was written. Every byte around the ends of records and
 * in the last of them; of the ends of the legs, which are a quarter of a MiB, a few. */
#define DENSE 48u

static size_t next_place(size_t at, const size_t *ends, unsigned int nr_ends)
{
	size_t step = 3989 / world_rounds(4), gap;

	for (unsigned int i = 0; i < nr_ends; i++) {
		if (at < ends[i] + DENSE && ends[i] < at + DENSE)
			return at + 1 + 30 / world_rounds(30);
		gap = at < ends[i] ? ends[i] - DENSE - at + 1 : step;
		step = gap < step ? gap : step;
	}
	return at + step;
}

START_TEST(cut_and_torn_everywhere)
{
	size_t committed, records[3], whole, ends[6] = { 0 };

	begin();
	committed = ends[1] = t.file.size;
	for (unsigned int i = 0; i < 3; i++) {
		keep(1, 100 + i, 1, (unsigned char)i);
		records[i] = ends[2 + i] = t.file.size;
	}
	end();
	whole = ends[5] = t.file.size;
	for (size_t size = 0; size <= whole; size = next_place(size, ends, 6)) {
		uint64_t nr = 0;

		for (unsigned int i = 0; i < 3; i++)
			nr += size >= records[i];
		t.file.size = size;
		if (size < committed) {
			ck_assert_int_eq(read_back(), -ENODATA);
			ck_assert(!t.undo.committed);
			continue;
		}
		ck_assert_int_eq(read_back(), 0);
		ck_assert_uint_eq(t.undo.overwritten[1], nr);
		ck_assert(t.undo.has_set == (size == whole));
		ck_assert(!t.undo.torn);
	}
	t.file.size = whole;
	for (size_t at = 0; at < whole; at = next_place(at, ends, 6)) {
		int r;

		t.file.bytes[at] ^= 4;
		r = read_back();
		if (r != (at < committed ? -EBADMSG : 0) ||
		    (!r && (!t.undo.torn || t.cut_at > at)))
			ck_abort_msg("byte %zu: %d %s", at, r, t.err.text);
		for (unsigned int i = 0; !r && i < 3; i++)
			ck_assert(at >= records[i] ? t.undo.overwritten[1] > i :
				  t.undo.overwritten[1] <= i);
		t.file.bytes[at] ^= 4;
	}
}
END_TEST

static void expect_refused(const char *says)
{
	ck_assert_int_eq(read_back(), -EBADMSG);
	ck_assert_msg(strstr(t.err.text, says) != NULL, "%s", t.err.text);
	ck_assert_ptr_null(t.undo.blocks);
}

/* Every checksum right, and yet no resync has written it. */
START_TEST(forged)
{
	struct journal_log_state state = { .area_bytes = AREA, .nr_regions = NR };
	static unsigned char zeros[128 * SECTOR_BYTES];
	struct journal_bytes log = { JOURNAL_LOG, JOURNAL_OLD, 0, 1, t.before, NULL };
	struct journal_bytes no_end = { 1, JOURNAL_OLD, 128, 128, zeros, NULL };

	ck_assert_int_eq(journal_put_identity(&t.writer, identity_text), 0);
	ck_assert_int_eq(journal_put_log_state(&t.writer, &state), 0);
	if (_i < 5)
		ck_assert_int_eq(journal_put_bytes(&t.writer, &log), 0);
	log.start_sector = _i ? 1 : 2;
	log.sectors = _i == 1 ? 2 : 3;
	if (_i == 0 || (_i > 1 && _i < 5))
		log.sectors = _i == 0 ? 2 : 3;
	if (_i < 5)
		ck_assert_int_eq(journal_put_bytes(&t.writer, &log), 0);
	if (_i == 2)
		ck_assert_int_eq(journal_put_bytes(&t.writer, &no_end), 0);
	if (_i == 0)
		return expect_refused("a gap in the log");
	if (_i == 2)
		return expect_refused("other sectors of a leg");
	ck_assert_int_eq(journal_put_commit(&t.writer), 0);
	if (_i == 1 || _i == 5)
		return expect_refused("a part of the log");
	keep(_i == 3 ? 2 : 1, _i == 3 ? 0 : LENGTH - 1, _i == 3 ? 1 : 2, 0);
	expect_refused("a leg that the mirror does not have");
}
END_TEST

START_TEST(identity_of_what)
{
	struct journal_log_state state = { .area_bytes = AREA, .nr_regions = NR };
	struct journal_bytes log = { JOURNAL_LOG, JOURNAL_OLD, 0, 4, t.before, NULL };

	ck_assert_int_eq(journal_put_identity(&t.writer, "{\"kind\":\"weak\"}"), 0);
	ck_assert_int_eq(journal_put_log_state(&t.writer, &state), 0);
	ck_assert_int_eq(journal_put_bytes(&t.writer, &log), 0);
	ck_assert_int_eq(journal_put_commit(&t.writer), 0);
	ck_assert_int_eq(read_back(), 0);
	keep(1, 0, 1, 0);
	ck_assert_int_eq(read_back(), -EBADMSG);
}
END_TEST

START_TEST(sink_fails)
{
	const struct resync_record record = {
		.identity = identity_text, .area = t.before, .area_bytes = AREA,
		.nr_regions = NR, .ends = &t.ends,
	};

	t.file.fail_at = (unsigned int)_i;
	t.file.fail_with = -ENOSPC;
	ck_assert_int_eq(resync_record_begin(&t.writer, &record, "the undo file", &t.err), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(t.err.text, "the undo file cannot be written: "));
	ck_assert_ptr_nonnull(strstr(t.err.text, "nothing was changed"));
	ck_assert_int_lt(journal_put_commit(&t.writer), 0);
}
END_TEST

/* --- backwards ------------------------------------------------------------ */

/* The first version of each sector, as the last call leaves it. */
static struct {
	unsigned char held[2][70000], want[2][70000];
	uint64_t calls, items;
	int stop;
} image;

static int take(void *context, const struct journal_bytes *items, size_t nr_items,
		struct error *err)
{
	ck_assert_ptr_eq(context, &image);
	(void)err;
	image.calls++;
	for (size_t i = 0; i < nr_items; i++, image.items++) {
		const struct journal_bytes *item = &items[i];

		if (i && item->place == item[-1].place)
			ck_assert_uint_ge(item->start_sector,
					  item[-1].start_sector + item[-1].sectors);
		else
			ck_assert(!i || item->place > item[-1].place);
		for (uint64_t at = 0; at < item->sectors; at++) {
			unsigned char print[JOURNAL_FINGERPRINT_BYTES], new[SECTOR_BYTES] = {
				(unsigned char)(item->start_sector + at) };

			journal_fingerprint(print, new);
			ck_assert_mem_eq(item->replaced_by + at * sizeof(print), print,
					 sizeof(print));
			image.held[item->place][item->start_sector + at] =
				item->data[at * SECTOR_BYTES];
		}
	}
	return image.stop;
}

static int backwards(void)
{
	struct journal_source source = memory_file_source(&t.file);

	ck_assert_msg(!read_back(), "%s", t.err.text);
	return journal_backwards(&t.undo.marks, &source, take, &image, &t.err);
}

/* Half a million sectors of a mirror that is longer than the usual one. */
static void begin_long(void)
{
	static const char text[] =
		"{\"kind\":\"dm\",\"id\":\"x\",\"length_bytes\":35840000,"
		"\"region_size_bytes\":4096,\"legs\":[\"a\",\"b\"],\"log\":\"c\"}";
	const struct resync_record record = {
		.identity = text, .area = t.before, .area_bytes = AREA, .nr_regions = NR,
	};

	memset(&image, 0, sizeof(image));
	ck_assert_int_eq(resync_record_begin(&t.writer, &record, "it", &t.err), 0);
	ck_assert_int_eq(journal_put_commit(&t.writer), 0);
}

START_TEST(first_version_wins)
{
	uint64_t random = (uint64_t)_i + 1, records = 0;

	begin_long();
	while (t.file.size < (_i ? 40u << 20 : 1u << 20)) {
		unsigned int leg = (unsigned int)world_below(&random, 2);
		uint64_t most = world_below(&random, 50) ? 100 : 30000;
		uint64_t sectors = 1 + world_below(&random, most);
		uint64_t start = world_below(&random, 70000 - sectors);
		unsigned char fill = (unsigned char)(1 + world_below(&random, 255));

		keep(leg, start, sectors, fill);
		records += (sectors + 16383) / 16384;
		for (uint64_t at = start; at < start + sectors; at++)
			if (!image.want[leg][at])
				image.want[leg][at] = fill;
	}
	ck_assert_int_eq(backwards(), 0);
	ck_assert_uint_eq(image.items, records);
	ck_assert_mem_eq(image.held, image.want, sizeof(image.held));
	if (_i)
		ck_assert_uint_ge(t.undo.marks.nr, 3);
	/* One that stops is asked no more. */
	image.calls = 0;
	image.stop = -ECANCELED;
	ck_assert_int_eq(backwards(), -ECANCELED);
	ck_assert_uint_eq(image.calls, 1);
	/* A file that is not what it was when the marks were made. */
	image.stop = 0;
	ck_assert_int_eq(read_back(), 0);
	t.file.bytes[t.file.size / 2] ^= 1;
	ck_assert_int_eq(journal_backwards(&t.undo.marks,
					   &(struct journal_source){
						memory_file_source(&t.file).read_at, &t.file, "f" },
					   take, &image, &t.err), -EBADMSG);
}
END_TEST

/* No sector twice: whole MiBs at a time. */
START_TEST(few_calls)
{
	begin_long();
	for (uint64_t at = 0; at < 69990; at += 7)
		keep(at / 7 % 2, at, 5, 1);
	ck_assert_int_eq(backwards(), 0);
	ck_assert_uint_eq(image.items, (69990 + 6) / 7);
	ck_assert_uint_le(image.calls, 4);
}
END_TEST

/* --- which bits ----------------------------------------------------------- */

static struct bitmap bits;

static uint64_t nr_bits(void)
{
	struct mirror_log now;
	uint64_t nr;

	mirror_log_decode(&now, t.after, AREA, NR);
	ck_assert_int_eq(undo_resync_bits(&bits, &t.undo, &now), 0);
	nr = bitmap_count(&bits);
	for (unsigned int region = 0; region < NR; region++)	/* never one that is not set */
		ck_assert(!bitmap_test(&bits, region) || (region < now.clean_bits.nr_bits &&
							  bitmap_test(&now.clean_bits, region)));
	bitmap_free(&bits);
	return nr;
}

START_TEST(bits_to_clear)
{
	for (unsigned int region = 0; region < 40; region++)
		bit(t.before, region, true);
	begin();
	memcpy(t.after, t.before, AREA);
	bit(t.after, 50, true);
	bit(t.after, 60, true);
	bit(t.after, 39, false);
	/* Killed: all that was not clean and is now. */
	ck_assert_int_eq(read_back(), 0);
	ck_assert_uint_eq(nr_bits(), 2);
	end();
	ck_assert_int_eq(read_back(), 0);
	ck_assert_uint_eq(nr_bits(), 2);
	/* What the kernel has made clean since is none of its business; what is not clean
	 * any more neither. */
	bit(t.after, 70, true);
	bit(t.after, 60, false);
	ck_assert_uint_eq(nr_bits(), 1);
	header(t.after, 3, NR);
	ck_assert_uint_eq(nr_bits(), 0);
}
END_TEST

/* Bits that nobody believed were not clean. */
START_TEST(bits_under_a_bad_header)
{
	memset(t.before + MIRROR_LOG_BITS_OFFSET, 0xff, 64);
	header(t.before, _i ? 2 : 3, _i ? 50 : NR);
	begin();
	memset(t.after + MIRROR_LOG_BITS_OFFSET, 0xff, 64);
	if (_i == 2)
		end();
	ck_assert_int_eq(read_back(), 0);
	ck_assert_uint_eq(nr_bits(), _i ? 50 : 100);
}
END_TEST

START_TEST(another_number_of_regions)
{
	struct mirror_log now;

	begin();
	ck_assert_int_eq(read_back(), 0);
	mirror_log_decode(&now, t.after, AREA, NR + 1);
	ck_assert_int_eq(undo_resync_bits(&bits, &t.undo, &now), -EINVAL);
}
END_TEST

/* --- is it still that mirror? --------------------------------------------- */

static bool fits(const char *says)
{
	char why[200] = "";
	bool r = undo_resync_fits(&t.undo, t.after, AREA, &t.ends, why, sizeof(why));

	ck_assert_msg(!says == r && (!says || strstr(why, says)), "%d %s", r, why);
	return r;
}

START_TEST(ends_of_legs)
{
	begin();
	ck_assert_int_eq(read_back(), 0);
	fits(NULL);
	/* Any sector may be that of another leg in the same place … */
	memcpy(t.ends.data[1][0] + 3 * SECTOR_BYTES, t.ends.data[0][0], SECTOR_BYTES);
	memcpy(t.ends.data[0][1] + 100 * SECTOR_BYTES, t.ends.data[1][1], SECTOR_BYTES);
	fits(NULL);
	/* … but not from elsewhere, nor anything else. */
	t.ends.data[1][1][LEG_END_SECTORS * SECTOR_BYTES - 1] ^= 1;
	fits("leg 1 holds something else");
	t.ends.data[1][1][LEG_END_SECTORS * SECTOR_BYTES - 1] ^= 1;
	memcpy(t.ends.data[0][0], t.ends.data[0][1], SECTOR_BYTES);
	fits("leg 0 holds something else");
	/* Not to be read, then or now: it proves nothing. */
	free(t.ends.data[0][0]);
	t.ends.data[0][0] = NULL;
	fits(NULL);
	for (unsigned int i = 1; i < 4; i++) {
		free(t.ends.data[i / 2][i % 2]);
		t.ends.data[i / 2][i % 2] = NULL;
	}
	fits("could be read");
	leg_ends_init(&t.ends, 2, LENGTH + 1);
	fits("another length");
}
END_TEST

START_TEST(around_the_bits)
{
	begin();
	ck_assert_int_eq(read_back(), 0);
	memset(t.after, 0x55, MIRROR_LOG_HEADER_BYTES);
	memset(t.after + MIRROR_LOG_BITS_OFFSET, 0x55, (NR + 7) / 8);
	fits(NULL);
	for (unsigned int at = MIRROR_LOG_HEADER_BYTES; at < AREA; at += 97) {
		if (at >= MIRROR_LOG_BITS_OFFSET && at < MIRROR_LOG_BITS_OFFSET + (NR + 7) / 8)
			continue;
		t.after[at] ^= 1;
		fits("the log holds something else");
		t.after[at] ^= 1;
	}
	t.after[MIRROR_LOG_BITS_OFFSET + (NR + 7) / 8] ^= 1;
	fits("the log holds something else");
}
END_TEST

/* --- reading the ends ------------------------------------------------------ */

START_TEST(ends_are_read)
{
	static const uint64_t lengths[] = { 1, 100, 256, 257, 800 };
	uint64_t length = lengths[_i];
	struct sim_disk *disks[2];
	struct block_device *legs[2];
	struct block_engine *engine = sim_engine_create(4, 2, 8192, 7);
	struct leg_ends ends;
	unsigned char sector[SECTOR_BYTES];

	for (unsigned int leg = 0; leg < 2; leg++) {
		disks[leg] = sim_disk_create("leg", 1024 * SECTOR_BYTES, leg ? 8 : 1);
		legs[leg] = sim_disk_device(disks[leg]);
		for (unsigned int i = 0; i < 1024; i++) {
			memset(sector, (int)(i % 251 + leg), sizeof(sector));
			sim_disk_poke(disks[leg], i * SECTOR_BYTES, sector, sizeof(sector));
		}
	}
	ck_assert_int_eq(leg_ends_read(&ends, engine, legs, 2, length), 0);
	ck_assert_uint_eq(ends.nr_ranges, length > 256 ? 2 : 1);
	for (unsigned int leg = 0; leg < 2; leg++)
		for (unsigned int i = 0; i < ends.nr_ranges; i++)
			for (uint64_t at = 0; at < ends.range[i].sectors; at++)
				ck_assert_uint_eq(ends.data[leg][i][at * SECTOR_BYTES + 511],
						  (ends.range[i].start + at) % 251 + leg);
	ck_assert_uint_eq(ends.range[ends.nr_ranges - 1].start +
			  ends.range[ends.nr_ranges - 1].sectors, length);
	leg_ends_free(&ends);
	/* What cannot be read is not known; what is missing neither. */
	sim_disk_fail(disks[1], &(struct sim_fault){ .op = BLOCK_READ, .first = length - 1,
						     .sectors = 1, .result = -EIO });
	legs[0] = NULL;
	ck_assert_int_eq(leg_ends_read(&ends, engine, legs, 2, length), 0);
	ck_assert_ptr_null(ends.data[0][0]);
	ck_assert_ptr_null(ends.data[1][ends.nr_ranges - 1]);
	ck_assert((ends.data[1][0] != NULL) == (ends.nr_ranges == 2));
	leg_ends_free(&ends);
	block_engine_destroy(engine);
	sim_disk_destroy(disks[0]);
	sim_disk_destroy(disks[1]);
}
END_TEST

Suite *resync_record_suite(void)
{
	Suite *suite = suite_create("resync_record");
	TCase *tests = tcase_create("resync_record");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, cut_and_torn_everywhere);
	tcase_add_loop_test(tests, forged, 0, 6);
	tcase_add_test(tests, identity_of_what);
	tcase_add_loop_test(tests, sink_fails, 1, 6);
	tcase_add_loop_test(tests, first_version_wins, 0, 3);
	tcase_add_test(tests, few_calls);
	tcase_add_test(tests, bits_to_clear);
	tcase_add_loop_test(tests, bits_under_a_bad_header, 0, 3);
	tcase_add_test(tests, another_number_of_regions);
	tcase_add_test(tests, ends_of_legs);
	tcase_add_test(tests, around_the_bits);
	tcase_add_loop_test(tests, ends_are_read, 0, 5);
	suite_add_tcase(suite, tests);
	return suite;
}
