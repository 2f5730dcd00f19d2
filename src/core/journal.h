/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "core/mirror.h"

/*
 * The journal: old bytes at an offset of a device, so that what is changed can
 * be brought back. One container for the undo journal of a repair, for saved
 * divergent sectors and for overwritten leg data (mirrorctl-journal(5)).
 *
 * A file is a sequence of records. Each has a head of 64 bytes:
 *
 *   byte 0    8 bytes  "mctljrnl"
 *   byte 8    le32     type (enum journal_type)
 *   byte 12   le32     version, 1
 *   byte 16   le32     bytes of payload behind the head (padded with zeros to 8)
 *   byte 20   4 bytes  check: the first bytes of SHA-256 of: the record before's
 *                      digest, this head's bytes 0-19 and 24-31
 *   byte 24   le64     sequence number: 0, 1, 2 …
 *   byte 32   32 bytes SHA-256 of: the record before's digest (zeros for the
 *                      first), this head's first 32 bytes, the payload
 *
 * so a record proves everything in front of it, and a file that was cut short,
 * reordered or patched together is noticed. The check vouches for the length
 * before it is believed: damage never looks like a file that was cut short.
 * Before JOURNAL_COMMIT nothing has been written to any device; a journal cut
 * short in front of it is proof of that.
 *
 * A journal is *open* when its log state does not know what the log will be (a resync
 * sets bits as it proves them). Behind the commit of an open one old bytes of legs may
 * follow, each of them on stable storage before it was overwritten: wherever such a file
 * ends, and be its end torn by a power cut, what stands before is all that is needed.
 */

#define JOURNAL_DIGEST_BYTES 32u
#define JOURNAL_LOG 0xffffu		/* place: the log; 0..8: a leg */
#define JOURNAL_PAYLOAD_MAX (UINT64_C(16) << 20)	/* of one record, padding and
							 * one byte more included */

enum journal_type {
	JOURNAL_IDENTITY = 1,	/* first, once: JSON text, whose mirror this is */
	JOURNAL_LOG_STATE = 2,	/* once, before any bytes of the log: its digests */
	JOURNAL_BYTES = 3,	/* bytes at a place, old or new; behind the commit of an
				 * open journal those of legs that were replaced */
	JOURNAL_REGION = 4,	/* digests of every leg's contents of a region */
	JOURNAL_COMMIT = 5,	/* everything before is on stable storage */
	JOURNAL_OUTCOME = 6,	/* behind the commit: what was really cleared; of
				 * several the union counts */
	JOURNAL_SET = 7,	/* behind the commit of an open one: which bits were set; of
				 * several the union counts */
};

enum journal_bytes_kind {
	JOURNAL_OLD = 0,
	JOURNAL_NEW = 1,
	/* Old ones, with fingerprints of what was written over them: behind the commit of an
	 * open journal, and only there. */
	JOURNAL_REPLACED = 2,
};

/* Of a sector: enough to see that it is still what was written, or is not. */
#define JOURNAL_FINGERPRINT_BYTES 8u

struct journal_log_state {
	uint64_t area_bytes;
	uint64_t nr_regions;
	unsigned char before[JOURNAL_DIGEST_BYTES];
	unsigned char after[JOURNAL_DIGEST_BYTES];	/* zeros: not known, open */
};

/* Is the journal that it stands in an open one? */
bool journal_is_open(const struct journal_log_state *state);

struct journal_bytes {
	unsigned int place;		/* leg number or JOURNAL_LOG */
	enum journal_bytes_kind kind;
	uint64_t start_sector;		/* of the mirror (legs), of the log (log) */
	uint64_t sectors;
	const unsigned char *data;	/* sectors * 512 bytes; borrowed */
	const unsigned char *replaced_by;	/* JOURNAL_REPLACED: sectors * 8 bytes; borrowed */
};

struct journal_region {
	uint64_t region;
	unsigned int nr_legs;
	unsigned char digest[MIRROR_LEGS_MAX][JOURNAL_DIGEST_BYTES];
};

struct journal_outcome {		/* of JOURNAL_SET, too */
	const struct region_run *runs;	/* borrowed; ascending, no overlaps */
	size_t nr_runs;
};

