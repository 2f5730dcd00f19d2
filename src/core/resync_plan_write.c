/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The text of a plan: what an audit has seen, and a proposal for each run of regions. */

#include "core/resync_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"

/* Nobody edits more, and what an administrator adds to it must still be read: beyond
 * this only the last line speaks for the regions that are left. */
#define WRITTEN_BYTES_MAX (RESYNC_PLAN_BYTES_MAX / 8)
#define NOBODY MIRROR_LEGS_MAX

struct writer {
	int (*put)(void *context, const char *line);
	void *context;
	int result;		/* what `put` returned first */
	uint64_t nr_bytes;
};

__attribute__((format(printf, 2, 3)))
static void say(struct writer *writer, const char *format, ...)
{
	char line[512];
	va_list args;

	if (writer->result)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	writer->nr_bytes += strlen(line);
	writer->result = writer->put(writer->context, line);
}

/* --- evidence ------------------------------------------------------------------- */

/* Of one leg, in a run of regions. */
struct leg_evidence {
	uint64_t differing, unreadable;	/* sectors */
	uint8_t against;		/* differs from this leg; NOBODY: from several */
	enum content content, against_content;
	uint8_t byte, against_byte;
	uint16_t equal_legs;		/* agree with it wherever it differs */
};

struct evidence {
	enum verdict verdict;
	struct leg_evidence legs[MIRROR_LEGS_MAX];
};

