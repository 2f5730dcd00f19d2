/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/mapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Merges neighbouring blocks of one status on their way to the file. */
struct mapfile {
	FILE *stream;		/* the temporary file; NULL: in place or gone */
	char *path;		/* where it goes, links followed */
	char *temporary;
	const struct region_geometry *geometry;	/* NULL: of an image */
	uint64_t length;	/* sectors */
	uint64_t next;		/* first sector not yet covered */
	uint64_t start;		/* of the block being gathered */
	char status;
};

static int map_failed(const char *path, int code, struct error *err)
{
	return error_operation(err, code, "--mapfile %s: cannot be written: %s; give another path",
			       path, error_reason(code));
}

static int not_regular(const char *path, struct error *err)
{
	return error_usage(err, "--mapfile %s: is not a regular file; give the name of a new one",
			   path);
}

/* What the map would take the place of must be nothing that matters here. */
static int check_target(const char *path, const struct opened_mirror *opened,
			const struct mirror_operand *operand, struct error *err)
{
	struct stat st, table;
	bool clash;

	if (stat(path, &st))
		return errno == ENOENT ? 0 : map_failed(path, errno, err);
	if (!S_ISREG(st.st_mode))
		return not_regular(path, err);
	clash = opened->log && device_has_file(opened->log, &st);
	for (unsigned int leg = 0; leg < opened->mirror.nr_legs; leg++)
		clash = clash || (opened->legs[leg] && device_has_file(opened->legs[leg], &st));
	if (operand->table && !stat(operand->table, &table))
		clash = clash || (table.st_dev == st.st_dev && table.st_ino == st.st_ino);
	if (clash)
		return error_usage(err, "--mapfile %s: is a part of the mirror; give the name of a new file",
				   path);
	return 0;
}

/* The path with links followed; the file itself need not exist yet. */
static char *target_of(const char *path)
{
	char *resolved = realpath(path, NULL);

	return resolved ? resolved : errno == ENOENT ? strdup(path) : NULL;
}

static int open_temporary(struct mapfile *map)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	if (asprintf(&map->temporary, "%s.XXXXXX", map->path) < 0) {
		map->temporary = NULL;
		return -ENOMEM;
	}
	fd = mkstemp(map->temporary);
	if (fd < 0)
		return -errno;
	map->stream = fdopen(fd, "w");
	if (!map->stream || fchmod(fd, 0666 & ~mask)) {
		unlink(map->temporary);
		if (!map->stream)
			close(fd);
		return -EIO;
	}
	return 0;
}

/* The temporary file with its first lines. */
static int begin(struct mapfile **map_out, const char *path, uint64_t length, struct error *err)
{
	struct mapfile *map = calloc(1, sizeof(*map));
	int r;

	if (!map)
		return map_failed(path, ENOMEM, err);
	map->length = length;
	map->path = target_of(path);
	r = map->path ? open_temporary(map) : -errno;
	if (r) {
		mapfile_close(map);
		return map_failed(path, -r, err);
	}
	fprintf(map->stream, "# Mapfile. Written by mirrorctl " PACKAGE_VERSION "\n"
		"# current_pos  current_status  current_pass\n0x00000000     +               1\n"
		"#      pos        size  status\n");
	*map_out = map;
	return 0;
}

int mapfile_create(struct mapfile **map, const char *path, const struct opened_mirror *opened,
		   const struct mirror_operand *operand, struct error *err)
{
	int r;

	*map = NULL;
	if (!path)
		return 0;
	r = check_target(path, opened, operand, err);
	if (!r)
		r = begin(map, path, opened->mirror.geometry.length, err);
	if (!r)
		(*map)->geometry = &opened->mirror.geometry;
	return r;
}

int mapfile_create_for_image(struct mapfile **map, const char *path, uint64_t length,
			     const int *fds, size_t nr_fds, struct error *err)
{
	struct stat st, taken;
	bool there;

	*map = NULL;
	if (!path)
		return 0;
	there = !stat(path, &st);
	if (!there && errno != ENOENT)
		return map_failed(path, errno, err);
	if (there && !S_ISREG(st.st_mode))
		return not_regular(path, err);
	for (size_t i = 0; there && i < nr_fds; i++)
		if (!fstat(fds[i], &taken) && taken.st_dev == st.st_dev &&
		    taken.st_ino == st.st_ino)
			return error_usage(err, "--mapfile %s: is one of the files that are read or "
					   "written; give the name of a new file", path);
	return begin(map, path, length, err);
}

void mapfile_close(struct mapfile *map)
{
	if (!map)
		return;
	if (map->stream) {
		fclose(map->stream);
		unlink(map->temporary);
	}
	free(map->temporary);
	free(map->path);
	free(map);
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

/* Completes the file and puts it in its place. */
static int map_finish(struct mapfile *map, struct error *err)
{
	int r = 0;

	map_add(map, map->length, '?');
	map_flush(map);
	errno = 0;
	if (fflush(map->stream) || ferror(map->stream) || fsync(fileno(map->stream)))
		r = map_failed(map->path, errno ? errno : EIO, err);
	if (!r && rename(map->temporary, map->path))
		r = map_failed(map->path, errno, err);
	if (!r) {
		fclose(map->stream);
		map->stream = NULL;
	}
	return r;
}

int mapfile_write_log(struct mapfile *map, const struct bitmap *clean_bits, struct error *err)
{
	uint64_t first, last, from = 0;

	if (!map)
		return 0;
	while (bitmap_next_run(clean_bits, true, from, &first, &last)) {
		map_add(map, region_start(map->geometry, first), '?');
		map_add(map, end_of_region(map->geometry, last), '+');
		from = last + 1;
	}
	return map_finish(map, err);
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

int mapfile_write_audit(struct mapfile *map, const struct audit_result *result,
			struct error *err)
{
	if (!map)
		return 0;
	for (size_t i = 0; i < result->regions.nr; i++) {
		const struct region_verdict_run *run = &result->regions.runs[i];

		map_add(map, region_start(map->geometry, run->first), '?');
		map_add(map, end_of_region(map->geometry, run->last), status_of(run->verdict));
	}
	return map_finish(map, err);
}

int mapfile_write_extents(struct mapfile *map, const struct extract_extents *extents,
			  uint64_t origin, struct error *err)
{
	if (!map)
		return 0;
	for (size_t i = 0; i < extents->nr; i++) {
		const struct extract_extent *extent = &extents->extents[i];

		map_add(map, extent->start - origin, '?');
		map_add(map, extent->start - origin + extent->sectors, '+');
	}
	return map_finish(map, err);
}
