/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/lvm_layout.h"
#include "core/lvm_report.h"
#include "support/lvm_text.h"
#include "unit/suites.h"

/* Frees `text`. */
static void parse(struct lvm_report *report, char *text)
{
	struct error err = { .kind = ERROR_NONE };

	memset(report, 0x5a, sizeof(*report));
	ck_assert_msg(!lvm_report_parse(report, text, strlen(text), &err), "%s", err.text);
	ck_assert_int_eq(err.kind, ERROR_NONE);
	free(text);
}

static void parse_recorded(struct lvm_report *report, const char *name)
{
	parse(report, lvm_text_recorded(name));
}

/* It is refused, with `reason` in the error, and nothing is published. */
static void refused_bytes(const char *text, size_t length, const char *reason)
{
	static const struct lvm_report nothing = { .vgs = NULL };
	struct error err = { .kind = ERROR_NONE };
	struct lvm_report report;

	memset(&report, 0x5a, sizeof(report));
	ck_assert_int_eq(lvm_report_parse(&report, text, length, &err), -EBADMSG);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(strstr(err.text, reason), "%s instead of %s", err.text, reason);
	ck_assert(!memcmp(&report, &nothing, sizeof(report)));
}

static void refused(char *text, const char *reason)
{
	refused_bytes(text, strlen(text), reason);
	free(text);
}

static const struct lvm_lv *lv_of(const struct lvm_report *report, const char *vg,
				  const char *name)
{
	const struct lvm_vg *group = lvm_report_vg(report, vg);
	const struct lvm_lv *lv = group ? lvm_vg_lv(group, name) : NULL;

	ck_assert_msg(lv, "%s/%s", vg, name);
	ck_assert_str_eq(lv->name, name);
	return lv;
}

static void ck_area(const struct lvm_area *area, const char *name, bool is_lv, uint64_t extent,
		    uint64_t extents)
{
	ck_assert_str_eq(area->name, name);
	ck_assert_int_eq(area->is_lv, is_lv);
	ck_assert_uint_eq(area->extent, extent);
	ck_assert_uint_eq(area->extents, extents);
}

START_TEST(mirror)
{
	struct lvm_report report;
	const struct lvm_vg *vg;
	const struct lvm_pv *pv;
	const struct lvm_lv *lv;

	parse_recorded(&report, "mirror-inactive");
	ck_assert_uint_eq(report.nr_vgs, 1);
	vg = lvm_report_vg(&report, "vg");
	ck_assert_str_eq(vg->uuid, report.vgs->uuid);
	ck_assert_uint_eq(strlen(vg->uuid), 38);
	ck_assert_uint_eq(vg->extent_sectors, 2048);
	ck_assert_str_eq(vg->system_id, "");
	ck_assert(!vg->exported && !vg->partial && !vg->clustered && !vg->shared);
	ck_assert(!vg->name_twice);
	ck_assert_uint_eq(vg->nr_pvs, 6);
	pv = lvm_vg_pv(vg, "/dev/ubdb");
	ck_assert_uint_eq(pv->pe_start, 2048);
	ck_assert_uint_eq(pv->sectors, 2048 + 129024);
	ck_assert(!pv->missing);
	ck_assert_ptr_null(lvm_vg_pv(vg, "/dev/ubd"));
	ck_assert_uint_eq(vg->nr_lvs, 4);

	lv = lv_of(&report, "vg", "lv");
	ck_assert_str_eq(lv->attr, "mwi---m---");
	ck_assert_str_eq(lv->mirror_log, "lv_mlog");
	ck_assert_ptr_null(lv->move_pv);
	ck_assert_uint_eq(lv->sectors, 16384);
	ck_assert(!lv->hidden && !lv->partial && !lv->active && !lv->converting && !lv->nosync);
	ck_assert_uint_eq(lv->nr_segments, 1);
	ck_assert_str_eq(lv->segments->type, "mirror");
	ck_assert_uint_eq(lv->segments->region_sectors, 128);
	ck_assert_uint_eq(lv->segments->sectors, 16384);
	ck_assert_uint_eq(lv->segments->nr_areas, 2);
	ck_area(&lv->segments->areas[0], "lv_mimage_0", true, 0, 8);
	ck_area(&lv->segments->areas[1], "lv_mimage_1", true, 0, 8);

	lv = lv_of(&report, "vg", "lv_mlog");
	ck_assert(lv->hidden);
	ck_assert_ptr_null(lv->mirror_log);
	ck_assert_str_eq(lv->segments->type, "linear");
	ck_area(&lv->segments->areas[0], "/dev/ubdf", false, 0, 1);
	lvm_report_free(&report);

	parse_recorded(&report, "mirror-active");
	ck_assert(lv_of(&report, "vg", "lv")->active);
	lvm_report_free(&report);
	lvm_report_free(&report);
}
END_TEST

