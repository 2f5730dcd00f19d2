/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/lvm_hold_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/lvm_same.h"
#include "io/vg_lock.h"

#define LOCK_WAIT_MS 30000u
#define ANSWER_MS 60000u
#define CONFIG_BYTES_MAX 65536u

/* --- which mirrors can be held ------------------------------------------------------ */

static int no_memory(const struct lvm_hold *hold, struct error *err)
{
	return error_operation(err, ENOMEM, "not enough memory to hold %s",
			       hold->name ? hold->name : "the mirror");
}

static int check_group(const struct lvm_mirror *mirror, struct error *err)
{
	char *system_id = NULL;
	int r = 0;

	if (mirror->vg->system_id && mirror->vg->system_id[0])
		r = lvm_host_system_id(&system_id, err);
	if (!r)
		r = lvm_vg_check_writable(mirror->vg, system_id, err);
	free(system_id);
	return r;
}

static int check_shape(const struct lvm_hold *hold, const struct lvm_mirror *mirror,
		       struct error *err)
{
	if (mirror->pvmove)
		return error_operation(err, EOPNOTSUPP, "%s is what pvmove moves data with, and only LVM "
				       "may write to that: let it end, or pvmove --abort; nothing was "
				       "changed", hold->name);
	if (mirror->visible->hidden)
		return error_operation(err, EOPNOTSUPP, "%s is a part of another logical volume: what "
				       "LVM does with that is not kept from it, so it is not written "
				       "while it is not active; nothing was changed", hold->name);
	if (mirror->lv != mirror->visible)
		return error_operation(err, EOPNOTSUPP, "%s is being converted: activate it and let "
				       "that end (lvconvert %s); nothing was changed", hold->name,
				       hold->name);
	if (mirror->log_mirrored)
		return error_operation(err, EOPNOTSUPP, "the log of %s is a mirror itself, and is not "
				       "written while it is not active: lvconvert --mirrorlog disk "
				       "%s makes it one log, or activate it; nothing was changed",
				       hold->name, hold->name);
	for (unsigned int leg = 0; leg < mirror->nr_legs; leg++)
		if (mirror->legs[leg].missing)
			return error_operation(err, ENODEV, "leg %u of %s is on a physical volume that "
					       "is missing: bring that back first; nothing was changed",
					       leg, hold->name);
	if (mirror->log_kind == MIRROR_LOG_DISK && mirror->log.missing)
		return error_operation(err, ENODEV, "the log of %s is on a physical volume that is "
				       "missing: bring that back first; nothing was changed",
				       hold->name);
	return 0;
}

static int add_component(struct lvm_hold *hold, const struct lvm_mirror *mirror, unsigned int at,
			 const struct lvm_lv *lv, struct error *err)
{
	struct hold_component *component = &hold->components[at];

	component->vg_name = strdup(mirror->vg->name);
	component->lv_name = strdup(lv->name);
	if (!component->vg_name || !component->lv_name)
		return no_memory(hold, err);
	if (!hold_id_make(component->id, mirror->vg->uuid, lv->uuid))
		return error_operation(err, EBADMSG, "LVM's report has no proper uuid for %s/%s",
				       mirror->vg->name, lv->name);
	return 0;
}

static int name_mirror(struct lvm_hold *hold, const struct lvm_mirror *mirror, struct error *err)
{
	if (asprintf(&hold->name, "%s/%s", mirror->vg->name, mirror->visible->name) < 0) {
		hold->name = NULL;
		return no_memory(hold, err);
	}
	if (!hold_id_make(hold->id, mirror->vg->uuid, mirror->visible->uuid))
		return error_operation(err, EBADMSG, "LVM's report has no proper uuid for %s",
				       hold->name);
	return 0;
}

static int name_components(struct lvm_hold *hold, const struct lvm_mirror *mirror,
			   struct error *err)
{
	int r = 0;

	for (unsigned int leg = 0; leg < mirror->nr_legs && !r; leg++)
		r = add_component(hold, mirror, leg, mirror->legs[leg].lv, err);
	if (!r && mirror->log_kind == MIRROR_LOG_DISK)
		r = add_component(hold, mirror, LVM_HOLD_LOG, mirror->log.lv, err);
	return r;
}

/* --- what both ways have in common ---------------------------------------------------- */

/* Neither the mirror nor a part of it. */
static int check_inactive(const struct lvm_hold *hold, struct error *err)
{
	struct mapped_device device;
	int r = hold_component_find(&device, hold->id, err);

	if (!r)
		return error_operation(err, EBUSY, "%s is active: deactivate it first (lvchange -an "
				       "%s), or see mirrorctl repair-log --online; nothing was changed",
				       hold->name, hold->name);
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX && r == -ENXIO; i++) {
		const struct hold_component *component = &hold->components[i];

		if (!hold_component_used(component))
			continue;
		r = hold_component_find(&device, component->id, err);
		if (!r)
			return error_operation(err, EBUSY, "%s/%s, a part of %s, is active by itself: "
					       "stop its user and lvchange -an %s/%s; nothing was "
					       "changed", component->vg_name, component->lv_name,
					       hold->name, component->vg_name, component->lv_name);
	}
	return r == -ENXIO ? 0 : r;
}

