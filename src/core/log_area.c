/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/log_area.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"

#define READ_BYTES (UINT64_C(1) << 20)
#define READS_IN_FLIGHT 16u
#define AREA_ALIGN 4096u

struct reader {
	struct block_engine *engine;
	struct block_device *device;
	unsigned char *bytes;
	uint64_t end;			/* sectors to read */
	uint64_t next;			/* next sector to ask for */
	unsigned int in_flight;
	int result;			/* first error … */
	uint64_t failed_sector;		/* … and where */
	uint32_t failed_sectors;
};

static void read_done(struct block_request *request)
{
	struct reader *reader = request->context;

	reader->in_flight--;
	if (request->result && !reader->result) {
		reader->result = request->result;
		reader->failed_sector = request->sector;
		reader->failed_sectors = request->sectors;
	}
	request->data = NULL;		/* free for the next piece */
}

static int submit_next(struct reader *reader, struct block_request *request)
{
	uint64_t sectors = reader->end - reader->next;
	int r;

	if (sectors > READ_BYTES / SECTOR_BYTES)
		sectors = READ_BYTES / SECTOR_BYTES;
	*request = (struct block_request){
		.device = reader->device, .op = BLOCK_READ,
		.sector = reader->next, .sectors = (uint32_t)sectors,
		.data = reader->bytes + reader->next * SECTOR_BYTES,
		.done = read_done, .context = reader,
	};
	r = block_submit(reader->engine, request);
	if (r)
		return r;
	reader->in_flight++;
	reader->next += sectors;
	return 0;
}

static bool is_cancelled(const struct block_engine *engine)
{
	return engine->cancelled && engine->cancelled(engine->cancelled_context);
}

/* Reads sectors [0, end) into reader->bytes with several requests in flight.
 * After -ECANCELED requests may still be out: the memory must stay. */
static int read_all(struct reader *reader)
{
	struct block_request requests[READS_IN_FLIGHT] = { 0 };
	int r = 0;

	while (!r && (reader->in_flight || (reader->next < reader->end && !reader->result))) {
		for (unsigned int i = 0; i < READS_IN_FLIGHT && !r; i++)
			if (!requests[i].data && reader->next < reader->end && !reader->result)
				r = submit_next(reader, &requests[i]);
		if (!r && block_wait(reader->engine, 1, 250) < 0)
			r = -EIO;
		if (!r && is_cancelled(reader->engine))
			r = block_drain(reader->engine, 2000) ? -ETIMEDOUT : -ECANCELED;
	}
	return r ? r : reader->result;
}

static int read_failed(const struct reader *reader, int r, struct error *err)
{
	if (r == -ECANCELED || r == -ETIMEDOUT)
		return error_operation(err, ECANCELED, "%s: interrupted while it was read",
				       reader->device->name);
	return error_operation(err, -r, "%s: cannot read sectors %" PRIu64 "-%" PRIu64
			       ": %s; without the whole log nothing can be said about its bits",
			       reader->device->name, reader->failed_sector,
			       reader->failed_sector + reader->failed_sectors - 1,
			       error_reason(r));
}

/* Sectors of the header block, clipped to what the device holds. */
static uint64_t clip_sectors(const struct block_device *device, uint64_t bytes)
{
	uint64_t block = device->block_sectors;
	uint64_t sectors = (bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;

	sectors = (sectors + block - 1) / block * block;
	if (sectors > device->sectors)
		sectors = device->sectors / block * block;
	return sectors;
}

int log_area_read(struct log_area *area, struct block_engine *engine,
		  struct block_device *device, uint64_t nr_regions, struct error *err)
{
	struct reader reader = { .engine = engine, .device = device };
	uint64_t header_sectors = clip_sectors(device, MIRROR_LOG_BITS_OFFSET);
	struct mirror_log_header header;
	unsigned char *first = NULL, *whole = NULL;
	uint64_t wanted;
	int r;

	memset(area, 0, sizeof(*area));
	first = aligned_alloc(AREA_ALIGN, (header_sectors * SECTOR_BYTES / AREA_ALIGN + 1) * AREA_ALIGN);
	if (!first)
		return error_operation(err, ENOMEM, "%s: not enough memory to read it", device->name);
	reader.bytes = first;
	reader.end = header_sectors;
	r = read_all(&reader);
	if (r)
		goto out;

	mirror_log_header_decode(&header, first, header_sectors * SECTOR_BYTES);
	wanted = nr_regions ? nr_regions : header.nr_regions;
	if (wanted > REGION_COUNT_MAX)
		wanted = REGION_COUNT_MAX;
	reader.end = clip_sectors(device, mirror_log_bytes(wanted));
	whole = aligned_alloc(AREA_ALIGN, (reader.end * SECTOR_BYTES / AREA_ALIGN + 1) * AREA_ALIGN);
	if (!whole) {
		r = error_operation(err, ENOMEM, "%s: not enough memory for a log of %" PRIu64
				    " bytes", device->name, reader.end * SECTOR_BYTES);
		goto out;
	}
	reader.bytes = whole;
	reader.next = 0;
	r = read_all(&reader);
	if (r)
		goto out;
	area->bytes = whole;
	area->nr_bytes = reader.end * SECTOR_BYTES;
	whole = NULL;
out:
	if (r && r != -ENOMEM)
		read_failed(&reader, r, err);
	if (r != -ETIMEDOUT) {		/* else the kernel may still write there */
		free(first);
		free(whole);
	}
	return r;
}

void log_area_free(struct log_area *area)
{
	free(area->bytes);
	memset(area, 0, sizeof(*area));
}
