/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Explores the model of world.h: exhaustively, or by random walks. Says how much was seen,
 * and the shortest history to every check that failed.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define MAX_STATES (UINT32_MAX / 4)
#define EXIT_FAILED_CHECK 1
#define EXIT_NOT_COMPLETE 3
#define EXIT_TROUBLE 8

static const char *const fault_names[NR_FAULTS] = {
	[FAULT_NONE] = "none",
	[FAULT_RULE_BEFORE_2006] = "rule-before-2006",
	[FAULT_NO_LEG_FLUSH] = "no-leg-flush",
	[FAULT_NO_LOG_FLUSH] = "no-log-flush",
	[FAULT_EARLY_WRITE] = "early-write",
	[FAULT_EARLY_RECOVERY] = "early-recovery",
	[FAULT_FLUSH_ERROR_IGNORED] = "flush-error-ignored",
	[FAULT_LEG_ERROR_IGNORED] = "leg-error-ignored",
	[FAULT_RECOVERY_ERROR_IGNORED] = "recovery-error-ignored",
	[FAULT_WRONG_SOURCE] = "wrong-source",
	[FAULT_NO_RECOVERY] = "no-recovery",
	[FAULT_LOST_WAKEUP] = "lost-wakeup",
};

static const struct {
	const char *name, *says;
} checks[NR_CHECKS] = {
	{ "clean-bit", "a bit is clean on stable storage, or could be, and the legs differ there" },
	{ "write-lost", "a write that was acknowledged and flushed is not on leg 0" },
	{ "recovered", "nothing more can happen, and not all is recovered and told" },
	{ "in-sync", "a region is called in sync and the legs differ" },
	{ "engine", "the engine contradicts itself, or keeps what it should not" },
	{ "known-loss", "known: leg 0 refused a write that leg 1 took; it is not on leg 0" },
	{ "known-gone", "known: … and recovery from leg 0 removes it from all legs" },
	{ "known-flush", "known: leg 0 lost what it had not flushed; the next flush succeeded" },
};
#define CHECKS_OF_ERRORS ((unsigned int)CHECK_KNOWN_LOSS - 1)

struct options {
	struct model_config config;
	unsigned int until;
	uint64_t max_states, walks, seed;
	bool walk, sanitized;
};

enum {
	OPT_LEGS = 256, OPT_REGIONS, OPT_WRITES, OPT_SUSPENDS, OPT_CUTS, OPT_ERRORS,
	OPT_IN_FLIGHT, OPT_RECOVERIES, OPT_ENTRIES, OPT_FAULT, OPT_UNTIL, OPT_MAX_STATES,
	OPT_WALKS, OPT_SEED, OPT_SANITIZED,
};

static const struct argp_option argp_options[] = {
	{ "legs", OPT_LEGS, "N", 0, "Legs (2)", 0 },
	{ "regions", OPT_REGIONS, "N", 0, "Regions of one sector (2)", 0 },
	{ "writes", OPT_WRITES, "N", 0, "At most N writes (3)", 0 },
	{ "suspends", OPT_SUSPENDS, "N", 0, "… suspends (2)", 0 },
	{ "cuts", OPT_CUTS, "N", 0, "… power cuts (1)", 0 },
	{ "errors", OPT_ERRORS, "N", 0, "… errors (1)", 0 },
	{ "in-flight", OPT_IN_FLIGHT, "N", 0, "… writes at once (all)", 0 },
	{ "recoveries", OPT_RECOVERIES, "N", 0, "… regions in recovery at once (all)", 0 },
	{ "entries", OPT_ENTRIES, "N", 0, "… regions in flight in the engine (all)", 0 },
	{ "fault", OPT_FAULT, "NAME", 0, "Something wrong on purpose", 0 },
	{ "until", OPT_UNTIL, "CHECK", 0, "Stop when this check fails (any that should hold)", 0 },
	{ "max-states", OPT_MAX_STATES, "N", 0, "Give up beyond that", 0 },
	{ "walks", OPT_WALKS, "N", 0, "N random walks instead of all there is", 0 },
	{ "seed", OPT_SEED, "N", 0, "… from this seed (1)", 0 },
	{ "sanitized", OPT_SANITIZED, NULL, 0, "Succeed if this program is sanitized", 0 },
	{ 0 }
};

static uint64_t number(struct argp_state *state, const char *arg, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(arg, &end, 10);
	if (errno || end == arg || *end || value < min || value > max)
		argp_error(state, "%s is not a number from %" PRIu64 " to %" PRIu64, arg, min, max);
	return value;
}

static unsigned int check_named(struct argp_state *state, const char *arg)
{
	unsigned int i;

	for (i = 0; i < NR_CHECKS; i++) {
		if (!strcmp(arg, checks[i].name))
			return 1u << i;
	}
	argp_error(state, "there is no check %s", arg);
	return 0;
}

static enum fault fault_named(struct argp_state *state, const char *arg)
{
	unsigned int i;

	for (i = 0; i < NR_FAULTS; i++) {
		if (!strcmp(arg, fault_names[i]))
			return i;
	}
	argp_error(state, "there is no fault %s", arg);
	return FAULT_NONE;
}