START_TEST(segments)
{
	char *text = lvm_text_recorded("pvmove-inactive");
	struct lvm_report report;
	const struct lvm_lv *lv;
	uint64_t end = 0;

	parse_recorded(&report, "extended-inactive");
	lv = lv_of(&report, "vg", "lv_mimage_0");
	ck_assert_uint_gt(lv->nr_segments, 2);
	for (size_t i = 0; i < lv->nr_segments; i++) {
		ck_assert_uint_eq(lv->segments[i].start, end);
		end += lv->segments[i].sectors;
		ck_assert_uint_eq(lv->segments[i].stripe_sectors, 0);
	}
	ck_assert_uint_eq(end, lv->sectors);
	lvm_report_free(&report);

	/* in another order */
	text = lvm_text_replace(text, "\"mirror\", \"seg_start\":\"0\"", "\"mirror\", \"x\":\"0\"");
	text = lvm_text_replace(text, "\"mirror\", \"seg_start\":\"16384\"",
				"\"mirror\", \"seg_start\":\"0\"");
	text = lvm_text_replace(text, "\"x\":\"0\"", "\"seg_start\":\"16384\"");
	parse(&report, text);
	lv = lv_of(&report, "vg", "pvmove0");
	ck_assert_uint_eq(lv->segments[0].start, 0);
	ck_area(&lv->segments[0].areas[0], "/dev/ubda", false, 8, 8);
	ck_assert_uint_eq(lv->segments[1].start, 16384);
	ck_area(&lv->segments[1].areas[0], "/dev/ubda", false, 0, 8);
	lvm_report_free(&report);

	parse_recorded(&report, "striped-inactive");
	lv = lv_of(&report, "vg", "lv_mimage_1");
	ck_assert_str_eq(lv->segments->type, "striped");
	ck_assert_uint_eq(lv->segments->stripe_sectors, 128);
	ck_assert_uint_eq(lv->segments->nr_areas, 2);
	ck_assert_uint_eq(lv->segments->areas[1].extents, 4);
	lvm_report_free(&report);
}
END_TEST

START_TEST(states)
{
	struct lvm_report report;
	const struct lvm_vg *vg;

	parse_recorded(&report, "nosync-never-active");
	ck_assert(lv_of(&report, "vg", "lv")->nosync);
	ck_assert(!lv_of(&report, "vg", "lv_mimage_0")->nosync);
	lvm_report_free(&report);
	parse_recorded(&report, "upconvert-inactive");
	ck_assert(lv_of(&report, "vg", "lv")->converting);
	ck_assert(!lv_of(&report, "vg", "lv_mimagetmp_2")->converting);
	ck_assert_str_eq(lv_of(&report, "vg", "lv_mimagetmp_2")->mirror_log, "lv_mlog");
	lvm_report_free(&report);
	parse_recorded(&report, "pvmove-inactive");
	ck_assert_str_eq(lv_of(&report, "vg", "pvmove0")->move_pv, "/dev/ubda");
	ck_assert(lv_of(&report, "vg", "pvmove0")->hidden);
	ck_assert_uint_eq(lv_of(&report, "vg", "pvmove0")->nr_segments, 2);
	lvm_report_free(&report);
	parse_recorded(&report, "exported");
	ck_assert(report.vgs->exported);
	lvm_report_free(&report);
	parse_recorded(&report, "foreign");
	ck_assert_uint_gt(strlen(report.vgs->system_id), 0);
	lvm_report_free(&report);
	parse_recorded(&report, "partial-two-legs");
	vg = report.vgs;
	ck_assert(vg->partial);
	ck_assert(lvm_vg_pv(vg, "[unknown]")->missing);
	ck_assert(!lvm_vg_pv(vg, "/dev/ubdc")->missing);
	lvm_report_free(&report);
	parse(&report, lvm_text_replace(lvm_text_recorded("mirror-inactive"), "wz--n-", "wz--nc"));
	ck_assert(report.vgs->clustered && !report.vgs->shared);
	lvm_report_free(&report);
	parse(&report, lvm_text_replace(lvm_text_recorded("mirror-inactive"), "wz--n-", "wz--ns"));
	ck_assert(!report.vgs->clustered && report.vgs->shared);
	lvm_report_free(&report);
	parse(&report, lvm_text_replace(lvm_text_recorded("mirror-inactive"),
					"\"vg_lock_type\":\"\"", "\"vg_lock_type\":\"sanlock\""));
	ck_assert(report.vgs->shared);
	lvm_report_free(&report);
	parse(&report, lvm_text_replace(lvm_text_recorded("mirror-inactive"),
					"\"vg_lock_type\":\"\"", "\"vg_lock_type\":\"none\""));
	ck_assert(!report.vgs->shared);
	lvm_report_free(&report);
}
END_TEST