/* The report as it is now: nothing may have happened since the first one. */
static int look_again(struct lvm_hold *hold, const struct lvm_mirror *mirror, struct error *err)
{
	struct error change = { 0 };
	int r = hold_mirror_of(&hold->mirror, &hold->report, mirror, &change);

	if (r == -ESTALE)
		return error_operation(err, ESTALE, "%s %s while it was being opened: look at it "
				       "again; nothing was changed", hold->name, change.text);
	if (r)
		return error_operation(err, -r, "%s", change.text);
	return check_group(&hold->mirror, err);
}

static int make_maps(struct lvm_hold *hold, struct error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX && !r; i++)
		if (hold_component_used(&hold->components[i]))
			r = hold_map_make(&hold->components[i], i == LVM_HOLD_LOG ?
					  &hold->mirror.log : &hold->mirror.legs[i], err);
	return r;
}

static int take_down(struct lvm_hold *hold, struct error *err)
{
	int r = 0, code = 0;

	hold_watch_stop(hold);
	for (unsigned int i = HOLD_COMPONENTS_MAX; i-- > 0;)
		if (hold->components[i].map_number) {
			code = hold_map_remove(&hold->components[i], err);
			r = r ? r : code;
		}
	if (hold->activating)
		code = hold_components_deactivate(hold->components, err);
	hold->activating = false;
	if (hold->vg_lock_fd >= 0)
		close(hold->vg_lock_fd);
	hold->vg_lock_fd = -1;
	return r ? r : code;
}

/* --- by LVM's own means ------------------------------------------------------------------ */

static int open_components(struct lvm_hold *hold, struct error *err)
{
	int r = 0;

	hold->activating = true;
	r = hold_components_activate(hold->components, err);
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX && !r; i++)
		if (hold_component_used(&hold->components[i]))
			r = hold_component_open(&hold->components[i], err);
	return r;
}

static int hold_components(struct lvm_hold *hold, const struct lvm_mirror *mirror,
			   struct error *err)
{
	/* LVM waits for its lock here, so for the end of whatever began before. */
	int r = lvm_report_read(&hold->report, mirror->vg->name, err);

	if (!r)
		r = look_again(hold, mirror, err);
	if (!r)
		r = make_maps(hold, err);
	if (!r)
		r = hold_watch_start(hold, err);
	return r;
}

/* --- by the group's lock -------------------------------------------------------------------- */

/* locking_dir="/run/lock/lvm" */
static int find_locking_directory(struct lvm_hold *hold, struct error *err)
{
	static const char *const words[] = { "lvmconfig", "--typeconfig", "full",
					     "global/locking_dir", NULL };
	char *text, *from, *to = NULL;
	int r = lvm_run(&text, NULL, words, CONFIG_BYTES_MAX, ANSWER_MS, err);

	if (r)
		return r;
	from = strchr(text, '"');
	if (from)
		to = strchr(++from, '"');
	if (to && *from == '/')
		hold->locking_directory = strndup(from, (size_t)(to - from));
	free(text);
	return hold->locking_directory ? 0 :
	       error_operation(err, EIO, "lvmconfig does not say where LVM has its locks "
			       "(global/locking_dir)");
}

static int hold_lock(struct lvm_hold *hold, const struct lvm_mirror *mirror, bool mapper,
		     struct error *err)
{
	const char *vg_name = mirror->vg->name;
	int r = find_locking_directory(hold, err);

	if (!r)
		r = vg_lock_name(&hold->vg_lock_fd, hold->locking_directory, vg_name, LOCK_WAIT_MS,
				 err);
	if (!r)
		/* Without a lock, as it is ours: who waits for it would be waited for. */
		r = lvm_report_read_unlocked(&hold->report, vg_name, err);
	if (!r)
		r = look_again(hold, mirror, err);
	if (!r && mapper)
		r = check_inactive(hold, err);
	if (!r && mapper)
		r = make_maps(hold, err);
	if (!r && asprintf(&hold->note, "the volume group %s is locked as long as this runs: LVM "
			   "commands that change anything in it, or activate, wait for its end",
			   vg_name) < 0) {
		hold->note = NULL;
		r = no_memory(hold, err);
	}
	return r;
}

/* --- all of it -------------------------------------------------------------------------------- */