static error_t parse_bound(int key, char *arg, struct argp_state *state)
{
	struct model_config *config = &((struct options *)state->input)->config;

	switch (key) {
	case OPT_LEGS:
		config->legs = (unsigned int)number(state, arg, 2, MODEL_LEGS);
		return 0;
	case OPT_REGIONS:
		config->regions = (unsigned int)number(state, arg, 1, MODEL_REGIONS);
		return 0;
	case OPT_WRITES:
		config->writes = (unsigned int)number(state, arg, 0, MODEL_WRITES_ALL);
		return 0;
	case OPT_SUSPENDS:
		config->suspends = (unsigned int)number(state, arg, 0, 100);
		return 0;
	case OPT_CUTS:
		config->cuts = (unsigned int)number(state, arg, 0, 100);
		return 0;
	case OPT_ERRORS:
		config->errors = (unsigned int)number(state, arg, 0, 100);
		return 0;
	case OPT_IN_FLIGHT:
		config->in_flight = (unsigned int)number(state, arg, 1, MODEL_WRITES);
		return 0;
	case OPT_RECOVERIES:
		config->recoveries = (unsigned int)number(state, arg, 1, MODEL_REGIONS);
		return 0;
	case OPT_ENTRIES:
		config->entries = (unsigned int)number(state, arg, 1, MODEL_REGIONS);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void options_end(struct options *options)
{
	struct model_config *config = &options->config;

	if (!config->in_flight)
		config->in_flight = config->writes < MODEL_WRITES ? config->writes : MODEL_WRITES;
	if (!config->recoveries)
		config->recoveries = config->regions;
	if (!config->entries)
		config->entries = config->regions;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case OPT_FAULT:
		options->config.fault = fault_named(state, arg);
		return 0;
	case OPT_UNTIL:
		options->until = check_named(state, arg);
		return 0;
	case OPT_MAX_STATES:
		options->max_states = number(state, arg, 1, MAX_STATES);
		return 0;
	case OPT_WALKS:
		options->walk = true;
		options->walks = number(state, arg, 1, UINT64_MAX);
		return 0;
	case OPT_SEED:
		options->seed = number(state, arg, 0, UINT64_MAX);
		return 0;
	case OPT_SANITIZED:
		options->sanitized = true;
		return 0;
	case ARGP_KEY_END:
		options_end(options);
		return 0;
	default:
		return parse_bound(key, arg, state);
	}
}

static void print_config(const struct options *options)
{
	const struct model_config *config = &options->config;

	printf("%s: %u legs, %u regions, %u writes, %u suspends, %u cuts, %u errors, fault: %s\n",
	       options->walk ? "random walks" : "exhaustive", config->legs, config->regions,
	       config->writes, config->suspends, config->cuts, config->errors,
	       fault_names[config->fault]);
}

static void print_found(const struct options *options, const struct exploration *found,
			double seconds)
{
	unsigned int i;

	printf("%" PRIu64 " states%s, %" PRIu64 " transitions, %" PRIu64 " ends, depth %u, "
	       "%.1f s, %" PRIu64 " MiB\n", found->states,
	       options->walk ? " passed" : found->complete ? ", all" : ", not all",
	       found->transitions, found->ends, found->longest, seconds,
	       found->memory_bytes >> 20);
	for (i = 0; i < NR_CHECKS; i++) {
		if (!found->failed[i])
			continue;
		printf("%s: %s (%" PRIu64 " states)\n%s", checks[i].name, checks[i].says,
		       found->failed[i], found->histories[i] ? found->histories[i] : "");
	}
}

static int result(const struct options *options, const struct exploration *found)
{
	unsigned int i;

	for (i = 0; i < NR_CHECKS; i++) {
		if (found->failed[i] && (CHECKS_OF_ERRORS | options->until) >> i & 1)
			return EXIT_FAILED_CHECK;
	}
	return options->walk || found->complete ? EXIT_SUCCESS : EXIT_NOT_COMPLETE;
}

static int run(const struct options *options)
{
	struct timespec before, after;
	struct exploration found = { 0 };
	struct model model;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &before);
	ret = model_init(&model, &options->config);
	if (!ret && options->walk)
		ret = walk(&model, options->until, options->walks, options->seed, &found);
	else if (!ret)
		ret = explore(&model, options->until, options->max_states, &found);
	clock_gettime(CLOCK_MONOTONIC, &after);
	print_config(options);
	if (ret) {
		fprintf(stderr, "check_model: %s\n", ret == -ENOMEM ? "out of memory" :
			"too large to be explored exhaustively: --walks");
		ret = EXIT_TROUBLE;
	} else {
		print_found(options, &found, (double)(after.tv_sec - before.tv_sec) +
			    (double)(after.tv_nsec - before.tv_nsec) / 1e9);
		ret = result(options, &found);
	}
	exploration_free(&found);
	model_fini(&model);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options, .parser = parse_option,
		.doc = "Explores a model of a mirror around the region engine.",
	};
	struct options options = {
		.config = { .legs = 2, .regions = 2, .writes = 3, .suspends = 2, .cuts = 1,
			    .errors = 1 },
		.until = CHECKS_OF_ERRORS, .max_states = MAX_STATES, .seed = 1,
	};

	argp_err_exit_status = EXIT_TROUBLE;
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (options.sanitized)
		return !SANITIZED;
	return run(&options);
}
