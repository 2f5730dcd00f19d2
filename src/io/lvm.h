/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_LVM_H
#define IO_LVM_H

#include "core/lvm_layout.h"
#include "core/lvm_report.h"

/*
 * LVM's own command: the only one that reads its metadata. It is run without a shell, in
 * the C locale, with nothing of ours open in it, and what it says on stderr becomes part
 * of the error.
 */

/* Is there an `lvm` to ask? 0; -ENOENT with an error: none installed, so volume groups
 * cannot be looked at (explicit legs can). */
int lvm_probe(struct error *err);

/* Asked several times a second while an `lvm` runs: shall it be given up? NULL: never. */
void lvm_watch_cancel(bool (*cancelled)(void *context), void *context);

/* Somebody else who is asked that, of what one thread runs. */
struct lvm_cancel {
	bool (*wanted)(void *context);
	void *context;
};
/* For this thread; NULL: whom lvm_watch_cancel() names, at once. Returns who was before. */
const struct lvm_cancel *lvm_cancel_by(const struct lvm_cancel *cancel);
/* What has to be done, or known, although the end was asked for has lvm_late_ms more from
 * when that was noticed: a lock that somebody keeps must not keep us, too. */
extern const struct lvm_cancel lvm_cancel_late;
extern unsigned int lvm_late_ms;	/* the tests are less patient */
/* Shall this thread give up what it waits for? */
bool lvm_is_cancelled(void);

/* One that has waited so long for one and the same thing, a lock or a disk, is given up
 * before its time is over. 0, the default: none is. */
void lvm_give_up_idle(unsigned int idle_ms);

/* Runs `lvm` with these words (NULL-terminated, "lvm" not among them). *output gets its
 * stdout (allocated, NUL-terminated; may be NULL), at most `max_bytes`. 0; -ENOENT as
 * above; -EACCES: no permission; -EIO with an error that holds lvm's own first line;
 * -EFBIG; -ETIMEDOUT after `timeout_ms`; -ECANCELED: lvm_watch_cancel(). One that has to
 * be ended is asked by SIGTERM first; nothing of its process group is left. */
int lvm_run(char **output, size_t *nr_bytes, const char *const words[], size_t max_bytes,
	    unsigned int timeout_ms, struct error *err);

/* The same; *said gets what it printed on stderr, its first 4 KiB (allocated). */
int lvm_run_heard(char **output, size_t *nr_bytes, char **said, const char *const words[],
		  size_t max_bytes, unsigned int timeout_ms, struct error *err);

/* All volume groups, or the one named. 0; errors as lvm_run() (-EIO also for a group that
 * does not exist) and lvm_report_parse(). Freed with lvm_report_free(). */
int lvm_report_read(struct lvm_report *report, const char *vg_name, struct error *err);
/* Without LVM's locks: for who has the group's himself. */
int lvm_report_read_unlocked(struct lvm_report *report, const char *vg_name, struct error *err);

/* This host's system id, allocated, empty where it has none. */
int lvm_host_system_id(char **system_id, struct error *err);

/* The number that grows with every change of the group's metadata, and the name that the
 * group has now. No lock of LVM's is waited for. -ENODEV with an error: there is no such
 * group any more. */
#define LVM_NAME_ROOM 128u	/* NAME_LEN of LVM */
int lvm_vg_seqno(uint64_t *seqno, char vg_name[LVM_NAME_ROOM], const char *vg_uuid,
		 struct error *err);

/* For the tests: the directories, in the shape of PATH, in which lvm is looked for behind
 * PATH. NULL: the usual ones, which are missing in the PATH of many users and of cron. */
void lvm_look_in(const char *directories);

/* "vg/lv", "/dev/vg/lv", "/dev/mapper/v--g-lv", an LV's uuid with LVM's hyphens or
 * without, a dm uuid of LVM: which words mean an LV, and which one? Looks at the words
 * alone. True: *vg_name and *lv_name, or *uuid (32 letters, or 64 with the group's; its
 * hyphens are kept), are allocated. */
bool lvm_name_parse(char **vg_name, char **lv_name, char **uuid, const char *name);
/* "v--g-lv": LVM's name of a dm device; allocated, NULL when there is no memory. */
char *lvm_dm_name(const char *vg_name, const char *lv_name);
/* The other way; false when it cannot be one. Both allocated. `lv_name` still holds
 * suffixes like "_mimage_0" and "-real". */
bool lvm_dm_name_split(char **vg_name, char **lv_name, const char *dm_name);

#endif
