/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/signature.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/region.h"
#include "io/probe_child.h"

/* The answers of blkid_do_safeprobe(). */
#define PROBE_FOUND 0
#define PROBE_NOTHING 1
#define PROBE_AMBIVALENT (-2)

/* Labels come from the disk: what a terminal could act on becomes '?'. */
static void take_value(blkid_probe probe, const char *name, char *out, size_t room)
{
	const char *value;
	char *at;

	if (blkid_probe_lookup_value(probe, name, &value, NULL))
		return;
	snprintf(out, room, "%s", value);
	for (at = out; *at; at++)
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			*at = '?';
}

static int probe_prepare(blkid_probe probe, int fd, uint64_t start, uint64_t bytes)
{
	if (blkid_probe_set_device(probe, fd, (blkid_loff_t)start, (blkid_loff_t)bytes) ||
	    blkid_probe_enable_superblocks(probe, 1) ||
	    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE |
					      BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL |
					      BLKID_SUBLKS_UUID | BLKID_SUBLKS_VERSION) ||
	    blkid_probe_enable_partitions(probe, 1))
		return -EIO;
	return 0;
}

static int probe_run(struct signature *signature, int fd, uint64_t start, uint64_t bytes)
{
	blkid_probe probe = blkid_new_probe();
	int ret = -ENOMEM, found;

	if (!probe)
		goto out;
	ret = probe_prepare(probe, fd, start, bytes);
	if (ret)
		goto out;
	found = blkid_do_safeprobe(probe);
	if (found != PROBE_FOUND && found != PROBE_NOTHING && found != PROBE_AMBIVALENT) {
		ret = -EIO;
		goto out;
	}
	signature->ambivalent = found == PROBE_AMBIVALENT;
	take_value(probe, "TYPE", signature->type, sizeof(signature->type));
	take_value(probe, "USAGE", signature->usage, sizeof(signature->usage));
	take_value(probe, "LABEL", signature->label, sizeof(signature->label));
	take_value(probe, "UUID", signature->uuid, sizeof(signature->uuid));
	take_value(probe, "PTTYPE", signature->partition_table,
		   sizeof(signature->partition_table));
	signature->found = found != PROBE_NOTHING;
out:
	blkid_free_probe(probe);
	return ret;
}

/* A descriptor of its own, because libblkid seeks and reads buffered: the pages
 * it leaves in the cache are never looked at again. */
static int open_again(const struct block_file *file)
{
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat now;
	bool same;

	if (fd < 0)
		return -errno;
	same = fstat(fd, &now) == 0 &&
	       (file->regular ? S_ISREG(now.st_mode) && now.st_dev == file->dev &&
				now.st_ino == file->ino
			      : S_ISBLK(now.st_mode) && now.st_rdev == file->dev);
	if (same)
		return fd;
	close(fd);
	return -ESTALE;
}

/* From its start: what lies on one file, and can be probed through it. */
static uint64_t in_one_piece(const struct device *device)
{
	const struct block_extent *first = &device->block.extents[0];

	return first->nr_stripes ? first->stripe_sectors : first->sectors;
}

static int probe_device(void *signature, void *context)
{
	const struct signature_wanted *wanted = context;
	const struct device *device = wanted->device;
	uint64_t sectors = device->block.sectors;
	int fd = open_again(device->file), r;

	if (fd < 0)
		return fd;
	if (wanted->length && wanted->length < sectors)
		sectors = wanted->length;
	if (sectors > in_one_piece(device))
		sectors = in_one_piece(device);
	r = probe_run(signature, fd, device->offset * SECTOR_BYTES, sectors * SECTOR_BYTES);
	close(fd);
	return r;
}

void signature_probe(struct signature_wanted *wanted, size_t nr)
{
	struct probe_question *questions = calloc(nr ? nr : 1, sizeof(*questions));
	size_t nr_asked = 0;

	for (size_t i = 0; i < nr; i++) {
		memset(&wanted[i].signature, 0, sizeof(wanted[i].signature));
		wanted[i].result = questions || !wanted[i].device ? 0 : -ENOMEM;
		if (questions && wanted[i].device)
			questions[nr_asked++] = (struct probe_question){
				.answer = &wanted[i].signature, .context = &wanted[i] };
	}
	if (questions)
		probe_child_ask_all(questions, nr_asked, sizeof(struct signature), probe_device);
	for (size_t i = 0; i < nr_asked; i++)
		((struct signature_wanted *)questions[i].context)->result = questions[i].result;
	free(questions);
}

/* Names for people where libblkid's own would puzzle. */
static const struct {
	const char *type, *words;
} type_words[] = {
	{ "LVM2_member", "an LVM physical volume" },
	{ "LVM1_member", "an LVM1 physical volume" },
	{ "linux_raid_member", "a member of an md array" },
	{ "crypto_LUKS", "a LUKS encrypted volume" },
	{ "swap", "a swap area" },
	{ "swsuspend", "a hibernation image in a swap area" },
	{ "DM_snapshot_cow", "the exception store of a dm snapshot" },
	{ "zfs_member", "a member of a ZFS pool" },
	{ "bcache", "a bcache device" },
};

static const char *words_for_type(const char *type)
{
	size_t i;

	for (i = 0; i < sizeof(type_words) / sizeof(*type_words); i++)
		if (strcmp(type, type_words[i].type) == 0)
			return type_words[i].words;
	return NULL;
}

/* Some names are spelled out: "an ex-eff-ess", "a you-dee-eff". */
static const char *article_for(const char *word)
{
	static const char *const spelled[] = { "f2fs", "hfs", "hfsplus", "ntfs", "xfs" };
	size_t i;

	for (i = 0; i < sizeof(spelled) / sizeof(*spelled); i++)
		if (strcmp(word, spelled[i]) == 0)
			return "an";
	return strchr("aeioAEIO", word[0]) ? "an" : "a";
}

static void describe_type(char *out, size_t room, const struct signature *signature)
{
	const char *words = words_for_type(signature->type);

	if (words)
		snprintf(out, room, "%s", words);
	else
		snprintf(out, room, "%s %s %s", article_for(signature->type), signature->type,
			 strcmp(signature->usage, "filesystem") == 0 ? "file system" :
			 "signature");
}

static void describe_partition_table(char *out, size_t room, const char *kind)
{
	if (strcmp(kind, "gpt") == 0)
		snprintf(out, room, "a GPT partition table");
	else if (strcmp(kind, "dos") == 0)
		snprintf(out, room, "an MBR partition table");
	else
		snprintf(out, room, "%s %s partition table", article_for(kind), kind);
}

char *signature_describe(char *out, size_t room, const struct signature *signature)
{
	size_t used;

	if (!room)
		return out;
	out[0] = '\0';
	if (!signature->found)
		return out;
	if (signature->ambivalent)
		snprintf(out, room, "signatures of several kinds (wipefs lists them)");
	else if (signature->type[0])
		describe_type(out, room, signature);
	else if (signature->partition_table[0])
		describe_partition_table(out, room, signature->partition_table);
	else
		snprintf(out, room, "a signature");

	used = strlen(out);
	if (signature->label[0] && !signature->ambivalent)
		snprintf(out + used, room - used, " \"%s\"", signature->label);
	return out;
}