/* LVM cannot do it: the lock, if that was asked for. */
static int components_failed(struct lvm_hold *hold, const struct lvm_mirror *mirror,
			     unsigned int flags, const struct error *why, struct error *err)
{
	int r;

	if (!(flags & LVM_HOLD_VG_LOCK))
		return error_operation(err, EIO, "LVM cannot be kept from %.100s by activating its parts: "
				       "%.200s; if that cannot be helped, --hold-vg-lock locks the "
				       "volume group as long as this runs; nothing was changed",
				       hold->name, why->text);
	r = take_down(hold, err);
	return r ? r : hold_lock(hold, mirror, true, err);
}

static int take(struct lvm_hold *hold, const struct lvm_mirror *mirror, unsigned int flags,
		struct error *err)
{
	struct error why = { 0 };
	int r;

	if (!hold->mapper)
		return hold_lock(hold, mirror, false, err);
	r = check_inactive(hold, err);
	if (!r)
		r = hold_claim_write(hold, err);
	if (r)
		return r;
	r = open_components(hold, &why);
	/* lvm.conf may keep them from being active, and LVM calls that no error. */
	if (r == -EIO || r == -ENXIO)
		return components_failed(hold, mirror, flags, &why, err);
	if (r)
		return error_operation(err, -r, "%s", why.text);
	return hold_components(hold, mirror, err);
}

/* All that says no by the report alone. */
static int check(struct lvm_hold *hold, const struct lvm_mirror *mirror, unsigned int flags,
		 struct error *err)
{
	int r = name_mirror(hold, mirror, err);

	if (!r)
		r = check_shape(hold, mirror, err);
	if (!r)
		r = check_group(mirror, err);
	hold->mapper = mapper_probe(NULL) != -ENODEV;
	if (r || hold->mapper || (flags & LVM_HOLD_VG_LOCK))
		return r;
	return error_operation(err, ENODEV, "this kernel has no device-mapper, so LVM cannot be kept "
			       "from %s by activating its parts: --hold-vg-lock locks the volume group "
			       "as long as this runs; nothing was changed", hold->name);
}

static struct lvm_hold *hold_new(void)
{
	struct lvm_hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		return NULL;
	hold->claim.fd = hold->claim.directory_fd = hold->vg_lock_fd = -1;
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		hold->components[i].fd = -1;
	return hold;
}

int lvm_hold_check(const struct lvm_mirror *mirror, unsigned int flags, struct error *err)
{
	struct lvm_hold *hold = hold_new();
	int r = hold ? check(hold, mirror, flags, err) :
		       error_operation(err, ENOMEM, "not enough memory to look at the mirror");

	lvm_hold_release(hold, NULL);
	return r;
}

int lvm_hold_take(struct lvm_hold **taken, const struct lvm_mirror *mirror, unsigned int flags,
		  struct error *err)
{
	struct lvm_hold *hold = hold_new();
	int r;

	*taken = NULL;
	if (!hold)
		return error_operation(err, ENOMEM, "not enough memory to hold the mirror");
	r = check(hold, mirror, flags, err);
	if (!r)
		r = name_components(hold, mirror, err);
	if (!r)
		r = hold_claim(hold, err);
	if (!r)
		r = take(hold, mirror, flags, err);
	mapper_release();
	if (r)
		lvm_hold_release(hold, err);
	else
		*taken = hold;
	return r;
}

int lvm_hold_release(struct lvm_hold *hold, struct error *err)
{
	struct error why = { 0 };
	const struct lvm_cancel *before;
	char *by_hand;
	int r;

	if (!hold)
		return 0;
	before = lvm_cancel_by(&lvm_cancel_late);
	r = take_down(hold, &why);
	lvm_cancel_by(before);
	if (r) {
		by_hand = hold_components_by_hand(hold->components);
		error_operation(err, -r, "what kept LVM from %.100s could not be taken down: %.120s; by "
				"hand: %.250s", hold->name, why.text, by_hand ? by_hand : "");
		free(by_hand);
	} else {
		run_file_remove(&hold->claim);
	}
	run_file_close(&hold->claim);
	mapper_release();
	hold_components_free(hold->components);
	lvm_mirror_free(&hold->mirror);
	lvm_report_free(&hold->report);
	free(hold->locking_directory);
	free(hold->note);
	free(hold->name);
	free(hold);
	return r;
}

const char *lvm_hold_path(const struct lvm_hold *hold, unsigned int leg)
{
	return leg < HOLD_COMPONENTS_MAX ? hold->components[leg].map_path : NULL;
}

bool lvm_hold_owns(const struct lvm_hold *hold, dev_t device)
{
	for (unsigned int i = 0; i < HOLD_COMPONENTS_MAX; i++)
		if (device && (hold->components[i].number == device ||
			       hold->components[i].map_number == device))
			return true;
	return false;
}

char *lvm_hold_by_hand(const struct lvm_hold *hold)
{
	return hold_components_by_hand(hold->components);
}

const char *lvm_hold_note(const struct lvm_hold *hold)
{
	return hold->note;
}
