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

struct signature_wanted {
	const struct device *device;	/* NULL: there is none, and nothing is found */
	uint64_t length;		/* sectors that are probed; 0: to its end */
	struct signature signature;
	int result;			/* 0, also when nothing was found; -errno when it could
					 * not be probed (the caller goes on without) */
};

/* Probes them, each on a descriptor of its own, read only, by one child for all: to make
 * one costs more than what it does. */
void signature_probe(struct signature_wanted *wanted, size_t nr);

/* A few words for people: "an ext4 file system \"home\"", "an LVM physical
 * volume", "a GPT partition table". Empty when nothing was found. */
char *signature_describe(char *out, size_t room, const struct signature *signature);

#endif
