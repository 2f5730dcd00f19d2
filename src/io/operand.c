/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/operand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/size.h"

void operand_plan_free(struct operand_plan *plan)
{
	unsigned int i;

	for (i = 0; i < MIRROR_LEGS_MAX; i++)
		free(plan->legs[i].path);
	free(plan->log.path);
	mirror_free(&plan->mirror);
	memset(plan, 0, sizeof(*plan));
}

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory to read the command line");
}

static bool path_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int operand_place_parse(struct operand_place *place, const char *text,
			const char *what, struct error *err)
{
	const char *at = strrchr(text, '@');
	size_t length = strlen(text);
	uint64_t offset = 0;
	int ret;

	memset(place, 0, sizeof(*place));
	/* What does not begin like a size is part of the name. */
	if (at && is_digit(at[1]) && !path_exists(text)) {
		ret = size_parse_sectors(&offset, at + 1, what, err);
		if (ret)
			return ret;
		length = (size_t)(at - text);
	}
	if (!length)
		return error_usage(err, "%s \"%s\" names no file or device", what, text);
	place->path = strndup(text, length);
	if (!place->path)
		return no_memory(err);
	place->offset = offset;
	return 0;
}

/* A geometry that is valid for any length tells whether the region size is. */
static int region_size_check(uint64_t region_size, struct error *err)
{
	struct region_geometry geometry;

	return region_geometry_init(&geometry, REGION_SIZE_MAX > region_size ?
				    REGION_SIZE_MAX : region_size, region_size, err);
}

int operand_sizes_parse(uint64_t *region_size, uint64_t *length,
			const struct mirror_operand *operand, struct error *err)
{
	int ret = 0;

	if (operand->region_size)
		ret = size_parse_sectors(region_size, operand->region_size,
					 "--region-size", err);
	if (!ret && operand->region_size)
		ret = region_size_check(*region_size, err);
	if (!ret && operand->length)
		ret = size_parse_sectors(length, operand->length, "--length", err);
	if (!ret && operand->length && !*length)
		ret = error_usage(err, "--length 0: a mirror has at least one sector");
	return ret;
}

int operand_segment_parse(uint64_t *start, bool *given,
			  const struct mirror_operand *operand, struct error *err)
{
	*start = 0;
	*given = operand->segment != NULL;
	if (!*given)
		return 0;
	return size_parse_sectors(start, operand->segment, "--segment", err);
}

static int explicit_check(const struct mirror_operand *operand, struct error *err)
{
	if (operand->nr_device_maps)
		return error_usage(err, "--device maps the numbers of a --table; with --leg "
				   "and --log give the paths themselves");
	if (operand->segment)
		return error_usage(err, "--segment picks a target of a table; with --leg and "
				   "--log give offsets as PATH@OFFSET");
	if (operand->nr_legs > MIRROR_LEGS_MAX)
		return error_usage(err, "%zu legs: a mirror has at most %u",
				   operand->nr_legs, MIRROR_LEGS_MAX);
	if (operand->nr_legs && operand->nr_legs < MIRROR_LEGS_MIN)
		return error_usage(err, "only one leg: give --leg for each leg in table order "
				   "(--leg=missing for one that is gone)");
	if (!operand->log)
		return error_usage(err, "needs a log: give --log=PATH[@OFFSET] (a mirror with a "
				   "core log keeps nothing on disk that could be read)");
	if (operand->nr_legs && !operand->region_size)
		return error_usage(err, "the region size is not in the log: give --region-size "
				   "(the number after the log device in `dmsetup table`, in sectors, "
				   "or `lvs -o +region_size`)");
	return 0;
}

static int explicit_legs(struct operand_plan *plan, const struct mirror_operand *operand,
			 struct error *err)
{
	struct mirror *mirror = &plan->mirror;
	unsigned int i, nr_missing = 0;
	int ret;

	for (i = 0; i < operand->nr_legs; i++) {
		struct mirror_place *leg = &mirror->legs[i];

		mirror->nr_legs = i + 1;
		if (!strcmp(operand->legs[i], "missing")) {
			leg->missing = true;
			nr_missing++;
			continue;
		}
		ret = operand_place_parse(&plan->legs[i], operand->legs[i], "--leg", err);
		if (ret)
			return ret;
		leg->offset = plan->legs[i].offset;
		leg->device = strdup(plan->legs[i].path);
		if (!leg->device)
			return no_memory(err);
	}
	if (nr_missing && nr_missing == operand->nr_legs)
		return error_usage(err, "all legs are missing: there is nothing to compare; to look "
				   "at the log alone give --log without --leg");
	return 0;
}

/* Explicit mirrors are called after their log's file. */
static int explicit_log(struct operand_plan *plan, const struct mirror_operand *operand,
			struct error *err)
{
	struct mirror *mirror = &plan->mirror;
	const char *base;
	int ret;

	ret = operand_place_parse(&plan->log, operand->log, "--log", err);
	if (ret)
		return ret;
	base = strrchr(plan->log.path, '/');
	base = base && base[1] ? base + 1 : plan->log.path;
	mirror->log_kind = MIRROR_LOG_DISK;
	mirror->log.offset = plan->log.offset;
	mirror->log.device = strdup(plan->log.path);
	mirror->name = strdup(base);
	return mirror->log.device && mirror->name ? 0 : no_memory(err);
}

int operand_plan_explicit(struct operand_plan *plan, const struct mirror_operand *operand,
			  struct error *err)
{
	struct region_geometry *geometry = &plan->mirror.geometry;
	int ret;

	memset(plan, 0, sizeof(*plan));
	ret = explicit_check(operand, err);
	if (!ret)
		ret = explicit_legs(plan, operand, err);
	if (!ret)
		ret = explicit_log(plan, operand, err);
	if (!ret)
		ret = operand_sizes_parse(&geometry->region_size, &geometry->length,
					  operand, err);
	if (!ret && geometry->region_size && geometry->length)
		ret = region_geometry_init(geometry, geometry->length,
					   geometry->region_size, err);
	plan->log_only = !operand->nr_legs;
	plan->length_given = operand->length != NULL;
	if (ret)
		operand_plan_free(plan);
	return ret;
}
