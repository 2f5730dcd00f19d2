/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_table.h"
#include "unit/suites.h"

static struct mirror parse(const char *line)
{
	struct mirror mirror;
	struct error err = { .kind = ERROR_NONE };

	ck_assert_msg(!mirror_table_parse(&mirror, line, &err), "\"%s\": %s", line, err.text);
	ck_assert_int_eq(err.kind, ERROR_NONE);
	return mirror;
}

static void check_refused(const struct mirror *mirror, const struct error *err, const char *line)
{
	static const struct mirror zero;

	ck_assert_int_eq(err->kind, ERROR_USAGE);
	ck_assert_msg(!memcmp(mirror, &zero, sizeof(zero)), "\"%s\" left something", line);
	ck_assert_msg(strchr(err->text, '\n') == NULL && strlen(err->text) > 20, "%s", err->text);
}

static void refuse(const char *line, const char *says)
{
	struct mirror mirror;
	struct error err = { .kind = ERROR_NONE };

	memset(&mirror, 0xa5, sizeof(mirror));
	ck_assert_msg(mirror_table_parse(&mirror, line, &err) == -EINVAL, "\"%s\" was accepted", line);
	check_refused(&mirror, &err, line);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
}

static void check_leg(const struct mirror *mirror, unsigned int leg, const char *device,
		      uint64_t offset)
{
	ck_assert_str_eq(mirror->legs[leg].device, device);
	ck_assert_uint_eq(mirror->legs[leg].offset, offset);
	ck_assert(!mirror->legs[leg].missing);
}

#define DISK_LINE "0 2097152 mirror disk 2 253:2 4096 2 253:3 0 253:4 0 1 handle_errors"

START_TEST(disk_log)
{
	struct mirror mirror = parse(DISK_LINE);

	ck_assert_ptr_eq(mirror.name, NULL);
	ck_assert_ptr_eq(mirror.uuid, NULL);
	ck_assert_uint_eq(mirror.start, 0);
	ck_assert_uint_eq(mirror.geometry.length, 2097152);
	ck_assert_uint_eq(mirror.geometry.region_size, 4096);
	ck_assert_uint_eq(mirror.geometry.nr_regions, 512);
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_DISK);
	ck_assert_str_eq(mirror.log.device, "253:2");
	ck_assert_int_eq(mirror.sync, MIRROR_SYNC_DEFAULT);
	ck_assert_uint_eq(mirror.nr_legs, 2);
	check_leg(&mirror, 0, "253:3", 0);
	check_leg(&mirror, 1, "253:4", 0);
	ck_assert_int_eq(mirror.handle_errors, KNOWN_YES);
	ck_assert_int_eq(mirror.keep_log, KNOWN_NO);
	ck_assert_int_eq(mirror.activity, MIRROR_INACTIVE);
	ck_assert(!mirror.status_known);
	mirror_free(&mirror);
	ck_assert_ptr_eq(mirror.legs[0].device, NULL);
	mirror_free(&mirror);
	mirror_free(NULL);
}
END_TEST

START_TEST(core_log)
{
	struct mirror mirror = parse("384 1048577 mirror core 2 1024 nosync 2 8:1 384 8:17 7");

	ck_assert_uint_eq(mirror.start, 384);
	ck_assert_uint_eq(mirror.geometry.nr_regions, 1025);
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_CORE);
	ck_assert_ptr_eq(mirror.log.device, NULL);
	ck_assert_int_eq(mirror.sync, MIRROR_SYNC_NOSYNC);
	check_leg(&mirror, 0, "8:1", 384);
	check_leg(&mirror, 1, "8:17", 7);
	ck_assert_int_eq(mirror.handle_errors, KNOWN_NO);
	mirror_free(&mirror);
}
END_TEST

