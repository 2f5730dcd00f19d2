/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Holding an inactive LV, as far as it goes without device-mapper: the file that says who
 * holds what, and the thread that asks LVM whether the metadata is still the same. A
 * stand-in is the lvm; the rest is tests/kernel/lvm_repair.guest and lvm_guard.guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/lvm_hold_private.h"
#include "io/lvm.h"
#include "io/lvm_origin.h"
#include "io/vg_lock.h"
#include "support/lvm_text.h"
#include "support/scratch.h"
#include "unit/suites.h"

#define VG_ID "pm58LrBhi8XhlSTBWAbGoD1rpCDCJhwo"

static struct lvm_hold hold;
static struct error err;
static char saved_path[4096], why[512], run_directory[256];

static void file_write(const char *name, const char *text)
{
	char temporary[64];
	FILE *file;

	/* Whole or not at all: the stand-in reads it at any time. */
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	file = fopen(scratch_path(temporary), "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fputs(text, file) < 0, 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(rename(scratch_path(temporary), scratch_path(name)), 0);
}

static void seqno_is(const char *seqno)
{
	char text[64];

	snprintf(text, sizeof(text), "  %s vg\n", seqno);
	file_write("vgs", text);
}

/* Frees `text`. */
static void report_is(char *text)
{
	file_write("fullreport", text);
	free(text);
}

/* How often lvm was asked for this. */
static unsigned int calls(const char *command)
{
	FILE *file = fopen(scratch_path("calls"), "r");
	char line[512];
	unsigned int nr = 0;

	while (file && fgets(line, sizeof(line), file))
		nr += !strncmp(line, command, strlen(command)) &&
		      line[strlen(command)] == ' ';
	if (file)
		fclose(file);
	return nr;
}

static void lvm_is(const char *script)
{
	char text[512];

	snprintf(text, sizeof(text), "#!/bin/sh\ncd \"${0%%/*}\"\necho \"$*\" >>calls\n%s\n"
		 "cat $1\n", script);
	file_write("lvm", text);
	ck_assert_int_eq(chmod(scratch_path("lvm"), 0755), 0);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void component_is(unsigned int at, const char *id, const char *name)
{
	snprintf(hold.components[at].id, sizeof(hold.components[at].id), "%s%s", VG_ID, id);
	hold.components[at].vg_name = strdup("vg");
	hold.components[at].lv_name = strdup(name);
}

/* What lvm_hold_take() would have made of the recorded mirror. */
static void hold_make(void)
{
	char *text = lvm_text_recorded("mirror-inactive");
	const struct lvm_lv *lv;

	memset(&hold, 0, sizeof(hold));
	hold.claim.fd = hold.claim.directory_fd = hold.vg_lock_fd = -1;
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		hold.components[i].fd = -1;
	hold.name = strdup("vg/lv");
	ck_assert_int_eq(lvm_report_parse(&hold.report, text, strlen(text), &err), 0);
	lv = lvm_vg_lv(&hold.report.vgs[0], "lv");
	ck_assert_int_eq(lvm_mirror_layout(&hold.mirror, &hold.report.vgs[0], lv, NULL, &err), 0);
	ck_assert(hold_id_make(hold.id, hold.report.vgs[0].uuid, lv->uuid));
	component_is(0, "0000000000000000000000000000000a", "lv_mimage_0");
	component_is(LVM_HOLD_LOG, "0000000000000000000000000000000b", "lv_mlog");
	free(text);
}

static void setup(void)
{
	char path[600];

	scratch_enter();
	snprintf(saved_path, sizeof(saved_path), "%s", getenv("PATH") ? getenv("PATH") : "");
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", scratch_path("."));
	setenv("PATH", path, 1);
	lvm_look_in("/nonexistent");
	snprintf(run_directory, sizeof(run_directory), "%s", scratch_path("run"));
	lvm_hold_run_in(run_directory);
	memset(&err, 0, sizeof(err));
	why[0] = '\0';
	hold_make();
	lvm_is("");
	seqno_is("3");
	report_is(lvm_text_recorded("mirror-inactive"));
}

static void teardown(void)
{
	hold_watch_stop(&hold);
	run_file_close(&hold.claim);
	hold_components_free(hold.components);
	lvm_mirror_free(&hold.mirror);
	lvm_report_free(&hold.report);
	free(hold.name);
	hold_watch_give_up_ms = 60000;
	lvm_late_ms = 10000;
	lvm_watch_cancel(NULL, NULL);
	lvm_hold_run_in(NULL);
	lvm_look_in(NULL);
	setenv("PATH", saved_path, 1);
	scratch_leave();
}

static void watch(void)
{
	ck_assert_int_eq(hold_watch_start(&hold, &err), 0);
}

static void expect_same(void)
{
	ck_assert_msg(lvm_hold_unchanged_now(&hold, why, sizeof(why)), "%s", why);
}

static void expect_change(const char *words)
{
	ck_assert(!lvm_hold_unchanged_now(&hold, why, sizeof(why)));
	ck_assert_msg(strstr(why, words) != NULL, "\"%s\" does not say \"%s\"", why, words);
	/* For good, and told to everybody who asks. */
	seqno_is("3");
	why[0] = '\0';
	ck_assert(!lvm_hold_unchanged(&hold, why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, words));
}

/* --- the metadata --------------------------------------------------------------- */

START_TEST(nothing_changes)
{
	watch();
	for (unsigned int i = 0; i < 1000; i++)
		ck_assert(lvm_hold_unchanged(&hold, why, sizeof(why)));
	ck_assert_uint_eq(calls("vgs"), 0);
	expect_same();
	expect_same();
	ck_assert_uint_eq(calls("vgs"), 2);
	ck_assert_uint_eq(calls("fullreport"), 0);
}
END_TEST

/* An lvm that waits for a lock would make us wait. */
START_TEST(asked_without_a_lock)
{
	lvm_is("case $* in 'vgs --readonly '*vg_uuid=pm58Lr-Bhi8-*) ;; *) exit 5 ;; esac");
	watch();
	expect_same();
}
END_TEST

START_TEST(innocent_changes)
{
	watch();
	seqno_is("4");
	report_is(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"vg_seqno\":\"3\"",
				   "\"vg_seqno\":\"4\""));
	expect_same();
	expect_same();
	ck_assert_uint_eq(calls("fullreport"), 1);
	seqno_is("5");
	report_is(lvm_text_replace(lvm_text_replace(lvm_text_recorded("mirror-inactive"),
		"\"vg_seqno\":\"3\"", "\"vg_seqno\":\"5\""), "\"vg_name\":\"vg\"",
		"\"vg_name\":\"renamed\""));
	expect_same();
	ck_assert_uint_eq(calls("fullreport"), 2);
}
END_TEST

START_TEST(log_is_taken)
{
	watch();
	expect_same();
	seqno_is("4");
	report_is(lvm_text_replace(lvm_text_recorded("mirror-inactive"),
				   "\"mirror_log\":\"[lv_mlog]\"", "\"mirror_log\":\"\""));
	expect_change("had its log taken from it");
}
END_TEST

START_TEST(lv_is_removed)
{
	watch();
	seqno_is("4");
	report_is(lvm_text_recorded("no-vg"));
	expect_change("was removed");
}
END_TEST

START_TEST(group_is_gone)
{
	watch();
	file_write("vgs", "\n");
	expect_change("does not know");
}
END_TEST

START_TEST(seen_by_who_does_not_wait)
{
	uint64_t began = now_ms();

	watch();
	seqno_is("4");
	report_is(lvm_text_replace(lvm_text_recorded("mirror-inactive"),
				   "\"mirror_log\":\"[lv_mlog]\"", "\"mirror_log\":\"\""));
	while (lvm_hold_unchanged(&hold, why, sizeof(why))) {
		ck_assert_uint_lt(now_ms() - began, 20000);
		usleep(50000);
	}
	/* Asked before an answer was too old. */
	ck_assert_uint_lt(now_ms() - began, 4000);
}
END_TEST

/* A disk never waits for an lvm that takes its time. */
START_TEST(slow_lvm)
{
	uint64_t began, longest = 0;

	lvm_is("sleep 1");
	watch();
	for (began = now_ms(); now_ms() - began < 6000;) {
		uint64_t at = now_ms();

		ck_assert(lvm_hold_unchanged(&hold, why, sizeof(why)));
		if (now_ms() - at > longest)
			longest = now_ms() - at;
		usleep(20000);
	}
	ck_assert_uint_lt(longest, 400);
	ck_assert_uint_ge(calls("vgs"), 1);
	/* A tenth of the time, and not more. */
	ck_assert_uint_le(calls("vgs"), 3);
	began = now_ms();
	expect_same();
	ck_assert_uint_ge(now_ms() - began, 900);
}
END_TEST

START_TEST(lvm_fails_for_a_while)
{
	lvm_is("[ -e good ] || { touch good; echo '  a checksum error' >&2; exit 5; }");
	watch();
	expect_same();
	ck_assert_uint_eq(calls("vgs"), 2);
}
END_TEST

START_TEST(lvm_fails_for_good)
{
	hold_watch_give_up_ms = 1200;
	lvm_is("echo '  a checksum error' >&2; exit 5");
	watch();
	ck_assert(!lvm_hold_unchanged_now(&hold, why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, "a checksum error"));
}
END_TEST

/* A report that does not hold together is no answer, and so no change either. */
START_TEST(torn_report)
{
	hold_watch_give_up_ms = 1200;
	watch();
	seqno_is("4");
	file_write("fullreport", "{ \"report\": [");
	ck_assert(!lvm_hold_unchanged_now(&hold, why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, "cannot be looked up"));
	report_is(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"vg_seqno\":\"3\"",
				   "\"vg_seqno\":\"4\""));
	expect_same();
}
END_TEST

