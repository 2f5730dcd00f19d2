/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/mapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Merges neighbouring blocks of one status on their way to the file. */
struct mapfile {
	FILE *stream;
	const char *path;
	char *temporary;
	const struct region_geometry *geometry;
	uint64_t next;		/* first sector not yet covered */
	uint64_t start;		/* of the block being gathered */
	char status;
};

static int map_failed(const struct mapfile *map, int code, struct error *err)
{
	return error_operation(err, code, "--mapfile %s: cannot be written: %s", map->path,
			       error_reason(code));
}

static int map_open(struct mapfile *map, const char *path,
		    const struct region_geometry *geometry, struct error *err)
{
	int fd;

	*map = (struct mapfile){ .path = path, .geometry = geometry };
	if (asprintf(&map->temporary, "%s.XXXXXX", path) < 0) {
		map->temporary = NULL;
		return map_failed(map, ENOMEM, err);
	}
	fd = mkstemp(map->temporary);
	if (fd < 0)
		return map_failed(map, errno, err);
	fchmod(fd, 0644);
	map->stream = fdopen(fd, "w");
	if (!map->stream) {
		close(fd);
		unlink(map->temporary);
		return map_failed(map, ENOMEM, err);
	}
	fprintf(map->stream, "# Mapfile. Written by mirrorctl " PACKAGE_VERSION "\n"
		"# current_pos  current_status  current_pass\n0x00000000     +               1\n"
		"#      pos        size  status\n");
	return 0;
}

static void map_flush(struct mapfile *map)
{
	if (map->next > map->start)
		fprintf(map->stream, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n",
			map->start * SECTOR_BYTES, (map->next - map->start) * SECTOR_BYTES,
			map->status);
	map->start = map->next;
}

/* Sectors [map->next, end) have `status`. */
static void map_add(struct mapfile *map, uint64_t end, char status)
{
	if (end <= map->next)
		return;
	if (status != map->status)
		map_flush(map);
	map->status = status;
	map->next = end;
}

static uint64_t end_of_region(const struct region_geometry *geometry, uint64_t region)
{
	return region_start(geometry, region) + region_sectors(geometry, region);
}

/* Closes and puts the file in place; `r` is what went wrong before. */
static int map_close(struct mapfile *map, int r, struct error *err)
{
	if (map->stream) {
		if (!r)
			map_flush(map);
		if (ferror(map->stream) | fclose(map->stream) && !r)
			r = map_failed(map, EIO, err);
		if (!r && rename(map->temporary, map->path))
			r = map_failed(map, errno, err);
		if (r)
			unlink(map->temporary);
	}
	free(map->temporary);
	return r;
}

int mapfile_write_log(const char *path, const struct bitmap *clean_bits,
		      const struct region_geometry *geometry, struct error *err)
{
	uint64_t first, last, from = 0;
	struct mapfile map;
	int r = map_open(&map, path, geometry, err);

	while (!r && bitmap_next_run(clean_bits, true, from, &first, &last)) {
		map_add(&map, region_start(geometry, first), '?');
		map_add(&map, end_of_region(geometry, last), '+');
		from = last + 1;
	}
	if (!r)
		map_add(&map, geometry->length, '?');
	return map_close(&map, r, err);
}

static char status_of(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_VERIFIED:
	case VERDICT_EQUAL_NOT_CLEAN:
	case VERDICT_TRANSIENT:
		return '+';
	case VERDICT_BOGUS_CLEAN:
	case VERDICT_SUSPECT:
	case VERDICT_UNVERIFIABLE:
		return '-';
	case VERDICT_RESYNC_PENDING:
		return '*';
	default:
		return '?';
	}
}

int mapfile_write_audit(const char *path, const struct audit_result *result,
			const struct region_geometry *geometry, struct error *err)
{
	struct mapfile map;
	int r = map_open(&map, path, geometry, err);

	for (size_t i = 0; !r && i < result->regions.nr; i++) {
		const struct region_verdict_run *run = &result->regions.runs[i];

		map_add(&map, region_start(geometry, run->first), '?');
		map_add(&map, end_of_region(geometry, run->last), status_of(run->verdict));
	}
	if (!r)
		map_add(&map, geometry->length, '?');
	return map_close(&map, r, err);
}