/* The parameters alone, as libdevmapper has them; words then count from there. */
START_TEST(params_alone)
{
	struct error err = { .kind = ERROR_NONE };
	struct mirror mirror;

	ck_assert_int_eq(mirror_table_parse_params(&mirror, 99, 2048, "core 1 512 2 a 1 b 2 ", NULL), 0);
	ck_assert_uint_eq(mirror.start, 99);
	ck_assert_uint_eq(mirror.geometry.nr_regions, 4);
	check_leg(&mirror, 1, "b", 2);
	mirror_free(&mirror);
	ck_assert_int_eq(mirror_table_parse_params(&mirror, 99, 2048, "core 1 500 2 a 1 b 2", &err),
			 -EINVAL);
	check_refused(&mirror, &err, "params");
	ck_assert(strstr(err.text, "word 3 (\"500\")") != NULL);
	err.kind = ERROR_NONE;
	ck_assert_int_eq(mirror_table_parse_params(&mirror, UINT64_MAX, 2, "core 1 2 2 a 0 b 0", &err),
			 -EINVAL);
	check_refused(&mirror, &err, "overflow");
	ck_assert_int_eq(mirror_table_parse_params(&mirror, 0, 2048, "", NULL), -EINVAL);
}
END_TEST

START_TEST(name_prefix)
{
	struct mirror mirror = parse("vg-home: " DISK_LINE);

	ck_assert_str_eq(mirror.name, "vg-home");
	ck_assert_uint_eq(mirror.nr_legs, 2);
	mirror_free(&mirror);
	mirror = parse("a:b:c: " DISK_LINE);
	ck_assert_str_eq(mirror.name, "a:b:c");
	mirror_free(&mirror);
	refuse("vg-home: ", "lacks the start sector");
	refuse(": " DISK_LINE, "word 1 (\":\"): the start sector");
	refuse("a b: " DISK_LINE, "word 1 (\"a\"): the start sector");
	refuse("a: b: " DISK_LINE, "word 2 (\"b:\"): the start sector");
	refuse("m: 0 8 mirror core 1 3 2 a 0 b 0", "word 7 (\"3\")");
}
END_TEST

START_TEST(blanks)
{
	static const char *const lines[] = {
		DISK_LINE " ", DISK_LINE "\n", DISK_LINE "   \n", "  " DISK_LINE, DISK_LINE "\t",
		"0\t2097152  mirror disk 2 253:2   4096 2 253:3 0 253:4 0  1 handle_errors",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct mirror mirror = parse(lines[i]);

		check_leg(&mirror, 1, "253:4", 0);
		ck_assert_int_eq(mirror.handle_errors, KNOWN_YES);
		mirror_free(&mirror);
	}
	refuse("", "empty");
	refuse(" \n", "empty");
	refuse("\n" DISK_LINE, "more than one line");
	refuse(DISK_LINE "\n\n", "more than one line");
	refuse(DISK_LINE "\n" DISK_LINE, "more than one line");
	refuse("0 2097152 mirror disk 2 253:2 4096 2 253:3 0 253:4 0\r\n", "word 12 (\"0?\")");
}
END_TEST

START_TEST(sync_words)
{
	struct mirror mirror = parse("0 8 mirror core 2 2 sync 2 a 0 b 0");

	ck_assert_int_eq(mirror.sync, MIRROR_SYNC_SYNC);
	mirror_free(&mirror);
	mirror = parse("0 8 mirror disk 3 log 2 nosync 2 a 0 b 0");
	ck_assert_int_eq(mirror.sync, MIRROR_SYNC_NOSYNC);
	ck_assert_str_eq(mirror.log.device, "log");
	mirror_free(&mirror);
	refuse("0 8 mirror core 1 2 nosync 2 a 0 b 0",
	       "word 7 (\"nosync\"): this log argument is not in the count");
	refuse("0 8 mirror disk 2 log 2 sync 2 a 0 b 0", "not in the count");
	refuse("0 8 mirror core 2 2 async 2 a 0 b 0", "word 7 (\"async\"): not a log argument");
	refuse("0 8 mirror core 2 2 2 a 0 b 0", "word 7 (\"2\"): not a log argument");
	refuse("0 8 mirror core 3 2 sync nosync 2 a 0 b 0", "only block_on_error may follow");
	refuse("0 8 mirror core 3 2 sync sync 2 a 0 b 0", "only block_on_error may follow");
}
END_TEST

