/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "support/sim_disk.h"
#include "unit/suites.h"

#define SECTOR 512u

/* A device stitched of two disks: sectors 0-7 are a's 16-23, 8-23 are b's 0-15,
 * 24-31 are a's 0-7. */
struct stitched {
	struct sim_disk *a, *b;
	struct block_extent extents[3];
	struct block_device device;
};

static struct sim_disk *a, *b;
static struct stitched st;
static struct block_engine *engine;
static uint8_t *data;		/* 64 KiB, aligned */

static void stitch(void)
{
	st.extents[0] = (struct block_extent){ .first = 0, .sectors = 8, .file_sector = 16,
			.file = sim_disk_file(a) };
	st.extents[1] = (struct block_extent){ .first = 8, .sectors = 16, .file_sector = 0,
			.file = sim_disk_file(b) };
	st.extents[2] = (struct block_extent){ .first = 24, .sectors = 8, .file_sector = 0,
			.file = sim_disk_file(a) };
	st.device = (struct block_device){
		.name = "stitched", .sectors = 32, .block_sectors = 1,
		.writable = true, .extents = st.extents, .nr_extents = 3,
	};
}

static void engine_of(unsigned int depth, uint64_t seed)
{
	block_engine_destroy(engine);
	engine = sim_engine_create(depth, 4, 65536, seed);
	data = block_buffer(engine, 0);
	memset(data, 0, 65536);
}

static void setup(void)
{
	a = sim_disk_create("a", 64 * SECTOR, 1);
	b = sim_disk_create("b", 64 * SECTOR, 1);
	stitch();
	engine_of(8, 0);
}

static void teardown(void)
{
	block_engine_destroy(engine);
	engine = NULL;
	sim_disk_destroy(a);
	sim_disk_destroy(b);
}

static void fill(uint8_t *at, uint8_t first, unsigned int sectors)
{
	unsigned int i;

	for (i = 0; i < sectors; i++)
		memset(at + i * SECTOR, first + i, SECTOR);
}

static uint8_t first_byte(const struct sim_disk *disk, uint64_t sector)
{
	uint8_t bytes[SECTOR];

	sim_disk_peek(disk, sector * SECTOR, bytes, SECTOR);
	return bytes[0];
}

/* Counts completions and keeps their order in `context`. */
struct log {
	unsigned int nr;
	struct block_request *order[64];
};

static void log_done(struct block_request *request)
{
	struct log *log = request->context;

	log->order[log->nr++] = request;
}

static struct block_request request_of(struct block_device *device, enum block_op op,
				       uint64_t sector, uint32_t sectors, void *at,
				       struct log *log)
{
	return (struct block_request){
		.device = device, .op = op, .sector = sector, .sectors = sectors,
		.data = at, .done = log_done, .context = log,
	};
}

/* --- what is refused ----------------------------------------------------- */

static void refuse(struct block_device *device, enum block_op op, uint64_t sector,
		   uint32_t sectors, void *at, int result)
{
	struct log log = { 0 };
	struct block_request request = request_of(device, op, sector, sectors, at, &log);

	ck_assert_int_eq(block_submit(engine, &request), result);
	ck_assert_uint_eq(engine->in_flight, 0);
	ck_assert_int_eq(block_wait(engine, 1, 0), 0);
	ck_assert_uint_eq(log.nr, 0);
	ck_assert_uint_eq(sim_disk_counters(a)->reads + sim_disk_counters(a)->writes, 0);
}

START_TEST(out_of_bounds)
{
	struct block_device *device = sim_disk_device(a);

	refuse(device, BLOCK_READ, 64, 1, data, -EINVAL);
	refuse(device, BLOCK_READ, 63, 2, data, -EINVAL);
	refuse(device, BLOCK_READ, 0, 65, data, -EINVAL);
	refuse(device, BLOCK_READ, 0, UINT32_MAX, data, -EINVAL);
	refuse(device, BLOCK_READ, UINT64_MAX, 1, data, -EINVAL);
	refuse(device, BLOCK_READ, UINT64_MAX, UINT32_MAX, data, -EINVAL);
	refuse(device, BLOCK_WRITE, 63, 2, data, -EINVAL);
	refuse(device, BLOCK_READ, 0, 0, data, -EINVAL);
	refuse(device, BLOCK_READ, 0, 1, NULL, -EINVAL);
	ck_assert_int_eq(block_read(engine, device, 63, 1, data), 0);
}
END_TEST

START_TEST(not_aligned)
{
	struct block_device *device = sim_disk_device(a);

	refuse(device, BLOCK_READ, 0, 1, data + 1, -EINVAL);
	device->block_sectors = 8;
	refuse(device, BLOCK_READ, 1, 8, data, -EINVAL);
	refuse(device, BLOCK_READ, 8, 7, data, -EINVAL);
	refuse(device, BLOCK_READ, 8, 8, data + SECTOR, -EINVAL);
	ck_assert_int_eq(block_read(engine, device, 8, 8, data), 0);
}
END_TEST

