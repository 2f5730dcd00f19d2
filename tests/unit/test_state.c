/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/region.h"
#include "io/state.h"
#include "io/state_place.h"
#include "support/scratch.h"
#include "unit/suites.h"

static struct error err;

static void setup(void)
{
	scratch_enter();
	memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
	scratch_leave();
}

#define CHECK CHILD_CHECK

/* --- the directory ------------------------------------------------------------- */

static bool directory_is(const char *option, const char *expected)
{
	char *path;
	bool good;

	if (state_directory(&path, option, &err))
		return false;
	good = !strcmp(path, expected);
	if (!good)
		fprintf(stderr, "%s, not %s\n", path, expected);
	free(path);
	return good;
}

static int directories(void)
{
	char *path;

	setenv("HOME", "/home/me", 1);
	setenv("XDG_STATE_HOME", "/home/me/state", 1);
	setenv("MIRRORCTL_STATE_DIR", "/env", 1);
	CHECK(directory_is("/option", "/option") && directory_is(NULL, "/env"));
	CHECK(!chdir("/usr"));
	CHECK(directory_is("option", "/usr/option"));
	CHECK(state_directory(&path, "", &err) == -EINVAL && !path);
	CHECK(err.kind == ERROR_USAGE && strstr(err.text, "--state-dir"));
	setenv("MIRRORCTL_STATE_DIR", "", 1);
	if (!geteuid()) {
		CHECK(directory_is(NULL, "/var/lib/mirrorctl"));
		CHECK(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534));
	}
	CHECK(directory_is(NULL, "/home/me/state/mirrorctl"));
	setenv("XDG_STATE_HOME", "relative", 1);
	CHECK(directory_is(NULL, "/home/me/.local/state/mirrorctl"));
	unsetenv("HOME");
	memset(&err, 0, sizeof(err));
	CHECK(state_directory(&path, NULL, &err) == -ENOENT && !path);
	CHECK(strstr(err.text, "HOME") && strstr(err.text, "--state-dir"));
	return 0;
}

START_TEST(which_directory)
{
	scratch_in_child(__func__, directories, "");
}
END_TEST

START_TEST(parents)
{
	static const char *const pairs[][2] = {
		{ "/a/b", "/a" }, { "/a", "/" }, { "/", "/" }, { "//", "/" }, { "a", "." },
		{ ".", "." }, { "a/b/", "a" }, { "a//b", "a" }, { "//a", "/" }, { "", "." },
		{ "./a", "." },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char *parent = state_parent(pairs[i][0]);

		ck_assert_str_eq(parent, pairs[i][1]);
		free(parent);
	}
}
END_TEST

/* --- names ----------------------------------------------------------------------- */

#define WHEN ((time_t)1795363024)	/* 2026-11-22 15:57:04 */

static void name_is(const char *mirror, unsigned int nr, const char *expected)
{
	char *name = state_journal_name(mirror, WHEN, nr);

	ck_assert_str_eq(name, expected);
	free(name);
}

START_TEST(names)
{
	char longest[600], *name;
	time_t when = 0;

	name_is("vg/home", 1, "vg-home.20261122T155704Z.undo");
	name_is("vg/home", 2, "vg-home.20261122T155704Z-2.undo");
	name_is("/dev/vg/home", 1, "dev-vg-home.20261122T155704Z.undo");
	name_is("Az09._+-x", 1, "Az09._+-x.20261122T155704Z.undo");
	name_is("a b\n\xc3\xa4*;$", 1, "a_b______.20261122T155704Z.undo");
	name_is("", 1, "mirror.20261122T155704Z.undo");
	name_is("///", 1, "mirror.20261122T155704Z.undo");
	name_is(".hidden", 1, "_hidden.20261122T155704Z.undo");
	name_is("..", 1, "_..20261122T155704Z.undo");
	name_is("../../etc/x", 1, "_.-..-etc-x.20261122T155704Z.undo");
	name_is("-rf", 1, "_rf.20261122T155704Z.undo");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	name = state_journal_name(longest, WHEN, 1000);
	ck_assert_uint_eq(strlen(name), 128 + 1 + 16 + 5 + 5);
	ck_assert(state_journal_time(&when, name));
	ck_assert_int_eq(when, WHEN);
	free(name);
}
END_TEST