/* An origin's 'o' hides the 'M'; and what the fields say with --binary. */
START_TEST(nosync_under_a_snapshot)
{
	struct lvm_report report;
	char *text = lvm_text_recorded("snapshot-inactive");

	text = lvm_text_replace(text, "\"lv_initial_image_sync\":\"initial image sync\"",
				"\"lv_initial_image_sync\":\"0\"");
	parse(&report, text);
	ck_assert_int_eq(lv_of(&report, "vg", "lv")->attr[0], 'o');
	ck_assert(lv_of(&report, "vg", "lv")->nosync);
	lvm_report_free(&report);
	text = lvm_text_recorded("snapshot-inactive");
	text = lvm_text_replace(text, "\"lv_initial_image_sync\":\"initial image sync\"",
				"\"lv_initial_image_sync\":\"1\"");
	parse(&report, lvm_text_replace(text, "\"lv_converting\":\"\"", "\"lv_converting\":\"0\""));
	ck_assert(!lv_of(&report, "vg", "lv")->nosync);
	ck_assert(!lv_of(&report, "vg", "lv")->converting);
	lvm_report_free(&report);
	text = lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"lv_active\":\"\"",
				"\"lv_active\":\"unknown\"");
	parse(&report, text);
	ck_assert(!lv_of(&report, "vg", "lv")->active);
	lvm_report_free(&report);
	text = lvm_text_recorded("mirror-inactive");
	parse(&report, lvm_text_replace(text, "mwi---m---", "mwi-s-m---"));
	ck_assert(lv_of(&report, "vg", "lv")->active);
	lvm_report_free(&report);
}
END_TEST

static const char *const recorded[] = {
	"core-log-active", "core-log-inactive", "dashes", "empty-vg", "exported",
	"extended-active", "extended-inactive", "foreign", "images-1-and-2", "mirror-active",
	"mirror-inactive", "mirrored-log-active", "mirrored-log-inactive", "no-vg",
	"nosync-active", "nosync-never-active", "nothing", "odd-start", "other-types",
	"partial-leg", "partial-log", "partial-two-legs", "pvmove-active", "pvmove-inactive",
	"pvmove-of-an-image", "same-name", "snapshot-active", "snapshot-inactive",
	"striped-active", "striped-inactive", "tags", "three-legs", "upconvert-active",
	"upconvert-inactive",
};
#define NR_RECORDED ((int)(sizeof(recorded) / sizeof(recorded[0])))

/* Segments of linear, striped and mirror cover their LV without a gap. */
START_TEST(every_recorded_one)
{
	struct lvm_report report;
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;
	uint64_t end;

	parse_recorded(&report, recorded[_i]);
	for (vg = report.vgs; vg < report.vgs + report.nr_vgs; vg++) {
		ck_assert(vg->extent_sectors && *vg->name && *vg->uuid);
		for (lv = vg->lvs; lv < vg->lvs + vg->nr_lvs; lv++) {
			ck_assert_ptr_eq(lvm_vg_lv(vg, lv->name), lv);
			ck_assert_ptr_null(strchr(lv->name, '['));
			end = 0;
			for (size_t i = 0; i < lv->nr_segments; i++) {
				ck_assert_uint_eq(lv->segments[i].start, end);
				end += lv->segments[i].sectors;
			}
			ck_assert_uint_eq(end, lv->sectors);
		}
	}
	lvm_report_free(&report);
}
END_TEST