/* Kinds of runs that an audit keeps, each of them ascending for each leg. */
static const enum verdict kinds[] = {
	VERDICT_BOGUS_CLEAN, VERDICT_RESYNC_PENDING, VERDICT_UNVERIFIABLE, VERDICT_SUSPECT,
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* How far the lists of an audit have been walked. */
struct survey {
	const struct audit_result *audit;	/* may be NULL */
	const struct region_geometry *geometry;
	unsigned int nr_legs;
	size_t next[NR_KINDS][MIRROR_LEGS_MAX];
	size_t next_verdict;
};

static uint64_t run_end(const struct sector_run *run)
{
	return run->start + run->sectors;
}

/* From runs[at] on, the first run of that kind and leg that ends behind `sector`;
 * the list's end: there is none. */
static size_t find_run(const struct run_list *list, size_t at, enum verdict kind,
		       unsigned int leg, uint64_t sector)
{
	for (; at < list->nr; at++) {
		const struct sector_run *run = &list->runs[at];

		if (run->verdict > kind)
			return list->nr;
		if (run->verdict == kind && run->leg == leg && run_end(run) > sector)
			break;
	}
	return at;
}

/* The last region, at most `last`, up to which the next run of this kind and leg says
 * of all regions what it says of `region`. */
static uint64_t same_until(struct survey *survey, size_t kind, unsigned int leg, uint64_t region,
			   uint64_t last)
{
	const struct region_geometry *geometry = survey->geometry;
	const struct run_list *list = &survey->audit->runs;
	size_t *next = &survey->next[kind][leg];
	uint64_t start = region_start(geometry, region);
	uint64_t end = start + region_sectors(geometry, region), until;

	*next = find_run(list, *next, kinds[kind], leg, start);
	if (*next == list->nr)
		return last;
	if (list->runs[*next].start >= end)
		until = list->runs[*next].start / geometry->region_size - 1;
	else if (list->runs[*next].start > start || run_end(&list->runs[*next]) < end)
		until = region;
	else if (run_end(&list->runs[*next]) >= geometry->length)
		until = last;
	else
		until = run_end(&list->runs[*next]) / geometry->region_size - 1;
	return until < last ? until : last;
}

static void add_contents(enum content *content, uint8_t *byte, enum content more,
			 uint8_t more_byte, bool first)
{
	if (first) {
		*content = more;
		*byte = more_byte;
	} else if (*content != more || *byte != more_byte) {
		*content = CONTENT_OTHER;
	}
	if (*content != CONTENT_REPEATED)
		*byte = 0;
}

static void add_run(struct leg_evidence *leg, const struct sector_run *run, uint64_t sectors)
{
	bool first = !leg->differing;

	if (run->verdict == VERDICT_UNVERIFIABLE) {
		leg->unreadable += sectors;
		return;
	}
	add_contents(&leg->content, &leg->byte, run->content, run->byte, first);
	add_contents(&leg->against_content, &leg->against_byte, run->against_content,
		     run->against_byte, first);
	leg->equal_legs = first ? run->equal_legs : leg->equal_legs & run->equal_legs;
	leg->against = first || leg->against == run->against ? (uint8_t)run->against : NOBODY;
	leg->differing += sectors;
}

/* All that the lists say of sectors [start, end). */
static void add_runs(struct survey *survey, struct evidence *evidence, uint64_t start,
		     uint64_t end)
{
	const struct run_list *list = &survey->audit->runs;

	for (size_t kind = 0; kind < NR_KINDS; kind++)
		for (unsigned int leg = 0; leg < survey->nr_legs; leg++) {
			size_t at = survey->next[kind][leg];

			while (at < list->nr && list->runs[at].start < end) {
				const struct sector_run *run = &list->runs[at];
				uint64_t from = run->start > start ? run->start : start;
				uint64_t to = run_end(run) < end ? run_end(run) : end;

				add_run(&evidence->legs[leg], run, to - from);
				at = find_run(list, at, kinds[kind], leg, run_end(run));
			}
		}
}

/* The same for the verdicts on regions. */
static uint64_t find_verdict(struct survey *survey, enum verdict *verdict, uint64_t region,
			     uint64_t last)
{
	const struct region_verdicts *list = &survey->audit->regions;
	size_t *next = &survey->next_verdict;
	uint64_t until;

	*verdict = VERDICT_NOT_COMPARED;
	while (*next < list->nr && list->runs[*next].last < region)
		(*next)++;
	if (*next == list->nr)
		return last;
	until = list->runs[*next].first - 1;
	if (list->runs[*next].first <= region) {
		*verdict = list->runs[*next].verdict;
		until = list->runs[*next].last;
	}
	return until < last ? until : last;
}

/* What is known of `region` and, alike, of all regions up to the one that is returned:
 * a mirror has billions of them, and an audit a few runs. */
static uint64_t find_evidence(struct survey *survey, struct evidence *evidence, uint64_t region,
			      uint64_t last)
{
	const struct region_geometry *geometry = survey->geometry;

	memset(evidence, 0, sizeof(*evidence));
	evidence->verdict = VERDICT_NOT_COMPARED;
	if (!survey->audit)
		return last;
	last = find_verdict(survey, &evidence->verdict, region, last);
	for (size_t kind = 0; kind < NR_KINDS; kind++)
		for (unsigned int leg = 0; leg < survey->nr_legs; leg++)
			last = same_until(survey, kind, leg, region, last);
	add_runs(survey, evidence, region_start(geometry, region),
		 region_start(geometry, last) + region_sectors(geometry, last));
	return last;
}

/* --- groups of regions that look alike ------------------------------------------- */

static bool legs_look_alike(const struct leg_evidence *a, const struct leg_evidence *b)
{
	if (!a->differing != !b->differing || !a->unreadable != !b->unreadable)
		return false;
	return !a->differing ||
	       (a->against == b->against && a->equal_legs == b->equal_legs &&
		a->content == b->content && a->byte == b->byte &&
		a->against_content == b->against_content && a->against_byte == b->against_byte);
}

static bool look_alike(const struct evidence *a, const struct evidence *b)
{
	bool alike = a->verdict == b->verdict;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX && alike; leg++)
		alike = legs_look_alike(&a->legs[leg], &b->legs[leg]);
	return alike;
}

struct group {
	uint64_t first, last;
	struct evidence evidence;
};

static bool group_takes(struct group *group, uint64_t first, uint64_t last,
			const struct evidence *evidence)
{
	if (group->last + 1 != first || !look_alike(&group->evidence, evidence))
		return false;
	group->last = last;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		group->evidence.legs[leg].differing += evidence->legs[leg].differing;
		group->evidence.legs[leg].unreadable += evidence->legs[leg].unreadable;
	}
	return true;
}

/* --- in words ------------------------------------------------------------------- */

