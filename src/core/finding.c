/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/finding.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const struct finding_row rows[FINDING_COUNT] = {
	[FINDING_LOG_MAGIC_ZERO] = {
		"log-magic-zero", FINDING_CLASS_WARNING,
		"the log has no header: it was never written, or it was zeroed",
		"the kernel takes the log as new, calls every region out of sync and copies leg 0 over the others",
		"if there should be a log here, check the path and its offset" },
	[FINDING_LOG_MAGIC_FOREIGN] = {
		"log-magic-foreign", FINDING_CLASS_WARNING,
		"this is not a mirror log: the magic number is foreign",
		"the kernel overwrites what is here with a new log, calls every region out of sync and copies leg 0 over the others",
		"check the path and the offset of the log before anything activates this mirror" },
	[FINDING_LOG_MAGIC_BIG_ENDIAN] = {
		"log-magic-big-endian", FINDING_CLASS_WARNING,
		"this is a log of cmirrord on a big-endian host: header and bits are byte-swapped",
		"a little-endian kernel takes it as foreign, calls every region out of sync and copies leg 0 over the others",
		"deactivate it on the big-endian host, and read it there" },
	[FINDING_LOG_HEADER_GARBAGE] = {
		"log-header-garbage", FINDING_CLASS_WARNING,
		"the header has no magic but its padding is filled: the mark of a kernel that could not read this log and wrote stray memory back",
		"the kernel takes the log as new and resynchronises everything; look for read errors on the log device",
		"check the log device for read errors; audit with --all to know what the legs hold" },
	[FINDING_LOG_VERSION_ONE] = {
		"log-version-1", FINDING_CLASS_NOTE,
		"log version 1, written by a kernel older than 2006",
		"a little-endian kernel takes it as version 2 and rewrites it so; a big-endian one discards the bits", NULL },
	[FINDING_LOG_VERSION_UNKNOWN] = {
		"log-version-unknown", FINDING_CLASS_WRONG,
		"the log's version is one that no kernel knows",
		"the kernel discards all bits, marks the log 'D', writes the same version back and copies leg 0 over the others again at every resume",
		"compare with audit --all, and give the mirror a new log" },
	[FINDING_LOG_REGIONS_UNSET] = {
		"log-regions-unset", FINDING_CLASS_NOTE,
		"nr_regions is 2^64-1, as LVM writes it: no kernel has resumed this log yet",
		"the kernel believes every bit as it stands and writes the real number of regions", NULL },
	[FINDING_LOG_REGIONS_WRAP] = {
		"log-regions-wrap", FINDING_CLASS_WARNING,
		"nr_regions does not fit in 32 bits, which no kernel writes",
		"the kernel looks at the low 32 bits alone", NULL },
	[FINDING_LOG_REGIONS_FEWER] = {
		"log-regions-fewer", FINDING_CLASS_WARNING,
		"the log counts fewer regions than the mirror has: the mirror has grown, or the region size or length given is wrong",
		"the kernel calls the regions behind them out of sync and copies leg 0 over the others there",
		"compare --region-size and --length with `dmsetup table` before believing the rest" },
	[FINDING_LOG_REGIONS_MORE] = {
		"log-regions-more", FINDING_CLASS_WARNING,
		"the log counts more regions than the mirror has: the mirror has shrunk, or the region size or length given is wrong",
		"the kernel keeps the bits that the mirror still has and forgets the rest",
		"compare --region-size and --length with `dmsetup table` before believing the rest" },
	[FINDING_LOG_BITS_DISCARDED] = {
		"log-bits-discarded", FINDING_CLASS_WRONG,
		"clean bits stand behind the log's nr_regions",
		"the kernel clears them: what they said about those regions is lost, and leg 0 is copied over the others there", NULL },
	[FINDING_LOG_PADDING_SET] = {
		"log-padding-set", FINDING_CLASS_NOTE,
		"the header's padding (bytes 16 to 1023) is not zero",
		"the kernel carries these bytes along unchanged", NULL },
	[FINDING_LOG_PADDING_ONES] = {
		"log-padding-ones", FINDING_CLASS_WARNING,
		"the header's padding is filled with 0xFF, as LVM does for --nosync and other logs it declares in sync: bits may be set that no copy ever earned",
		"the kernel believes the bits", NULL },
	[FINDING_LOG_TAIL_SET] = {
		"log-tail-set", FINDING_CLASS_NOTE,
		"bits behind the last region are set",
		"the kernel clears them; they never meant anything", NULL },
	[FINDING_LOG_TOO_SMALL] = {
		"log-too-small", FINDING_CLASS_WRONG,
		"the log device is too small for the mirror's regions",
		"the kernel refuses to load the table: \"log device too small\"",
		"take a complete copy of the log, or check --region-size and --length" },
	[FINDING_LOG_HEADER_TRUNCATED] = {
		"log-header-truncated", FINDING_CLASS_WRONG,
		"the log ends inside its header", "the kernel refuses to load the table",
		"take a complete copy of the log, or check its offset" },
	[FINDING_LOG_PANICS_KERNEL] = {
		"log-panics-kernel", FINDING_CLASS_WARNING,
		"a log of 2147483521 regions or more",
		"the kernel panics (Linux 6.1 does): do not activate this mirror",
		"use a larger region size" },
	[FINDING_LOG_SIGNATURE] = {
		"log-signature", FINDING_CLASS_WARNING,
		"the log device carries something else's signature", NULL,
		"check the path and the offset of the log before anything activates this mirror" },
	[FINDING_LEG_SIGNATURE_PV] = {
		"leg-signature-pv", FINDING_CLASS_WARNING,
		"a leg is an LVM physical volume: a mirror's own contents never begin with one, unless it carries a nested volume group; perhaps the offset of the volume inside it is missing (--leg=PATH@OFFSET)",
		NULL,
		"check the leg's path and offset" },
	[FINDING_TABLE_SYNC] = {
		"table-sync", FINDING_CLASS_WARNING,
		"the table says `sync`",
		"the kernel clears all bits and copies leg 0 over the others everywhere, and so at every further one, after a plain suspend, too", NULL },
	[FINDING_TABLE_NOSYNC] = {
		"table-nosync", FINDING_CLASS_WARNING,
		"the table says `nosync`",
		"the kernel sets all bits, whatever is on disk, and so at every further one, after a plain suspend, too", NULL },
	[FINDING_NO_HANDLE_ERRORS] = {
		"no-handle-errors", FINDING_CLASS_NOTE,
		"the table lacks handle_errors: a recovery that fails on a bad sector is counted as in sync, so the kernel's letters and percentage prove little",
		NULL, NULL },
	[FINDING_HEALTH_LEG] = {
		"health-leg", FINDING_CLASS_WARNING,
		"the kernel has seen errors on a leg", NULL, NULL },
	[FINDING_HEALTH_LOG] = {
		"health-log", FINDING_CLASS_WARNING,
		"the kernel has seen errors on the log: what it holds is stale", NULL, NULL },
	[FINDING_MORE_CLEAN_THAN_SYNC] = {
		"more-clean-than-sync", FINDING_CLASS_WRONG,
		"the log has more clean bits than the kernel counts in sync: bogus clean bits, proven without reading the legs",
		"the kernel believes those bits and never copies the regions",
		"audit the mirror; do not suspend, resize, snapshot or reboot before" },
	[FINDING_LEG_MISSING] = {
		"leg-missing", FINDING_CLASS_WARNING,
		"a leg is missing: nothing can be verified against it", NULL, NULL },
	[FINDING_BUFFERED_READS] = {
		"buffered-reads", FINDING_CLASS_NOTE,
		"direct I/O is not possible here: read through the page cache", NULL, NULL },
	[FINDING_NOTE] = { "note", FINDING_CLASS_NOTE, "note", NULL, NULL },
	[FINDING_BOGUS_CLEAN] = {
		"bogus-clean", FINDING_CLASS_WRONG,
		"regions are called clean and differ",
		"the kernel believes the bits and never copies these regions", NULL },
	[FINDING_SUSPECT] = {
		"suspect", FINDING_CLASS_WRONG,
		"regions of a running mirror were clean and differed in the same way in every one of several looks",
		"the kernel believes the bits and never copies these regions", NULL },
	[FINDING_SUSPECT_CORE_LOG] = {
		"suspect-core-log", FINDING_CLASS_WRONG,
		"regions differed in the same way in every one of several looks, while the kernel counted all as in sync; with a core log no bit says whether one of them was being written all the while",
		NULL, NULL },
	[FINDING_UNVERIFIABLE] = {
		"unverifiable", FINDING_CLASS_UNKNOWN,
		"sectors could not be read: not equal, not different, unknown", NULL,
		"save what can be read with ddrescue, give what is missing, and audit again" },
	[FINDING_CHANGED] = {
		"mirror-changed", FINDING_CLASS_UNKNOWN,
		"the mirror changed during the run: what was found since the last good look is withdrawn",
		NULL, "audit again when nothing changes it" },
	[FINDING_UNFINISHED] = {
		"unfinished", FINDING_CLASS_UNFINISHED,
		"the run was ended before everything was compared", NULL, NULL },
	[FINDING_LOG_UNREAD] = {
		"log-unread", FINDING_CLASS_UNKNOWN,
		"the log could not be read", NULL,
		"look at the device that it lies on: dmesg, dmsetup info" },
	[FINDING_LOG_DAEMON] = {
		"log-daemon", FINDING_CLASS_NOTE,
		"a daemon keeps the log (type userspace or clustered): its bits are not to be read from here",
		NULL, NULL },
	[FINDING_STATUS_UNREAD] = {
		"status-unread", FINDING_CLASS_UNKNOWN,
		"what the kernel says of this mirror could not be read, or was not understood",
		NULL, "see dmsetup table and dmsetup status" },
	[FINDING_LAYOUT_UNREAD] = {
		"layout-unread", FINDING_CLASS_UNKNOWN,
		"where its legs and its log lie is not known, so the log was not read",
		NULL, NULL },
	[FINDING_SUSPENDED] = {
		"suspended", FINDING_CLASS_WARNING,
		"it is suspended: whoever reads or writes it waits",
		NULL, "if nobody works on it, resume it by the line given" },
	[FINDING_ABANDONED] = {
		"abandoned", FINDING_CLASS_WRONG,
		"a mirrorctl that is dead has left it suspended: whoever reads or writes it waits",
		NULL, "resume it by the line given; it is safe" },
};

