/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/discover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mirror_table.h"
#include "io/claims.h"
#include "io/dm.h"
#include "io/dm_names.h"
#include "io/operand.h"
#include "io/watch.h"

#define LOG_OPERAND MIRROR_LEGS_MAX	/* a claim's number of the log */

void mirror_close(struct opened_mirror *opened)
{
	unsigned int i;

	for (i = 0; i < MIRROR_LEGS_MAX; i++)
		device_close(opened->legs[i]);
	device_close(opened->log);
	for (i = 0; i < opened->nr_notes; i++)
		free(opened->notes[i]);
	watch_free(opened->watch);
	mirror_free(&opened->mirror);
	memset(opened, 0, sizeof(*opened));
}

void mirror_leg_devices(const struct opened_mirror *opened,
			struct block_device *legs[MIRROR_LEGS_MAX])
{
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++)
		legs[leg] = opened->legs[leg] ? &opened->legs[leg]->block : NULL;
}

/* Whose mistake a mirror that cannot be is: the caller's words, or the kernel's
 * table. */
__attribute__((format(printf, 3, 4)))
static int refuse(const struct opened_mirror *opened, struct error *err,
		  const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (opened->mirror.activity == MIRROR_INACTIVE)
		return error_usage(err, "%s", text);
	return error_operation(err, EINVAL, "%s", text);
}

/* ------------------------------------------------- what must hold afterwards */

static struct device *operand_device(const struct opened_mirror *opened, unsigned int operand)
{
	return operand == LOG_OPERAND ? opened->log : opened->legs[operand];
}

/* Sectors of the log that the kernel reads and writes: the header's 1024 bytes,
 * then the bits in words of 32, in whole blocks (dm-log.c, create_log_context). */
static uint64_t log_area_sectors(const struct opened_mirror *opened)
{
	uint64_t nr_regions = opened->mirror.geometry.nr_regions;
	uint64_t block = opened->log->file->logical_bytes;
	uint64_t bytes = 1024 + (nr_regions + 31) / 32 * 4;

	if (!nr_regions || block < SECTOR_BYTES)
		return opened->log->block.sectors;
	return (bytes + block - 1) / block * block / SECTOR_BYTES;
}

static uint64_t operand_sectors(const struct opened_mirror *opened, unsigned int operand)
{
	return operand == LOG_OPERAND ? log_area_sectors(opened) :
					opened->mirror.geometry.length;
}

/* --length may be left out: then the smallest leg tells. */
static int check_lengths(struct opened_mirror *opened, struct error *err)
{
	struct region_geometry *geometry = &opened->mirror.geometry;
	uint64_t smallest = UINT64_MAX;
	unsigned int i, which = 0;

	for (i = 0; i < opened->mirror.nr_legs; i++) {
		if (!opened->legs[i] || opened->legs[i]->block.sectors >= smallest)
			continue;
		smallest = opened->legs[i]->block.sectors;
		which = i;
	}
	if (opened->log_only)
		return 0;
	if (!geometry->length)
		return region_geometry_init(geometry, smallest, geometry->region_size, err);
	if (smallest >= geometry->length)
		return 0;
	return refuse(opened, err, "%s holds %" PRIu64 " sectors, the mirror needs %" PRIu64 ": %s",
		      opened->legs[which]->name, smallest, geometry->length,
		      "check file and offset, or give --leg, --log and a smaller --length to "
		      "compare what is there");
}

/* "leg 1 (…)", but "the log (…)". */
static const char *article(unsigned int operand)
{
	return operand == LOG_OPERAND ? "the " : "";
}

static int check_pair(const struct opened_mirror *opened, unsigned int a, unsigned int b,
		      struct error *err)
{
	const struct device *one = operand_device(opened, a), *two = operand_device(opened, b);
	bool same;

