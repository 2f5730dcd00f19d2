/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_LVM_HOLD_PRIVATE_H
#define IO_LVM_HOLD_PRIVATE_H

#include "io/dm.h"
#include "io/lvm_hold.h"
#include "io/run_file.h"

#define HOLD_MAP_PREFIX "MIRRORCTL-LVM-"
#define HOLD_LVM_PREFIX "LVM-"
#define HOLD_ID_LENGTH 64u	/* VG and LV, as in LVM's dm uuids */
#define HOLD_COMPONENTS_MAX (MIRROR_LEGS_MAX + 1u)
#define HOLD_COMMAND_MS 60000u	/* of an lvm command that changes something */

/* An image or the log. What is known of one suffices to take it down, by whoever. */
struct hold_component {
	char id[HOLD_ID_LENGTH + 1];
	char *vg_name, *lv_name;	/* owned; they may be others by now */
	dev_t number;			/* of LVM's device; 0: not active */
	int fd;				/* kept open; -1: not */
	dev_t map_number;		/* of ours; 0: none */
	char *map_path;			/* owned */
};

struct hold_watch;

struct lvm_hold {
	struct run_file claim;
	char *name;			/* "vg/home"; owned */
	char id[HOLD_ID_LENGTH + 1];	/* of what the user named */
	struct hold_component components[HOLD_COMPONENTS_MAX];	/* by leg; LVM_HOLD_LOG */
	struct lvm_report report;	/* as it was once all was held; lv and mirror point
					 * into it */
	struct lvm_mirror mirror;
	bool mapper;			/* there is device-mapper */
	bool activating;		/* LVM was asked to activate the components */
	char *locking_directory;	/* with the group's lock; owned */
	int vg_lock_fd;			/* -1: not locked */
	char *note;			/* owned */
	struct hold_watch *watch;	/* owned */
};

/* --- components: lvm_hold_component.c */

/* VG's and LV's uuid as LVM puts them into a dm uuid; false when they are none. */
bool hold_id_make(char id[HOLD_ID_LENGTH + 1], const char *vg_uuid, const char *lv_uuid);
bool hold_component_used(const struct hold_component *component);
/* LVM's device of it, with or without a layer's suffix: -ENXIO, without an error: none. */
int hold_component_find(struct mapped_device *device, const char *id, struct error *err);
/* All that are there. */
int hold_components_activate(const struct hold_component *components, struct error *err);
/* Opens it, so that LVM keeps off. */
int hold_component_open(struct hold_component *component, struct error *err);
/* Closed, deactivated: by LVM, under its present name if it has another, or else without
 * LVM's help. Goes on after an error. */
int hold_components_deactivate(struct hold_component *components, struct error *err);
void hold_components_free(struct hold_component *components);
/* "dmsetup remove …; lvchange -an …" */
char *hold_components_by_hand(const struct hold_component *components);

/* --- maps: lvm_hold_map.c */

/* Makes the map of one component: from its live table, once that is what `place` says, or
 * where it is not active from `place` alone. */
int hold_map_make(struct hold_component *component, const struct lvm_place *place,
		  struct error *err);
/* 0, also when there is none. */
int hold_map_remove(struct hold_component *component, struct error *err);
void hold_map_uuid(char uuid[130], const char *id);
void hold_map_name(char name[128], const struct hold_component *component);

/* --- the file: lvm_hold_leftover.c */

const char *hold_run_directory(void);
int hold_claim(struct lvm_hold *hold, struct error *err);
int hold_claim_write(struct lvm_hold *hold, struct error *err);

/* --- the metadata: lvm_hold_watch.c */

/* So long is an answer waited for. The tests are less patient. */
extern unsigned int hold_watch_give_up_ms;
int hold_watch_start(struct lvm_hold *hold, struct error *err);
void hold_watch_stop(struct lvm_hold *hold);
/* Looks up the LV in a report: the mirror it describes. -ESTALE with an error that says
 * what became of it. Points into the report. */
int hold_mirror_of(struct lvm_mirror *mirror, const struct lvm_report *report,
		   const struct lvm_mirror *then, struct error *err);

#endif
