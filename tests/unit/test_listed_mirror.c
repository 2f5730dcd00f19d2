/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "core/listed_mirror.h"
#include "unit/suites.h"

/* --- one look ------------------------------------------------------------------------ */

static struct mirror_status status(const char *letters, char log, uint64_t in_sync)
{
	struct mirror_status status = {
		.nr_legs = (unsigned int)strlen(letters), .nr_regions = 256,
		.in_sync = in_sync, .log_health = log,
	};

	memcpy(status.leg_health, letters, strlen(letters));
	return status;
}

/* While it synchronises: 100 to 102 in sync, 120 clean on disk. */
static struct sync_look lie(void)
{
	return (struct sync_look){
		.status_known = true, .log_known = true, .clean = 120,
		.before = status("AA", 'A', 100), .after = status("AA", 'A', 102),
	};
}

#define EXPECT(change, verdict) do {				\
	struct sync_look look = lie();				\
								\
	look.change;						\
	ck_assert_int_eq(sync_look_judge(&look), verdict);	\
} while (0)

START_TEST(more_clean_than_in_sync)
{
	EXPECT(clean = 120, SYNC_BOGUS);
	EXPECT(clean = 103, SYNC_BOGUS);
	EXPECT(after.in_sync = 100, SYNC_BOGUS);
	EXPECT(before.in_sync = 0, SYNC_BOGUS);
}
END_TEST

START_TEST(not_more)
{
	EXPECT(clean = 102, SYNC_AGREES);
	EXPECT(clean = 0, SYNC_AGREES);
	/* More than before, but the synchronisation went on meanwhile. */
	EXPECT(after.in_sync = 120, SYNC_AGREES);
	EXPECT(after.in_sync = 256, SYNC_AGREES);
}
END_TEST

START_TEST(nothing_is_known)
{
	EXPECT(status_known = false, SYNC_NOT_TESTED);
	EXPECT(log_known = false, SYNC_NOT_TESTED);
	EXPECT(suspended = true, SYNC_NOT_TESTED);
	EXPECT(changed = true, SYNC_NOT_TESTED);
	EXPECT(after.nr_regions = 512, SYNC_NOT_TESTED);
	EXPECT(after.nr_legs = 3, SYNC_NOT_TESTED);
}
END_TEST

/* Whatever takes regions out of the count leaves a trace in the letters or the count. */
START_TEST(count_has_shrunk)
{
	static const char letters[] = "DFSRU";

	EXPECT(after.in_sync = 99, SYNC_NOT_TESTED);
	EXPECT(after.in_sync = 0, SYNC_NOT_TESTED);
	for (const char *letter = letters; *letter; letter++) {
		EXPECT(before.leg_health[0] = *letter, SYNC_NOT_TESTED);
		EXPECT(before.leg_health[1] = *letter, SYNC_NOT_TESTED);
		EXPECT(after.leg_health[0] = *letter, SYNC_NOT_TESTED);
		EXPECT(after.leg_health[1] = *letter, SYNC_NOT_TESTED);
		EXPECT(before.log_health = *letter, SYNC_NOT_TESTED);
		EXPECT(after.log_health = *letter, SYNC_NOT_TESTED);
	}
	/* The year 2006 told no letters. */
	EXPECT(after.leg_health[0] = 0, SYNC_NOT_TESTED);
	/* What is no lie is none with letters either. */
	EXPECT(clean = 5; look.after.leg_health[1] = 'D', SYNC_AGREES);
}
END_TEST

/* --- what is said -------------------------------------------------------------------- */

static struct listed_mirror healthy(void)
{
	struct listed_mirror listed = {
		.name = (char *)"vg/home", .vg = (char *)"vg", .table_known = true,
		.log_known = true, .log_kind = LISTED_LOG_DISK,
		.mirror = {
			.name = (char *)"vg-home", .uuid = (char *)"LVM-abc", .nr_legs = 2,
			.activity = MIRROR_ACTIVE, .status_known = true, .in_sync = 256,
			.handle_errors = KNOWN_YES, .geometry = { 32768, 128, 256 },
			.legs = { { .health = 'A' }, { .health = 'A' } },
			.log = { .health = 'A' },
		},
		.log = {
			.header = { MIRROR_LOG_MAGIC, MIRROR_LOG_VERSION, 256 },
			.nr_regions = 256, .geometry_known = true, .held = 256,
			.clean = 250, .raw_clean = 250,
		},
	};

	return listed;
}

