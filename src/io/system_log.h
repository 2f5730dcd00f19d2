/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_SYSTEM_LOG_H
#define IO_SYSTEM_LOG_H

#include <stdbool.h>

/* One line in the system's log (syslog(3)): "<command>: uid 0 (sudo by someone) <what>",
 * with what was changed and which journal takes it back. Lost where nobody takes it;
 * never waits for a logging daemon. */
void system_log_action(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Would the daemon behind this socket take a message at once? */
bool system_log_ready(const char *socket_path);

#endif
