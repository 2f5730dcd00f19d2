/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_JSON_H
#define CLI_REPORT_JSON_H

#include "cli/json_stream.h"
#include "cli/report.h"

/* The parts that JSON reports share (mirrorctl-json(5)). */

/* Opens the object: schema, command, version, mirror. `identity_json` may be NULL. */
void report_json_head(struct json_stream *json, const char *command,
		      const struct session *session, const char *identity_json);
/* Findings and exit status; closes it. */
void report_json_tail(struct json_stream *json, const struct session *session, int exit_status);

/* The array "findings", and an item of such a one; `part` (NULL: none) says what of the
 * mirror it is about. */
void report_json_findings(struct json_stream *json, const struct finding_list *findings);
void report_json_finding(struct json_stream *json, const struct finding *finding,
			 const char *part);

/* The set bits as an array of runs first/last, at most `room` of them; false: there
 * are more. */
bool report_json_regions(struct json_stream *json, const char *key,
			 const struct bitmap *regions, size_t room);

/* "zeros", "ones", "repeated 0x11", "other": what sectors hold, all of them. */
void report_json_content(struct json_stream *json, const char *key, enum content content,
			 uint8_t byte);

/* Members of "result". */
void report_json_log(struct json_stream *json, const struct session *session);
void report_json_activation(struct json_stream *json, const struct session *session);
void report_json_audit(struct json_stream *json, const struct audit_report *report);
/* The same as an object "audit", where one was made before something was written. */
void report_json_audit_before(struct json_stream *json, const struct audit_report *report);

#endif
