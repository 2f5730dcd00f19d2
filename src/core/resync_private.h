/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_RESYNC_PRIVATE_H
#define CORE_RESYNC_PRIVATE_H

#include "core/region_engine.h"
#include "core/resync.h"

/*
 * What the rooms of a resync share: resync.c begins and ends it and says which regions
 * come next, resync_copy.c keeps the queue full, resync_compare.c says what a chunk's
 * legs hold, resync_agree.c which of them agree, resync_keep.c saves what will be overwritten, resync_batch.c makes proofs of
 * what was done, resync_log.c writes the log.
 */

#define RESYNC_CHUNKS_MAX 64u
#define RESYNC_WRITES_PER_LEG 8u	/* of one chunk, in flight */
#define RESYNC_LOG_WRITES 16u		/* in flight */
#define RESYNC_OPENINGS_MAX 4096u	/* clean regions to be written to, bits still set */
#define RESYNC_POLL_MS 100

/* Why a run ends before its end. Returned by what waits and what writes the log. */
enum resync_ending {
	ENDING_NOT,
	ENDING_STOPPED,		/* what is in flight is finished and recorded */
	ENDING_CHANGED,		/* nothing more is written */
	ENDING_LOG,		/* the log failed: nothing more is written */
};

/* What became of a region, or of a piece of it. */
enum resync_outcome {
	OUTCOME_WRITTEN = 1u << 0,	/* something had to be written; of a clean
					 * region: its legs differ */
	OUTCOME_FAILED = 1u << 1,	/* something could not be read or written */
	OUTCOME_DROPPED = 1u << 2,	/* the run ended before */
	OUTCOME_DIFFERED = 1u << 3,	/* not all that was written was equal before */
};

/* What needed no writing. */
struct resync_tally {
	uint64_t equal_bytes[MIRROR_LEGS_MAX], hole_bytes;
};

/* Legs that were seen to differ in a region: bit i of unequal[j] for i < j. */
struct resync_agreeing {
	uint16_t unequal[MIRROR_LEGS_MAX];
	uint16_t unread;
};

/* A clean region that is to be written to: its bit has to be cleared first. */
struct resync_opening {
	uint64_t region;
	bool lies;			/* it differs; else copy_all wants it */
};

/* A region that is larger than a chunk and in flight. */
struct resync_large {
	uint64_t region;
	unsigned int out;		/* chunks; 0 and all_issued: free */
	bool in_use, all_issued;
	unsigned int outcome;		/* of the pieces so far */
	struct resync_tally tally;
	struct resync_agreeing agreeing;
};

struct resync_chunk;

/* A write to one leg of one run of units. */
struct resync_write {
	struct block_request request;
	struct resync_chunk *chunk;
	unsigned int leg;
	uint64_t first, last;		/* units of the chunk */
	bool busy;
};

enum resync_chunk_state {
	CHUNK_FREE, CHUNK_READING, CHUNK_KEEPING, CHUNK_WRITING, CHUNK_READING_BACK,
};

/*
 * Neighbouring sectors of all legs in flight: whole regions that are treated alike, or
 * a piece of one large region. What is written to the targets is the source's buffer.
 */
struct resync_chunk {
	struct resync *rs;
	enum resync_chunk_state state;
	bool verify;			/* regions that are clean: nothing is written */
	bool dropped;
	bool hole;			/* of every leg: not read */
	unsigned int source;
	uint16_t targets;		/* legs, bit i = leg i */
	uint16_t healing;		/* targets in which a write has to heal something */
	uint64_t start;
	uint32_t sectors;
	uint64_t units;			/* the last one may be short */
	struct resync_large *large;
	unsigned int pending;		/* requests in flight */
	unsigned char *data[MIRROR_LEGS_MAX];
	int result[MIRROR_LEGS_MAX];	/* of reading or reading back */
	struct block_request reads[MIRROR_LEGS_MAX];
	struct block_request probe;
	bool probing;
	struct bitmap same[MIRROR_LEGS_MAX];	/* units in which a target is as the source */
	struct bitmap differ[MIRROR_LEGS_MAX];	/* units to be written to a target */
	struct bitmap failed;			/* units that are not equal in the end */
	uint64_t bad_sectors[MIRROR_LEGS_MAX];
	uint64_t cursor[MIRROR_LEGS_MAX];	/* first unit not yet given to a write */
	struct resync_write writes[MIRROR_LEGS_MAX][RESYNC_WRITES_PER_LEG];
};