START_TEST(read_only)
{
	struct block_device *device = sim_disk_device(a);

	device->writable = false;
	refuse(device, BLOCK_WRITE, 0, 1, data, -EROFS);
	ck_assert_int_eq(block_write(engine, device, 0, 1, data), -EROFS);
	ck_assert_int_eq(block_read(engine, device, 0, 1, data), 0);
	ck_assert_uint_eq(sim_disk_counters(a)->writes, 0);
}
END_TEST

START_TEST(no_extents)
{
	struct block_device nothing = { .name = "nothing" };

	refuse(&nothing, BLOCK_FLUSH, 0, 0, NULL, -EINVAL);
	refuse(&nothing, BLOCK_READ, 0, 0, data, -EINVAL);
}
END_TEST

/* --- splitting ----------------------------------------------------------- */

START_TEST(split_over_extents)
{
	unsigned int i;

	fill(data, 1, 32);
	ck_assert_int_eq(block_write(engine, &st.device, 0, 32, data), 0);
	for (i = 0; i < 32; i++) {
		const struct sim_disk *disk = i >= 8 && i < 24 ? b : a;
		uint64_t at = i < 8 ? 16 + i : i < 24 ? i - 8 : i - 24;

		ck_assert_uint_eq(first_byte(disk, at), 1 + i);
	}
	ck_assert_uint_eq(sim_disk_counters(a)->writes, 2);
	ck_assert_uint_eq(sim_disk_counters(b)->writes, 1);

	memset(data, 0xee, 34 * SECTOR);
	ck_assert_int_eq(block_read(engine, &st.device, 7, 18, data), 0);
	for (i = 0; i < 18; i++)
		ck_assert_uint_eq(data[i * SECTOR], 8 + i);
	ck_assert_uint_eq(data[18 * SECTOR], 0xee);
}
END_TEST

/* Depth 1 or 2, requests of three parts: all must wait their turn. */
START_TEST(pool_exhausted)
{
	struct log log = { 0 };
	struct block_request requests[6];
	unsigned int i;

	engine_of(_i + 1, 0);
	for (i = 0; i < 6; i++) {
		requests[i] = request_of(&st.device, BLOCK_READ, 0, 32, data, &log);
		ck_assert_int_eq(block_submit(engine, &requests[i]), 0);
		ck_assert_uint_le(engine->in_flight, _i + 1);
	}
	ck_assert_int_eq(block_wait(engine, 6, -1), 6);
	for (i = 0; i < 6; i++) {
		ck_assert_ptr_eq(log.order[i], &requests[i]);
		ck_assert_int_eq(requests[i].result, 0);
	}
	ck_assert_uint_eq(sim_disk_counters(a)->reads, 12);
	ck_assert_uint_eq(sim_disk_counters(b)->reads, 6);
	ck_assert_uint_eq(engine->in_flight, 0);
	ck_assert_ptr_null(engine->waiting_head);
	ck_assert_ptr_null(engine->waiting_tail);
}
END_TEST

START_TEST(flush_every_file_once)
{
	fill(data, 1, 32);
	ck_assert_int_eq(block_write(engine, &st.device, 0, 32, data), 0);
	ck_assert_uint_ne(sim_disk_unflushed(a), 0);
	ck_assert_int_eq(block_flush(engine, &st.device), 0);
	ck_assert_uint_eq(sim_disk_counters(a)->flushes, 1);
	ck_assert_uint_eq(sim_disk_counters(b)->flushes, 1);
	ck_assert_uint_eq(sim_disk_unflushed(a) + sim_disk_unflushed(b), 0);

	/* The same with the pool in the way. */
	engine_of(1, 0);
	ck_assert_int_eq(block_flush(engine, &st.device), 0);
	ck_assert_uint_eq(sim_disk_counters(a)->flushes, 2);
	ck_assert_uint_eq(sim_disk_counters(b)->flushes, 2);
}
END_TEST

START_TEST(flush_fails_with_one_file)
{
	sim_disk_fail(b, &(struct sim_fault){ .op = BLOCK_FLUSH, .result = -EIO, .times = 1 });
	ck_assert_int_eq(block_flush(engine, &st.device), -EIO);
	ck_assert_int_eq(block_flush(engine, &st.device), 0);
}
END_TEST

/* --- short transfers and errors ------------------------------------------ */

START_TEST(short_read_carried_on)
{
	unsigned int i;

	fill(data, 1, 16);
	sim_disk_poke(a, 0, data, 16 * SECTOR);
	/* Odd ends: what was read of the last block is read again. */
	sim_disk_fail(a, &(struct sim_fault){ .op = BLOCK_READ, .first = 0, .sectors = 16,
					      .short_bytes = 1300, .times = 3 });
	memset(data, 0, 16 * SECTOR);
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 0, 16, data), 0);
	for (i = 0; i < 16; i++)
		ck_assert_uint_eq(data[i * SECTOR + 511], 1 + i);
	ck_assert_uint_eq(sim_disk_counters(a)->reads, 4);
}
END_TEST

