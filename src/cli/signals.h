/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* SIGINT, SIGTERM and SIGHUP ask for an orderly end, SIGUSR1 for a status line. A second
 * SIGINT ends the process at once. */
void signals_install(void);
bool signals_stop_wanted(void);
/* True once for each SIGUSR1. */
bool signals_status_wanted(void);
/* For block_engine.cancelled. */
bool signals_cancelled(void *context);

#endif