static bool stop_wanted(void *context)
{
	(void)context;
	return true;
}

/* What is proven is recorded after ^C, too. */
START_TEST(answered_while_stopping)
{
	lvm_watch_cancel(stop_wanted, NULL);
	lvm_is("sleep 0.3");
	watch();
	expect_same();
}
END_TEST

/* But not for ever: a lock that somebody keeps would keep us, too. */
START_TEST(given_up_after_stopping)
{
	uint64_t began = now_ms();

	lvm_late_ms = 300;
	lvm_watch_cancel(stop_wanted, NULL);
	lvm_is("[ $1 = vgs ] || sleep 1000");
	watch();
	seqno_is("4");
	ck_assert(!lvm_hold_unchanged_now(&hold, why, sizeof(why)));
	ck_assert_ptr_nonnull(strstr(why, "when the end was asked for"));
	hold_watch_stop(&hold);
	ck_assert_uint_lt(now_ms() - began, 25000);
}
END_TEST

START_TEST(not_waiting_for_a_lock)
{
	char path[600];
	int theirs, ours;

	snprintf(path, sizeof(path), "%s", scratch_path("V_vg"));
	theirs = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(theirs, 0);
	ck_assert_int_eq(flock(theirs, LOCK_EX), 0);
	lvm_watch_cancel(stop_wanted, NULL);
	ck_assert_int_eq(vg_lock_name(&ours, scratch_path("."), "vg", 30000, &err), -ECANCELED);
	ck_assert_ptr_nonnull(strstr(err.text, "interrupted while the volume group vg was locked"));
	lvm_watch_cancel(NULL, NULL);
	ck_assert_int_eq(vg_lock_name(&ours, scratch_path("."), "vg", 100, &err), -EBUSY);
	close(theirs);
	ck_assert_int_eq(vg_lock_name(&ours, scratch_path("."), "vg", 30000, &err), 0);
	close(ours);
}
END_TEST

