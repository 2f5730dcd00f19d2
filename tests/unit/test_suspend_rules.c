/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/suspend_rules.h"
#include "unit/suites.h"

#define MS UINT64_C(1000000)

/* A mirror that may be suspended; the tests change one thing each. */
static struct suspend_facts good(void)
{
	struct suspend_facts facts = {
		.name = "vg/home", .nr_targets = 1, .log_on_disk = true, .status_known = true,
		.nr_legs = 3, .leg_health = "AAA", .log_health = 'A',
		.nr_regions = 1024, .in_sync = 1024, .clean = 1000,
		.header = { MIRROR_LOG_MAGIC, MIRROR_LOG_VERSION, 1024 },
	};

	return facts;
}

/* Ours: loaded and suspended. */
static struct suspend_facts under(void)
{
	struct suspend_facts facts = good();

	facts.inactive_table = facts.loaded_by_us = facts.inactive_is_ours = true;
	facts.suspended = facts.suspended_by_us = true;
	return facts;
}

static void expect(struct suspend_facts facts, enum suspend_condition condition, const char *part)
{
	struct error err = { 0 };

	ck_assert_int_eq(suspend_refusal(&facts), condition);
	if (!condition) {
		ck_assert_int_eq(suspend_check(&facts, &err), 0);
		ck_assert_int_eq(err.kind, ERROR_NONE);
		return;
	}
	ck_assert_int_eq(suspend_check(&facts, &err), -EPERM);
	ck_assert_msg(strstr(err.text, part) != NULL, "\"%s\" is not in: %s", part, err.text);
	ck_assert_msg(strstr(err.text, "vg/home") != NULL, "%s", err.text);
	ck_assert_msg(!strstr(err.text, " ..."), "cut: %s", err.text);
}

#define EXPECT(facts, change, condition, part) do {	\
	struct suspend_facts f = facts;			\
							\
	f.change;					\
	expect(f, condition, part);			\
} while (0)

START_TEST(every_condition_before)
{
	expect(good(), SUSPEND_ALLOWED, "");
	EXPECT(good(), gone = true, SUSPEND_GONE, "not an active mirror");
	EXPECT(good(), replaced = true, SUSPEND_REPLACED, "not what it was");
	EXPECT(good(), nr_targets = 0, SUSPEND_SEVERAL_TARGETS, "0 targets");
	EXPECT(good(), nr_targets = 2, SUSPEND_SEVERAL_TARGETS, "2 targets");
	EXPECT(good(), log_on_disk = false, SUSPEND_CORE_LOG, "no log on disk");
	EXPECT(good(), suspended = true, SUSPEND_STATE, "suspended already");
	EXPECT(good(), inactive_table = true, SUSPEND_INACTIVE_TABLE, "another table is loaded");
	EXPECT(good(), status_known = false, SUSPEND_STATUS, "status");
	EXPECT(good(), leg_health[0] = 'R', SUSPEND_LEG, "leg 0 has the status letter R");
	EXPECT(good(), leg_health[2] = 'D', SUSPEND_LEG, "leg 2 has the status letter D");
	EXPECT(good(), log_health = 'F', SUSPEND_LOG, "letter F");
	EXPECT(good(), log_health = 0, SUSPEND_LOG, "letter ?");
	EXPECT(good(), log_too_small = true, SUSPEND_LOG_SIZE, "too small");
}
END_TEST

START_TEST(every_condition_of_the_log)
{
	EXPECT(good(), header.magic = 0, SUSPEND_LOG_HEADER, "magic 0x00000000");
	EXPECT(good(), header.version = 3, SUSPEND_LOG_HEADER, "version 3");
	EXPECT(good(), header.nr_regions = 1023, SUSPEND_LOG_REGIONS, "says 1023 regions");
	EXPECT(good(), header.nr_regions = UINT64_MAX, SUSPEND_LOG_REGIONS,
	       "says 18446744073709551615");
	/* 2^32 + 1024, of which the kernel sees the low half: not what it wrote. */
	EXPECT(good(), header.nr_regions += UINT64_C(1) << 32, SUSPEND_LOG_REGIONS, "regions");
	EXPECT(good(), in_sync = 999, SUSPEND_LOG_OPTIMISTIC, "1000 regions clean");
	EXPECT(good(), in_sync = 1000, SUSPEND_RECOVERY, "1000 of 1024");
	EXPECT(good(), in_sync = 1023, SUSPEND_RECOVERY, "do not suspend");
	EXPECT(good(), clean = 1024, SUSPEND_ALLOWED, "");
}
END_TEST

START_TEST(every_condition_under_the_suspend)
{
	expect(under(), SUSPEND_ALLOWED, "");
	EXPECT(under(), suspended = false, SUSPEND_STATE, "resumed by somebody else");
	EXPECT(under(), inactive_table = false, SUSPEND_INACTIVE_TABLE, "replaced or taken back");
	EXPECT(under(), inactive_is_ours = false, SUSPEND_INACTIVE_TABLE, "replaced");
	EXPECT(under(), gone = true, SUSPEND_GONE, "not an active mirror");
	EXPECT(under(), leg_health[1] = 'S', SUSPEND_LEG, "leg 1");
	EXPECT(under(), in_sync = 1023, SUSPEND_RECOVERY, "1023 of 1024");
	/* Loaded, and about to be suspended. */
	EXPECT(under(), suspended = f.suspended_by_us = false, SUSPEND_ALLOWED, "");
}
END_TEST

