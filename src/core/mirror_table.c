/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/mirror_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

#define WORD_SHOWN 60		/* characters of a word that a message quotes */

/* A line taken apart from left to right. Words are counted from 1, as a person
 * would, whatever the first one is. */
struct words {
	const char *line_name;	/* "table line" … for messages */
	const char *remedy;	/* when nothing better can be said */
	enum error_kind kind;	/* of what is wrong in this line */
	const char *at, *end;	/* what has not been read yet */
	const char *word;	/* the current one */
	size_t length;
	unsigned int position;
	struct error *err;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int __attribute__((format(printf, 2, 3)))
line_error(const struct words *words, const char *format, ...)
{
	char text[sizeof(words->err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (words->kind == ERROR_USAGE)
		return error_usage(words->err, "%s: %s", words->line_name, text);
	return error_operation(words->err, EINVAL, "%s: %s", words->line_name, text);
}

/* "word 7 ("12x"): …" */
static int __attribute__((format(printf, 2, 3)))
word_error(const struct words *words, const char *format, ...)
{
	char text[sizeof(words->err->text)];
	bool cut = words->length > WORD_SHOWN;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return line_error(words, "word %u (\"%.*s%s\"): %s", words->position,
			  cut ? WORD_SHOWN : (int)words->length, words->word, cut ? "..." : "", text);
}

/* The same for what has no remedy of its own. */
static int __attribute__((format(printf, 2, 3)))
word_wrong(const struct words *words, const char *format, ...)
{
	char text[sizeof(words->err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return word_error(words, "%s: %s", text, words->remedy);
}

static int words_init(struct words *words, const char *line, const char *line_name,
		      enum error_kind kind, struct error *err)
{
	size_t length = strlen(line);

	if (length && line[length - 1] == '\n')
		length--;
	*words = (struct words){
		.line_name = line_name, .kind = kind, .err = err,
		.remedy = kind == ERROR_USAGE ? "take the line from 'dmsetup table'" :
						"this form is not known; see 'dmsetup status'",
		.at = line, .end = line + length, .word = line,
	};
	if (memchr(line, '\n', length))
		return line_error(words, "more than one line: give the line of one target");
	return 0;
}

/* Moves to the next word; false, and the current one stays, when there is none. */
static bool words_next(struct words *words)
{
	const char *at = words->at;

	while (at < words->end && is_blank(*at))
		at++;
	words->at = at;
	if (at == words->end)
		return false;
	words->word = at;
	while (at < words->end && !is_blank(*at))
		at++;
	words->length = (size_t)(at - words->word);
	words->at = at;
	words->position++;
	return true;
}

static bool word_is(const struct words *words, const char *text)
{
	return words->length == strlen(text) && !memcmp(words->word, text, words->length);
}

/* Makes the current word the next one again. */
static void words_back(struct words *words)
{
	words->at = words->word;
	words->position--;
}

/* The next word, which must be there: `what` says what it should be. */
static int words_need(struct words *words, const char *what)
{
	if (words_next(words))
		return 0;
	if (!words->position)
		return line_error(words, "it is empty and should begin with the %s: %s", what,
				  words->remedy);
	return word_wrong(words, "the line ends here and lacks the %s", what);
}

static int words_number(struct words *words, const char *what, uint64_t *value)
{
	const char *at, *end;
	int ret;

	ret = words_need(words, what);
	if (ret)
		return ret;
	at = words->word;
	end = at + words->length;
	ret = number_scan(&at, end, value);
	if (ret == -EINVAL || at != end)
		return word_wrong(words, "the %s must be a decimal number", what);
	if (ret)
		return word_wrong(words, "the %s does not fit 64 bits", what);
	return 0;
}

static int words_end(struct words *words, const char *after)
{
	if (!words_next(words))
		return 0;
	return word_wrong(words, "nothing may follow the %s", after);
}

static int no_memory(const struct words *words)
{
	return error_operation(words->err, ENOMEM, "%s: %s", words->line_name,
			       error_reason(ENOMEM));
}

/* A private copy of the current word. */
static int word_copy(const struct words *words, char **copy)
{
	*copy = strndup(words->word, words->length);
	return *copy ? 0 : no_memory(words);
}

/* What is recognised and not read, and what to do instead. */
struct refusal {
	const char *name;
	const char *remedy;
};

static const struct refusal refused_targets[] = {
	{ "raid", "it keeps its own metadata: use 'lvchange --syncaction check'" },
	{ "linear", "give the mirror below it: see 'dmsetup ls --tree'" },
	{ "striped", "give the mirror below it: see 'dmsetup ls --tree'" },
	{ "crypt", "give the mirror below it: see 'dmsetup ls --tree'" },
	{ "snapshot", "give the mirror below it, whose name ends in -real" },
	{ "snapshot-origin", "give the mirror below it, whose name ends in -real" },
	{ "snapshot-merge", "give the mirror below it, whose name ends in -real" },
	{ "error", "something replaced the device: reload its table first" },
};

#define IN_DAEMON "the log daemon of a cluster keeps it: "
#define DAEMON_DISK IN_DAEMON \
	"deactivate the mirror everywhere and write 'disk 2 LOG_DEVICE REGION_SIZE' instead"
#define DAEMON_CORE IN_DAEMON \
	"it keeps no bits on disk; to compare the legs write 'core 1 REGION_SIZE' instead"

static const struct refusal refused_logs[] = {
	{ "userspace", IN_DAEMON "deactivate the mirror everywhere and write "
		       "'disk 2 LOG_DEVICE REGION_SIZE' (clustered-disk) or 'core 1 REGION_SIZE' "
		       "(clustered-core) instead" },
	{ "clustered-disk", DAEMON_DISK },
	{ "clustered_disk", DAEMON_DISK },
	{ "clustered-core", DAEMON_CORE },
	{ "clustered_core", DAEMON_CORE },
};

static const char *refusal_find(const struct refusal *refusals, size_t nr,
				const struct words *words)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (word_is(words, refusals[i].name))
			return refusals[i].remedy;
	return NULL;
}

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static int parse_target(struct words *words)
{
	const char *remedy;
	int ret;

	ret = words_need(words, "target type 'mirror'");
	if (ret || word_is(words, "mirror"))
		return ret;
	remedy = refusal_find(refused_targets, ARRAY_SIZE(refused_targets), words);
	return word_error(words, "this target is not a mirror: %s",
			  remedy ? remedy : "give the line of a mirror target");
}

static int parse_log_type(struct mirror *mirror, struct words *words)
{
	const char *remedy;
	int ret;

	ret = words_need(words, "log type");
	if (ret)
		return ret;
	if (word_is(words, "disk")) {
		mirror->log_kind = MIRROR_LOG_DISK;
		return 0;
	}
	if (word_is(words, "core")) {
		mirror->log_kind = MIRROR_LOG_CORE;
		return 0;
	}
	remedy = refusal_find(refused_logs, ARRAY_SIZE(refused_logs), words);
	if (remedy)
		return word_error(words, "this log type is not read; %s", remedy);
	return word_wrong(words, "the log type must be core or disk");
}

/* The kernel scans the region size into 32 bits and lets it wrap; then the table
 * it prints says something else than the one that was loaded. */
static int parse_region_size(struct mirror *mirror, struct words *words, uint64_t length)
{
	struct error reason = { .kind = ERROR_NONE };
	uint64_t region_size;
	int ret;

	ret = words_number(words, "region size", &region_size);
	if (ret)
		return ret;
	if (region_size > UINT32_MAX)
		return word_wrong(words, "the region size does not fit 32 bits (the kernel would "
				  "take it as %" PRIu32 ")", (uint32_t)region_size);
	ret = region_geometry_init(&mirror->geometry, length, region_size, &reason);
	if (ret)
		return word_error(words, "%s", reason.text);
	return 0;
}

/* [sync|nosync] [block_on_error], as many words as the count has left. The
 * latter is what kernels before 2.6.22 had for handle_errors; what it made them
 * do is not said to be the same, so nothing is then known of the features. */
static int parse_log_options(struct mirror *mirror, struct words *words, uint64_t left)
{
	bool last = false;
	int ret;

	for (; left; left--) {
		ret = words_need(words, "log argument that the count promises");
		if (ret)
			return ret;
		if (last)
			return word_wrong(words, "no log argument may follow block_on_error");
		if (word_is(words, "block_on_error")) {
			mirror->handle_errors = KNOWN_NOT;
			mirror->keep_log = KNOWN_NOT;
			last = true;
		} else if (mirror->sync != MIRROR_SYNC_DEFAULT) {
			return word_wrong(words, "only block_on_error may follow sync or nosync");
		} else if (word_is(words, "sync")) {
			mirror->sync = MIRROR_SYNC_SYNC;
		} else if (word_is(words, "nosync")) {
			mirror->sync = MIRROR_SYNC_NOSYNC;
		} else {
			return word_error(words, "not a log argument (sync, nosync, block_on_error): "
					  "is the count of log arguments right?");
		}
	}
	return 0;
}

static int parse_log_device(struct mirror *mirror, struct words *words)
{
	int ret;

	ret = words_need(words, "log device");
	if (ret)
		return ret;
	if (word_is(words, "missing"))
		return word_error(words, "only a leg can be missing: to compare the legs without a "
				  "log write 'core 1 REGION_SIZE' for the log");
	return word_copy(words, &mirror->log.device);
}

static int parse_log(struct mirror *mirror, struct words *words, uint64_t length)
{
	uint64_t count, fixed;
	int ret;

	ret = parse_log_type(mirror, words);
	if (!ret)
		ret = words_number(words, "number of log arguments", &count);
	if (ret)
		return ret;
	fixed = mirror->log_kind == MIRROR_LOG_DISK ? 2 : 1;
	if (fixed == 2 && count == 1)
		return word_error(words, "a disk log has 2 to 4 arguments; kernels of 2005 do not "
				  "print the log device: write 'disk 2 LOG_DEVICE REGION_SIZE'");
	if (count < fixed || count > fixed + 2)
		return word_wrong(words, "a %s log has %" PRIu64 " to %" PRIu64 " arguments",
				  fixed == 2 ? "disk" : "core", fixed, fixed + 2);
	if (fixed == 2)
		ret = parse_log_device(mirror, words);
	if (!ret)
		ret = parse_region_size(mirror, words, length);
	if (!ret)
		ret = parse_log_options(mirror, words, count - fixed);
	return ret;
}

static int parse_leg(struct mirror_place *leg, struct words *words, uint64_t length)
{
	int ret;

	ret = words_need(words, "device of a leg");
	if (ret)
		return ret;
	leg->missing = word_is(words, "missing");
	if (!leg->missing)
		ret = word_copy(words, &leg->device);
	if (!ret)
		ret = words_number(words, "offset of a leg", &leg->offset);
	if (!ret && leg->offset > REGION_LENGTH_MAX - length)
		return word_wrong(words, "the offset plus the length is more than any block "
				  "device can have");
	return ret;
}

static int parse_leg_count(struct words *words, uint64_t *nr_legs)
{
	int ret;

	ret = words_need(words, "number of legs");
	if (ret)
		return ret;
	if (word_is(words, "sync") || word_is(words, "nosync") || word_is(words, "block_on_error"))
		return word_error(words, "this log argument is not in the count of log arguments: "
				  "raise that count by one");
	words_back(words);
	ret = words_number(words, "number of legs", nr_legs);
	if (ret)
		return ret;
	if (*nr_legs < MIRROR_LEGS_MIN || *nr_legs > MIRROR_LEGS_MAX)
		return word_wrong(words, "a mirror has %u to %u legs",
				  MIRROR_LEGS_MIN, MIRROR_LEGS_MAX);
	return 0;
}

static int parse_legs(struct mirror *mirror, struct words *words)
{
	uint64_t nr_legs;
	unsigned int i;
	int ret;

	ret = parse_leg_count(words, &nr_legs);
	for (i = 0; !ret && i < nr_legs; i++)
		ret = parse_leg(&mirror->legs[i], words, mirror->geometry.length);
	if (!ret)
		mirror->nr_legs = (unsigned int)nr_legs;
	return ret;
}

static int parse_feature_count(struct words *words, uint64_t *nr_features)
{
	const char *at = words->word, *end = at + words->length;

	if (!number_scan(&at, end, nr_features) && at == end)
		return 0;
	return word_error(words, "a number of features may follow the legs, or nothing: are there "
			  "more legs than their count says?");
}

/* dm-raid1.c, parse_features(): in any order and as often as one likes. */
static int parse_features(struct mirror *mirror, struct words *words)
{
	uint64_t nr_features = 0, i;
	bool handle_errors = false, keep_log = false;
	int ret;

	if (!words_next(words))
		return 0;
	ret = parse_feature_count(words, &nr_features);
	for (i = 0; !ret && i < nr_features; i++) {
		ret = words_need(words, "feature that the count promises");
		if (ret)
			break;
		if (word_is(words, "handle_errors"))
			handle_errors = true;
		else if (word_is(words, "keep_log"))
			keep_log = true;
		else
			ret = word_wrong(words, "not a feature of a mirror (handle_errors, "
					 "keep_log)");
	}
	if (!ret)
		ret = words_end(words, "features that are counted");
	if (!ret && keep_log && !handle_errors)
		ret = word_wrong(words, "keep_log needs handle_errors too, or the kernel refuses the "
				 "table");
	if (ret)
		return ret;
	if (handle_errors)
		mirror->handle_errors = KNOWN_YES;
	if (keep_log)
		mirror->keep_log = KNOWN_YES;
	return 0;
}

/* Everything behind the word "mirror". */
static int parse_params(struct mirror *mirror, struct words *words, uint64_t start,
			uint64_t length)
{
	int ret;

	if (length > REGION_LENGTH_MAX || start > REGION_LENGTH_MAX - length)
		return line_error(words, "start %" PRIu64 " plus length %" PRIu64 " is more than any "
				  "block device can have: %s", start, length, words->remedy);
	mirror->start = start;
	mirror->handle_errors = KNOWN_NO;
	mirror->keep_log = KNOWN_NO;
	ret = parse_log(mirror, words, length);
	if (!ret)
		ret = parse_legs(mirror, words);
	if (!ret)
		ret = parse_features(mirror, words);
	return ret;
}

/* "NAME: ", if it is there. */
static int parse_name(struct mirror *mirror, struct words *words)
{
	if (!words_next(words))
		return 0;
	if (words->length > 1 && words->word[words->length - 1] == ':') {
		mirror->name = strndup(words->word, words->length - 1);
		return mirror->name ? 0 : no_memory(words);
	}
	words_back(words);
	return 0;
}

static void mirror_publish(struct mirror *mirror, struct mirror *draft, int ret)
{
	if (ret)
		mirror_free(draft);
	*mirror = *draft;
}

int mirror_table_parse(struct mirror *mirror, const char *line, struct error *err)
{
	struct mirror draft;
	struct words words;
	uint64_t start = 0, length = 0;
	int ret;

	memset(&draft, 0, sizeof(draft));
	ret = words_init(&words, line, "table line", ERROR_USAGE, err);
	if (!ret)
		ret = parse_name(&draft, &words);
	if (!ret)
		ret = words_number(&words, "start sector", &start);
	if (!ret)
		ret = words_number(&words, "length", &length);
	if (!ret)
		ret = parse_target(&words);
	if (!ret)
		ret = parse_params(&draft, &words, start, length);
	mirror_publish(mirror, &draft, ret);
	return ret;
}

int mirror_table_parse_params(struct mirror *mirror, uint64_t start,
			      uint64_t length, const char *params,
			      struct error *err)
{
	struct mirror draft;
	struct words words;
	int ret;

	memset(&draft, 0, sizeof(draft));
	ret = words_init(&words, params, "table parameters", ERROR_USAGE, err);
	if (!ret)
		ret = parse_params(&draft, &words, start, length);
	mirror_publish(mirror, &draft, ret);
	return ret;
}

/* dm-raid1.c, device_status_char(); 'U' and the rest are for legs only. */
static int check_letters(const struct words *words, const char *allowed, size_t nr)
{
	size_t i;

	if (words->length != nr)
		return word_wrong(words, "should be %zu status letters, one for each device", nr);
	for (i = 0; i < nr; i++)
		if (!strchr(allowed, words->word[i]))
			return word_wrong(words, "a status letter must be one of %s", allowed);
	return 0;
}

static int parse_ratio(struct mirror_status *status, struct words *words)
{
	const char *at, *end;
	int ret;

	ret = words_need(words, "count of regions in sync");
	if (ret)
		return ret;
	at = words->word;
	end = at + words->length;
	if (number_scan(&at, end, &status->in_sync) || at == end || *at++ != '/' ||
	    number_scan(&at, end, &status->nr_regions) || at != end)
		return word_wrong(words, "should be the regions in sync and all regions, as "
				  "in 5/512");
	if (!status->nr_regions || status->nr_regions > REGION_COUNT_MAX)
		return word_wrong(words, "a mirror has 1 to %" PRIu64 " regions", REGION_COUNT_MAX);
	if (status->in_sync > status->nr_regions)
		return word_wrong(words, "more regions are in sync than there are");
	return 0;
}

/* " 1 AA": one word of letters. */
static int parse_leg_letters(struct mirror_status *status, struct words *words)
{
	int ret;

	if (!word_is(words, "1"))
		return word_wrong(words, "should be 1, the number of words with leg letters");
	ret = words_need(words, "letters of the legs");
	if (!ret)
		ret = check_letters(words, "AFDSRU", status->nr_legs);
	if (!ret)
		memcpy(status->leg_health, words->word, status->nr_legs);
	return ret;
}

static int parse_daemon_status(struct mirror_status *status, struct words *words)
{
	int ret;

	ret = words_need(words, "1 of 'userspace 1 COM_FAILURE'");
	if (!ret && !word_is(words, "1"))
		return word_wrong(words, "should be the 1 of 'userspace 1 COM_FAILURE'");
	if (!ret)
		ret = words_need(words, "COM_FAILURE of 'userspace 1 COM_FAILURE'");
	if (!ret && !word_is(words, "COM_FAILURE"))
		return word_wrong(words, "should be COM_FAILURE");
	if (!ret)
		status->log_daemon_dead = true;
	return ret;
}

static int parse_log_status(struct mirror_status *status, struct words *words)
{
	uint64_t count = 0;
	bool on_disk;
	int ret;

	ret = words_need(words, "status of the log");
	if (ret)
		return ret;
	if (word_is(words, "userspace"))
		return parse_daemon_status(status, words);
	if (words->length == 1)
		count = (uint64_t)(words->word[0] - '0');
	if (count != 1 && count != 3)
		return word_wrong(words, "the status of the log begins with 1, 3 or userspace");
	ret = words_need(words, "log type");
	if (ret)
		return ret;
	on_disk = word_is(words, "disk") || word_is(words, "clustered-disk");
	if (!on_disk && !word_is(words, "core") && !word_is(words, "clustered-core"))
		return word_wrong(words, "the log type must be core, disk, clustered-core or "
				  "clustered-disk");
	if (on_disk != (count == 3))
		return word_wrong(words, "the number before this log type should be %d",
				  on_disk ? 3 : 1);
	if (!on_disk)
		return 0;
	ret = words_need(words, "log device");
	if (!ret)
		ret = words_need(words, "letter of the log");
	if (!ret)
		ret = check_letters(words, "AFD", 1);
	if (!ret)
		status->log_health = words->word[0];
	return ret;
}

static int parse_status(struct mirror_status *status, struct words *words)
{
	uint64_t nr_legs;
	unsigned int i;
	int ret;

	ret = parse_leg_count(words, &nr_legs);
	if (ret)
		return ret;
	status->nr_legs = (unsigned int)nr_legs;
	for (i = 0; !ret && i < nr_legs; i++)
		ret = words_need(words, "device of a leg");
	if (!ret)
		ret = parse_ratio(status, words);
	if (ret || !words_next(words))
		return ret;	/* kernels of 2006 say no more */
	ret = parse_leg_letters(status, words);
	if (!ret)
		ret = parse_log_status(status, words);
	if (!ret)
		ret = words_end(words, "status of the log");
	return ret;
}

int mirror_status_parse(struct mirror_status *status, const char *params,
			struct error *err)
{
	struct mirror_status draft;
	struct words words;
	int ret;

	memset(&draft, 0, sizeof(draft));
	ret = words_init(&words, params, "status line", ERROR_OPERATION, err);
	if (!ret)
		ret = parse_status(&draft, &words);
	if (ret)
		memset(&draft, 0, sizeof(draft));
	*status = draft;
	return ret;
}

int mirror_apply_status(struct mirror *mirror, const struct mirror_status *status,
			struct error *err)
{
	unsigned int i;

	if (status->nr_legs != mirror->nr_legs)
		return error_operation(err, EINVAL, "status line: it tells of %u legs and the table "
				       "of %u: the table was changed meanwhile; try again",
				       status->nr_legs, mirror->nr_legs);
	if (status->nr_regions != mirror->geometry.nr_regions)
		return error_operation(err, EINVAL, "status line: it tells of %" PRIu64 " regions "
				       "and the table of %" PRIu64 ": the table was changed "
				       "meanwhile; try again",
				       status->nr_regions, mirror->geometry.nr_regions);
	for (i = 0; i < mirror->nr_legs; i++)
		mirror->legs[i].health = status->leg_health[i];
	mirror->log.health = status->log_health;
	mirror->status_known = true;
	mirror->in_sync = status->in_sync;
	return 0;
}
