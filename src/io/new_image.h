/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IO_NEW_IMAGE_H
#define IO_NEW_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"

/*
 * A sparse file of sectors that must not have been there before, and that is gone
 * again unless it was written to its end: nobody shall take half of an image for a
 * whole one.
 */
struct new_image {
	const char *path;	/* borrowed */
	int fd;
	bool kept;
};

/* Creates it, mode 0600 (it holds a mirror's data), with `sectors` sectors of hole.
 * -EEXIST when there is anything of that name, a dangling link too. 0 or -errno
 * with an error; ended with new_image_close() in any case. */
int new_image_create(struct new_image *image, const char *path, uint64_t sectors,
		     struct error *err);
int new_image_write(struct new_image *image, uint64_t start_sector, const void *data,
		    uint64_t sectors, struct error *err);
/* File and name on stable storage. It is still removed unless it is kept. */
int new_image_sync(struct new_image *image, struct error *err);
void new_image_keep(struct new_image *image);
/* Removes it unless kept. Accepts one that could not be created. */
void new_image_close(struct new_image *image);

#endif