/* --- the table ----------------------------------------------------------- */

static const struct {
	const char *params;
	const char *without;	/* NULL: refused */
} tables[] = {
	{ "disk 2 253:2 1024 2 253:3 0 253:4 0 1 handle_errors",
	  "disk 2 253:2 1024 2 253:3 0 253:4 0 1 handle_errors" },
	{ "disk 3 253:2 1024 nosync 2 253:3 0 253:4 0 1 handle_errors",
	  "disk 2 253:2 1024 2 253:3 0 253:4 0 1 handle_errors" },
	{ "disk 3 253:2 1024 sync 2 253:3 0 253:4 384",
	  "disk 2 253:2 1024 2 253:3 0 253:4 384" },
	{ "disk 4 253:2 1024 nosync block_on_error 2 8:1 0 8:2 0",
	  "disk 3 253:2 1024 block_on_error 2 8:1 0 8:2 0" },
	{ "disk 3 253:2 1024 block_on_error 2 8:1 0 8:2 0",
	  "disk 3 253:2 1024 block_on_error 2 8:1 0 8:2 0" },
	{ "disk 2 253:2 1024 2 253:3 0 253:4 0 2 handle_errors keep_log ",
	  "disk 2 253:2 1024 2 253:3 0 253:4 0 2 handle_errors keep_log" },
	/* Only as an argument of the log: a device may have that name in a table. */
	{ "disk 2 sync 1024 2 nosync 0 sync 0", "disk 2 sync 1024 2 nosync 0 sync 0" },
	{ "core 2 1024 nosync 2 8:1 0 8:2 0", NULL },
	{ "disk 1 1024 2 8:1 0 8:2 0", NULL },
	{ "disk 5 a b c d e f", NULL },
	{ "disk 22 a b c", NULL },
	{ "disk 3 253:2 1024", NULL },
	{ "disk", NULL },
	{ "disks 2 253:2 1024 2", NULL },
	{ "", NULL },
};

START_TEST(tables_without_sync)
{
	char out[128];

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		int r = mirror_params_without_sync(out, sizeof(out), tables[i].params);

		ck_assert_int_eq(r, tables[i].without ? 0 : -EINVAL);
		if (tables[i].without)
			ck_assert_str_eq(out, tables[i].without);
	}
}
END_TEST

START_TEST(tables_that_do_not_fit)
{
	const char *params = tables[1].params;
	size_t room = strlen(tables[1].without) + 1;
	char out[128];

	for (size_t i = 0; i < room; i++) {
		memset(out, 'x', sizeof(out));
		ck_assert_int_eq(mirror_params_without_sync(out, i, params), -ENOSPC);
		ck_assert_int_eq(out[i], 'x');
	}
	ck_assert_int_eq(mirror_params_without_sync(out, room, params), 0);
	ck_assert_str_eq(out, tables[1].without);
}
END_TEST

/* --- settling ------------------------------------------------------------ */

START_TEST(settling)
{
	struct log_latency latency = { 0 };

	ck_assert_uint_eq(log_settle_ns(&latency), 200 * MS);
	latency.read = 10 * MS;
	ck_assert_uint_eq(log_settle_ns(&latency), 200 * MS);
	latency.write = 30 * MS;
	ck_assert_uint_eq(log_settle_ns(&latency), 240 * MS);
	latency.log_flush = 50 * MS;
	ck_assert_uint_eq(log_settle_ns(&latency), 400 * MS);
	latency.leg_flush = 100 * MS;
	ck_assert_uint_eq(log_settle_ns(&latency), 600 * MS);
	latency = (struct log_latency){ .leg_flush = 150 * MS };
	ck_assert_uint_eq(log_settle_ns(&latency), 300 * MS);
	latency = (struct log_latency){ .read = UINT64_MAX / 2 };
	ck_assert_uint_eq(log_settle_ns(&latency), UINT64_MAX);
	latency = (struct log_latency){ .leg_flush = UINT64_MAX - 1 };
	ck_assert_uint_eq(log_settle_ns(&latency), UINT64_MAX);
}
END_TEST

Suite *suspend_rules_suite(void)
{
	Suite *suite = suite_create("suspend_rules");
	TCase *tcase = tcase_create("suspend_rules");

	tcase_add_test(tcase, every_condition_before);
	tcase_add_test(tcase, every_condition_of_the_log);
	tcase_add_test(tcase, every_condition_under_the_suspend);
	tcase_add_test(tcase, tables_without_sync);
	tcase_add_test(tcase, tables_that_do_not_fit);
	tcase_add_test(tcase, settling);
	suite_add_tcase(suite, tcase);
	return suite;
}
