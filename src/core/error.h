/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_ERROR_H
#define CORE_ERROR_H

/*
 * Why something could not be done, in one line for a person: what failed, on
 * which thing, and what to do about it. Functions that fill one return a
 * negative errno; what was *found* on a disk is never an error (finding.h).
 * Nothing here prints: the line leaves through src/cli.
 */

enum error_kind {
	ERROR_NONE = 0,
	ERROR_USAGE,		/* the words of the call are wrong: exit 16 */
	ERROR_OPERATION,	/* the world said no: exit 8 */
};

/* Room for a line with the longest names that LVM allows. */
#define ERROR_TEXT_BYTES 1024u

struct error {
	enum error_kind kind;
	char text[ERROR_TEXT_BYTES];
};

/* Both fill `err` (which may be NULL) unless it already holds an error: the
 * first cause is the one worth reading. error_usage() returns -EINVAL,
 * error_operation() returns -code. */
int error_usage(struct error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int error_operation(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What an errno means in plain words ("input/output error" …), never NULL.
 * A pure table lookup: safe in core. `code` may be negative. */
const char *error_reason(int code);

#endif