START_TEST(times)
{
	static const char *const wrong[] = {
		"", ".undo", "x.undo", "m.20261122T155704Z", "m.20261122T155704.undo",
		"m.20261122T155704Z-.x.undo", "m.20261122T155704Zx.undo",
		"m.2026112xT155704Z.undo", "m20261122T155704Z.undo",
	};
	time_t when = 0;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!state_journal_time(&when, wrong[i]), "%s", wrong[i]);
	ck_assert(state_journal_time(&when, "/a.b/m.1.20261122T155704Z-12.undo"));
	ck_assert_int_eq(when, WHEN);
	ck_assert(state_journal_time(&when, "m.19700101T000001Z.undo"));
	ck_assert_int_eq(when, 1);
}
END_TEST

/* --- the list --------------------------------------------------------------------- */

static void list_is(const char *const *expected, size_t nr)
{
	struct state_journals journals;
	const char *directory = scratch_path("state");

	ck_assert_int_eq(state_journals_list(&journals, directory, &err), 0);
	ck_assert_uint_eq(journals.nr, nr);
	for (size_t i = 0; i < nr; i++) {
		ck_assert_int_eq(strncmp(journals.paths[i], directory, strlen(directory)), 0);
		ck_assert_str_eq(journals.paths[i] + strlen(directory) + strlen("/undo/"),
				 expected[i]);
	}
	state_journals_free(&journals);
	ck_assert_uint_eq(journals.nr, 0);
	state_journals_free(&journals);
}

START_TEST(list)
{
	static const char *const order[] = {
		"renamed.undo",
		"z.20251122T155704Z.undo",
		"a.20261122T155703Z.undo",
		"a.20261122T155704Z.undo",
		"a.20261122T155704Z-2.undo",
		"a.20261122T155704Z-10.undo",
		"b.20261122T155704Z.undo",
		"a.20261122T155705Z.undo",
	};
	char path[64];

	list_is(NULL, 0);
	ck_assert_int_eq(mkdir(scratch_path("state"), 0700), 0);
	list_is(NULL, 0);
	ck_assert_int_eq(mkdir(scratch_path("state/undo"), 0700), 0);
	list_is(NULL, 0);
	for (size_t i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "state/undo/%s", order[(i * 5 + 3) % 8]);
		scratch_file(path, 1);
	}
	scratch_file("state/undo/a.20261122T155704Z.txt", 1);
	scratch_file("state/undo/.undo", 1);
	ck_assert_int_eq(mkdir(scratch_path("state/undo/dir.undo"), 0700), 0);
	ck_assert_int_eq(symlink("renamed.undo", scratch_path("state/undo/link.undo")), 0);
	list_is(order, 8);
}
END_TEST

/* What is created in one second is listed in that order. */
START_TEST(created_in_a_row)
{
	const char *directory = scratch_path("state");
	struct state_journals journals;
	char *paths[12];

	for (size_t i = 0; i < 12; i++) {
		struct journal_file file;

		ck_assert_int_eq(journal_file_create(&file, directory, "vg/home", &err), 0);
		paths[i] = strdup(file.path);
		journal_file_close(&file);
	}
	ck_assert_int_eq(state_journals_list(&journals, directory, &err), 0);
	ck_assert_uint_eq(journals.nr, 12);
	for (size_t i = 0; i < 12; i++) {
		ck_assert_str_eq(journals.paths[i], paths[i]);
		free(paths[i]);
	}
	state_journals_free(&journals);
}
END_TEST

static int list_as_nobody(void)
{
	struct state_journals journals;

	if (!geteuid())
		CHECK(!setgroups(0, NULL) && !setgid(65534) && !setuid(65534));
	CHECK(state_journals_list(&journals, scratch_path("state"), &err) == -EACCES);
	CHECK(!journals.nr && !journals.paths);
	CHECK(strstr(err.text, "/state/undo cannot be listed: permission denied"));
	return 0;
}

