/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".undo"
#define NAME_BYTES_MAX 128u		/* of a mirror's name in a file name */
#define STAMP_BYTES 16u			/* 20061122T155704Z */

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory; nothing was changed");
}

/* --- the directory ----------------------------------------------------------- */

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* A journal's path is reported and logged: it must be true from anywhere. */
static char *make_absolute(const char *path)
{
	char *here, *absolute = NULL;

	if (*path == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (here && asprintf(&absolute, "%s/%s", strcmp(here, "/") ? here : "", path) < 0)
		absolute = NULL;
	free(here);
	return absolute;
}

static char *default_directory(void)
{
	const char *home = setting("XDG_STATE_HOME"), *below = "mirrorctl";
	char *path = NULL;

	if (geteuid() == 0)
		return strdup("/var/lib/mirrorctl");
	/* A relative one is to be ignored, says the XDG base directory specification. */
	if (!home || *home != '/') {
		home = setting("HOME");
		below = ".local/state/mirrorctl";
	}
	if (!home || *home != '/') {
		errno = ENOENT;
		return NULL;
	}
	return asprintf(&path, "%s/%s", home, below) < 0 ? NULL : path;
}

int state_directory(char **path, const char *option, struct error *err)
{
	const char *chosen = option ? option : setting("MIRRORCTL_STATE_DIR");

	*path = NULL;
	if (option && !*option)
		return error_usage(err, "--state-dir: is empty; give the path of a directory");
	errno = ENOMEM;
	*path = chosen ? make_absolute(chosen) : default_directory();
	if (*path)
		return 0;
	if (errno == ENOMEM)
		return no_memory(err);
	if (!chosen)
		return error_operation(err, errno, "no directory for journals is known, as neither XDG_STATE_HOME nor HOME names one: give --state-dir");
	return error_operation(err, errno, "--state-dir: the current directory is not known: %s; give an absolute path",
			       error_reason(errno));
}

/* --- directories that last --------------------------------------------------- */

int state_sync_directory(int fd)
{
	if (!fsync(fd))
		return 0;
	/* Some file systems have no fsync for directories. */
	return errno == EINVAL && !syncfs(fd) ? 0 : -errno;
}

char *state_parent(const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	while (length && path[length - 1] != '/')
		length--;
	while (length > 1 && path[length - 1] == '/')
		length--;
	return length ? strndup(path, length) : strdup(".");
}

int state_nearest_existing(char **existing, const char *path)
{
	struct stat st;
	char *parent;
	bool is_top;

	*existing = strdup(path);
	while (*existing && stat(*existing, &st)) {
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
		parent = state_parent(*existing);
		is_top = parent && !strcmp(parent, *existing);
		free(*existing);
		*existing = parent;
		if (is_top)
			return -ENOENT;
	}
	return *existing ? 0 : -ENOMEM;
}

static int sync_path(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : state_sync_directory(fd);

	if (fd >= 0)
		close(fd);
	return r;
}

static int make_one(const char *path)
{
	struct stat st;

	if (!mkdir(path, 0700))
		return 1;
	if (errno == EEXIST)
		return stat(path, &st) ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	return -errno;
}

/* 0 or -errno. Whoever made a directory also makes its name last. */
static int make_with_parents(const char *path)
{
	char *parent = state_parent(path);
	int r = parent ? make_one(path) : -ENOMEM;

	if (r == -ENOENT && strcmp(parent, path)) {
		r = make_with_parents(parent);
		if (!r)
			r = make_one(path);
	}
	if (r > 0)
		r = sync_path(parent);
	free(parent);
	return r;
}

int state_make_directory(char **path, const char *directory, struct error *err)
{
	int r;

	if (asprintf(path, "%s/undo", directory) < 0) {
		*path = NULL;
		return no_memory(err);
	}
	r = make_with_parents(*path);
	if (!r)
		return 0;
	free(*path);
	*path = NULL;
	return error_operation(err, -r, "the directory %.250s/undo for the journal cannot be made: %s; give another --state-dir; nothing was changed",
			       directory, error_reason(r));
}

/* --- names of journals ------------------------------------------------------- */

static bool is_plain(char byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= '0' && byte <= '9') || (byte && strchr("._+-", byte));
}

/* A dm name may hold anything; `vg/home` becomes vg-home. */
static void make_safe(char safe[NAME_BYTES_MAX + 1], const char *name)
{
	size_t length = 0;

	while (*name == '/')
		name++;
	for (; *name && length < NAME_BYTES_MAX; name++)
		safe[length++] = *name == '/' ? '-' : is_plain(*name) ? *name : '_';
	safe[length] = '\0';
	if (*safe == '.' || *safe == '-')	/* hidden; taken for an option */
		*safe = '_';
	if (!length)
		strcpy(safe, "mirror");
}

