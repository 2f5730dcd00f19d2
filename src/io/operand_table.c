/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/mirror_table.h"
#include "io/dm.h"
#include "io/operand.h"

/* A table of nine legs is a few hundred bytes; a whole machine's a few KiB. */
#define TABLE_BYTES_MAX (64u * 1024)
#define TABLE_MIRRORS_MAX 64u

/* One --device MAJ:MIN=PATH[@OFFSET]. */
struct device_map {
	dev_t number;
	struct operand_place place;
	bool missing;
	bool used;
};

/* The text of --table while it is read. */
struct table_source {
	const char *word;	/* as typed */
	char *text;		/* owned */
	bool is_file;
	struct mirror mirrors[TABLE_MIRRORS_MAX];
	unsigned int nr_mirrors;
	char other[64];		/* a target type that is not mirror */
	struct device_map *maps;
	size_t nr_maps;
};

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory to read the table");
}

/* A pipe is read to its end, but nobody waits for somebody to open its other end. */
static int table_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		fcntl(fd, F_SETFL, 0);
	return fd;
}

static int file_read(char *text, const char *path, struct error *err)
{
	int fd = table_open(path);
	size_t done = 0;
	ssize_t got;
	int ret = 0;

	if (fd < 0)
		return error_operation(err, errno, "cannot open the table %s: %s", path,
				       error_reason(errno));
	do {
		got = read(fd, text + done, TABLE_BYTES_MAX + 1 - done);
		if (got > 0)
			done += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0)
		ret = error_operation(err, errno, "cannot read the table %s: %s", path,
				      error_reason(errno));
	else if (done > TABLE_BYTES_MAX)
		ret = error_usage(err, "%s is larger than a table can be (%u bytes): give the "
				  "output of `dmsetup table`", path, TABLE_BYTES_MAX);
	else if (memchr(text, '\0', done))
		ret = error_usage(err, "%s is not text: give the output of `dmsetup table`", path);
	text[ret ? 0 : done] = '\0';
	close(fd);
	return ret;
}