START_TEST(block_on_error)
{
	struct mirror mirror = parse("0 8 mirror disk 4 log 2 nosync block_on_error 2 a 0 b 0");

	ck_assert_int_eq(mirror.sync, MIRROR_SYNC_NOSYNC);
	ck_assert_int_eq(mirror.handle_errors, KNOWN_NOT);
	ck_assert_int_eq(mirror.keep_log, KNOWN_NOT);
	mirror_free(&mirror);
	mirror = parse("0 8 mirror core 2 2 block_on_error 2 a 0 b 0");
	ck_assert_int_eq(mirror.sync, MIRROR_SYNC_DEFAULT);
	mirror_free(&mirror);
	refuse("0 8 mirror core 3 2 block_on_error sync 2 a 0 b 0", "no log argument may follow");
	refuse("0 8 mirror core 1 2 block_on_error 2 a 0 b 0", "not in the count");
}
END_TEST

START_TEST(features)
{
	static const struct {
		const char *words;
		enum known handle_errors, keep_log;
	} good[] = {
		{ "", KNOWN_NO, KNOWN_NO },
		{ "0", KNOWN_NO, KNOWN_NO },
		{ "1 handle_errors", KNOWN_YES, KNOWN_NO },
		{ "2 handle_errors keep_log", KNOWN_YES, KNOWN_YES },
		{ "2 keep_log handle_errors", KNOWN_YES, KNOWN_YES },
		{ "2 handle_errors handle_errors", KNOWN_YES, KNOWN_NO },
		{ "4 keep_log keep_log handle_errors keep_log", KNOWN_YES, KNOWN_YES },
	};
	char line[200];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct mirror mirror;

		snprintf(line, sizeof(line), "0 8 mirror core 1 2 2 a 0 b 0 %s", good[i].words);
		mirror = parse(line);
		ck_assert_int_eq(mirror.handle_errors, good[i].handle_errors);
		ck_assert_int_eq(mirror.keep_log, good[i].keep_log);
		mirror_free(&mirror);
	}
	refuse("0 8 mirror core 1 2 2 a 0 b 0 1", "lacks the feature that the count promises");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 2 handle_errors", "lacks the feature");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 4294967297 handle_errors", "lacks the feature");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 0 handle_errors", "nothing may follow");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 1 handle_errors 0", "word 14 (\"0\"): nothing may follow");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 1 keep_log", "needs handle_errors");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 1 handle_error", "not a feature of a mirror");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 handle_errors", "number of features");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 c 0", "more legs than their count says");
	refuse("0 8 mirror core 1 2 2 a 0 b 0 -1", "number of features");
}
END_TEST

static void line_of_legs(char *line, size_t room, unsigned int nr)
{
	size_t used = (size_t)snprintf(line, room, "0 1024 mirror disk 2 log 8 %u", nr);
	unsigned int i;

	for (i = 0; i < nr; i++)
		used += (size_t)snprintf(line + used, room - used, " /dev/leg%u %u", i, i * 10);
}

START_TEST(number_of_legs)
{
	char line[512];
	unsigned int nr, i;

	for (nr = 2; nr <= 9; nr++) {
		struct mirror mirror;
		char device[32];

		line_of_legs(line, sizeof(line), nr);
		mirror = parse(line);
		ck_assert_uint_eq(mirror.nr_legs, nr);
		for (i = 0; i < nr; i++) {
			snprintf(device, sizeof(device), "/dev/leg%u", i);
			check_leg(&mirror, i, device, i * 10);
		}
		mirror_free(&mirror);
	}
	line_of_legs(line, sizeof(line), 10);
	refuse(line, "word 8 (\"10\"): a mirror has 2 to 9 legs");
	line_of_legs(line, sizeof(line), 1);
	refuse(line, "2 to 9 legs");
	line_of_legs(line, sizeof(line), 0);
	refuse(line, "2 to 9 legs");
	refuse("0 8 mirror core 1 2 4294967298 a 0 b 0", "2 to 9 legs");
	refuse("0 8 mirror core 1 2 two a 0 b 0", "the number of legs must be a decimal number");
	refuse("0 8 mirror core 1 2 3 a 0 b 0", "lacks the device of a leg");
	refuse("0 8 mirror core 1 2 3 a 0 b 0 c", "word 12 (\"c\"): the line ends here and lacks the offset");
}
END_TEST

