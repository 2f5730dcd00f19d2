/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/dm_message.h"

#include <libdevmapper.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* libdevmapper's log levels; its header keeps them to itself. */
#define DM_LOG_LEVEL_MASK 7
#define DM_LOG_ERROR 3

static char first_message[256];

__attribute__((format(printf, 5, 6)))
static void message_keep(int level, const char *file, int line, int errno_or_class,
			 const char *format, ...)
{
	size_t length;
	va_list args;

	(void)file;
	(void)line;
	(void)errno_or_class;
	if ((level & DM_LOG_LEVEL_MASK) > DM_LOG_ERROR || first_message[0])
		return;
	va_start(args, format);
	vsnprintf(first_message, sizeof(first_message), format, args);
	va_end(args);
	length = strlen(first_message);
	if (length && first_message[length - 1] == '.')
		first_message[length - 1] = '\0';
}

void dm_message_begin(void)
{
	first_message[0] = '\0';
	dm_log_with_errno_init(message_keep);
}

const char *dm_message(void)
{
	return first_message;
}