START_TEST(short_write_carried_on)
{
	unsigned int i;

	fill(data, 1, 16);
	sim_disk_fail(a, &(struct sim_fault){ .op = BLOCK_WRITE, .first = 0, .sectors = 16,
					      .short_bytes = 5 * SECTOR, .times = 2 });
	ck_assert_int_eq(block_write(engine, sim_disk_device(a), 0, 16, data), 0);
	for (i = 0; i < 16; i++)
		ck_assert_uint_eq(first_byte(a, i), 1 + i);
	ck_assert_uint_eq(sim_disk_counters(a)->writes, 3);
}
END_TEST

START_TEST(device_got_shorter)
{
	struct block_device *device = sim_disk_device(a);

	sim_disk_truncate(a, 8 * SECTOR + 100);
	ck_assert_int_eq(block_read(engine, device, 0, 8, data), 0);
	ck_assert_int_eq(block_read(engine, device, 0, 16, data), -ENODATA);
	ck_assert_int_eq(block_read(engine, device, 8, 8, data), -ENODATA);
	ck_assert_int_eq(block_read(engine, device, 16, 8, data), -ENODATA);
	ck_assert_int_eq(block_write(engine, device, 16, 8, data), -ENOSPC);
}
END_TEST

/* The carried-on part must start on a whole block of a 4096-byte disk. */
START_TEST(short_read_on_big_blocks)
{
	struct sim_disk *big = sim_disk_create("big", 64 * SECTOR, 8);

	sim_disk_fail(big, &(struct sim_fault){ .op = BLOCK_READ, .first = 0, .sectors = 64,
						.short_bytes = 11 * SECTOR, .times = 1 });
	ck_assert_int_eq(block_read(engine, sim_disk_device(big), 0, 32, data), 0);
	ck_assert_uint_eq(sim_disk_counters(big)->reads, 2);
	sim_disk_truncate(big, 13 * SECTOR);
	ck_assert_int_eq(block_read(engine, sim_disk_device(big), 0, 16, data), -ENODATA);
	sim_disk_destroy(big);
}
END_TEST

START_TEST(interrupted_transfer_goes_on)
{
	static const int codes[] = { -EINTR, -EAGAIN };

	sim_disk_fail(a, &(struct sim_fault){ .op = BLOCK_READ, .first = 0, .sectors = 64,
					      .result = codes[_i], .times = 5 });
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 0, 8, data), 0);
	ck_assert_uint_eq(sim_disk_counters(a)->reads, 6);
}
END_TEST

/* One bad sector in the second part; at submission and at completion, with room
 * for all parts and for one. */
START_TEST(one_part_fails)
{
	struct log log = { 0 };
	struct block_request request = request_of(&st.device, BLOCK_READ, 0, 32, data, &log);

	engine_of(_i & 1 ? 1 : 8, _i & 4 ? 99 : 0);
	request.data = data;
	sim_disk_fail(b, &(struct sim_fault){ .op = BLOCK_READ, .first = 3, .sectors = 1,
					      .result = -EIO, .at_submission = _i & 2 });
	ck_assert_int_eq(block_submit(engine, &request), 0);
	ck_assert_int_eq(block_wait(engine, 1, -1), 1);
	ck_assert_int_eq(request.result, -EIO);
	ck_assert_uint_eq(log.nr, 1);
	ck_assert_uint_eq(engine->in_flight, 0);
	ck_assert_ptr_null(engine->waiting_head);
	if (_i & 1)	/* what comes after the error is not tried */
		ck_assert_uint_eq(sim_disk_counters(a)->reads, 1);

	/* The request is as good as new, and so is the engine. */
	sim_disk_clear_faults(b);
	ck_assert_int_eq(block_submit(engine, &request), 0);
	ck_assert_int_eq(block_wait(engine, 1, -1), 1);
	ck_assert_int_eq(request.result, 0);
}
END_TEST

START_TEST(first_error_counts)
{
	sim_disk_fail(a, &(struct sim_fault){ .op = BLOCK_READ, .first = 16, .sectors = 1,
					      .result = -EIO });
	sim_disk_fail(b, &(struct sim_fault){ .op = BLOCK_READ, .first = 0, .sectors = 1,
					      .result = -EREMOTEIO });
	ck_assert_int_eq(block_read(engine, &st.device, 0, 32, data), -EIO);
}
END_TEST

/* An engine that claims more than was asked, or no errno at all, is not believed. */
START_TEST(nonsense_results)
{
	static const int64_t results[] = { 9 * SECTOR, INT64_MAX, INT64_MIN, -100000 };
	struct log log = { 0 };
	struct block_request request = request_of(sim_disk_device(a), BLOCK_READ, 0, 8, data,
						  &log);
	struct block_io *io = engine->free_ios;

	ck_assert_int_eq(block_submit(engine, &request), 0);
	block_io_done(engine, io, results[_i]);
	ck_assert_uint_eq(log.nr, 1);
	ck_assert_int_eq(request.result, -EIO);
}
END_TEST

/* --- waiting ------------------------------------------------------------- */

