/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/lvm_layout.h"
#include "support/lvm_text.h"
#include "unit/suites.h"

static struct lvm_report report;
static struct lvm_mirror mirror;
static struct error err;

/* Frees `text`. */
static void read_text(char *text)
{
	lvm_report_free(&report);
	err = (struct error){ .kind = ERROR_NONE };
	ck_assert_msg(!lvm_report_parse(&report, text, strlen(text), &err), "%s", err.text);
	free(text);
}

static int layout_of(const char *name, const uint64_t *segment)
{
	const struct lvm_lv *lv = lvm_vg_lv(&report.vgs[0], name);

	ck_assert_msg(lv, "%s", name);
	err = (struct error){ .kind = ERROR_NONE };
	memset(&mirror, 0x5a, sizeof(mirror));
	return lvm_mirror_layout(&mirror, &report.vgs[0], lv, segment, &err);
}

static void lay_out(char *text, const char *name)
{
	read_text(text);
	ck_assert_msg(!layout_of(name, NULL), "%s", err.text);
	ck_assert_ptr_eq(mirror.vg, report.vgs);
	ck_assert_str_eq(mirror.visible->name, name);
}

static void lay_out_recorded(const char *recorded, const char *name)
{
	lay_out(lvm_text_recorded(recorded), name);
}

static void done(void)
{
	lvm_mirror_free(&mirror);
	lvm_mirror_free(&mirror);
	lvm_report_free(&report);
}

static void refused_segment(const char *name, const uint64_t *segment, int code,
			    const char *reason)
{
	static const struct lvm_mirror nothing = { .vg = NULL };

	ck_assert_int_eq(layout_of(name, segment), code);
	ck_assert_msg(strstr(err.text, reason), "%s instead of %s", err.text, reason);
	ck_assert_int_eq(err.kind, code == -EINVAL ? ERROR_USAGE : ERROR_OPERATION);
	ck_assert(!memcmp(&mirror, &nothing, sizeof(mirror)));
}

static void refused(char *text, const char *name, int code, const char *reason)
{
	read_text(text);
	refused_segment(name, NULL, code, reason);
	lvm_report_free(&report);
}

static void refused_recorded(const char *recorded, const char *name, int code,
			     const char *reason)
{
	refused(lvm_text_recorded(recorded), name, code, reason);
}

/* One stripe, of one extent. */
static void ck_linear(const struct lvm_place *place, const char *lv, size_t extent,
		      uint64_t first, uint64_t sectors, const char *pv, uint64_t sector)
{
	const struct lvm_extent *at = &place->extents[extent];

	ck_assert_str_eq(place->lv->name, lv);
	ck_assert(!place->missing);
	ck_assert_uint_lt(extent, place->nr_extents);
	ck_assert_uint_eq(at->first, first);
	ck_assert_uint_eq(at->sectors, sectors);
	ck_assert_uint_eq(at->stripe_sectors, 0);
	ck_assert_uint_eq(at->nr_stripes, 1);
	ck_assert_str_eq(at->stripes[0].pv->name, pv);
	ck_assert_uint_eq(at->stripes[0].sector, sector);
}

START_TEST(two_legs)
{
	lay_out_recorded("mirror-inactive", "lv");
	ck_assert_ptr_eq(mirror.lv, mirror.visible);
	ck_assert_uint_eq(mirror.start, 0);
	ck_assert_uint_eq(mirror.length, 16384);
	ck_assert_uint_eq(mirror.region_size, 128);
	ck_assert_uint_eq(mirror.nr_legs, 2);
	ck_assert_uint_eq(mirror.legs[0].nr_extents, 1);
	ck_linear(&mirror.legs[0], "lv_mimage_0", 0, 0, 16384, "/dev/ubda", 2048);
	ck_linear(&mirror.legs[1], "lv_mimage_1", 0, 0, 16384, "/dev/ubdb", 2048);
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_DISK);
	ck_assert(!mirror.log_mirrored && !mirror.nosync && !mirror.pvmove);
	ck_linear(&mirror.log, "lv_mlog", 0, 0, 2048, "/dev/ubdf", 2048);
	done();
	lay_out_recorded("nosync-never-active", "lv");
	ck_assert(mirror.nosync);
	done();
	lay_out_recorded("images-1-and-2", "lv");
	ck_assert_str_eq(mirror.legs[0].lv->name, "lv_mimage_1");
	ck_assert_str_eq(mirror.legs[1].lv->name, "lv_mimage_2");
	done();
	lay_out_recorded("three-legs", "lv");
	ck_assert_uint_eq(mirror.nr_legs, 3);
	done();
	lay_out_recorded("snapshot-inactive", "lv");
	ck_assert_ptr_eq(mirror.lv, mirror.visible);
	ck_assert_str_eq(mirror.log.lv->name, "lv_mlog");
	done();
}
END_TEST

