#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random mirrors against a naive model: random_mirrors.py PROGRAM SEED COUNT

Makes small mirrors in the current directory (legs with offsets, odd lengths, logs
with every kind of header), audits them with PROGRAM, and compares regions,
sectors, counts and exit status with what the bytes say, bit by bit. Prints the
first disagreement with the seed that makes it again, and exits 1.
"""
import json
import random
import struct
import subprocess
import sys

MAGIC = 0x4D695272


def runs(items):
    out = []
    for item in items:
        if out and out[-1][1] + 1 == item:
            out[-1][1] = item
        else:
            out.append([item, item])
    return out


def sector(data, at):
    return data[at * 512:(at + 1) * 512]


class Mirror:
    """One random mirror and what is true of it."""

    def __init__(self, rnd):
        self.rnd = rnd
        self.region_size = rnd.choice([2, 4, 8, 16, 64, 128])
        self.length = rnd.randint(self.region_size, self.region_size * rnd.randint(1, 200))
        self.nr = -(-self.length // self.region_size)
        self.make_legs()
        self.make_log()

    def make_legs(self):
        rnd = self.rnd
        base = rnd.choice([rnd.randbytes(self.length * 512), bytes(self.length * 512)])
        self.legs, self.offsets = [], []
        for i in range(rnd.randint(2, 5)):
            leg, offset = bytearray(base), rnd.choice([0, 0, 1, 3, 8, 16, 2048])
            for _ in range(rnd.choice([0, 0, 1, 3, 10])):
                start = rnd.randrange(self.length)
                count = min(rnd.choice([1, 1, 2, 8, 40]), self.length - start)
                for at in range(start, start + count):
                    leg[at * 512:(at + 1) * 512] = rnd.choice(
                        [rnd.randbytes(512), bytes(512), b"\xff" * 512, b"\x11" * 512])
            with open(f"leg{i}", "wb") as file:
                if rnd.random() < 0.5:
                    file.write(rnd.randbytes(offset * 512))
                else:
                    file.seek(offset * 512)     # a hole
                file.write(leg + rnd.randbytes(512 * rnd.choice([0, 0, 1, 5, 100])))
            self.legs.append(leg)
            self.offsets.append(offset)

    def make_log(self):
        rnd, nr = self.rnd, self.nr
        said = rnd.choice([nr, nr, nr, 2**64 - 1, nr - 1, nr + 5, 2**32 + nr, 0, 2**32 - 1, nr // 2])
        magic = rnd.choice([MAGIC] * 8 + [0, 0x12345678, 0x7252694D])
        version = rnd.choice([2] * 6 + [1, 3])
        fill, self.log_offset = rnd.choice([0, 0xFF]), rnd.choice([0, 0, 1, 7])
        bits = bytearray([fill]) * ((nr + 63) // 64 * 8)
        on_disk = [rnd.random() < 0.7 for _ in range(nr)]
        for region, clean in enumerate(on_disk):
            bits[region >> 3] &= ~(1 << (region & 7)) & 0xFF
            bits[region >> 3] |= clean << (region & 7)
        area = struct.pack("<IIQ", magic, version, said) + bytes([fill]) * 1008 + bits
        with open("log", "wb") as file:
            file.write(rnd.randbytes(self.log_offset * 512) + area + bytes(-len(area) % 512))
        kept = magic == MAGIC and version in (1, 2)
        self.clean = [kept and bit and region < said & 0xFFFFFFFF
                      for region, bit in enumerate(on_disk)]

    def differing(self, leg):
        return [at for at in range(self.length) if sector(self.legs[leg], at) != sector(self.legs[0], at)]

    def words(self, program, everything):
        return ([program, "--no-config", "audit", "--json", f"--log=log@{self.log_offset}",
                 f"--region-size={self.region_size}", f"--length={self.length}",
                 "--io-engine=" + self.rnd.choice(["threads", "auto"])]
                + [f"--leg=leg{i}@{offset}" for i, offset in enumerate(self.offsets)]
                + (["--all"] if everything else []))

    def complaints(self, result, everything):
        differing = {leg: self.differing(leg) for leg in range(1, len(self.legs))}
        touched = {at // self.region_size for ats in differing.values() for at in ats}
        classes = {"verified": [], "bogus_clean": [], "equal_not_clean": [], "resync_pending": []}
        for region, clean in enumerate(self.clean):
            if clean:
                classes["bogus_clean" if region in touched else "verified"].append(region)
            elif everything:
                classes["resync_pending" if region in touched else "equal_not_clean"].append(region)
        for name, regions in classes.items():
            listed = [[run["first"], run["last"]] for run in result["region_runs"][name]]
            if listed != runs(regions) or result["counts"][name] != len(regions):
                yield f"{name}: {listed}, not {runs(regions)}"
        for leg, ats in differing.items():
            for verdict, clean in (("bogus_clean", True), ("resync_pending", False)):
                if not clean and not everything:
                    continue
                wanted = runs([at for at in ats if self.clean[at // self.region_size] == clean])
                listed = [[run["start_sector"], run["start_sector"] + run["sectors"] - 1]
                          for run in result["runs"] if (run["leg"], run["verdict"]) == (leg, verdict)]
                if listed != wanted:
                    yield f"leg {leg}, {verdict}: {listed}, not {wanted}"
        self.has_bogus = bool(classes["bogus_clean"])


def check(program, rnd):
    mirror, everything = Mirror(rnd), rnd.random() < 0.5
    words = mirror.words(program, everything)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
        found = list(mirror.complaints(report["result"], everything))
    except (ValueError, KeyError) as error:
        return words, [f"{error!r}: {done.stderr}"]
    lossy = any(finding["class"] == "wrong" for finding in report["findings"])
    if done.returncode not in ((4,) if mirror.has_bogus else (0, 4) if lossy else (0,)):
        found.append(f"exit status {done.returncode}")
    return words, found


def main():
    program, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for number in range(seed, seed + count):
        words, found = check(program, random.Random(number))
        if found:
            print(f"seed {number}: {' '.join(words)}", *found, sep="\n  ")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