START_TEST(wait_min_and_hang)
{
	struct log log = { 0 };
	struct block_request one = request_of(sim_disk_device(a), BLOCK_READ, 0, 8, data, &log);
	struct block_request two = request_of(sim_disk_device(b), BLOCK_READ, 0, 8, data, &log);

	ck_assert_int_eq(block_wait(engine, 1, -1), 0);
	sim_disk_hang(b, true);
	ck_assert_int_eq(block_submit(engine, &two), 0);
	ck_assert_int_eq(block_submit(engine, &one), 0);
	ck_assert_int_eq(block_wait(engine, 2, 10), 1);
	ck_assert_int_eq(block_wait(engine, 1, 10), 0);
	ck_assert_int_eq(block_wait(engine, 0, -1), 0);	/* never blocks */
	ck_assert_int_eq(block_wait(engine, 1, -1), -EDEADLK);
	ck_assert_int_eq(block_drain(engine, 1000), -ETIMEDOUT);
	ck_assert_uint_eq(engine->in_flight, 1);
	sim_disk_hang(b, false);
	ck_assert_int_eq(block_drain(engine, -1), 0);
	ck_assert_uint_eq(log.nr, 2);
}
END_TEST

static bool cancel_third_time(void *context)
{
	return ++*(unsigned int *)context == 3;
}

START_TEST(cancelled_read)
{
	unsigned int asked = 0;

	engine->cancelled = cancel_third_time;
	engine->cancelled_context = &asked;
	sim_disk_hang(a, true);
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 0, 8, data), -ECANCELED);
	ck_assert_uint_eq(asked, 3);
	ck_assert_uint_eq(engine->in_flight, 1);
	/* The late completion must not touch the caller's stack; ASan looks on. */
	sim_disk_hang(a, false);
	ck_assert_int_eq(block_drain(engine, -1), 0);
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 0, 8, data), 0);
}
END_TEST

/* A pipeline: done() submits the next request. */
struct pipeline {
	uint64_t next, end;
	unsigned int running;
	uint64_t seen;		/* bit mask of sectors */
};

static void pipeline_done(struct block_request *request)
{
	struct pipeline *pipeline = request->context;

	ck_assert_int_eq(request->result, 0);
	ck_assert_uint_eq(((uint8_t *)request->data)[0], (uint8_t)(1 + request->sector));
	pipeline->seen |= UINT64_C(1) << request->sector;
	pipeline->running--;
	if (pipeline->next == pipeline->end)
		return;
	request->sector = pipeline->next++;
	pipeline->running++;
	ck_assert_int_eq(block_submit(engine, request), 0);
}

START_TEST(done_submits)
{
	struct pipeline pipeline = { .next = 4, .end = 64, .running = 4 };
	struct block_request requests[4];
	unsigned int i;

	engine_of(1 + _i % 5, _i);
	fill(data, 1, 64);
	sim_disk_poke(a, 0, data, 64 * SECTOR);
	for (i = 0; i < 4; i++) {
		requests[i] = (struct block_request){
			.device = sim_disk_device(a), .op = BLOCK_READ,
			.sector = i, .sectors = 1, .data = block_buffer(engine, i),
			.done = pipeline_done, .context = &pipeline,
		};
		ck_assert_int_eq(block_submit(engine, &requests[i]), 0);
	}
	while (pipeline.running)
		ck_assert_int_ge(block_wait(engine, 1, -1), 1);
	ck_assert_uint_eq(pipeline.seen, UINT64_MAX);
	ck_assert_uint_eq(sim_disk_counters(a)->reads, 64);
}
END_TEST

/* --- stripes --------------------------------------------------------------- */

/* Sectors 0-7 are b's 40-47, 8-31 go in pieces of 4 over a (from 16) and b (from 8):
 * 8-11 a, 12-15 b, 16-19 a … */
static void stripe(struct block_stripe stripes[2])
{
	stripes[0] = (struct block_stripe){ 16, sim_disk_file(a) };
	stripes[1] = (struct block_stripe){ 8, sim_disk_file(b) };
	st.extents[0] = (struct block_extent){ .first = 0, .sectors = 8, .file_sector = 40,
					       .file = sim_disk_file(b) };
	st.extents[1] = (struct block_extent){ .first = 8, .sectors = 24, .nr_stripes = 2,
					       .stripe_sectors = 4, .stripes = stripes };
	st.device.nr_extents = 2;
}

/* Where dm-stripe puts sector `sector` of the striped part. */
static void place_of_striped(unsigned int sector, struct sim_disk **disk, unsigned int *at)
{
	unsigned int in = sector - 8, chunk = in / 4;

	*disk = chunk % 2 ? b : a;
	*at = (chunk % 2 ? 8 : 16) + chunk / 2 * 4 + in % 4;
}

