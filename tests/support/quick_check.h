/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SUPPORT_QUICK_CHECK_H
#define TESTS_SUPPORT_QUICK_CHECK_H

#include <check.h>

/*
 * libcheck writes down every assertion that holds, to a file, in case the next one crashes:
 * one system call each, and there are tests with millions. Where it crashed a sanitizer,
 * valgrind or the debugger tells better.
 */
#define _mark_point(file, line) ((void)0)

#endif