	if (!one || !two || !device_overlap(one, operand_sectors(opened, a), two,
					    operand_sectors(opened, b)))
		return 0;
	same = one->file->dev == two->file->dev && one->file->ino == two->file->ino &&
	       one->offset == two->offset;
	return refuse(opened, err, "%s and %s%s %s: each leg and the log has a place of its own",
		      one->name, article(b), two->name,
		      same ? "are the same device" : "share sectors");
}

static int check_pairs(const struct opened_mirror *opened, struct error *err)
{
	unsigned int a, b;
	int ret = 0;

	for (a = 0; a <= MIRROR_LEGS_MAX && !ret; a++)
		for (b = a + 1; b <= MIRROR_LEGS_MAX && !ret; b++)
			ret = check_pair(opened, a, b, err);
	return ret;
}

/* Who writes is alone: stop whoever uses it first. */
static int refuse_claim(const char *name, const struct claim *claim, struct error *err)
{
	char what[224];

	claim_describe(what, sizeof(what), claim);
	return error_operation(err, EBUSY, "%s %s: %s first; nothing was changed", name, what,
			       claim->kind == CLAIM_MOUNT ? "unmount it" :
			       claim->kind == CLAIM_SWAP ? "swapoff it" :
			       claim->kind == CLAIM_LOOP ? "detach that (losetup -d)" :
							   "stop its user");
}

/* What does not fit any more is left out: notes are not needed for anything. */
__attribute__((format(printf, 3, 4)))
static int note_add(struct opened_mirror *opened, struct error *err, const char *format, ...)
{
	va_list args;
	int length;

	if (opened->nr_notes == MIRROR_NOTES_MAX)
		return 0;
	va_start(args, format);
	length = vasprintf(&opened->notes[opened->nr_notes], format, args);
	va_end(args);
	if (length < 0)
		return error_operation(err, ENOMEM, "not enough memory to open the mirror");
	opened->nr_notes++;
	return 0;
}

static int note_claim(struct opened_mirror *opened, const struct claim *claim,
		      struct error *err)
{
	char what[224];

	return note_add(opened, err, "%s %s: its contents may change during the audit",
			operand_device(opened, claim->operand)->name,
			claim_describe(what, sizeof(what), claim));
}

/* Reads harm nobody, so most claims are only noted; but a running mirror must be
 * audited as one, and reads of a suspended device would hang. */
static int check_claim(struct opened_mirror *opened, const struct claim *claim,
		       struct error *err)
{
	const char *name = operand_device(opened, claim->operand)->name;
	const struct device *other;

	switch (claim->kind) {
	case CLAIM_MIRROR:
		if (opened->mirror.activity != MIRROR_INACTIVE)
			break;
		if (opened->access != MIRROR_READ)
			return error_operation(err, EBUSY, "%s is in use by the active mirror %s: "
					       "deactivate that first, or see mirrorctl repair-log "
					       "--online %s", name, claim->name, claim->name);
		return error_operation(err, EBUSY, "%s is in use by the active mirror %s: audit "
				       "that instead: mirrorctl audit %s", name, claim->name,
				       claim->name);
	case CLAIM_SUSPENDED:
		return error_operation(err, EAGAIN, "%s stands on the dm device %s, which is "
				       "suspended, and reads would wait: try again when it is "
				       "resumed (dmsetup info %s)", name, claim->name, claim->name);
	case CLAIM_OVERLAP:
		other = operand_device(opened, claim->other);
		return refuse(opened, err, "%s and %s%s share sectors of a device below: each leg "
			      "and the log has a place of its own", name,
			      article(claim->other), other->name);
	case CLAIM_UNDER:
		return 0;
	case CLAIM_LOOP:
		if (opened->access == MIRROR_READ)
			return 0;
		break;
	default:
		break;
	}
	if (opened->access != MIRROR_READ)
		return refuse_claim(name, claim, err);
	return note_claim(opened, claim, err);
}

static int check_claims(struct opened_mirror *opened, const struct claims *claims,
			struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < claims->nr_claims && !ret; i++)
		ret = check_claim(opened, &claims->claims[i], err);
	return ret;
}

