/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "core/mirror_log.h"
#include "support/audit_world.h"
#include "unit/suites.h"

#define LOG_BYTES 4096u
#define MAGIC 'r', 'R', 'i', 'M'

static union {
	uint64_t align;
	unsigned char at[LOG_BYTES];
} bytes;
static struct mirror_log mlog;

static void put_le(unsigned int at, unsigned int width, uint64_t value)
{
	for (unsigned int i = 0; i < width; i++, value >>= 8)
		bytes.at[at + i] = (unsigned char)value;
}

/* A log without a flaw: magic, version 2, `nr_regions` in the header, no bit set. */
static void good_log(uint64_t nr_regions)
{
	static const unsigned char start[] = { MAGIC, 2, 0, 0, 0 };

	memset(bytes.at, 0, sizeof(bytes));
	memcpy(bytes.at, start, sizeof(start));
	put_le(8, 8, nr_regions);
}

static void set_bit_by_hand(uint64_t region)
{
	bytes.at[1024 + region / 8] |= (unsigned char)(1u << region % 8);
}

static void decode(uint64_t nr_bytes, uint64_t nr_regions)
{
	mirror_log_decode(&mlog, bytes.at, nr_bytes, nr_regions);
}

#define expect_defects(want) ck_assert_uint_eq(mlog.defects, (uint32_t)(want))

/* ---- the header ------------------------------------------------------------ */

START_TEST(header_bytes)
{
	static const unsigned char raw[16] = {
		0x72, 0x52, 0x69, 0x4d, 2, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11 };
	struct mirror_log_header header;

	mirror_log_header_decode(&header, raw, 16);
	ck_assert_uint_eq(header.magic, 0x4d695272);
	ck_assert_uint_eq(header.version, 2);
	ck_assert_uint_eq(header.nr_regions, UINT64_C(0x1122334455667788));
	mirror_log_header_decode(&header, raw, 15);
	ck_assert_uint_eq(header.magic, 0);
	ck_assert_uint_eq(header.nr_regions, 0);
}
END_TEST