static int judged(struct listed_mirror listed, enum finding_id id, bool *found)
{
	struct finding_list list = { .nr = 0 };

	listed_mirror_judge(&list, &listed);
	*found = id == FINDING_COUNT && !list.nr;
	for (size_t i = 0; i < list.nr; i++)
		*found |= list.items[i].id == id;
	return listed_exit_status(&list);
}

#define SAID(change, id, status) do {				\
	struct listed_mirror listed = healthy();		\
	bool found;						\
								\
	listed.change;						\
	ck_assert_int_eq(judged(listed, id, &found), status);	\
	ck_assert(found);					\
} while (0)

START_TEST(nothing_to_say)
{
	SAID(log.clean = 250, FINDING_COUNT, 0);
	SAID(log.clean = 256, FINDING_COUNT, 0);
	SAID(verdict = SYNC_AGREES, FINDING_COUNT, 0);
}
END_TEST

START_TEST(what_is_wrong)
{
	SAID(verdict = SYNC_BOGUS, FINDING_MORE_CLEAN_THAN_SYNC, 4);
	SAID(mirror.legs[1].health = 'D', FINDING_HEALTH_LEG, 4);
	SAID(mirror.log.health = 'F', FINDING_HEALTH_LOG, 4);
	SAID(mirror.legs[0].missing = true, FINDING_LEG_MISSING, 4);
	SAID(log.defects = LOG_BITS_DISCARDED, FINDING_LOG_BITS_DISCARDED, 4);
	SAID(log.defects = LOG_TOO_SMALL, FINDING_LOG_TOO_SMALL, 4);
	SAID(mirror.activity = MIRROR_SUSPENDED; listed.abandoned = true, FINDING_ABANDONED, 4);
}
END_TEST

START_TEST(what_is_odd)
{
	SAID(mirror.activity = MIRROR_SUSPENDED, FINDING_SUSPENDED, 0);
	SAID(mirror.sync = MIRROR_SYNC_NOSYNC, FINDING_TABLE_NOSYNC, 0);
	SAID(log.defects = LOG_MAGIC_ZERO, FINDING_LOG_MAGIC_ZERO, 0);
	SAID(log_kind = LISTED_LOG_OTHER, FINDING_LOG_DAEMON, 0);
	SAID(kind = LISTED_CONVERTING; listed.to_copy = 256, FINDING_NOTE, 0);
}
END_TEST

START_TEST(what_is_not_known)
{
	SAID(log_known = false; strcpy(listed.log_unread, "its device is suspended"),
	     FINDING_LOG_UNREAD, 8);
	SAID(mirror.status_known = false, FINDING_STATUS_UNREAD, 8);
	SAID(log_kind = LISTED_LOG_OTHER; strcpy(listed.table_unread, "word 3"),
	     FINDING_STATUS_UNREAD, 8);
	SAID(mirror.status_known = false; listed.mirror.legs[0].health = 'D', FINDING_HEALTH_LEG, 12);
	/* Of an inactive one there is none. */
	SAID(mirror.status_known = false; listed.mirror.activity = MIRROR_INACTIVE,
	     FINDING_COUNT, 0);
}
END_TEST

START_TEST(what_it_is_called)
{
	struct listed_mirror listed = healthy();
	static const char *const names[] = {
		"vg", "vg/home", "vg-home", "/dev/vg/home", "/dev/mapper/vg-home", "LVM-abc",
	};
	static const char *const others[] = {
		"", "v", "home", "vg/", "vg/home2", "/dev/mapper/vg", "/dev/mapper/vg/home", "LVM-ab",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ck_assert_msg(listed_mirror_is_called(&listed, names[i]), "%s", names[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_msg(!listed_mirror_is_called(&listed, others[i]), "%s", others[i]);
	listed.vg = listed.mirror.uuid = NULL;
	ck_assert(!listed_mirror_is_called(&listed, "vg"));
}
END_TEST

Suite *listed_mirror_suite(void)
{
	Suite *suite = suite_create("listed_mirror");
	TCase *look = tcase_create("look"), *said = tcase_create("said");

	tcase_add_test(look, more_clean_than_in_sync);
	tcase_add_test(look, not_more);
	tcase_add_test(look, nothing_is_known);
	tcase_add_test(look, count_has_shrunk);
	suite_add_tcase(suite, look);
	tcase_add_test(said, nothing_to_say);
	tcase_add_test(said, what_is_wrong);
	tcase_add_test(said, what_is_odd);
	tcase_add_test(said, what_is_not_known);
	tcase_add_test(said, what_it_is_called);
	suite_add_tcase(suite, said);
	return suite;
}
