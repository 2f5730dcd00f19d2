/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/config.h"
#include "support/scratch.h"
#include "unit/suites.h"

static struct config_words words;
static struct error err;
static const char *path;

static void setup(void)
{
	scratch_enter();
	path = scratch_path("mirrorctl.conf");
	memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
	config_free(&words);
	scratch_leave();
}

static void write_bytes(const char *text, size_t bytes)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, bytes, file), bytes);
	fclose(file);
	ck_assert_int_eq(chmod(path, 0644), 0);
}

static int read_text(const char *text)
{
	write_bytes(text, strlen(text));
	config_free(&words);
	memset(&err, 0, sizeof(err));
	return config_read(&words, path, true, &command_audit, &err);
}

static void expect_words(const char *text, int argc, const char *const argv[])
{
	ck_assert_msg(!read_text(text), "%s: %s", text, err.text);
	ck_assert_int_eq(words.argc, argc);
	for (int i = 0; i < argc; i++)
		ck_assert_str_eq(words.argv[i], argv[i]);
}

/* The error names the file, the line and what is wrong. */
static void refuse(const char *text, unsigned int line, const char *says)
{
	char place[300];

	ck_assert_msg(read_text(text) == -EINVAL, "accepted: %s", text);
	ck_assert_int_eq(err.kind, ERROR_USAGE);
	snprintf(place, sizeof(place), "%s:%u: ", path, line);
	ck_assert_msg(!strncmp(err.text, place, strlen(place)), "%s: %s", text, err.text);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert_int_eq(words.argc, 0);
}

START_TEST(good_files)
{
	static const char *const rate[] = { "--rate=10M" };
	static const char *const two[] = { "--rate=10M", "--json" };
	static const char *const spaced[] = { "--sample=1 2 3" };
	static const char *const equals[] = { "--sample=a=b" };

	expect_words("", 0, NULL);
	expect_words("\n\n# nothing\n   # here\n", 0, NULL);
	expect_words("rate = 10M\n", 1, rate);
	expect_words("rate=10M", 1, rate);
	expect_words("  rate\t=  10M  \n", 1, rate);
	expect_words("# a comment\nrate = 10M\n\njson\n", 2, two);
	expect_words("sample = 1 2 3\n", 1, spaced);
	expect_words("sample = a=b\n", 1, equals);
	expect_words("rate = 10M\r\njson\r\n", 2, two);
}
END_TEST

/* Words of another command are fine, and left to it. */
START_TEST(words_of_other_commands)
{
	static const char *const both[] = { "--json" };

	expect_words("runs\nmap\njson\n", 1, both);
}
END_TEST

START_TEST(malformed_lines)
{
	refuse("leg /dev/a\n", 1, "expected `option = value`");
	refuse("json\n\nrate 10M\n", 3, "expected `option = value`");
	refuse("--json\n", 1, "--json");
	refuse("= 10M\n", 1, "expected");
	refuse("JSON\n", 1, "expected");
	refuse("[section]\n", 1, "expected");
	refuse("rate =\n", 1, "rate needs a value");
	refuse("rate\n", 1, "rate needs a value");
	refuse("json = yes\n", 1, "json takes no value");
	refuse("json =\n", 1, "json takes no value");
	refuse("rate = \"10M\"\n", 1, "quotes");
	refuse("rate = '10M'\n", 1, "quotes");
	refuse("rate = 10\\M\n", 1, "backslashes");
	refuse("json\nrate = 10M # slow\n", 2, "comments");
}
END_TEST

START_TEST(unknown_names)
{
	refuse("rat = 10M\n", 1, "no command has an option --rat");
	refuse("ratee = 10M\n", 1, "--ratee");
	refuse("json\nno-such-thing\n", 2, "--no-such-thing");
	refuse("help\n", 1, "--help");
	refuse("version\n", 1, "--version");
	refuse("config = /etc/x\n", 1, "--config");
}
END_TEST

START_TEST(never_from_a_file)
{
	refuse("yes\n", 1, "yes must be typed");
	refuse("json\nyes = 1\n", 2, "yes must be typed");
	refuse("force\n", 1, "force must be typed");
	refuse("force-anything\n", 1, "force-anything must be typed");
	refuse("hold-vg-lock\n", 1, "hold-vg-lock must be typed");
	refuse("json\nlog = /dev/vg/log\n", 2, "log names one mirror, and must be typed");
	refuse("leg = /dev/sda\n", 1, "leg names one mirror");
	refuse("mapfile = /dev/sda\n", 1, "mapfile is about one run");
	refuse("regions = 5\n", 1, "regions is about one run");
	refuse("seed = 5\n", 1, "seed is about one run");
	refuse("salvage\n", 1, "salvage is about one run");
	refuse("accept-salvaged\n", 1, "accept-salvaged is about one run");
	refuse("copy-all\n", 1, "copy-all is about one run");
}
END_TEST