static int ranges_of_mirror(struct claim_ranges *ranges, const struct opened_mirror *opened,
			    struct error *err)
{
	unsigned int operand;
	int ret = 0;

	for (operand = 0; operand <= LOG_OPERAND && !ret; operand++) {
		const struct device *device = operand_device(opened, operand);

		if (device)
			ret = claim_ranges_add(ranges, device, operand_sectors(opened, operand),
					       operand);
	}
	return ret ? error_operation(err, ENOMEM, "not enough memory to open the mirror") : 0;
}

/* ------------------------------------------------------------------ opening */

/* Is the file, or block device, open already as another leg? */
static bool is_open_already(const struct opened_mirror *opened, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		const struct device *device = opened->legs[leg];

		if (device && device_has_file(device, &st))
			return true;
	}
	return false;
}

/* "in use" alone sends an administrator searching: says by whom, if it can be told. */
static int name_holder(const struct operand_place *place, const char *role, int code,
		       struct error *err)
{
	struct device *device;
	struct claim_ranges ranges = { 0 };
	struct claims claims = { 0 };
	struct error busy = *err;
	size_t i = 0;

	if (code != -EBUSY || device_open(&device, role, place->path, place->offset, DEVICE_READ,
					  NULL))
		return code;
	if (!claim_ranges_add(&ranges, device, 0, 0) &&
	    !claims_read(&claims, ranges.ranges, ranges.nr, 0, NULL))
		while (i < claims.nr_claims && claims.claims[i].kind == CLAIM_UNDER)
			i++;
	memset(err, 0, sizeof(*err));
	if (i < claims.nr_claims && claims.claims[i].kind == CLAIM_MIRROR)
		error_operation(err, EBUSY, "%s is in use by the active mirror %s: deactivate that "
				"first, or see mirrorctl repair-log --online %s; nothing was changed",
				device->name, claims.claims[i].name, claims.claims[i].name);
	else if (i < claims.nr_claims)
		refuse_claim(device->name, &claims.claims[i], err);
	else
		*err = busy;
	claims_free(&claims);
	claim_ranges_free(&ranges);
	device_close(device);
	return code;
}

static int open_place(struct opened_mirror *opened, struct device **device,
		      const struct operand_place *place, const char *role, unsigned int flags,
		      struct error *err)
{
	int ret;

	if (!place->path)
		return 0;
	if (flags != DEVICE_READ && is_open_already(opened, place->path))
		flags |= DEVICE_HELD;
	ret = device_open(device, role, place->path, place->offset, flags, err);
	return flags == DEVICE_READ ? ret : name_holder(place, role, ret, err);
}

/* Takes the plan's mirror over. */
static int open_plan(struct opened_mirror *opened, struct operand_plan *plan,
		     struct error *err)
{
	static const unsigned int leg_flags[] = { DEVICE_READ, DEVICE_HOLD, DEVICE_WRITE };
	static const unsigned int log_flags[] = { DEVICE_READ, DEVICE_WRITE, DEVICE_WRITE };
	unsigned int i;
	int ret = 0;

	opened->mirror = plan->mirror;
	memset(&plan->mirror, 0, sizeof(plan->mirror));
	opened->log_only = plan->log_only;
	opened->length_given = plan->length_given;
	for (i = 0; i < opened->mirror.nr_legs && !ret; i++) {
		char role[16];

		snprintf(role, sizeof(role), "leg %u", i);
		ret = open_place(opened, &opened->legs[i], &plan->legs[i], role,
				 leg_flags[opened->access], err);
	}
	if (!ret)
		ret = open_place(opened, &opened->log, &plan->log, "log",
				 log_flags[opened->access], err);
	if (!ret)
		ret = check_lengths(opened, err);
	if (!ret)
		ret = check_pairs(opened, err);
	return ret;
}

/* ------------------------------------------------------------ explicit words */