/* --- what a mirror that is opened to be written has of it ------------------------------ */

static struct lvm_origin origin;

static void origin_make(void)
{
	memset(&origin, 0, sizeof(origin));
	origin.mirror = hold.mirror;
	origin.hold = &hold;
	origin.seqno = 3;
}

START_TEST(sampled)
{
	struct mirror_sample sample = { .change = MIRROR_UNCHANGED };

	origin_make();
	watch();
	/* Once a second: nobody is asked for that. */
	for (unsigned int i = 0; i < 100; i++)
		lvm_origin_sample(&origin, false, &sample);
	ck_assert_int_eq(sample.change, MIRROR_UNCHANGED);
	ck_assert_uint_eq(calls("vgs"), 0);
	lvm_origin_sample(&origin, true, &sample);
	ck_assert_int_eq(sample.change, MIRROR_UNCHANGED);
	ck_assert_uint_eq(calls("vgs"), 1);
	seqno_is("4");
	report_is(lvm_text_replace(lvm_text_recorded("mirror-inactive"),
				   "\"mirror_log\":\"[lv_mlog]\"", "\"mirror_log\":\"\""));
	lvm_origin_sample(&origin, true, &sample);
	ck_assert_int_eq(sample.change, MIRROR_CHANGED);
	ck_assert_msg(strstr(sample.reason, "vg/lv had its log taken from it") == sample.reason, "%s",
		      sample.reason);
	ck_assert_ptr_nonnull(strstr(sample.reason, "lvchange -kn vg/lv)"));
	sample = (struct mirror_sample){ .change = MIRROR_UNCHANGED };
	lvm_origin_sample(&origin, false, &sample);
	ck_assert_int_eq(sample.change, MIRROR_CHANGED);
	/* What has happened already is told, and nothing else. */
	sample = (struct mirror_sample){ .change = MIRROR_STATE_UNKNOWN, .reason = "x" };
	lvm_origin_sample(&origin, true, &sample);
	ck_assert_str_eq(sample.reason, "x");
}
END_TEST

