/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DM_NAMES_H
#define IO_DM_NAMES_H

#include "io/dm.h"

/*
 * The dm device that MIRROR means: a block-device path, VG/LV, a dm name, a dm or
 * LV uuid, or MAJ:MIN. All readings are tried; two that name different devices
 * are refused, with both. Where LVM has put a layer on top of the mirror (the origin
 * of a snapshot, a conversion) the mirror below is meant; `note` (allocated, NULL when
 * there is nothing to say) tells then what was stepped over. Errors: -EINVAL for words
 * that can name no mirror, -ENXIO when nothing active has that name, otherwise as
 * mapped_device_list().
 */
int mapped_device_find(struct mapped_device *found, char **note, const char *word,
		       struct error *err);

/* "vg/my-lv" of the dm device of a logical volume, without the suffix of a layer. False
 * when it is none, or what its name says cannot be one's. */
bool mapped_lv_name(char *name, size_t room, const struct mapped_device *device);

/* Is this, behind the "vg/", the name of what pvmove moves data with? LVM gives it to
 * nothing else. */
bool lv_name_is_pvmove(const char *lv);

/* Is it the layer below a volume that LVM is converting, which holds the mirror as it
 * was, log on disk and all? */
bool mapped_is_conversion_layer(const struct mapped_device *device);

/* "vg/my-lv" as device-mapper knows it: "vg-my--lv". -EINVAL when it is not
 * VG/LV, or too long. */
int mapped_name_of_lv(char *name, size_t room, const char *word);

/* Is `uuid` that of the logical volume or dm device that `word` names? Takes dm
 * uuids, those of LVM with or without a layer suffix ("-real"), and LV uuids with
 * LVM's dashes. */
bool mapped_uuid_matches(const char *uuid, const char *word);

#endif
