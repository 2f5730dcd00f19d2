/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/state.h"

#define BUFFER_BYTES ((size_t)1 << 20)
#define SAME_SECOND_MAX 1000u

/* --- messages ---------------------------------------------------------------- */

static const char *name_in(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const char *remedy_for(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
		return "make room there";
	case EFBIG:
		return "raise the limit on file sizes (ulimit -f)";
	default:
		return NULL;
	}
}

/* Names the file, its directory, and how things stand now. A complete journal cannot
 * be written somewhere else any more. */
static int file_failed(const struct journal_file *file, int code, struct error *err)
{
	const char *name = name_in(file->path), *remedy = remedy_for(abs(code));
	const char *other = file->in_state ? "give another --state-dir" :
			    "give the name of another file";
	int directory = (int)(name - file->path) - (name - file->path > 1);

	if (file->complete)
		return error_operation(err, code, "%.160s: cannot be written in %.*s: %s; %s; what was changed before stays as it is, but is not noted in it",
				       name, directory > 160 ? 160 : directory ? directory : 1,
				       directory ? file->path : ".", error_reason(code), remedy ? remedy :
				       "look after that file system");
	return error_operation(err, code, "%.160s: cannot be written in %.*s: %s; %s%s%s; nothing was changed",
			       name, directory > 160 ? 160 : directory ? directory : 1,
			       directory ? file->path : ".", error_reason(code),
			       remedy ? remedy : "", remedy ? " or " : "", other);
}

static int create_failed(const char *path, int code, bool in_state, struct error *err)
{
	struct journal_file file = { .path = (char *)path, .in_state = in_state };

	if (code == EEXIST)
		return error_operation(err, code, "%.300s: exists already, and nothing is overwritten; give the name of a new file; nothing was changed",
				       path);
	return file_failed(&file, code, err);
}

static int append_failed(const char *path, int code, const char *why, struct error *err)
{
	return error_operation(err, code, "%.300s: %s; nothing was added to it", path, why);
}

/* --- bytes on their way -------------------------------------------------------- */

