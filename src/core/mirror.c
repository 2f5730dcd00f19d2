/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/mirror.h"

#include <stdlib.h>
#include <string.h>

void mirror_free(struct mirror *mirror)
{
	size_t i;

	if (!mirror)
		return;
	free(mirror->name);
	free(mirror->uuid);
	for (i = 0; i < MIRROR_LEGS_MAX; i++)
		free(mirror->legs[i].device);
	free(mirror->log.device);
	memset(mirror, 0, sizeof(*mirror));
}