START_TEST(missing_leg)
{
	struct mirror mirror = parse("0 8 mirror disk 2 log.img 2 3 missing 0 leg1.img 5 missing 8");

	ck_assert(mirror.legs[0].missing);
	ck_assert_ptr_eq(mirror.legs[0].device, NULL);
	check_leg(&mirror, 1, "leg1.img", 5);
	ck_assert(mirror.legs[2].missing);
	ck_assert_uint_eq(mirror.legs[2].offset, 8);
	mirror_free(&mirror);
	mirror = parse("0 8 mirror core 1 2 2 ./missing 0 missing2 0");
	check_leg(&mirror, 0, "./missing", 0);
	check_leg(&mirror, 1, "missing2", 0);
	mirror_free(&mirror);
	refuse("0 8 mirror disk 2 missing 2 2 a 0 b 0", "only a leg can be missing");
}
END_TEST

START_TEST(numbers)
{
	struct mirror mirror = parse("18014398509481981 2 mirror core 1 2 2 a 18014398509481981 b 0");

	check_leg(&mirror, 0, "a", 18014398509481981);
	mirror_free(&mirror);
	refuse("18014398509481982 2 mirror core 1 2 2 a 0 b 0", "more than any block device");
	refuse("18446744073709551615 2 mirror core 1 2 2 a 0 b 0", "more than any block device");
	refuse("2 18446744073709551615 mirror core 1 2 2 a 0 b 0", "more than any block device");
	refuse("18446744073709551616 2 mirror core 1 2 2 a 0 b 0", "word 1 (\"18446744073709551616\")");
	refuse("0 99999999999999999999999 mirror core 1 2 2 a 0 b 0", "does not fit 64 bits");
	refuse("0 2 mirror core 1 2 2 a 18014398509481982 b 0", "the offset plus the length");
	refuse("0 2 mirror core 1 2 2 a 0 b 18446744073709551615", "word 11");
	refuse("0 2 mirror core 1 2 2 a 0 b 18446744073709551616", "does not fit 64 bits");
	refuse("0 8 mirror core 1 2 2 a -1 b 0", "word 9 (\"-1\"): the offset of a leg must be");
	refuse("0x0 8 mirror core 1 2 2 a 0 b 0", "the start sector must be");
	refuse("0 8s mirror core 1 2 2 a 0 b 0", "the length must be");
}
END_TEST

START_TEST(region_sizes)
{
	struct mirror mirror = parse("0 4294967295 mirror core 1 2147483648 2 a 0 b 0");

	ck_assert_uint_eq(mirror.geometry.nr_regions, 2);
	mirror_free(&mirror);
	mirror = parse("0 8589934590 mirror core 1 2 2 a 0 b 0");
	ck_assert_uint_eq(mirror.geometry.nr_regions, REGION_COUNT_MAX);
	mirror_free(&mirror);
	refuse("0 8589934591 mirror core 1 2 2 a 0 b 0", "4294967296 regions");
	refuse("0 8 mirror disk 2 log 12x 2 a 0 b 0", "word 7 (\"12x\"): the region size must be");
	refuse("0 8 mirror core 1 0 2 a 0 b 0", "word 6 (\"0\"): a region size of 0 sectors");
	refuse("0 8 mirror core 1 1 2 a 0 b 0", "below the smallest");
	refuse("0 8 mirror core 1 6 2 a 0 b 0", "power of two");
	refuse("0 8 mirror core 1 16 2 a 0 b 0", "larger than the mirror's 8 sectors");
	refuse("0 0 mirror core 1 2 2 a 0 b 0", "larger than the mirror's 0 sectors");
	refuse("0 8 mirror core 1 4294967298 2 a 0 b 0", "the kernel would take it as 2");
	refuse("0 8 mirror core 1 -2 2 a 0 b 0", "must be a decimal number");
}
END_TEST

