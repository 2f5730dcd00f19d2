/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "support/audit_world.h"
#include "unit/suites.h"

static struct identity sample(void)
{
	struct identity identity = {
		.kind = "dm", .id = "LVM-0123456789abcdef", .length = 2048000, .region_size = 1024,
		.nr_legs = 3, .leg = { "LVM-leg0", "", "wwn-0x5000 \"2\"\n/x" }, .log = "LVM-log",
	};

	return identity;
}

static bool equal(const struct identity *a, const struct identity *b)
{
	bool same = !strcmp(a->kind, b->kind) && !strcmp(a->id, b->id) &&
		    a->length == b->length && a->region_size == b->region_size &&
		    a->nr_legs == b->nr_legs && !strcmp(a->log, b->log);

	for (unsigned int i = 0; i < MIRROR_LEGS_MAX; i++)
		same = same && !strcmp(a->leg[i], b->leg[i]);
	return same;
}

static void round_trip(const struct identity *identity)
{
	struct error err = { .kind = ERROR_NONE };
	struct identity decoded;
	char *json;

	memset(&decoded, 0x5a, sizeof(decoded));
	ck_assert_int_eq(identity_to_json(&json, identity), 0);
	ck_assert_msg(!identity_from_json(&decoded, json, &err), "%s: %s", json, err.text);
	ck_assert(equal(&decoded, identity));
	ck_assert_uint_le(strlen(json), IDENTITY_JSON_MAX);
	free(json);
}

START_TEST(to_json)
{
	struct identity identity = sample();
	char *json;

	ck_assert_int_eq(identity_to_json(&json, &identity), 0);
	ck_assert_str_eq(json, "{\"kind\":\"dm\",\"id\":\"LVM-0123456789abcdef\","
			 "\"length_bytes\":1048576000,\"region_size_bytes\":524288,"
			 "\"legs\":[\"LVM-leg0\",null,\"wwn-0x5000 \\\"2\\\"\\n/x\"],"
			 "\"log\":\"LVM-log\"}");
	free(json);
	identity.length = UINT64_C(1) << 44;	/* 2^53 bytes: no number any more */
	identity.region_size = UINT64_C(1) << 20;
	ck_assert_int_eq(identity_to_json(&json, &identity), 0);
	ck_assert_ptr_nonnull(strstr(json, "\"length_bytes\":\"9007199254740992\""));
	free(json);
}
END_TEST

START_TEST(round_trips)
{
	struct identity identity = sample();

	round_trip(&identity);
	identity.length = REGION_LENGTH_MAX;
	identity.region_size = REGION_SIZE_MAX;
	round_trip(&identity);
	identity.length = (UINT64_C(1) << 44) - 1;
	round_trip(&identity);
	/* The longest there is, in bytes that JSON has to escape. */
	identity.nr_legs = MIRROR_LEGS_MAX;
	for (unsigned int i = 0; i < MIRROR_LEGS_MAX; i++) {
		memset(identity.leg[i], 1 + (int)i, sizeof(identity.leg[i]));
		identity.leg[i][sizeof(identity.leg[i]) - 1] = '\0';
	}
	memset(identity.id, 0xff, sizeof(identity.id) - 1);
	round_trip(&identity);
	identity = sample();
	strcpy(identity.kind, "weak");
	identity.id[0] = '\0';
	identity.nr_legs = 2;
	memset(identity.leg[2], 0, sizeof(identity.leg[2]));
	identity.log[0] = '\0';
	round_trip(&identity);
}
END_TEST