/* SHA-256, as in every digest of a journal. */
void journal_digest(unsigned char digest[JOURNAL_DIGEST_BYTES], const void *bytes,
		    size_t nr_bytes);

/* XXH3, 64 bits, little endian. */
void journal_fingerprint(unsigned char fingerprint[JOURNAL_FINGERPRINT_BYTES],
			 const void *sector);

/* Where a journal's bytes go: appends, 0 or -errno. */
struct journal_sink {
	int (*append)(void *context, const void *bytes, size_t nr_bytes);
	void *context;
};

/* What the log state said: bounds for what follows. Zeros before it. */
struct journal_bounds {
	uint64_t log_sectors;
	uint64_t nr_regions;
	bool open;
};

struct journal_writer {
	struct journal_sink sink;
	uint64_t sequence;
	unsigned char chain[JOURNAL_DIGEST_BYTES];
	bool committed;
	struct journal_bounds bounds;
	int failed;		/* the first error; every later put returns it */
};

void journal_writer_init(struct journal_writer *writer, struct journal_sink sink);
/* Carries on a journal that was read to its end (for JOURNAL_OUTCOME). If that end
 * was a record cut short, the caller first cuts the file to reader->offset. */
struct journal_reader;
void journal_writer_continue(struct journal_writer *writer, struct journal_sink sink,
			     const struct journal_reader *reader);

/* Each appends one record; 0, the sink's -errno, or -EINVAL for what a reader
 * would refuse (order, bounds). After the first failure nothing is appended any
 * more: half a record may be in the file, and a commit must not follow it. Making
 * durable (fsync of file and directory) is the caller's, before what the record
 * protects is written, and once more behind the commit. journal_put_bytes() and
 * journal_put_outcome() split what is larger than a record. */
int journal_put_identity(struct journal_writer *writer, const char *json);
int journal_put_log_state(struct journal_writer *writer, const struct journal_log_state *state);
int journal_put_bytes(struct journal_writer *writer, const struct journal_bytes *bytes);
int journal_put_region(struct journal_writer *writer, const struct journal_region *region);
int journal_put_commit(struct journal_writer *writer);
int journal_put_outcome(struct journal_writer *writer, const struct journal_outcome *outcome);
int journal_put_set(struct journal_writer *writer, const struct journal_outcome *set);

/* Where they come from: reads up to nr_bytes at `offset`; the number read (less
 * only at the end of the file) or -errno. */
struct journal_source {
	int64_t (*read_at)(void *context, uint64_t offset, void *bytes, size_t nr_bytes);
	void *context;
	const char *name;		/* of the file, for messages */
};

struct journal_record {
	enum journal_type type;
	uint64_t sequence;
	uint64_t offset;		/* of the head in the file */
	union {
		const char *identity;	/* NUL-terminated */
		struct journal_log_state log_state;
		struct journal_bytes bytes;
		struct journal_region region;
		struct journal_outcome outcome;	/* of JOURNAL_SET, too */
	};
};

struct journal_reader {
	struct journal_source source;
	uint64_t offset;		/* of the next head */
	uint64_t sequence;
	unsigned char chain[JOURNAL_DIGEST_BYTES];
	unsigned char *payload;		/* of the current record; owned */
	bool committed;			/* JOURNAL_COMMIT has been read */
	struct journal_bounds bounds;
};

void journal_reader_init(struct journal_reader *reader, struct journal_source source);
void journal_reader_free(struct journal_reader *reader);

/* The next record, fully validated (digest, version, type, order, every length
 * against its payload, places and sectors against overflow); its pointers are
 * good until the next call. 1 = a record, 0 = the clean end of the file (of an
 * empty one too: look at reader->sequence), -ENODATA with an error: the file ends
 * inside a record (cut short), -EBADMSG with an error: damaged or foreign (says at
 * which byte and what), -errno. A failed call leaves the reader where it was. Never
 * allocates more than JOURNAL_PAYLOAD_MAX whatever a head says. */
int journal_next(struct journal_reader *reader, struct journal_record *record,
		 struct error *err);

#endif