START_TEST(list_unreadable)
{
	ck_assert_int_eq(chmod(scratch_path(""), 0755), 0);
	ck_assert_int_eq(mkdir(scratch_path("state"), 0755), 0);
	ck_assert_int_eq(mkdir(scratch_path("state/undo"), 0), 0);
	scratch_in_child(__func__, list_as_nobody, "");
	ck_assert_int_eq(rmdir(scratch_path("state/undo")), 0);
	scratch_file("state/undo", 1);
	ck_assert_int_eq(state_journals_list(&(struct state_journals){ 0 }, scratch_path("state"),
					     &err), -ENOTDIR);
}
END_TEST

/* --- places: stacks made by hand ------------------------------------------------------ */

#define NUMBER(major_, minor_) ((dev_t)((major_) << 8 | (minor_)))	/* small makedev() */
#define DISK NUMBER(8, 0)
#define OTHER_DISK NUMBER(8, 16)
#define DM(minor_) NUMBER(253, minor_)
#define LOOP(minor_) NUMBER(7, minor_)
#define LEG_FILE 77u

static struct stack stack;

static void add_table(unsigned int minor_, const char *name, uint64_t sectors, const char *type,
		      const char *params)
{
	struct stack_edge edge = {
		.kind = STACK_MAPPED, .upper.dev = DM(minor_), .upper_sectors = sectors,
	};

	snprintf(edge.name, sizeof(edge.name), "%s", name);
	snprintf(edge.type, sizeof(edge.type), "%s", type);
	ck_assert_int_eq(stack_add_target(&stack, &edge, params), 0);
}

static void add_edge(enum stack_kind kind, struct stack_node upper, struct stack_node lower,
		     uint64_t lower_first, uint64_t sectors)
{
	stack.edges = reallocarray(stack.edges, stack.nr_edges + 1, sizeof(*stack.edges));
	stack.edges[stack.nr_edges++] = (struct stack_edge){
		.kind = kind, .upper = upper, .lower = lower, .lower_first = lower_first,
		.upper_sectors = sectors, .lower_sectors = sectors,
		.exact = kind != STACK_HOLDER,
	};
}

static struct stack_node node(dev_t dev)
{
	return (struct stack_node){ .dev = dev };
}

/* 0: sda with a volume group: vg-m (3) is a mirror of 1 and 2 with its log on 0. */
static void setup_stack(void)
{
	setup();
	memset(&stack, 0, sizeof(stack));
	add_table(0, "vg-m_mlog", 100, "linear", "8:0 2048");
	add_table(1, "vg-m_mimage_0", 1000, "linear", "8:0 4096");
	add_table(2, "vg-m_mimage_1", 1000, "linear", "8:0 8192");
	add_table(3, "vg-m", 1000, "mirror",
		  "disk 2 253:0 64 2 253:1 0 253:2 0 1 handle_errors");
}

static void teardown_stack(void)
{
	stack_free(&stack);
	teardown();
}

static const struct claim_range lvm_parts[] = {
	{ .operand = 0, .node.dev = DM(1), .sectors = 1000 },
	{ .operand = 1, .node.dev = DM(2), .sectors = 1000 },
	{ .operand = MIRROR_LEGS_MAX, .node.dev = DM(0), .sectors = 8 },
};

static struct place_verdict verdict;

static enum place_answer ask(dev_t dev, const struct claim_range *parts, size_t nr_parts)
{
	struct stack_node under = node(dev);

	ck_assert_int_eq(place_find(&verdict, &stack, &under, 1, parts, nr_parts), 0);
	return verdict.answer;
}

static enum place_answer ask_lvm(dev_t dev)
{
	return ask(dev, lvm_parts, 3);
}

