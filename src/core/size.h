/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_SIZE_H
#define CORE_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/*
 * Sizes as LVM writes them: `512k`, `64M`, `1T`, `2p`, `1e` (powers of 1024,
 * either case), `b` bytes, `s` 512-byte sectors. A bare number counts units of
 * `bare_unit_bytes`. No sign, no fraction, no white space.
 */

/* Bytes; overflow past 2^64-1, an unknown letter or no digits: -EINVAL with a
 * usage error that quotes `text` after `what` (the option's name). */
int size_parse_bytes(uint64_t *bytes, const char *text, uint64_t bare_unit_bytes,
		     const char *what, struct error *err);
/* The same in whole sectors, bare number = sectors; not a multiple of 512
 * bytes is an error too. */
int size_parse_sectors(uint64_t *sectors, const char *text, const char *what,
		       struct error *err);

/* For people: "512 KiB", "1.5 MiB", "20.0 GiB", "1536 B". Bytes that are no whole
 * KiB are exact below 10 KiB, whole KiB and MiB have no decimal, all else has one
 * (rounded to nearest). Writes at most `room` bytes (20 are enough), returns
 * `out`. */
char *size_format(char *out, size_t room, uint64_t bytes);

#endif
