/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "core/lvm_same.h"
#include "unit/suites.h"

/* A mirror of two legs, leg 1 striped, and a log, in two copies: then and now. */
struct copy {
	struct lvm_vg vg;
	struct lvm_pv pvs[3];
	struct lvm_lv lvs[5];
	struct lvm_stripe stripes[4];
	struct lvm_extent extents[3];
	struct lvm_mirror mirror;
};

static struct copy then, now;

static void copy_make(struct copy *copy)
{
	static const char *const pvs[] = { "pv-a", "pv-b", "pv-c" };
	static const char *const lvs[] = { "home", "image-0", "image-1", "log", "log-2" };

	memset(copy, 0, sizeof(*copy));
	copy->vg = (struct lvm_vg){ .name = (char *)"vg", .uuid = (char *)"vg-id", .seqno = 3 };
	for (size_t i = 0; i < 3; i++)
		copy->pvs[i].uuid = (char *)pvs[i];
	for (size_t i = 0; i < 5; i++) {
		copy->lvs[i].uuid = (char *)lvs[i];
		copy->lvs[i].name = (char *)lvs[i];
	}
	copy->stripes[0] = (struct lvm_stripe){ &copy->pvs[0], 2048 };
	copy->stripes[1] = (struct lvm_stripe){ &copy->pvs[1], 2048 };
	copy->stripes[2] = (struct lvm_stripe){ &copy->pvs[2], 4096 };
	copy->stripes[3] = (struct lvm_stripe){ &copy->pvs[2], 8192 };
	copy->extents[0] = (struct lvm_extent){ 0, 1024, 0, 1, &copy->stripes[0] };
	copy->extents[1] = (struct lvm_extent){ 0, 1024, 64, 2, &copy->stripes[1] };
	copy->extents[2] = (struct lvm_extent){ 0, 256, 0, 1, &copy->stripes[3] };
	copy->mirror = (struct lvm_mirror){
		.vg = &copy->vg, .visible = &copy->lvs[0], .lv = &copy->lvs[0], .length = 1024,
		.region_size = 128, .nr_legs = 2, .log_kind = MIRROR_LOG_DISK,
		.legs = { { &copy->lvs[1], false, &copy->extents[0], 1 },
			  { &copy->lvs[2], false, &copy->extents[1], 1 } },
		.log = { &copy->lvs[3], false, &copy->extents[2], 1 },
	};
}

static void setup(void)
{
	copy_make(&then);
	copy_make(&now);
}

static void expect_same(void)
{
	char why[256] = "";

	ck_assert_msg(lvm_mirror_same(&then.mirror, &now.mirror, why, sizeof(why)), "%s", why);
	ck_assert_str_eq(why, "");
}

static void expect_change(const char *words)
{
	char why[256] = "";

	ck_assert(!lvm_mirror_same(&then.mirror, &now.mirror, why, sizeof(why)));
	ck_assert_msg(strstr(why, words) != NULL, "\"%s\" does not say \"%s\"", why, words);
	copy_make(&now);
	expect_same();
}

START_TEST(names_are_no_change)
{
	now.vg.name = (char *)"other";
	now.vg.seqno = 99;
	now.lvs[0].name = (char *)"renamed";
	now.lvs[1].active = true;
	now.pvs[0].name = (char *)"/dev/elsewhere";
	expect_same();
}
END_TEST

START_TEST(a_missing_pv_is_no_change)
{
	now.vg.partial = true;
	now.mirror.legs[1].missing = true;
	now.mirror.legs[1].nr_extents = 0;
	expect_same();
}
END_TEST

START_TEST(group)
{
	now.vg.uuid = (char *)"another";
	expect_change("another volume group");
	now.vg.exported = true;
	expect_change("exported");
	now.vg.system_id = (char *)"host-2";
	expect_change("another host");
	now.vg.lock_type = (char *)"sanlock";
	expect_change("locking");
	now.vg.shared = true;
	expect_change("locking");
	now.vg.clustered = true;
	expect_change("locking");
}
END_TEST

START_TEST(log_taken)
{
	char why[256];

	now.vg.name = (char *)"renamed";
	now.mirror.log_kind = MIRROR_LOG_CORE;
	expect_change("lvremove renamed/log; lvconvert --mirrorlog disk renamed/home; "
		      "lvchange -kn renamed/home");
	then.mirror.log_kind = MIRROR_LOG_CORE;
	now.mirror.log_kind = MIRROR_LOG_DISK;
	ck_assert(!lvm_mirror_same(&then.mirror, &now.mirror, why, sizeof(why)));
	ck_assert_str_eq(why, "was given a log");
	setup();
	now.mirror.log.lv = &now.lvs[4];
	expect_change("another log");
	now.stripes[3].sector++;
	expect_change("log on other sectors");
	now.mirror.log_mirrored = true;
	expect_change("another log");
}
END_TEST

START_TEST(shape)
{
	now.mirror.visible = &now.lvs[4];
	expect_change("another logical volume");
	now.mirror.lv = &now.lvs[4];
	expect_change("another logical volume");
	now.mirror.length++;
	expect_change("size");
	now.mirror.start++;
	expect_change("size");
	now.mirror.region_size *= 2;
	expect_change("region size");
	now.mirror.nr_legs = 1;
	expect_change("number of legs");
	now.mirror.legs[0].lv = &now.lvs[2];
	now.mirror.legs[1].lv = &now.lvs[1];
	expect_change("order");
}
END_TEST

START_TEST(sectors)
{
	now.stripes[0].sector++;
	expect_change("leg 0 on other sectors");
	now.stripes[2].pv = &now.pvs[0];
	expect_change("leg 1 on other sectors");
	now.extents[1].stripe_sectors = 128;
	expect_change("leg 1 on other sectors");
	now.extents[1].nr_stripes = 1;
	expect_change("leg 1 on other sectors");
	now.extents[0].first++;
	expect_change("leg 0 on other sectors");
	now.extents[0].sectors++;
	expect_change("leg 0 on other sectors");
	now.mirror.legs[0].nr_extents = 0;
	expect_change("leg 0 on other sectors");
}
END_TEST

Suite *lvm_same_suite(void)
{
	Suite *suite = suite_create("lvm_same");
	TCase *tcase = tcase_create("mirror");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, names_are_no_change);
	tcase_add_test(tcase, a_missing_pv_is_no_change);
	tcase_add_test(tcase, group);
	tcase_add_test(tcase, log_taken);
	tcase_add_test(tcase, shape);
	tcase_add_test(tcase, sectors);
	suite_add_tcase(suite, tcase);
	return suite;
}
