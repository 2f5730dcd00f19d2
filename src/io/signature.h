/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_SIGNATURE_H
#define IO_SIGNATURE_H

#include <stdbool.h>

#include "io/device.h"

/* What libblkid recognises at the start of a leg or log. All strings may be
 * empty. */
struct signature {
	bool found;
	bool ambivalent;	/* more than one kind of thing lives here */
	char type[32];		/* "ext4", "LVM2_member", "swap", … */
	char usage[32];		/* "filesystem", "raid", "crypto", "other" */
	char label[64];
	char uuid[48];
	char partition_table[16];	/* "dos", "gpt" */
};

/* Probes `length` sectors of the device (0 = to its end) on a descriptor of its
 * own, read only. 0, also when nothing was found; -errno when it could not be
 * probed (the caller goes on without). */
int signature_probe(struct signature *signature, const struct device *device,
		    uint64_t length);

/* A few words for people: "an ext4 file system \"home\"", "an LVM physical
 * volume", "a GPT partition table". Empty when nothing was found. */
char *signature_describe(char *out, size_t room, const struct signature *signature);

#endif
