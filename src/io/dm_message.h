/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DM_MESSAGE_H
#define IO_DM_MESSAGE_H

/*
 * What libdevmapper has to say goes into our errors, never to stderr. It hands no context
 * to its log function, so there is one place for it: for one thread.
 */

/* Before a task: forgets the last one's complaints. */
void dm_message_begin(void);
/* The first complaint since then; empty: none. */
const char *dm_message(void);

#endif