static const char *verdict_words(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_VERIFIED:
		return "clean, and the legs are equal";
	case VERDICT_BOGUS_CLEAN:
	case VERDICT_SUSPECT:
		return "called clean, and the legs differ";
	case VERDICT_EQUAL_NOT_CLEAN:
		return "not clean, and the legs are equal";
	case VERDICT_RESYNC_PENDING:
		return "not clean, and the legs differ";
	case VERDICT_UNVERIFIABLE:
		return "not all of it could be read";
	default:
		return "not compared";
	}
}

static const char *content_words(char *words, size_t room, enum content content, uint8_t byte)
{
	switch (content) {
	case CONTENT_ZEROS:
		return "zeros";
	case CONTENT_ONES:
		return "bytes 0xff";
	case CONTENT_REPEATED:
		snprintf(words, room, "bytes 0x%02x", byte);
		return words;
	default:
		return "data";
	}
}

/* Legs that agree with `leg`, itself among them. Where a leg could not be read it agrees
 * with nobody. */
static unsigned int legs_that_agree(const struct evidence *evidence, unsigned int nr_legs,
				    unsigned int leg)
{
	const struct leg_evidence *legs = evidence->legs;
	unsigned int agree = 0;

	for (unsigned int i = 0; i < nr_legs && !legs[leg].unreadable; i++) {
		bool agrees = !legs[i].differing && !legs[leg].differing;

		if (legs[i].differing && legs[leg].differing)
			agrees = i == leg || ((legs[leg].equal_legs >> i & 1) &&
					      (legs[i].equal_legs >> leg & 1));
		if (agrees && !legs[i].unreadable)
			agree |= 1u << i;
	}
	return agree;
}

static void say_agreement(struct writer *writer, unsigned int agree)
{
	char names[4 * MIRROR_LEGS_MAX + 8] = "";
	unsigned int left = (unsigned int)__builtin_popcount(agree);
	size_t used = 0;

	if (left < 2)
		return;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		if (!(agree >> leg & 1))
			continue;
		left--;
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%u%s", leg,
					 left > 1 ? ", " : left ? " and " : "");
	}
	say(writer, "#   legs %s agree\n", names);
}

static void say_leg(struct writer *writer, const struct leg_evidence *evidence, unsigned int leg)
{
	char here[16], there[16], size[24];
	const char *holds = content_words(here, sizeof(here), evidence->content, evidence->byte);
	const char *against = content_words(there, sizeof(there), evidence->against_content,
					    evidence->against_byte);

	size_format(size, sizeof(size), evidence->differing * SECTOR_BYTES);
	if (evidence->differing && evidence->against < NOBODY)
		say(writer, "#   leg %u differs from leg %u in %s: it holds %s there, leg %u %s\n",
		    leg, evidence->against, size, holds, evidence->against, against);
	else if (evidence->differing)
		say(writer, "#   leg %u differs from others in %s: it holds %s there\n", leg, size,
		    holds);
	if (evidence->unreadable)
		say(writer, "#   leg %u could not be read in %" PRIu64 " sectors\n", leg,
		    evidence->unreadable);
}

static void say_evidence(struct writer *writer, const struct survey *survey,
			 const struct evidence *evidence)
{
	unsigned int said = 0, agree;
	bool differs = false;

	for (unsigned int leg = 0; leg < survey->nr_legs; leg++)
		differs |= evidence->legs[leg].differing != 0;
	/* Of a list that was cut short nobody knows what it lacks. */
	for (unsigned int leg = 0; leg < survey->nr_legs && differs; leg++) {
		if ((said >> leg & 1) || survey->audit->runs.truncated)
			continue;
		agree = legs_that_agree(evidence, survey->nr_legs, leg);
		say_agreement(writer, agree);
		said |= agree;
	}
	for (unsigned int leg = 0; leg < survey->nr_legs; leg++)
		say_leg(writer, &evidence->legs[leg], leg);
}

static void say_rule(struct writer *writer, const char *regions, unsigned int source)
{
	if (source == RESYNC_SKIP)
		say(writer, "%s\tskip\n", regions);
	else
		say(writer, "%s\tsource %u\n", regions, source);
}

