/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/cause.h"

#define HANDLE_ERRORS_NOT_SURE (EVIDENCE_NO_HANDLE_ERRORS | EVIDENCE_HANDLE_ERRORS_UNKNOWN)
#define PAGE_SECTORS 8u

static const struct cause_row causes[] = {
	{ "interrupted-sync",
	  "a first synchronisation that was interrupted on a kernel without the fix of 2006: what was written meanwhile reached leg 0 only, yet was called clean",
	  EVIDENCE_BOGUS, 0,
	  EVIDENCE_LEG0_EMPTY | EVIDENCE_SINGLE_BITS | EVIDENCE_NEVER_RESUMED | EVIDENCE_CORE_LOG,
	  true },
	{ "nosync",
	  "declared in sync without a copy (LVM's --nosync, or nosync in a table): what was never written since differs, and nobody may rely on it",
	  EVIDENCE_BOGUS, EVIDENCE_NOSYNC | EVIDENCE_MOST | EVIDENCE_LARGE_SHARE, 0, false },
	{ "failed-recovery",
	  "a recovery that hit bad sectors of leg 0 without handle_errors: zeros were written to the other legs and counted as a copy",
	  EVIDENCE_BOGUS | EVIDENCE_OTHERS_ZERO, HANDLE_ERRORS_NOT_SURE, 0, true },
	{ "lost-log-write",
	  "a write to the log that failed without handle_errors, followed by a crash",
	  EVIDENCE_BOGUS, HANDLE_ERRORS_NOT_SURE, EVIDENCE_SINGLE_BITS | EVIDENCE_CORE_LOG, false },
	{ "leg-write-error",
	  "a write to one leg that failed and was reported as done (kernels of 2006, or no handle_errors): that leg holds older data, and it may be leg 0",
	  EVIDENCE_BOGUS, HANDLE_ERRORS_NOT_SURE, EVIDENCE_SINGLE_BITS | EVIDENCE_MOST, false },
	{ "lost-cache",
	  "a disk or controller that lost acknowledged writes in a power cut, under a kernel that did not flush (or a disk that lied): either leg may hold the older data",
	  EVIDENCE_BOGUS, 0, EVIDENCE_SINGLE_BITS | EVIDENCE_MOST | EVIDENCE_CORE_LOG, false },
	{ "switched-leg",
	  "the kernel had fallen back from leg 0 to another leg, and the table was loaded anew later: leg 0 is then the older side",
	  EVIDENCE_BOGUS | EVIDENCE_LETTERS, 0, EVIDENCE_SINGLE_BITS, false },
	{ "written-behind",
	  "somebody wrote to one leg behind the mirror's back: a restore, a dd, another host, a file system mounted from a single leg",
	  EVIDENCE_BOGUS, 0, 0, false },
	{ "wrong-mapping",
	  "a wrong region size, a wrong offset, or a log that belongs to another mirror: check the operands before anything else",
	  EVIDENCE_BOGUS, EVIDENCE_MOST | EVIDENCE_COUNT_MISMATCH, EVIDENCE_CORE_LOG, false },
	{ "discard",
	  "discarded blocks: the legs may return different things for what a file system has given up (harmless, if these blocks are free)",
	  EVIDENCE_BOGUS | EVIDENCE_SIDE_EMPTY, 0, EVIDENCE_SINGLE_BITS, false },
	{ "unstable-page",
	  "memory that changed while it was being written, as swap and mmap do: each leg got another version (usually harmless)",
	  EVIDENCE_BOGUS | EVIDENCE_SMALL_RUNS, 0, EVIDENCE_SINGLE_BITS, false },
	{ "bit-flip",
	  "single flipped bits: a failing disk, cable or memory, not the log",
	  EVIDENCE_BOGUS | EVIDENCE_SINGLE_BITS, 0, 0, false },
};

const struct cause_row *cause_next(unsigned int evidence, size_t *index)
{
	while (*index < sizeof(causes) / sizeof(*causes)) {
		const struct cause_row *cause = &causes[(*index)++];

		if ((evidence & cause->all) == cause->all && !(evidence & cause->none) &&
		    (!cause->any || (evidence & cause->any)))
			return cause;
	}
	return NULL;
}