/* What stands around the report does no harm. */
START_TEST(noise)
{
	struct lvm_report report;
	char *text = lvm_text_recorded("mirror-inactive"), *all;

	ck_assert_int_gt(asprintf(&all, "  WARNING: {this} is no report\nFile descriptor 3 {\n%s\n"
				  "  1 volume(s) [}\n", text), 0);
	parse(&report, all);
	ck_assert_uint_eq(report.nr_vgs, 1);
	lvm_report_free(&report);
	ck_assert_int_gt(asprintf(&all, "%s%s", text, text), 0);
	parse(&report, all);
	ck_assert_uint_eq(report.nr_vgs, 1);
	ck_assert_uint_eq(report.nr_lvs, 4);
	ck_assert_uint_eq(report.vgs->nr_lvs, 4);
	lvm_report_free(&report);
	ck_assert_int_gt(asprintf(&all, "%s%s", text, text), 0);
	memcpy(strstr(all, "\"vg_seqno\":\""), "\"vg_seqno\":\"9", 13);
	refused(all, "changed in between");
	free(text);
	parse(&report, strdup("{\"log\":[],\"report\":[]}"));
	ck_assert_uint_eq(report.nr_vgs, 0);
	ck_assert_ptr_null(lvm_report_vg(&report, "vg"));
	lvm_report_free(&report);
	parse_recorded(&report, "no-vg");
	ck_assert_uint_eq(report.nr_vgs, 0);
	lvm_report_free(&report);
	parse_recorded(&report, "empty-vg");
	ck_assert_uint_eq(report.nr_vgs, 1);
	ck_assert_uint_eq(report.vgs->nr_lvs, 0);
	lvm_report_free(&report);
}
END_TEST

START_TEST(damaged)
{
	static const char *const controls[] = {
		"\"lv_name\":\"l\\u001b[2Jv\"", "\"lv_name\":\"l\\u007fv\"",
		"\"lv_name\":\"lv\\u009b\"", "\"lv_name\":\"\\nlv\"",
	};
	char *text = lvm_text_recorded("mirror-inactive"), *bomb;
	size_t length = strlen(text), first = (size_t)(strchr(text, '{') - text);
	size_t last = (size_t)(strrchr(text, '}') - text);

	refused(strdup(""), "no JSON");
	refused(strdup("  Volume group vg not found\n"), "no JSON");
	for (size_t i = first + 1; i <= last; i += 1 + (i % 7 ? 0 : 31))
		refused_bytes(text, i, "cut short");
	text[length / 2] = '\0';
	refused_bytes(text, length, "not JSON");
	free(text);
	refused(strdup("{}"), "no \"report\"");
	refused(strdup("{\"report\":{}}"), "no list");
	refused(strdup("{\"report\":[7]}"), "no row");
	refused(strdup("{\"report\":[{\"vg\":[[]]}]}"), "no row");
	refused(strdup("{\"report\":[{\"vg\":[{},{}]}]}"), "apart");
	refused(strdup("{\"report\":[{\"vg\":[{}]}]}"), "vg_name");
	refused(strdup("{\"report\":[{\"vg\":[], \"lv\":[{}]}]}"), "of no group");
	refused(strdup("{\"report\":[{\"lv\":[{}]}]}"), "of no group");
	refused(strdup("{'report':[]}"), "not JSON");
	refused(strdup("{\"report\":[{\"vg\":[{\"vg_name\":\"\\u0g\"}]}]}"), "a row of \"vg\" is not JSON");
	refused(strdup("{\"report\":[{\"vg\":{}}]}"), "\"vg\" is no list");
	refused(strdup("{\"report\":[{\"lv\":\"\"}]}"), "\"lv\" is no list");
	refused(strdup("{\"report\":null}"), "no \"report\"");
	refused(strdup("{\"report\":[]} \n{"), "cut short");
	bomb = malloc(1000001);
	memset(bomb, '[', 1000000);
	bomb[1000000] = '\0';
	memcpy(bomb, "{\"report\":", 10);
	refused(bomb, "nested too deeply");
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"vg\",", "\"v\\u0000g\","),
		"NUL");
	/* What is printed must not reach a terminal as a command. */
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
		refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"lv_name\":\"lv\"",
					 controls[i]), "lv_name of a row of \"lv\" of vg holds a control");
}
END_TEST

