/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_writes RECORDING BEFORE LEGS LEG_SECTORS REGION_SIZE DIRECTORY
 *
 * What would a power cut have left? RECORDING is the log device of dm-log-writes
 * (struct log_write_super, struct log_write_entry), taken of a device on which the legs
 * of a mirror lie one after the other and its log behind them; BEFORE is that device's
 * contents when the recording began. The writes are replayed, and the power is cut after
 * every one of them: once with all writes so far on the disk, and some times with a
 * random part lost of what no flush had followed yet, in whole writes or in sectors.
 *
 * Each time the log must be true: the legs of a region that the kernel would take for
 * clean are equal. A region that lied when the recording began may go on lying until the
 * first flush after which it did not.
 *
 * To DIRECTORY go some of these cuts, spread evenly: N.leg0 …, N.log, and the end:
 * after. Says on stdout what it did; ends with 1 if a log lied.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR_BYTES 512u
#define RECORDING_MAGIC UINT64_C(0x6a736677736872)
#define RECORDING_VERSION 1u
#define LOG_MAGIC 0x4d695272u
#define LOG_BITS_AT 1024u
#define SUBSETS 3u		/* cuts with something lost, after each write */
#define SAVED 3u		/* cuts that are written to files */
#define COMPLAINTS 10u

enum { ENTRY_FLUSH = 1, ENTRY_FUA = 2, ENTRY_DISCARD = 4, ENTRY_MARK = 8 };

struct entry {
	uint64_t sector, nr_sectors, flags;
	unsigned char *data;
};

struct replay {
	const char *directory;
	unsigned int nr_legs;
	uint64_t leg_sectors, region_size, nr_regions;
	size_t nr_bytes, leg_bytes;	/* of the device, of a leg */
	unsigned char *stable;		/* what no power cut can lose */
	unsigned char *cut;		/* the same, between two cuts */
	unsigned char *lying;		/* regions that have never been true since the start */
	struct entry *entries;
	uint64_t nr_entries;
	uint64_t first_pending;		/* of entries: writes from here on can be lost */
	uint64_t random;
	uint64_t nr_writes, nr_log_writes, nr_flushes, nr_cuts, all_cuts, nr_lies;
};

/* xorshift64: the same cuts of the same recording. */
static uint64_t next_random(struct replay *replay)
{
	replay->random ^= replay->random << 13;
	replay->random ^= replay->random >> 7;
	replay->random ^= replay->random << 17;
	return replay->random;
}