START_TEST(core_log)
{
	lay_out_recorded("core-log-inactive", "lv");
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_CORE);
	ck_assert_ptr_null(mirror.log.lv);
	ck_assert_uint_eq(mirror.log.nr_extents, 0);
	done();
}
END_TEST

/* Leg 0 of the log is where the kernel copies from; and the log is a mirror to look at. */
START_TEST(mirrored_log)
{
	lay_out_recorded("mirrored-log-inactive", "lv");
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_DISK);
	ck_assert(mirror.log_mirrored);
	ck_assert_str_eq(mirror.log.lv->name, "lv_mlog_mimage_0");
	ck_assert_uint_eq(mirror.nr_log_other, 1);
	ck_assert_str_eq(mirror.log_other[0].lv->name, "lv_mlog_mimage_1");
	ck_assert_uint_eq(mirror.log_other[0].nr_extents, 1);
	done();
	lay_out_recorded("mirrored-log-inactive", "lv_mlog");
	ck_assert_uint_eq(mirror.length, 2048);
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_CORE);
	ck_assert_str_eq(mirror.legs[1].lv->name, "lv_mlog_mimage_1");
	done();
}
END_TEST

/* Extents of 512 KiB, extended six times over several disks. */
START_TEST(many_segments)
{
	const struct lvm_place *leg;
	uint64_t end = 0;

	lay_out_recorded("extended-inactive", "lv");
	leg = &mirror.legs[0];
	ck_assert_uint_gt(leg->nr_extents, 2);
	for (size_t i = 0; i < leg->nr_extents; i++) {
		const struct lvm_area *area = leg->lv->segments[i].areas;

		ck_assert_uint_eq(leg->extents[i].first, end);
		ck_linear(leg, "lv_mimage_0", i, end, area->extents * 1024, area->name,
			  2048 + area->extent * 1024);
		end += leg->extents[i].sectors;
	}
	ck_assert_uint_eq(end, mirror.length);
	ck_assert_uint_ne(mirror.length % mirror.region_size, 0);
	done();
}
END_TEST

START_TEST(stripes)
{
	const struct lvm_extent *extent;

	lay_out_recorded("striped-inactive", "lv");
	extent = &mirror.legs[1].extents[0];
	ck_assert_uint_eq(mirror.legs[1].nr_extents, 1);
	ck_assert_uint_eq(extent->stripe_sectors, 128);
	ck_assert_uint_eq(extent->nr_stripes, 2);
	ck_assert_uint_eq(extent->sectors, 16384);
	ck_assert_str_eq(extent->stripes[0].pv->name, "/dev/ubdc");
	ck_assert_str_eq(extent->stripes[1].pv->name, "/dev/ubdd");
	ck_assert_uint_eq(extent->stripes[1].sector, 2048);
	done();
}
END_TEST

/* Extents of 384 KiB, the first of which begins at sector 2055. */
START_TEST(odd_start)
{
	lay_out_recorded("odd-start", "lv");
	ck_assert_uint_eq(mirror.vg->extent_sectors, 768);
	ck_assert_uint_eq(mirror.legs[0].extents[0].stripes[0].sector % 768, 2055 % 768);
	done();
}
END_TEST

