/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_MIRROR_LOG_H
#define CORE_MIRROR_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bitmap.h"
#include "core/region.h"

/*
 * The on-disk dirty log of dm-mirror (dm-log.c, struct log_header_disk;
 * mirrorctl-log(5)):
 *
 *   byte 0     le32 magic 0x4D695272 (on disk 72 52 69 4D)
 *   byte 4     le32 version 2 (1 is taken as 2 on little endian)
 *   byte 8     le64 nr_regions
 *   byte 16    padding up to byte 1024, carried along verbatim
 *   byte 1024  one bit a region, 1 = clean
 *
 * Decoding never fails: whatever the bytes are, it says what the kernel would
 * believe, and every oddity becomes a defect bit. Nothing is sized or looped by
 * the header's nr_regions.
 */

#define MIRROR_LOG_MAGIC UINT32_C(0x4D695272)
#define MIRROR_LOG_VERSION UINT32_C(2)
#define MIRROR_LOG_HEADER_BYTES 16u
#define MIRROR_LOG_BITS_OFFSET 1024u	/* always, whatever the sector size */
/* From this many regions on a 6.1 kernel panics at resume (memweight). */
#define MIRROR_LOG_PANIC_REGIONS UINT64_C(2147483521)

enum mirror_log_defect {
	/* magic */
	LOG_MAGIC_ZERO = 1u << 0,	/* no log was ever written, or it was zeroed */
	LOG_MAGIC_FOREIGN = 1u << 1,	/* something else lives here */
	LOG_MAGIC_BIG_ENDIAN = 1u << 2,	/* cmirrord of a big-endian host */
	LOG_HEADER_GARBAGE = 1u << 3,	/* zero magic over a filled padding: the kernel
					 * wrote back a header it could never read */
	/* version */
	LOG_VERSION_ONE = 1u << 4,
	LOG_VERSION_UNKNOWN = 1u << 5,
	/* nr_regions */
	LOG_REGIONS_UNSET = 1u << 6,	/* 2^64-1: fresh from LVM, all bits count */
	LOG_REGIONS_WRAP = 1u << 7,	/* above 2^32: the kernel sees the low half */
	LOG_REGIONS_FEWER = 1u << 8,	/* fewer than the mirror has: it has grown */
	LOG_REGIONS_MORE = 1u << 9,	/* more than the mirror has: it has shrunk */
	LOG_BITS_DISCARDED = 1u << 10,	/* set bits at or above nr_regions that the
					 * kernel will throw away */
	/* bytes around the bits */
	LOG_PADDING_SET = 1u << 11,	/* bytes 16..1023 are not all zero */
	LOG_PADDING_ONES = 1u << 12,	/* … but all 0xFF: LVM's --nosync fill */
	LOG_TAIL_SET = 1u << 13,	/* bits behind the last region */
	/* size */
	LOG_TOO_SMALL = 1u << 14,	/* device cannot hold the bits: table load fails */
	LOG_HEADER_TRUNCATED = 1u << 15,	/* not even 16 bytes */
	LOG_PANICS_KERNEL = 1u << 16,
};

struct mirror_log_header {
	uint32_t magic;
	uint32_t version;
	uint64_t nr_regions;
};

struct mirror_log {
	struct mirror_log_header header;
	uint32_t defects;		/* enum mirror_log_defect */
	uint64_t nr_regions;		/* of the mirror; in a log alone: of the log */
	bool geometry_known;		/* nr_regions came from a mirror */
	uint64_t held;			/* bits the bytes hold, at most nr_regions */
	struct bitmap raw_bits;		/* `held` bits as they stand on disk */
	struct bitmap clean_bits;	/* those the kernel would believe: the first
					 * min(u32 nr_regions, held), none when the
					 * header is not acceptable */
	uint64_t clean;			/* set bits in clean_bits */
	uint64_t raw_clean;		/* set bits in raw_bits */
};

/* Bytes up to the last bit's 64-bit word, and the whole area that the kernel
 * reads and writes as one unit (rounded up to the log's logical block). */
uint64_t mirror_log_bytes(uint64_t nr_regions);
uint64_t mirror_log_area_bytes(uint64_t nr_regions, uint32_t block_bytes);

/* Would the kernel keep the bits of a log with this header (dm-log.c,
 * read_header on a little-endian host, no sync or nosync argument)? */
bool mirror_log_header_accepted(const struct mirror_log_header *header);

/* Reads the first 16 bytes; *header is zeroed when there are fewer. */
void mirror_log_header_decode(struct mirror_log_header *header, const void *bytes,
			      size_t nr_bytes);

/*
 * Decodes `bytes` (8-byte aligned; the area from its first byte on, as much of
 * it as the device holds). `nr_regions` is the mirror's, or 0 when there is only
 * the log: then min(header nr_regions, what the bytes hold) is taken. The two
 * bit sets borrow `bytes`, which must outlive the log and is not changed.
 */
void mirror_log_decode(struct mirror_log *log, void *bytes, uint64_t nr_bytes,
		       uint64_t nr_regions);

#endif
