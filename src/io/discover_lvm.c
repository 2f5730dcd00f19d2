/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A mirror by the name of a logical volume that is not active: LVM's metadata tells where
 * on the physical volumes its legs and its log lie. To read it nothing is activated; to
 * write it LVM is kept from it (lvm_hold.h). */

#include "io/discover_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/lvm_origin.h"

static int no_memory(struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory to open the mirror");
}

/* --- which volume ----------------------------------------------------------------------- */

struct lvm_word {
	const char *word;
	char *vg_name, *lv_name, *uuid;		/* owned */
	bool guessed;		/* it may well be something else: "vg-lv" */
};

static void word_free(struct lvm_word *word)
{
	free(word->vg_name);
	free(word->lv_name);
	free(word->uuid);
}

static bool word_parse(struct lvm_word *word, const char *name)
{
	*word = (struct lvm_word){ .word = name };
	if (lvm_name_parse(&word->vg_name, &word->lv_name, &word->uuid, name))
		return true;
	word->guessed = true;
	return lvm_dm_name_split(&word->vg_name, &word->lv_name, name);
}

/* The mirror may have a layer's name: "vg-home-real" is vg/home. */
static const struct lvm_lv *lv_of_name(const struct lvm_vg *vg, char *name)
{
	const struct lvm_lv *lv = lvm_vg_lv(vg, name);
	char *layer = strstr(name, "-real");

	if (lv || !layer || layer[strlen("-real")])
		return lv;
	*layer = '\0';
	lv = lvm_vg_lv(vg, name);
	*layer = '-';
	return lv;
}

static int find_named(const struct lvm_lv **lv, const struct lvm_vg **vg,
		      const struct lvm_report *report, struct lvm_word *word, struct error *err)
{
	*vg = lvm_report_vg(report, word->vg_name);
	if (!*vg)
		return error_operation(err, ENXIO, "there is no volume group %s here (vgs lists them)",
				       word->vg_name);
	if ((*vg)->name_twice)
		return error_operation(err, EEXIST, "there are two volume groups called %s: give the "
				       "uuid of the logical volume (lvs -o vg_uuid,lv_name,lv_uuid)",
				       word->vg_name);
	*lv = lv_of_name(*vg, word->lv_name);
	return *lv ? 0 : error_operation(err, ENXIO, "there is no logical volume %s in the volume "
					 "group %s (lvs %s lists them)", word->lv_name,
					 word->vg_name, word->vg_name);
}

static int find_uuid(const struct lvm_lv **lv, const struct lvm_vg **vg,
		     const struct lvm_report *report, const struct lvm_word *word,
		     struct error *err)
{
	*lv = lvm_report_lv_of_uuid(report, word->uuid, vg);
	if (*lv)
		return 0;
	if (*vg)
		return error_operation(err, EEXIST, "%s is the uuid of logical volumes in several "
				       "volume groups (copied disks?): give it with the group's, as "
				       "in a dm uuid", word->word);
	return error_operation(err, ENXIO, "no logical volume has the uuid %s", word->word);
}

static int find_lv(const struct lvm_lv **lv, const struct lvm_vg **vg,
		   struct lvm_report *report, struct lvm_word *word, struct error *err)
{
	int ret = lvm_report_read(report, word->vg_name, err);

	if (ret)
		return ret;
	return word->uuid ? find_uuid(lv, vg, report, word, err) :
			    find_named(lv, vg, report, word, err);
}

/* device-mapper, asked before, knows no such device: somebody is wrong, or was quick. */
static int check_inactive(const struct lvm_mirror *mirror, struct error *err)
{
	if (!mirror->visible->active && !mirror->lv->active)
		return 0;
	return error_operation(err, EAGAIN, "LVM calls %s/%s active, but there is no dm device of it "
			       "here: it became active just now, or it is active out of this "
			       "container's sight; try again", mirror->vg->name,
			       mirror->visible->name);
}

static int choose_mirror(struct lvm_origin *origin, const struct mirror_operand *operand,
			 struct lvm_word *word, struct error *err)
{
	const struct lvm_lv *lv;
	const struct lvm_vg *vg;
	uint64_t start;
	bool given;
	int ret;