static int discover_explicit(struct opened_mirror *opened,
			     const struct mirror_operand *operand, struct error *err)
{
	struct claim_ranges ranges = { 0 };
	struct operand_plan plan;
	struct claims claims = { 0 };
	int ret;

	ret = operand->table ? operand_plan_table(&plan, operand, err) :
			       operand_plan_explicit(&plan, operand, err);
	if (!ret)
		ret = open_plan(opened, &plan, err);
	if (ret)
		goto out;
	ret = ranges_of_mirror(&ranges, opened, err);
	if (!ret)
		ret = claims_read(&claims, ranges.ranges, ranges.nr, 0, err);
	if (!ret)
		ret = check_claims(opened, &claims, err);
	if (!ret)
		ret = watch_ranges(&opened->watch, &ranges, &claims, err);
out:
	claims_free(&claims);
	claim_ranges_free(&ranges);
	operand_plan_free(&plan);
	return ret;
}

/* -------------------------------------------------------- an active dm device */

static int refuse_no_mirror(const struct mapped_device *device,
			    const struct mapped_table *table, struct error *err)
{
	const char *type = table->nr_targets ? table->targets[0].type : NULL;

	if (!type)
		return error_usage(err, "%s has no live table, so it is no mirror", device->name);
	if (!strcmp(type, "snapshot-origin"))
		return error_usage(err, "%s is the origin of a snapshot, and what lies below it is no "
				   "mirror either", device->name);
	return error_usage(err, "%s is no mirror: its table says %s", device->name, type);
}

/* "0, 2048" */
static void mirrors_list(const struct mapped_table *table, char *out, size_t room)
{
	size_t i, used = 0;

	out[0] = '\0';
	for (i = 0; i < table->nr_targets && used < room; i++)
		if (!strcmp(table->targets[i].type, "mirror"))
			used += (size_t)snprintf(out + used, room - used, "%s%" PRIu64,
						 used ? ", " : "", table->targets[i].start);
}

static int choose_target(const struct mapped_target **chosen,
			 const struct mapped_device *device, const struct mapped_table *table,
			 const struct mirror_operand *operand, struct error *err)
{
	const struct mapped_target *first = mapped_table_mirror(table, 0);
	char list[256];
	uint64_t start;
	bool given;
	int ret;

	if (!first)
		return refuse_no_mirror(device, table, err);
	ret = operand_segment_parse(&start, &given, operand, err);
	if (ret)
		return ret;
	*chosen = given ? mapped_table_at(table, start) : first;
	mirrors_list(table, list, sizeof(list));
	if (!*chosen || strcmp((*chosen)->type, "mirror"))
		return error_usage(err, "--segment %s: no mirror target of %s begins there (they "
				   "begin at %s)", operand->segment, device->name, list);
	if (!given && mapped_table_mirror(table, (size_t)(first - table->targets) + 1))
		return error_usage(err, "%s holds several mirror targets (they begin at %s): say "
				   "which with --segment START", device->name, list);
	return 0;
}

/* The node of a device number in a live table: this host's own numbers. */
static int mapped_place(struct operand_place *place, const struct mirror_place *word,
			const char *role, const char *name, struct error *err)
{
	dev_t number;
	int ret;

	if (!device_number_parse(&number, word->device))
		return error_operation(err, EINVAL, "the %s of %s is \"%s\" in the kernel's table, "
				       "which is no device number", role, name, word->device);
	ret = device_path_of_number(&place->path, number);
	if (ret)
		return error_operation(err, -ret, "the %s (%s) of %s has no device node here: %s: give "
				       "legs and log with --leg and --log", role, word->device,
				       name, error_reason(ret));
	place->offset = word->offset;
	return 0;
}

static int mapped_places(struct operand_plan *plan, struct error *err)
{
	struct mirror *mirror = &plan->mirror;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < mirror->nr_legs && !ret; i++) {
		char role[16];

		snprintf(role, sizeof(role), "leg %u", i);
		ret = mapped_place(&plan->legs[i], &mirror->legs[i], role, mirror->name, err);
	}
	if (!ret && mirror->log_kind == MIRROR_LOG_DISK)
		ret = mapped_place(&plan->log, &mirror->log, "log", mirror->name, err);
	return ret;
}

