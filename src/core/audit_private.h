/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_AUDIT_PRIVATE_H
#define CORE_AUDIT_PRIVATE_H

#include "core/audit.h"
#include "core/leg_reader.h"

/*
 * What the rooms of an audit share: audit.c begins and ends it, audit_scan.c reads
 * everything once, audit_again.c looks again at what differed, audit_settle.c gives
 * verdicts, audit_notes.c remembers.
 */

/* Why a pass ended, beside -errno. */
#define STOP_USER (-ECANCELED)
#define STOP_CHANGED (-ESTALE)
#define STOP_SETTLE (-EAGAIN)	/* too many candidates: settle, then go on */

/* A sector of a clean region whose legs differed. */
struct candidate {
	uint64_t sector;
	uint64_t digest;	/* of all legs' contents at the first look */
	struct sector_comparison seen;
	bool bit_cleared;	/* its clean bit was 0 in one of the looks */
	bool changed;		/* still different, but with other bytes */
	bool equal;		/* equal at the last look */
	uint16_t lost;		/* legs that could be read at first, and then not … */
	int lost_error[MIRROR_LEGS_MAX];	/* … and why: -errno */
	bool unreadable;	/* not the same legs could be read each time */
};

/* A region about which there is more to say than its bit. Several flags may
 * hold; the gravest decides (audit.c, verdict_of_note). */
enum note_flag {
	NOTE_CONFIRMED = 1u << 0,	/* clean, and differs */
	NOTE_PENDING = 1u << 1,		/* not clean, and differs */
	NOTE_UNREADABLE = 1u << 2,
	NOTE_BUSY = 1u << 3,
	NOTE_TRANSIENT = 1u << 4,
	NOTE_UNRESOLVED = 1u << 5,	/* a candidate that was not looked at again */
};

struct note {
	uint64_t region;
	uint8_t flags;
};

#define CANDIDATES_MAX (256u * 1024)

/* What stood when regions were last settled under a good look at the mirror: to
 * be gone back to when the next look finds another one. */
struct audit_mark {
	struct run_list runs;		/* its array is the result's */
	uint64_t unreadable_sectors[MIRROR_LEGS_MAX];
	struct note cut;		/* of the region that was half compared; flags
					 * 0: there is none */
};

struct audit {
	const struct audit_input *input;
	const struct audit_options *options;
	const struct audit_hooks *hooks;
	struct audit_result *result;
	struct error *err;
	struct leg_reader *reader;
	unsigned int legs_present;
	struct audit_progress progress;

	/* first pass: where the next range comes from */
	uint64_t select_next;		/* sector from which to look for selected regions */
	uint64_t range_start, range_end;	/* what is left of the current run */
	uint64_t data_first[MIRROR_LEGS_MAX], data_end[MIRROR_LEGS_MAX];
	uint64_t taken;			/* all selected sectors below are compared */
	uint64_t paced_since_ns, paced_sectors;
	uint64_t sampled_ns;

	/* what is not settled yet */
	size_t max_unsettled;		/* candidates, and notes, from which to settle */
	size_t room;			/* … and that there is room for */
	struct candidate *candidates;
	size_t nr_candidates;
	struct note *notes;
	size_t nr_notes;
	uint64_t settled;		/* regions below have their verdict */
	uint64_t settled_ns;		/* when that was */
	struct audit_mark mark;
	uint64_t closing_ns;		/* until then the user's wish to stop is not heard:
					 * what was found is looked at again first */
};

/* Notes are kept in ascending order of regions. */
int audit_note(struct audit *audit, uint64_t region, unsigned int flag);
/* Digest of all readable legs' contents of one sector. */
uint64_t audit_digest(const unsigned char *const legs[], unsigned int nr_legs);
/* Is its clean bit one that the kernel would believe? */
bool audit_region_is_clean(const struct audit *audit, uint64_t region);
/* Adds the differing legs of one sector to the result's runs. */
int audit_record(struct audit *audit, uint64_t sector, enum verdict verdict,
		 const struct sector_comparison *seen);
/* Adds one sector of a leg that could not be read; `error` is a -errno. */
int audit_record_unreadable(struct audit *audit, uint64_t sector, unsigned int leg, int error);
/* The same for every leg that could not be read there. */
int audit_record_unreadable_sector(struct audit *audit, const struct leg_chunk *chunk,
				   uint32_t sector, uint64_t region);
/* Points legs[] at the sector's data in the chunk, NULL where unreadable. */
void audit_sector_data(const struct leg_chunk *chunk, unsigned int nr_legs,
		       uint32_t sector, const unsigned char *legs[]);

/* Reads what is selected, from where it was left. 0 at the end, STOP_*, -errno. */
int audit_scan(struct audit *audit);
/* After STOP_SETTLE: the next scan starts behind what was taken. */
void audit_scan_rewind(struct audit *audit);
/* All selected sectors below `sector` are compared; `read_sectors` of them were
 * read, the others were holes in every leg. */
void audit_advance(struct audit *audit, uint64_t sector, uint64_t read_sectors);

/* Ends a batch: looks again, then gives verdicts. `why` is what ended it, 0: all has
 * been compared. 0, STOP_USER, STOP_CHANGED or -errno. */
int audit_settle(struct audit *audit, int why);
/* All that was found so far was found on the mirror that was opened. */
void audit_set_mark(struct audit *audit);
bool audit_is_unchanged(struct audit *audit, bool closely);
/* The reader's poll and pause, for every pass. */
int audit_poll(void *context);
void audit_pause(void *context, unsigned int ms);

/* Looks at all candidates again. 0, or the reason why it ended early. */
int audit_look_again(struct audit *audit);
/* Turns the candidates, looked at, into notes and runs. 0 or -ENOMEM. */
int audit_conclude(struct audit *audit);

#endif