START_TEST(place_on_mirror)
{
	ck_assert_int_eq(ask_lvm(DM(3)), PLACE_INSIDE);
	ck_assert_str_eq(verdict.mirror, "vg-m");
	/* A volume group upon the mirror, a thin volume in that. */
	add_table(10, "up-data", 500, "linear", "253:3 100");
	add_table(11, "up-pool", 500, "thin-pool", "253:9 253:10 128 0");
	add_table(12, "up-thin", 5000, "thin", "253:11 1");
	ck_assert_int_eq(ask_lvm(DM(10)), PLACE_INSIDE);
	ck_assert_int_eq(ask_lvm(DM(12)), PLACE_INSIDE);
	ck_assert_str_eq(verdict.mirror, "vg-m");
	/* md upon it, by its holder link alone. */
	add_edge(STACK_HOLDER, node(NUMBER(9, 0)), node(DM(3)), 0, UINT64_MAX);
	ck_assert_int_eq(ask_lvm(NUMBER(9, 0)), PLACE_INSIDE);
}
END_TEST

START_TEST(place_on_parts)
{
	ck_assert_int_eq(ask_lvm(DM(2)), PLACE_INSIDE);
	ck_assert_uint_eq(verdict.operand, 1);
	ck_assert_str_eq(verdict.mirror, "");
	ck_assert_int_eq(ask_lvm(DM(0)), PLACE_INSIDE);
	ck_assert_uint_eq(verdict.operand, MIRROR_LEGS_MAX);
	/* Other names for the sectors of leg 0. */
	add_table(10, "mine", 10, "linear", "8:0 5086");
	ck_assert_int_eq(ask_lvm(DM(10)), PLACE_INSIDE);
	/* The whole disk that the parts are on. */
	ck_assert_int_eq(ask_lvm(DISK), PLACE_INSIDE);
	add_table(11, "crypt", 1000, "crypt", "aes-xts-plain64 :64:logon:k 0 253:2 0");
	ck_assert_int_eq(ask_lvm(DM(11)), PLACE_INSIDE);
	ck_assert_uint_eq(verdict.operand, 1);
}
END_TEST

START_TEST(place_beside)
{
	add_table(10, "vg-root", 500, "linear", "8:0 5096");
	ck_assert_int_eq(ask_lvm(DM(10)), PLACE_SAME_DISK);
	ck_assert(verdict.disk == DISK);
	add_table(11, "other", 500, "linear", "8:16 4096");
	ck_assert_int_eq(ask_lvm(DM(11)), PLACE_APART);
	ck_assert_int_eq(ask_lvm(OTHER_DISK), PLACE_APART);
	add_edge(STACK_PARTITION, node(NUMBER(8, 1)), node(DISK), 20000, 500);
	ck_assert_int_eq(ask_lvm(NUMBER(8, 1)), PLACE_SAME_DISK);
	/* A table that is not resumed yet carries nothing. */
	add_table(12, "later", 500, "linear", "253:3 0");
	stack.edges[stack.nr_edges - 1].inactive = true;
	ck_assert_int_eq(ask_lvm(DM(12)), PLACE_APART);
	/* In memory, on the network. */
	ck_assert_int_eq(place_find(&verdict, &stack, NULL, 0, lvm_parts, 3), 0);
	ck_assert_int_eq(verdict.answer, PLACE_APART);
	ck_assert_int_eq(place_find(&verdict, &stack, &(struct stack_node){ .dev = DISK }, 1,
				    NULL, 0), 0);
	ck_assert_int_eq(verdict.answer, PLACE_APART);
}
END_TEST

/* A leg that is only a part of what it was given by. */
START_TEST(place_beside_offset)
{
	struct claim_range part = { .node.dev = DISK, .first = 4096, .sectors = 1000 };

	add_edge(STACK_PARTITION, node(NUMBER(8, 1)), node(DISK), 0, 4096);
	add_edge(STACK_PARTITION, node(NUMBER(8, 2)), node(DISK), 5095, 500);
	ck_assert_int_eq(ask(NUMBER(8, 1), &part, 1), PLACE_SAME_DISK);
	ck_assert_int_eq(ask(NUMBER(8, 2), &part, 1), PLACE_INSIDE);
}
END_TEST