	ret = operand_segment_parse(&start, &given, operand, err);
	if (!ret)
		ret = find_lv(&lv, &vg, &origin->report, word, err);
	word->guessed &= ret != 0;
	if (!ret)
		ret = lvm_mirror_layout(&origin->mirror, vg, lv, given ? &start : NULL, err);
	if (!ret)
		ret = check_inactive(&origin->mirror, err);
	if (!ret)
		origin->seqno = vg->seqno;
	return ret;
}

/* --- what the mirror is --------------------------------------------------------------------- */

static char *part_name(const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	char *name;

	return asprintf(&name, "%s/%s", vg->name, lv->name) < 0 ? NULL : name;
}

static int describe_place(struct mirror_place *described, const struct lvm_vg *vg,
			  const struct lvm_place *place, struct error *err)
{
	described->missing = place->missing;
	described->device = part_name(vg, place->lv);
	return described->device ? 0 : no_memory(err);
}

static int describe(struct mirror *mirror, const struct lvm_origin *origin, struct error *err)
{
	const struct lvm_mirror *layout = &origin->mirror;
	int ret;

	mirror->name = part_name(layout->vg, layout->visible);
	mirror->uuid = lvm_origin_uuid(origin, layout->lv);
	if (!mirror->name || !mirror->uuid)
		return no_memory(err);
	mirror->start = layout->start;
	mirror->declared_in_sync = layout->nosync;
	mirror->log_kind = layout->log_kind;
	ret = region_geometry_init(&mirror->geometry, layout->length, layout->region_size, err);
	while (!ret && mirror->nr_legs < layout->nr_legs) {
		unsigned int leg = mirror->nr_legs++;

		ret = describe_place(&mirror->legs[leg], layout->vg, &layout->legs[leg], err);
	}
	if (!ret && layout->log_kind == MIRROR_LOG_DISK)
		ret = describe_place(&mirror->log, layout->vg, &layout->log, err);
	return ret;
}

/* --- opening ----------------------------------------------------------------------------------- */

static size_t nr_stripes(const struct lvm_place *place)
{
	size_t nr = 0;

	for (size_t i = 0; i < place->nr_extents; i++)
		nr += place->extents[i].nr_stripes;
	return nr;
}

static void extents_fill(struct device_extent *extents, struct device_stripe *stripes,
			 const struct lvm_place *place)
{
	for (size_t i = 0; i < place->nr_extents; i++) {
		const struct lvm_extent *from = &place->extents[i];

		extents[i] = (struct device_extent){
			.sectors = from->sectors, .stripe_sectors = from->stripe_sectors,
			.stripes = stripes, .nr_stripes = from->nr_stripes,
		};
		for (unsigned int n = 0; n < from->nr_stripes; n++)
			*stripes++ = (struct device_stripe){
				.path = from->stripes[n].pv->name,
				.sector = from->stripes[n].sector,
			};
	}
}

/* From the physical volumes. */
static int open_extents(struct device **device, const char *role, const char *name,
			const struct lvm_place *place, unsigned int flags, struct error *err)
{
	struct device_extent *extents;
	struct device_stripe *stripes;
	int ret;

	extents = calloc(place->nr_extents + 1, sizeof(*extents));
	stripes = calloc(nr_stripes(place) + 1, sizeof(*stripes));
	if (extents && stripes) {
		extents_fill(extents, stripes, place);
		ret = device_open_extents(device, role, name, extents,
					  (unsigned int)place->nr_extents, flags, err);
	} else {
		ret = no_memory(err);
	}
	free(extents);
	free(stripes);
	return ret;
}

/* The map that the hold has made of it, alone. */
static int open_map(struct device **device, const char *role, const char *name, const char *path,
		    const struct lvm_place *place, unsigned int flags, struct error *err)
{
	const struct device_stripe stripe = { .path = path };
	struct device_extent extent = { .stripes = &stripe, .nr_stripes = 1 };

	for (size_t i = 0; i < place->nr_extents; i++)
		extent.sectors += place->extents[i].sectors;
	return device_open_extents(device, role, name, &extent, 1, flags, err);
}