/* Regions that are treated alike, and how far they have been given out. */
struct resync_range {
	uint64_t end;			/* sectors */
	uint64_t next;
	bool verify;
	bool again;			/* a lie, brought to light: holes were not kept track of */
	unsigned int source;
};

struct resync_log {
	struct block_device *device;
	unsigned char *area;		/* as it is on disk, or will be by the next write */
	uint32_t block_bytes;
	struct bitmap bits;		/* in the area; all of the mirror's. The region
					 * engine changes them */
	uint64_t believed;		/* bits below this count */
	bool begun;			/* all bits count, and are on stable storage */
	struct bitmap dirty;		/* blocks to be written */
	uint64_t clearing;		/* bits that the next write clears */
	struct block_request requests[RESYNC_LOG_WRITES];
	bool busy[RESYNC_LOG_WRITES];
	unsigned int in_flight;
	int result;
};

struct resync {
	const struct resync_input *input;
	const struct resync_options *options;
	const struct resync_hooks *hooks;
	struct resync_result *result;
	struct block_engine *engine;
	unsigned int nr_legs;
	uint32_t unit;			/* sectors: the largest block among the legs */
	uint32_t chunk_sectors;		/* a multiple of it */
	struct resync_progress progress;
	struct resync_log log;
	struct region_engine *regions;

	enum resync_ending ending;
	unsigned int idle;		/* waits in a row in which nothing moved */
	uint64_t sampled_ns;
	uint64_t paced_since_ns, paced_sectors;

	/* what comes next */
	uint64_t scan;			/* first region not looked at yet */
	struct resync_range range;
	uint64_t data_first[MIRROR_LEGS_MAX], data_end[MIRROR_LEGS_MAX];
	struct resync_opening *openings;	/* bits still to be cleared … */
	size_t nr_openings, max_openings;
	uint64_t *again;		/* … and cleared: to be copied, ascending */
	size_t nr_again, next_again;
	uint64_t in_flight_max;		/* regions in chunks */

	/* in flight */
	struct resync_chunk *chunks;
	unsigned int nr_chunks, chunks_out;
	struct resync_large *large;	/* one for each chunk, and one more */
	struct resync_large *current;	/* not given out whole yet */
	struct bitmap bad[MIRROR_LEGS_MAX];	/* sectors of the chunk that is looked at */
	unsigned int bad_in_a_row[MIRROR_LEGS_MAX];
	unsigned int chunks_keeping;	/* that wait for kept() … */
	uint64_t keeping_since_ns;	/* … and how long one does */

	/* done, and not proven yet */
	bool legs_failed;		/* nothing that is done from now on can be proven */
	uint64_t *done;			/* regions */
	uint64_t nr_done, max_done, done_written, done_rewritten;
	uint64_t batch_since_ns;	/* when the first of them, or of the openings, came */
	struct block_request flushes[MIRROR_LEGS_MAX];
	unsigned int flushing;
};

/* Equal or not, everything of the chunk's regions is written. */
static inline bool resync_wants_all(const struct resync_chunk *chunk)
{
	return chunk->rs->options->copy_all && !chunk->verify;
}
/* Is a clean region to be written to, with this outcome of looking at it? Then it is read
 * once more, when its bit is 0. */
static inline bool resync_is_opened(const struct resync *rs, unsigned int outcome)
{
	return (outcome & OUTCOME_WRITTEN) ||
	       (rs->options->copy_all && !(outcome & (OUTCOME_FAILED | OUTCOME_DROPPED)));
}

/* --- resync.c --- */

/* Asks the user, and now and then looks at the mirror: may set rs->ending. */
void resync_look_around(struct resync *rs);
/* Waits until something has moved, a while at most, and looks around. 0; -ETIMEDOUT: the run is to end and the
 * devices do not answer; -errno: the engine is broken. */