/* Leg and journal in one thin pool, on one md device: never the same blocks. */
START_TEST(place_shares_pool)
{
	struct claim_range part = { .operand = 0, .node.dev = DM(12), .sectors = 1000 };

	add_table(10, "tdata", 50000, "linear", "8:0 100000");
	add_table(11, "pool", 50000, "thin-pool", "253:9 253:10 128 0");
	add_table(12, "leg", 1000, "thin", "253:11 1");
	add_table(13, "state", 1000, "thin", "253:11 2");
	ck_assert_int_eq(ask(DM(13), &part, 1), PLACE_SAME_DISK);
	ck_assert_int_eq(ask(DM(12), &part, 1), PLACE_INSIDE);
}
END_TEST

START_TEST(place_over_loop)
{
	struct stack_node image = { .dev = NUMBER(8, 1), .ino = LEG_FILE };
	struct stack_node another = { .dev = NUMBER(8, 1), .ino = LEG_FILE + 1 };
	struct claim_range part = { .operand = 1, .node = image, .sectors = 1000 };
	struct claim_range partition = { .operand = 0, .node.dev = NUMBER(8, 1),
					 .sectors = 9000 };

	add_edge(STACK_PARTITION, node(NUMBER(8, 1)), node(DISK), 2048, 9000);
	add_edge(STACK_LOOP, node(LOOP(0)), image, 0, 1000);
	add_edge(STACK_LOOP, node(LOOP(1)), another, 0, 1000);
	/* The image is mounted through a loop device. */
	ck_assert_int_eq(ask(LOOP(0), &part, 1), PLACE_INSIDE);
	ck_assert_uint_eq(verdict.operand, 1);
	/* Another image beside it, or the file system that both images are in. */
	ck_assert_int_eq(ask(LOOP(1), &part, 1), PLACE_APART);
	ck_assert_int_eq(ask(NUMBER(8, 1), &part, 1), PLACE_APART);
	/* The leg is what the file system of the mounted image is on. */
	ck_assert_int_eq(ask(LOOP(1), &partition, 1), PLACE_INSIDE);
	/* Leg and place are two loop devices over one image. */
	part.node = node(LOOP(0));
	add_edge(STACK_LOOP, node(LOOP(2)), image, 0, 1000);
	ck_assert_int_eq(ask(LOOP(2), &part, 1), PLACE_INSIDE);
	ck_assert_int_eq(ask(NUMBER(8, 1), &part, 1), PLACE_APART);
	/* The image is on a file system without a device of its own. */
	part.node = node(LOOP(3));
	image.dev = NUMBER(0, 40);
	add_edge(STACK_LOOP, node(LOOP(3)), image, 0, 1000);
	add_edge(STACK_HOLDER, image, node(NUMBER(8, 1)), 0, UINT64_MAX);
	ck_assert_int_eq(ask(NUMBER(8, 1), &part, 1), PLACE_APART);
	ck_assert_int_eq(ask(LOOP(3), &partition, 1), PLACE_INSIDE);
}
END_TEST

/* Of a file system on several devices one is enough. */
START_TEST(place_on_several)
{
	struct stack_node under[] = { node(OTHER_DISK), node(DM(3)) };

	ck_assert_int_eq(place_find(&verdict, &stack, under, 2, lvm_parts, 3), 0);
	ck_assert_int_eq(verdict.answer, PLACE_INSIDE);
}
END_TEST

/* --- places: real ones ------------------------------------------------------------------ */

static struct opened_mirror opened;

/* Two image files and a log as `m` of this directory. */
static void open_images(void)
{
	static const char *const roles[] = { "leg0", "leg1", "log" };
	struct device *devices[3];

	memset(&opened, 0, sizeof(opened));
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(device_open(&devices[i], roles[i],
					     i ? scratch_hole(roles[i], 8 << 20) :
					     scratch_path(roles[i]), 0, DEVICE_READ, &err), 0);
	opened.mirror.nr_legs = 3;	/* the last one is missing */
	opened.mirror.geometry = (struct region_geometry){
		.length = 16384, .region_size = 1024, .nr_regions = 16 };
	opened.legs[0] = devices[0];
	opened.legs[1] = devices[1];
	opened.log = devices[2];
}