START_TEST(which_headers_are_accepted)
{
	static const struct { uint32_t magic, version; bool accepted; } cases[] = {
		{ 0x4d695272, 2, true }, { 0x4d695272, 1, true }, { 0x4d695272, 0, false },
		{ 0x4d695272, 3, false }, { 0x4d695272, 0x02000000, false },
		{ 0x7252694d, 2, false }, { 0, 2, false }, { 0, 0, false }, { 0x4d695273, 2, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mirror_log_header header = { cases[i].magic, cases[i].version, 7 };

		ck_assert_msg(mirror_log_header_accepted(&header) == cases[i].accepted, "case %zu", i);
	}
}
END_TEST

START_TEST(sizes)
{
	ck_assert_uint_eq(mirror_log_bytes(1), 1032);
	ck_assert_uint_eq(mirror_log_bytes(64), 1032);
	ck_assert_uint_eq(mirror_log_bytes(65), 1040);
	ck_assert_uint_eq(mirror_log_bytes(4294967295), 1024 + 536870912);
	ck_assert_uint_eq(mirror_log_area_bytes(1, 512), 1536);
	ck_assert_uint_eq(mirror_log_area_bytes(1, 4096), 4096);
	ck_assert_uint_eq(mirror_log_area_bytes(4096, 512), 1536);
	ck_assert_uint_eq(mirror_log_area_bytes(4097, 512), 2048);
	ck_assert_uint_eq(mirror_log_area_bytes(24576, 4096), 4096);
	ck_assert_uint_eq(mirror_log_area_bytes(24577, 4096), 8192);
}
END_TEST

/* ---- bits --------------------------------------------------------------------- */

START_TEST(bit_order)
{
	good_log(100);
	bytes.at[1024] = 0x01;	/* region 0 */
	bytes.at[1025] = 0x80;	/* region 15 */
	bytes.at[1032] = 0x02;	/* region 65 */
	decode(LOG_BYTES, 100);
	ck_assert_uint_eq(mlog.clean, 3);
	ck_assert(bitmap_test(&mlog.clean_bits, 0));
	ck_assert(bitmap_test(&mlog.clean_bits, 15));
	ck_assert(bitmap_test(&mlog.clean_bits, 65));
	ck_assert(!bitmap_test(&mlog.clean_bits, 8));
	expect_defects(0);
}
END_TEST

START_TEST(no_defect)
{
	good_log(100);
	for (uint64_t region = 0; region < 100; region++)
		set_bit_by_hand(region);
	decode(LOG_BYTES, 100);
	expect_defects(0);
	ck_assert_uint_eq(mlog.clean, 100);
	ck_assert_uint_eq(mlog.raw_clean, 100);
	ck_assert_uint_eq(mlog.held, 100);
	ck_assert(mlog.geometry_known);
}
END_TEST

/* ---- magic and version ----------------------------------------------------------- */

START_TEST(magics)
{
	static const struct { unsigned char magic[4]; uint32_t defects; } cases[] = {
		{ { MAGIC }, 0 },
		{ { 0, 0, 0, 0 }, LOG_MAGIC_ZERO },
		{ { 'M', 'i', 'R', 'r' }, LOG_MAGIC_BIG_ENDIAN },
		{ { 'r', 'R', 'i', 'N' }, LOG_MAGIC_FOREIGN },
		{ { 0, 0, 0, 'M' }, LOG_MAGIC_FOREIGN },
		{ { 'L', 'A', 'B', 'E' }, LOG_MAGIC_FOREIGN },
		{ { 0xff, 0xff, 0xff, 0xff }, LOG_MAGIC_FOREIGN },
	};

	good_log(100);
	memcpy(bytes.at, cases[_i].magic, 4);
	set_bit_by_hand(5);
	decode(LOG_BYTES, 100);
	expect_defects(cases[_i].defects);
	ck_assert_uint_eq(mlog.clean, cases[_i].defects ? 0 : 1);
	ck_assert_uint_eq(mlog.raw_clean, 1);
	ck_assert_uint_eq(mlog.clean_bits.nr_bits, cases[_i].defects ? 0 : 100);
}
END_TEST

START_TEST(stray_memory)
{
	good_log(100);
	memset(bytes.at, 0, 8);
	bytes.at[512] = 0x42;
	decode(LOG_BYTES, 100);
	expect_defects(LOG_MAGIC_ZERO | LOG_HEADER_GARBAGE | LOG_PADDING_SET);
	bytes.at[4] = 2;	/* a version: the kernel did not write this */
	decode(LOG_BYTES, 100);
	expect_defects(LOG_MAGIC_ZERO | LOG_PADDING_SET);
	bytes.at[4] = 0;
	bytes.at[512] = 0;
	decode(LOG_BYTES, 100);
	expect_defects(LOG_MAGIC_ZERO);
}
END_TEST

START_TEST(versions)
{
	static const struct { uint32_t version, defects; } cases[] = {
		{ 0, LOG_VERSION_UNKNOWN }, { 1, LOG_VERSION_ONE }, { 2, 0 },
		{ 3, LOG_VERSION_UNKNOWN }, { 0x02000000, LOG_VERSION_UNKNOWN },
		{ UINT32_MAX, LOG_VERSION_UNKNOWN },
	};

	good_log(100);
	put_le(4, 4, cases[_i].version);
	set_bit_by_hand(99);
	decode(LOG_BYTES, 100);
	expect_defects(cases[_i].defects);
	ck_assert_uint_eq(mlog.clean, cases[_i].defects == LOG_VERSION_UNKNOWN ? 0 : 1);
	/* What a foreign header says of its version means nothing. */
	memset(bytes.at, 'x', 4);
	decode(LOG_BYTES, 100);
	expect_defects(LOG_MAGIC_FOREIGN);
}
END_TEST

/* ---- nr_regions -------------------------------------------------------------------- */

START_TEST(counts)
{
	static const struct { uint64_t said; uint32_t defects; uint64_t believed; } cases[] = {
		{ 0, LOG_REGIONS_FEWER | LOG_BITS_DISCARDED, 0 },
		{ 1, LOG_REGIONS_FEWER | LOG_BITS_DISCARDED, 1 },
		{ 199, LOG_REGIONS_FEWER, 199 },
		{ 200, 0, 200 },
		{ 201, LOG_REGIONS_MORE, 200 },
		{ 4294967295, LOG_REGIONS_MORE, 200 },
		{ UINT64_C(4294967296), LOG_REGIONS_WRAP | LOG_REGIONS_FEWER | LOG_BITS_DISCARDED, 0 },
		{ UINT64_C(4294967301), LOG_REGIONS_WRAP | LOG_REGIONS_FEWER | LOG_BITS_DISCARDED, 5 },
		{ UINT64_C(4294967296) + 200, LOG_REGIONS_WRAP, 200 },
		{ UINT64_C(4294967296) + 201, LOG_REGIONS_WRAP | LOG_REGIONS_MORE, 200 },
		{ UINT64_MAX, LOG_REGIONS_UNSET, 200 },
		{ UINT64_MAX - 1, LOG_REGIONS_WRAP | LOG_REGIONS_MORE, 200 },
		{ UINT64_C(0xffffffff00000000), LOG_REGIONS_WRAP | LOG_REGIONS_FEWER | LOG_BITS_DISCARDED, 0 },
	};

	good_log(cases[_i].said);
	for (uint64_t region = 0; region < 200; region++)
		set_bit_by_hand(region);
	decode(LOG_BYTES, 200);
	expect_defects(cases[_i].defects);
	ck_assert_uint_eq(mlog.clean_bits.nr_bits, cases[_i].believed);
	ck_assert_uint_eq(mlog.clean, cases[_i].believed);
	ck_assert_uint_eq(mlog.raw_clean, 200);
	ck_assert_uint_eq(mlog.nr_regions, 200);
}
END_TEST

/* Junk in the word of the last believed bit is legal; behind it, it is a loss. */
START_TEST(which_bits_are_discarded)
{
	static const struct { uint64_t said, bit; bool discarded; } cases[] = {
		{ 10, 9, false }, { 10, 10, false }, { 10, 63, false }, { 10, 64, true },
		{ 64, 64, true }, { 65, 127, false }, { 65, 128, true }, { 0, 0, true },
		{ 10, 299, true }, { 10, 300, false },
	};

	good_log(cases[_i].said);
	set_bit_by_hand(cases[_i].bit);
	decode(LOG_BYTES, 300);
	ck_assert_uint_eq(!!(mlog.defects & LOG_BITS_DISCARDED), cases[_i].discarded);
	/* A header that is not accepted loses everything: that is another defect. */
	put_le(4, 4, 3);
	decode(LOG_BYTES, 300);
	ck_assert(!(mlog.defects & LOG_BITS_DISCARDED));
}
END_TEST

/* ---- what surrounds the bits ----------------------------------------------------------- */

START_TEST(padding)
{
	good_log(100);
	for (unsigned int at = 16; at < 1024; at += at < 32 ? 1 : 31) {
		bytes.at[at] = 1;
		decode(LOG_BYTES, 100);
		expect_defects(LOG_PADDING_SET);
		bytes.at[at] = 0;
	}
	bytes.at[1023] = 0x80;
	decode(LOG_BYTES, 100);
	expect_defects(LOG_PADDING_SET);
	memset(bytes.at + 16, 0xff, 1008);
	decode(LOG_BYTES, 100);
	expect_defects(LOG_PADDING_SET | LOG_PADDING_ONES);
	bytes.at[500] = 0xfe;
	decode(LOG_BYTES, 100);
	expect_defects(LOG_PADDING_SET);
}
END_TEST

START_TEST(bits_behind_the_last_region)
{
	for (uint64_t bit = 100; bit < 192; bit++) {
		good_log(100);
		set_bit_by_hand(bit);
		decode(LOG_BYTES, 100);
		expect_defects(bit < 128 ? LOG_TAIL_SET : 0);
		ck_assert_uint_eq(mlog.clean, 0);
		ck_assert_uint_eq(mlog.raw_clean, 0);
	}
	good_log(128);		/* no tail */
	set_bit_by_hand(128);
	decode(LOG_BYTES, 128);
	expect_defects(0);
}
END_TEST

/* ---- sizes ------------------------------------------------------------------------------- */

START_TEST(cut_at_every_byte)
{
	for (unsigned int nr_bytes = 0; nr_bytes <= 1100; nr_bytes++) {
		uint64_t words = nr_bytes > 1024 ? (nr_bytes - 1024) / 8 : 0;
		uint64_t held = words * 64 < 300 ? words * 64 : 300;
		uint32_t want = 0;
		unsigned char *copy = NULL;

		good_log(300);
		memset(bytes.at + 1024, 0xff, 40);
		/* Memory of just that size, so that a look beyond it is noticed. */
		ck_assert_int_eq(posix_memalign((void **)&copy, 8, nr_bytes ? nr_bytes : 1), 0);
		memcpy(copy, bytes.at, nr_bytes);
		mirror_log_decode(&mlog, copy, nr_bytes, 300);
		if (nr_bytes < 16)
			want |= LOG_HEADER_TRUNCATED | LOG_MAGIC_ZERO;
		if (nr_bytes < 1064)
			want |= LOG_TOO_SMALL;
		if (nr_bytes >= 1064)
			want |= LOG_TAIL_SET;
		expect_defects(want);
		ck_assert_uint_eq(mlog.held, held);
		ck_assert_uint_eq(mlog.raw_bits.nr_bits, held);
		ck_assert_uint_eq(mlog.clean, held);
		free(copy);
	}
}
END_TEST

START_TEST(a_log_alone)
{
	static const struct { uint64_t said, nr_regions; bool too_small; } cases[] = {
		{ 0, 0, false }, { 1, 1, false }, { 100, 100, false }, { 24576, 24576, false },
		{ 24577, 24576, true }, { 4294967295, 24576, true },
		{ UINT64_MAX, 24576, false }, { UINT64_C(1) << 63, 24576, false },
	};

	good_log(cases[_i].said);
	memset(bytes.at + 1024, 0xff, LOG_BYTES - 1024);
	decode(LOG_BYTES, 0);
	ck_assert(!mlog.geometry_known);
	ck_assert_uint_eq(mlog.nr_regions, cases[_i].nr_regions);
	ck_assert_uint_eq(mlog.held, cases[_i].nr_regions);
	ck_assert_uint_eq(mlog.raw_clean, cases[_i].nr_regions);
	ck_assert_uint_eq(!!(mlog.defects & LOG_TOO_SMALL), cases[_i].too_small);
	ck_assert(!(mlog.defects & LOG_PANICS_KERNEL));
	memset(bytes.at, 'x', 4);	/* the count of something else says nothing */
	decode(LOG_BYTES, 0);
	ck_assert(!(mlog.defects & LOG_TOO_SMALL));
}
END_TEST

START_TEST(logs_that_panic)
{
	good_log(5);
	decode(LOG_BYTES, 2147483520);
	ck_assert(!(mlog.defects & LOG_PANICS_KERNEL));
	decode(LOG_BYTES, 2147483521);
	ck_assert(mlog.defects & LOG_PANICS_KERNEL);
	ck_assert(mlog.defects & LOG_TOO_SMALL);
	decode(LOG_BYTES, 4294967295);
	ck_assert(mlog.defects & LOG_PANICS_KERNEL);
}
END_TEST

/* ---- against the kernel's rule, step by step ------------------------------------------------ */

/* What disk_resume() (dm-log.c) does to the bits of a whole log, one
 * at a time, on a little-endian host without sync or nosync. Returns the sync count. */
static uint64_t kernel_resume(const unsigned char *log, uint64_t nr_regions, unsigned char *clean)
{
	uint32_t magic = 0, version = 0;
	uint64_t nr = 0, count = 0, r;

	for (unsigned int i = 4; i-- > 0;) {
		magic = magic << 8 | log[i];
		version = version << 8 | log[4 + i];
	}
	for (unsigned int i = 8; i-- > 0;)
		nr = nr << 8 | log[8 + i];
	if (magic != 0x4d695272) {		/* 2: a new log */
		version = 2;
		nr = 0;
	}
	if (version == 1)			/* 3 */
		version = 2;
	if (version != 2)
		nr = 0;
	for (r = 0; r < nr_regions; r++)
		clean[r] = log[1024 + (r >> 3)] >> (r & 7) & 1;
	for (r = (uint32_t)nr; r < nr_regions; r++)	/* 4 */
		clean[r] = 0;
	for (r = 0; r < nr_regions; r++)	/* 6 */
		count += clean[r];
	return count;
}

static uint64_t draw_count(uint64_t *random, uint64_t nr_regions)
{
	switch (world_below(random, 8)) {
	case 0: return UINT64_MAX;
	case 1: return nr_regions - 1;
	case 2: return nr_regions + 1;
	case 3: return world_below(random, nr_regions + 1);
	case 4: return world_random(random);
	case 5: return (world_random(random) << 32) + world_below(random, 2 * nr_regions);
	default: return nr_regions;
	}
}

static void draw_log(uint64_t *random, uint64_t nr_regions)
{
	good_log(draw_count(random, nr_regions));
	if (world_below(random, 4) == 0)
		put_le(4, 4, world_below(random, 5));
	if (world_below(random, 8) == 0)
		bytes.at[world_below(random, 4)] ^= (unsigned char)world_random(random);
	if (world_below(random, 8) == 0)
		bytes.at[16 + world_below(random, 1008)] = (unsigned char)world_random(random);
	for (unsigned int at = 1024; at < LOG_BYTES; at++)
		bytes.at[at] = (unsigned char)(world_random(random) | world_random(random));
}

START_TEST(random_logs)
{
	static unsigned char clean[24576];
	uint64_t random = 100 + (uint64_t)_i;

	for (unsigned int round = 0; round < world_rounds(3000); round++) {
		uint64_t nr_regions = 1 + world_below(&random, round % 2 ? 300 : 24576);
		uint64_t count;

		draw_log(&random, nr_regions);
		decode(LOG_BYTES, nr_regions);
		count = kernel_resume(bytes.at, nr_regions, clean);
		ck_assert_msg(mlog.clean == count, "round %u: %lu clean, the kernel sees %lu",
			      round, mlog.clean, count);
		for (uint64_t r = 0; r < nr_regions; r++)
			if ((r < mlog.clean_bits.nr_bits && bitmap_test(&mlog.clean_bits, r)) !=
			    clean[r])
				ck_abort_msg("round %u: region %lu", round, r);
	}
}
END_TEST

Suite *mirror_log_suite(void)
{
	Suite *suite = suite_create("mirror_log");
	TCase *tcase = tcase_create("mirror_log");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, header_bytes);
	tcase_add_test(tcase, which_headers_are_accepted);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, bit_order);
	tcase_add_test(tcase, no_defect);
	tcase_add_loop_test(tcase, magics, 0, 7);
	tcase_add_test(tcase, stray_memory);
	tcase_add_loop_test(tcase, versions, 0, 6);
	tcase_add_loop_test(tcase, counts, 0, 13);
	tcase_add_loop_test(tcase, which_bits_are_discarded, 0, 10);
	tcase_add_test(tcase, padding);
	tcase_add_test(tcase, bits_behind_the_last_region);
	tcase_add_test(tcase, cut_at_every_byte);
	tcase_add_loop_test(tcase, a_log_alone, 0, 8);
	tcase_add_test(tcase, logs_that_panic);
	tcase_add_loop_test(tcase, random_logs, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}