START_TEST(held_or_not)
{
	origin_make();
	hold.components[0].number = 77;
	hold.components[LVM_HOLD_LOG].map_number = 78;
	ck_assert(lvm_origin_owns(&origin, 77));
	ck_assert(lvm_origin_owns(&origin, 78));
	ck_assert(!lvm_origin_owns(&origin, 79));
	ck_assert(!lvm_origin_owns(&origin, 0));
	ck_assert_str_eq(lvm_origin_held(&origin), "components");
	hold.note = (char *)"the group is locked";
	ck_assert_str_eq(lvm_origin_held(&origin), "vg_lock");
	hold.note = NULL;
	origin.hold = NULL;
	ck_assert(!lvm_origin_owns(&origin, 77));
	ck_assert_ptr_null(lvm_origin_held(&origin));
	ck_assert(!lvm_origin_owns(NULL, 77));
	ck_assert_ptr_null(lvm_origin_held(NULL));
}
END_TEST

/* Each once, in the order in which the volume lies on them. */
START_TEST(disks)
{
	static struct lvm_pv a = { .name = (char *)"/dev/a" }, b = { .name = (char *)"/dev/b" },
			     c = { .name = (char *)"/dev/c" };
	struct lvm_stripe one[] = { { .pv = &b } }, two[] = { { .pv = &b }, { .pv = &a } },
			  three[] = { { .pv = &a }, { .pv = &c }, { .pv = &b } };
	struct lvm_extent extents[] = { { .stripes = one, .nr_stripes = 1 },
					{ .stripes = two, .nr_stripes = 2 },
					{ .stripes = three, .nr_stripes = 3 } };
	struct lvm_place place = { .extents = extents, .nr_extents = 3 };

	origin_make();
	origin.mirror.legs[1] = place;
	origin.mirror.log = (struct lvm_place){ .extents = extents, .nr_extents = 1 };
	ck_assert_str_eq(lvm_origin_disk(&origin, 1, 0), "/dev/b");
	ck_assert_str_eq(lvm_origin_disk(&origin, 1, 1), "/dev/a");
	ck_assert_str_eq(lvm_origin_disk(&origin, 1, 2), "/dev/c");
	ck_assert_ptr_null(lvm_origin_disk(&origin, 1, 3));
	ck_assert_str_eq(lvm_origin_disk(&origin, MIRROR_LEGS_MAX, 0), "/dev/b");
	ck_assert_ptr_null(lvm_origin_disk(&origin, MIRROR_LEGS_MAX, 1));
	origin.mirror.log = (struct lvm_place){ .missing = true };
	ck_assert_ptr_null(lvm_origin_disk(&origin, MIRROR_LEGS_MAX, 0));
}
END_TEST

/* --- the file ---------------------------------------------------------------------- */

START_TEST(second_is_refused)
{
	struct lvm_hold first;

	ck_assert_int_eq(hold_claim(&hold, &err), 0);
	ck_assert_int_eq(hold_claim_write(&hold, &err), 0);
	ck_assert_ptr_null(lvm_hold_leftovers());
	first = hold;
	ck_assert_int_eq(hold_claim(&hold, &err), -EBUSY);
	snprintf(why, sizeof(why), "another mirrorctl (process %ld) writes to vg/lv",
		 (long)getpid());
	ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
	run_file_remove(&first.claim);
	run_file_close(&first.claim);
	err.kind = ERROR_NONE;
	ck_assert_int_eq(hold_claim(&hold, &err), 0);
}
END_TEST

