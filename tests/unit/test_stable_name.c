/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/stable_name.h"
#include "unit/suites.h"

/* A host of files: sys with the attributes of disks, dev with nodes that are files. */
static char directory[64], sys_root[80], dev_root[80];
static struct host_roots roots;

#define SDB makedev(8, 16)
#define SDB1 makedev(8, 17)
#define DM3 makedev(253, 3)
#define VG "0123456789abcdefghijklmnopqrstuv"
#define LV "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"

static void path_of(char path[512], const char *name)
{
	snprintf(path, 512, "%s/%s", directory, name);
}

/* The directories that lead to a file. */
static void parents_make(const char *path)
{
	char part[512];

	for (const char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		ck_assert(!mkdir(part, 0700) || errno == EEXIST);
	}
}

static void put(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	path_of(path, name);
	parents_make(path);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void link_put(const char *name, const char *target)
{
	char path[512];

	path_of(path, name);
	parents_make(path);
	ck_assert_int_eq(symlink(target, path), 0);
}

static void link_remove(const char *name)
{
	char path[512];

	path_of(path, name);
	ck_assert_int_eq(unlink(path), 0);
}

/* A disk sdb, its first partition and dm-3, nothing of which has a name yet. */
static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/test_stable.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(sys_root, sizeof(sys_root), "%s/sys", directory);
	snprintf(dev_root, sizeof(dev_root), "%s/dev", directory);
	roots = (struct host_roots){ .sys = sys_root, .dev = dev_root };
	put("sys/devices/sdb/uevent", "MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDEVTYPE=disk\n");
	put("sys/devices/sdb/dev", "8:16\n");
	put("sys/devices/sdb/sdb1/uevent", "DEVNAME=sdb1\nDEVTYPE=partition\nPARTN=1\n");
	put("sys/devices/sdb/sdb1/partition", "1\n");
	put("sys/devices/sdb/sdb1/start", "2048\n");
	put("sys/devices/sdb/sdb1/size", "4096\n");
	put("sys/devices/dm-3/uevent", "DEVNAME=dm-3\n");
	link_put("sys/dev/block/8:16", "../../devices/sdb");
	link_put("sys/dev/block/8:17", "../../devices/sdb/sdb1");
	link_put("sys/dev/block/253:3", "../../devices/dm-3");
	put("dev/sda", "");
	put("dev/sdb", "");
	put("dev/sdb1", "");
	put("dev/dm-3", "");
}

