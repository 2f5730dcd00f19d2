#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lvm_many.py RECORDED NR DIRECTORY: many mirrors, from the report of one.

RECORDED is a report of one mirror with a log on disk, as LVM printed it. On stdout comes
the report of NR such mirrors, vg/lv000 and so on, laid out as LVM's own; in DIRECTORY
the physical volume with the logs, a sparse file: mirror i has i % (regions + 1) clean
regions. The other volumes' names are left as they are.
"""

import json
import os
import struct
import sys

MAGIC = 0x4D695272


def other_id(uuid, i):
    """As many letters and hyphens, others for each i."""
    digits = "%06d" % i
    return digits + uuid[6:]


def moved(ranges, i):
    """"/dev/ubda:0-7" for copy i."""
    name, _, extents = ranges.rpartition(":")
    first, last = map(int, extents.split("-"))
    size = last - first + 1
    return "%s:%d-%d" % (name, first + i * size, last + i * size)


def renamed(text, i):
    """Every name of the mirror's, as it stands in fields of all kinds."""
    for part in ("_mimage_", "_mlog"):
        text = text.replace("lv" + part, "lv%03d%s" % (i, part))
    return "lv%03d" % i if text == "lv" else text.replace("vg/lv", "vg/lv%03d" % i) \
        if text == "vg/lv" else text.replace("vg-lv", "vg-lv%03d" % i) \
        if text.endswith("vg-lv") else text


def copy_of(item, i):
    new = {}
    for key, value in item.items():
        if key.endswith("lv_uuid") or key == "mirror_log_uuid":
            value = other_id(value, i) if value else value
        elif key in ("seg_pe_ranges", "seg_le_ranges") and value.startswith("/dev/"):
            value = moved(value, i)
        elif key == "devices" and value.startswith("/dev/"):
            name, extent = value[:-1].rsplit("(", 1)
            size = int(item["seg_size"]) // EXTENT
            value = "%s(%d)" % (name, int(extent) + i * size)
        else:
            value = renamed(value, i)
        new[key] = value
    return new


def write_logs(path, report, nr, log):
    """One extent each, the first at pe_start."""
    mirror = next(s for s in report["seg"] if s["segtype"] == "mirror")
    regions = -(-int(mirror["seg_size"]) // int(mirror["region_size"]))
    start = next(int(p["pe_start"]) for p in report["pv"] if p["pv_name"] == log)
    with open(path, "wb") as image:
        image.truncate((start + (nr + 1) * EXTENT) * 512)
        for i in range(nr):
            image.seek((start + i * EXTENT) * 512)
            bits = (1 << i % (regions + 1)) - 1
            image.write(struct.pack("<IIQ", MAGIC, 2, regions).ljust(1024, b"\0"))
            image.write(bits.to_bytes(regions // 8 + 8, "little"))


recorded, nr, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(recorded) as stream:
    report = json.load(stream)["report"][0]
EXTENT = int(report["vg"][0]["vg_extent_size"])
log = next(s["seg_pe_ranges"].rpartition(":")[0] for s in report["seg"]
           if s["segtype"] == "linear" and s["seg_size"] == str(EXTENT))
image = os.path.join(os.path.abspath(directory), "pv")
write_logs(image, report, nr, log)
for pv in report["pv"]:
    pv["pv_size"] = pv["dev_size"] = str(1 << 40)
for key in ("lv", "seg", "pvseg"):
    report[key] = [copy_of(item, i) for i in range(nr) for item in report[key]
                   if key != "pvseg" or item["lv_uuid"]]

print('  {\n      "report": [\n          {')
for number, key in enumerate(("vg", "pv", "lv", "pvseg", "seg")):
    lines = ["                  " + json.dumps(item, separators=(", ", ":"))
             for item in report[key]]
    print('%s              "%s": [\n%s\n              ]' % (
        "              ,\n" if number else "", key,
        ",\n".join(lines).replace(log + ":", image + ":").replace(log + "(", image + "(")
        .replace('"%s"' % log, '"%s"' % image)))
print("          }\n      ]\n  }")
