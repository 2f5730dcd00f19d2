/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_CHILD_FILES_H
#define IO_CHILD_FILES_H

/* In a child that a dead device may hold for ever, in its first lines: nothing of its
 * parent's stays open in it but *keep, which may become another number. Whoever waits for
 * the end of the parent's output would wait for the device, and whoever wants what it had
 * locked, or the devices that it had open. */
void child_files_close(int *keep);

#endif