/* The visible LV is a mirror without a log; the one that has it is below. */
START_TEST(layer)
{
	lay_out_recorded("upconvert-inactive", "lv");
	ck_assert_str_eq(mirror.lv->name, "lv_mimagetmp_2");
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_DISK);
	ck_assert_uint_eq(mirror.nr_legs, 2);
	ck_assert_str_eq(mirror.legs[1].lv->name, "lv_mimage_1");
	done();
	lay_out_recorded("upconvert-active", "lv_mimagetmp_2");
	ck_assert_ptr_eq(mirror.lv, mirror.visible);
	done();
	/* a layer that is of another size, or no mirror, is not gone into */
	refused(lvm_text_replace_in(lvm_text_recorded("upconvert-inactive"),
				    "\"lv_name\":\"[lv_mimagetmp_2]\"", "16384", "18432"),
		"lv", -EOPNOTSUPP, "mirrored in pieces");
	refused(lvm_text_replace(lvm_text_recorded("upconvert-inactive"),
				 "\"segtype\":\"mirror\", \"seg_start\":\"0\"",
				 "\"segtype\":\"raid1\", \"seg_start\":\"0\""),
		"lv", -EINVAL, "vg/lv is of type raid1, which has no mirror log");
}
END_TEST

START_TEST(pvmove)
{
	uint64_t start = 16384, wrong = 1;

	read_text(lvm_text_recorded("pvmove-inactive"));
	refused_segment("pvmove0", NULL, -EINVAL, "--segment START, one of 0, 16384");
	refused_segment("pvmove0", &wrong, -EINVAL, "sector 1: --segment is one of 0, 16384");
	ck_assert_int_eq(layout_of("pvmove0", &start), 0);
	ck_assert(mirror.pvmove);
	ck_assert_uint_eq(mirror.start, 16384);
	ck_assert_uint_eq(mirror.length, 16384);
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_CORE);
	ck_linear(&mirror.legs[0], "pvmove0", 0, 0, 16384, "/dev/ubda", 2048 + 8 * 2048);
	done();
	/* A piece that its regions do not divide: 8 extents' worth is what LVM will take. */
	read_text(lvm_text_replace(lvm_text_recorded("pvmove-inactive"), "\"region_size\":\"4096\"",
				   "\"region_size\":\"65536\""));
	ck_assert_int_eq(layout_of("pvmove0", &start), 0);
	ck_assert_uint_eq(mirror.region_size, 16384);
	done();
	refused_recorded("pvmove-inactive", "linear", -EINVAL, "what moves it just now is one: "
			 "vg/pvmove0");
	refused_recorded("pvmove-of-an-image", "lv", -EOPNOTSUPP, "vg/lv_mimage_0, a part of the "
			 "mirror, is being moved by pvmove");
}
END_TEST

START_TEST(missing_legs)
{
	unsigned int nr_missing = 0;

	lay_out_recorded("partial-two-legs", "lv");
	ck_assert_uint_eq(mirror.nr_legs, 3);
	for (unsigned int i = 0; i < 3; i++) {
		nr_missing += mirror.legs[i].missing;
		ck_assert_uint_eq(mirror.legs[i].nr_extents, !mirror.legs[i].missing);
		ck_assert_ptr_nonnull(mirror.legs[i].lv);
	}
	ck_assert_uint_eq(nr_missing, 2);
	ck_assert(!mirror.log.missing);
	done();
	/* each alone says so: lv_attr, and the PV */
	lay_out(lvm_text_replace_in(lvm_text_recorded("mirror-inactive"),
				    "\"lv_name\":\"[lv_mimage_1]\"", "Iwi---m---", "Iwi---m-p-"), "lv");
	ck_assert(mirror.legs[1].missing && !mirror.legs[0].missing);
	done();
	lay_out(lvm_text_replace_in(lvm_text_recorded("mirror-inactive"),
				    "\"pv_name\":\"/dev/ubdb\"", "a--", "a-m"), "lv");
	ck_assert(mirror.legs[1].missing && !mirror.legs[0].missing);
	done();
	lay_out_recorded("partial-log", "lv");
	ck_assert(mirror.log.missing);
	ck_assert_uint_eq(mirror.log.nr_extents, 0);
	ck_assert_int_eq(mirror.log_kind, MIRROR_LOG_DISK);
	done();
}
END_TEST

