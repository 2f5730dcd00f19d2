/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/lvm.h"
#include "unit/suites.h"

#define UUID "Wu5pJS-q3xo-ABCD-1234-efgh-5678-zyxwvu"
#define ID "Wu5pJSq3xoABCD1234efgh5678zyxwvu"
#define VG_ID "0123456789abcdef0123456789ABCDEF"

/* What a word is read as: "vg|lv", "uuid …" or "none". Freed by the caller. */
static char *reading(const char *word)
{
	char *vg, *lv, *uuid, *text = NULL;

	if (!lvm_name_parse(&vg, &lv, &uuid, word))
		ck_assert(!vg && !lv && !uuid && asprintf(&text, "none") > 0);
	else if (uuid)
		ck_assert(!vg && !lv && asprintf(&text, "uuid %s", uuid) > 0);
	else
		ck_assert(asprintf(&text, "%s|%s", vg, lv) > 0);
	free(vg);
	free(lv);
	free(uuid);
	return text;
}

static const struct {
	const char *word, *reading;
} readings[] = {
	{ "vg/lv", "vg|lv" },
	{ "my-vg/my--lv", "my-vg|my--lv" },
	{ "vg+1/l.v_2", "vg+1|l.v_2" },
	{ "/dev/vg/lv", "vg|lv" },
	{ "/dev/my-vg/home-1", "my-vg|home-1" },
	{ "/dev/mapper/vg-lv", "vg|lv" },
	{ "/dev/mapper/my--vg-home--1", "my-vg|home-1" },
	{ "/dev/mapper/vg-home-real", "vg|home-real" },
	{ "/dev/mapper/vg-lv_mimage_0", "vg|lv_mimage_0" },
	{ UUID, "uuid " UUID },
	{ ID, "uuid " ID },
	{ "LVM-" VG_ID ID, "uuid " VG_ID ID },
	{ "LVM-" VG_ID ID "-real", "uuid " VG_ID ID },
	{ "LVM-" VG_ID ID "x", "none" },
	{ "LVM-" ID, "none" },
	{ UUID "x", "none" },
	{ "Wu5pJS-q3xo-ABCD-1234-efgh-5678-zyxwv", "none" },
	{ "Wu5pJS-q3xo-ABCD-1234-efgh-5678", "none" },
	{ ID "x", "none" },
	{ "vg-lv", "none" },
	{ "lv", "none" },
	{ "", "none" },
	{ "/", "none" },
	{ "/dev/", "none" },
	{ "/dev/sdb", "none" },
	{ "/dev/mapper/control", "none" },
	{ "/dev/disk/by-id/x", "none" },
	{ "vg/", "none" },
	{ "/lv", "none" },
	{ "vg/lv/x", "none" },
	{ "-vg/lv", "none" },
	{ "vg/-lv", "none" },
	{ "./lv", "none" },
	{ "../lv", "none" },
	{ "vg/..", "none" },
	{ "vg/l v", "none" },
	{ "vg/lv\n", "none" },
	{ "vg/l\xc3\xa4", "none" },
	{ "253:4", "none" },
};

START_TEST(words_are_read)
{
	char *text = reading(readings[_i].word);

	ck_assert_msg(!strcmp(text, readings[_i].reading), "%s: %s, not %s", readings[_i].word,
		      text, readings[_i].reading);
	free(text);
}
END_TEST

START_TEST(names_too_long_are_none)
{
	char word[400], *text;

	memset(word, 'a', sizeof(word));
	word[200] = '/';
	word[210] = '\0';
	text = reading(word);
	ck_assert_str_eq(text, "none");
	free(text);
	memcpy(word, "/dev/mapper/", 12);
	word[200] = '-';
	word[399] = '\0';
	text = reading(word);
	ck_assert_str_eq(text, "none");
	free(text);
}
END_TEST

static const struct {
	const char *vg, *lv, *name;
} dm_names[] = {
	{ "vg", "lv", "vg-lv" },
	{ "v-g", "l--v", "v--g-l----v" },
	{ "a-", "b", "a---b" },
	{ "a", "b-", "a-b--" },
	{ "vg", "home-real", "vg-home--real" },
	{ "vg", "home_mimage_1", "vg-home_mimage_1" },
};

START_TEST(dm_names_there_and_back)
{
	char *name = lvm_dm_name(dm_names[_i].vg, dm_names[_i].lv), *vg, *lv;

	ck_assert_str_eq(name, dm_names[_i].name);
	ck_assert(lvm_dm_name_split(&vg, &lv, name));
	ck_assert_str_eq(vg, dm_names[_i].vg);
	ck_assert_str_eq(lv, dm_names[_i].lv);
	free(name);
	free(vg);
	free(lv);
}
END_TEST

START_TEST(dm_names_that_are_none)
{
	static const char *const names[] = {
		"", "-", "vg", "vg-", "-lv", "--lv", "vg--lv", "vg-lv-", "vg-lv-real-cow",
		"vg-lv-real-", "vg-l v", "a b-lv", ".-lv",
	};
	char *vg, *lv;

	ck_assert_msg(!lvm_dm_name_split(&vg, &lv, names[_i]), "\"%s\" is %s and %s", names[_i], vg,
		      lv);
	ck_assert(!vg && !lv);
}
END_TEST

Suite *lvm_names_suite(void)
{
	Suite *suite = suite_create("lvm_names");
	TCase *tcase = tcase_create("words");

	tcase_add_loop_test(tcase, words_are_read, 0, sizeof(readings) / sizeof(readings[0]));
	tcase_add_test(tcase, names_too_long_are_none);
	tcase_add_loop_test(tcase, dm_names_there_and_back, 0,
			    sizeof(dm_names) / sizeof(dm_names[0]));
	tcase_add_loop_test(tcase, dm_names_that_are_none, 0, 13);
	suite_add_tcase(suite, tcase);
	return suite;
}
