/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/resync_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "core/region.h"

#define WORD_SHOWN 40	/* characters of the text that a message quotes */
#define NAME_SHOWN 150	/* … of the text's name */

void resync_plan_init(struct resync_plan *plan, unsigned int source)
{
	memset(plan, 0, sizeof(*plan));
	plan->otherwise = (uint8_t)source;
}

void resync_plan_free(struct resync_plan *plan)
{
	free(plan->runs);
	memset(plan, 0, sizeof(*plan));
}

unsigned int resync_plan_source(const struct resync_plan *plan, uint64_t region,
				uint64_t nr_regions, uint64_t *last)
{
	size_t low = 0, high = plan->nr_runs;

	while (low < high) {	/* the first run that ends at or behind the region */
		size_t middle = low + (high - low) / 2;

		if (plan->runs[middle].last < region)
			low = middle + 1;
		else
			high = middle;
	}
	*last = nr_regions ? nr_regions - 1 : 0;
	if (low == plan->nr_runs)
		return plan->otherwise;
	if (plan->runs[low].first > region) {
		if (plan->runs[low].first - 1 < *last)
			*last = plan->runs[low].first - 1;
		return plan->otherwise;
	}
	if (plan->runs[low].last < *last)
		*last = plan->runs[low].last;
	return plan->runs[low].source;
}

/* --- words of a line ------------------------------------------------------------ */

struct word {
	const char *text, *end;
};

/* What a line says. Regions of a mirror fit 32 bits, and so do the lines of a text:
 * a hostile one has millions of them. */
struct named_run {
	uint32_t first, last;
	uint32_t line;
	uint8_t source;
};

struct parser {
	struct resync_plan *plan;
	const char *name;
	uint64_t nr_regions;
	unsigned int nr_legs;
	struct error *err;
	uint32_t line;
	bool begun;			/* the first line was there */
	uint32_t otherwise_line;	/* 0: there was none yet */
	struct named_run *named;
	size_t nr_named, room;
};

static int shown(struct word word)
{
	return word.end - word.text < WORD_SHOWN ? (int)(word.end - word.text) : WORD_SHOWN;
}

