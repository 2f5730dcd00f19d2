/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "support/sim_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define FAULTS_MAX 64u
#define CHUNK SIM_HOLE_BYTES
#define JUNK 0xdb

struct version {
	uint64_t sector;
	uint64_t sequence;	/* of the write, disk-wide */
	uint8_t data[SECTOR];
};

/* Contents by chunk, chunks by group, so that a hole of 1 TiB is nothing; NULL is
 * a hole. */
#define GROUP_CHUNKS 512u

struct group {
	uint8_t *chunks[GROUP_CHUNKS];
};

struct image {
	struct group **groups;
	uint64_t nr_chunks;
};

struct sim_disk {
	struct block_device device;
	struct block_extent extent;
	char name[64];
	uint64_t bytes;
	struct image current;	/* what reads see */
	struct image durable;	/* without the versions */
	struct version *versions;
	unsigned int nr_versions;
	unsigned int room_versions;
	uint64_t sequence;	/* of the last write executed */
	struct sim_fault faults[FAULTS_MAX];
	unsigned int nr_faults;
	bool hangs;
	bool tells_holes;
	struct sim_counters counters;
};

/* A test cannot go on without memory, nor need it. */
static void *must(void *memory)
{
	if (!memory) {
		fputs("sim_disk: out of memory\n", stderr);
		abort();
	}
	return memory;
}

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* --- images -------------------------------------------------------------- */

static uint64_t nr_groups(const struct image *image)
{
	return (image->nr_chunks + GROUP_CHUNKS - 1) / GROUP_CHUNKS;
}

static void image_init(struct image *image, uint64_t bytes)
{
	image->nr_chunks = (bytes + CHUNK - 1) / CHUNK;
	image->groups = must(calloc(nr_groups(image) + 1, sizeof(*image->groups)));
}

static void image_fini(struct image *image)
{
	uint64_t i;
	unsigned int j;

	for (i = 0; i < nr_groups(image); i++) {
		for (j = 0; image->groups[i] && j < GROUP_CHUNKS; j++)
			free(image->groups[i]->chunks[j]);
		free(image->groups[i]);
	}
	free(image->groups);
}

/* NULL: a hole. */
static uint8_t *image_chunk(const struct image *image, uint64_t chunk)
{
	const struct group *group = image->groups[chunk / GROUP_CHUNKS];

	return group ? group->chunks[chunk % GROUP_CHUNKS] : NULL;
}

static uint8_t *image_make_chunk(struct image *image, uint64_t chunk)
{
	struct group **group = &image->groups[chunk / GROUP_CHUNKS];
	uint8_t **made;

	if (!*group)
		*group = must(calloc(1, sizeof(**group)));
	made = &(*group)->chunks[chunk % GROUP_CHUNKS];
	if (!*made)
		*made = must(calloc(1, CHUNK));
	return *made;
}

/* The first chunk at or after `chunk` that is (not) a hole. */
static uint64_t image_next(const struct image *image, uint64_t chunk, bool hole)
{
	while (chunk < image->nr_chunks) {
		if (!image->groups[chunk / GROUP_CHUNKS] && !hole)
			chunk = (chunk / GROUP_CHUNKS + 1) * GROUP_CHUNKS;
		else if (!image_chunk(image, chunk) == hole)
			break;
		else
			chunk++;
	}
	return chunk < image->nr_chunks ? chunk : image->nr_chunks;
}

static void image_read(const struct image *image, uint64_t offset, void *data, size_t bytes)
{
	uint8_t *out = data;

	while (bytes) {
		uint64_t chunk = offset / CHUNK;
		size_t skip = offset % CHUNK;
		size_t span = bytes < CHUNK - skip ? bytes : CHUNK - skip;

		if (chunk >= image->nr_chunks)
			return;
		if (image_chunk(image, chunk))
			memcpy(out, image_chunk(image, chunk) + skip, span);
		else
			memset(out, 0, span);
		offset += span;
		out += span;
		bytes -= span;
	}
}

static void image_write(struct image *image, uint64_t offset, const void *data, size_t bytes)
{
	const uint8_t *in = data;

	while (bytes) {
		uint64_t chunk = offset / CHUNK;
		size_t skip = offset % CHUNK;
		size_t span = bytes < CHUNK - skip ? bytes : CHUNK - skip;

		if (chunk >= image->nr_chunks)
			return;
		memcpy(image_make_chunk(image, chunk) + skip, in, span);
		offset += span;
		in += span;
		bytes -= span;
	}
}

