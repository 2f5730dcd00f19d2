/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/lvm_report_private.h"

static bool is_there(const struct json_wanted *section)
{
	return section->value.text && *section->value.text != 'n';	/* null */
}

int lvm_rows_count(size_t *nr, const struct json_wanted *section, struct error *err)
{
	struct json_slice value;
	struct json_scan scan;

	*nr = 0;
	if (!is_there(section))
		return 0;
	if (!json_scan_open(&scan, section->value) || scan.object)
		return lvm_report_refuse(err, "\"%s\" is no list", section->key);
	for (; json_scan_next(&scan, NULL, &value); (*nr)++)
		if (*value.text != '{')
			return lvm_report_refuse(err, "a row of \"%s\" is no row", section->key);
	return 0;
}

int lvm_rows_open(struct lvm_rows *rows, const struct json_wanted *section,
		  const struct lvm_vg *vg, struct error *err)
{
	int r;

	*rows = (struct lvm_rows){ .row = { .section = section->key, .vg = vg } };
	r = lvm_rows_count(&rows->nr, section, err);
	if (r || !rows->nr)
		return r;
	json_scan_open(&rows->scan, section->value);
	rows->tokener = json_tokener_new();
	if (!rows->tokener)
		return lvm_report_no_memory(err);
	json_tokener_set_flags(rows->tokener, JSON_TOKENER_STRICT);
	return 0;
}

static void row_drop(struct lvm_rows *rows)
{
	json_object_put(rows->row.object);
	rows->row.object = NULL;
}

bool lvm_rows_next(struct lvm_rows *rows, int *r, struct error *err)
{
	struct json_slice value;

	row_drop(rows);
	if (!rows->nr || !json_scan_next(&rows->scan, NULL, &value))
		return false;
	json_tokener_reset(rows->tokener);
	rows->row.object = json_tokener_parse_ex(rows->tokener, value.text, (int)value.length);
	if (!rows->row.object)
		*r = lvm_report_refuse(err, "a row of \"%s\" is not JSON", rows->row.section);
	return !*r;
}

void lvm_rows_close(struct lvm_rows *rows)
{
	row_drop(rows);
	if (rows->tokener)
		json_tokener_free(rows->tokener);
}