static void say_group(struct writer *writer, const struct survey *survey,
		      const struct group *group, unsigned int source)
{
	const struct region_run run = { group->first, group->last };
	char regions[48], size[24];

	if (run.first == run.last)
		snprintf(regions, sizeof(regions), "%" PRIu64, run.first);
	else
		snprintf(regions, sizeof(regions), "%" PRIu64 "-%" PRIu64, run.first, run.last);
	size_format(size, sizeof(size),
		    region_run_sectors(survey->geometry, run) * SECTOR_BYTES);
	say(writer, "# region%s %s, %s: %s\n", run.first == run.last ? "" : "s", regions, size,
	    verdict_words(group->evidence.verdict));
	say_evidence(writer, survey, &group->evidence);
	say_rule(writer, regions, source);
}

/* --- the whole ------------------------------------------------------------------ */

/* On one line, whatever made the JSON: outside of its strings an end of line is blank. */
static int say_identity(struct writer *writer, const char *json)
{
	static const char word[] = "identity ";
	size_t length = strlen(json);
	char *line = malloc(sizeof(word) + length + 1);

	if (!line)
		return -ENOMEM;
	memcpy(line, word, sizeof(word) - 1);
	memcpy(line + sizeof(word) - 1, json, length);
	memcpy(line + sizeof(word) - 1 + length, "\n", 2);
	for (char *at = line; at < line + sizeof(word) - 1 + length; at++)
		if (*at == '\n' || *at == '\r')
			*at = ' ';
	if (!writer->result)
		writer->result = writer->put(writer->context, line);
	writer->nr_bytes += sizeof(word) + length;
	free(line);
	return 0;
}

static void say_beginning(struct writer *writer, const struct survey *survey)
{
	say(writer, "# From which leg each region is copied to all the others:\n");
	say(writer, "#   REGION or FIRST-LAST, then \"source LEG\" or \"skip\" (leave it as it "
	    "is)\n");
	say(writer, "# and * for all regions that no line names; see mirrorctl-plan(5).\n");
	if (survey->nr_legs > 2)
		say(writer, "# Legs that agree may all be stale: while a region was not in sync, "
		    "writes went to leg 0 alone.\n");
	if (survey->audit && survey->audit->runs.truncated)
		say(writer, "# The audit did not keep all that it found (--max-runs): what is "
		    "said below is not all.\n");
}

static void say_regions(struct writer *writer, struct survey *survey, const struct bitmap *work,
			unsigned int source)
{
	struct group group = { .first = UINT64_MAX };
	struct evidence evidence;
	uint64_t from = 0, first, last;

	while (!writer->result && bitmap_next_run(work, true, from, &first, &last)) {
		last = find_evidence(survey, &evidence, first, last);
		from = last + 1;
		if (group.first != UINT64_MAX && group_takes(&group, first, last, &evidence))
			continue;
		if (group.first != UINT64_MAX)
			say_group(writer, survey, &group, source);
		group = (struct group){ first, last, evidence };
		if (writer->nr_bytes < WRITTEN_BYTES_MAX)
			continue;
		say(writer, "# There are too many runs to list them all: those from region "
		    "%" PRIu64 " on are not named.\n", first);
		return;
	}
	if (group.first != UINT64_MAX)
		say_group(writer, survey, &group, source);
}

int resync_plan_write(int (*put)(void *context, const char *line), void *context,
		      const char *identity_json, const struct bitmap *work,
		      const struct audit_result *audit, const struct region_geometry *geometry,
		      unsigned int nr_legs, unsigned int source)
{
	struct writer writer = { .put = put, .context = context };
	struct survey survey = { .audit = audit, .geometry = geometry, .nr_legs = nr_legs };
	struct bitmap regions = *work;
	int r = 0;

	if (regions.nr_bits > geometry->nr_regions)
		regions.nr_bits = geometry->nr_regions;
	say(&writer, "mirrorctl resync plan 1\n");
	if (identity_json)
		r = say_identity(&writer, identity_json);
	if (r)
		return r;
	say_beginning(&writer, &survey);
	say_regions(&writer, &survey, &regions, source);
	say_rule(&writer, "*", source);
	return writer.result;
}