/* What could not be read back is not written. */
START_TEST(not_encoded)
{
	struct identity identity = sample();
	char *json = (char *)&identity;

#define REFUSED(change) do {							\
		identity = sample();						\
		change;								\
		ck_assert_int_eq(identity_to_json(&json, &identity), -EINVAL);	\
		ck_assert_ptr_null(json);					\
	} while (0)
	REFUSED(strcpy(identity.kind, "other"));
	REFUSED(identity.kind[0] = '\0');
	REFUSED(identity.nr_legs = 1);
	REFUSED(identity.nr_legs = MIRROR_LEGS_MAX + 1);
	REFUSED(identity.length = 0);
	REFUSED(identity.length = REGION_LENGTH_MAX + 1);
	REFUSED(identity.region_size = 1000);
	REFUSED(memset(identity.leg[2], 'x', sizeof(identity.leg[2])));
	REFUSED(memset(identity.id, 'x', sizeof(identity.id)));
	REFUSED(memset(identity.log, 'x', sizeof(identity.log)));
	REFUSED(memset(identity.kind, 'x', sizeof(identity.kind)));
}
END_TEST

/* --- hostile text -------------------------------------------------------- */

static void refused(const char *json, const char *says)
{
	struct error err = { .kind = ERROR_NONE };
	struct identity identity, untouched;

	memset(&identity, 0x5a, sizeof(identity));
	untouched = identity;
	ck_assert_msg(identity_from_json(&identity, json, &err) == -EBADMSG, "%s", json);
	ck_assert_int_eq(err.kind, ERROR_OPERATION);
	ck_assert_msg(strstr(err.text, says) != NULL, "\"%s\" lacks \"%s\"", err.text, says);
	ck_assert(!memcmp(&identity, &untouched, sizeof(identity)));
}

/* A good identity, with one part of its text replaced. */
static void refused_with(const char *part, const char *replaced, const char *says)
{
	static const char good[] =
		"{\"kind\":\"dm\",\"id\":\"u\",\"length_bytes\":1048576,\"region_size_bytes\":65536,"
		"\"legs\":[\"a\",\"b\"],\"log\":\"l\"}";
	const char *at = strstr(good, part);
	struct identity identity;
	char json[8192];

	ck_assert_int_eq(identity_from_json(&identity, good, NULL), 0);
	ck_assert_ptr_nonnull(at);
	snprintf(json, sizeof(json), "%.*s%s%s", (int)(at - good), good, replaced,
		 at + strlen(part));
	refused(json, says);
}

START_TEST(hostile_text)
{
	static const char *const texts[] = {
		"", " ", "{", "}", "null", "[]", "1", "\"dm\"", "{}}", "{} x", "{'kind':'dm'}",
		"{\"kind\":\"dm\",}", "\xff\xfe", "{\"kind\"", "/* no */ {}", "nan",
	};
	char *deep = malloc(IDENTITY_JSON_MAX + 3);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refused(texts[i], "not a JSON object");
	refused("{}", "kind is missing");
	memset(deep, '[', IDENTITY_JSON_MAX);
	deep[IDENTITY_JSON_MAX] = '\0';
	refused(deep, "not a JSON object");
	memset(deep, ' ', IDENTITY_JSON_MAX + 2);
	deep[IDENTITY_JSON_MAX + 2] = '\0';
	refused(deep, "too long");
	free(deep);
}
END_TEST