START_TEST(no_mirror)
{
	refused_recorded("mirror-inactive", "lv_mimage_1", -EINVAL, "vg/lv_mimage_1 is a part of "
			 "the mirror vg/lv: name that one");
	refused_recorded("mirror-inactive", "lv_mlog", -EINVAL, "is a part of the mirror vg/lv");
	refused_recorded("pvmove-inactive", "other", -EINVAL, "no mirror but of type linear");
	read_text(lvm_text_recorded("other-types"));
	refused_segment("striped", NULL, -EINVAL, "no mirror but of type striped");
	refused_segment("raid", NULL, -EINVAL, "lvchange --syncaction check");
	refused_segment("thin", NULL, -EINVAL, "no mirror but of type thin");
	refused_segment("pool", NULL, -EINVAL, "no mirror but of type thin-pool");
	refused_segment("cached", NULL, -EINVAL, "no mirror but of type cache");
	lvm_report_free(&report);
}
END_TEST

/* --- images that are something else ------------------------------------------------ */

static char *with_image(const char *segment)
{
	char *text = lvm_text_recorded("mirror-inactive");
	const char *uuid = strstr(text, "[lv_mimage_1]\", \"lv_uuid\":\"") + 27;
	char from[256], to[512];

	snprintf(from, sizeof(from), "{\"lv_uuid\":\"%.38s\", \"segtype\":\"linear\", "
		 "\"seg_start\":\"0\", \"seg_size\":\"16384\"", uuid);
	snprintf(to, sizeof(to), "{\"lv_uuid\":\"%.38s\", %s", uuid, segment);
	return lvm_text_replace(text, from, to);
}

START_TEST(nested_images)
{
	static const char *const types[] = { "raid1", "cache", "thin", "integrity", "writecache",
		"vdo", "error", "zero", "mirror", "snapshot" };
	char segment[128];

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(segment, sizeof(segment), "\"segtype\":\"%s\", \"seg_start\":\"0\", "
			 "\"seg_size\":\"16384\"", types[i]);
		refused(with_image(segment), "lv", -EOPNOTSUPP, "vg/lv_mimage_1, a part of the "
			"mirror, is of type ");
		ck_assert_ptr_nonnull(strstr(err.text, types[i]));
	}
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "/dev/ubdf:0-0",
				 "[lv_mimage_0]:0-0"), "lv", -EOPNOTSUPP, "vg/lv_mlog, a part of "
		"the mirror, lies on the logical volume lv_mimage_0");
}
END_TEST

