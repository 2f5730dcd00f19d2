/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/mirror_log.h"

#include <endian.h>
#include <string.h>

#define ALL_ONES_64 UINT64_MAX

uint64_t mirror_log_bytes(uint64_t nr_regions)
{
	return MIRROR_LOG_BITS_OFFSET + bitmap_bytes(nr_regions);
}

uint64_t mirror_log_area_bytes(uint64_t nr_regions, uint32_t block_bytes)
{
	uint64_t bytes = mirror_log_bytes(nr_regions);

	return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

bool mirror_log_header_accepted(const struct mirror_log_header *header)
{
	return header->magic == MIRROR_LOG_MAGIC &&
	       (header->version == 1 || header->version == MIRROR_LOG_VERSION);
}

void mirror_log_header_decode(struct mirror_log_header *header, const void *bytes,
			      size_t nr_bytes)
{
	const unsigned char *from = bytes;
	struct mirror_log_header raw;

	memset(header, 0, sizeof(*header));
	if (nr_bytes < MIRROR_LOG_HEADER_BYTES)
		return;
	memcpy(&raw.magic, from, 4);
	memcpy(&raw.version, from + 4, 4);
	memcpy(&raw.nr_regions, from + 8, 8);
	header->magic = le32toh(raw.magic);
	header->version = le32toh(raw.version);
	header->nr_regions = le64toh(raw.nr_regions);
}

/* Are all bytes of [from, to) equal to `value`? */
static bool bytes_all(const unsigned char *bytes, uint64_t from, uint64_t to,
		      unsigned char value)
{
	for (uint64_t at = from; at < to; at++)
		if (bytes[at] != value)
			return false;
	return true;
}

static uint32_t magic_defects(const struct mirror_log_header *header, bool padding_set)
{
	if (header->magic == MIRROR_LOG_MAGIC)
		return 0;
	if (header->magic == __builtin_bswap32(MIRROR_LOG_MAGIC))
		return LOG_MAGIC_BIG_ENDIAN;
	if (header->magic != 0)
		return LOG_MAGIC_FOREIGN;
	/* Seen on real kernels: a log that could not be read at the first resume is
	 * written back with magic and version 0 over stray memory. */
	if (header->version == 0 && padding_set)
		return LOG_MAGIC_ZERO | LOG_HEADER_GARBAGE;
	return LOG_MAGIC_ZERO;
}

static uint32_t version_defects(const struct mirror_log_header *header)
{
	if (header->magic != MIRROR_LOG_MAGIC || header->version == MIRROR_LOG_VERSION)
		return 0;
	return header->version == 1 ? LOG_VERSION_ONE : LOG_VERSION_UNKNOWN;
}

/* The kernel looks at nr_regions through a 32-bit variable (disk_resume, `i`). */
static uint32_t count_defects(const struct mirror_log_header *header, uint64_t nr_regions)
{
	uint32_t seen = (uint32_t)header->nr_regions;

	if (header->magic != MIRROR_LOG_MAGIC)
		return 0;
	if (header->nr_regions == ALL_ONES_64)
		return LOG_REGIONS_UNSET;
	return (header->nr_regions > UINT32_MAX ? LOG_REGIONS_WRAP : 0) |
	       (seen < nr_regions ? LOG_REGIONS_FEWER : 0) |
	       (seen > nr_regions ? LOG_REGIONS_MORE : 0);
}

static uint32_t padding_defects(const unsigned char *bytes, uint64_t nr_bytes)
{
	uint64_t end = nr_bytes < MIRROR_LOG_BITS_OFFSET ? nr_bytes : MIRROR_LOG_BITS_OFFSET;

	if (end <= MIRROR_LOG_HEADER_BYTES || bytes_all(bytes, MIRROR_LOG_HEADER_BYTES, end, 0))
		return 0;
	return LOG_PADDING_SET |
	       (bytes_all(bytes, MIRROR_LOG_HEADER_BYTES, end, 0xff) ? LOG_PADDING_ONES : 0);
}

/* Set bits between the last region and the end of its 64-bit word: never
 * cleared by old kernels and LVM's fill, cleared by every resume since. */
static bool tail_is_set(unsigned char *bytes, uint64_t nr_bytes, uint64_t nr_regions)
{
	uint64_t word_end = bitmap_bytes(nr_regions) * 8;
	struct bitmap word;

	if (word_end == nr_regions || mirror_log_bytes(nr_regions) > nr_bytes)
		return false;
	bitmap_borrow(&word, bytes + MIRROR_LOG_BITS_OFFSET, word_end);
	return bitmap_next_set(&word, nr_regions) < word_end;
}

static uint64_t bits_in_bytes(uint64_t nr_bytes)
{
	/* Whole words only, so that the bit set never looks past the bytes. */
	uint64_t room = nr_bytes > MIRROR_LOG_BITS_OFFSET ? nr_bytes - MIRROR_LOG_BITS_OFFSET : 0;
	uint64_t bits = room / 8 * 64;

	return bits < REGION_COUNT_MAX ? bits : REGION_COUNT_MAX;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Bits that were set, that the kernel would have kept under an nr_regions that
 * covers the mirror, and that it discards. Junk within the last believed word is
 * legal (older kernels never cleared it) and does not count. */
static bool bits_are_discarded(const struct mirror_log *log)
{
	uint64_t word_end = (log->clean_bits.nr_bits + 63) / 64 * 64;

	return mirror_log_header_accepted(&log->header) && word_end < log->held &&
	       bitmap_next_set(&log->raw_bits, word_end) < log->held;
}

/* Without a mirror the log's own count says what should be here, unless it is
 * LVM's or plainly not one. */
static bool is_too_small(const struct mirror_log *log, uint64_t nr_bytes)
{
	uint64_t needed = log->nr_regions;

	if (!log->geometry_known && mirror_log_header_accepted(&log->header) &&
	    log->header.nr_regions <= REGION_COUNT_MAX)
		needed = log->header.nr_regions;
	return mirror_log_bytes(needed) > nr_bytes;
}

void mirror_log_decode(struct mirror_log *log, void *bytes, uint64_t nr_bytes,
		       uint64_t nr_regions)
{
	uint64_t held = bits_in_bytes(nr_bytes);
	uint64_t believed;
	unsigned char *bits = (unsigned char *)bytes + MIRROR_LOG_BITS_OFFSET;

	memset(log, 0, sizeof(*log));
	mirror_log_header_decode(&log->header, bytes, nr_bytes);
	log->geometry_known = nr_regions != 0;
	log->nr_regions = nr_regions ? nr_regions : min_u64(log->header.nr_regions, held);
	log->held = min_u64(log->nr_regions, held);
	believed = min_u64((uint32_t)log->header.nr_regions, log->held);
	if (!mirror_log_header_accepted(&log->header))
		believed = 0;

	bitmap_borrow(&log->raw_bits, log->held ? bits : bytes, log->held);
	bitmap_borrow(&log->clean_bits, log->held ? bits : bytes, believed);
	log->clean = bitmap_count(&log->clean_bits);
	log->raw_clean = log->clean;
	if (believed < log->held)
		log->raw_clean += bitmap_count_run(&log->raw_bits, believed, log->held - 1);

	log->defects = padding_defects(bytes, nr_bytes);
	log->defects |= magic_defects(&log->header, log->defects & LOG_PADDING_SET);
	log->defects |= version_defects(&log->header);
	if (nr_bytes < MIRROR_LOG_HEADER_BYTES)
		log->defects |= LOG_HEADER_TRUNCATED;
	if (is_too_small(log, nr_bytes))
		log->defects |= LOG_TOO_SMALL;
	/* Of a log alone only its own count tells, and 2^64-1 is none. */
	if (log->nr_regions >= MIRROR_LOG_PANIC_REGIONS &&
	    (log->geometry_known || log->header.nr_regions <= REGION_COUNT_MAX))
		log->defects |= LOG_PANICS_KERNEL;
	if (tail_is_set(bytes, nr_bytes, log->nr_regions))
		log->defects |= LOG_TAIL_SET;
	if (bits_are_discarded(log))
		log->defects |= LOG_BITS_DISCARDED;
	log->defects |= count_defects(&log->header, log->nr_regions);
}
