#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random mirrors repaired and put back: random_repairs.py PROGRAM SEED COUNT

Small mirrors (2 to 9 legs, odd lengths, offsets, every kind of header, short last
regions) are repaired in the current directory. A naive model says which bits may
change, which status is due, what the saved file must give back for each leg and what
undo has to restore. Prints the first disagreement with its seed, and exits 1.
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys

MAGIC = 0x4D695272
SECTOR = 512


class Mirror:
    def __init__(self, rnd):
        self.rnd = rnd
        self.region_size = rnd.choice([2, 4, 8, 16, 64, 128])
        self.length = rnd.randint(self.region_size, self.region_size * rnd.randint(1, 120))
        self.nr = -(-self.length // self.region_size)
        self.make_legs()
        self.make_log()

    def make_legs(self):
        rnd = self.rnd
        base = rnd.choice([rnd.randbytes(self.length * SECTOR), bytes(self.length * SECTOR)])
        self.legs, self.offsets = [], []
        for i in range(rnd.choice([2, 2, 2, 3, 4, 9])):
            leg, offset = bytearray(base), rnd.choice([0, 0, 1, 8, 2048])
            for _ in range(rnd.choice([0, 1, 2])):
                start = rnd.choice([rnd.randrange(self.length), self.length - 1])
                count = min(rnd.choice([1, 1, 2, 40]), self.length - start)
                for at in range(start, start + count):
                    leg[at * SECTOR + rnd.randrange(SECTOR)] ^= 1 << rnd.randrange(8)
            with open(f"leg{i}", "wb") as file:
                file.write(rnd.randbytes(offset * SECTOR) + leg)
                file.write(rnd.randbytes(SECTOR * rnd.choice([0, 1, 100])))
            self.legs.append(bytes(leg))
            self.offsets.append(offset)

    def make_log(self):
        rnd, nr = self.rnd, self.nr
        said = rnd.choice([nr] * 4 + [2**64 - 1, 2**32 - 1, nr // 2, nr + 5])
        version = rnd.choice([2] * 6 + [1, 3])
        magic = rnd.choice([MAGIC] * 9 + [0])
        fill = rnd.choice([0, 0, 0x5A])
        self.log_offset = rnd.choice([0, 0, 1, 7])
        bits = bytearray([fill]) * ((nr + 63) // 64 * 8)
        self.on_disk = [rnd.random() < 0.8 for _ in range(nr)]
        for region, clean in enumerate(self.on_disk):
            bits[region >> 3] &= ~(1 << (region & 7)) & 0xFF
            bits[region >> 3] |= clean << (region & 7)
        area = struct.pack("<IIQ", magic, version, said) + bytes([fill]) * 1008 + bits
        with open("log", "wb") as file:
            file.write(rnd.randbytes(self.log_offset * SECTOR) + area)
            file.write(bytes([fill]) * (-len(area) % SECTOR))
            file.write(rnd.randbytes(rnd.choice([0, 512, 5000])))
        kept = magic == MAGIC and version in (1, 2)
        self.clean = [kept and bit and region < said & 0xFFFFFFFF
                      for region, bit in enumerate(self.on_disk)]
        differing = {at // self.region_size for at in range(self.length)
                     if len(set(self.sectors(at))) > 1}
        self.lies = [region for region in range(nr) if self.clean[region] and region in differing]

    def sectors(self, at):
        return [leg[at * SECTOR:(at + 1) * SECTOR] for leg in self.legs]

    def words(self):
        return ([f"--log=log@{self.log_offset}", f"--region-size={self.region_size}",
                 f"--length={self.length}", "--io-engine=" + self.rnd.choice(["threads", "auto"])]
                + [f"--leg=leg{i}@{offset}" for i, offset in enumerate(self.offsets)])

    def cleared(self, log, regions):
        out = bytearray(log)
        for region in regions:
            out[self.log_offset * SECTOR + 1024 + region // 8] &= ~(1 << region % 8) & 0xFF
        return bytes(out)

    def saved(self, leg, lies):
        """What extract should give of a leg: its differing sectors of the lies, else zeros."""
        out = bytearray(self.length * SECTOR)
        for at in range(self.length):
            if at // self.region_size in lies and len(set(self.sectors(at))) > 1:
                out[at * SECTOR:(at + 1) * SECTOR] = self.sectors(at)[leg]
        return bytes(out)


class Failed(Exception):
    pass


class Trial:
    def __init__(self, program, rnd):
        self.program, self.rnd, self.mirror = program, rnd, Mirror(rnd)
        self.words = self.mirror.words()
        self.files = ["log"] + [f"leg{i}" for i in range(len(self.mirror.legs))]

    def run(self, *words):
        self.ran = [self.program, "--no-config", *words]
        done = subprocess.run(self.ran, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        self.said = done.stderr
        if "--json" in words:
            self.report = json.loads(done.stdout)
            self.want(self.report["exit_status"] == done.returncode, "the object's status is another")
        return done.returncode

    def want(self, condition, what):
        if not condition:
            raise Failed(what)

    def status(self, expected, got):
        self.want(got == expected, f"exit status {got}, expected {expected}")

    def contents(self):
        return {name: open(name, "rb").read() for name in self.files}

    def journals(self):
        return [os.path.join(where, name) for where, _, names in os.walk("state") for name in names]

    def repair(self, *words):
        return self.run("repair-log", "--json", "--force-large", "--state-dir=state", *self.words, *words)

    def check(self):
        mirror, rnd = self.mirror, self.rnd
        lies, before = mirror.lies, self.contents()
        chosen, also = lies, []
        if rnd.random() < 0.3:
            first = rnd.randrange(mirror.nr)
            chosen = [region for region in lies if region >= first]
            also = [f"--regions={first}-"]
        audit = self.run("audit", "--json", *self.words, *also)
        self.want(audit in (0, 4) and (audit == 4 or not chosen), f"audit ends with {audit}")
        lossy = any(item["class"] == "wrong" and item["id"] != "bogus-clean"
                    for item in self.report["findings"])
        if not also and rnd.random() < 0.3:
            with open("audit.json", "w", encoding="utf-8") as file:
                json.dump(self.report, file)
            also = ["--from=audit.json"]
        self.status(audit, self.repair("--dry-run", *also))
        self.want(self.contents() == before and not self.journals(), "--dry-run changed something")
        repaired = dict(before, log=mirror.cleared(before["log"], chosen))
        if rnd.random() < 0.3:
            got = self.repair("--yes", "-o", "new", *also)
            self.status(4 * lossy + bool(chosen), got)
            self.want(self.contents() == before and not self.journals(), "-o changed something")
            if chosen:
                new = open("new", "rb").read()
                start = mirror.log_offset * SECTOR
                self.want(repaired["log"][start:start + len(new)] == new and
                          len(new) >= 1024 + mirror.nr / 8, "-o is not the repaired log")
        got = self.repair("--yes", "--save-divergent=saved", *also)
        self.status(4 * lossy + bool(chosen), got)
        self.want(self.contents() == repaired, "not exactly the lies were cleared")
        if not chosen:
            self.want(not self.journals() and not os.path.exists("saved"), "files of a repair that did nothing")
            return
        self.want(self.report["result"]["repair"]["cleared_bits"] == len(chosen), "counts another number of bits")
        [journal] = self.journals()
        self.status(4 * lossy, self.repair("--yes", *[word for word in also if "from" not in word]))
        self.want(self.contents() == repaired and len(self.journals()) == 1, "the second run wrote")
        for leg in rnd.sample(range(len(mirror.legs)), 2):
            self.status(0, self.run("extract", "saved", f"--leg={leg}", "-o", f"out{leg}"))
            self.want(open(f"out{leg}", "rb").read() == mirror.saved(leg, set(chosen)),
                      f"extract gives another leg {leg}")
        self.put_back(journal, chosen, before, repaired)

    def put_back(self, journal, chosen, before, repaired):
        mirror, rnd = self.mirror, self.rnd
        words = [journal, "--yes", "--json", "--state-dir=state"]
        self.status(0, self.run("undo", "--dry-run", *words[:1], "--json", "--state-dir=state"))
        self.want(self.contents() == repaired, "undo --dry-run wrote")
        # One sector of some cleared regions changes, not in what identifies the mirror.
        changed = set()
        edge = 65536
        for region in rnd.sample(chosen, min(len(chosen), rnd.choice([0, 0, 1, 2]))):
            at = min(region * mirror.region_size + rnd.randrange(mirror.region_size), mirror.length - 1)
            if edge <= at * SECTOR < mirror.length * SECTOR - edge:
                leg = rnd.randrange(len(mirror.legs))
                place = (mirror.offsets[leg] + at) * SECTOR
                bytes_ = bytearray(open(f"leg{leg}", "rb").read())
                bytes_[place] ^= 1
                open(f"leg{leg}", "wb").write(bytes_)
                changed.add(region)
        now = self.contents()
        back = [region for region in chosen if region not in changed]
        self.status(4 * bool(changed) + bool(back), self.run("undo", *words))
        self.want(self.contents() == dict(now, log=mirror.cleared(before["log"], changed)),
                  "undo did not give back exactly what is proven")
        again = self.contents()
        got = self.run("undo", *words)
        self.want(got in ((0,) if not changed else (0, 4, 8)), f"undo twice ends with {got}")
        self.want(self.contents() == again, "undo twice wrote")


def main():
    program, seed, count = os.path.abspath(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for number in range(seed, seed + count):
        os.mkdir("trial")
        os.chdir("trial")
        trial = Trial(program, random.Random(number))
        try:
            trial.check()
        except (Failed, ValueError, KeyError, OSError) as error:
            print(f"seed {number}: {error!r} after {' '.join(trial.ran)}", trial.said, sep="\n  ")
            return 1
        os.chdir("..")
        shutil.rmtree("trial")
    return 0


if __name__ == "__main__":
    sys.exit(main())