/* What is needed is asked for by name; what is not may be of another version. */
START_TEST(missing_fields)
{
	static const char *const needed[] = { "vg_name", "vg_uuid", "vg_attr", "vg_extent_size",
		"vg_seqno", "pv_name", "pv_uuid", "pv_attr", "pe_start", "pv_size", "lv_name",
		"lv_uuid", "lv_attr", "lv_size", "segtype", "seg_start", "seg_size",
		"region_size", "seg_le_ranges" };
	static const char *const spare[] = { "vg_systemid", "vg_lock_type", "vg_exported",
		"pv_missing", "lv_role", "lv_active", "lv_converting", "lv_initial_image_sync",
		"move_pv", "stripe_size", "lv_tags", "seg_pe_ranges", "mirror_log" };
	struct lvm_report report;
	char empty[64], *text;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		snprintf(empty, sizeof(empty), "%s of a row of", needed[i]);
		refused(lvm_text_without(lvm_text_recorded("mirror-inactive"), needed[i]), empty);
	}
	text = lvm_text_recorded("mirror-inactive");
	for (size_t i = 0; i < sizeof(spare) / sizeof(spare[0]); i++) {
		snprintf(empty, sizeof(empty), "\"%s\":", spare[i]);
		if (strstr(text, empty))
			text = lvm_text_without(text, spare[i]);
	}
	parse(&report, text);
	ck_assert(lv_of(&report, "vg", "lv_mlog")->hidden);
	ck_assert(!lv_of(&report, "vg", "lv")->hidden);
	ck_assert(!lv_of(&report, "vg", "lv")->nosync);
	lvm_report_free(&report);
	/* json_std: nulls and numbers */
	text = lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"move_pv\":\"\"",
				"\"move_pv\":null, \"new_in_2031\":{\"a\":[1.5]}");
	parse(&report, text);
	lvm_report_free(&report);
}
END_TEST

static char *with_number(const char *number)
{
	char field[64];

	snprintf(field, sizeof(field), "\"pe_start\":%s,", number);
	return lvm_text_replace(lvm_text_recorded("mirror-inactive"), "\"pe_start\":\"2048\",",
				field);
}

START_TEST(numbers)
{
	static const char *const good[] = { "\"2056\"", "2056", "\"2056s\"", "\"2056S\"",
		"\"02056\"" };
	static const char *const bad[] = { "\"2056.00\"", "\"2,056\"", "\"2056,00\"", "\"-2056\"",
		"-2056", "\" 2056\"", "\"2056 \"", "\"2056ss\"", "\"s\"", "\"2k\"", "\"0x808\"",
		"\"18446744073709551616\"", "18446744073709551616", "\"18014398509481984\"",
		"1e400", "2056.0", "[2056]", "{}", "true", "\"99999999999999999999999999\"" };
	struct lvm_report report;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		parse(&report, with_number(good[i]));
		ck_assert_uint_eq(lvm_vg_pv(report.vgs, "/dev/ubda")->pe_start, 2056);
		lvm_report_free(&report);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(with_number(bad[i]), "pe_start of a row of \"pv\" of vg");
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "_extent_size\":\"2048\"",
				 "_extent_size\":\"0\""), "no size");
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "_extent_size\":\"2048\"",
				 "_extent_size\":\"4294967296\""), "vg_extent_size");
}
END_TEST

START_TEST(names)
{
	struct lvm_report report;
	const struct lvm_lv *lv;
	char *text = lvm_text_recorded("mirror-inactive");

	text = lvm_text_replace(text, "/dev/ubda", "/dev/a:0-7, b");
	text = lvm_text_replace(text, "/dev/ubdb", "/dev/b:1");
	parse(&report, text);
	lv = lv_of(&report, "vg", "lv_mimage_1");
	ck_area(lv->segments->areas, "/dev/b:1", false, 0, 8);
	ck_assert_ptr_nonnull(lvm_vg_pv(report.vgs, "/dev/b:1"));
	lvm_report_free(&report);

	/* report/mark_hidden_devices = 0 */
	text = lvm_text_recorded("mirror-inactive");
	text = lvm_text_replace(lvm_text_replace(text, "\"[", "\""), ",[", ",");
	text = lvm_text_replace(lvm_text_replace(text, "]\"", "\""), "]:", ":");
	parse(&report, text);
	lv = lv_of(&report, "vg", "lv");
	ck_assert(!lv->hidden && lv_of(&report, "vg", "lv_mlog")->hidden);
	ck_area(lv->segments->areas, "lv_mimage_0", true, 0, 8);
	ck_assert_str_eq(lv->mirror_log, "lv_mlog");
	lvm_report_free(&report);

	text = lvm_text_replace(lvm_text_recorded("partial-leg"), "\"a-m\"", "\"a--\"");
	parse(&report, lvm_text_replace(text, "\"pv_missing\":\"missing\"", "\"pv_missing\":\"\""));
	ck_assert(lvm_vg_pv(report.vgs, "[unknown]")->missing);
	lvm_report_free(&report);
	/* what older versions print of a missing PV */
	text = lvm_text_recorded("partial-leg");
	text = lvm_text_replace(text, "[unknown]", "unknown device");
	text = lvm_text_replace(text, "\"a-m\"", "\"a--\"");
	text = lvm_text_replace(text, "\"pv_missing\":\"missing\"", "\"pv_missing\":\"\"");
	parse(&report, text);
	ck_assert(lvm_vg_pv(report.vgs, "unknown device")->missing);
	lvm_report_free(&report);
}
END_TEST

