/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/suspend_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_NS_MIN UINT64_C(200000000)
#define SETTLE_LOG_FACTOR 8u
#define SETTLE_LEG_FACTOR 2u

/* --- the conditions ------------------------------------------------------ */

static unsigned int first_bad_leg(const struct suspend_facts *facts)
{
	unsigned int leg = 0;

	while (leg < facts->nr_legs && facts->leg_health[leg] == 'A')
		leg++;
	return leg;
}

static enum suspend_condition device_refusal(const struct suspend_facts *facts)
{
	if (facts->gone)
		return SUSPEND_GONE;
	if (facts->replaced)
		return SUSPEND_REPLACED;
	if (facts->nr_targets != 1)
		return SUSPEND_SEVERAL_TARGETS;
	if (!facts->log_on_disk)
		return SUSPEND_CORE_LOG;
	if (facts->suspended != facts->suspended_by_us)
		return SUSPEND_STATE;
	if (facts->inactive_table != facts->loaded_by_us ||
	    (facts->loaded_by_us && !facts->inactive_is_ours))
		return SUSPEND_INACTIVE_TABLE;
	if (!facts->status_known)
		return SUSPEND_STATUS;
	if (first_bad_leg(facts) < facts->nr_legs)
		return SUSPEND_LEG;
	if (facts->log_health != 'A')
		return SUSPEND_LOG;
	return SUSPEND_ALLOWED;
}

static enum suspend_condition log_refusal(const struct suspend_facts *facts)
{
	if (facts->log_too_small)
		return SUSPEND_LOG_SIZE;
	if (!mirror_log_header_accepted(&facts->header))
		return SUSPEND_LOG_HEADER;
	if (facts->header.nr_regions != facts->nr_regions)
		return SUSPEND_LOG_REGIONS;
	if (facts->clean > facts->in_sync)
		return SUSPEND_LOG_OPTIMISTIC;
	if (facts->in_sync != facts->nr_regions)
		return SUSPEND_RECOVERY;
	return SUSPEND_ALLOWED;
}

enum suspend_condition suspend_refusal(const struct suspend_facts *facts)
{
	enum suspend_condition condition = device_refusal(facts);

	return condition ? condition : log_refusal(facts);
}

/* --- their sentences ----------------------------------------------------- */

static int device_sentence(const struct suspend_facts *facts, enum suspend_condition condition,
			   struct error *err)
{
	const char *name = facts->name;
	unsigned int leg = first_bad_leg(facts);

	switch (condition) {
	case SUSPEND_GONE:
		return error_operation(err, EPERM, "%s is not an active mirror (any more): repair "
				       "its log without --online", name);
	case SUSPEND_REPLACED:
		return error_operation(err, EPERM, "%s is not what it was when it was opened: its "
				       "table was reloaded or the device made anew: run the "
				       "command again", name);
	case SUSPEND_SEVERAL_TARGETS:
		return error_operation(err, EPERM, "%s consists of %zu targets, and only a mirror "
				       "that is alone in its device is suspended: repair it while "
				       "it is inactive", name, facts->nr_targets);
	case SUSPEND_CORE_LOG:
		return error_operation(err, EPERM, "%s has no log on disk: there is nothing to "
				       "repair", name);
	case SUSPEND_STATE:
		return error_operation(err, EPERM, facts->suspended_by_us ?
				       "%s was resumed by somebody else meanwhile: run the "
				       "command again" :
				       "%s is suspended already, by somebody else: wait for that "
				       "to end, or look who left it so (dmsetup info)", name);
	case SUSPEND_INACTIVE_TABLE:
		return error_operation(err, EPERM, facts->loaded_by_us ?
				       "%s: the table that was loaded for the resume was replaced "
				       "or taken back by somebody else" :
				       "%s: another table is loaded and waits for a resume: "
				       "resume or clear it first (dmsetup table --inactive shows "
				       "it)", name);
	case SUSPEND_STATUS:
		return error_operation(err, EPERM, "%s: its status cannot be read or understood: "
				       "try again, and see what dmsetup status says", name);
	case SUSPEND_LEG:
		return error_operation(err, EPERM, "%s: leg %u has the status letter %c: a resume "
				       "would take leg 0 as the source again: mend the leg "
				       "first", name, leg,
				       facts->leg_health[leg] ? facts->leg_health[leg] : '?');
	default:
		return error_operation(err, EPERM, "%s: its log has the status letter %c: a "
				       "resume would believe what is on it: mend the log device "
				       "first", name,
				       facts->log_health ? facts->log_health : '?');
	}
}

static int log_sentence(const struct suspend_facts *facts, enum suspend_condition condition,
			struct error *err)
{
	const char *name = facts->name;

