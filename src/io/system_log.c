/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/system_log.h"

#include <errno.h>
#include <paths.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

bool system_log_ready(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd log = { .events = POLLOUT };
	bool ready;

	if (strlen(socket_path) >= sizeof(address.sun_path))
		return false;
	strcpy(address.sun_path, socket_path);
	log.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log.fd < 0)
		return false;
	/* A daemon that stands still has a full queue, and syslog() would wait for it. */
	if (connect(log.fd, (struct sockaddr *)&address, sizeof(address)))
		ready = errno == EPROTOTYPE;
	else
		ready = poll(&log, 1, 0) == 1 && (log.revents & POLLOUT);
	close(log.fd);
	return ready;
}

void system_log_action(const char *command, const char *format, ...)
{
	const char *sudo = getenv("SUDO_USER");
	char line[1024], *at;
	va_list args;
	int used;

	used = snprintf(line, sizeof(line), "%.40s: uid %u%s%.60s%s ", command,
			(unsigned int)getuid(), sudo ? " (sudo by " : "", sudo ? sudo : "",
			sudo ? ")" : "");
	va_start(args, format);
	vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
	va_end(args);
	/* A name must not make a second line of it. */
	for (at = line; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	if (!system_log_ready(_PATH_LOG))
		return;
	openlog("mirrorctl", LOG_PID, LOG_DAEMON);
	syslog(LOG_NOTICE, "%s", line);
	closelog();
}