/* A missing one stays NULL. */
static int open_part(struct opened_mirror *opened, unsigned int operand, struct device **device,
		     const char *role, const char *name, const struct lvm_place *place,
		     struct error *err)
{
	const struct lvm_hold *hold = opened->lvm->hold;
	unsigned int flags = discover_flags(opened->access, operand);
	const char *map = hold ? lvm_hold_path(hold, operand) : NULL;

	if (place->missing)
		return 0;
	if (map)
		return open_map(device, role, name, map, place, flags, err);
	/* A physical volume is never ours alone: it is the group's lock that is held. */
	return open_extents(device, role, name, place, hold ? flags | DEVICE_HELD : flags, err);
}

static int open_parts(struct opened_mirror *opened, struct error *err)
{
	const struct lvm_mirror *layout = &opened->lvm->mirror;
	int ret = 0;

	for (unsigned int leg = 0; leg < layout->nr_legs && !ret; leg++) {
		char role[16];

		snprintf(role, sizeof(role), "leg %u", leg);
		ret = open_part(opened, leg, &opened->legs[leg], role,
				opened->mirror.legs[leg].device, &layout->legs[leg], err);
	}
	if (!ret && layout->log_kind == MIRROR_LOG_DISK)
		ret = open_part(opened, LOG_OPERAND, &opened->log, "log", opened->mirror.log.device,
				&layout->log, err);
	return ret;
}

/* --- what is worth knowing ----------------------------------------------------------------------- */

/* Another host may run it this very moment. */
static const char *elsewhere(const struct lvm_vg *vg)
{
	if (vg->shared)
		return "is shared between hosts";
	if (vg->clustered)
		return "is clustered";
	return NULL;
}

/* What LVM does not tell of the host that runs: one with another system id owns it. */
static int note_group(struct opened_mirror *opened, struct error *err)
{
	const struct lvm_vg *vg = opened->lvm->mirror.vg;
	const char *what = elsewhere(vg);
	char *system_id = NULL;
	int ret = 0;

	if (!what && vg->system_id && vg->system_id[0]) {
		ret = lvm_host_system_id(&system_id, err);
		if (!ret && strcmp(vg->system_id, system_id))
			what = "belongs to another host";
		free(system_id);
	}
	if (ret || !what)
		return ret;
	opened->elsewhere = true;
	return discover_note(opened, err, "the volume group %s %s: the mirror may be active there, "
			     "so that what differs is suspect at most", vg->name, what);
}

static int note_layers(struct opened_mirror *opened, struct error *err)
{
	const struct lvm_mirror *layout = &opened->lvm->mirror;
	int ret = 0;

	if (layout->lv != layout->visible)
		ret = discover_note(opened, err, "%s is being converted by LVM: this is the mirror below "
				    "it, %s, which keeps the log; legs that are being added are not "
				    "looked at until the conversion has ended", opened->mirror.name,
				    layout->lv->name);
	if (!ret && layout->log_mirrored && !layout->log.missing)
		ret = discover_note(opened, err, "the log is a mirror itself: read is its leg 0, %s, which "
				    "the next activation copies over the others",
				    opened->mirror.log.device);
	if (!ret && layout->nosync)
		ret = discover_note(opened, err, "LVM says that the mirror was made or extended without "
				    "being made equal (--nosync, 'M' in lvs): bits may be set that no "
				    "copy ever earned");
	return ret;
}

static int note_missing(struct opened_mirror *opened, struct error *err)
{
	const struct mirror *mirror = &opened->mirror;
	int ret = 0;

	for (unsigned int leg = 0; leg < mirror->nr_legs && !ret; leg++)
		if (mirror->legs[leg].missing)
			ret = discover_note(opened, err, "leg %u, %s, lies on a physical volume that is "
					    "missing", leg, mirror->legs[leg].device);
	if (!ret && mirror->log_kind == MIRROR_LOG_DISK && mirror->log.missing)
		ret = discover_note(opened, err, "the log, %s, lies on a physical volume that is missing",
				    mirror->log.device);
	return ret;
}

