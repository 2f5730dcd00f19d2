/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/identify.h"

#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "core/mirror_log.h"
#include "io/dm_names.h"
#include "io/lvm_origin.h"

#define END_SECTORS 128u	/* hashed at either end of a leg */
#define DRAIN_MS 2000

/* --- stable names ------------------------------------------------------------- */

static void place_name(char *name, size_t room, const struct host_roots *roots,
		       const struct device *device)
{
	char stable[STABLE_NAME_MAX];
	int length;

	name[0] = '\0';
	if (!device || device->nr_pieces > 1 || device->file->regular ||
	    !stable_name(stable, sizeof(stable), roots, device->file->dev))
		return;
	length = device->offset ?
		snprintf(name, room, "%s@%" PRIu64, stable, device->offset) :
		snprintf(name, room, "%s", stable);
	if ((size_t)length >= room)
		name[0] = '\0';
}

static void lvm_places_name(struct identity *identity, const struct opened_mirror *opened)
{
	for (unsigned int i = 0; i < identity->nr_legs; i++)
		if (opened->legs[i])
			lvm_origin_part_name(identity->leg[i], sizeof(identity->leg[i]),
					     opened->lvm, i);
	if (opened->log)
		lvm_origin_part_name(identity->log, sizeof(identity->log), opened->lvm,
				     MIRROR_LEGS_MAX);
}

static void places_name(struct identity *identity, const struct host_roots *roots,
			const struct opened_mirror *opened)
{
	if (opened->lvm) {
		lvm_places_name(identity, opened);
		return;
	}
	for (unsigned int i = 0; i < identity->nr_legs; i++)
		place_name(identity->leg[i], sizeof(identity->leg[i]), roots, opened->legs[i]);
	place_name(identity->log, sizeof(identity->log), roots, opened->log);
}

/* Two disks of one name (cloned, or of firmware that gives all the same) have none. */
static bool name_is_unique(const struct identity *identity, unsigned int leg)
{
	for (unsigned int i = leg + 1; i < identity->nr_legs; i++)
		if (!strcmp(identity->leg[leg], identity->leg[i]))
			return false;
	return strcmp(identity->leg[leg], identity->log) != 0;
}

static bool all_are_named(const struct identity *identity, const struct opened_mirror *opened)
{
	bool any = false;

	if (opened->log && !identity->log[0])
		return false;
	for (unsigned int i = 0; i < identity->nr_legs; i++) {
		if (!opened->legs[i])
			continue;
		if (!identity->leg[i][0] || !name_is_unique(identity, i))
			return false;
		any = true;
	}
	return any;
}

/* --- an active dm device, or what will be one -------------------------------------------------------- */

/* The name that device-mapper knows, also where the user wrote VG/LV. */
static int id_of_name(char *id, size_t room, const struct mirror *mirror)
{
	char name[128];

	if (mapped_name_of_lv(name, sizeof(name), mirror->name) &&
	    (size_t)snprintf(name, sizeof(name), "%s", mirror->name) >= sizeof(name))
		return -1;
	return snprintf(id, room, "name:%s", name);
}

/* false: it has no id that could be trusted. */
static bool mapped_id(struct identity *identity, const struct opened_mirror *opened)
{
	const struct mirror *mirror = &opened->mirror;
	size_t room = sizeof(identity->id), used;

	if (mirror->activity == MIRROR_INACTIVE && !opened->lvm)
		return false;
	if (mirror->uuid && *mirror->uuid) {
		snprintf(identity->id, room, "%s", mirror->uuid);
		mapped_uuid_trim(identity->id);
	} else if (!all_are_named(identity, opened) ||
		   id_of_name(identity->id, room, mirror) < 0) {
		return false;
	}
	used = strlen(identity->id);
	if (mirror->start)
		snprintf(identity->id + used, room - used, "@%" PRIu64, mirror->start);
	return true;
}

/* --- digests -------------------------------------------------------------------- */

/* The engine's own memory is read into: should a device hang and hold on to it, it
 * lives as long as the engine. */
struct digest {
	struct block_engine *engine;
	struct block_device *device;
	struct sha256_ctx sha;
	struct error *err;
};

/* A device's unreadable sectors are no error here, a user who will not wait is. */
static int digest_failed(struct digest *digest, int r)
{
	if (r != -ECANCELED)
		return 1;
	if (block_drain(digest->engine, DRAIN_MS))
		r = -ETIMEDOUT;
	error_operation(digest->err, ECANCELED, "%s: interrupted while it was read to identify "
			"the mirror", digest->device->name);
	return r;
}

/* Reads whole blocks from the one on that holds `sector`: as many as are wanted up to
 * `end` and fit. *bytes is where `sector` is, *sectors what there is from it on. 0, 1:
 * could not be read, or -errno with an error. */