START_TEST(striped)
{
	struct block_stripe stripes[2];
	uint8_t peeked[SECTOR];

	stripe(stripes);
	/* Every start and length, over the seam as well. */
	for (unsigned int from = 0; from < 32; from++)
		for (unsigned int sectors = 1; from + sectors <= 32; sectors += 3) {
			fill(data, (uint8_t)(from * 7 + sectors), sectors);
			ck_assert_int_eq(block_write(engine, &st.device, from, sectors, data), 0);
			memset(data, 0, sectors * SECTOR);
			ck_assert_int_eq(block_read(engine, &st.device, from, sectors, data), 0);
			for (unsigned int i = 0; i < sectors; i++) {
				struct sim_disk *disk = b;
				unsigned int at = 40 + from + i;

				if (from + i >= 8)
					place_of_striped(from + i, &disk, &at);
				sim_disk_peek(disk, (uint64_t)at * SECTOR, peeked, SECTOR);
				ck_assert_mem_eq(peeked, data + i * SECTOR, SECTOR);
				ck_assert_uint_eq(data[i * SECTOR],
						  (uint8_t)(from * 7 + sectors + i));
			}
		}
}
END_TEST

START_TEST(striped_flush)
{
	struct block_stripe stripes[2];
	uint64_t of_a = sim_disk_counters(a)->flushes, of_b = sim_disk_counters(b)->flushes;
	uint64_t first, end;

	stripe(stripes);
	st.extents[0].file = sim_disk_file(a);	/* b is met as a stripe only */
	ck_assert_int_eq(block_flush(engine, &st.device), 0);
	ck_assert_uint_eq(sim_disk_counters(a)->flushes, of_a + 1);
	ck_assert_uint_eq(sim_disk_counters(b)->flushes, of_b + 1);
	/* Holes of stripes are not looked for. */
	ck_assert(block_next_data(engine, &st.device, 0, &first, &end));
	ck_assert_uint_eq(first, 8);
	ck_assert_uint_eq(end, 32);
}
END_TEST

/* --- holes --------------------------------------------------------------- */

START_TEST(next_data)
{
	struct sim_disk *sparse = sim_disk_create("sparse", UINT64_C(1) << 40, 1);
	struct sim_disk *holes = sim_disk_create("holes", 1 << 20, 1);
	struct block_extent extents[] = {
		{ .first = 0, .sectors = 1024, .file_sector = 0,
			.file = sim_disk_file(holes) },
		{ .first = 1024, .sectors = 1 << 20, .file_sector = 4,
			.file = sim_disk_file(sparse) },
	};
	struct block_device device = {
		.name = "d", .sectors = 1024 + (1 << 20), .block_sectors = 1,
		.extents = extents, .nr_extents = 2,
	};
	uint64_t first = 7, end = 7;

	ck_assert(!block_next_data(engine, &device, 0, &first, &end));
	sim_disk_poke(sparse, 100 * 4096, "x", 1);	/* file sectors 800-807 */
	ck_assert(block_next_data(engine, &device, 0, &first, &end));
	ck_assert_uint_eq(first, 1024 + 796);
	ck_assert_uint_eq(end, 1024 + 804);
	ck_assert(block_next_data(engine, &device, 1024 + 800, &first, &end));
	ck_assert_uint_eq(first, 1024 + 800);
	ck_assert_uint_eq(end, 1024 + 804);
	ck_assert(!block_next_data(engine, &device, end, &first, &end));
	/* Data behind the extent's end is not the device's. */
	sim_disk_poke(sparse, UINT64_C(1) << 39, "x", 1);
	ck_assert(!block_next_data(engine, &device, 1024 + 804, &first, &end));
	ck_assert(!block_next_data(engine, &device, device.sectors, &first, &end));

	/* Bigger blocks: outwards, but never before the question. */
	device.block_sectors = 16;
	ck_assert(block_next_data(engine, &device, 0, &first, &end));
	ck_assert_uint_eq(first, 1024 + 784);
	ck_assert_uint_eq(end, 1024 + 816);
	ck_assert(block_next_data(engine, &device, 1024 + 801, &first, &end));
	ck_assert_uint_eq(first, 1024 + 801);

	/* A file that cannot tell is all data. */
	device.block_sectors = 1;
	sim_disk_tell_holes(sparse, false);
	ck_assert(block_next_data(engine, &device, 5, &first, &end));
	ck_assert_uint_eq(first, 1024);
	ck_assert_uint_eq(end, device.sectors);
	sim_disk_destroy(sparse);
	sim_disk_destroy(holes);
}
END_TEST

/* --- creation ------------------------------------------------------------ */