	switch (condition) {
	case SUSPEND_LOG_SIZE:
		return error_operation(err, EPERM, "%s: its log is too small for %" PRIu64 " "
				       "regions now: has the log device shrunk? Do not suspend or "
				       "resume the mirror before it is mended", name, facts->nr_regions);
	case SUSPEND_LOG_HEADER:
		return error_operation(err, EPERM, "%s: the header of its log (magic 0x%08" PRIx32
				       ", version %" PRIu32 ") is none that the kernel would "
				       "accept: a resume would recopy the whole mirror from leg "
				       "0", name,
				       facts->header.magic, facts->header.version);
	case SUSPEND_LOG_REGIONS:
		return error_operation(err, EPERM, "%s: its log says %" PRIu64 " regions and the "
				       "mirror has %" PRIu64 ": something else wrote to the log; "
				       "do not suspend or resume the mirror before this is "
				       "understood", name,
				       facts->header.nr_regions, facts->nr_regions);
	case SUSPEND_LOG_OPTIMISTIC:
		return error_operation(err, EPERM, "%s: its log calls %" PRIu64 " regions clean "
				       "and the kernel counts %" PRIu64 " in sync: a resume now "
				       "would believe the log: let the synchronisation finish, it "
				       "heals these regions; do not suspend, snapshot, resize or "
				       "reboot until then", name, facts->clean,
				       facts->in_sync);
	default:
		return error_operation(err, EPERM, "%s: a synchronisation is running (%" PRIu64 " "
				       "of %"
				       PRIu64 " regions are in sync): let it finish, it heals "
				       		"these regions; do not suspend, snapshot, resize "
				       		"or reboot until then", name,
				       facts->in_sync, facts->nr_regions);
	}
}

int suspend_check(const struct suspend_facts *facts, struct error *err)
{
	enum suspend_condition condition = suspend_refusal(facts);

	if (!condition)
		return 0;
	if (condition < SUSPEND_LOG_SIZE)
		return device_sentence(facts, condition, err);
	return log_sentence(facts, condition, err);
}

/* --- the table to resume into -------------------------------------------- */

struct copy {
	char *out;
	size_t room, used;
};

static bool copy_word(struct copy *copy, const char *word, size_t length)
{
	size_t need = length + (copy->used ? 1 : 0);

	if (need >= copy->room - copy->used)
		return false;
	if (copy->used)
		copy->out[copy->used++] = ' ';
	memcpy(copy->out + copy->used, word, length);
	copy->used += length;
	copy->out[copy->used] = '\0';
	return true;
}

/* The next word, or NULL; *at moves behind it. */
static const char *next_word(const char **at, size_t *length)
{
	const char *word = *at + strspn(*at, " ");

	*length = strcspn(word, " ");
	*at = word + *length;
	return *length ? word : NULL;
}

static bool word_equals(const char *word, size_t length, const char *text)
{
	return strlen(text) == length && !memcmp(word, text, length);
}

/* The log's arguments, counted 2 to 4: "2 253:2 1024" or "3 253:2 1024 nosync". */
static int copy_log_args(struct copy *copy, const char **at)
{
	size_t length, nr_args, i, lengths[4];
	const char *args[4], *word = next_word(at, &length);
	bool keep[4];
	char count[2];

	if (!word || length != 1 || *word < '2' || *word > '4')
		return -EINVAL;
	nr_args = (size_t)(*word - '0');
	count[0] = '0';
	count[1] = '\0';
	for (i = 0; i < nr_args; i++) {
		args[i] = next_word(at, &lengths[i]);
		if (!args[i])
			return -EINVAL;
		keep[i] = i < 2 || (!word_equals(args[i], lengths[i], "sync") &&
				    !word_equals(args[i], lengths[i], "nosync"));
		count[0] = (char)(count[0] + keep[i]);
	}
	if (!copy_word(copy, count, 1))
		return -ENOSPC;
	for (i = 0; i < nr_args; i++)
		if (keep[i] && !copy_word(copy, args[i], lengths[i]))
			return -ENOSPC;
	return 0;
}

int mirror_params_without_sync(char *out, size_t room, const char *params)
{
	struct copy copy = { .out = out, .room = room };
	size_t length;
	const char *word = next_word(&params, &length);
	int r;

	if (!room)
		return -ENOSPC;
	out[0] = '\0';
	if (!word || !word_equals(word, length, "disk"))
		return -EINVAL;
	if (!copy_word(&copy, word, length))
		return -ENOSPC;
	r = copy_log_args(&copy, &params);
	while (!r && (word = next_word(&params, &length)))
		if (!copy_word(&copy, word, length))
			r = -ENOSPC;
	return r;
}

/* --- settling ------------------------------------------------------------ */

uint64_t log_settle_ns(const struct log_latency *latency)
{
	uint64_t log = latency->read, settle;

	if (latency->write > log)
		log = latency->write;
	if (latency->log_flush > log)
		log = latency->log_flush;
	if (__builtin_mul_overflow(log, SETTLE_LOG_FACTOR, &settle) ||
	    __builtin_add_overflow(settle, latency->leg_flush, &settle) ||
	    __builtin_add_overflow(settle, latency->leg_flush * (SETTLE_LEG_FACTOR - 1), &settle))
		return UINT64_MAX;
	return settle > SETTLE_NS_MIN ? settle : SETTLE_NS_MIN;
}