static void image_copy(struct image *to, const struct image *from)
{
	uint64_t chunk = image_next(from, 0, false);

	for (; chunk < from->nr_chunks; chunk = image_next(from, chunk + 1, false))
		memcpy(image_make_chunk(to, chunk), image_chunk(from, chunk), CHUNK);
}

/* --- disks --------------------------------------------------------------- */

struct sim_disk *sim_disk_create(const char *name, uint64_t bytes, uint32_t block_sectors)
{
	struct sim_disk *disk = must(calloc(1, sizeof(*disk)));

	snprintf(disk->name, sizeof(disk->name), "%s", name);
	disk->bytes = bytes;
	disk->tells_holes = true;
	image_init(&disk->current, bytes);
	image_init(&disk->durable, bytes);
	disk->device.name = disk->name;
	disk->device.block_sectors = block_sectors;
	disk->device.sectors = bytes / SECTOR / block_sectors * block_sectors;
	disk->device.writable = true;
	disk->device.extents = &disk->extent;
	disk->device.nr_extents = 1;
	disk->extent.sectors = disk->device.sectors;
	disk->extent.file = sim_disk_file(disk);
	return disk;
}

void sim_disk_destroy(struct sim_disk *disk)
{
	if (!disk)
		return;
	image_fini(&disk->current);
	image_fini(&disk->durable);
	free(disk->versions);
	free(disk);
}

struct sim_disk *sim_disk_clone(const struct sim_disk *disk)
{
	struct sim_disk *copy = sim_disk_create(disk->name, disk->bytes,
						disk->device.block_sectors);

	/* A truncated disk keeps the room that it once had. */
	image_fini(&copy->current);
	image_fini(&copy->durable);
	image_init(&copy->current, disk->current.nr_chunks * CHUNK);
	image_init(&copy->durable, disk->durable.nr_chunks * CHUNK);
	image_copy(&copy->current, &disk->current);
	image_copy(&copy->durable, &disk->durable);
	copy->device.sectors = copy->extent.sectors = disk->device.sectors;
	copy->tells_holes = disk->tells_holes;
	copy->sequence = disk->sequence;
	copy->nr_versions = copy->room_versions = disk->nr_versions;
	if (disk->nr_versions) {
		copy->versions = must(malloc(disk->nr_versions * sizeof(*disk->versions)));
		memcpy(copy->versions, disk->versions,
		       disk->nr_versions * sizeof(*disk->versions));
	}
	return copy;
}

struct block_device *sim_disk_device(struct sim_disk *disk)
{
	return &disk->device;
}

struct block_file *sim_disk_file(struct sim_disk *disk)
{
	return (struct block_file *)disk;
}

static size_t clip(const struct sim_disk *disk, uint64_t offset, size_t bytes)
{
	if (offset >= disk->bytes)
		return 0;
	return bytes < disk->bytes - offset ? bytes : (size_t)(disk->bytes - offset);
}

void sim_disk_peek(const struct sim_disk *disk, uint64_t offset_bytes, void *data, size_t bytes)
{
	image_read(&disk->current, offset_bytes, data, clip(disk, offset_bytes, bytes));
}

void sim_disk_peek_durable(const struct sim_disk *disk, uint64_t offset_bytes, void *data,
			   size_t bytes)
{
	image_read(&disk->durable, offset_bytes, data, clip(disk, offset_bytes, bytes));
}

/* Versions of poked sectors take the poked bytes over, or a power cut would
 * bring back what was there before. */
static void poke_versions(struct sim_disk *disk, uint64_t offset, const uint8_t *data,
			  size_t bytes)
{
	unsigned int i;
	size_t at;

	for (i = 0; i < disk->nr_versions; i++) {
		struct version *version = &disk->versions[i];

		for (at = 0; at < bytes; at++)
			if ((offset + at) / SECTOR == version->sector)
				version->data[(offset + at) % SECTOR] = data[at];
	}
}

void sim_disk_poke(struct sim_disk *disk, uint64_t offset_bytes, const void *data, size_t bytes)
{
	bytes = clip(disk, offset_bytes, bytes);
	image_write(&disk->current, offset_bytes, data, bytes);
	image_write(&disk->durable, offset_bytes, data, bytes);
	poke_versions(disk, offset_bytes, data, bytes);
}

void sim_disk_truncate(struct sim_disk *disk, uint64_t bytes)
{
	disk->bytes = bytes < disk->current.nr_chunks * CHUNK ? bytes :
		      disk->current.nr_chunks * CHUNK;
}

void sim_disk_tell_holes(struct sim_disk *disk, bool tells)
{
	disk->tells_holes = tells;
}

const struct sim_counters *sim_disk_counters(const struct sim_disk *disk)
{
	return &disk->counters;
}

