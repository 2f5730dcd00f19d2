/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log decoder against the kernel's rule written down naively. Input: the
 * mirror's number of regions (le32; 0: a log alone), then the log's bytes.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/mirror_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* dm-log.c, disk_resume: bit(r) && r < (u32)nr_regions && r < N, header acceptable. */
static bool kernel_believes(const struct mirror_log *log, const uint8_t *bytes, uint64_t region)
{
	return log->header.magic == MIRROR_LOG_MAGIC &&
	       (log->header.version == 1 || log->header.version == 2) &&
	       region < (uint32_t)log->header.nr_regions && region < log->nr_regions &&
	       bytes[MIRROR_LOG_BITS_OFFSET + region / 8] >> region % 8 & 1;
}

static void check(const struct mirror_log *log, const uint8_t *bytes, size_t nr_bytes,
		  uint64_t nr_regions)
{
	uint64_t clean = 0, raw = 0, region;

	require(!nr_regions || log->nr_regions == nr_regions);
	require(log->held <= log->nr_regions);
	require(!log->held ||
		MIRROR_LOG_BITS_OFFSET + (log->held + 7) / 8 <= nr_bytes);
	require(log->geometry_known == (nr_regions != 0));
	for (region = 0; region < log->held; region++) {
		bool believed = kernel_believes(log, bytes, region);

		clean += believed;
		raw += bytes[MIRROR_LOG_BITS_OFFSET + region / 8] >> region % 8 & 1;
		require(believed == (region < log->clean_bits.nr_bits &&
				     bitmap_test(&log->clean_bits, region)));
	}
	require(log->clean == clean);
	require(log->raw_clean == raw);
	require(!!(log->defects & LOG_HEADER_TRUNCATED) == (nr_bytes < MIRROR_LOG_HEADER_BYTES));
	if (!mirror_log_header_accepted(&log->header))
		require(!log->clean && log->defects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mirror_log log;
	uint32_t nr_regions;
	uint8_t *bytes;

	if (size < sizeof(nr_regions))
		return 0;
	memcpy(&nr_regions, data, sizeof(nr_regions));
	nr_regions = le32toh(nr_regions);
	data += sizeof(nr_regions);
	size -= sizeof(nr_regions);
	/* Of exactly this size, so that a look past the end is seen. */
	bytes = malloc(size ? size : 1);
	if (!bytes)
		return 0;
	if (size)
		memcpy(bytes, data, size);
	mirror_log_decode(&log, bytes, size, nr_regions);
	check(&log, bytes, size, nr_regions);
	require(!size || !memcmp(bytes, data, size));
	free(bytes);
	return 0;
}