char *state_journal_name(const char *mirror, time_t when, unsigned int nr)
{
	char safe[NAME_BYTES_MAX + 1], stamp[64], *name;
	struct tm utc;
	int r;

	if (!gmtime_r(&when, &utc) || !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc))
		strcpy(stamp, "19700101T000000Z");
	make_safe(safe, mirror);
	if (nr > 1)
		r = asprintf(&name, "%s.%s-%u" SUFFIX, safe, stamp, nr);
	else
		r = asprintf(&name, "%s.%s" SUFFIX, safe, stamp);
	return r < 0 ? NULL : name;
}

/* The time in a journal's name, and which of that second it is; NULL: none. */
static const char *find_stamp(const char *path, unsigned long *nr)
{
	static const char form[] = "00000000T000000Z";
	size_t length = strlen(path);
	const char *stamp, *end;
	char *rest;

	if (length <= sizeof(SUFFIX) - 1)
		return NULL;
	end = path + length - (sizeof(SUFFIX) - 1);
	stamp = memrchr(path, '.', (size_t)(end - path));
	if (!stamp || (size_t)(end - ++stamp) < STAMP_BYTES)
		return NULL;
	for (size_t i = 0; i < STAMP_BYTES; i++)
		if (form[i] == '0' ? stamp[i] < '0' || stamp[i] > '9' : stamp[i] != form[i])
			return NULL;
	*nr = 1;
	rest = (char *)stamp + STAMP_BYTES;
	if (*rest == '-')
		*nr = strtoul(rest + 1, &rest, 10);
	return rest == end ? stamp : NULL;
}

bool state_journal_time(time_t *when, const char *path)
{
	unsigned long nr;
	const char *stamp = find_stamp(path, &nr);
	struct tm utc = { 0 };

	if (!stamp || sscanf(stamp, "%4d%2d%2dT%2d%2d%2dZ", &utc.tm_year, &utc.tm_mon,
			     &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec) != 6)
		return false;
	utc.tm_year -= 1900;
	utc.tm_mon--;
	*when = timegm(&utc);
	return true;
}

/* --- the list ---------------------------------------------------------------- */

/* By time, then by mirror, then the order within that second. Names that tell no
 * time come first. */
static int compare_names(const void *left, const void *right)
{
	const char *a = *(char *const *)left, *b = *(char *const *)right;
	unsigned long a_nr = 0, b_nr = 0;
	const char *a_stamp = find_stamp(a, &a_nr), *b_stamp = find_stamp(b, &b_nr);
	int order;

	if (!a_stamp || !b_stamp)
		return a_stamp ? 1 : b_stamp ? -1 : strcmp(a, b);
	order = strncmp(a_stamp, b_stamp, STAMP_BYTES);
	if (order)
		return order;
	if (a_stamp - a == b_stamp - b && !strncmp(a, b, (size_t)(a_stamp - a)))
		return a_nr < b_nr ? -1 : a_nr > b_nr;
	return strcmp(a, b);
}

static bool is_journal(int directory_fd, const char *name)
{
	size_t length = strlen(name);
	struct stat st;

	return length > sizeof(SUFFIX) - 1 &&
	       !strcmp(name + length - (sizeof(SUFFIX) - 1), SUFFIX) &&
	       !fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISREG(st.st_mode);
}

static int list_add(struct state_journals *journals, const char *directory, const char *name)
{
	char **paths = reallocarray(journals->paths, journals->nr + 1, sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	journals->paths = paths;
	if (asprintf(&paths[journals->nr], "%s/undo/%s", directory, name) < 0)
		return -ENOMEM;
	journals->nr++;
	return 0;
}

static int list_read(struct state_journals *journals, const char *directory, DIR *dir)
{
	struct dirent *entry;
	int r = 0;

	while (!r) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (is_journal(dirfd(dir), entry->d_name))
			r = list_add(journals, directory, entry->d_name);
	}
	return r;
}

int state_journals_list(struct state_journals *journals, const char *directory,
			struct error *err)
{
	char *path;
	DIR *dir;
	int r;

	memset(journals, 0, sizeof(*journals));
	if (asprintf(&path, "%s/undo", directory) < 0)
		return no_memory(err);
	dir = opendir(path);
	r = dir ? list_read(journals, directory, dir) : errno == ENOENT ? 0 : -errno;
	if (dir)
		closedir(dir);
	free(path);
	if (r) {
		state_journals_free(journals);
		return error_operation(err, -r, "the journals in %.300s/undo cannot be listed: %s; check --state-dir, or run this as root",
				       directory, error_reason(r));
	}
	if (journals->nr)
		qsort(journals->paths, journals->nr, sizeof(*journals->paths), compare_names);
	return 0;
}

void state_journals_free(struct state_journals *journals)
{
	for (size_t i = 0; i < journals->nr; i++)
		free(journals->paths[i]);
	free(journals->paths);
	memset(journals, 0, sizeof(*journals));
}