START_TEST(other_targets)
{
	static const char *const names[] = {
		"linear", "raid", "striped", "snapshot", "snapshot-origin", "snapshot-merge",
		"crypt", "error", "zero", "mirro", "mirrors", "raid1",
	};
	char line[100], says[100];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "0 8 %s raid1 4 0", names[i]);
		snprintf(says, sizeof(says), "word 3 (\"%s\"): this target is not a mirror: ", names[i]);
		refuse(line, says);
	}
	refuse("0 8 raid raid1 3 0 region_size 1024 2 253:0 253:1 253:2 253:3", "--syncaction");
	refuse("0 8", "lacks the target type");
}
END_TEST

/* By name, even when what follows is in order for that kind. */
START_TEST(other_logs)
{
	static const struct {
		const char *log;
		const char *says;
	} logs[] = {
		{ "userspace 4 LVM-abc clustered-disk 253:2 2", "write 'disk 2 LOG_DEVICE REGION_SIZE'" },
		{ "userspace 4 LVM-abc integrated_flush clustered-core 2", "'core 1 REGION_SIZE'" },
		{ "clustered-disk 3 253:2 2 LVM-abc", "write 'disk 2 LOG_DEVICE REGION_SIZE'" },
		{ "clustered_disk 3 253:2 2 LVM-abc", "write 'disk 2 LOG_DEVICE REGION_SIZE'" },
		{ "clustered-core 3 2 LVM-abc nosync", "write 'core 1 REGION_SIZE'" },
		{ "clustered_core 2 2 LVM-abc", "write 'core 1 REGION_SIZE'" },
	};
	char line[200], word[100];
	size_t i;

	for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		snprintf(line, sizeof(line), "0 8 mirror %s 2 a 0 b 0", logs[i].log);
		refuse(line, logs[i].says);
		snprintf(word, sizeof(word), "word 4 (\"%.*s\"): this log type is not read",
			 (int)strcspn(logs[i].log, " "), logs[i].log);
		refuse(line, word);
	}
	refuse("0 8 mirror flash 1 2 2 a 0 b 0", "word 4 (\"flash\"): the log type must be");
}
END_TEST

START_TEST(log_argument_counts)
{
	refuse("0 8 mirror core 0 2 a 0 b 0", "a core log has 1 to 3 arguments");
	refuse("0 8 mirror core 4 2 sync x y 2 a 0 b 0", "1 to 3 arguments");
	refuse("0 8 mirror disk 5 log 2 sync x y 2 a 0 b 0", "a disk log has 2 to 4 arguments");
	refuse("0 8 mirror disk 0 2 a 0 b 0", "2 to 4 arguments");
	/* What kernels of 2005 print. */
	refuse("0 8 mirror disk 1 2 2 253:3 0 253:4 0", "do not print the log device");
	refuse("0 8 mirror core one 2 2 a 0 b 0", "the number of log arguments must be");
	refuse("0 8 mirror core 4294967297 2 2 a 0 b 0", "1 to 3 arguments");
	refuse("0 8 mirror disk 3 log 2", "lacks the log argument that the count promises");
}
END_TEST

/* The words that make a whole table: everything up to the last leg's offset. */
#define WHOLE_WORDS 12

/* Cut anywhere, a line is refused with a whole sentence or is a shorter table:
 * it ends in the last leg's offset or in the count of no features. */
