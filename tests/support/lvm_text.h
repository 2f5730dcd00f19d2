/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_LVM_TEXT_H
#define TESTS_SUPPORT_LVM_TEXT_H

#include <stddef.h>

/*
 * LVM's reports as text: those recorded in tests/data/lvm, and what a test makes of
 * them. Text is allocated. A failure fails the test.
 */

/* tests/data/lvm/<name>.json */
char *lvm_text_recorded(const char *name);
/* Every `from` becomes `to`; there is one at least. Frees `text`. */
char *lvm_text_replace(char *text, const char *from, const char *to);
/* The same, in the first line alone that holds `row`. */
char *lvm_text_replace_in(char *text, const char *row, const char *from, const char *to);
/* Takes `"field":"…"` out of every row that has it. Frees `text`. */
char *lvm_text_without(char *text, const char *field);

/* One group, "many", with this many mirrors of two legs and a log, "lv0" and up, as the
 * fields of lvm_report_arguments make it. */
char *lvm_text_many(size_t nr_mirrors);

#endif
