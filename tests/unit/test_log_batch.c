/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/log_batch.h"
#include "support/scratch.h"
#include "unit/suites.h"

/* What hangs, tests/kernel/list.guest has. */

#define NR 100u

static struct log_wanted wanted[NR];
static struct log_answer answers[NR];
static unsigned int nr_answers[NR];
static char names[NR][16];

static void setup(void)
{
	scratch_enter();
	memset(wanted, 0, sizeof(wanted));
	memset(nr_answers, 0, sizeof(nr_answers));
}

static void teardown(void)
{
	for (unsigned int i = 0; i < NR; i++)
		free((char *)wanted[i].path);
	scratch_leave();
}

/* A log of 64 regions, so many of them clean. */
static const char *log_file(const char *name, unsigned int clean)
{
	unsigned char bytes[4096] = { 0 };
	uint32_t header[2] = { htole32(MIRROR_LOG_MAGIC), htole32(2) };
	const char *path = scratch_path(name);
	FILE *file = fopen(path, "we");

	memcpy(bytes, header, sizeof(header));
	bytes[8] = 64;
	for (unsigned int i = 0; i < clean; i++)
		bytes[1024 + i / 8] |= (unsigned char)(1u << i % 8);
	ck_assert_uint_eq(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	fclose(file);
	return path;
}

static void keep(void *context, size_t i, const struct log_answer *answer)
{
	ck_assert_ptr_eq(context, answers);
	answers[i] = *answer;
	nr_answers[i]++;
}

static struct log_batch batch(void)
{
	return (struct log_batch){
		.wanted = wanted, .nr = NR, .answer_ms = 60000, .answered = keep,
		.context = answers,
	};
}

static bool has_child(void)
{
	return waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
}

START_TEST(every_log_is_answered_once)
{
	struct log_batch all = batch();
	struct error err = { 0 };

	for (unsigned int i = 0; i < NR; i++) {
		snprintf(names[i], sizeof(names[i]), "log%u", i);
		if (i % 10 == 3)
			continue;	/* nothing to read */
		wanted[i].path = strdup(i % 10 == 5 ? "/nonexistent/log" :
					log_file(names[i], i % 64));
		wanted[i].nr_regions = 64;
	}
	ck_assert_int_eq(log_batch_read(&all, &err), 0);
	for (unsigned int i = 0; i < NR; i++) {
		ck_assert_uint_eq(nr_answers[i], i % 10 != 3);
		if (i % 10 == 3)
			continue;
		if (i % 10 == 5) {
			ck_assert_int_eq(answers[i].result, -ENOENT);
			ck_assert_msg(strstr(answers[i].why, "does not exist") != NULL, "%s",
				      answers[i].why);
			continue;
		}
		ck_assert_int_eq(answers[i].result, 0);
		ck_assert_uint_eq(answers[i].log.clean, i % 64);
		ck_assert_uint_eq(answers[i].log.nr_regions, 64);
		ck_assert_ptr_null(answers[i].log.clean_bits.words);
		ck_assert_ptr_null(answers[i].log.raw_bits.words);
	}
}
END_TEST

START_TEST(extents_in_their_order)
{
	char *head = strdup(log_file("head", 40));
	struct device_stripe stripes[2] = { { head, 0 }, { head, 2 } };
	struct device_extent extents[2] = {
		{ .sectors = 2, .stripes = &stripes[0], .nr_stripes = 1 },
		{ .sectors = 2, .stripes = &stripes[1], .nr_stripes = 1 },
	};
	struct log_batch all = batch();
	struct error err = { 0 };

	wanted[0] = (struct log_wanted){ .extents = extents, .nr_extents = 2,
					 .what = "vg/home_mlog", .nr_regions = 64 };
	ck_assert_int_eq(log_batch_read(&all, &err), 0);
	ck_assert_int_eq(answers[0].result, 0);
	ck_assert_uint_eq(answers[0].log.clean, 40);
	/* The wrong way round there is no header, and no bit to believe. */
	stripes[0].sector = 2;
	stripes[1].sector = 0;
	ck_assert_int_eq(log_batch_read(&all, &err), 0);
	ck_assert_uint_eq(answers[0].log.clean, 0);
	free(head);
}
END_TEST

START_TEST(nothing_to_do)
{
	struct log_batch all = batch(), none = { 0 };
	struct error err = { 0 };

	ck_assert_int_eq(log_batch_read(&all, &err), 0);
	ck_assert_int_eq(log_batch_read(&none, &err), 0);
	for (unsigned int i = 0; i < NR; i++)
		ck_assert_uint_eq(nr_answers[i], 0);
}
END_TEST

static bool always(void *context)
{
	(void)context;
	return true;
}

START_TEST(cancelled)
{
	struct log_batch all = batch();
	struct error err = { 0 };

	wanted[0] = (struct log_wanted){ .path = strdup(log_file("log", 1)), .nr_regions = 64 };
	all.cancelled = always;
	ck_assert_int_eq(log_batch_read(&all, &err), -ECANCELED);
}
END_TEST

/* The answers are there, but who made them must be gone too, and nothing left open. */
START_TEST(leaves_nothing_behind)
{
	struct log_batch all = batch();
	struct error err = { 0 };
	int before = dup(0), after;

	close(before);
	wanted[0] = (struct log_wanted){ .path = strdup(log_file("log", 1)), .nr_regions = 64 };
	wanted[1] = (struct log_wanted){ .path = strdup(log_file("log", 1)), .nr_regions = 64 };
	ck_assert_int_eq(log_batch_read(&all, &err), 0);
	after = dup(0);
	close(after);
	ck_assert_int_eq(after, before);
	for (unsigned int i = 0; i < 100 && has_child(); i++)
		usleep(20000);
	ck_assert(!has_child());
}
END_TEST

Suite *log_batch_suite(void)
{
	Suite *suite = suite_create("log_batch");
	TCase *tcase = tcase_create("core");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_log_is_answered_once);
	tcase_add_test(tcase, extents_in_their_order);
	tcase_add_test(tcase, nothing_to_do);
	tcase_add_test(tcase, cancelled);
	tcase_add_test(tcase, leaves_nothing_behind);
	suite_add_tcase(suite, tcase);
	return suite;
}