const struct finding_row *finding_row(enum finding_id id)
{
	return &rows[id];
}

void finding_add(struct finding_list *list, enum finding_id id, const char *detail, ...)
{
	struct finding *finding;
	va_list args;

	if (list->nr == FINDINGS_MAX)
		return;
	finding = &list->items[list->nr++];
	finding->id = id;
	finding->repaired = false;
	va_start(args, detail);
	vsnprintf(finding->detail, sizeof(finding->detail), detail, args);
	va_end(args);
}

int finding_exit_status(const struct finding_list *list)
{
	static const int status_of_class[] = {
		[FINDING_CLASS_NOTE] = 0, [FINDING_CLASS_WARNING] = 0,
		[FINDING_CLASS_WRONG] = 4, [FINDING_CLASS_UNKNOWN] = 8,
		[FINDING_CLASS_UNFINISHED] = 32,
	};
	int status = 0;

	for (size_t i = 0; i < list->nr; i++)
		if (!list->items[i].repaired)
			status |= status_of_class[rows[list->items[i].id].class];
	return status;
}

void finding_mark_repaired(struct finding_list *list, enum finding_id id)
{
	for (size_t i = 0; i < list->nr; i++)
		if (list->items[i].id == id)
			list->items[i].repaired = true;
}

/* The region size that would make the mirror's length match the header's count,
 * or 0: a wrong --region-size shows nowhere else (the log does not hold it). */
