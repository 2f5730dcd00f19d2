/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/marker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define CONSEQUENCE "nothing was suspended"

int marker_open(struct run_file *marker, const char *run_directory, const char *name,
		struct error *err)
{
	int r = run_file_open(marker, run_directory, "suspended", name, CONSEQUENCE, err);

	if (r == -EBUSY)
		return error_operation(err, EBUSY, "another mirrorctl works on %s while it runs "
				       "(it holds %s): wait for its end", name, marker->path);
	return r;
}

const char *marker_remedy(char *text, size_t room, const struct mapped_device *device)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._+:=@-";

	if (device->name[0] != '-' && !device->name[strspn(device->name, plain)])
		snprintf(text, room, "dmsetup resume %s", device->name);
	else
		snprintf(text, room, "dmsetup resume -j %u -m %u", major(device->number),
			 minor(device->number));
	return text;
}

int marker_write(struct run_file *marker, const struct mapped_device *device, struct error *err)
{
	char text[768], remedy[192], when[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	int r;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	marker_remedy(remedy, sizeof(remedy), device);
	snprintf(text, sizeof(text),
		 "# mirrorctl suspended this device to repair its log. If it is still "
		 "suspended\n# and no mirrorctl runs, this resumes it, rightly:\n"
		 "%s\n"
		 "name %s\nuuid %s\ndevice %u:%u\npid %ld\ntime %s\n",
		 remedy, device->name, device->uuid[0] ? device->uuid : "-",
		 major(device->number), minor(device->number), (long)getpid(), when);
	r = run_file_write(marker, text);
	return r ? error_operation(err, -r, "cannot write %s: %s; " CONSEQUENCE, marker->path,
				   error_reason(r)) : 0;
}