void sim_disk_fail(struct sim_disk *disk, const struct sim_fault *fault)
{
	if (disk->nr_faults == FAULTS_MAX) {
		fputs("sim_disk: too many faults\n", stderr);
		abort();
	}
	disk->faults[disk->nr_faults++] = *fault;
}

void sim_disk_clear_faults(struct sim_disk *disk)
{
	disk->nr_faults = 0;
}

void sim_disk_hang(struct sim_disk *disk, bool hangs)
{
	disk->hangs = hangs;
}

/* --- the volatile cache -------------------------------------------------- */

unsigned int sim_disk_unflushed(const struct sim_disk *disk)
{
	return disk->nr_versions;
}

uint64_t sim_disk_unflushed_sector(const struct sim_disk *disk, unsigned int version)
{
	return disk->versions[version].sector;
}

static void write_sector(struct sim_disk *disk, uint64_t sector, const uint8_t *data)
{
	struct version *version;

	if (disk->nr_versions == disk->room_versions) {
		disk->room_versions = disk->room_versions ? 2 * disk->room_versions : 64;
		disk->versions = must(realloc(disk->versions, disk->room_versions *
					      sizeof(*disk->versions)));
	}
	version = &disk->versions[disk->nr_versions++];
	version->sector = sector;
	version->sequence = disk->sequence;
	memcpy(version->data, data, SECTOR);
	image_write(&disk->current, sector * SECTOR, data, SECTOR);
}

/* What was written up to `sequence` becomes durable. */
static void make_durable(struct sim_disk *disk, uint64_t sequence)
{
	unsigned int i, kept = 0;

	for (i = 0; i < disk->nr_versions; i++) {
		struct version *version = &disk->versions[i];

		if (version->sequence <= sequence)
			image_write(&disk->durable, version->sector * SECTOR,
				    version->data, SECTOR);
		else
			disk->versions[kept++] = *version;
	}
	disk->nr_versions = kept;
}

void sim_disk_power_cut_subset(struct sim_disk *disk,
			       bool (*survives)(void *context, unsigned int version,
						uint64_t sector),
			       void *context)
{
	unsigned int i;

	for (i = 0; i < disk->nr_versions; i++) {
		const struct version *version = &disk->versions[i];

		if (survives(context, i, version->sector))
			image_write(&disk->durable, version->sector * SECTOR,
				    version->data, SECTOR);
	}
	for (i = 0; i < disk->nr_versions; i++) {
		uint64_t sector = disk->versions[i].sector;
		uint8_t data[SECTOR];

		image_read(&disk->durable, sector * SECTOR, data, SECTOR);
		image_write(&disk->current, sector * SECTOR, data, SECTOR);
	}
	disk->nr_versions = 0;
}

static bool survives_by_chance(void *context, unsigned int version, uint64_t sector)
{
	(void)version;
	(void)sector;
	return random_next(context) & 1;
}

void sim_disk_power_cut(struct sim_disk *disk, uint64_t seed)
{
	sim_disk_power_cut_subset(disk, survives_by_chance, &seed);
}

void sim_disk_peek_cut(const struct sim_disk *disk, uint64_t seed, void *data, size_t bytes)
{
	sim_disk_peek_durable(disk, 0, data, bytes);
	for (unsigned int i = 0; i < disk->nr_versions; i++) {
		const struct version *version = &disk->versions[i];

		if ((random_next(&seed) & 1) && version->sector < bytes / SECTOR)
			memcpy((uint8_t *)data + version->sector * SECTOR, version->data, SECTOR);
	}
}

/* --- the engine ---------------------------------------------------------- */

struct queued {
	struct block_io *io;
	uint64_t sequence;	/* of the disk when the io was submitted */
	int refused;		/* a fault at submission */
};

struct sim_engine {
	struct block_engine base;
	uint64_t random;	/* 0: no shuffling */
	struct queued *queue;	/* in the order of submission */
	unsigned int nr_queued;
	sim_hook *hook;
	void *hook_context;
	bool power_limited;
	bool power_lost;
	uint64_t power_ops;	/* writes and flushes until the power goes */
};

static struct sim_engine *to_sim(struct block_engine *engine)
{
	return (struct sim_engine *)engine;
}

static struct sim_disk *disk_of(const struct block_io *io)
{
	return (struct sim_disk *)io->file;
}

static bool fault_hits(const struct sim_fault *fault, const struct block_io *io)
{
	uint64_t first = io->offset_bytes / SECTOR, sectors = io->bytes / SECTOR;

	if (io->op == BLOCK_FLUSH)
		return true;
	if (fault->first >= first)
		return fault->first - first < sectors;
	return first - fault->first < fault->sectors;
}