/* Longer than any buffer that a library may have for a line. */
START_TEST(long_lines)
{
	static const size_t lengths[] = { 100, 890, 891, 980, 990, 1000, 1024, 5000, 60000 };
	size_t length = lengths[_i];
	char *text = malloc(length + 20);

	strcpy(text, "sample  = ");
	memset(text + 10, '7', length);
	strcpy(text + 10 + length, "\n");
	if (length > 890) {
		refuse(text, 1, "too long");
	} else {
		ck_assert_int_eq(read_text(text), 0);
		ck_assert_int_eq(words.argc, 1);
		ck_assert_uint_eq(strlen(words.argv[0]), strlen("--sample=") + length);
	}
	free(text);
}
END_TEST

/* Comments and blanks too: popt would stop at them and not say where. */
START_TEST(long_lines_of_nothing)
{
	char text[3000];

	memset(text, _i ? '#' : ' ', sizeof(text));
	memcpy(text, "json\n", 5);
	memcpy(text + sizeof(text) - 7, "\njson\n", 7);
	refuse(text, 2, "too long");
}
END_TEST

START_TEST(not_a_configuration)
{
	char large[65 * 1024];

	write_bytes("json\0rate = 1\n", 14);
	ck_assert_int_eq(config_read(&words, path, true, &command_audit, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "is not a configuration file") != NULL, "%s", err.text);
	memset(large, '\n', sizeof(large));
	write_bytes(large, sizeof(large));
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(config_read(&words, path, true, &command_audit, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "is not a configuration file") != NULL, "%s", err.text);
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(config_read(&words, "/", true, &command_audit, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, "not a regular file") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_file_that_is_not_there)
{
	const char *none = scratch_path("none");

	ck_assert_int_eq(config_read(&words, none, false, &command_audit, &err), 0);
	ck_assert_int_eq(words.argc, 0);
	ck_assert_int_eq(err.kind, ERROR_NONE);
	ck_assert_int_eq(config_read(&words, none, true, &command_audit, &err), -ENOENT);
	ck_assert_msg(!strncmp(err.text, none, strlen(none)), "%s", err.text);
}
END_TEST

START_TEST(who_may_write_it)
{
	static const mode_t modes[] = { 0664, 0646, 0666, 0622, 0602 };

	write_bytes("json\n", 5);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		memset(&err, 0, sizeof(err));
		ck_assert_int_eq(chmod(path, modes[i]), 0);
		ck_assert_int_eq(config_read(&words, path, true, &command_audit, &err), -EPERM);
		ck_assert_msg(strstr(err.text, "chmod go-w") != NULL, "%s", err.text);
	}
	memset(&err, 0, sizeof(err));
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(config_read(&words, path, true, &command_audit, &err), 0);
	ck_assert_int_eq(words.argc, 1);
}
END_TEST

START_TEST(whose_it_is)
{
	write_bytes("json\n", 5);
	if (geteuid() || chown(path, 12345, (gid_t)-1)) {
		scratch_skip("whose_it_is", "only root gives files away");
		return;
	}
	ck_assert_int_eq(config_read(&words, path, true, &command_audit, &err), -EPERM);
	ck_assert_msg(strstr(err.text, "belongs to neither root nor you") != NULL, "%s", err.text);
}
END_TEST

Suite *config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, good_files);
	tcase_add_test(tcase, words_of_other_commands);
	tcase_add_test(tcase, malformed_lines);
	tcase_add_test(tcase, unknown_names);
	tcase_add_test(tcase, never_from_a_file);
	tcase_add_loop_test(tcase, long_lines, 0, 9);
	tcase_add_loop_test(tcase, long_lines_of_nothing, 0, 2);
	tcase_add_test(tcase, not_a_configuration);
	tcase_add_test(tcase, a_file_that_is_not_there);
	tcase_add_test(tcase, who_may_write_it);
	tcase_add_test(tcase, whose_it_is);
	suite_add_tcase(suite, tcase);
	return suite;
}