START_TEST(contradictions)
{
	static const struct {
		const char *from, *to, *reason;
	} cases[] = {
		{ "/dev/ubdb:0-7", "/dev/ubdz:0-7", "no physical volume of the group" },
		{ "/dev/ubdb:0-7", "/dev/ubdb:0-6", "7 extents on /dev/ubdb are not 16384" },
		{ "/dev/ubdb:0-7", "/dev/ubdb:56-63", "end behind the last one" },
		{ "/dev/ubdb:0-7", "/dev/ubdb:4294967200-4294967207", "end behind the last one" },
		{ "/dev/ubdb:0-7", "/dev/ubdb:0-3,/dev/ubdc:0-3", "2 stripes of 0 sectors" },
		{ "[lv_mimage_1]:0-7", "[lv_mimage_9]:0-7", "lv_mimage_9 is not listed" },
		{ "[lv_mimage_1]:0-7", "[lv_mimage_1]:0-8", "lv_mimage_1 is too short" },
		{ "[lv_mimage_1]:0-7", "[lv_mimage_1]:1-8", "lv_mimage_1 is too short" },
		{ ",[lv_mimage_1]:0-7", "", "it has 1 legs" },
		{ "[lv_mimage_0]:0-7,[lv_mimage_1]:0-7",
		  "/dev/ubda:0-7,/dev/ubda:0-7,/dev/ubda:0-7,/dev/ubda:0-7,/dev/ubda:0-7,"
		  "/dev/ubda:0-7,/dev/ubda:0-7,/dev/ubda:0-7,/dev/ubda:0-7,/dev/ubda:0-7",
		  "it has 10 legs" },
		{ "\"mirror_log\":\"[lv_mlog]\"", "\"mirror_log\":\"x\"", "x is not listed" },
		{ "\"mirror_log\":\"[lv_mlog]\"", "\"mirror_log\":\"lv\"", "lv is not listed" },
		{ "\"region_size\":\"128\"", "\"region_size\":\"129\"", "region size" },
		{ "\"region_size\":\"128\"", "\"region_size\":\"0\"", "region size" },
		{ "\"region_size\":\"128\"", "\"region_size\":\"32768\"", "region size" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), cases[i].from,
					 cases[i].to), "lv", -EBADMSG, cases[i].reason);
	refused(lvm_text_replace_in(lvm_text_recorded("mirrored-log-inactive"),
				    "\"lv_name\":\"[lv_mlog]\"", "\"mirror_log\":\"\"",
				    "\"mirror_log\":\"[lv_mlog_mimage_0]\""), "lv", -EBADMSG,
		"no log of its own");
	refused(with_image("\"segtype\":\"linear\", \"seg_start\":\"2048\", "
			   "\"seg_size\":\"16384\""), "lv", -EBADMSG, "do not follow each other");
	refused(with_image("\"segtype\":\"linear\", \"seg_start\":\"0\", "
			   "\"seg_size\":\"14336\""), "lv", -EBADMSG,
		"its segments hold 14336 sectors and it 16384");
	refused(lvm_text_replace(lvm_text_recorded("striped-inactive"), "\"stripe_size\":\"128\"",
				 "\"stripe_size\":\"96\""), "lv", -EBADMSG, "stripes of 96");
	refused(lvm_text_replace(lvm_text_recorded("striped-inactive"), "\"stripe_size\":\"128\"",
				 "\"stripe_size\":\"16384\""), "lv", -EBADMSG, "stripes of 16384");
}
END_TEST

/* Of an LV below, LVM prints all of it, whichever piece is meant. */
START_TEST(pieces)
{
	char *text = lvm_text_recorded("mirror-inactive");

	text = lvm_text_replace(text, "\"mirror\", \"seg_start\":\"0\", \"seg_size\":\"16384\"",
				"\"mirror\", \"seg_start\":\"0\", \"seg_size\":\"8192\"");
	refused(text, "lv", -EOPNOTSUPP, "which piece of lv_mimage_0");
	refused(lvm_text_replace(lvm_text_recorded("mirror-inactive"), "[lv_mimage_0]:0-7",
				 "[lv_mimage_0]:0-3"), "lv", -EOPNOTSUPP, "mirrored in pieces");
}
END_TEST

START_TEST(layers_without_end)
{
	char *text = lvm_text_recorded("upconvert-inactive");

	text = lvm_text_replace(text, "[lv_mimage_0]:0-7", "[lv_mimagetmp_2]:0-7");
	text = lvm_text_replace(text, "\"mirror_log\":\"[lv_mlog]\"", "\"mirror_log\":\"\"");
	refused(text, "lv", -EOPNOTSUPP, "is of type mirror itself");
	text = lvm_text_recorded("mirrored-log-inactive");
	text = lvm_text_replace(text, "[lv_mlog_mimage_1]:0-0", "[lv_mlog]:0-0");
	refused(text, "lv", -EOPNOTSUPP, "is of type mirror itself");
}
END_TEST

/* --- every LV of every report -------------------------------------------------------- */

static const char *const recorded[] = {
	"core-log-active", "dashes", "exported", "extended-active", "foreign", "mirror-active",
	"other-types", "partial-leg", "pvmove-active", "same-name", "snapshot-active", "tags",
};