/* What the kernel calls it; of LVM's, and where the user wrote so, VG/LV. */
static int mapped_identity(struct mirror *mirror, const struct mapped_device *device,
			   const struct mirror_operand *operand, struct error *err)
{
	bool is_lv = operand->name[0] != '/' && strchr(operand->name, '/');
	char lv[2 * sizeof(device->name)];

	free(mirror->name);
	if (mapped_lv_name(lv, sizeof(lv), device))
		mirror->name = strdup(lv);
	else
		mirror->name = strdup(is_lv ? operand->name : device->name);
	mirror->uuid = device->uuid[0] ? strdup(device->uuid) : NULL;
	mirror->activity = device->suspended ? MIRROR_SUSPENDED : MIRROR_ACTIVE;
	if (!mirror->name || (device->uuid[0] && !mirror->uuid))
		return error_operation(err, ENOMEM, "not enough memory to open the mirror");
	return 0;
}

/* A status that cannot be read or understood leaves status_known false. */
static void mapped_status(struct mirror *mirror, const struct mapped_device *device)
{
	const struct mapped_target *target;
	struct mirror_status status;
	struct mapped_table table;

	if (mapped_table_read(&table, device->number, MAPPED_STATUS, NULL))
		return;
	target = mapped_table_at(&table, mirror->start);
	if (target && !strcmp(target->type, "mirror") &&
	    !mirror_status_parse(&status, target->params, NULL))
		mirror_apply_status(mirror, &status, NULL);
	mapped_table_free(&table);
}

static int mapped_plan(struct operand_plan *plan, const struct mapped_device *device,
		       const struct mapped_table *table, const struct mirror_operand *operand,
		       struct error *err)
{
	const struct mapped_target *target = NULL;
	int ret;

	ret = choose_target(&target, device, table, operand, err);
	if (!ret)
		ret = mirror_table_parse_params(&plan->mirror, target->start, target->length,
						target->params, err);
	if (!ret)
		ret = mapped_identity(&plan->mirror, device, operand, err);
	if (!ret)
		ret = mapped_places(plan, err);
	plan->length_given = true;
	return ret;
}

/* Other users of an active mirror's legs and log, itself left out. */
static int mapped_claims(struct opened_mirror *opened, const struct mapped_device *device,
			 struct error *err)
{
	struct claim_ranges ranges = { 0 };
	struct claims claims = { 0 };
	int ret;

	ret = ranges_of_mirror(&ranges, opened, err);
	if (!ret)
		ret = claims_read(&claims, ranges.ranges, ranges.nr, device->number, err);
	if (!ret)
		ret = check_claims(opened, &claims, err);
	claims_free(&claims);
	claim_ranges_free(&ranges);
	return ret;
}

/* A log that is a mirror is read as the kernel reads it, through its device. */
static int note_mirrored_log(struct opened_mirror *opened, struct error *err)
{
	struct mapped_device device;
	struct mapped_table table;
	char name[2 * sizeof(device.name)];
	bool is_mirror;

	if (!opened->log || opened->log->file->regular ||
	    mapped_device_read(&device, opened->log->file->dev, NULL) ||
	    mapped_table_read(&table, device.number, MAPPED_TABLE, NULL))
		return 0;
	is_mirror = mapped_table_mirror(&table, 0) != NULL;
	mapped_table_free(&table);
	if (!is_mirror)
		return 0;
	if (!mapped_lv_name(name, sizeof(name), &device))
		snprintf(name, sizeof(name), "%s", device.name);
	return note_add(opened, err, "the log is a mirror itself, and is read through its device as "
			"the kernel does it; are its own legs equal? mirrorctl audit %s tells", name);
}

