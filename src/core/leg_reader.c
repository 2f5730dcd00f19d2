/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/leg_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 64u
#define POLL_MS 100
#define HANG_MS 3000	/* how long an ended run waits for its requests */
/* So many unreadable blocks in a row and a leg is no longer probed block by
 * block: whole chunks that fail are called unreadable until one is read again. */
#define COARSE_AFTER 2048u

struct slot {
	struct leg_reader *reader;
	uint64_t start;			/* asked for … */
	uint32_t sectors;
	uint64_t read_start;		/* … and read: aligned to all legs' blocks */
	uint32_t read_sectors[MIRROR_LEGS_MAX];
	unsigned int pending;
	int result[MIRROR_LEGS_MAX];
	unsigned char *data[MIRROR_LEGS_MAX];
	struct block_request requests[MIRROR_LEGS_MAX];
};

struct leg_reader {
	struct block_engine *engine;
	struct block_device *legs[MIRROR_LEGS_MAX];
	unsigned int nr_legs;
	uint32_t align;			/* largest block among the legs, sectors */
	uint32_t chunk_sectors;
	struct slot *slots;
	unsigned int nr_slots;
	uint64_t head, tail;		/* slots[head % nr] is the oldest out */
	uint64_t range_next, range_end;
	bool exhausted;
	uint64_t *bad[MIRROR_LEGS_MAX];
	unsigned int bad_in_a_row[MIRROR_LEGS_MAX];
	const struct leg_reader_client *client;
};

static uint64_t round_down(uint64_t value, uint32_t align)
{
	return value / align * align;
}

static void request_done(struct block_request *request)
{
	struct slot *slot = request->context;
	size_t leg = (size_t)(request - slot->requests);

	slot->result[leg] = request->result;
	slot->pending--;
}

/* Buffers are dealt out once: slot by slot, leg by leg. */
static void deal_buffers(struct leg_reader *reader)
{
	unsigned int buffer = 0;

	for (unsigned int i = 0; i < reader->nr_slots; i++) {
		reader->slots[i].reader = reader;
		for (unsigned int leg = 0; leg < reader->nr_legs; leg++)
			if (reader->legs[leg])
				reader->slots[i].data[leg] = block_buffer(reader->engine, buffer++);
	}
}

int leg_reader_create(struct leg_reader **reader_out, struct block_engine *engine,
		      struct block_device *const legs[], unsigned int nr_legs)
{
	struct leg_reader *reader = calloc(1, sizeof(*reader));
	unsigned int present = 0;

	if (!reader)
		return -ENOMEM;
	reader->engine = engine;
	reader->nr_legs = nr_legs;
	reader->align = 1;
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		reader->legs[leg] = legs[leg];
		if (!legs[leg])
			continue;
		present++;
		if (legs[leg]->block_sectors > reader->align)
			reader->align = legs[leg]->block_sectors;
	}
	reader->chunk_sectors = (uint32_t)round_down(engine->buffer_bytes / SECTOR_BYTES,
						     reader->align);
	reader->nr_slots = present ? engine->nr_buffers / present : 1;
	if (reader->nr_slots > SLOTS_MAX)
		reader->nr_slots = SLOTS_MAX;
	if (!reader->nr_slots || !reader->chunk_sectors)
		goto out;	/* the engine's buffers are too few or too small */
	reader->slots = calloc(reader->nr_slots, sizeof(*reader->slots));
	if (!reader->slots)
		goto out;
	for (unsigned int leg = 0; leg < nr_legs; leg++) {
		reader->bad[leg] = calloc(reader->chunk_sectors / 64 + 1, sizeof(uint64_t));
		if (!reader->bad[leg])
			goto out;
	}
	deal_buffers(reader);
	*reader_out = reader;
	return 0;
out:
	leg_reader_destroy(reader);
	return -ENOMEM;
}

void leg_reader_destroy(struct leg_reader *reader)
{
	if (!reader)
		return;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		free(reader->bad[leg]);
	free(reader->slots);
	free(reader);
}

void leg_reader_limit_chunk(struct leg_reader *reader, uint32_t sectors)
{
	uint32_t aligned = (uint32_t)round_down(sectors, reader->align);

	if (!aligned)
		aligned = reader->align;
	if (aligned < reader->chunk_sectors)
		reader->chunk_sectors = aligned;
}

/* Reads [start, end) of every leg into the slot, widened to whole blocks. */
static int submit_slot(struct leg_reader *reader, struct slot *slot, uint64_t start, uint64_t end)
{
	uint64_t read_end = round_down(end + reader->align - 1, reader->align);
	int r;

	slot->start = start;
	slot->sectors = (uint32_t)(end - start);
	slot->read_start = round_down(start, reader->align);
	for (unsigned int leg = 0; leg < reader->nr_legs; leg++) {
		struct block_device *device = reader->legs[leg];
		uint64_t leg_end = read_end;

		if (!device)
			continue;
		if (leg_end > device->sectors)
			leg_end = device->sectors;
		slot->read_sectors[leg] = (uint32_t)(leg_end - slot->read_start);
		slot->requests[leg] = (struct block_request){
			.device = device, .op = BLOCK_READ, .sector = slot->read_start,
			.sectors = slot->read_sectors[leg], .data = slot->data[leg],
			.done = request_done, .context = slot,
		};
		r = block_submit(reader->engine, &slot->requests[leg]);
		if (r)
			return r;
		slot->pending++;
	}
	return 0;
}