START_TEST(engine_sizes)
{
	struct block_engine small;

	ck_assert_int_eq(block_engine_init(&small, NULL, 1, UINT32_MAX, SIZE_MAX / 2), -ENOMEM);
	ck_assert_int_eq(block_engine_init(&small, NULL, 1, 1, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(block_engine_init(&small, NULL, 0, 3, 5000), 0);
	ck_assert_uint_eq(small.depth, 1);
	ck_assert_uint_ge(small.buffer_bytes, 5000);
	ck_assert_uint_eq((uintptr_t)block_buffer(&small, 0) % 4096, 0);
	ck_assert_uint_eq((uintptr_t)block_buffer(&small, 2) % 4096, 0);
	memset(block_buffer(&small, 2), 1, 5000);	/* ASan looks on */
	block_engine_fini(&small);
	block_engine_destroy(NULL);
}
END_TEST

/* --- against a model ----------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Random requests on the stitched device, with short transfers, interruptions and
 * a shuffled order, must do what they would do on a plain array. */
START_TEST(random_against_model)
{
	uint64_t random = _i + 1;
	uint8_t model[32 * SECTOR] = { 0 };
	unsigned int round, i;

	engine_of(1 + next_random(&random) % 4, _i + 1);
	for (round = 0; round < 200; round++) {
		struct log log = { 0 };
		struct block_request requests[4];
		enum block_op op = next_random(&random) & 1 ? BLOCK_READ : BLOCK_WRITE;

		sim_disk_clear_faults(a);
		sim_disk_fail(a, &(struct sim_fault){
			.op = op, .sectors = 64, .times = 1 + next_random(&random) % 3,
			.short_bytes = SECTOR + next_random(&random) % 4096 });
		sim_disk_clear_faults(b);
		sim_disk_fail(b, &(struct sim_fault){
			.op = op, .sectors = 64, .times = 1, .result = -EINTR });
		/* Four requests in disjoint quarters, then all at once. */
		for (i = 0; i < 4; i++) {
			uint32_t skip = next_random(&random) % 8;
			uint32_t sectors = 1 + next_random(&random) % (8 - skip);
			uint8_t *at = block_buffer(engine, i);

			memset(at, (int)next_random(&random), sectors * SECTOR);
			requests[i] = request_of(&st.device, op, i * 8 + skip, sectors, at, &log);
			if (op == BLOCK_WRITE)
				memcpy(model + (i * 8 + skip) * SECTOR, at, sectors * SECTOR);
			ck_assert_int_eq(block_submit(engine, &requests[i]), 0);
		}
		ck_assert_int_eq(block_wait(engine, 4, -1), 4);
		for (i = 0; i < 4; i++) {
			ck_assert_int_eq(requests[i].result, 0);
			ck_assert_mem_eq(requests[i].data, model + requests[i].sector * SECTOR,
					 requests[i].sectors * SECTOR);
		}
		ck_assert_int_eq(block_read(engine, &st.device, 0, 32, data), 0);
		ck_assert_mem_eq(data, model, sizeof(model));
	}
}
END_TEST

/* --- the simulated disk itself ------------------------------------------- */

static void write_byte(struct sim_disk *disk, uint64_t sector, uint8_t byte)
{
	memset(data, byte, SECTOR);
	ck_assert_int_eq(block_write(engine, sim_disk_device(disk), sector, 1, data), 0);
}

static bool survives_mask(void *context, unsigned int version, uint64_t sector)
{
	(void)sector;
	return *(unsigned int *)context >> version & 1;
}

START_TEST(sim_every_subset_can_survive)
{
	unsigned int mask;

	write_byte(a, 5, 1);
	ck_assert_int_eq(block_flush(engine, sim_disk_device(a)), 0);
	write_byte(a, 5, 2);
	write_byte(a, 6, 3);
	write_byte(a, 5, 4);
	ck_assert_uint_eq(sim_disk_unflushed(a), 3);
	ck_assert_uint_eq(sim_disk_unflushed_sector(a, 1), 6);
	ck_assert_uint_eq(first_byte(a, 5), 4);
	for (mask = 0; mask < 8; mask++) {
		struct sim_disk *copy = sim_disk_clone(a);

		sim_disk_power_cut_subset(copy, survives_mask, &mask);
		ck_assert_uint_eq(first_byte(copy, 5), mask & 4 ? 4 : mask & 1 ? 2 : 1);
		ck_assert_uint_eq(first_byte(copy, 6), mask & 2 ? 3 : 0);
		ck_assert_uint_eq(sim_disk_unflushed(copy), 0);
		sim_disk_destroy(copy);
	}
}
END_TEST

START_TEST(sim_power_cut_by_seed)
{
	unsigned int seed, survived[2] = { 0, 0 };

	write_byte(a, 0, 1);
	write_byte(a, 1, 1);
	for (seed = 0; seed < 64; seed++) {
		struct sim_disk *one = sim_disk_clone(a), *two = sim_disk_clone(a);

		sim_disk_power_cut(one, seed);
		sim_disk_power_cut(two, seed);
		ck_assert_uint_eq(first_byte(one, 0), first_byte(two, 0));
		ck_assert_uint_eq(first_byte(one, 1), first_byte(two, 1));
		survived[0] += first_byte(one, 0);
		survived[1] += first_byte(one, 1);
		sim_disk_destroy(one);
		sim_disk_destroy(two);
	}
	ck_assert_uint_gt(survived[0], 16);
	ck_assert_uint_lt(survived[0], 48);
	ck_assert_uint_gt(survived[1], 16);
	ck_assert_uint_lt(survived[1], 48);
}
END_TEST

/* Only what had been written when the flush was submitted is made durable: a
 * write that overtakes a flush is not. */
START_TEST(sim_flush_covers_the_past)
{
	unsigned int seed, overtook = 0;

	for (seed = 1; seed < 30; seed++) {
		struct sim_disk *disk = sim_disk_create("c", 8 * SECTOR, 1);
		struct log log = { 0 };
		struct block_request flush =
			request_of(sim_disk_device(disk), BLOCK_FLUSH, 0, 0, NULL, &log);
		struct block_request write =
			request_of(sim_disk_device(disk), BLOCK_WRITE, 1, 1, NULL, &log);

		engine_of(8, seed);
		write_byte(disk, 0, 1);
		write.data = data;
		ck_assert_int_eq(block_submit(engine, &flush), 0);
		ck_assert_int_eq(block_submit(engine, &write), 0);
		ck_assert_int_eq(block_wait(engine, 2, -1), 2);
		overtook += log.order[0] == &write;
		ck_assert_uint_eq(sim_disk_unflushed(disk), 1);
		ck_assert_uint_eq(sim_disk_unflushed_sector(disk, 0), 1);
		sim_disk_destroy(disk);
	}
	ck_assert_uint_gt(overtook, 0);
	ck_assert_uint_lt(overtook, 29);
}
END_TEST

START_TEST(sim_crash_catches_writes_in_flight)
{
	struct log log = { 0 };
	struct block_request write = request_of(sim_disk_device(a), BLOCK_WRITE, 0, 2, data, &log);
	unsigned int mask = 2;

	fill(data, 7, 2);
	ck_assert_int_eq(block_submit(engine, &write), 0);
	ck_assert_uint_eq(first_byte(a, 0), 0);
	sim_engine_crash(engine);
	ck_assert_uint_eq(engine->in_flight, 0);
	ck_assert_uint_eq(log.nr, 0);
	ck_assert_uint_eq(sim_disk_unflushed(a), 2);
	sim_disk_power_cut_subset(a, survives_mask, &mask);
	ck_assert_uint_eq(first_byte(a, 0), 0);
	ck_assert_uint_eq(first_byte(a, 1), 8);
	/* The engine can be used on. */
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 0, 2, data), 0);
}
END_TEST

