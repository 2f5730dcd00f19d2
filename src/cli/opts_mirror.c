/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opts.h"

enum { KEY_LEG = 2000, KEY_LOG, KEY_TABLE, KEY_DEVICE, KEY_REGION_SIZE, KEY_LENGTH,
       KEY_SEGMENT, KEY_INACTIVE };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Which mirror:", 1 },
	{ "leg", KEY_LEG, "PATH[@OFFSET]", 0,
	  "A leg, in table order, twice or more; `missing` for one that is gone", 1 },
	{ "log", KEY_LOG, "PATH[@OFFSET]", 0, "The log", 1 },
	{ "region-size", KEY_REGION_SIZE, "SIZE", 0,
	  "The table's region size (bare numbers: sectors)", 1 },
	{ "length", KEY_LENGTH, "SIZE", 0,
	  "Length of the mirror; the smallest leg if not given", 1 },
	{ "table", KEY_TABLE, "LINE|FILE", 0, "The mirror's line as `dmsetup table` prints it", 1 },
	{ "device", KEY_DEVICE, "MAJ:MIN=PATH[@OFFSET]", 0,
	  "What stands here for a device number of --table", 1 },
	{ "segment", KEY_SEGMENT, "START", 0,
	  "The target that begins at sector START, where a table has several", 1 },
	{ "inactive", KEY_INACTIVE, NULL, 0, "Refuse a mirror that is active", 1 },
	{ 0 },
};

static error_t add_word(struct argp_state *state, const char *what, const char **words,
			size_t *nr, const char *word)
{
	struct error err = { 0 };

	if (*nr == OPTS_WORDS_MAX) {
		error_usage(&err, "too many %s", what);
		return opts_error(state, &err);
	}
	words[(*nr)++] = word;
	return 0;
}

static error_t set_once(struct argp_state *state, const char *what, const char **word,
			const char *value)
{
	struct error err = { 0 };

	if (*word) {
		error_usage(&err, "%s is given twice: \"%s\" and \"%s\"", what, *word, value);
		return opts_error(state, &err);
	}
	*word = value;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct mirror_words *words = state->input;
	struct mirror_operand *operand = words ? &words->operand : NULL;

	switch (key) {
	case ARGP_KEY_INIT:
		operand->legs = words->legs;
		operand->device_maps = words->device_maps;
		return 0;
	case KEY_LEG:
		return add_word(state, "--leg", words->legs, &operand->nr_legs, arg);
	case KEY_DEVICE:
		return add_word(state, "--device", words->device_maps, &operand->nr_device_maps, arg);
	case KEY_LOG:
		return set_once(state, "--log", &operand->log, arg);
	case KEY_TABLE:
		return set_once(state, "--table", &operand->table, arg);
	case KEY_REGION_SIZE:
		operand->region_size = arg;
		return 0;
	case KEY_LENGTH:
		operand->length = arg;
		return 0;
	case KEY_SEGMENT:
		operand->segment = arg;
		return 0;
	case KEY_INACTIVE:
		operand->inactive_only = true;
		return 0;
	case ARGP_KEY_ARG:
		return set_once(state, "MIRROR", &operand->name, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mirror_argp = { .options = options, .parser = parse };