START_TEST(hostile_members)
{
	char longest[512], replaced[600];

	memset(longest, 'x', sizeof(longest));
	longest[160] = '\0';
	snprintf(replaced, sizeof(replaced), "\"id\":\"%s\"", longest);
	refused_with("\"id\":\"u\"", replaced, "id is too long");
	snprintf(replaced, sizeof(replaced), "\"b\",\"%s\"", longest);
	refused_with("\"b\"", replaced, "a member of legs is too long");
	refused_with("\"dm\"", "\"DM\"", "kind is none of");
	refused_with("\"dm\"", "\"\"", "kind is none of");
	refused_with("\"dm\"", "\"dm\\u0000\"", "kind holds a NUL");
	refused_with("\"dm\"", "\"0123456789abcdef\"", "kind is too long");
	refused_with("\"dm\"", "null", "kind is not a string");
	refused_with("\"u\"", "7", "id is not a string");
	refused_with("\"id\"", "\"ID\"", "id is missing");
	refused_with("\"length_bytes\"", "\"length\"", "length_bytes is missing");
	refused_with("1048576", "1048575", "length_bytes is not a multiple of 512");
	refused_with("1048576", "-1048576", "length_bytes is negative");
	refused_with("1048576", "0", "length_bytes or region_size_bytes is wrong");
	refused_with("1048576", "1048576.0", "length_bytes is not a string");
	refused_with("1048576", "\"1048576 \"", "length_bytes is not a number");
	refused_with("1048576", "\"-512\"", "length_bytes is not a number");
	refused_with("1048576", "\"\"", "length_bytes is not a number");
	refused_with("1048576", "\"99999999999999999999\"", "length_bytes is not a number");
	refused_with("1048576", "\"9999999999999999999999999\"", "length_bytes is too long");
	refused_with("1048576", "9223372036854775807", "length_bytes is not a multiple");
	refused_with("1048576", "99999999999999999999", "length_bytes");
	refused_with("1048576", "\"9223372036854775808\"", "is wrong");
	refused_with("65536", "65024", "is wrong");
	refused_with("65536", "512", "is wrong");
	refused_with("65536", "2097152", "is wrong");
	refused_with("65536", "null", "region_size_bytes is not a string");
	refused_with("\"legs\"", "\"leg\"", "legs is missing");
	refused_with("[\"a\",\"b\"]", "{}", "legs is not an array");
	refused_with("[\"a\",\"b\"]", "[\"a\"]", "legs has not 2 to 9");
	refused_with("[\"a\",\"b\"]", "[0,1,2,3,4,5,6,7,8,9]", "legs has not 2 to 9");
	refused_with("\"b\"", "1", "a member of legs is not a string");
	refused_with("\"b\"", "[]", "a member of legs is not a string");
	refused_with(",\"log\":\"l\"", "", "log is missing");
	refused_with("\"l\"", "null", "log is not a string");
}
END_TEST

START_TEST(unknown_keys)
{
	struct identity identity;

	ck_assert_int_eq(identity_from_json(&identity, "{ \"new\": [{\"a\": 1.5e9}], \"kind\": "
		"\"block\", \"id\": \"\", \"length_bytes\": \"1048576\", \"region_size_bytes\": "
		"65536, \"legs\": [null, \"b\"], \"log\": \"\" }", NULL), 0);
	ck_assert_str_eq(identity.kind, "block");
	ck_assert_uint_eq(identity.length, 2048);
	ck_assert_str_eq(identity.leg[0], "");
	ck_assert_str_eq(identity.leg[1], "b");
}
END_TEST

/* Good text with a byte changed or cut off: refused, or an identity that is sound. */
START_TEST(mutated)
{
	struct identity identity = sample(), decoded;
	uint64_t seed = 17;
	char *json, *copy;
	size_t length;

	ck_assert_int_eq(identity_to_json(&json, &identity), 0);
	length = strlen(json);
	for (size_t cut = 0; cut < length; cut++) {
		copy = strndup(json, cut);
		ck_assert_int_eq(identity_from_json(&decoded, copy, NULL), -EBADMSG);
		free(copy);
	}
	for (unsigned int i = 0; i < 20000; i++) {
		copy = strdup(json);
		copy[world_below(&seed, length)] = (char)world_random(&seed);
		if (!identity_from_json(&decoded, copy, NULL))
			round_trip(&decoded);
		free(copy);
	}
	free(json);
}
END_TEST

/* --- the same mirror? ---------------------------------------------------- */

static void differ(const struct identity *a, const struct identity *b, const char *says)
{
	char why[512], other[512], shortest[8];

	ck_assert(!identity_matches(a, b, why, sizeof(why)));
	ck_assert_msg(strstr(why, says) != NULL, "\"%s\" lacks \"%s\"", why, says);
	ck_assert(!identity_matches(b, a, other, sizeof(other)));
	ck_assert(!identity_matches(a, b, shortest, sizeof(shortest)));
	ck_assert(!strncmp(shortest, why, sizeof(shortest) - 1));
}