/* Cuts the next chunk off the current range. */
static bool next_chunk(struct leg_reader *reader, uint64_t *start, uint64_t *end)
{
	while (reader->range_next == reader->range_end) {
		if (reader->exhausted)
			return false;
		if (!reader->client->next_range(reader->client->context, &reader->range_next,
						&reader->range_end)) {
			reader->exhausted = true;
			reader->range_next = reader->range_end = 0;
			return false;
		}
	}
	*start = reader->range_next;
	*end = round_down(*start, reader->align) + reader->chunk_sectors;
	if (*end > reader->range_end)
		*end = reader->range_end;
	return true;
}

/* Fills free slots. *wait_ms: how long the pace asks to wait, 0 if it did not. */
static int submit_chunks(struct leg_reader *reader, unsigned int *wait_ms)
{
	uint64_t start, end;
	int r = 0;

	*wait_ms = 0;
	while (!r && reader->tail - reader->head < reader->nr_slots &&
	       next_chunk(reader, &start, &end)) {
		*wait_ms = reader->client->pace(reader->client->context, (uint32_t)(end - start));
		if (*wait_ms)
			break;
		r = submit_slot(reader, &reader->slots[reader->tail % reader->nr_slots], start, end);
		reader->range_next = end;
		reader->tail++;
	}
	return r;
}

static void mark_bad(struct leg_reader *reader, const struct slot *slot, unsigned int leg,
		     uint64_t first, uint64_t end)
{
	for (uint64_t sector = first; sector < end; sector++)
		if (sector >= slot->start && sector < slot->start + slot->sectors) {
			uint64_t bit = sector - slot->start;

			reader->bad[leg][bit / 64] |= UINT64_C(1) << (bit % 64);
		}
}

/* A leg that has gone away, or has been bad for so long that it might as well. */
static bool is_hopeless(const struct leg_reader *reader, unsigned int leg, int error)
{
	return error == -ENXIO || error == -ENODEV ||
	       reader->bad_in_a_row[leg] >= COARSE_AFTER;
}

/* Reads [first, end) of a leg piece by piece after it failed as a whole; halves
 * are blocks of the leg's own size in the end. */
static int salvage_range(struct leg_reader *reader, struct slot *slot, unsigned int leg,
			 uint64_t first, uint64_t end, int error)
{
	struct block_device *device = reader->legs[leg];
	uint32_t block = device->block_sectors;
	uint64_t half[3];
	int r = reader->client->poll(reader->client->context);

	if (r)
		return r;
	if (end - first <= block || is_hopeless(reader, leg, error)) {
		mark_bad(reader, slot, leg, first, end);
		reader->bad_in_a_row[leg]++;
		return 0;
	}
	half[0] = first;
	half[1] = first + round_down((end - first) / 2 + block - 1, block);
	half[2] = end;
	for (unsigned int i = 0; i < 2; i++) {
		r = block_read(reader->engine, device, half[i], (uint32_t)(half[i + 1] - half[i]),
			       slot->data[leg] + (half[i] - slot->read_start) * SECTOR_BYTES);
		if (r == -ECANCELED)
			return -ETIMEDOUT;	/* the read is still out */
		if (!r)
			reader->bad_in_a_row[leg] = 0;
		else
			r = salvage_range(reader, slot, leg, half[i], half[i + 1], r);
		if (r)
			return r;
	}
	return 0;
}

static int salvage_leg(struct leg_reader *reader, struct slot *slot, unsigned int leg)
{
	memset(reader->bad[leg], 0, (slot->sectors / 64 + 1) * sizeof(uint64_t));
	return salvage_range(reader, slot, leg, slot->read_start,
			     slot->read_start + slot->read_sectors[leg], slot->result[leg]);
}

/* Hands over the oldest slot, which is complete. */
static int take_slot(struct leg_reader *reader, struct slot *slot)
{
	struct leg_chunk chunk = { .start = slot->start, .sectors = slot->sectors };
	uint64_t lead = (slot->start - slot->read_start) * SECTOR_BYTES;
	int r;

	for (unsigned int leg = 0; leg < reader->nr_legs; leg++) {
		if (!reader->legs[leg])
			continue;
		chunk.data[leg] = slot->data[leg] + lead;
		if (!slot->result[leg]) {
			reader->bad_in_a_row[leg] = 0;
			continue;
		}
		r = salvage_leg(reader, slot, leg);
		if (r)
			return r;
		chunk.error[leg] = slot->result[leg];
		chunk.bad[leg] = reader->bad[leg];
	}
	return reader->client->take(reader->client->context, &chunk);
}

static int take_chunks(struct leg_reader *reader)
{
	int r = 0;

	while (!r && reader->head < reader->tail) {
		struct slot *slot = &reader->slots[reader->head % reader->nr_slots];

		if (slot->pending)
			break;
		r = take_slot(reader, slot);
		reader->head++;
	}
	return r;
}

/* One turn: submit, wait, take. */
static int run_once(struct leg_reader *reader)
{
	const struct leg_reader_client *client = reader->client;
	unsigned int wait_ms;
	int r;

	r = submit_chunks(reader, &wait_ms);
	if (r)
		return r;
	if (reader->head == reader->tail) {
		if (wait_ms)
			client->pause(client->context, wait_ms < POLL_MS ? wait_ms : POLL_MS);
	} else {
		r = block_wait(reader->engine, 1, wait_ms && wait_ms < POLL_MS ? (int)wait_ms : POLL_MS);
		if (r < 0)
			return r;
	}
	r = take_chunks(reader);
	return r ? r : client->poll(client->context);
}

int leg_reader_run(struct leg_reader *reader, const struct leg_reader_client *client)
{
	int r;

	reader->client = client;
	reader->head = reader->tail = 0;
	reader->range_next = reader->range_end = 0;
	reader->exhausted = false;
	do {
		r = run_once(reader);
	} while (!r && !(reader->exhausted && reader->head == reader->tail));
	if (r && block_drain(reader->engine, HANG_MS))
		r = -ETIMEDOUT;
	return r;
}