static uint64_t matching_region_size(const struct region_geometry *geometry, uint64_t nr_regions)
{
	for (uint64_t size = REGION_SIZE_MIN; size <= REGION_SIZE_MAX && size <= geometry->length;
	     size *= 2)
		if ((geometry->length - 1) / size + 1 == nr_regions)
			return size;
	return 0;
}

static void add_mismatch(struct finding_list *list, enum finding_id id,
			 const struct mirror_log *log, const struct region_geometry *geometry)
{
	uint64_t said = (uint32_t)log->header.nr_regions;
	uint64_t size = matching_region_size(geometry, said);
	char or_size[64] = "";

	if (!said) {
		finding_add(list, id, "0 in the log, %" PRIu64 " in the mirror", log->nr_regions);
		return;
	}
	if (size)
		snprintf(or_size, sizeof(or_size), ", --region-size=%" PRIu64 "s too", size);
	finding_add(list, id, "%" PRIu64 " in the log, %" PRIu64 " in the mirror; --length=%"
		    PRIu64 "s would match%s", said, log->nr_regions,
		    said * geometry->region_size, or_size);
}

static void add_count_defects(struct finding_list *list, const struct mirror_log *log,
			      const struct region_geometry *geometry)
{
	uint64_t said = log->header.nr_regions;

	if (log->defects & LOG_REGIONS_WRAP)
		finding_add(list, FINDING_LOG_REGIONS_WRAP, "nr_regions %" PRIu64
			    ", the low 32 bits are %" PRIu32, said, (uint32_t)said);
	if (log->geometry_known && log->defects & LOG_REGIONS_FEWER)
		add_mismatch(list, FINDING_LOG_REGIONS_FEWER, log, geometry);
	if (log->geometry_known && log->defects & LOG_REGIONS_MORE)
		add_mismatch(list, FINDING_LOG_REGIONS_MORE, log, geometry);
}