START_TEST(matches)
{
	struct identity a = sample(), b = sample();
	char why[512];

	strcpy(a.leg[1], "LVM-leg1");
	ck_assert(identity_matches(&a, &a, why, sizeof(why)));
	ck_assert(identity_matches(&a, &b, why, sizeof(why)));	/* leg 1 is missing in b */
	ck_assert(identity_matches(&b, &a, why, sizeof(why)));
	b.length++;
	differ(&a, &b, "length");
	b = sample();
	b.region_size *= 2;
	differ(&a, &b, "region size");
	b = sample();
	b.nr_legs = 2;
	differ(&a, &b, "3 legs");
	b = sample();
	strcpy(b.kind, "weak");
	differ(&a, &b, "dm mirror");
	b = sample();
	strcpy(b.id, "LVM-other");
	differ(&a, &b, "LVM-other");
	b.id[0] = '\0';
	differ(&a, &b, "nameless");
	b = sample();
	strcpy(b.leg[2], "wwn-other");
	differ(&a, &b, "leg 2 is");
	b = a;
	memcpy(b.leg[0], a.leg[1], sizeof(b.leg[0]));	/* the legs changed places */
	memcpy(b.leg[1], a.leg[0], sizeof(b.leg[1]));
	differ(&a, &b, "leg 0 is");
	b = sample();
	strcpy(b.log, "LVM-otherlog");
	differ(&a, &b, "the log is");
	b.log[0] = '\0';
	differ(&a, &b, "nameless");
}
END_TEST

/* Deactivated: the id is gone, the legs and the log are still what they were. */
START_TEST(matches_inactive)
{
	struct identity active = sample(), b = sample();
	char why[512];

	strcpy(b.kind, "block");
	b.id[0] = '\0';
	ck_assert(identity_matches(&active, &b, why, sizeof(why)));
	ck_assert(identity_matches(&b, &active, why, sizeof(why)));
	strcpy(b.leg[0], "LVM-other");
	differ(&active, &b, "leg 0 is");
	b.leg[0][0] = '\0';
	ck_assert(identity_matches(&active, &b, why, sizeof(why)));
	strcpy(b.log, "LVM-otherlog");
	differ(&active, &b, "the log is");
	/* An id that only one side can have is no common ground. */
	b = active;
	strcpy(b.kind, "block");
	for (unsigned int i = 0; i < b.nr_legs; i++)
		b.leg[i][0] = '\0';
	differ(&active, &b, "no leg is known to both");
}
END_TEST

START_TEST(matches_weak)
{
	struct identity a = sample(), b;
	char why[512];

	strcpy(a.kind, "weak");
	a.id[0] = '\0';
	b = a;
	ck_assert(identity_matches(&a, &b, why, sizeof(why)));
	strcpy(b.leg[0], "digest");
	differ(&a, &b, "leg 0 holds other data");
	b = a;
	strcpy(b.log, "digest");
	differ(&a, &b, "another header");
	/* Nothing in common is no match: any two mirrors would do. */
	b = a;
	b.leg[0][0] = '\0';
	a.leg[2][0] = '\0';
	differ(&a, &b, "no leg is known to both");
}
END_TEST

Suite *identity_suite(void)
{
	Suite *suite = suite_create("identity");
	TCase *tests = tcase_create("identity");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, to_json);
	tcase_add_test(tests, round_trips);
	tcase_add_test(tests, not_encoded);
	tcase_add_test(tests, hostile_text);
	tcase_add_test(tests, hostile_members);
	tcase_add_test(tests, unknown_keys);
	tcase_add_test(tests, mutated);
	tcase_add_test(tests, matches);
	tcase_add_test(tests, matches_inactive);
	tcase_add_test(tests, matches_weak);
	suite_add_tcase(suite, tests);
	return suite;
}