__attribute__((format(printf, 2, 3)))
static int refuse(const struct parser *parser, const char *format, ...)
{
	char text[sizeof(parser->err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_usage(parser->err, "%.*s:%" PRIu32 ": %s", NAME_SHOWN, parser->name, parser->line,
			   text);
}

static int no_memory(const struct parser *parser)
{
	return error_operation(parser->err, ENOMEM, "%.*s: not enough memory for this plan",
			       NAME_SHOWN, parser->name);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(struct word *line)
{
	while (line->text < line->end && is_blank(*line->text))
		line->text++;
	while (line->text < line->end && is_blank(line->end[-1]))
		line->end--;
}

/* Ends the line before its comment. The strings of an identity may hold a `#`. */
static void cut_comment(struct word *line)
{
	bool quoted = false;

	for (const char *at = line->text; at < line->end; at++) {
		if (quoted && *at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (*at == '#' && !quoted) {
			line->end = at;
			return;
		}
	}
}

/* Takes the first word off a trimmed line; an empty one at its end. */
static struct word next_word(struct word *line)
{
	struct word word = { line->text, line->text };

	while (word.end < line->end && !is_blank(*word.end))
		word.end++;
	line->text = word.end;
	trim(line);
	return word;
}

static bool word_is(struct word word, const char *text)
{
	size_t length = strlen(text);

	return (size_t)(word.end - word.text) == length && !memcmp(word.text, text, length);
}

/* --- lines ---------------------------------------------------------------------- */

/* The line that says what this is; only comments may stand above it. */
static int parse_title(struct parser *parser, struct word line)
{
	struct word whole = line, version;

	parser->begun = true;
	if (!word_is(next_word(&line), "mirrorctl") || !word_is(next_word(&line), "resync") ||
	    !word_is(next_word(&line), "plan"))
		return refuse(parser, "\"%.*s\" is not \"mirrorctl resync plan 1\", with which a "
			      "plan begins: give what --write-plan has written", shown(whole),
			      whole.text);
	version = next_word(&line);
	if (word_is(version, "1") && line.text == line.end)
		return 0;
	return refuse(parser, "a plan of version \"%.*s\" is not known here (1 is): write it anew "
		      "with --write-plan", shown(version), version.text);
}

static int parse_identity(struct parser *parser, struct word json)
{
	struct error why = { .kind = ERROR_NONE };
	char *text;
	int r;

	if (parser->plan->has_identity)
		return refuse(parser, "a second identity: a plan is for one mirror");
	text = strndup(json.text, (size_t)(json.end - json.text));
	if (!text)
		return no_memory(parser);
	r = identity_from_json(&parser->plan->identity, text, &why);
	free(text);
	if (r == -ENOMEM)
		return no_memory(parser);
	if (r)
		return refuse(parser, "%s", why.text);
	parser->plan->has_identity = true;
	return 0;
}

static int parse_region(struct parser *parser, uint32_t *region, const char **at,
			struct word word)
{
	uint64_t number = 0;
	int r = number_scan(at, word.end, &number);

	if (r == -EINVAL)
		return refuse(parser, "\"%.*s\" is neither a region (12), a run of regions "
			      "(12-14) nor * for all others", shown(word), word.text);
	if (!r && number < parser->nr_regions) {
		*region = (uint32_t)number;
		return 0;
	}
	return refuse(parser, "\"%.*s\" is beyond the end: the mirror has %" PRIu64 " regions, "
		      "from 0 on", shown(word), word.text, parser->nr_regions);
}

static int parse_run(struct parser *parser, struct named_run *run, struct word word)
{
	const char *at = word.text;
	int r = parse_region(parser, &run->first, &at, word);

	if (r)
		return r;
	run->last = run->first;
	if (at < word.end && *at == '-' && at + 1 == word.end) {
		run->last = (uint32_t)(parser->nr_regions - 1);
		return 0;
	}
	if (at < word.end && *at == '-') {
		at++;
		r = parse_region(parser, &run->last, &at, word);
		if (r)
			return r;
	}
	if (at != word.end)
		return refuse(parser, "\"%.*s\" is not one region or one run of regions, as 12 or "
			      "12-14", shown(word), word.text);
	if (run->last < run->first)
		return refuse(parser, "\"%.*s\" runs backwards", shown(word), word.text);
	return 0;
}

/* `source LEG` or `skip`, to the end of the line. */
static int parse_source(struct parser *parser, uint8_t *source, struct word line)
{
	struct word word = next_word(&line), leg;
	const char *at;
	uint64_t number = 0;

	*source = RESYNC_SKIP;
	if (word_is(word, "source")) {
		leg = next_word(&line);
		at = leg.text;
		if (number_scan(&at, leg.end, &number) == -EINVAL || at != leg.end)
			return refuse(parser, "\"%.*s\" is not the number of a leg: say "
				      "\"source 0\"", shown(leg), leg.text);
		if (at - leg.text > 9 || number >= parser->nr_legs)
			return refuse(parser, "there is no leg %.*s: the mirror has legs 0 to %u",
				      shown(leg), leg.text, parser->nr_legs - 1);
		*source = (uint8_t)number;
	} else if (!word_is(word, "skip")) {
		return refuse(parser, "\"%.*s\" is neither \"source LEG\" nor \"skip\"",
			      shown(word), word.text);
	}
	if (line.text != line.end)
		return refuse(parser, "\"%.*s\" is too much on this line: comments begin with #",
			      shown(line), line.text);
	return 0;
}

static int add_run(struct parser *parser, const struct named_run *run)
{
	if (parser->nr_named == parser->room) {
		size_t room = parser->room ? parser->room * 2 : 64;
		struct named_run *grown = reallocarray(parser->named, room, sizeof(*grown));

		if (!grown)
			return no_memory(parser);
		parser->named = grown;
		parser->room = room;
	}
	parser->named[parser->nr_named++] = *run;
	return 0;
}

static int parse_rule(struct parser *parser, struct word what, struct word line)
{
	struct named_run run = { .line = parser->line };
	int r;

	if (!word_is(what, "*")) {
		r = parse_run(parser, &run, what);
		if (!r)
			r = parse_source(parser, &run.source, line);
		return r ? r : add_run(parser, &run);
	}
	if (parser->otherwise_line)
		return refuse(parser, "a second line for all other regions (*): the first is "
			      "line %" PRIu32, parser->otherwise_line);
	parser->otherwise_line = parser->line;
	return parse_source(parser, &parser->plan->otherwise, line);
}

static int parse_line(struct parser *parser, struct word line)
{
	struct word first;

	if (memchr(line.text, '\0', (size_t)(line.end - line.text)))
		return refuse(parser, "holds a NUL byte: this is no text, or not in UTF-8");
	cut_comment(&line);
	trim(&line);
	if (line.text == line.end)
		return 0;
	if (!parser->begun)
		return parse_title(parser, line);
	first = next_word(&line);
	if (word_is(first, "identity"))
		return parse_identity(parser, line);
	return parse_rule(parser, first, line);
}

/* --- the whole ------------------------------------------------------------------ */

static int compare_named(const void *left, const void *right)
{
	const struct named_run *a = left, *b = right;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int check_overlaps(struct parser *parser)
{
	for (size_t i = 1; i < parser->nr_named; i++) {
		const struct named_run *a = &parser->named[i - 1], *b = &parser->named[i];

		if (b->first > a->last)
			continue;
		parser->line = a->line > b->line ? a->line : b->line;
		return refuse(parser, "region %" PRIu32 " is named by line %" PRIu32 " already: a "
			      "region may stand on one line only", b->first,
			      a->line < b->line ? a->line : b->line);
	}
	return 0;
}

/* Neighbours with the same source become one run, and what is as all the others is left
 * out, so that an answer holds as far as it can. */
static int make_runs(struct parser *parser)
{
	struct resync_plan *plan = parser->plan;
	struct resync_plan_run *tail = NULL;

	if (!parser->nr_named)
		return 0;
	plan->runs = calloc(parser->nr_named, sizeof(*plan->runs));
	if (!plan->runs)
		return no_memory(parser);
	for (size_t i = 0; i < parser->nr_named; i++) {
		const struct named_run *named = &parser->named[i];

		if (named->source == plan->otherwise)
			continue;
		if (tail && tail->source == named->source && tail->last + 1 == named->first) {
			tail->last = named->last;
			continue;
		}
		tail = &plan->runs[plan->nr_runs++];
		*tail = (struct resync_plan_run){ named->first, named->last, named->source };
	}
	return 0;
}

static int parse_lines(struct parser *parser, const char *text, size_t nr_bytes)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";	/* editors that mean it well */
	const char *at = text, *end = text + nr_bytes;
	int r = 0;

	if (nr_bytes >= 3 && !memcmp(at, byte_order_mark, 3))
		at += 3;
	while (at < end && !r) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		struct word line = { at, newline ? newline : end };

		parser->line++;
		r = parse_line(parser, line);
		at = newline ? newline + 1 : end;
	}
	return r;
}

static int finish(struct parser *parser)
{
	int r;

	if (!parser->begun)
		return error_usage(parser->err, "%.*s: this plan is empty: give what --write-plan has "
				   "written", NAME_SHOWN, parser->name);
	if (!parser->otherwise_line)
		return error_usage(parser->err, "%.*s: no line says what becomes of all other "
				   "regions: add \"* source 0\" or \"* skip\"", NAME_SHOWN, parser->name);
	if (parser->nr_named)
		qsort(parser->named, parser->nr_named, sizeof(*parser->named), compare_named);
	r = check_overlaps(parser);
	return r ? r : make_runs(parser);
}

int resync_plan_parse(struct resync_plan *plan, const char *name, const char *text,
		      size_t nr_bytes, uint64_t nr_regions, unsigned int nr_legs,
		      struct error *err)
{
	struct parser parser = { .plan = plan, .name = name, .nr_regions = nr_regions, .nr_legs = nr_legs,
				 .err = err };
	int r;

	memset(plan, 0, sizeof(*plan));
	if (nr_bytes > RESYNC_PLAN_BYTES_MAX)
		return error_usage(err, "%.*s: is larger than the %" PRIu64 " MiB of the largest plan: "
				   "name runs of regions", NAME_SHOWN, name, RESYNC_PLAN_BYTES_MAX >> 20);
	if (!nr_regions || nr_regions > REGION_COUNT_MAX || !nr_legs)
		return error_usage(err, "%.*s: a mirror of %u legs and %" PRIu64 " regions has no plan",
				   NAME_SHOWN, name, nr_legs, nr_regions);
	r = parse_lines(&parser, text, nr_bytes);
	if (!r)
		r = finish(&parser);
	free(parser.named);
	if (r)
		resync_plan_free(plan);
	return r;
}
