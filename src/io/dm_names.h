/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_DM_NAMES_H
#define IO_DM_NAMES_H

#include "io/dm.h"

/*
 * The dm device that MIRROR means: a block-device path, VG/LV, a dm name, a dm or
 * LV uuid, or MAJ:MIN. All readings are tried; two that name different devices
 * are refused, with both. Errors: -EINVAL for words that can name no mirror,
 * -ENXIO when nothing active has that name, otherwise as mapped_device_list().
 */
int mapped_device_find(struct mapped_device *found, const char *word, struct error *err);

/* "vg/my-lv" as device-mapper knows it: "vg-my--lv". -EINVAL when it is not
 * VG/LV, or too long. */
int mapped_name_of_lv(char *name, size_t room, const char *word);

/* Is `uuid` that of the logical volume or dm device that `word` names? Takes dm
 * uuids, those of LVM with or without a layer suffix ("-real"), and LV uuids with
 * LVM's dashes. */
bool mapped_uuid_matches(const char *uuid, const char *word);

#endif
