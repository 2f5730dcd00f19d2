/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/signature.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/region.h"

/* The answers of blkid_do_safeprobe(). */
#define PROBE_FOUND 0
#define PROBE_NOTHING 1
#define PROBE_AMBIVALENT (-2)

/* libblkid's buffered reads cannot be interrupted, so a child of our own makes them
 * and a device that hangs costs this much, not the run. */
#define PROBE_MS 2000

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

/* What the child tells: its verdict and what it found. */
struct answer {
	int ret;
	struct signature signature;
};

static void probe_and_tell(const struct device *device, uint64_t sectors, int out)
{
	struct answer answer = { .ret = 0 };
	int fd = open_again(device->file);

	answer.ret = fd < 0 ? fd : probe_run(&answer.signature, fd,
					     device->offset * SECTOR_BYTES, sectors * SECTOR_BYTES);
	_exit(write(out, &answer, sizeof(answer)) != sizeof(answer));
}

/* A signal ends the wait too: its sender does not want to wait for a label. */
static int wait_for_answer(int in, struct answer *answer)
{
	struct pollfd ready = { .fd = in, .events = POLLIN };
	int r = poll(&ready, 1, PROBE_MS);

	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	return read(in, answer, sizeof(*answer)) == sizeof(*answer) ? 0 : -EIO;
}

/* From its start: what lies on one file, and can be probed through it. */
static uint64_t in_one_piece(const struct device *device)
{
	const struct block_extent *first = &device->block.extents[0];

	return first->nr_stripes ? first->stripe_sectors : first->sectors;
}

int signature_probe(struct signature *signature, const struct device *device,
		    uint64_t length)
{
	uint64_t sectors = device->block.sectors;
	struct answer answer = { .ret = -EIO };
	int ends[2], ret;
	pid_t child;

	memset(signature, 0, sizeof(*signature));
	if (length && length < sectors)
		sectors = length;
	if (sectors > in_one_piece(device))
		sectors = in_one_piece(device);
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child == 0)
		probe_and_tell(device, sectors, ends[1]);
	close(ends[1]);
	ret = child < 0 ? -EAGAIN : wait_for_answer(ends[0], &answer);
	close(ends[0]);
	if (child > 0 && ret)
		kill(child, SIGKILL);	/* a device that hangs holds it: not waited for */
	else if (child > 0)
		waitpid(child, NULL, 0);
	if (ret || answer.ret)
		return ret ? ret : answer.ret;
	*signature = answer.signature;
	return 0;
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