static void add_size_defects(struct finding_list *list, const struct mirror_log *log)
{
	uint64_t needed = log->geometry_known ? log->nr_regions : log->header.nr_regions;

	if (log->defects & LOG_HEADER_TRUNCATED)
		finding_add(list, FINDING_LOG_HEADER_TRUNCATED, "%s", "");
	else if (log->defects & LOG_TOO_SMALL)
		finding_add(list, FINDING_LOG_TOO_SMALL, "it holds bits for %" PRIu64 " of %"
			    PRIu64 " regions; %" PRIu64 " bytes are needed", log->held, needed,
			    mirror_log_area_bytes(needed, SECTOR_BYTES));
	if (log->defects & LOG_PANICS_KERNEL)
		finding_add(list, FINDING_LOG_PANICS_KERNEL, "%" PRIu64 " regions", log->nr_regions);
}

void finding_add_log_defects(struct finding_list *list, const struct mirror_log *log,
			     const struct region_geometry *geometry)
{
	if (log->defects & LOG_HEADER_GARBAGE)
		finding_add(list, FINDING_LOG_HEADER_GARBAGE, "%s", "");
	else if (log->defects & LOG_MAGIC_ZERO)
		finding_add(list, FINDING_LOG_MAGIC_ZERO, "%s", "");
	if (log->defects & LOG_MAGIC_FOREIGN)
		finding_add(list, FINDING_LOG_MAGIC_FOREIGN, "0x%08" PRIx32 " where 0x%08" PRIx32
			    " should be", log->header.magic, MIRROR_LOG_MAGIC);
	if (log->defects & LOG_MAGIC_BIG_ENDIAN)
		finding_add(list, FINDING_LOG_MAGIC_BIG_ENDIAN, "0x%08" PRIx32, log->header.magic);
	if (log->defects & LOG_VERSION_ONE)
		finding_add(list, FINDING_LOG_VERSION_ONE, "%s", "");
	if (log->defects & LOG_VERSION_UNKNOWN)
		finding_add(list, FINDING_LOG_VERSION_UNKNOWN, "version %" PRIu32 "; %" PRIu64
			    " clean bits would be lost", log->header.version, log->raw_clean);
	if (log->defects & LOG_REGIONS_UNSET)
		finding_add(list, FINDING_LOG_REGIONS_UNSET, "%s", "");
	add_count_defects(list, log, geometry);
	if (log->defects & LOG_BITS_DISCARDED)
		finding_add(list, FINDING_LOG_BITS_DISCARDED, "%" PRIu64 " bits",
			    log->raw_clean - log->clean);
	if (log->defects & LOG_PADDING_ONES)
		finding_add(list, FINDING_LOG_PADDING_ONES, "%s", "");
	else if ((log->defects & LOG_PADDING_SET) && !(log->defects & LOG_HEADER_GARBAGE))
		finding_add(list, FINDING_LOG_PADDING_SET, "%s", "");
	if (log->defects & LOG_TAIL_SET)
		finding_add(list, FINDING_LOG_TAIL_SET, "%s", "");
	add_size_defects(list, log);
}

static const char *health_meaning(char letter)
{
	switch (letter) {
	case 'D': return "write errors";
	case 'F': return "a flush error";
	case 'S': return "an error during recovery";
	case 'R': return "read errors";
	default: return "an unclassified error";
	}
}

static void add_health(struct finding_list *list, const struct mirror *mirror)
{
	for (unsigned int i = 0; i < mirror->nr_legs; i++) {
		char letter = mirror->legs[i].health;

		if (mirror->legs[i].missing)
			finding_add(list, FINDING_LEG_MISSING, "leg %u", i);
		if (letter && letter != 'A')
			finding_add(list, FINDING_HEALTH_LEG, "leg %u: '%c', %s", i, letter,
				    health_meaning(letter));
	}
	if (mirror->log.health && mirror->log.health != 'A')
		finding_add(list, FINDING_HEALTH_LOG, "log: '%c', %s", mirror->log.health,
			    mirror->log.health == 'F' ? "a flush failed" : "it failed");
}

void finding_add_mirror(struct finding_list *list, const struct mirror *mirror,
			const struct mirror_log *log)
{
	if (mirror->sync == MIRROR_SYNC_SYNC)
		finding_add(list, FINDING_TABLE_SYNC, "%s", "");
	if (mirror->sync == MIRROR_SYNC_NOSYNC)
		finding_add(list, FINDING_TABLE_NOSYNC, "%s", "");
	if (mirror->handle_errors == KNOWN_NO)
		finding_add(list, FINDING_NO_HANDLE_ERRORS, "%s", "");
	add_health(list, mirror);
	/* While it is active, clean is a subset of sync on a fixed kernel. */
	if (log && mirror->status_known && mirror->activity != MIRROR_INACTIVE &&
	    log->clean > mirror->in_sync)
		finding_add(list, FINDING_MORE_CLEAN_THAN_SYNC, "%" PRIu64 " clean on disk, %"
			    PRIu64 " in sync", log->clean, mirror->in_sync);
}
