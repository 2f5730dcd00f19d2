/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What LVM is asked. */

#include "io/lvm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 60000u	/* of a command that only looks */
#define SEQNO_MS 30000u		/* of one that reads a number, and waits for nobody */
#define SHORT_BYTES_MAX (1u << 20)

/* lvm_report_arguments, an option and, of one group, its name. The array is allocated. */
static const char **report_words(const char *option, const char *vg_name)
{
	const char **words;
	size_t nr = 0;

	while (lvm_report_arguments[nr])
		nr++;
	words = calloc(nr + 3, sizeof(*words));
	if (!words)
		return NULL;
	memcpy(words, lvm_report_arguments, nr * sizeof(*words));
	if (option)
		words[nr++] = option;
	words[nr] = vg_name;
	return words;
}

static int report_read(struct lvm_report *report, const char *option, const char *vg_name,
		       struct error *err)
{
	const char **words;
	size_t nr_bytes;
	char *text, *said;
	int r;

	memset(report, 0, sizeof(*report));
	/* Words of a command line: a name must not be taken for an option. */
	if (vg_name && (vg_name[0] == '-' || !vg_name[0]))
		return error_usage(err, "\"%s\" is no name of a volume group", vg_name);
	words = report_words(option, vg_name);
	if (!words)
		return error_operation(err, ENOMEM, "not enough memory to ask LVM");
	r = lvm_run_heard(&text, &nr_bytes, &said, words, LVM_REPORT_BYTES_MAX, ANSWER_MS, err);
	free(words);
	if (r)
		return r;
	r = lvm_report_parse(report, text, nr_bytes, err);
	if (!r && lvm_report_hear(report, said)) {
		lvm_report_free(report);
		r = error_operation(err, ENOMEM, "not enough memory for what lvm says");
	}
	free(text);
	free(said);
	return r;
}

int lvm_report_read(struct lvm_report *report, const char *vg_name, struct error *err)
{
	return report_read(report, NULL, vg_name, err);
}

int lvm_report_read_unlocked(struct lvm_report *report, const char *vg_name, struct error *err)
{
	return report_read(report, "--nolocking", vg_name, err);
}

/* "  system ID: host-1" */
int lvm_host_system_id(char **system_id, struct error *err)
{
	static const char *const words[] = { "systemid", NULL };
	const char *id;
	char *text;
	int r;

	*system_id = NULL;
	r = lvm_run(&text, NULL, words, SHORT_BYTES_MAX, ANSWER_MS, err);
	if (r)
		return r;
	id = strchr(text, ':');
	id = id ? id + 1 : "";
	id += strspn(id, " \t");
	*system_id = strndup(id, strcspn(id, " \t\r\n"));
	free(text);
	return *system_id ? 0 : error_operation(err, ENOMEM, "not enough memory to ask LVM");
}

/* "  7 vg" */
int lvm_vg_seqno(uint64_t *seqno, char vg_name[LVM_NAME_ROOM], const char *vg_uuid,
		 struct error *err)
{
	char select[128], *text;
	const char *const words[] = {
		"vgs", "--readonly", "--foreign", "--shared", "--config", lvm_report_settings,
		"--reportformat", "basic", "--separator", " ", "--noheadings",
		"-o", "vg_seqno,vg_name", "--select", select, NULL,
	};
	int r, nr;

	snprintf(select, sizeof(select), "vg_uuid=%s", vg_uuid);
	r = lvm_run(&text, NULL, words, SHORT_BYTES_MAX, SEQNO_MS, err);
	if (r)
		return r;
	nr = sscanf(text, "%" SCNu64 " %127s", seqno, vg_name);
	free(text);
	return nr == 2 ? 0 : error_operation(err, ENODEV, "LVM does not find the volume group with "
					     "the uuid %s any more", vg_uuid);
}
