/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status line: whatever parses has counts and letters that make sense and
 * fits a mirror of its size and no other; whatever does not leaves nothing and
 * says why in one line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

static void check_refused(const struct mirror_status *status, int ret, const struct error *err)
{
	static const struct mirror_status zero;
	const char *c;

	CHECK(ret == -EINVAL);
	CHECK(!memcmp(status, &zero, sizeof(zero)));
	CHECK(err->kind == ERROR_OPERATION);
	CHECK(memchr(err->text, '\0', sizeof(err->text)) && strlen(err->text) > 20);
	for (c = err->text; *c; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* Letters for all legs, or, as in 2006, for none and nothing about the log. */
static void check_letters(const struct mirror_status *status)
{
	unsigned int i;

	for (i = 0; i < MIRROR_LEGS_MAX; i++) {
		char letter = status->leg_health[i];

		if (i < status->nr_legs && status->leg_health[0])
			CHECK(letter && strchr("AFDSRU", letter));
		else
			CHECK(!letter);
	}
	CHECK(!status->log_health || strchr("AFD", status->log_health));
	if (!status->leg_health[0])
		CHECK(!status->log_health && !status->log_daemon_dead);
	CHECK(!status->log_daemon_dead || !status->log_health);
}

static void check_applies(const struct mirror_status *status)
{
	struct mirror mirror = { .nr_legs = status->nr_legs };
	struct error err = { .kind = ERROR_NONE };
	unsigned int i;

	CHECK(!region_geometry_init(&mirror.geometry, status->nr_regions * 2, 2, NULL));
	CHECK(!mirror_apply_status(&mirror, status, &err));
	CHECK(mirror.status_known && mirror.in_sync == status->in_sync);
	CHECK(mirror.log.health == status->log_health);
	for (i = 0; i < MIRROR_LEGS_MAX; i++)
		CHECK(mirror.legs[i].health == status->leg_health[i]);
	mirror.geometry.nr_regions++;
	mirror.status_known = false;
	CHECK(mirror_apply_status(&mirror, status, &err) == -EINVAL && !mirror.status_known);
	CHECK(err.kind == ERROR_OPERATION);
	mirror.geometry.nr_regions--;
	mirror.nr_legs ^= 1;
	CHECK(mirror_apply_status(&mirror, status, NULL) == -EINVAL && !mirror.status_known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { .kind = ERROR_NONE };
	struct mirror_status status;
	char *params = malloc(size + 1);
	int ret;

	if (!params)
		return 0;
	memcpy(params, data, size);
	params[size] = '\0';
	memset(&status, 0xa5, sizeof(status));
	ret = mirror_status_parse(&status, params, &err);
	if (ret) {
		check_refused(&status, ret, &err);
	} else {
		CHECK(err.kind == ERROR_NONE);
		CHECK(status.nr_legs >= MIRROR_LEGS_MIN && status.nr_legs <= MIRROR_LEGS_MAX);
		CHECK(status.in_sync <= status.nr_regions);
		CHECK(status.nr_regions >= 1 && status.nr_regions <= REGION_COUNT_MAX);
		check_letters(&status);
		check_applies(&status);
	}
	free(params);
	return 0;
}
