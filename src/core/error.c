/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* What was typed or read from a disk is quoted in errors: it must neither break
 * the line in two nor reach a terminal as an escape sequence. */
static void error_make_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void __attribute__((format(printf, 3, 0)))
error_fill(struct error *err, enum error_kind kind, const char *format, va_list args)
{
	static const char cut[] = " ...";
	int length;

	if (!err || err->kind != ERROR_NONE)
		return;
	length = vsnprintf(err->text, sizeof(err->text), format, args);
	if (length < 0)
		err->text[0] = '\0';
	else if ((size_t)length >= sizeof(err->text))
		memcpy(err->text + sizeof(err->text) - sizeof(cut), cut, sizeof(cut));
	error_make_line(err->text);
	err->kind = kind;
}

int error_usage(struct error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_fill(err, ERROR_USAGE, format, args);
	va_end(args);
	return -EINVAL;
}

int error_operation(struct error *err, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_fill(err, ERROR_OPERATION, format, args);
	va_end(args);
	/* A failure never leaves as 0, whatever a broken device handed in. */
	if (!code)
		return -EIO;
	return code > 0 ? -code : code;
}

static const struct {
	int code;
	const char *reason;
} reasons[] = {
	{ 0, "no error" },
	{ EPERM, "operation not permitted" },
	{ ENOENT, "no such file or device" },
	{ EINTR, "interrupted" },
	{ EIO, "input/output error" },
	{ ENXIO, "no such device or address" },
	{ EBADF, "bad file descriptor" },
	{ EAGAIN, "temporarily unavailable or locked by another process" },
	{ ENOMEM, "out of memory" },
	{ EACCES, "permission denied" },
	{ EFAULT, "bad address" },
	{ ENOTBLK, "not a block device" },
	{ EBUSY, "in use by something else" },
	{ EEXIST, "exists already" },
	{ EXDEV, "on another file system" },
	{ ENODEV, "no such device" },
	{ ENOTDIR, "not a directory" },
	{ EISDIR, "is a directory" },
	{ EINVAL, "invalid argument" },
	{ ENFILE, "too many open files in the system" },
	{ EMFILE, "too many open files" },
	{ ENOTTY, "not supported by this kind of device" },
	{ ETXTBSY, "file is being executed or used as swap" },
	{ EFBIG, "file too large" },
	{ ENOSPC, "no space left" },
	{ ESPIPE, "cannot be read at a position" },
	{ EROFS, "read-only" },
	{ EPIPE, "broken pipe" },
	{ ERANGE, "number out of range" },
	{ ENAMETOOLONG, "name too long" },
	{ ENOSYS, "not implemented by this kernel" },
	{ ELOOP, "too many symbolic links" },
	{ ENODATA, "end of device reached" },
	{ ETIME, "timed out in the device" },
	{ ENOLINK, "connection to the device lost" },
	{ ECOMM, "communication error with the device" },
	{ EPROTO, "protocol error" },
	{ EBADMSG, "damaged data" },
	{ EOVERFLOW, "number too large" },
	{ EILSEQ, "data integrity check failed" },
	{ EUCLEAN, "structure needs cleaning" },
	{ EREMOTEIO, "input/output error in the device itself" },
	{ ETIMEDOUT, "timed out" },
	{ EALREADY, "already in progress" },
	{ ESTALE, "stale file handle" },
	{ EDQUOT, "disk quota exceeded" },
	{ ENOMEDIUM, "no medium in the drive" },
	{ EMEDIUMTYPE, "wrong medium type" },
	{ ECANCELED, "cancelled" },
	{ EOPNOTSUPP, "not supported" },
};

const char *error_reason(int code)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].code == code || reasons[i].code == -(long long)code)
			return reasons[i].reason;
	return "unknown error";
}
