# SPDX-License-Identifier: GPL-2.0-or-later
"""A volume group of inactive mirrors on loop devices, for a real LVM that needs no
device-mapper: its metadata is written here and given to vgcfgrestore, and the LVM of
this host does not see it (unless udev tells it: then there is none)."""

import contextlib
import os
import shutil
import struct
import subprocess

MIB = 1 << 20
NR_DISKS = 4
PE_START = MIB                  # bytes; extents of 1 MiB

CONFIG = """
devices { dir="/dev" scan=["/dev"] filter=[%s, "r|.*|"] hints="none" use_devicesfile=0
          obtain_device_list_from_udev=0 external_device_info_source="none" }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
backup { backup=0 archive=0 }
"""

MIRROR = """
lv%(n)d { id="%(id)s" status=["READ","WRITE","VISIBLE"] flags=[] segment_count=1
  segment1 { start_extent=0 extent_count=1 type="mirror" mirror_count=2
    mirror_log="lv%(n)d_mlog" region_size=128
    mirrors=["lv%(n)d_mimage_0", 0, "lv%(n)d_mimage_1", 0] } }
"""

PART = """
lv%(n)d_%(part)s { id="%(id)s" status=["READ","WRITE"] flags=[] segment_count=1
  segment1 { start_extent=0 extent_count=1 type="striped" stripe_count=1
    stripes=["pv%(disk)d", %(extent)d] } }
"""


def why_not():
    """Why there can be no such group here; None: there can."""
    if os.geteuid():
        return "only root makes loop devices"
    if os.path.exists("/run/udev/control"):
        return "udev would show the group to the LVM of this host"
    for program in ("lvm", "losetup"):
        if not shutil.which(program):
            return "%s is not installed" % program
    return None


def uuid(kind, n):
    text = "%s%d" % (kind, n)
    text += "x" * (32 - len(text))
    return "-".join((text[:6], text[6:10], text[10:14], text[14:18], text[18:22], text[22:26],
                     text[26:]))


def places(n):
    """Of one mirror's parts: which disk, which extent."""
    return {"mimage_0": (0, n), "mimage_1": (1, n), "mlog": (2 + n % 2, n)}


def metadata(nr_mirrors):
    disks = "".join('pv%d { id="%s" device="none" status=["ALLOCATABLE"] flags=[] '
                    'dev_size=%d pe_start=%d pe_count=%d }\n'
                    % (disk, uuid("pv", disk), (nr_mirrors + 2) * 2048, PE_START // 512,
                       nr_mirrors) for disk in range(NR_DISKS))
    volumes = ""
    for n in range(nr_mirrors):
        volumes += MIRROR % {"n": n, "id": uuid("lv", n)}
        for part, (disk, extent) in places(n).items():
            volumes += PART % {"n": n, "part": part, "id": uuid(part.replace("_", ""), n),
                               "disk": disk, "extent": extent}
    return ('contents="Text Format Volume Group"\nversion=1\n'
            'bench { id="%s" seqno=1 format="lvm2" status=["RESIZEABLE","READ","WRITE"] flags=[] '
            'extent_size=2048 max_lv=0 max_pv=0 metadata_copies=0\n'
            'physical_volumes {\n%s}\nlogical_volumes {\n%s}\n}\n'
            % (uuid("vg", 0), disks, volumes))


def write_logs(names, nr_mirrors):
    for n in range(nr_mirrors):
        disk, extent = places(n)["mlog"]
        with open(names[disk], "rb+") as file:
            file.seek(PE_START + extent * MIB)
            file.write(struct.pack("<IIQ", 0x4D695272, 2, 16).ljust(1024, b"\0") + b"\xff\xff")


def lvm(*words):
    subprocess.run(["lvm", *words], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def group(directory, nr_mirrors):
    """While it lasts LVM_SYSTEM_DIR is set."""
    names = [os.path.join(directory, "disk%d" % disk) for disk in range(NR_DISKS)]
    text = os.path.join(directory, "metadata")
    loops = []
    before = os.environ.get("LVM_SYSTEM_DIR")
    try:
        for name in names:
            with open(name, "wb") as file:
                file.truncate((nr_mirrors + 2) * MIB)
            loops.append(subprocess.run(["losetup", "-f", "--show", name], check=True,
                                        stdout=subprocess.PIPE, text=True).stdout.strip())
        with open(text, "w") as file:
            file.write(metadata(nr_mirrors))
        with open(os.path.join(directory, "lvm.conf"), "w") as file:
            file.write(CONFIG % ", ".join('"a|^%s$|"' % loop for loop in loops))
        os.environ["LVM_SYSTEM_DIR"] = directory
        for disk, loop in enumerate(loops):
            lvm("pvcreate", "--norestorefile", "-u", uuid("pv", disk), loop)
        lvm("vgcfgrestore", "-f", text, "bench")
        write_logs(names, nr_mirrors)
        yield
    finally:
        for loop in loops:
            subprocess.run(["losetup", "-d", loop], check=False)
        os.environ.pop("LVM_SYSTEM_DIR", None)
        if before is not None:
            os.environ["LVM_SYSTEM_DIR"] = before
