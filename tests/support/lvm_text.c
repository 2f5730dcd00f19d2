/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/lvm_text.h"
#include "support/quick_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *lvm_text_recorded(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[512], *text;
	long length;
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/data/lvm/%s.json", srcdir ? srcdir : ".", name);
	file = fopen(path, "r");
	ck_assert_msg(file && !fseek(file, 0, SEEK_END), "%s", path);
	length = ftell(file);
	rewind(file);
	text = malloc((size_t)length + 1);
	ck_assert(text && fread(text, 1, (size_t)length, file) == (size_t)length);
	text[length] = '\0';
	fclose(file);
	return text;
}

char *lvm_text_replace(char *text, const char *from, const char *to)
{
	const char *at = text, *found = strstr(at, from);
	size_t length;
	char *made;
	FILE *out = open_memstream(&made, &length);

	ck_assert_msg(out && found, "no %s in the report", from);
	for (; found; at = found + strlen(from), found = strstr(at, from)) {
		fwrite(at, 1, (size_t)(found - at), out);
		fputs(to, out);
	}
	fputs(at, out);
	fclose(out);
	free(text);
	return made;
}

char *lvm_text_replace_in(char *text, const char *row, const char *from, const char *to)
{
	char *start = strstr(text, row), *end, *line, *made;

	ck_assert_msg(start, "no %s in the report", row);
	end = strchrnul(start, '\n');
	while (start > text && start[-1] != '\n')
		start--;
	line = lvm_text_replace(strndup(start, (size_t)(end - start)), from, to);
	ck_assert_int_gt(asprintf(&made, "%.*s%s%s", (int)(start - text), text, line, end), 0);
	free(line);
	free(text);
	return made;
}

char *lvm_text_without(char *text, const char *field)
{
	char quoted[64], *at = text, *end;
	size_t nr_found = 0;

	snprintf(quoted, sizeof(quoted), "\"%s\":", field);
	while ((at = strstr(at, quoted))) {
		end = strchr(strchr(at, ':') + 2, '"') + 1;
		if (*end == ',')
			end++;
		else
			while (*--at != ',')
				;
		memmove(at, end, strlen(end) + 1);
		nr_found++;
	}
	ck_assert_msg(nr_found, "no %s in the report", field);
	return text;
}

/* --- a group of any size ------------------------------------------------------------- */

static const char *const parts[] = { "_mlog", "_mimage_1", "", "_mimage_0" };

static void put_uuid(FILE *out, size_t lv, size_t part)
{
	fprintf(out, "{\"lv_uuid\":\"%06zu-aaaa-bbbb-cccc-dddd-eeee-%06zu\"", lv, part);
}

static void put_lv(FILE *out, size_t lv, size_t part)
{
	bool whole = !*parts[part], log = !part;

	put_uuid(out, lv, part);
	fprintf(out, ", \"lv_name\":\"%slv%zu%s%s\", \"lv_attr\":\"%s\", \"lv_role\":\"%s\", ",
		whole ? "" : "[", lv, parts[part], whole ? "" : "]",
		whole ? "mwi---m---" : log ? "lwi---m---" : "Iwi---m---",
		whole ? "public" : log ? "private,mirror,log" : "private,mirror,image");
	fprintf(out, "\"lv_size\":\"%d\", \"lv_active\":\"\", \"lv_converting\":\"0\", "
		"\"lv_initial_image_sync\":\"%d\", \"move_pv\":\"\", \"mirror_log\":\"",
		log ? 2048 : 16384, whole);
	if (whole)
		fprintf(out, "[lv%zu_mlog]", lv);
	fputs("\"}\n", out);
}

static void put_segment(FILE *out, size_t lv, size_t part)
{
	bool whole = !*parts[part], log = !part;

	put_uuid(out, lv, part);
	fprintf(out, ", \"segtype\":\"%s\", \"seg_start\":\"0\", \"seg_size\":\"%d\", "
		"\"stripe_size\":\"0\", \"region_size\":\"%d\", \"seg_le_ranges\":\"",
		whole ? "mirror" : "linear", log ? 2048 : 16384, whole ? 1024 : 0);
	if (whole)
		fprintf(out, "[lv%zu_mimage_0]:0-7,[lv%zu_mimage_1]:0-7\"}\n", lv, lv);
	else if (log)
		fprintf(out, "/dev/sdc:%zu-%zu\"}\n", lv, lv);
	else
		fprintf(out, "/dev/sd%c:%zu-%zu\"}\n", "?b?a"[part], lv * 8, lv * 8 + 7);
}

/* The last first: who depends on the order sees it. */
static void put_rows(FILE *out, size_t nr_mirrors,
		     void (*put)(FILE *out, size_t lv, size_t part))
{
	for (size_t i = 0; i < 4 * nr_mirrors; i++) {
		if (i)
			fputc(',', out);
		put(out, nr_mirrors - 1 - i / 4, i % 4);
	}
}

char *lvm_text_many(size_t nr_mirrors)
{
	size_t length;
	char *text;
	FILE *out = open_memstream(&text, &length);

	ck_assert_ptr_nonnull(out);
	fputs("{\"report\":[{\"vg\":[{\"vg_name\":\"many\", \"vg_uuid\":\"many\", "
	      "\"vg_attr\":\"wz--n-\", \"vg_extent_size\":\"2048\", \"vg_seqno\":\"7\", "
	      "\"vg_systemid\":\"\", \"vg_lock_type\":\"\"}],\n\"pv\":[", out);
	for (char pv = 'a'; pv <= 'c'; pv++)
		fprintf(out, "%s{\"pv_name\":\"/dev/sd%c\", \"pv_uuid\":\"pv-%c\", "
			"\"pv_attr\":\"a--\", \"pe_start\":\"2048\", \"pv_size\":\"%zu\"}\n",
			pv == 'a' ? "" : ",", pv, pv, nr_mirrors * 8 * 2048);
	fputs("],\n\"lv\":[", out);
	put_rows(out, nr_mirrors, put_lv);
	fputs("],\n\"pvseg\":[{\"pvseg_start\":\"0\"}],\n\"seg\":[", out);
	put_rows(out, nr_mirrors, put_segment);
	fputs("]}]}\n", out);
	fclose(out);
	return text;
}
