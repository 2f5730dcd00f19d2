/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table line: whatever parses is a mirror that the kernel could have, and is
 * the same mirror after being written down and parsed again; whatever does not
 * leaves nothing and says why in one line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) do { if (!(condition)) abort(); } while (0)

static void check_refused(const struct mirror *mirror, int ret, const struct error *err)
{
	static const struct mirror zero;
	const char *c;

	CHECK(ret == -EINVAL);
	CHECK(!memcmp(mirror, &zero, sizeof(zero)));
	CHECK(err->kind == ERROR_USAGE);
	CHECK(memchr(err->text, '\0', sizeof(err->text)) && strlen(err->text) > 20);
	for (c = err->text; *c; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_word(const char *word)
{
	CHECK(word && *word && !strpbrk(word, " \t\n"));
}

static void check_geometry(const struct mirror *mirror)
{
	const struct region_geometry *is = &mirror->geometry;
	struct region_geometry again;

	CHECK(!region_geometry_init(&again, is->length, is->region_size, NULL));
	CHECK(again.nr_regions == is->nr_regions && again.nr_regions >= 1);
	CHECK(is->length <= REGION_LENGTH_MAX);
	CHECK(mirror->start <= REGION_LENGTH_MAX - is->length);
	CHECK(region_run_sectors(is, (struct region_run){ 0, is->nr_regions - 1 }) == is->length);
}

static void check_accepted(const struct mirror *mirror)
{
	unsigned int i;

	check_geometry(mirror);
	CHECK(!mirror->name || *mirror->name);
	CHECK(!mirror->uuid && !mirror->status_known && mirror->activity == MIRROR_INACTIVE);
	CHECK(mirror->nr_legs >= MIRROR_LEGS_MIN && mirror->nr_legs <= MIRROR_LEGS_MAX);
	for (i = 0; i < mirror->nr_legs; i++) {
		const struct mirror_place *leg = &mirror->legs[i];

		CHECK(leg->missing == !leg->device);
		CHECK(leg->offset <= REGION_LENGTH_MAX - mirror->geometry.length);
		if (leg->device) {
			check_word(leg->device);
			CHECK(strcmp(leg->device, "missing"));
		}
	}
	for (; i < MIRROR_LEGS_MAX; i++)
		CHECK(!mirror->legs[i].device && !mirror->legs[i].missing);
	if (mirror->log_kind == MIRROR_LOG_DISK)
		check_word(mirror->log.device);
	else
		CHECK(!mirror->log.device);
	CHECK(mirror->keep_log != KNOWN_YES || mirror->handle_errors == KNOWN_YES);
}

static const char *sync_word(const struct mirror *mirror)
{
	if (mirror->sync == MIRROR_SYNC_SYNC)
		return " sync";
	return mirror->sync == MIRROR_SYNC_NOSYNC ? " nosync" : "";
}

/* The mirror as a table line again, as the kernel would print it. */
static char *mirror_line(const struct mirror *mirror, size_t size)
{
	bool disk = mirror->log_kind == MIRROR_LOG_DISK;
	unsigned int i, blocks = mirror->keep_log == KNOWN_NOT;
	size_t room = size + 1024, used = 0;
	char *line = malloc(room);

	CHECK(line);
#define ADD(...) (used += (size_t)snprintf(line + used, room - used, __VA_ARGS__))
	if (mirror->name)
		ADD("%s: ", mirror->name);
	ADD("%" PRIu64 " %" PRIu64 " mirror %s %u", mirror->start, mirror->geometry.length,
	    disk ? "disk" : "core", 1u + disk + (mirror->sync != MIRROR_SYNC_DEFAULT) + blocks);
	if (disk)
		ADD(" %s", mirror->log.device);
	ADD(" %" PRIu64 "%s%s %u", mirror->geometry.region_size, sync_word(mirror),
	    blocks ? " block_on_error" : "", mirror->nr_legs);
	for (i = 0; i < mirror->nr_legs; i++)
		ADD(" %s %" PRIu64, mirror->legs[i].device ? mirror->legs[i].device : "missing",
		    mirror->legs[i].offset);
	if (mirror->handle_errors == KNOWN_YES)
		ADD(" %d handle_errors%s", 1 + (mirror->keep_log == KNOWN_YES),
		    mirror->keep_log == KNOWN_YES ? " keep_log" : "");
#undef ADD
	CHECK(used < room);
	return line;
}

static void check_same_place(const struct mirror_place *a, const struct mirror_place *b)
{
	CHECK(a->offset == b->offset && a->missing == b->missing);
	CHECK(!a->device == !b->device);
	CHECK(!a->device || !strcmp(a->device, b->device));
}

static void check_round_trip(const struct mirror *mirror, size_t size)
{
	char *line = mirror_line(mirror, size);
	struct mirror again;
	unsigned int i;

	CHECK(!mirror_table_parse(&again, line, NULL));
	CHECK(!again.name == !mirror->name);
	CHECK(!again.name || !strcmp(again.name, mirror->name));
	CHECK(again.start == mirror->start && again.nr_legs == mirror->nr_legs);
	CHECK(!memcmp(&again.geometry, &mirror->geometry, sizeof(again.geometry)));
	CHECK(again.log_kind == mirror->log_kind && again.sync == mirror->sync);
	check_same_place(&again.log, &mirror->log);
	for (i = 0; i < MIRROR_LEGS_MAX; i++)
		check_same_place(&again.legs[i], &mirror->legs[i]);
	CHECK(again.handle_errors == mirror->handle_errors);
	/* handle_errors beside block_on_error: keep_log stays not known. */
	CHECK(again.keep_log == mirror->keep_log);
	mirror_free(&again);
	free(line);
}

static void check_line(const char *line, size_t size)
{
	struct error err = { .kind = ERROR_NONE };
	struct mirror mirror;
	int ret;

	memset(&mirror, 0xa5, sizeof(mirror));
	ret = mirror_table_parse(&mirror, line, &err);
	if (ret) {
		check_refused(&mirror, ret, &err);
	} else {
		CHECK(err.kind == ERROR_NONE);
		check_accepted(&mirror);
		check_round_trip(&mirror, size);
	}
	mirror_free(&mirror);
}

static void check_params(const char *params)
{
	struct error err = { .kind = ERROR_NONE };
	struct mirror mirror;
	int ret;

	memset(&mirror, 0xa5, sizeof(mirror));
	ret = mirror_table_parse_params(&mirror, 384, 2097153, params, &err);
	if (ret)
		check_refused(&mirror, ret, &err);
	else
		check_accepted(&mirror);
	mirror_free(&mirror);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	check_line(line, size);
	check_params(line);
	free(line);
	return 0;
}