static int read_at(int fd, void *bytes, size_t nr_bytes, uint64_t offset)
{
	unsigned char *to = bytes;

	while (nr_bytes) {
		ssize_t n = pread(fd, to, nr_bytes, (off_t)offset);

		if (n <= 0)
			return n ? -errno : -ENODATA;
		to += n;
		nr_bytes -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static uint64_t le64_at(const unsigned char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

static uint32_t le32_at(const unsigned char *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

/* --- the recording ------------------------------------------------------------------ */

static int read_entry(int fd, struct replay *replay, struct entry *entry, uint64_t *at)
{
	uint64_t nr_sectors = replay->nr_bytes / SECTOR_BYTES;
	unsigned char head[32];

	if (read_at(fd, head, sizeof(head), *at))
		return -EIO;
	entry->sector = le64_at(head);
	entry->nr_sectors = le64_at(head + 8);
	entry->flags = le64_at(head + 16);
	*at += SECTOR_BYTES;
	if (entry->flags & ENTRY_MARK)
		return 0;
	if (entry->flags & ENTRY_DISCARD || entry->sector > nr_sectors ||
	    entry->nr_sectors > nr_sectors - entry->sector)
		return -EINVAL;
	if (!entry->nr_sectors)
		return 0;
	entry->data = malloc(entry->nr_sectors * SECTOR_BYTES);
	if (!entry->data)
		return -ENOMEM;
	if (read_at(fd, entry->data, entry->nr_sectors * SECTOR_BYTES, *at))
		return -EIO;
	*at += entry->nr_sectors * SECTOR_BYTES;
	return 0;
}

static int read_recording(int fd, struct replay *replay)
{
	unsigned char super[28];
	uint64_t at = SECTOR_BYTES;
	int r = 0;

	if (read_at(fd, super, sizeof(super), 0) || le64_at(super) != RECORDING_MAGIC ||
	    le64_at(super + 8) != RECORDING_VERSION || le32_at(super + 24) != SECTOR_BYTES)
		return -EINVAL;
	replay->nr_entries = le64_at(super + 16);
	replay->entries = calloc(replay->nr_entries + 1, sizeof(*replay->entries));
	if (!replay->entries)
		return -ENOMEM;
	for (uint64_t i = 0; !r && i < replay->nr_entries; i++)
		r = read_entry(fd, replay, &replay->entries[i], &at);
	return r;
}

/* --- is the log true? --------------------------------------------------------------- */

/* disk_resume(): magic, version 1 or 2, and the count as an unsigned int. */
static bool is_clean(const struct replay *replay, const unsigned char *image, uint64_t region)
{
	const unsigned char *log = image + replay->nr_legs * replay->leg_bytes;

	if (le32_at(log) != LOG_MAGIC || le32_at(log + 4) < 1 || le32_at(log + 4) > 2 ||
	    region >= (uint32_t)le64_at(log + 8))
		return false;
	return log[LOG_BITS_AT + region / 8] & 1u << region % 8;
}

static bool is_equal(const struct replay *replay, const unsigned char *image, uint64_t region)
{
	size_t at = region * replay->region_size * SECTOR_BYTES;
	size_t nr_bytes = replay->region_size * SECTOR_BYTES;

	if (nr_bytes > replay->leg_bytes - at)
		nr_bytes = replay->leg_bytes - at;
	for (unsigned int leg = 1; leg < replay->nr_legs; leg++)
		if (memcmp(image + at, image + leg * replay->leg_bytes + at, nr_bytes))
			return false;
	return true;
}

static bool lies(const struct replay *replay, const unsigned char *image, uint64_t region)
{
	return is_clean(replay, image, region) && !is_equal(replay, image, region);
}

static int save_part(const struct replay *replay, const char *name, const unsigned char *bytes,
		     size_t nr_bytes)
{
	char path[512];
	FILE *file;
	bool bad;

	snprintf(path, sizeof(path), "%s/%s", replay->directory, name);
	file = fopen(path, "w");
	if (!file)
		return -errno;
	bad = fwrite(bytes, 1, nr_bytes, file) != nr_bytes;
	return fclose(file) || bad ? -EIO : 0;
}

static int save_cut(const struct replay *replay, uint64_t number)
{
	size_t log_at = replay->nr_legs * replay->leg_bytes;
	char name[64];
	int r = 0;

	for (unsigned int leg = 0; !r && leg < replay->nr_legs; leg++) {
		snprintf(name, sizeof(name), "%" PRIu64 ".leg%u", number, leg);
		r = save_part(replay, name, replay->cut + leg * replay->leg_bytes,
			      replay->leg_bytes);
	}
	snprintf(name, sizeof(name), "%" PRIu64 ".log", number);
	return r ? r : save_part(replay, name, replay->cut + log_at, replay->nr_bytes - log_at);
}

/* The power is cut now, and the disk holds replay->cut. */
static int check_cut(struct replay *replay, uint64_t entry, const char *lost)
{
	uint64_t before = replay->nr_cuts * SAVED / replay->all_cuts, after;

	for (uint64_t region = 0; region < replay->nr_regions; region++) {
		if (replay->lying[region] || !lies(replay, replay->cut, region))
			continue;
		if (replay->nr_lies++ < COMPLAINTS)
			printf("region %" PRIu64 " is called clean and differs: cut after entry %" PRIu64 ", %s\n",
			       region, entry, lost);
	}
	replay->nr_cuts++;
	after = replay->nr_cuts * SAVED / replay->all_cuts;
	return after == before ? 0 : save_cut(replay, after);
}

/* --- the writes --------------------------------------------------------------------- */

static bool is_write(const struct entry *entry)
{
	return !(entry->flags & ENTRY_MARK) && entry->nr_sectors;
}

static void apply(unsigned char *image, const struct entry *entry)
{
	if (is_write(entry))
		memcpy(image + entry->sector * SECTOR_BYTES, entry->data,
		       entry->nr_sectors * SECTOR_BYTES);
}

static void apply_torn(struct replay *replay, const struct entry *entry, unsigned int percent)
{
	unsigned char *to = replay->cut + entry->sector * SECTOR_BYTES;

	for (uint64_t i = 0; is_write(entry) && i < entry->nr_sectors; i++)
		if (next_random(replay) % 100 < percent)
			memcpy(to + i * SECTOR_BYTES, entry->data + i * SECTOR_BYTES,
			       SECTOR_BYTES);
}

static void apply_pending(struct replay *replay, uint64_t end, unsigned int subset)
{
	/* Much, half or little of it arrives. */
	unsigned int percent = 5 + (unsigned int)(next_random(replay) % 91);

	for (uint64_t i = replay->first_pending; i < end; i++) {
		const struct entry *entry = &replay->entries[i];

		/* With FUA it was on the disk before anything was written after it. */
		if (!subset || (entry->flags & ENTRY_FUA && i + 1 < end))
			apply(replay->cut, entry);
		else if (subset & 1)
			apply_torn(replay, entry, percent);
		else if (next_random(replay) % 100 < percent)
			apply(replay->cut, entry);
	}
}

/* Back to what is stable, where pending writes are. */
static void forget_pending(struct replay *replay, uint64_t end)
{
	for (uint64_t i = replay->first_pending; i < end; i++) {
		const struct entry *entry = &replay->entries[i];
		size_t at = entry->sector * SECTOR_BYTES;

		if (is_write(entry))
			memcpy(replay->cut + at, replay->stable + at,
			       entry->nr_sectors * SECTOR_BYTES);
	}
}

/* After the write entries[end - 1]. */
static int cut_here(struct replay *replay, uint64_t end)
{
	static const char *const lost[] = { "nothing lost", "sectors lost", "writes lost" };
	int r = 0;

	for (unsigned int subset = 0; !r && subset <= SUBSETS; subset++) {
		apply_pending(replay, end, subset);
		r = check_cut(replay, end - 1, lost[subset ? 2 - subset % 2 : 0]);
		forget_pending(replay, end);
	}
	return r;
}

/* Everything before entries[end] is on the disk for good. */
static void make_stable(struct replay *replay, uint64_t end)
{
	for (uint64_t i = replay->first_pending; i < end; i++) {
		apply(replay->stable, &replay->entries[i]);
		apply(replay->cut, &replay->entries[i]);
	}
	replay->first_pending = end;
	for (uint64_t region = 0; region < replay->nr_regions; region++)
		if (replay->lying[region] && !lies(replay, replay->stable, region))
			replay->lying[region] = false;
}

static int replay_all(struct replay *replay)
{
	uint64_t log_at = replay->nr_legs * replay->leg_sectors;
	int r = 0;

	for (uint64_t i = 0; !r && i < replay->nr_entries; i++) {
		const struct entry *entry = &replay->entries[i];

		if (entry->flags & ENTRY_FLUSH && !(entry->flags & ENTRY_MARK)) {
			replay->nr_flushes++;
			make_stable(replay, i);
		}
		if (!is_write(entry))
			continue;
		replay->nr_writes++;
		replay->nr_log_writes += entry->sector >= log_at;
		r = cut_here(replay, i + 1);
	}
	make_stable(replay, replay->nr_entries);
	return r ? r : save_part(replay, "after", replay->stable, replay->nr_bytes);
}

/* --- all of it ---------------------------------------------------------------------- */

static int begin(struct replay *replay, const char *recording, const char *before)
{
	int from = open(recording, O_RDONLY | O_CLOEXEC);
	int image = open(before, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	int r = -EINVAL;

	if (from < 0 || image < 0 || fstat(image, &stat))
		goto out;
	replay->nr_bytes = (size_t)stat.st_size;
	if (replay->nr_legs < 2 || !replay->leg_sectors || !replay->region_size ||
	    replay->nr_bytes < replay->nr_legs * replay->leg_bytes + LOG_BITS_AT + SECTOR_BYTES)
		goto out;
	replay->nr_regions = (replay->leg_sectors + replay->region_size - 1) / replay->region_size;
	replay->stable = malloc(replay->nr_bytes);
	replay->cut = malloc(replay->nr_bytes);
	replay->lying = calloc(1, replay->nr_regions);
	r = -ENOMEM;
	if (!replay->stable || !replay->cut || !replay->lying)
		goto out;
	r = read_at(image, replay->stable, replay->nr_bytes, 0);
	if (!r)
		r = read_recording(from, replay);
	if (r)
		goto out;
	memcpy(replay->cut, replay->stable, replay->nr_bytes);
	for (uint64_t region = 0; region < replay->nr_regions; region++)
		replay->lying[region] = lies(replay, replay->stable, region);
	for (uint64_t i = 0; i < replay->nr_entries; i++)
		replay->all_cuts += is_write(&replay->entries[i]) ? 1 + SUBSETS : 0;
out:
	if (from >= 0)
		close(from);
	if (image >= 0)
		close(image);
	return r;
}

static void end(struct replay *replay)
{
	for (uint64_t i = 0; replay->entries && i < replay->nr_entries; i++)
		free(replay->entries[i].data);
	free(replay->entries);
	free(replay->stable);
	free(replay->cut);
	free(replay->lying);
}

int main(int argc, char **argv)
{
	struct replay replay = { .random = UINT64_C(0x9e3779b97f4a7c15) };
	int r;

	if (argc != 7) {
		fprintf(stderr, "usage: replay_writes RECORDING BEFORE LEGS LEG_SECTORS REGION_SIZE DIRECTORY\n");
		return 2;
	}
	replay.nr_legs = (unsigned int)strtoul(argv[3], NULL, 10);
	replay.leg_sectors = strtoull(argv[4], NULL, 10);
	replay.leg_bytes = replay.leg_sectors * SECTOR_BYTES;
	replay.region_size = strtoull(argv[5], NULL, 10);
	replay.directory = argv[6];
	r = begin(&replay, argv[1], argv[2]);
	if (!r)
		r = replay_all(&replay);
	if (r)
		fprintf(stderr, "replay_writes: %s: %s\n", argv[1], strerror(-r));
	else
		printf("%" PRIu64 " writes, %" PRIu64 " of them to the log, %" PRIu64 " flushes, %" PRIu64 " cuts, %" PRIu64 " lies\n",
		       replay.nr_writes, replay.nr_log_writes, replay.nr_flushes,
		       replay.nr_cuts, replay.nr_lies);
	end(&replay);
	return r ? 2 : replay.nr_lies ? 1 : 0;
}