static int digest_read(struct digest *digest, uint64_t sector, uint64_t end,
		       unsigned char **bytes, uint64_t *sectors)
{
	uint64_t block = digest->device->block_sectors, from = sector - sector % block;
	uint64_t to = end + (block - end % block) % block;
	uint64_t room = digest->engine->buffer_bytes / SECTOR_BYTES;
	unsigned char *buffer = block_buffer(digest->engine, 0);
	int r;

	room -= room % block;
	if (to - from > room)
		to = from + room;
	if (to == from || to > digest->device->sectors)
		return 1;
	r = block_read(digest->engine, digest->device, from, (uint32_t)(to - from), buffer);
	if (r)
		return digest_failed(digest, r);
	*bytes = buffer + (sector - from) * SECTOR_BYTES;
	*sectors = (to < end ? to : end) - sector;
	return 0;
}

static void digest_hex(char *hex, struct digest *digest)
{
	unsigned char bytes[SHA256_DIGEST_SIZE];

	sha256_digest(&digest->sha, sizeof(bytes), bytes);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static int digest_add(struct digest *digest, uint64_t first, uint64_t end)
{
	unsigned char *bytes;
	uint64_t sectors;
	int r = 0;

	while (!r && first < end) {
		r = digest_read(digest, first, end, &bytes, &sectors);
		if (r)
			break;
		sha256_update(&digest->sha, (size_t)sectors * SECTOR_BYTES, bytes);
		first += sectors;
	}
	return r;
}

/* The first and the last sectors; of a short mirror both are all of it. */
static int digest_leg(char *hex, struct digest *digest, uint64_t length)
{
	uint64_t sectors = length < END_SECTORS ? length : END_SECTORS;
	int r;

	sha256_init(&digest->sha);
	r = digest_add(digest, 0, sectors);
	if (!r)
		r = digest_add(digest, length - sectors, length);
	if (!r)
		digest_hex(hex, digest);
	return r;
}

/* The kernel writes version 2 and its own number of regions at every resume and
 * carries the other bytes along (dm-log.c, header_to_disk and disk_resume). */
static int digest_log(char *hex, struct digest *digest)
{
	unsigned char *bytes;
	uint64_t sectors;
	int r = digest_read(digest, 0, 1, &bytes, &sectors);

	if (r)
		return r;
	memset(bytes + 4, 0, MIRROR_LOG_HEADER_BYTES - 4);
	sha256_init(&digest->sha);
	sha256_update(&digest->sha, SECTOR_BYTES, bytes);
	digest_hex(hex, digest);
	return 0;
}

static int identify_by_contents(struct identity *identity, struct opened_mirror *opened,
				struct block_engine *engine, struct error *err)
{
	struct digest digest = { .engine = engine, .err = err };
	int r = 0;

	strcpy(identity->kind, "weak");
	identity->id[0] = identity->log[0] = '\0';
	memset(identity->leg, 0, sizeof(identity->leg));
	for (unsigned int i = 0; i < identity->nr_legs && r >= 0; i++) {
		if (!opened->legs[i])
			continue;
		digest.device = &opened->legs[i]->block;
		r = digest_leg(identity->leg[i], &digest, identity->length);
	}
	if (r >= 0 && opened->log) {
		digest.device = &opened->log->block;
		r = digest_log(identity->log, &digest);
	}
	return r < 0 ? r : 0;
}

/* --- the identity --------------------------------------------------------------- */

int mirror_identify_on(const struct host_roots *roots, struct identity *identity,
		       struct opened_mirror *opened, struct block_engine *engine,
		       struct error *err)
{
	const struct mirror *mirror = &opened->mirror;
	struct identity found = {
		.length = mirror->geometry.length,
		.region_size = mirror->geometry.region_size,
		.nr_legs = mirror->nr_legs,
	};
	int r = 0;

	if (!mirror->geometry.nr_regions || mirror->nr_legs < MIRROR_LEGS_MIN)
		return error_operation(err, EINVAL, "%s: a log alone does not tell whose it is: "
				       "give the legs too",
				       mirror->name ? mirror->name : "the log");
	places_name(&found, roots, opened);
	if (mapped_id(&found, opened))
		strcpy(found.kind, "dm");
	else if (mirror->activity == MIRROR_INACTIVE && all_are_named(&found, opened))
		strcpy(found.kind, "block");
	else
		r = identify_by_contents(&found, opened, engine, err);
	if (!r)
		*identity = found;
	return r;
}

int mirror_identify(struct identity *identity, struct opened_mirror *opened,
		    struct block_engine *engine, struct error *err)
{
	return mirror_identify_on(NULL, identity, opened, engine, err);
}