static void teardown(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

/* NULL: it has none. */
static void expect_name(dev_t dev, const char *expected)
{
	char name[STABLE_NAME_MAX];
	bool has = stable_name(name, sizeof(name), &roots, dev);

	ck_assert_str_eq(name, expected ? expected : "");
	ck_assert(has == (expected != NULL));
}

static void expect_path(dev_t dev, const char *expected)
{
	char wanted[512], *path;

	ck_assert_int_eq(stable_path(&path, &roots, dev), 0);
	path_of(wanted, expected);
	ck_assert_str_eq(path, wanted);
	free(path);
}

START_TEST(no_name)
{
	char *path;

	expect_name(SDB, NULL);
	expect_name(SDB1, NULL);
	expect_name(DM3, NULL);
	expect_name(makedev(7, 0), NULL);
	expect_path(SDB, "dev/sdb");
	ck_assert_int_eq(stable_path(&path, &roots, makedev(7, 0)), -ENODEV);
	ck_assert_ptr_null(path);
}
END_TEST

START_TEST(mapped)
{
	put("sys/devices/dm-3/dm/name", "vg-lv\n");
	put("sys/devices/dm-3/dm/uuid", "LVM-" VG LV "\n");
	expect_name(DM3, "dm:LVM-" VG LV);
	/* The same volume, now the layer below the origin of a snapshot. */
	put("sys/devices/dm-3/dm/uuid", "LVM-" VG LV "-real\n");
	expect_name(DM3, "dm:LVM-" VG LV);
	put("sys/devices/dm-3/dm/uuid", "CRYPT-LUKS2-0123-luks\n");
	expect_name(DM3, "dm:CRYPT-LUKS2-0123-luks");
	put("sys/devices/dm-3/dm/uuid", "LVM-short-real\n");
	expect_name(DM3, "dm:LVM-short-real");
	/* A name alone may be given to any other device. */
	put("sys/devices/dm-3/dm/uuid", "\n");
	link_put("dev/disk/by-id/dm-name-vg-lv", "../../dm-3");
	expect_name(DM3, NULL);
	expect_path(DM3, "dev/dm-3");
	link_put("dev/mapper/vg-lv", "../dm-3");
	expect_path(DM3, "dev/mapper/vg-lv");
}
END_TEST

/* Another device's link with our name. */
START_TEST(mapper_link_elsewhere)
{
	put("sys/devices/dm-3/dm/name", "vg-lv\n");
	link_put("dev/mapper/vg-lv", "../sda");
	expect_path(DM3, "dev/dm-3");
}
END_TEST

static const struct { const char *wwid, *name; } wwids[] = {
	{ "naa.5000c50012345678\n", "wwn-0x5000c50012345678" },
	{ "t10.ATA     QEMU HARDDISK                           QM00001             \n",
	  "wwid-t10.ATA_QEMU_HARDDISK_QM00001" },
	{ "eui.0025385971b0a1c2\n", "wwid-eui.0025385971b0a1c2" },
	{ "t10.\001\xff\n", "wwid-t10.??" },
	{ "naa.0000000000000000\n", NULL },
	{ "0000\n", NULL },
	{ "  \n", NULL },
	{ "\n", NULL },
	{ "", NULL },
	{ "nvme.0123456789012345678901234567890123456789012345678901234567890123456789"
	  "0123456789012345678901234567890123456789012345678901234567890\n", NULL },
};

START_TEST(disks)
{
	put("sys/devices/sdb/device/wwid", wwids[_i].wwid);
	expect_name(SDB, wwids[_i].name);
	expect_name(SDB1, NULL);
}
END_TEST

START_TEST(nvme)
{
	put("sys/devices/sdb/wwid", "eui.0025385971b0a1c2\n");
	expect_name(SDB, "wwid-eui.0025385971b0a1c2");
}
END_TEST

/* With and without udev a disk has the same name. */
START_TEST(links)
{
	link_put("dev/disk/by-id/ata-other", "../../sda");
	link_put("dev/disk/by-id/lvm-pv-uuid-0123", "../../sdb");
	link_put("dev/disk/by-id/md-name-host:0", "../../sdb");
	link_put("dev/disk/by-id/ata-dangling", "../../sdz");
	expect_name(SDB, NULL);
	link_put("dev/disk/by-id/usb-B", "../../sdb");
	expect_name(SDB, "usb-B");
	link_put("dev/disk/by-id/ata-C", "../../sdb");
	link_put("dev/disk/by-id/usb-A", "../../sdb");
	expect_name(SDB, "ata-C");
	link_put("dev/disk/by-id/scsi-35000", "../../sdb");
	expect_name(SDB, "scsi-35000");
	link_put("dev/disk/by-id/wwn-0x5000", "../../sdb");
	expect_name(SDB, "wwn-0x5000");
	expect_path(SDB, "dev/disk/by-id/wwn-0x5000");
	put("sys/devices/sdb/device/wwid", "naa.5000\n");
	expect_name(SDB, "wwn-0x5000");
}
END_TEST

START_TEST(partitions)
{
	link_put("dev/disk/by-id/ata-C-part1", "../../sdb1");
	expect_name(SDB1, "ata-C-part1");
	link_put("dev/disk/by-partuuid/0000aaaa-01", "../../sdb1");
	expect_name(SDB1, "partuuid-0000aaaa-01");
	expect_path(SDB1, "dev/disk/by-id/ata-C-part1");
	link_remove("dev/disk/by-id/ata-C-part1");
	expect_path(SDB1, "dev/disk/by-partuuid/0000aaaa-01");
	link_remove("dev/disk/by-partuuid/0000aaaa-01");
	put("sys/devices/sdb/sdb1/uevent", "DEVNAME=sdb1\nPARTUUID=0000AAAA-01\n");
	expect_name(SDB1, "partuuid-0000aaaa-01");
	put("sys/devices/sdb/sdb1/uevent", "DEVNAME=sdb1\nPARTUUID=00000000-01\n");
	expect_name(SDB1, NULL);
}
END_TEST

/* A disk with one partition in its DOS label. */
static void label_put(uint32_t start, uint32_t sectors)
{
	static const unsigned char id[] = { 0xef, 0xbe, 0xad, 0xde };
	unsigned char mbr[512] = { 0 };
	char path[512];
	int fd;

	memcpy(mbr + 440, id, sizeof(id));
	mbr[446 + 4] = 0x83;
	for (unsigned int i = 0; i < 4; i++) {
		mbr[446 + 8 + i] = (unsigned char)(start >> 8 * i);
		mbr[446 + 12 + i] = (unsigned char)(sectors >> 8 * i);
	}
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	path_of(path, "dev/sdb");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, mbr, sizeof(mbr)), sizeof(mbr));
	ck_assert_int_eq(ftruncate(fd, 4 << 20), 0);
	close(fd);
}

/* Neither udev nor a kernel that tells: the label on the disk. */
START_TEST(partition_of_label)
{
	label_put(2048, 4096);
	expect_name(SDB1, "partuuid-deadbeef-01");
	/* The label was changed since the kernel has read it. */
	label_put(2048, 4097);
	expect_name(SDB1, NULL);
	label_put(2049, 4096);
	expect_name(SDB1, NULL);
	label_put(2048, 4096);
	put("sys/devices/sdb/sdb1/partition", "2\n");
	expect_name(SDB1, NULL);
}
END_TEST

Suite *stable_name_suite(void)
{
	Suite *suite = suite_create("stable_name");
	TCase *tests = tcase_create("stable_name");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, no_name);
	tcase_add_test(tests, mapped);
	tcase_add_test(tests, mapper_link_elsewhere);
	tcase_add_loop_test(tests, disks, 0, sizeof(wwids) / sizeof(wwids[0]));
	tcase_add_test(tests, nvme);
	tcase_add_test(tests, links);
	tcase_add_test(tests, partitions);
	tcase_add_test(tests, partition_of_label);
	suite_add_tcase(suite, tests);
	return suite;
}