START_TEST(bad_ranges)
{
	static const char *const bad[] = { "nothing", "/dev/ubdf", "/dev/ubdf:", "/dev/ubdf:0",
		"/dev/ubdf:0-", "/dev/ubdf:-0", "/dev/ubdf:1-0", ":0-0", "/dev/ubdf:0-0,,",
		"/dev/ubdf:0-4294967295", "/dev/ubdf:0-0-0",
		"/dev/ubdf:0-0 ", ",/dev/ubdf:0-0x", "/dev/ubdf:18446744073709551616-0" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "/dev/ubdf:0-0",
					 bad[i]), "no list of extents");
}
END_TEST

START_TEST(duplicates)
{
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "[lv_mlog]\", \"lv_uuid",
				 "lv\", \"lv_uuid"), "the logical volume lv twice");
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "/dev/ubdf", "/dev/ubde"),
		"the physical volume /dev/ubde twice");
}
END_TEST

START_TEST(by_uuid)
{
	struct lvm_report report;
	const struct lvm_lv *lv, *found;
	const struct lvm_vg *vg;
	char plain[80], both[160];
	size_t length = 0;

	parse_recorded(&report, "same-name");
	ck_assert_uint_eq(report.nr_vgs, 2);
	ck_assert(report.vgs[0].name_twice && report.vgs[1].name_twice);
	ck_assert_ptr_eq(lvm_report_vg(&report, "vg"), &report.vgs[0]);
	lv = lvm_vg_lv(&report.vgs[1], "lv");
	found = lvm_report_lv_of_uuid(&report, lv->uuid, &vg);
	ck_assert(found == lv && vg == &report.vgs[1]);
	for (const char *at = lv->uuid; *at; at++)
		if (*at != '-')
			plain[length++] = *at;
	plain[length] = '\0';
	ck_assert_uint_eq(length, 32);
	found = lvm_report_lv_of_uuid(&report, plain, &vg);
	ck_assert(found == lv && vg == &report.vgs[1]);
	snprintf(both, sizeof(both), "%s%s", report.vgs[1].uuid, plain);
	found = lvm_report_lv_of_uuid(&report, both, &vg);
	ck_assert(found == lv && vg == &report.vgs[1]);
	snprintf(both, sizeof(both), "%s%s", report.vgs[0].uuid, plain);
	ck_assert_ptr_null(lvm_report_lv_of_uuid(&report, both, &vg));
	ck_assert_ptr_null(vg);
	plain[31] = '\0';
	ck_assert_ptr_null(lvm_report_lv_of_uuid(&report, plain, &vg));
	ck_assert_ptr_null(lvm_report_lv_of_uuid(&report, "", &vg));
	lvm_report_free(&report);
}
END_TEST

/* vgimportclone gives a copied group new ids, and leaves the LVs theirs. */
START_TEST(uuid_in_two_groups)
{
	struct lvm_report report;
	const struct lvm_lv *first, *second;
	const struct lvm_vg *vg;
	char *text = lvm_text_recorded("same-name"), both[160];
	char *one = strstr(text, "\"lv_name\":\"lv\", \"lv_uuid\":\"") + 27, *two;

	two = strstr(one, "\"lv_name\":\"lv\", \"lv_uuid\":\"") + 27;
	memcpy(strstr(two, "\", \"segtype\":\"mirror\"") - 38, one, 38);
	memcpy(two, one, 38);
	parse(&report, text);
	first = lvm_vg_lv(&report.vgs[0], "lv");
	second = lvm_vg_lv(&report.vgs[1], "lv");
	ck_assert_str_eq(first->uuid, second->uuid);
	ck_assert_ptr_null(lvm_report_lv_of_uuid(&report, first->uuid, &vg));
	ck_assert_ptr_nonnull(vg);
	snprintf(both, sizeof(both), "%s%s", report.vgs[1].uuid, first->uuid);
	ck_assert_ptr_eq(lvm_report_lv_of_uuid(&report, both, &vg), second);
	ck_assert_ptr_eq(vg, &report.vgs[1]);
	lvm_report_free(&report);
}
END_TEST