/* A path that exists is the file to read; anything else is the line itself. */
static int source_read(struct table_source *source, struct error *err)
{
	struct stat st;

	source->is_file = !stat(source->word, &st);
	if (source->is_file && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return error_usage(err, "--table %s is neither a table line nor a file that holds "
				   "one", source->word);
	if (!source->is_file && !strchr(source->word, ' '))
		return error_usage(err, "--table %s: no such file, and it is no table line either",
				   source->word);
	if (!source->is_file) {
		source->text = strdup(source->word);
		return source->text ? 0 : no_memory(err);
	}
	source->text = malloc(TABLE_BYTES_MAX + 2);
	return source->text ? file_read(source->text, source->word, err) : no_memory(err);
}

/* The target type of a line that is of no concern here: `[NAME: ]start length
 * type`, well formed, and not mirror. False: the real parser shall judge it. */
static bool line_is_other_target(const char *line, char type[64])
{
	uint64_t start, length;
	const char *colon = strstr(line, ": ");

	if (colon && memchr(line, ' ', (size_t)(colon - line)) == NULL)
		line = colon + 2;
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %63s", &start, &length, type) != 3)
		return false;
	return strcmp(type, "mirror") != 0;
}

static int source_add_line(struct table_source *source, const char *line,
			   unsigned int line_number, struct error *err)
{
	struct error why = { 0 };
	char type[64];
	int ret;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	if (source->is_file && line_is_other_target(line, type)) {
		memcpy(source->other, type, sizeof(type));
		return 0;
	}
	if (source->nr_mirrors == TABLE_MIRRORS_MAX)
		return error_usage(err, "%s holds more than %u mirrors: give the one line",
				   source->word, TABLE_MIRRORS_MAX);
	ret = mirror_table_parse(&source->mirrors[source->nr_mirrors], line, &why);
	if (!ret)
		source->nr_mirrors++;
	else if (why.kind != ERROR_USAGE)
		error_operation(err, -ret, "%s", why.text);
	else if (source->is_file)
		error_usage(err, "%.128s:%u: %s", source->word, line_number, why.text);
	else
		error_usage(err, "%s", why.text);
	return ret;
}

static int source_parse(struct table_source *source, struct error *err)
{
	unsigned int line_number = 0;
	char *line, *rest = source->text;
	int ret = 0;

	while (!ret && (line = strsep(&rest, "\n"))) {
		char *end = line + strlen(line);

		if (end > line && end[-1] == '\r')
			end[-1] = '\0';
		ret = source_add_line(source, line, ++line_number, err);
	}
	if (ret || source->nr_mirrors)
		return ret;
	if (source->other[0])
		return error_usage(err, "%s holds no mirror target, only %s: give the table of the "
				   "mirror itself", source->word, source->other);
	return error_usage(err, "--table %s holds no table line", source->word);
}

/* "m at 0, m at 1024" for the choice that the user has. */
static void mirrors_list(const struct table_source *source, char *out, size_t room)
{
	size_t used = 0;
	unsigned int i;

	out[0] = '\0';
	for (i = 0; i < source->nr_mirrors && used < room; i++) {
		const struct mirror *mirror = &source->mirrors[i];

		used += (size_t)snprintf(out + used, room - used, "%s%s%s%" PRIu64,
					 i ? ", " : "", mirror->name ? mirror->name : "",
					 mirror->name ? " at " : "", mirror->start);
	}
}

/* The one mirror that is meant: the only one, or the one at --segment. */
static int source_choose(const struct table_source *source, const struct mirror **chosen,
			 const struct mirror_operand *operand, struct error *err)
{
	unsigned int i, found = 0;
	char list[256];
	uint64_t start;
	bool given;
	int ret;

	ret = operand_segment_parse(&start, &given, operand, err);
	if (ret)
		return ret;
	for (i = 0; i < source->nr_mirrors; i++) {
		if (given && source->mirrors[i].start != start)
			continue;
		*chosen = &source->mirrors[i];
		found++;
	}
	if (found == 1)
		return 0;
	mirrors_list(source, list, sizeof(list));
	if (!found)
		return error_usage(err, "--segment %s: no mirror target begins there (there is %s)",
				   operand->segment, list);
	return error_usage(err, "the table holds several mirror targets (%s): %s", list,
			   given ? "give the one line as --table" :
			   "say which with --segment START");
}

static int maps_parse_one(struct table_source *source, const char *text, struct error *err)
{
	struct device_map *map = &source->maps[source->nr_maps];
	const char *equals = strchr(text, '=');
	char number[32];
	size_t i;

	if (!equals || (size_t)(equals - text) >= sizeof(number))
		return error_usage(err, "--device %s: write MAJ:MIN=PATH[@OFFSET]", text);
	snprintf(number, sizeof(number), "%.*s", (int)(equals - text), text);
	if (!device_number_parse(&map->number, number))
		return error_usage(err, "--device %s: \"%s\" is no device number; write "
				   "MAJ:MIN=PATH[@OFFSET]", text, number);
	for (i = 0; i < source->nr_maps; i++)
		if (source->maps[i].number == map->number)
			return error_usage(err, "--device %s is given twice: one path for each "
					   "number", number);
	source->nr_maps++;
	map->missing = !strcmp(equals + 1, "missing");
	return map->missing ? 0 : operand_place_parse(&map->place, equals + 1, "--device", err);
}

static int maps_parse(struct table_source *source, const struct mirror_operand *operand,
		      struct error *err)
{
	size_t i;
	int ret = 0;

	source->maps = calloc(operand->nr_device_maps + 1, sizeof(*source->maps));
	if (!source->maps)
		return no_memory(err);
	for (i = 0; i < operand->nr_device_maps && !ret; i++)
		ret = maps_parse_one(source, operand->device_maps[i], err);
	return ret;
}

static struct device_map *map_find(struct table_source *source, dev_t number)
{
	size_t i;

	for (i = 0; i < source->nr_maps; i++)
		if (source->maps[i].number == number)
			return &source->maps[i];
	return NULL;
}

/* A relative path of a table file means the current directory or the file's own;
 * where both hold one, nobody can tell which is meant. */
static int path_resolve(char **path, const struct table_source *source, const char *word,
			struct error *err)
{
	const char *slash = strrchr(source->word, '/');
	struct stat here, there;
	char *beside = NULL;
	bool is_here, is_there;
	int ret = 0;

	*path = NULL;
	if (source->is_file && slash && word[0] != '/' &&
	    asprintf(&beside, "%.*s/%s", (int)(slash - source->word), source->word, word) < 0) {
		beside = NULL;
		ret = no_memory(err);
		goto out;
	}
	is_here = !stat(word, &here);
	is_there = beside && !stat(beside, &there);
	if (is_here && is_there && (here.st_dev != there.st_dev || here.st_ino != there.st_ino)) {
		ret = error_usage(err, "\"%s\" in the table could be ./%s or %s: write the full "
				  "path into the table", word, word, beside);
	} else if (is_there && !is_here) {
		*path = beside;
		beside = NULL;
	} else {
		*path = strdup(word);
		ret = *path ? 0 : no_memory(err);
	}
out:
	free(beside);
	return ret;
}

static int place_add_offset(struct operand_place *place, uint64_t offset, const char *word,
			    struct error *err)
{
	if (__builtin_add_overflow(place->offset, offset, &place->offset))
		return error_usage(err, "the offsets of device %s in the table and in --device add up "
				   "to more than 2^64 sectors", word);
	return 0;
}

/* What to open for one device word. A number that is not mapped is appended to
 * `unmapped`: it must never be looked up on this host. */
static int place_resolve(struct operand_place *place, struct mirror_place *word,
			 struct table_source *source, FILE *unmapped, struct error *err)
{
	struct device_map *map;
	dev_t number;
	int ret;

	if (!device_number_parse(&number, word->device)) {
		ret = path_resolve(&place->path, source, word->device, err);
		return ret ? ret : place_add_offset(place, word->offset, word->device, err);
	}
	map = map_find(source, number);
	if (!map) {
		fprintf(unmapped, " %s", word->device);
		return 0;
	}
	map->used = true;
	if (map->missing) {
		word->missing = true;
		free(word->device);
		word->device = NULL;
		return 0;
	}
	place->offset = map->place.offset;
	place->path = strdup(map->place.path);
	return place->path ? place_add_offset(place, word->offset, word->device, err) :
	       no_memory(err);
}

static int places_check(const struct operand_plan *plan, const struct table_source *source,
			const char *unmapped, struct error *err)
{
	unsigned int i, nr_missing = 0;
	size_t m;

	if (unmapped[0])
		return error_usage(err, "device numbers of a table mean nothing on another machine: "
				   "map%s with --device MAJ:MIN=PATH", unmapped);
	for (m = 0; m < source->nr_maps; m++)
		if (!source->maps[m].used)
			return error_usage(err, "--device %u:%u: the table has no such device",
					   major(source->maps[m].number),
					   minor(source->maps[m].number));
	for (i = 0; i < plan->mirror.nr_legs; i++)
		nr_missing += plan->mirror.legs[i].missing;
	if (nr_missing == plan->mirror.nr_legs)
		return error_usage(err, "all legs are missing: there is nothing to compare; to look "
				   "at the log alone give --log without --leg");
	if (plan->mirror.log.missing)
		return error_usage(err, "the log cannot be missing: without it nothing says which "
				   "regions should be equal");
	return 0;
}

static int places_resolve(struct operand_plan *plan, struct table_source *source,
			  struct error *err)
{
	struct mirror *mirror = &plan->mirror;
	char *unmapped = NULL;
	size_t size = 0;
	unsigned int i;
	int ret = 0;
	FILE *list = open_memstream(&unmapped, &size);

	if (!list)
		return no_memory(err);
	if (mirror->log_kind == MIRROR_LOG_DISK)
		ret = place_resolve(&plan->log, &mirror->log, source, list, err);
	for (i = 0; i < mirror->nr_legs && !ret; i++)
		ret = place_resolve(&plan->legs[i], &mirror->legs[i], source, list, err);
	if (fclose(list))
		ret = no_memory(err);
	if (!ret)
		ret = places_check(plan, source, unmapped, err);
	free(unmapped);
	return ret;
}

static int sizes_compare(const struct mirror *mirror, const struct mirror_operand *operand,
			 struct error *err)
{
	uint64_t region_size = mirror->geometry.region_size;
	uint64_t length = mirror->geometry.length;
	int ret;

	ret = operand_sizes_parse(&region_size, &length, operand, err);
	if (ret)
		return ret;
	if (region_size != mirror->geometry.region_size)
		return error_usage(err, "--region-size %s contradicts the table's %" PRIu64
				   " sectors: leave it out", operand->region_size,
				   mirror->geometry.region_size);
	if (length != mirror->geometry.length)
		return error_usage(err, "--length %s contradicts the table's %" PRIu64 " sectors: "
				   "leave it out", operand->length, mirror->geometry.length);
	return 0;
}

static int mirror_name_default(struct mirror *mirror, const struct table_source *source,
			       struct error *err)
{
	const char *base = strrchr(source->word, '/');

	if (mirror->name)
		return 0;
	base = base && base[1] ? base + 1 : source->word;
	mirror->name = strdup(source->is_file ? base : "explicit mirror");
	return mirror->name ? 0 : no_memory(err);
}

static void source_free(struct table_source *source)
{
	size_t i;

	for (i = 0; i < source->nr_mirrors; i++)
		mirror_free(&source->mirrors[i]);
	for (i = 0; i < source->nr_maps; i++)
		free(source->maps[i].place.path);
	free(source->maps);
	free(source->text);
	free(source);
}

int operand_plan_table(struct operand_plan *plan, const struct mirror_operand *operand,
		       struct error *err)
{
	struct table_source *source = calloc(1, sizeof(*source));
	const struct mirror *chosen = NULL;
	int ret;

	memset(plan, 0, sizeof(*plan));
	if (!source)
		return no_memory(err);
	source->word = operand->table;
	ret = source_read(source, err);
	if (!ret)
		ret = source_parse(source, err);
	if (!ret)
		ret = source_choose(source, &chosen, operand, err);
	if (!ret)
		ret = maps_parse(source, operand, err);
	if (ret)
		goto out;
	/* Moved, not copied: the source no longer owns this one's strings. */
	plan->mirror = *chosen;
	memset(&source->mirrors[chosen - source->mirrors], 0, sizeof(*chosen));
	plan->length_given = true;
	ret = sizes_compare(&plan->mirror, operand, err);
	if (!ret)
		ret = places_resolve(plan, source, err);
	if (!ret)
		ret = mirror_name_default(&plan->mirror, source, err);
out:
	source_free(source);
	if (ret)
		operand_plan_free(plan);
	return ret;
}