START_TEST(cut_at_each_byte)
{
	static const char line[] = "0 2097152 mirror disk 2 253:2 4096 2 253:3 0 253:4 384 0";
	char cut[sizeof(line)];
	size_t length, i, accepted = 0;

	for (length = 0; length < sizeof(line); length++) {
		struct error err = { .kind = ERROR_NONE };
		struct mirror mirror;
		unsigned int words = 0;

		memcpy(cut, line, length);
		cut[length] = '\0';
		for (i = 0; i < length; i++)
			words += cut[i] != ' ' && (i == 0 || cut[i - 1] == ' ');
		if (!mirror_table_parse(&mirror, cut, &err)) {
			ck_assert_msg(words >= WHOLE_WORDS, "\"%s\" was accepted", cut);
			ck_assert_uint_eq(mirror.nr_legs, 2);
			mirror_free(&mirror);
			accepted++;
		} else {
			ck_assert_msg(words < WHOLE_WORDS, "\"%s\" was refused", cut);
			check_refused(&mirror, &err, cut);
		}
	}
	ck_assert_uint_eq(accepted, strlen("384 0"));
}
END_TEST

/* The same behind the legs, where a cut feature must not pass as none. */
START_TEST(cut_features)
{
	static const char line[] = DISK_LINE;
	char cut[sizeof(line)];
	size_t length, legs_end = strlen("0 2097152 mirror disk 2 253:2 4096 2 253:3 0 253:4 0");

	for (length = legs_end; length < sizeof(line); length++) {
		struct mirror mirror;
		int ret;

		memcpy(cut, line, length);
		cut[length] = '\0';
		ret = mirror_table_parse(&mirror, cut, NULL);
		if (length <= legs_end + 1 || length == sizeof(line) - 1)
			ck_assert_msg(!ret, "\"%s\"", cut);
		else
			ck_assert_msg(ret == -EINVAL, "\"%s\"", cut);
		mirror_free(&mirror);
	}
}
END_TEST

START_TEST(hostile_words)
{
	char line[3000];
	int used = snprintf(line, sizeof(line), "0 8 mirror core 1 2 2 ");

	memset(line + used, 'x', 2000);
	snprintf(line + used + 2000, sizeof(line) - (size_t)used - 2000, " zero b 0");
	refuse(line, "word 9 (\"zero\")");
	memset(line, 'x', 2000);
	line[2000] = '\0';
	refuse(line, "...\"): the start sector");
	refuse("0 8 mirror \033[2Jcore 1 2 2 a 0 b 0", "(\"?[2Jcore\")");
}
END_TEST

/* --- status */

static struct mirror_status status_of(const char *params)
{
	struct mirror_status status;
	struct error err = { .kind = ERROR_NONE };

	ck_assert_msg(!mirror_status_parse(&status, params, &err), "\"%s\": %s", params, err.text);
	ck_assert_int_eq(err.kind, ERROR_NONE);
	return status;
}

static void refuse_status(const char *params, const char *says)
{
	static const struct mirror_status zero;
	struct mirror_status status;
	struct error err = { .kind = ERROR_NONE };

	memset(&status, 0xa5, sizeof(status));
	ck_assert_msg(mirror_status_parse(&status, params, &err) == -EINVAL, "\"%s\" was accepted", params);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(!memcmp(&status, &zero, sizeof(zero)), "\"%s\"", params);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
}

START_TEST(status_forms)
{
	static const struct {
		const char *params;
		const char *letters;
		char log;
		bool dead;
	} forms[] = {
		{ "2 253:3 253:4 512/512 1 AA 3 disk 253:2 A", "AA", 'A', false },
		{ "2 253:3 253:4 512/512 1 AD 3 disk 253:2 D ", "AD", 'D', false },
		{ "2 253:3 253:4 512/512 1 FU 3 disk 253:2 F\n", "FU", 'F', false },
		{ "2 253:3 253:4 512/512 1 SR 1 core", "SR", 0, false },
		{ "2 253:3 253:4 512/512 1 AA 1 clustered-core", "AA", 0, false },
		{ "2 253:3 253:4 512/512 1 AA 3 clustered-disk 253:2 D", "AA", 'D', false },
		{ "2 253:3 253:4 512/512 1 AA userspace 1 COM_FAILURE", "AA", 0, true },
		{ "2 253:3 253:4 512/512", "\0\0", 0, false },
		{ "2 253:3 253:4 512/512 ", "\0\0", 0, false },
	};
	size_t i;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct mirror_status status = status_of(forms[i].params);

		ck_assert_uint_eq(status.nr_legs, 2);
		ck_assert_uint_eq(status.in_sync, 512);
		ck_assert_uint_eq(status.nr_regions, 512);
		ck_assert_int_eq(status.leg_health[0], forms[i].letters[0]);
		ck_assert_int_eq(status.leg_health[1], forms[i].letters[1]);
		ck_assert_int_eq(status.leg_health[2], 0);
		ck_assert_int_eq(status.log_health, forms[i].log);
		ck_assert_int_eq(status.log_daemon_dead, forms[i].dead);
	}
}
END_TEST

