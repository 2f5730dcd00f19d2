/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/discover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/discover_private.h"
#include "io/dm.h"
#include "io/lvm_origin.h"
#include "io/watch.h"

#define LOG_OPERAND MIRROR_LEGS_MAX	/* a claim's number of the log */

int mirror_release(struct opened_mirror *opened, struct error *err)
{
	struct lvm_hold *hold = opened->lvm ? opened->lvm->hold : NULL;

	for (unsigned int leg = 0; leg < MIRROR_LEGS_MAX; leg++) {
		device_close(opened->legs[leg]);
		opened->legs[leg] = NULL;
	}
	device_close(opened->log);
	opened->log = NULL;
	if (opened->lvm)
		opened->lvm->hold = NULL;
	return lvm_hold_release(hold, err);
}

void mirror_close(struct opened_mirror *opened)
{
	mirror_release(opened, NULL);
	for (unsigned int i = 0; i < opened->nr_notes; i++)
		free(opened->notes[i]);
	watch_free(opened->watch);
	lvm_origin_free(opened->lvm);
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

int discover_note(struct opened_mirror *opened, struct error *err, const char *format, ...)
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

	return discover_note(opened, err, "%s %s: its contents may change during the audit",
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

	if (claim->kind == CLAIM_MAPPED && !claim->inactive &&
	    lvm_origin_owns(opened->lvm, claim->holder))
		return 0;
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

int discover_check_claims(struct opened_mirror *opened, const struct claims *claims,
			  struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < claims->nr_claims && !ret; i++)
		ret = check_claim(opened, &claims->claims[i], err);
	return ret;
}

int discover_ranges(struct claim_ranges *ranges, const struct opened_mirror *opened,
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

int discover_check_places(struct opened_mirror *opened, struct error *err)
{
	int ret = check_lengths(opened, err);

	return ret ? ret : check_pairs(opened, err);
}

unsigned int discover_flags(enum mirror_access access, unsigned int operand)
{
	static const unsigned int leg_flags[] = { DEVICE_READ, DEVICE_HOLD, DEVICE_WRITE };
	static const unsigned int log_flags[] = { DEVICE_READ, DEVICE_WRITE, DEVICE_WRITE };

	return operand == LOG_OPERAND ? log_flags[access] : leg_flags[access];
}

int discover_open(struct opened_mirror *opened, struct operand_plan *plan, struct error *err)
{
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
				 discover_flags(opened->access, i), err);
	}
	if (!ret)
		ret = open_place(opened, &opened->log, &plan->log, "log",
				 discover_flags(opened->access, LOG_OPERAND), err);
	return ret ? ret : discover_check_places(opened, err);
}

/* ------------------------------------------------------------ explicit words */

int discover_watch(struct opened_mirror *opened, struct error *err)
{
	struct claim_ranges ranges = { 0 };
	struct claims claims = { 0 };
	int ret;

	ret = discover_ranges(&ranges, opened, err);
	if (!ret)
		ret = claims_read(&claims, ranges.ranges, ranges.nr, 0, err);
	if (!ret)
		ret = discover_check_claims(opened, &claims, err);
	if (!ret)
		ret = watch_ranges(&opened->watch, &ranges, &claims, err);
	claims_free(&claims);
	claim_ranges_free(&ranges);
	return ret;
}

static int discover_explicit(struct opened_mirror *opened,
			     const struct mirror_operand *operand, struct error *err)
{
	struct operand_plan plan;
	int ret;

	ret = operand->table ? operand_plan_table(&plan, operand, err) :
			       operand_plan_explicit(&plan, operand, err);
	if (!ret)
		ret = discover_open(opened, &plan, err);
	if (!ret)
		ret = discover_watch(opened, err);
	operand_plan_free(&plan);
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
		return error_usage(err, "%s belongs to --leg and --log: the kernel, or LVM, tells what %s has",
				   operand->region_size ? "--region-size" : "--length",
				   operand->name);
	if (operand->table && places)
		return error_usage(err, "--table and %s: a table names legs and log itself, give one "
				   "or the other", operand->nr_legs ? "--leg" : "--log");
	if (operand->name && !operand->name[0])
		return error_usage(err, "the mirror's name is empty");
	return 0;
}

static void begin(struct opened_mirror *opened, const struct mirror_operand *operand)
{
	memset(opened, 0, sizeof(*opened));
	opened->access = operand->access;
}

/* What is active is device-mapper's; what is not, LVM knows. */
static int discover_named(struct opened_mirror *opened, const struct mirror_operand *operand,
			  struct error *err)
{
	struct error active = { 0 }, inactive = { 0 };
	int ret = discover_mapped(opened, operand, &active), lvm;

	if (ret != -ENXIO && ret != -ENODEV) {
		*err = active;
		return ret;
	}
	mirror_close(opened);
	begin(opened, operand);
	lvm = discover_lvm(opened, operand, &inactive);
	if (lvm == -ENXIO && !inactive.kind) {
		*err = active;
		return ret;
	}
	if (lvm == -ENXIO || lvm == -ENOENT || lvm == -EACCES || lvm == -EIO)
		return error_operation(err, -lvm, "%s is not active, and %s", operand->name,
				       inactive.text);
	*err = inactive;
	return lvm;
}

/* Writers take down what a killed one left; what that is, or was, is told. Allocated;
 * NULL: nothing. */
static char *look_at_leftovers(enum mirror_access access)
{
	struct error why = { 0 };
	char *sentence = NULL;
	unsigned int nr;

	if (access == MIRROR_READ)
		return lvm_hold_leftovers();
	if (lvm_hold_clean_up(&nr, &why))
		return strdup(why.text);
	if (nr && asprintf(&sentence, "what kept LVM from %s was left of a mirrorctl that was killed: "
			   "it has been taken down", nr == 1 ? "a mirror" : "mirrors") < 0)
		sentence = NULL;
	return sentence;
}

int mirror_discover(struct opened_mirror *opened, const struct mirror_operand *operand,
		    struct error *err)
{
	char *leftovers = NULL;
	int ret;

	begin(opened, operand);
	ret = check_words(operand, err);
	if (!ret) {
		leftovers = look_at_leftovers(operand->access);
		ret = operand->name ? discover_named(opened, operand, err) :
				      discover_explicit(opened, operand, err);
	}
	if (!ret && leftovers)
		ret = discover_note(opened, err, "%s", leftovers);
	mapper_release();
	free(leftovers);
	if (ret) {
		mirror_release(opened, err);
		mirror_close(opened);
	}
	return ret;
}
