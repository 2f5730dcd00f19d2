#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A volume group of image files, after a report that a real LVM once gave.

lvm_pvs.py take REPORT.json      makes report.json here, its disks being image files (pv
                                 with the letter of the disk), and those files, empty
lvm_pvs.py fill VG/LV            legs in sync: data that differs in every sector, and a log
                                 that calls every region clean
lvm_pvs.py break VG/LV FIRST N   N sectors of an image, or of a log, hold 0xEE from then on
lvm_pvs.py dirty VG/LV REGION... the regions' bits are cleared
lvm_pvs.py assign FIELD VALUE    every row of report.json that has the field
lvm_pvs.py active yes|no         all LVs are active, or none
lvm_pvs.py vgs WORD...           what `lvm vgs -o vg_seqno,vg_name --select vg_uuid=ID`
                                 prints of report.json

Where a volume's sectors lie is worked out here from what the report calls seg_pe_ranges,
on its own.
"""
import json
import os
import struct
import sys

SECTOR = 512


class Group:
    def __init__(self, name=None):
        self.report = json.load(open("report.json"))["report"]
        section = [r for r in self.report if not name or r["vg"][0]["vg_name"] == name][0]
        self.vg = section["vg"][0]
        self.extent = int(self.vg["vg_extent_size"])
        self.pvs = {pv["pv_name"]: pv for pv in section["pv"]}
        self.lvs = {lv["lv_name"].strip("[]"): lv for lv in section["lv"]}
        self.images, self.pieces = {}, {}
        self.segments = {}
        for seg in section["seg"]:
            self.segments.setdefault(seg["lv_uuid"], []).append(seg)

    def segments_of(self, lv):
        return sorted(self.segments[self.lvs[lv]["lv_uuid"]], key=lambda s: int(s["seg_start"]))

    def pieces_of(self, lv):
        """What place() wants of every segment: (start, end, stripe size, places)."""
        if lv not in self.pieces:
            self.pieces[lv] = [self.piece(seg) for seg in self.segments_of(lv)]
        return self.pieces[lv]

    def piece(self, seg):
        places = []
        for area in seg["seg_pe_ranges"].split(" "):
            name, extents = area.rsplit(":", 1)
            first = int(extents.split("-")[0])
            places.append(None if name == "[unknown]" else
                          (name, int(self.pvs[name]["pe_start"]) + first * self.extent))
        start = int(seg["seg_start"])
        return start, start + int(seg["seg_size"]), int(seg["stripe_size"]), places

    def place(self, lv, sector):
        """Where one sector of an LV lies: (file, sector), or None on a missing disk."""
        for start, end, chunk, places in self.pieces_of(lv):
            if not start <= sector < end:
                continue
            at, which = sector - start, 0
            if len(places) > 1:
                number, rest = divmod(at, chunk)
                which, at = number % len(places), number // len(places) * chunk + rest
            return places[which] and (places[which][0], places[which][1] + at)
        raise SystemExit("%s has no sector %d" % (lv, sector))

    def write(self, lv, sector, data):
        for i in range(0, len(data), SECTOR):
            where = self.place(lv, sector + i // SECTOR)
            if where:
                image = self.image(where[0])
                image.seek(where[1] * SECTOR)
                image.write(data[i:i + SECTOR])
        for image in self.images.values():
            image.flush()

    def image(self, name):
        """Opened once: a mirror is written sector by sector."""
        if name not in self.images:
            self.images[name] = open(name, "r+b")
        return self.images[name]

    def read(self, lv, sector):
        name, at = self.place(lv, sector)
        with open(name, "rb") as image:
            image.seek(at * SECTOR)
            return image.read(SECTOR)

    def parts(self, lv):
        """Images, logs, region size; of a mirror that gets another leg, of what it was."""
        while "_mimagetmp_" in self.segments_of(lv)[0]["seg_pe_ranges"]:
            lv = self.segments_of(lv)[0]["seg_pe_ranges"].split(":")[0]
        seg = self.segments_of(lv)[0]
        images = [area.rsplit(":", 1)[0] for area in seg["seg_pe_ranges"].split(" ")]
        log = self.lvs[lv]["mirror_log"].strip("[]")
        if not log:
            return images, [], int(seg["region_size"])
        if self.segments_of(log)[0]["segtype"] == "mirror":
            return images, self.parts(log)[0], int(seg["region_size"])
        return images, [log], int(seg["region_size"])


def take(path):
    text = open(path).read()
    for letter in "abcdef":
        text = text.replace('"/dev/ubd%s' % letter, '"%s/pv%s.img' % (os.getcwd(), letter))
        text = text.replace('/dev/ubd%s' % letter, '%s/pv%s.img' % (os.getcwd(), letter))
    # Some were recorded with a slow disk.
    text = text.replace('/dev/mapper/slow', '%s/slow.img' % os.getcwd())
    open("report.json", "w").write(text)
    for section in json.loads(text)["report"]:
        for pv in section["pv"]:
            if pv["pv_name"].startswith("/"):
                with open(pv["pv_name"], "wb") as image:
                    image.truncate(int(pv["dev_size"]) * SECTOR)


def fill(vg, lv):
    group = Group(vg)
    images, logs, region = group.parts(lv)
    length = int(group.lvs[lv]["lv_size"])
    data = b"".join(struct.pack("<Q", (s + 1) * 0x9E3779B97F4A7C15 % 2**64) * 64
                    for s in range(length))
    for image in images:
        group.write(image, 0, data)
    regions = (length + region - 1) // region
    area = struct.pack("<IIQ", 0x4D695272, 2, regions).ljust(1024, b"\0")
    bits = (1 << regions) - 1
    area += bits.to_bytes((regions + 7) // 8, "little")
    area += bytes(-len(area) % SECTOR)
    for log in logs:
        group.write(log, 0, area)


def spoil(vg, lv, first, sectors):
    Group(vg).write(lv, first, b"\xee" * SECTOR * sectors)


def dirty(vg, lv, regions):
    group = Group(vg)
    for log in group.parts(lv)[1]:
        for region in regions:
            sector = 2 + region // 4096
            data = bytearray(group.read(log, sector))
            data[region % 4096 // 8] &= ~(1 << region % 8) & 0xFF
            group.write(log, sector, bytes(data))


def assign(field, value):
    report = json.load(open("report.json"))
    for section in report["report"]:
        for rows in section.values():
            for row in rows:
                if field in row:
                    row[field] = value
    json.dump(report, open("report.json", "w"))


def active(wanted):
    report = json.load(open("report.json"))
    for section in report["report"]:
        for lv in section.get("lv", []):
            lv["lv_active"] = "active" if wanted == "yes" else ""
            lv["lv_attr"] = lv["lv_attr"][:4] + ("a" if wanted == "yes" else "-") + lv["lv_attr"][5:]
    json.dump(report, open("report.json", "w"))


def main(words):
    if words[0] == "take":
        take(words[1])
    elif words[0] == "fill":
        fill(*words[1].split("/"))
    elif words[0] == "break":
        spoil(*words[1].split("/"), int(words[2]), int(words[3]))
    elif words[0] == "dirty":
        dirty(*words[1].split("/"), [int(word) for word in words[2:]])
    elif words[0] == "active":
        active(words[1])
    elif words[0] == "vgs":
        for section in json.load(open("report.json"))["report"]:
            for vg in section["vg"]:
                if words[-1] == "vg_uuid=" + vg["vg_uuid"]:
                    print("  %s %s" % (vg["vg_seqno"], vg["vg_name"]))
    elif words[0] == "assign":
        assign(*words[1:])
    else:
        raise SystemExit(__doc__)


main(sys.argv[1:])
