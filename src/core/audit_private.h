/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CORE_AUDIT_PRIVATE_H
#define CORE_AUDIT_PRIVATE_H

#include "core/audit.h"
#include "core/leg_reader.h"

/* What audit.c (the first pass) and audit_again.c (looking again) share. */

/* A sector of a clean region whose legs differed. */
struct candidate {
	uint64_t sector;
	uint64_t digest;	/* of all legs' contents at the first look */
	struct sector_comparison seen;
	bool bit_cleared;	/* its clean bit was 0 in one of the looks */
	bool changed;		/* still different, but with other bytes */
	bool equal;		/* equal at the last look */
	bool unreadable;
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
#define NOTES_MAX (256u * 1024)

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
	struct candidate *candidates;
	size_t nr_candidates;
	struct note *notes;
	size_t nr_notes;
	uint64_t settled;		/* regions below have their verdict */
	uint64_t closing_ns;		/* until then the user's wish to stop is not heard:
					 * what was found is looked at again first */
};

/* Notes are kept in ascending order of regions. */
int audit_note(struct audit *audit, uint64_t region, unsigned int flag);
/* Digest of all readable legs' contents of one sector. */
uint64_t audit_digest(const unsigned char *const legs[], unsigned int nr_legs);
int audit_poll(void *context);
void audit_pause(void *context, unsigned int ms);
/* Adds the differing legs of one sector to the result's runs. */
int audit_record(struct audit *audit, uint64_t sector, enum verdict verdict,
		 const struct sector_comparison *seen);
/* Points legs[] at the sector's data in the chunk, NULL where unreadable. */
void audit_sector_data(const struct leg_chunk *chunk, unsigned int nr_legs,
		       uint32_t sector, const unsigned char *legs[]);

/* Looks at all candidates again and turns them into notes and runs. 0, or the
 * reason why it ended early. */
int audit_look_again(struct audit *audit);

#endif
