/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/region_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

#define ITEM_SHOWN 40	/* characters of an item that a message quotes */

/* One item, the characters from `text` up to `end`. */
struct item {
	const char *text;
	const char *end;
};

static int item_width(struct item item)
{
	return item.end - item.text < ITEM_SHOWN ? (int)(item.end - item.text) : ITEM_SHOWN;
}

static int item_error(struct error *err, struct item item, const char *what)
{
	if (item.text == item.end)
		return error_usage(err, "region list: an empty item: give regions as 5, 5-9 or 100-, "
				   "separated by commas");
	return error_usage(err, "region list: \"%.*s\" %s: give regions as 5, 5-9 or 100-, separated "
			   "by commas", item_width(item), item.text, what);
}

/* A region number at *at; the mirror's end is checked here for both ends. */
static int item_number(uint64_t *region, const char **at, struct item item,
		       uint64_t nr_regions, struct error *err)
{
	int ret = number_scan(at, item.end, region);

	if (ret == -EINVAL)
		return item_error(err, item, "is not a region or a range of regions");
	if (!ret && *region < nr_regions)
		return 0;
	if (!nr_regions)
		return error_usage(err, "region list: \"%.*s\": the mirror has no regions",
				   item_width(item), item.text);
	return error_usage(err, "region list: \"%.*s\" is beyond the end: the last region is "
			   "%" PRIu64, item_width(item), item.text, nr_regions - 1);
}

static int item_parse(struct region_run *run, struct item item, uint64_t nr_regions,
		      struct error *err)
{
	const char *at = item.text;
	int ret;

	ret = item_number(&run->first, &at, item, nr_regions, err);
	if (ret)
		return ret;
	run->last = run->first;
	if (at < item.end && *at == '-') {
		at++;
		if (at == item.end) {
			run->last = nr_regions - 1;
			return 0;
		}
		ret = item_number(&run->last, &at, item, nr_regions, err);
		if (ret)
			return ret;
	}
	if (at != item.end)
		return item_error(err, item, "is not a region or a range of regions");
	if (run->last < run->first)
		return item_error(err, item, "runs backwards");
	return 0;
}

static int run_compare(const void *left, const void *right)
{
	const struct region_run *a = left, *b = right;

	return (a->first > b->first) - (a->first < b->first);
}

/* Overlapping and touching runs become one. Returns how many are left. */
static size_t runs_merge(struct region_run *runs, size_t nr_runs)
{
	size_t i, kept = 0;

	qsort(runs, nr_runs, sizeof(*runs), run_compare);
	for (i = 1; i < nr_runs; i++) {
		if (runs[i].first > runs[kept].last + 1)
			runs[++kept] = runs[i];
		else if (runs[i].last > runs[kept].last)
			runs[kept].last = runs[i].last;
	}
	return kept + 1;
}

int region_list_parse(struct region_list *list, const char *text,
		      uint64_t nr_regions, struct error *err)
{
	const char *at, *end = text + strlen(text);
	struct region_run *runs;
	size_t nr_runs = 1;
	int ret = 0;

	memset(list, 0, sizeof(*list));
	for (at = text; at < end; at++)
		nr_runs += *at == ',';
	runs = calloc(nr_runs, sizeof(*runs));
	if (!runs)
		return error_operation(err, ENOMEM, "region list: %s", error_reason(ENOMEM));
	nr_runs = 0;
	for (at = text; ; at++) {
		struct item item = { at, strchrnul(at, ',') };

		ret = item_parse(&runs[nr_runs++], item, nr_regions, err);
		at = item.end;
		if (ret || at == end)
			break;
	}
	if (ret) {
		free(runs);
		return ret;
	}
	list->runs = runs;
	list->nr_runs = runs_merge(runs, nr_runs);
	return 0;
}

void region_list_free(struct region_list *list)
{
	if (!list)
		return;
	free(list->runs);
	memset(list, 0, sizeof(*list));
}