START_TEST(status_of_nine)
{
	struct mirror_status status = status_of("9 8:1 8:2 8:3 8:4 8:5 8:6 8:7 8:8 8:9 "
						"0/4294967295 1 AAAAAAAAD 1 core");

	ck_assert_uint_eq(status.nr_legs, 9);
	ck_assert_uint_eq(status.in_sync, 0);
	ck_assert_uint_eq(status.nr_regions, 4294967295);
	ck_assert_mem_eq(status.leg_health, "AAAAAAAAD", 9);
	refuse_status("10 1 2 3 4 5 6 7 8 9 10 0/4 1 AAAAAAAAAA 1 core", "2 to 9 legs");
	refuse_status("1 8:1 0/4 1 A 1 core", "2 to 9 legs");
}
END_TEST

START_TEST(status_refused)
{
	refuse_status("", "empty");
	refuse_status("2 a b 513/512 1 AA 1 core", "more regions are in sync than there are");
	refuse_status("2 a b 0/0 1 AA 1 core", "1 to 4294967295 regions");
	refuse_status("2 a b 0/4294967296 1 AA 1 core", "1 to 4294967295 regions");
	refuse_status("2 a b 5 1 AA 1 core", "word 4 (\"5\")");
	refuse_status("2 a b /5 1 AA 1 core", "as in 5/512");
	refuse_status("2 a b 5/ 1 AA 1 core", "as in 5/512");
	refuse_status("2 a b 5/5/5 1 AA 1 core", "as in 5/512");
	refuse_status("2 a b -1/5 1 AA 1 core", "as in 5/512");
	refuse_status("2 a b 18446744073709551616/5 1 AA 1 core", "as in 5/512");
	refuse_status("3 a b 5/5 1 AA 1 core", "as in 5/512");
	refuse_status("2 a b 5/5 2 AA 1 core", "should be 1");
	refuse_status("2 a b 5/5 1", "lacks the letters");
	refuse_status("2 a b 5/5 1 A 1 core", "2 status letters");
	refuse_status("2 a b 5/5 1 AAA 1 core", "2 status letters");
	refuse_status("2 a b 5/5 1 AX 1 core", "one of AFDSRU");
	refuse_status("2 a b 5/5 1 aa 1 core", "one of AFDSRU");
	refuse_status("2 a b 5/5 1 AA", "lacks the status of the log");
	refuse_status("2 a b 5/5 1 AA 2 core", "begins with 1, 3 or userspace");
	refuse_status("2 a b 5/5 1 AA 1", "lacks the log type");
	refuse_status("2 a b 5/5 1 AA 1 disk", "should be 3");
	refuse_status("2 a b 5/5 1 AA 3 core", "should be 1");
	refuse_status("2 a b 5/5 1 AA 1 cores", "the log type must be");
	refuse_status("2 a b 5/5 1 AA 3 disk 8:1", "lacks the letter of the log");
	refuse_status("2 a b 5/5 1 AA 3 disk 8:1 S", "one of AFD");
	refuse_status("2 a b 5/5 1 AA 3 disk 8:1 AA", "1 status letters");
	refuse_status("2 a b 5/5 1 AA 3 disk 8:1 A A", "nothing may follow");
	refuse_status("2 a b 5/5 1 AA 1 core x", "nothing may follow");
	refuse_status("2 a b 5/5 1 AA userspace 1", "lacks the COM_FAILURE");
	refuse_status("2 a b 5/5 1 AA userspace 2 COM_FAILURE", "should be the 1");
	refuse_status("2 a b 5/5 1 AA userspace 1 COM_FAILUR", "should be COM_FAILURE");
	refuse_status("2 a b 5/5 1 AA 1 core\n2 a b 5/5 1 AA 1 core", "more than one line");
}
END_TEST