START_TEST(killed_one_is_told)
{
	char *told;

	ck_assert_int_eq(hold_claim(&hold, &err), 0);
	ck_assert_int_eq(hold_claim_write(&hold, &err), 0);
	run_file_close(&hold.claim);
	told = lvm_hold_leftovers();
	ck_assert_ptr_nonnull(told);
	ck_assert_msg(strstr(told, "left vg/lv held") != NULL, "%s", told);
	ck_assert_msg(strstr(told, "dmsetup remove mirrorctl-vg-lv_mimage_0 mirrorctl-vg-lv_mlog; "
			     "lvchange -an vg/lv_mimage_0 vg/lv_mlog") != NULL, "%s", told);
	free(told);
}
END_TEST

START_TEST(file_of_others)
{
	static const char *const texts[] = {
		"", "mirror\ncomponent\npid\n", "component short vg/lv_mimage_0\nmirror vg/lv\n",
		"component " VG_ID "0000000000000000000000000000000a no-slash\nmirror vg/lv\n",
		"component " VG_ID "0000000000000000000000000000000a --yes/lv\nmirror vg/lv\n",
		"component " VG_ID "000000000000000000000000000000/a vg/lv\nmirror vg/lv\n",
	};
	char *told;
	int fd;

	ck_assert_int_eq(hold_claim(&hold, &err), 0);
	fd = open(hold.claim.path, O_RDWR | O_CLOEXEC);
	run_file_close(&hold.claim);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		ck_assert_int_eq(pwrite(fd, texts[i], strlen(texts[i]), 0), (int)strlen(texts[i]));
		told = lvm_hold_leftovers();
		ck_assert_msg(!told, "%zu: %s", i, told);
	}
	close(fd);
}
END_TEST

START_TEST(ids)
{
	char id[HOLD_ID_LENGTH + 1];

	ck_assert(hold_id_make(id, "pm58Lr-Bhi8-XhlS-TBWA-bGoD-1rpC-DCJhwo",
			       "Ra9dOu-6tfP-h9aS-Ucrn-V2Ds-xU1O-HdZWvz"));
	ck_assert_str_eq(id, VG_ID "Ra9dOu6tfPh9aSUcrnV2DsxU1OHdZWvz");
	ck_assert(!hold_id_make(id, "pm58Lr-Bhi8", "Ra9dOu-6tfP-h9aS-Ucrn-V2Ds-xU1O-HdZWvz"));
	ck_assert(!hold_id_make(id, VG_ID, NULL));
	ck_assert(!hold_id_make(id, VG_ID "xx", "Ra9dOu-6tfP-h9aS-Ucrn-V2Ds-xU1O-HdZWvz"));
}
END_TEST

Suite *lvm_hold_suite(void)
{
	Suite *suite = suite_create("lvm_hold");
	TCase *metadata = tcase_create("metadata"), *file = tcase_create("file");
	TCase *opened = tcase_create("opened");

	tcase_set_timeout(metadata, 60);
	tcase_add_checked_fixture(metadata, setup, teardown);
	tcase_add_test(metadata, nothing_changes);
	tcase_add_test(metadata, asked_without_a_lock);
	tcase_add_test(metadata, innocent_changes);
	tcase_add_test(metadata, log_is_taken);
	tcase_add_test(metadata, lv_is_removed);
	tcase_add_test(metadata, group_is_gone);
	tcase_add_test(metadata, seen_by_who_does_not_wait);
	tcase_add_test(metadata, slow_lvm);
	tcase_add_test(metadata, lvm_fails_for_a_while);
	tcase_add_test(metadata, lvm_fails_for_good);
	tcase_add_test(metadata, torn_report);
	tcase_add_test(metadata, answered_while_stopping);
	tcase_add_test(metadata, given_up_after_stopping);
	tcase_add_test(metadata, not_waiting_for_a_lock);
	suite_add_tcase(suite, metadata);
	tcase_set_timeout(opened, 60);
	tcase_add_checked_fixture(opened, setup, teardown);
	tcase_add_test(opened, sampled);
	tcase_add_test(opened, held_or_not);
	tcase_add_test(opened, disks);
	suite_add_tcase(suite, opened);
	tcase_add_checked_fixture(file, setup, teardown);
	tcase_add_test(file, second_is_refused);
	tcase_add_test(file, killed_one_is_told);
	tcase_add_test(file, file_of_others);
	tcase_add_test(file, ids);
	suite_add_tcase(suite, file);
	return suite;
}
