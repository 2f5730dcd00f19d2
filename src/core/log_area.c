/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/log_area.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/region.h"

#define READ_BYTES (UINT64_C(1) << 20)
#define READS_IN_FLIGHT 16u

struct reader {
	struct block_engine *engine;
	struct block_device *device;
	unsigned char *bytes;
	uint64_t end;			/* sectors to read */
	uint64_t next;			/* next sector to ask for */
	unsigned int in_flight;
	int result;			/* first error … */
	uint64_t failed_sector;		/* … and where; no sectors: nowhere in particular */
	uint32_t failed_sectors;
	struct block_request requests[READS_IN_FLIGHT];
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

static int fill_queue(struct reader *reader)
{
	int r = 0;

	for (unsigned int i = 0; i < READS_IN_FLIGHT && !r; i++)
		if (!reader->requests[i].data && reader->next < reader->end && !reader->result)
			r = submit_next(reader, &reader->requests[i]);
	return r;
}

/* Narrows what failed down to its first unreadable block. A block that can be
 * read now does not heal the log: its neighbours were read at another time. */
static int find_failed_block(struct reader *reader)
{
	struct block_device *device = reader->device;
	uint64_t end = reader->failed_sector + reader->failed_sectors;
	uint64_t sector;
	int r = 0;

	for (sector = reader->failed_sector; sector < end && !r; sector += device->block_sectors)
		r = block_read(reader->engine, device, sector, device->block_sectors,
			       reader->bytes + sector * SECTOR_BYTES);
	if (r == -ECANCELED)
		return -ETIMEDOUT;	/* still out */
	if (r) {
		reader->failed_sector = sector - device->block_sectors;
		reader->failed_sectors = device->block_sectors;
		reader->result = r;
	}
	return reader->result;
}

/* Reads sectors [0, end) into reader->bytes with several requests in flight.
 * After -ETIMEDOUT some are still out: reader and bytes must stay. */
static int read_all(struct reader *reader)
{
	int r = 0;

	while (!r && (reader->in_flight || (reader->next < reader->end && !reader->result))) {
		r = fill_queue(reader);
		if (!r && block_wait(reader->engine, 1, 250) < 0)
			r = -EIO;
		if (!r && is_cancelled(reader->engine))
			r = -ECANCELED;
	}
	if (r)
		return block_drain(reader->engine, 2000) ? -ETIMEDOUT : r;
	return reader->result ? find_failed_block(reader) : 0;
}

static int read_failed(const struct reader *reader, int r, struct error *err)
{
	if (r == -ECANCELED || r == -ETIMEDOUT)
		return error_operation(err, ECANCELED, "%s: interrupted while it was read",
				       reader->device->name);
	if (!reader->failed_sectors)
		return error_operation(err, -r, "%s: cannot be read: %s; without the whole log nothing can be said about its bits",
				       reader->device->name, error_reason(r));
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

/* Reads the device's first `sectors` into memory of its own. 0 or -errno; with
 * -ETIMEDOUT the device still writes there. */
static int read_first(struct reader *reader, uint64_t sectors, struct error *err)
{
	int r;

	reader->bytes = block_memory(reader->engine, sectors * SECTOR_BYTES);
	if (!reader->bytes)
		return error_operation(err, ENOMEM, "%s: not enough memory for a log of %" PRIu64
				       " bytes", reader->device->name, sectors * SECTOR_BYTES);
	reader->end = sectors;
	reader->next = 0;
	r = read_all(reader);
	return r ? read_failed(reader, r, err), r : 0;
}

/* Of a log whose mirror is not known: what its header says. */
static int header_regions(struct reader *reader, uint64_t *nr_regions, struct error *err)
{
	uint64_t sectors = clip_sectors(reader->device, MIRROR_LOG_BITS_OFFSET);
	struct mirror_log_header header;
	int r = read_first(reader, sectors, err);

	if (r)
		return r;
	mirror_log_header_decode(&header, reader->bytes, sectors * SECTOR_BYTES);
	free(reader->bytes);
	reader->bytes = NULL;
	*nr_regions = header.nr_regions;
	return 0;
}

int log_area_read(struct log_area *area, struct block_engine *engine,
		  struct block_device *device, uint64_t nr_regions, struct error *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	uint64_t sectors;
	int r = 0;

	memset(area, 0, sizeof(*area));
	if (!reader)
		return error_operation(err, ENOMEM, "%s: not enough memory to read it", device->name);
	reader->engine = engine;
	reader->device = device;
	if (!nr_regions)
		r = header_regions(reader, &nr_regions, err);
	if (r)
		goto out;
	if (nr_regions > REGION_COUNT_MAX)
		nr_regions = REGION_COUNT_MAX;
	sectors = clip_sectors(device, mirror_log_bytes(nr_regions));
	r = read_first(reader, sectors, err);
	if (r)
		goto out;
	area->bytes = reader->bytes;
	area->nr_bytes = sectors * SECTOR_BYTES;
	reader->bytes = NULL;
out:
	if (r != -ETIMEDOUT) {		/* else the kernel may still write there */
		free(reader->bytes);
		free(reader);
	}
	return r;
}

void log_area_free(struct log_area *area)
{
	free(area->bytes);
	memset(area, 0, sizeof(*area));
}

int log_area_renew(struct log_area *area, struct mirror_log *log, struct block_engine *engine,
		   struct block_device *device, uint64_t nr_regions, struct error *err)
{
	struct log_area now;
	int r = log_area_read(&now, engine, device, nr_regions, err);

	if (r)
		return r;
	log_area_free(area);
	*area = now;
	mirror_log_decode(log, now.bytes, now.nr_bytes, nr_regions);
	return 0;
}