/* Nothing may have moved between the table that was read and the opens. */
static int check_unchanged(struct opened_mirror *opened, struct error *err)
{
	struct mirror_sample sample;

	mirror_sample(opened, &sample);
	if (sample.change == MIRROR_UNCHANGED)
		return 0;
	return error_operation(err, EAGAIN, "%s while it was being opened: try again",
			       sample.reason);
}

/* What is not allowed on an active mirror. */
static int check_active(const struct mirror *mirror, const struct mirror_operand *operand,
			struct error *err)
{
	if (operand->inactive_only)
		return error_operation(err, EBUSY, "%s is active and --inactive was asked for: "
				       "deactivate it first, or leave --inactive out", mirror->name);
	if (operand->access != MIRROR_READ)
		return error_operation(err, EBUSY, "%s is active: deactivate it first, or let mirrorctl "
				       "repair-log --online repair it while it runs; nothing was changed",
				       mirror->name);
	return 0;
}

static int open_mapped(struct opened_mirror *opened, struct operand_plan *plan,
		       const struct mapped_device *device, const struct mapped_table *table,
		       struct error *err)
{
	int ret = open_plan(opened, plan, err);

	if (!ret)
		ret = mapped_claims(opened, device, err);
	if (!ret)
		ret = note_mirrored_log(opened, err);
	if (!ret)
		ret = watch_mapped(&opened->watch, device, table, opened->mirror.start, err);
	if (!ret)
		ret = check_unchanged(opened, err);
	if (!ret)
		mapped_status(&opened->mirror, device);
	return ret;
}

static int discover_mapped(struct opened_mirror *opened,
			   const struct mirror_operand *operand, struct error *err)
{
	struct operand_plan plan = { 0 };
	struct mapped_table table = { 0 };
	struct mapped_device device;
	char *note;
	int ret;

	ret = mapped_device_find(&device, &note, operand->name, err);
	if (!ret && note)
		ret = note_add(opened, err, "%s", note);
	if (!ret)
		ret = mapped_table_read(&table, device.number, MAPPED_TABLE, err);
	if (!ret)
		ret = mapped_plan(&plan, &device, &table, operand, err);
	if (!ret)
		ret = check_active(&plan.mirror, operand, err);
	if (!ret)
		ret = open_mapped(opened, &plan, &device, &table, err);
	mapped_table_free(&table);
	operand_plan_free(&plan);
	free(note);
	return ret;
}

/* ------------------------------------------------------------- which road? */

static int check_words(const struct mirror_operand *operand, struct error *err)
{
	bool places = operand->nr_legs || operand->log;

	if (!operand->name && !operand->table && !operand->nr_legs && !operand->log)
		return error_usage(err, "which mirror? Give its name, or --leg and --log, or --table");
	if (operand->name && (places || operand->table || operand->nr_device_maps))
		return error_usage(err, "%s and %s: give the name of an active mirror or the parts of "
				   "an inactive one, not both", operand->name,
				   operand->table ? "--table" : operand->nr_legs ? "--leg" :
				   operand->log ? "--log" : "--device");
	if (operand->name && (operand->region_size || operand->length))
		return error_usage(err, "%s belongs to --leg and --log: the kernel tells what %s has",
				   operand->region_size ? "--region-size" : "--length",
				   operand->name);
	if (operand->table && places)
		return error_usage(err, "--table and %s: a table names legs and log itself, give one "
				   "or the other", operand->nr_legs ? "--leg" : "--log");
	if (operand->name && !operand->name[0])
		return error_usage(err, "the mirror's name is empty");
	return 0;
}

int mirror_discover(struct opened_mirror *opened, const struct mirror_operand *operand,
		    struct error *err)
{
	int ret;

	memset(opened, 0, sizeof(*opened));
	opened->access = operand->access;
	ret = check_words(operand, err);
	if (!ret)
		ret = operand->name ? discover_mapped(opened, operand, err) :
				      discover_explicit(opened, operand, err);
	mapper_release();
	if (ret)
		mirror_close(opened);
	return ret;
}