int resync_wait(struct resync *rs, int timeout_ms);
/* Is the mirror still nobody else's? Sets rs->ending if not. */
bool resync_is_unchanged(struct resync *rs);
/* Nothing more may be written, to whatever. */
static inline bool resync_must_not_write(const struct resync *rs)
{
	return rs->ending == ENDING_CHANGED || rs->ending == ENDING_LOG;
}
/* The next range, if the one at hand is all given out; false: there is none now. */
bool resync_next_range(struct resync *rs);
void resync_fail_leg(struct resync *rs, unsigned int leg, int error);

/* --- resync_copy.c --- */

int resync_chunks_create(struct resync *rs);
void resync_chunks_destroy(struct resync *rs);
/* One turn: submits, waits, handles what is complete. */
int resync_copy_turn(struct resync *rs);

/* --- resync_compare.c --- */

/* Looks at what was read: fills differ, failed, healing. 0, -errno as resync_wait(). */
int resync_compare(struct resync_chunk *chunk);
/* After reading back: what is not as the source has failed. The same. */
int resync_compare_back(struct resync_chunk *chunk, unsigned int leg);
/* Sectors of the mirror that a unit holds. */
uint32_t resync_unit_sectors(const struct resync_chunk *chunk, uint64_t unit);
/* Bytes of the mirror in those of units first..last that are in a set; NULL: in all. */
uint64_t resync_units_bytes(const struct resync_chunk *chunk, const struct bitmap *units,
			    uint64_t first, uint64_t last);
/* What a leg was found to hold in units first..last. */
struct piece_content resync_contents(const struct resync_chunk *chunk, unsigned int leg,
				     uint64_t first, uint64_t last);

bool resync_unit_is_bad(const struct resync_chunk *chunk, unsigned int leg, uint64_t unit);

/* --- resync_agree.c --- */

/* Of a dry run, while rs->bad is the chunk's: who agrees in its regions. */
void resync_agree_chunk(struct resync_chunk *chunk);
/* The same of a region that came in pieces, and is through. */
void resync_agree_region(struct resync *rs, uint64_t region,
			 const struct resync_agreeing *agreeing);
void resync_agree_finish(struct resync_result *result);

/* --- resync_keep.c --- */

/* Gives what a chunk will overwrite to keep(). true: the chunk has to wait until it is
 * kept; it is dropped when that cannot be. */
bool resync_keep_chunk(struct resync_chunk *chunk);
/* Makes it last, when that is due: chunks that have waited may be written to, or are
 * dropped. true: there were any. */
bool resync_keep_turn(struct resync *rs);

/* --- resync_batch.c --- */

int resync_batch_create(struct resync *rs);
void resync_batch_destroy(struct resync *rs);
/* The log is made one in which bits can be set, and the regions can be recovered. As
 * resync_log_begin(). */
int resync_begin_writing(struct resync *rs);
/* A region that is not clean goes into a chunk. */
void resync_region_begin(struct resync *rs, uint64_t region);
/* A region is done, or given up. */
void resync_region_done(struct resync *rs, uint64_t region, bool verify, unsigned int outcome);
bool resync_batch_is_due(struct resync *rs);
static inline bool resync_batch_is_empty(const struct resync *rs)
{
	return !rs->nr_done && !rs->nr_openings;
}
/* Legs flushed, bits set and cleared, log flushed. 0, also when that failed
 * (rs->ending); -errno as resync_wait(). */
int resync_batch(struct resync *rs);

/* --- resync_log.c --- */

int resync_log_create(struct resync *rs, struct error *err);
void resync_log_destroy(struct resync *rs);
/* Bits that a header made good would bring to life are cleared, in memory. */
void resync_log_clear_disbelieved(struct resync *rs);
/* Writes that, then the header if it is not good, and flushes each: before the first
 * write to a leg. 0, also when it failed (rs->ending); -errno as resync_wait(). */
int resync_log_begin(struct resync *rs);
/* The region's bit was changed in memory. */
void resync_log_changed(struct resync *rs, uint64_t region);
/* Writes what was changed, and flushes. As resync_log_begin(). */
int resync_log_write(struct resync *rs);

#endif