static void close_images(void)
{
	device_close(opened.legs[0]);
	device_close(opened.legs[1]);
	device_close(opened.log);
}

static int check_place(const char *path)
{
	char *warning = NULL;
	int r;

	memset(&err, 0, sizeof(err));
	r = state_check_place(path, &opened, &warning, &err);
	if (r != -ELOOP && r)
		fprintf(stderr, "%d: %s\n", r, err.text);
	free(warning);
	return r;
}

START_TEST(beside_images)
{
	scratch_hole("leg0", 8 << 20);
	open_images();
	/* Images in the same directory as the state are what a support engineer has. */
	ck_assert_int_eq(check_place(scratch_path("state")), 0);
	ck_assert_int_eq(check_place(scratch_path("")), 0);
	ck_assert_int_eq(check_place(scratch_path("a/b/c/saved")), 0);
	ck_assert_int_eq(check_place("relative"), 0);
	ck_assert_int_eq(check_place("/"), 0);
	ck_assert_int_eq(check_place("/dev/shm/none"), 0);
	/* A part itself, under whatever name. */
	ck_assert_int_eq(check_place(scratch_path("leg1")), -ELOOP);
	ck_assert_ptr_nonnull(strstr(err.text, "is leg1 ("));
	ck_assert_ptr_nonnull(strstr(err.text, "nothing was changed"));
	ck_assert_int_eq(link(scratch_path("log"), scratch_path("hard")), 0);
	ck_assert_int_eq(symlink("leg0", scratch_path("soft")), 0);
	ck_assert_int_eq(check_place(scratch_path("hard")), -ELOOP);
	ck_assert_int_eq(check_place(scratch_path("soft")), -ELOOP);
	close_images();
}
END_TEST

static bool run(const char *format, const char *path)
{
	char command[1024];

	snprintf(command, sizeof(command), format, path);
	return system(command) == 0;
}

/* A file system in leg 0, mounted for this process alone. */
static int mount_leg(void)
{
	char loop[32], options[2048];
	int fd = scratch_loop(loop, scratch_path("leg0"), 512, 0);

	if (fd < 0 || mkdir(scratch_path("mnt"), 0755) || !scratch_own_mounts() ||
	    mount(loop, scratch_path("mnt"), "ext4", 0, ""))
		return SCRATCH_CANNOT;
	CHECK(check_place(scratch_path("mnt")) == -ELOOP);
	CHECK(strstr(err.text, "/mnt: would be stored on leg0 (") && strstr(err.text, "of this mirror;"));
	CHECK(check_place(scratch_path("mnt/new/saved")) == -ELOOP);
	CHECK(!check_place(scratch_path("saved")));
	CHECK(check_place(loop) == -ELOOP);
	/* undo/ of a directory elsewhere leads there. */
	CHECK(!mkdir(scratch_path("state"), 0755) && !check_place(scratch_path("state")));
	CHECK(!symlink("../mnt", scratch_path("state/undo")));
	CHECK(check_place(scratch_path("state")) == -ELOOP);
	/* Bound elsewhere; below an overlay whose upper directory is there. */
	CHECK(!mkdir(scratch_path("bound"), 0755));
	CHECK(!mount(scratch_path("mnt"), scratch_path("bound"), "none", MS_BIND, ""));
	CHECK(check_place(scratch_path("bound/saved")) == -ELOOP);
	CHECK(!mkdir(scratch_path("mnt/up"), 0755) && !mkdir(scratch_path("mnt/work"), 0755));
	CHECK(!mkdir(scratch_path("low"), 0755) && !mkdir(scratch_path("over"), 0755));
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		 scratch_path("low"), scratch_path("mnt/up"), scratch_path("mnt/work"));
	if (!mount("none", scratch_path("over"), "overlay", 0, options))
		CHECK(check_place(scratch_path("over/saved")) == -ELOOP);
	else
		scratch_skip("on_mounted_leg", "no overlay");
	close(fd);
	return 0;
}