/* The fault that strikes this io, counted down. */
static bool take_fault(const struct block_io *io, bool at_submission, struct sim_fault *taken)
{
	struct sim_disk *disk = disk_of(io);
	unsigned int i;

	for (i = 0; i < disk->nr_faults; i++) {
		struct sim_fault *fault = &disk->faults[i];

		if (fault->op != io->op || fault->at_submission != at_submission ||
		    !fault_hits(fault, io))
			continue;
		*taken = *fault;
		if (fault->times && --fault->times == 0) {
			disk->nr_faults--;
			memmove(fault, fault + 1,
				(disk->nr_faults - i) * sizeof(*fault));
		}
		return true;
	}
	return false;
}

static void sim_submit(struct block_engine *engine, struct block_io *io)
{
	struct sim_engine *sim = to_sim(engine);
	struct queued *queued = &sim->queue[sim->nr_queued++];
	struct sim_fault fault;

	queued->io = io;
	queued->sequence = disk_of(io)->sequence;
	queued->refused = take_fault(io, true, &fault) ? fault.result : 0;
}

static int64_t execute_read(const struct block_io *io, size_t bytes)
{
	image_read(&disk_of(io)->current, io->offset_bytes, io->data, bytes);
	disk_of(io)->counters.read_bytes += bytes;
	return (int64_t)bytes;
}

static int64_t execute_write(const struct block_io *io, size_t bytes)
{
	struct sim_disk *disk = disk_of(io);
	size_t at;

	disk->sequence++;
	for (at = 0; at + SECTOR <= bytes; at += SECTOR)
		write_sector(disk, (io->offset_bytes + at) / SECTOR,
			     (const uint8_t *)io->data + at);
	disk->counters.written_bytes += bytes;
	return (int64_t)bytes;
}

/* A failed write may have put any of its sectors on the disk. */
static void write_some(struct sim_engine *sim, const struct block_io *io, size_t bytes)
{
	uint64_t random = sim->random ? random_next(&sim->random) : 1;
	struct sim_disk *disk = disk_of(io);
	size_t at;

	disk->sequence++;
	for (at = 0; at + SECTOR <= bytes; at += SECTOR)
		if (random_next(&random) & 1)
			write_sector(disk, (io->offset_bytes + at) / SECTOR,
				     (const uint8_t *)io->data + at);
}

static bool aligned(const struct block_io *io)
{
	uint64_t block_bytes = (uint64_t)disk_of(io)->device.block_sectors * SECTOR;

	return io->offset_bytes % block_bytes == 0 && io->bytes % block_bytes == 0 &&
	       (uintptr_t)io->data % SECTOR == 0;
}

static void count(const struct block_io *io)
{
	struct sim_counters *counters = &disk_of(io)->counters;

	if (io->op == BLOCK_READ)
		counters->reads++;
	else if (io->op == BLOCK_WRITE)
		counters->writes++;
	else
		counters->flushes++;
}

/* One write or flush nearer to the end; true when there is no power. */
static bool out_of_power(struct sim_engine *sim, enum block_op op)
{
	if (sim->power_limited && !sim->power_lost && op != BLOCK_READ && !sim->power_ops--)
		sim->power_lost = true;
	return sim->power_lost;
}

static int64_t execute_failing(struct sim_engine *sim, const struct block_io *io, int result)
{
	size_t bytes = clip(disk_of(io), io->offset_bytes, io->bytes);

	if (io->op == BLOCK_READ)
		memset(io->data, JUNK, io->bytes);
	else if (io->op == BLOCK_WRITE)
		write_some(sim, io, bytes);
	return result;
}

static int64_t execute(struct sim_engine *sim, const struct queued *queued)
{
	const struct block_io *io = queued->io;
	struct sim_fault fault;
	bool faulty;
	size_t bytes;

	if (queued->refused)
		return queued->refused;
	if (out_of_power(sim, io->op))
		return -ENODEV;
	if (sim->hook)
		sim->hook(sim->hook_context, disk_of(io), io->op,
			  io->offset_bytes / SECTOR, io->bytes / SECTOR);
	count(io);
	if (!aligned(io))
		return -EINVAL;
	faulty = take_fault(io, false, &fault);
	if (faulty && fault.result)
		return execute_failing(sim, io, fault.result);

	bytes = clip(disk_of(io), io->offset_bytes, io->bytes);
	if (faulty && fault.short_bytes < bytes)
		bytes = fault.short_bytes;
	if (io->op == BLOCK_READ)
		return execute_read(io, bytes);
	if (io->op == BLOCK_WRITE)
		return execute_write(io, bytes);
	make_durable(disk_of(io), queued->sequence);
	return 0;
}