START_TEST(status_cut_at_each_byte)
{
	static const char line[] = "2 253:3 253:4 512/512 1 AA 3 disk 253:2 A";
	size_t length, ratio = strlen("2 253:3 253:4 512/512");
	char cut[sizeof(line)];

	for (length = 0; length < sizeof(line); length++) {
		struct error err = { .kind = ERROR_NONE };
		struct mirror_status status;
		/* 512/512 and nothing more, or only a blank more, is what 2006 said. */
		bool whole = length == ratio || length == ratio + 1 || length == sizeof(line) - 1;

		memcpy(cut, line, length);
		cut[length] = '\0';
		ck_assert_msg(mirror_status_parse(&status, cut, &err) == (whole ? 0 : -EINVAL),
			      "\"%s\"", cut);
		ck_assert_int_eq(err.kind, whole ? ERROR_NONE : ERROR_OPERATION);
	}
}
END_TEST

START_TEST(status_applied)
{
	struct mirror mirror = parse(DISK_LINE);
	struct mirror_status status = status_of("2 253:3 253:4 511/512 1 AD 3 disk 253:2 F");
	struct error err = { .kind = ERROR_NONE };

	ck_assert_int_eq(mirror_apply_status(&mirror, &status, &err), 0);
	ck_assert(mirror.status_known);
	ck_assert_uint_eq(mirror.in_sync, 511);
	ck_assert_int_eq(mirror.legs[0].health, 'A');
	ck_assert_int_eq(mirror.legs[1].health, 'D');
	ck_assert_int_eq(mirror.legs[2].health, 0);
	ck_assert_int_eq(mirror.log.health, 'F');

	status = status_of("3 253:3 253:4 253:5 1/512 1 AAA 1 core");
	ck_assert_int_eq(mirror_apply_status(&mirror, &status, &err), -EINVAL);
	ck_assert(strstr(err.text, "3 legs") != NULL);
	err.kind = ERROR_NONE;
	status = status_of("2 253:3 253:4 1/513 1 AA 1 core");
	ck_assert_int_eq(mirror_apply_status(&mirror, &status, &err), -EINVAL);
	ck_assert(strstr(err.text, "513 regions") != NULL);
	ck_assert_uint_eq(mirror.in_sync, 511);
	ck_assert_int_eq(mirror.legs[1].health, 'D');
	mirror_free(&mirror);
}
END_TEST

Suite *mirror_table_suite(void)
{
	Suite *suite = suite_create("mirror_table");
	TCase *tcase = tcase_create("table");

	tcase_add_test(tcase, disk_log);
	tcase_add_test(tcase, core_log);
	tcase_add_test(tcase, params_alone);
	tcase_add_test(tcase, name_prefix);
	tcase_add_test(tcase, blanks);
	tcase_add_test(tcase, sync_words);
	tcase_add_test(tcase, block_on_error);
	tcase_add_test(tcase, features);
	tcase_add_test(tcase, number_of_legs);
	tcase_add_test(tcase, missing_leg);
	tcase_add_test(tcase, numbers);
	tcase_add_test(tcase, region_sizes);
	tcase_add_test(tcase, other_targets);
	tcase_add_test(tcase, other_logs);
	tcase_add_test(tcase, log_argument_counts);
	tcase_add_test(tcase, cut_at_each_byte);
	tcase_add_test(tcase, cut_features);
	tcase_add_test(tcase, hostile_words);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("status");
	tcase_add_test(tcase, status_forms);
	tcase_add_test(tcase, status_of_nine);
	tcase_add_test(tcase, status_refused);
	tcase_add_test(tcase, status_cut_at_each_byte);
	tcase_add_test(tcase, status_applied);
	suite_add_tcase(suite, tcase);
	return suite;
}