START_TEST(on_mounted_leg)
{
	scratch_hole("leg0", 8 << 20);
	if (!run("mke2fs -q -F -t ext4 %s >/dev/null 2>&1", scratch_path("leg0"))) {
		scratch_skip("on_mounted_leg", "no mke2fs");
		return;
	}
	open_images();
	scratch_in_child(__func__, mount_leg, "no loop device can be mounted");
	close_images();
}
END_TEST

/* An overlay whose upper directory is hidden by another mount. */
static int mount_hidden(void)
{
	char options[2048], *warning = NULL, *first;

	if (mkdir(scratch_path("low"), 0755) || mkdir(scratch_path("over"), 0755) ||
	    !scratch_mount_small(scratch_path("t")))
		return SCRATCH_CANNOT;
	CHECK(!mkdir(scratch_path("t/up"), 0755) && !mkdir(scratch_path("t/work"), 0755));
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		 scratch_path("low"), scratch_path("t/up"), scratch_path("t/work"));
	if (mount("none", scratch_path("over"), "overlay", 0, options))
		return SCRATCH_CANNOT;
	CHECK(!state_check_place(scratch_path("over"), &opened, &warning, &err) && !warning);
	CHECK(!mount("none", scratch_path("t"), "tmpfs", 0, "size=64k"));
	CHECK(!state_check_place(scratch_path("over"), &opened, &warning, &err) && warning);
	CHECK(strstr(warning, "/over: the device of its file system is not known"));
	/* A warning that is there already stays, and the next path is looked at. */
	first = warning;
	CHECK(!state_check_place(scratch_path("over/saved"), &opened, &warning, &err));
	CHECK(warning == first);
	CHECK(state_check_place(scratch_path("leg0"), &opened, &warning, &err) == -ELOOP);
	free(warning);
	return 0;
}

START_TEST(warning_is_kept)
{
	scratch_hole("leg0", 8 << 20);
	open_images();
	scratch_in_child(__func__, mount_hidden, "no overlay can be mounted");
	close_images();
}
END_TEST

/* --- the system's log --------------------------------------------------------------------- */

START_TEST(system_log)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert(!system_log_ready(scratch_path("none")));
	ck_assert(!system_log_ready(scratch_hole("plain", 1)));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", scratch_path("log"));
	ck_assert_int_eq(bind(log, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert(system_log_ready(scratch_path("log")));
	/* A daemon that does not read any more. */
	ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	while (send(client, "x", 1, 0) == 1)
		;
	ck_assert(!system_log_ready(scratch_path("log")));
	close(log);
	ck_assert(!system_log_ready(scratch_path("log")));
	close(client);
	system_log_action("unit test", "%s", "nothing was changed\n");
}
END_TEST

Suite *state_suite(void)
{
	Suite *suite = suite_create("state");
	TCase *tests = tcase_create("state");
	TCase *places = tcase_create("places");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, which_directory);
	tcase_add_test(tests, parents);
	tcase_add_test(tests, names);
	tcase_add_test(tests, times);
	tcase_add_test(tests, list);
	tcase_add_test(tests, created_in_a_row);
	tcase_add_test(tests, list_unreadable);
	tcase_add_test(tests, beside_images);
	tcase_add_test(tests, on_mounted_leg);
	tcase_add_test(tests, warning_is_kept);
	tcase_add_test(tests, system_log);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(places, setup_stack, teardown_stack);
	tcase_add_test(places, place_on_mirror);
	tcase_add_test(places, place_on_parts);
	tcase_add_test(places, place_beside);
	tcase_add_test(places, place_beside_offset);
	tcase_add_test(places, place_shares_pool);
	tcase_add_test(places, place_over_loop);
	tcase_add_test(places, place_on_several);
	suite_add_tcase(suite, places);
	return suite;
}