START_TEST(sim_power_off_after)
{
	struct block_device *device = sim_disk_device(a);

	sim_engine_power_off_after(engine, 2);
	ck_assert_int_eq(block_write(engine, device, 0, 1, data), 0);
	ck_assert_int_eq(block_flush(engine, device), 0);
	ck_assert_int_eq(block_read(engine, device, 0, 1, data), 0);
	ck_assert(!sim_engine_power_lost(engine));
	ck_assert_int_eq(block_write(engine, device, 1, 1, data), -ENODEV);
	ck_assert(sim_engine_power_lost(engine));
	ck_assert_int_eq(block_read(engine, device, 0, 1, data), -ENODEV);
	ck_assert_int_eq(block_flush(engine, device), -ENODEV);
	ck_assert_uint_eq(sim_disk_unflushed(a), 0);
	ck_assert_uint_eq(sim_disk_counters(a)->writes, 1);
}
END_TEST

START_TEST(sim_faults)
{
	struct block_device *device = sim_disk_device(a);
	uint8_t junk[SECTOR];

	sim_disk_fail(a, &(struct sim_fault){ .op = BLOCK_READ, .first = 4, .sectors = 2,
					      .result = -EIO });
	ck_assert_int_eq(block_read(engine, device, 0, 4, data), 0);
	ck_assert_int_eq(block_read(engine, device, 6, 58, data), 0);
	ck_assert_int_eq(block_read(engine, device, 5, 1, data), -EIO);
	memset(junk, 0xdb, SECTOR);
	ck_assert_mem_eq(data, junk, SECTOR);
	ck_assert_int_eq(block_read(engine, device, 0, 5, data), -EIO);
	ck_assert_int_eq(block_write(engine, device, 4, 2, data), 0);
	sim_disk_clear_faults(a);
	ck_assert_int_eq(block_read(engine, device, 0, 64, data), 0);

	/* At submission nothing reaches the disk, and "twice" is twice. */
	fill(data, 9, 2);
	sim_disk_fail(a, &(struct sim_fault){ .op = BLOCK_WRITE, .sectors = UINT64_MAX,
					      .result = -EIO, .at_submission = true, .times = 2 });
	ck_assert_int_eq(block_write(engine, device, 10, 2, data), -EIO);
	ck_assert_int_eq(block_write(engine, device, 10, 2, data), -EIO);
	ck_assert_uint_eq(first_byte(a, 10), 0);
	ck_assert_int_eq(block_write(engine, device, 10, 2, data), 0);
	ck_assert_uint_eq(first_byte(a, 10), 9);
}
END_TEST

/* A write that fails at completion may have written anything: over the seeds
 * every subset of two sectors is seen. */
START_TEST(sim_failed_write_is_partial)
{
	unsigned int seed, seen = 0;

	for (seed = 1; seed < 64; seed++) {
		struct sim_disk *copy = sim_disk_clone(a);

		engine_of(8, seed);
		fill(data, 1, 2);
		sim_disk_fail(copy, &(struct sim_fault){ .op = BLOCK_WRITE, .sectors = 64,
							 .result = -EIO });
		ck_assert_int_eq(block_write(engine, sim_disk_device(copy), 0, 2, data), -EIO);
		seen |= 1u << ((first_byte(copy, 0) ? 1 : 0) + (first_byte(copy, 1) ? 2 : 0));
		sim_disk_destroy(copy);
	}
	ck_assert_uint_eq(seen, 15);
}
END_TEST