static int write_all(int fd, const unsigned char *bytes, size_t nr_bytes)
{
	while (nr_bytes) {
		ssize_t done = write(fd, bytes, nr_bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		bytes += done;
		nr_bytes -= (size_t)done;
	}
	return 0;
}

static int flush_buffer(struct journal_file *file)
{
	int r = write_all(file->fd, file->buffer, file->buffered);

	file->written += file->buffered;
	file->buffered = 0;
	return r;
}

static int append_bytes(void *context, const void *bytes, size_t nr_bytes)
{
	struct journal_file *file = context;
	const unsigned char *from = bytes;
	int r = 0;

	while (nr_bytes && !r) {
		size_t part = BUFFER_BYTES - file->buffered;

		if (part > nr_bytes)
			part = nr_bytes;
		memcpy(file->buffer + file->buffered, from, part);
		file->buffered += part;
		from += part;
		nr_bytes -= part;
		if (file->buffered == BUFFER_BYTES)
			r = flush_buffer(file);
	}
	return r;
}

/* --- opening ------------------------------------------------------------------- */

/* Takes over fd, directory_fd and path in any case; zeroes `file` when it fails. */
static int take_over(struct journal_file *file, int fd, int directory_fd, char *path)
{
	struct journal_sink sink = { .append = append_bytes, .context = file };

	file->fd = fd;
	file->directory_fd = directory_fd;
	file->path = path;
	file->buffer = malloc(BUFFER_BYTES);
	if (!file->buffer) {
		journal_file_close(file);
		return -ENOMEM;
	}
	journal_writer_init(&file->writer, sink);
	return 0;
}

/* Does the name still stand for the open file? */
static bool is_named(int fd, int directory_fd, const char *name)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !fstatat(directory_fd, name, &named, AT_SYMLINK_NOFOLLOW) &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* Opens "." for a bare name. The descriptor or -errno. */
static int open_directory_of(const char *path)
{
	size_t length = (size_t)(name_in(path) - path);
	char *directory = length ? strndup(path, length) : strdup(".");
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = !directory ? -ENOMEM : fd < 0 ? -errno : fd;

	free(directory);
	return r;
}

/* A new file whose name lasts. The descriptor, or -errno and no file. */
static int create_new(int directory_fd, const char *name)
{
	int fd = openat(directory_fd, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC |
			O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	/* Keeps an undo away until it is complete; not every network has locks. */
	r = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK ? -EBUSY : 0;
	if (!r)
		r = state_sync_directory(directory_fd);
	if (!r)
		return fd;
	if (is_named(fd, directory_fd, name))
		unlinkat(directory_fd, name, 0);
	close(fd);
	return r;
}

static int open_new(struct journal_file *file, const char *path, bool in_state, struct error *err)
{
	int directory_fd = open_directory_of(path), fd, r;
	char *copy = strdup(path);

	fd = !copy ? -ENOMEM : directory_fd < 0 ? directory_fd :
	     create_new(directory_fd, name_in(path));
	if (fd >= 0) {
		file->in_state = in_state;
		r = take_over(file, fd, directory_fd, copy);
		if (r)
			unlink(path);
	} else {
		r = fd;
		free(copy);
		if (directory_fd >= 0)
			close(directory_fd);
	}
	/* The caller tries the next name. */
	if (r == -EEXIST && in_state)
		return r;
	return r ? create_failed(path, -r, in_state, err) : 0;
}

/* The nr-th journal of this second. */
static int open_numbered(struct journal_file *file, const char *directory, const char *mirror,
			 time_t when, unsigned int nr, struct error *err)
{
	char *name = state_journal_name(mirror, when, nr), *path = NULL;
	int r;

	if (!name || asprintf(&path, "%s/%s", directory, name) < 0) {
		path = NULL;
		r = error_operation(err, ENOMEM, "not enough memory for a journal; nothing was changed");
	} else {
		r = open_new(file, path, true, err);
	}
	free(path);
	free(name);
	return r;
}

int journal_file_create(struct journal_file *file, const char *directory, const char *name,
			struct error *err)
{
	time_t now = time(NULL);
	unsigned int nr = 1;
	char *undo;
	int r;

	memset(file, 0, sizeof(*file));
	r = state_make_directory(&undo, directory, err);
	if (r)
		return r;
	do
		r = open_numbered(file, undo, name, now, nr, err);
	while (r == -EEXIST && nr++ < SAME_SECOND_MAX);
	if (r == -EEXIST)
		error_operation(err, EEXIST, "%.300s: has too many journals of this second; run it again; nothing was changed",
				undo);
	free(undo);
	return r;
}

int journal_file_create_at(struct journal_file *file, const char *path, struct error *err)
{
	const char *name = name_in(path);

	memset(file, 0, sizeof(*file));
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return error_usage(err, "%.300s: is not the name of a file; nothing was changed",
				   *path ? path : "\"\"");
	return open_new(file, path, false, err);
}

/* --- carrying on ----------------------------------------------------------------- */

static int refuse_kind(const char *path, const struct stat *st, struct error *err)
{
	return error_operation(err, S_ISDIR(st->st_mode) ? EISDIR : EINVAL,
			       "%.300s: is %s; give the name of a journal", path,
			       S_ISDIR(st->st_mode) ? "a directory" : "not a regular file");
}

static int64_t read_at(void *context, uint64_t offset, void *bytes, size_t nr_bytes)
{
	int fd = (int)(intptr_t)context;
	size_t done = 0;

	while (done < nr_bytes && offset + done <= INT64_MAX) {
		ssize_t n = pread(fd, (char *)bytes + done, nr_bytes - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static struct journal_source source_of(int fd, const char *path)
{
	return (struct journal_source){
		.read_at = read_at, .context = (void *)(intptr_t)fd, .name = path,
	};
}

static bool ends_alike(const struct journal_reader *a, const struct journal_reader *b)
{
	return a->offset == b->offset && a->sequence == b->sequence &&
	       !memcmp(a->chain, b->chain, sizeof(a->chain));
}

/* Under the lock: it is what `expected` read, to its end. *cut: behind that is a
 * record cut short. */
static int check_contents(int fd, const char *path, const struct journal_reader *expected,
			  bool *cut, struct error *err)
{
	struct journal_reader reader;
	struct journal_record record;
	struct error why = { 0 };
	int r;

	journal_reader_init(&reader, source_of(fd, path));
	while ((r = journal_next(&reader, &record, &why)) == 1)
		;
	*cut = r == -ENODATA;
	if (r && !*cut)
		error_operation(err, -r, "%s", why.text);
	else if (!ends_alike(&reader, expected))
		r = append_failed(path, ESTALE, "has changed since it was read: run it again", err);
	else if (!reader.committed)
		r = append_failed(path, EINVAL, "was never committed, so nothing was changed that could be noted in it",
				  err);
	else
		r = 0;
	journal_reader_free(&reader);
	return r;
}

static int lock_named(int fd, int directory_fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return append_failed(path, errno, error_reason(errno), err);
	if (!S_ISREG(st.st_mode))
		return refuse_kind(path, &st, err);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return append_failed(path, errno, errno == EWOULDBLOCK ?
				     "is in use by another mirrorctl: wait for its end" :
				     "cannot be locked: copy it to a local file system", err);
	if (!is_named(fd, directory_fd, name_in(path)))
		return append_failed(path, ESTALE, "was removed or replaced just now: run it again",
				     err);
	return 0;
}

static int open_again(int *fd, int *directory_fd, const char *path, struct error *err)
{
	*fd = -1;
	*directory_fd = open_directory_of(path);
	if (*directory_fd >= 0)
		*fd = openat(*directory_fd, name_in(path), O_RDWR | O_APPEND | O_CLOEXEC |
			     O_NOFOLLOW | O_NONBLOCK);
	if (*fd >= 0)
		return 0;
	if (*directory_fd >= 0)
		return append_failed(path, errno, errno == ELOOP ?
				     "is a symbolic link: give the journal's own name" :
				     error_reason(errno), err);
	return append_failed(path, -*directory_fd, error_reason(*directory_fd), err);
}

int journal_file_append(struct journal_file *file, const char *path,
			const struct journal_reader *reader, struct error *err)
{
	bool cut = false;
	char *copy = NULL;
	int fd, directory_fd, r;

	memset(file, 0, sizeof(*file));
	r = open_again(&fd, &directory_fd, path, err);
	if (!r)
		r = lock_named(fd, directory_fd, path, err);
	if (!r)
		r = check_contents(fd, path, reader, &cut, err);
	if (!r && cut && ftruncate(fd, (off_t)reader->offset))
		r = append_failed(path, errno, error_reason(errno), err);
	if (!r && !(copy = strdup(path)))
		r = append_failed(path, ENOMEM, "not enough memory", err);
	if (r)
		goto out;
	r = take_over(file, fd, directory_fd, copy);
	if (r)
		return append_failed(path, -r, "not enough memory", err);
	journal_writer_continue(&file->writer, file->writer.sink, reader);
	file->complete = true;
	return 0;
out:
	if (fd >= 0)
		close(fd);
	if (directory_fd >= 0)
		close(directory_fd);
	return r;
}

/* --- lasting --------------------------------------------------------------------- */

int journal_file_sync(struct journal_file *file, struct error *err)
{
	struct journal_writer *writer = &file->writer;

	if (!writer->failed)
		writer->failed = flush_buffer(file);
	if (!writer->failed && fsync(file->fd))
		writer->failed = -errno;
	if (!writer->failed)
		writer->failed = state_sync_directory(file->directory_fd);
	return writer->failed ? file_failed(file, writer->failed, err) : 0;
}

/* What it holds is larger than memory, and nobody will read it soon. */
static void forget_pages(struct journal_file *file)
{
	posix_fadvise(file->fd, (off_t)file->synced, (off_t)(file->written - file->synced),
		      POSIX_FADV_DONTNEED);
	file->synced = file->written;
}

int journal_file_sync_data(struct journal_file *file, struct error *err)
{
	struct journal_writer *writer = &file->writer;
	const char *remedy;

	if (!writer->failed)
		writer->failed = flush_buffer(file);
	if (!writer->failed && fdatasync(file->fd))
		writer->failed = -errno;
	if (!writer->failed) {
		forget_pages(file);
		return 0;
	}
	remedy = remedy_for(abs(writer->failed));
	return error_operation(err, writer->failed, "%.200s: cannot be written: %s; %s; what it does not hold was not changed",
			       file->path, error_reason(writer->failed),
			       remedy ? remedy : "look after that file system");
}

int journal_file_commit(struct journal_file *file, struct error *err)
{
	int r = journal_file_sync(file, err);

	if (r)
		return r;
	if (!is_named(file->fd, file->directory_fd, name_in(file->path))) {
		file->writer.failed = -ENOENT;
		return error_operation(err, ENOENT, "%.300s: was removed or replaced while it was written; run it again; nothing was changed",
				       file->path);
	}
	journal_put_commit(&file->writer);
	r = journal_file_sync(file, err);
	file->complete = !r;
	return r;
}

void journal_file_close(struct journal_file *file)
{
	if (file->path) {
		close(file->fd);
		close(file->directory_fd);
	}
	free(file->path);
	free(file->buffer);
	memset(file, 0, sizeof(*file));
}

void journal_file_discard(struct journal_file *file)
{
	if (file->path && is_named(file->fd, file->directory_fd, name_in(file->path)))
		unlinkat(file->directory_fd, name_in(file->path), 0);
	journal_file_close(file);
}

/* --- reading --------------------------------------------------------------------- */

int journal_input_open(struct journal_input *input, const char *path, struct error *err)
{
	struct stat st;
	int code = 0, r;

	memset(input, 0, sizeof(*input));
	input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (input->fd < 0 || fstat(input->fd, &st))
		code = errno;
	else if (S_ISREG(st.st_mode) && !(input->path = strdup(path)))
		code = ENOMEM;
	if (code)
		r = error_operation(err, code, "%.300s: cannot be read: %s; give the name of a journal",
				    path, error_reason(code));
	else
		r = input->path ? 0 : refuse_kind(path, &st, err);
	if (!r) {
		input->source = source_of(input->fd, input->path);
		return 0;
	}
	if (input->fd >= 0)
		close(input->fd);
	memset(input, 0, sizeof(*input));
	return r;
}

void journal_input_close(struct journal_input *input)
{
	if (input->path)
		close(input->fd);
	free(input->path);
	memset(input, 0, sizeof(*input));
}