/* What stands in no field: which sentences mean something, and which nothing. */
START_TEST(said)
{
	struct lvm_report report;
	struct error err = { 0 };
	char *text = lvm_text_recorded("mirror-inactive"), line[256];
	const struct lvm_vg *vg;

	ck_assert_int_eq(lvm_report_parse(&report, text, strlen(text), &err), 0);
	vg = &report.vgs[0];
	ck_assert_int_eq(lvm_report_hear(&report, ""), 0);
	ck_assert_int_eq(lvm_report_hear(&report, "  WARNING: lvmlockd process is not running.\n"
					 "  WARNING: Not using device /dev/sdx for PV "
					 "AAAAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAAAA.\n"
					 "Not using device\nNot using device /dev/a for PV\n"), 0);
	ck_assert_ptr_null(report.skipped);
	for (size_t i = 0; i < vg->nr_pvs; i++)
		ck_assert_ptr_null(vg->pvs[i].duplicate);
	ck_assert_int_eq(lvm_vg_check_writable(vg, "", &err), 0);
	snprintf(line, sizeof(line), "  WARNING: Not using device /dev/copy for PV %s.\n"
		 "  WARNING: PV %s prefers device %s because device is used by LV.\n"
		 "  Skipping clustered VG far-away.\n  Skipping clustered VG other\n",
		 vg->pvs[1].uuid, vg->pvs[1].uuid, vg->pvs[1].name);
	ck_assert_int_eq(lvm_report_hear(&report, line), 0);
	ck_assert_ptr_null(vg->pvs[0].duplicate);
	ck_assert_str_eq(vg->pvs[1].duplicate, "/dev/copy");
	ck_assert_str_eq(report.skipped, "far-away");
	ck_assert_int_eq(lvm_vg_check_writable(vg, "", &err), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(err.text, "/dev/copy: nothing is written"));
	/* LVM before 2.02.150: the uuid has no hyphens. */
	snprintf(line, sizeof(line), "  Found duplicate PV %.6s%.4s%.4s%.4s%.4s%.4s%.6s: using /dev/a not /dev/old\n",
		 vg->pvs[0].uuid, vg->pvs[0].uuid + 7, vg->pvs[0].uuid + 12, vg->pvs[0].uuid + 17,
		 vg->pvs[0].uuid + 22, vg->pvs[0].uuid + 27, vg->pvs[0].uuid + 32);
	ck_assert_int_eq(lvm_report_hear(&report, line), 0);
	ck_assert_str_eq(vg->pvs[0].duplicate, "/dev/old");
	lvm_report_free(&report);
	free(text);
}
END_TEST

START_TEST(thousands)
{
	char *text = lvm_text_many(3000);
	struct lvm_report report;

	ck_assert(!lvm_report_parse(&report, text, strlen(text), NULL));
	ck_assert_uint_eq(report.nr_lvs, 12000);
	lvm_report_free(&report);
	free(text);
}
END_TEST

Suite *lvm_report_suite(void)
{
	Suite *suite = suite_create("lvm_report");
	TCase *tcase = tcase_create("core");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, mirror);
	tcase_add_test(tcase, segments);
	tcase_add_test(tcase, states);
	tcase_add_test(tcase, nosync_under_a_snapshot);
	tcase_add_loop_test(tcase, every_recorded_one, 0, NR_RECORDED);
	tcase_add_test(tcase, noise);
	tcase_add_test(tcase, damaged);
	tcase_add_test(tcase, missing_fields);
	tcase_add_test(tcase, numbers);
	tcase_add_test(tcase, names);
	tcase_add_test(tcase, bad_ranges);
	tcase_add_test(tcase, duplicates);
	tcase_add_test(tcase, by_uuid);
	tcase_add_test(tcase, uuid_in_two_groups);
	tcase_add_test(tcase, said);
	tcase_add_test(tcase, thousands);
	suite_add_tcase(suite, tcase);
	return suite;
}