/* Enforced below block.c too: here the device promises less than the disk. */
START_TEST(sim_alignment)
{
	struct sim_disk *big = sim_disk_create("big", 64 * SECTOR, 8);
	struct block_device device = *sim_disk_device(big);

	device.block_sectors = 1;
	ck_assert_int_eq(block_read(engine, &device, 1, 8, data), -EINVAL);
	ck_assert_int_eq(block_write(engine, &device, 8, 4, data), -EINVAL);
	ck_assert_uint_eq(sim_disk_unflushed(big), 0);
	sim_disk_destroy(big);
}
END_TEST

struct poker {
	unsigned int reads;
	struct sim_disk *disk;
};

static void poke_second_read(void *context, struct sim_disk *disk, enum block_op op,
			     uint64_t first, uint64_t sectors)
{
	struct poker *poker = context;

	ck_assert_ptr_eq(disk, poker->disk);
	ck_assert_uint_eq(first, 3);
	ck_assert_uint_eq(sectors, 1);
	if (op == BLOCK_READ && ++poker->reads == 2)
		sim_disk_poke(disk, 3 * SECTOR, "z", 1);
}

START_TEST(sim_hook_before_read)
{
	struct poker poker = { .disk = a };

	sim_engine_set_hook(engine, poke_second_read, &poker);
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 3, 1, data), 0);
	ck_assert_uint_eq(data[0], 0);
	ck_assert_int_eq(block_read(engine, sim_disk_device(a), 3, 1, data), 0);
	ck_assert_uint_eq(data[0], 'z');
}
END_TEST

START_TEST(sim_shuffles)
{
	unsigned int seed, i, shuffled = 0, single = 0;

	for (seed = 1; seed < 20; seed++) {
		struct log log = { 0 };
		struct block_request requests[8];

		engine_of(8, seed);
		for (i = 0; i < 8; i++) {
			requests[i] = request_of(sim_disk_device(a), BLOCK_READ, i, 1,
						 data + i * SECTOR, &log);
			ck_assert_int_eq(block_submit(engine, &requests[i]), 0);
		}
		/* And a wait for one does not wait for all. */
		single += block_wait(engine, 1, -1) == 1;
		ck_assert_int_eq(block_drain(engine, -1), 0);
		for (i = 0; i < 8; i++)
			shuffled += log.order[i] != &requests[i];
	}
	ck_assert_uint_gt(shuffled, 50);
	ck_assert_uint_gt(single, 0);
	ck_assert_uint_lt(single, 19);
}
END_TEST

static void add_sim_tests(TCase *tcase)
{
	tcase_add_test(tcase, sim_every_subset_can_survive);
	tcase_add_test(tcase, sim_power_cut_by_seed);
	tcase_add_test(tcase, sim_flush_covers_the_past);
	tcase_add_test(tcase, sim_crash_catches_writes_in_flight);
	tcase_add_test(tcase, sim_power_off_after);
	tcase_add_test(tcase, sim_faults);
	tcase_add_test(tcase, sim_failed_write_is_partial);
	tcase_add_test(tcase, sim_alignment);
	tcase_add_test(tcase, sim_hook_before_read);
	tcase_add_test(tcase, sim_shuffles);
}

Suite *block_suite(void)
{
	Suite *suite = suite_create("block");
	TCase *tcase = tcase_create("block");
	TCase *sim = tcase_create("simulated disk");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, out_of_bounds);
	tcase_add_test(tcase, not_aligned);
	tcase_add_test(tcase, read_only);
	tcase_add_test(tcase, no_extents);
	tcase_add_test(tcase, split_over_extents);
	tcase_add_loop_test(tcase, pool_exhausted, 0, 2);
	tcase_add_test(tcase, flush_every_file_once);
	tcase_add_test(tcase, flush_fails_with_one_file);
	tcase_add_test(tcase, short_read_carried_on);
	tcase_add_test(tcase, short_write_carried_on);
	tcase_add_test(tcase, device_got_shorter);
	tcase_add_test(tcase, short_read_on_big_blocks);
	tcase_add_loop_test(tcase, interrupted_transfer_goes_on, 0, 2);
	tcase_add_loop_test(tcase, one_part_fails, 0, 8);
	tcase_add_test(tcase, first_error_counts);
	tcase_add_loop_test(tcase, nonsense_results, 0, 4);
	tcase_add_test(tcase, wait_min_and_hang);
	tcase_add_test(tcase, cancelled_read);
	tcase_add_loop_test(tcase, done_submits, 0, 10);
	tcase_add_test(tcase, striped);
	tcase_add_test(tcase, striped_flush);
	tcase_add_test(tcase, next_data);
	tcase_add_test(tcase, engine_sizes);
	tcase_add_loop_test(tcase, random_against_model, 0, 20);
	suite_add_tcase(suite, tcase);

	tcase_add_checked_fixture(sim, setup, teardown);
	add_sim_tests(sim);
	suite_add_tcase(suite, sim);
	return suite;
}