START_TEST(every_mirror)
{
	unsigned int nr_mirrors = 0;

	read_text(lvm_text_recorded(recorded[_i]));
	for (size_t i = 0; i < report.vgs[0].nr_lvs; i++) {
		const struct lvm_lv *lv = &report.vgs[0].lvs[i];
		int r = layout_of(lv->name, NULL);

		ck_assert_msg(!r || r == -EINVAL, "%s: %s", lv->name, err.text);
		ck_assert_int_eq(!r, lv->nr_segments == 1 && !strcmp(lv->segments->type, "mirror"));
		nr_mirrors += !r;
		lvm_mirror_free(&mirror);
	}
	ck_assert(nr_mirrors || strstr(recorded[_i], "pvmove"));
	lvm_report_free(&report);
}
END_TEST

START_TEST(many)
{
	char name[32];

	read_text(lvm_text_many(2000));
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "lv%u", i);
		ck_assert_msg(!layout_of(name, NULL), "%s", err.text);
		ck_assert_uint_eq(mirror.legs[1].extents[0].stripes[0].sector, 2048 + 16384 * i);
		ck_assert_str_eq(mirror.legs[1].extents[0].stripes[0].pv->name, "/dev/sdb");
		lvm_mirror_free(&mirror);
	}
	lvm_report_free(&report);
}
END_TEST

/* --- who may write --------------------------------------------------------------- */

static void writable(char *text, const char *host, const char *reason)
{
	int r;

	read_text(text);
	err = (struct error){ .kind = ERROR_NONE };
	r = lvm_vg_check_writable(&report.vgs[0], host, &err);
	ck_assert_int_eq(r, reason ? -EOPNOTSUPP : 0);
	ck_assert_msg(!reason || strstr(err.text, reason), "%s instead of %s", err.text, reason);
	lvm_report_free(&report);
}

static char *plain_with(const char *from, const char *to)
{
	return lvm_text_replace(lvm_text_recorded("mirror-inactive"), from, to);
}

START_TEST(writes)
{
	char *system_id;

	writable(lvm_text_recorded("mirror-inactive"), NULL, NULL);
	writable(lvm_text_recorded("mirror-inactive"), "this host", NULL);
	writable(lvm_text_recorded("tags"), NULL, NULL);
	writable(lvm_text_recorded("exported"), NULL, "is exported");
	writable(lvm_text_recorded("foreign"), NULL, "with the system ID");
	writable(lvm_text_recorded("foreign"), "this host", "with the system ID");
	read_text(lvm_text_recorded("foreign"));
	system_id = strdup(report.vgs[0].system_id);
	writable(lvm_text_recorded("foreign"), system_id, NULL);
	free(system_id);
	writable(lvm_text_recorded("partial-leg"), NULL, "is missing");
	writable(lvm_text_recorded("same-name"), NULL, "two volume groups called vg");
	writable(plain_with("wz--n-", "wz--nc"), NULL, "is clustered");
	writable(plain_with("wz--n-", "wz--ns"), NULL, "is shared");
	writable(plain_with("\"vg_lock_type\":\"\"", "\"vg_lock_type\":\"dlm\""), NULL,
		 "lock type dlm");
}
END_TEST

Suite *lvm_layout_suite(void)
{
	Suite *suite = suite_create("lvm_layout");
	TCase *tcase = tcase_create("core");

	tcase_add_test(tcase, two_legs);
	tcase_add_test(tcase, core_log);
	tcase_add_test(tcase, mirrored_log);
	tcase_add_test(tcase, many_segments);
	tcase_add_test(tcase, stripes);
	tcase_add_test(tcase, odd_start);
	tcase_add_test(tcase, layer);
	tcase_add_test(tcase, pvmove);
	tcase_add_test(tcase, missing_legs);
	tcase_add_test(tcase, no_mirror);
	tcase_add_test(tcase, nested_images);
	tcase_add_test(tcase, contradictions);
	tcase_add_test(tcase, pieces);
	tcase_add_test(tcase, layers_without_end);
	tcase_add_loop_test(tcase, every_mirror, 0,
			    (int)(sizeof(recorded) / sizeof(recorded[0])));
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, writes);
	suite_add_tcase(suite, tcase);
	return suite;
}