static bool is_lie(enum verdict verdict)
{
	return verdict == VERDICT_BOGUS_CLEAN || verdict == VERDICT_SUSPECT;
}

static bool is_empty(enum content content)
{
	return content != CONTENT_OTHER;
}

/* What holds for every run (starts true) and what for at least one. */
static unsigned int evidence_of_runs(const struct run_list *runs)
{
	const unsigned int for_every = EVIDENCE_LEG0_EMPTY | EVIDENCE_SINGLE_BITS |
				       EVIDENCE_SMALL_RUNS;
	unsigned int every = for_every, some = 0;
	bool any = false;

	for (size_t i = 0; i < runs->nr; i++) {
		const struct sector_run *run = &runs->runs[i];

		if (!is_lie(run->verdict))
			continue;
		any = true;
		if (run->against || !is_empty(run->against_content) || is_empty(run->content))
			every &= ~EVIDENCE_LEG0_EMPTY;
		if (!run->one_bit)
			every &= ~EVIDENCE_SINGLE_BITS;
		if (run->sectors > PAGE_SECTORS)
			every &= ~EVIDENCE_SMALL_RUNS;
		if (!run->against && run->content == CONTENT_ZEROS &&
		    !is_empty(run->against_content))
			some |= EVIDENCE_OTHERS_ZERO;
		if (is_empty(run->content) || is_empty(run->against_content))
			some |= EVIDENCE_SIDE_EMPTY;
	}
	if (runs->truncated)	/* what was not kept may speak against "every" */
		every = 0;
	return any ? every | some | EVIDENCE_BOGUS : 0;
}

static unsigned int evidence_of_regions(const struct region_verdicts *regions)
{
	uint64_t lies = regions->count[VERDICT_BOGUS_CLEAN] + regions->count[VERDICT_SUSPECT];
	/* What could not be verified was compared as far as it could be read. */
	uint64_t good = regions->count[VERDICT_VERIFIED] + regions->count[VERDICT_UNVERIFIABLE];
	unsigned int evidence = 0;

	if (!lies)
		return 0;
	if (lies > good)
		evidence |= EVIDENCE_MOST;
	if (lies > (lies + good) / 10)
		evidence |= EVIDENCE_LARGE_SHARE;
	if (regions->nr && regions->runs[0].verdict == VERDICT_VERIFIED &&
	    regions->runs[0].first == 0 && regions->nr > 2)
		evidence |= EVIDENCE_SCATTERED;
	return evidence;
}

static unsigned int evidence_of_mirror(const struct mirror *mirror, const struct mirror_log *log)
{
	unsigned int evidence = 0;

	if (mirror->log_kind == MIRROR_LOG_CORE)
		evidence |= EVIDENCE_CORE_LOG;
	if (mirror->sync == MIRROR_SYNC_NOSYNC || mirror->declared_in_sync || (log && log->defects & LOG_PADDING_ONES))
		evidence |= EVIDENCE_NOSYNC;
	if (log && log->defects & LOG_REGIONS_UNSET)
		evidence |= EVIDENCE_NEVER_RESUMED;
	if (log && log->defects & (LOG_REGIONS_FEWER | LOG_REGIONS_MORE | LOG_REGIONS_WRAP))
		evidence |= EVIDENCE_COUNT_MISMATCH;
	if (mirror->handle_errors == KNOWN_NO)
		evidence |= EVIDENCE_NO_HANDLE_ERRORS;
	if (mirror->handle_errors == KNOWN_NOT)
		evidence |= EVIDENCE_HANDLE_ERRORS_UNKNOWN;
	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++)
		if (mirror->legs[leg].health && mirror->legs[leg].health != 'A')
			evidence |= EVIDENCE_LETTERS;
	if (mirror->log.health && mirror->log.health != 'A')
		evidence |= EVIDENCE_LETTERS;
	return evidence;
}

unsigned int evidence_collect(const struct audit_result *result, const struct mirror *mirror,
			      const struct mirror_log *log)
{
	return evidence_of_runs(&result->runs) | evidence_of_regions(&result->regions) |
	       evidence_of_mirror(mirror, log);
}