/* A copy of a disk, or a path of it: which is the right one LVM does not know either. */
static int note_duplicates(struct opened_mirror *opened, struct error *err)
{
	const struct lvm_vg *vg = opened->lvm->mirror.vg;
	int ret = 0;

	for (size_t i = 0; i < vg->nr_pvs && !ret; i++)
		if (vg->pvs[i].duplicate)
			ret = discover_note(opened, err, "a physical volume of %s is there twice: read is "
					    "%s, and not %s", vg->name, vg->pvs[i].name,
					    vg->pvs[i].duplicate);
	return ret;
}

/* --- all of it -------------------------------------------------------------------------------------- */

static unsigned int hold_flags(const struct mirror_operand *operand)
{
	return operand->hold_vg_lock ? LVM_HOLD_VG_LOCK : 0;
}

/* What a dry run shows may not be possible at all. */
static int note_refusal(struct opened_mirror *opened, const struct mirror_operand *operand,
			struct error *err)
{
	struct error why = { 0 };
	int ret, length;
	char *end;

	if (opened->lvm->mirror.log_kind == MIRROR_LOG_CORE)
		return 0;	/* which is refused at once */
	ret = lvm_hold_check(&opened->lvm->mirror, hold_flags(operand), &why);
	end = strstr(why.text, "; nothing was changed");
	length = end ? (int)(end - why.text) : (int)strlen(why.text);
	if (ret == -EOPNOTSUPP || ret == -ENODEV)
		return discover_note(opened, err, "without --dry-run this will be refused: %.*s", length,
				     why.text);
	return ret ? error_operation(err, -ret, "%s", why.text) : 0;
}

/* Before a writer opens anything. */
static int keep_lvm_out(struct opened_mirror *opened, const struct mirror_operand *operand,
			struct error *err)
{
	const struct lvm_mirror *layout = &opened->lvm->mirror;
	const char *note;
	int ret;

	if (layout->log_kind == MIRROR_LOG_CORE)
		return error_operation(err, EOPNOTSUPP, "%s has a core log: there are no bits on disk, and "
				       "the next activation copies leg 0 over the other legs; nothing "
				       "was changed", opened->mirror.name);
	ret = lvm_hold_take(&opened->lvm->hold, layout, hold_flags(operand), err);
	if (ret)
		return ret;
	note = lvm_hold_note(opened->lvm->hold);
	return note ? discover_note(opened, err, "%s", note) : 0;
}

static int open_lvm(struct opened_mirror *opened, const struct mirror_operand *operand,
		    struct error *err)
{
	int ret = describe(&opened->mirror, opened->lvm, err);

	opened->length_given = true;
	if (!ret && opened->access != MIRROR_READ)
		ret = keep_lvm_out(opened, operand, err);
	if (!ret && operand->rehearsal)
		ret = note_refusal(opened, operand, err);
	if (!ret)
		ret = open_parts(opened, err);
	if (!ret)
		ret = discover_check_places(opened, err);
	if (!ret)
		ret = note_missing(opened, err);
	if (!ret)
		ret = note_duplicates(opened, err);
	if (!ret)
		ret = note_layers(opened, err);
	if (!ret)
		ret = note_group(opened, err);
	return ret ? ret : discover_watch(opened, err);
}

int discover_lvm(struct opened_mirror *opened, const struct mirror_operand *operand,
		 struct error *err)
{
	struct lvm_word word;
	int ret = -ENXIO;

	if (!word_parse(&word, operand->name)) {
		word_free(&word);
		return ret;
	}
	opened->lvm = calloc(1, sizeof(*opened->lvm));
	if (!opened->lvm) {
		ret = no_memory(err);
	} else {
		ret = choose_mirror(opened->lvm, operand, &word, err);
		/* Who meant no LV does not want to hear of LVM. */
		if (ret && word.guessed) {
			memset(err, 0, sizeof(*err));
			ret = -ENXIO;
		} else if (!ret) {
			ret = open_lvm(opened, operand, err);
		}
	}
	word_free(&word);
	return ret;
}
