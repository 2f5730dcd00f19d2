/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/lvm_report_private.h"
#include "core/number.h"

int lvm_report_refuse(struct error *err, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_operation(err, EBADMSG, "what lvm reports cannot be used: %s", text);
}

int lvm_report_no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "no memory for what lvm reports");
}

/* "seg_start of a seg of vg/home", for errors. */
static int refuse_field(struct error *err, const struct lvm_row *row, const char *field,
			const char *what)
{
	return lvm_report_refuse(err, "%s of a row of \"%s\"%s%.128s %s", field, row->section,
				 row->vg ? " of " : "", row->vg ? row->vg->name : "", what);
}

bool lvm_row_has(const struct lvm_row *row, const char *field)
{
	return json_object_object_get_ex(row->object, field, NULL);
}

/* What a terminal would act on, C1 codes in UTF-8 among them: LVM's names never hold it,
 * and they are printed. */
static bool holds_control(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		if (c < ' ' || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0))
			return true;
	}
	return false;
}

/* *text is the row's own; "" where there is no such field. */
static int text_get(const char **text, const struct lvm_row *row, const char *field,
		    bool needed, struct error *err)
{
	struct json_object *value = NULL;

	*text = "";
	json_object_object_get_ex(row->object, field, &value);
	switch (json_object_get_type(value)) {
	case json_type_string:
	case json_type_int:
	case json_type_boolean:
		*text = json_object_get_string(value);
		if (!*text)
			return lvm_report_no_memory(err);
		break;
	case json_type_null:
		break;
	default:
		return refuse_field(err, row, field, "is neither a word nor a whole number");
	}
	if (json_object_is_type(value, json_type_string) &&
	    memchr(*text, '\0', (size_t)json_object_get_string_len(value)))
		return refuse_field(err, row, field, "holds a NUL");
	if (holds_control(*text))
		return refuse_field(err, row, field, "holds a control character");
	if (needed && !**text)
		return refuse_field(err, row, field, "is missing: this lvm is too old or too new "
				    "(what is given with --leg and --log needs none)");
	return 0;
}

int lvm_row_text(char **text, const struct lvm_row *row, const char *field, bool needed,
		 struct error *err)
{
	const char *value;
	int r = text_get(&value, row, field, needed, err);

	if (r)
		return r;
	*text = strdup(value);
	return *text ? 0 : lvm_report_no_memory(err);
}

int lvm_row_number(uint64_t *number, const struct lvm_row *row, const char *field, uint64_t max,
		   bool needed, struct error *err)
{
	const char *value, *at, *end;
	int r = text_get(&value, row, field, needed, err);

	*number = 0;
	if (r || !*value)
		return r;
	at = value;
	end = value + strlen(value);
	r = number_scan(&at, end, number);
	if (r == -EINVAL || (*at && strcasecmp(at, "s")))
		return refuse_field(err, row, field, "is not a whole number of sectors");
	if (r || *number > max)
		return refuse_field(err, row, field, "is larger than LVM can make it");
	return 0;
}

int lvm_row_flag(bool *flag, const struct lvm_row *row, const char *field, struct error *err)
{
	static const char *const nos[] = { "", "0", "-1", "no", "false", "unknown" };
	const char *value;
	int r = text_get(&value, row, field, false, err);

	*flag = !r;
	for (size_t i = 0; i < sizeof(nos) / sizeof(nos[0]); i++)
		*flag = *flag && strcmp(value, nos[i]);
	return r;
}