static unsigned int nr_ready(const struct sim_engine *sim)
{
	unsigned int i, ready = 0;

	for (i = 0; i < sim->nr_queued; i++)
		ready += !disk_of(sim->queue[i].io)->hangs;
	return ready;
}

/* Takes the `index`th io that does not hang out of the queue. */
static struct queued take_ready(struct sim_engine *sim, unsigned int index)
{
	unsigned int i;
	struct queued taken;

	for (i = 0; ; i++)
		if (!disk_of(sim->queue[i].io)->hangs && index-- == 0)
			break;
	taken = sim->queue[i];
	sim->nr_queued--;
	memmove(&sim->queue[i], &sim->queue[i + 1],
		(sim->nr_queued - i) * sizeof(*sim->queue));
	return taken;
}

static int sim_wait(struct block_engine *engine, int timeout_ms)
{
	struct sim_engine *sim = to_sim(engine);
	unsigned int ready = nr_ready(sim), batch = ready;

	if (!ready)
		return timeout_ms < 0 ? -EDEADLK : 0;
	if (sim->random)
		batch = 1 + (unsigned int)(random_next(&sim->random) % ready);
	/* A hook or a done() may make disks hang or release them. */
	while (batch-- && (ready = nr_ready(sim))) {
		unsigned int index = sim->random ?
			(unsigned int)(random_next(&sim->random) % ready) : 0;
		struct queued taken = take_ready(sim, index);

		block_io_done(engine, taken.io, execute(sim, &taken));
	}
	return 0;
}

static int sim_next_data(struct block_engine *engine, struct block_file *file,
			 uint64_t offset_bytes, uint64_t *start, uint64_t *end)
{
	const struct sim_disk *disk = (struct sim_disk *)file;
	const struct image *image = &disk->current;
	uint64_t chunk;

	(void)engine;
	if (!disk->tells_holes)
		return -EOPNOTSUPP;
	*start = *end = UINT64_MAX;
	chunk = image_next(image, offset_bytes / CHUNK, false);
	if (chunk >= image->nr_chunks)
		return 0;
	*start = chunk * CHUNK > offset_bytes ? chunk * CHUNK : offset_bytes;
	*end = image_next(image, chunk, true) * CHUNK;
	return 0;
}

static void sim_destroy(struct block_engine *engine)
{
	struct sim_engine *sim = to_sim(engine);

	block_engine_fini(engine);
	free(sim->queue);
	free(sim);
}

static const struct block_engine_ops sim_ops = {
	.name = "simulated",
	.submit = sim_submit,
	.wait = sim_wait,
	.next_data = sim_next_data,
	.destroy = sim_destroy,
};

struct block_engine *sim_engine_create(unsigned int depth, unsigned int nr_buffers,
				       size_t buffer_bytes, uint64_t seed)
{
	struct sim_engine *sim = must(calloc(1, sizeof(*sim)));

	if (block_engine_init(&sim->base, &sim_ops, depth, nr_buffers, buffer_bytes)) {
		free(sim);
		return must(NULL);
	}
	sim->random = seed;
	sim->queue = must(calloc(sim->base.depth, sizeof(*sim->queue)));
	return &sim->base;
}

void sim_engine_set_hook(struct block_engine *engine, sim_hook *hook, void *context)
{
	to_sim(engine)->hook = hook;
	to_sim(engine)->hook_context = context;
}

void sim_engine_power_off_after(struct block_engine *engine, uint64_t ops)
{
	to_sim(engine)->power_limited = true;
	to_sim(engine)->power_ops = ops;
}

bool sim_engine_power_lost(const struct block_engine *engine)
{
	return ((const struct sim_engine *)engine)->power_lost;
}

void sim_engine_crash(struct block_engine *engine)
{
	struct sim_engine *sim = to_sim(engine);
	unsigned int i;

	for (i = 0; i < sim->nr_queued; i++) {
		const struct block_io *io = sim->queue[i].io;

		if (io->op == BLOCK_WRITE && !sim->queue[i].refused && aligned(io) &&
		    !sim->power_lost)
			execute_write(io, clip(disk_of(io), io->offset_bytes, io->bytes));
	}
	sim->nr_queued = 0;
	for (i = 0; i < engine->depth; i++)
		engine->ios[i].next = i + 1 < engine->depth ? &engine->ios[i + 1] : NULL;
	engine->free_ios = engine->ios;
	engine->in_flight = 0;
	engine->waiting_head = engine->waiting_tail = NULL;
}
