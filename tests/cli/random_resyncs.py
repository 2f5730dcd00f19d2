#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a dry run says against what the run does: random_resyncs.py PROGRAM SEED COUNT

Makes small mirrors in the current directory, as random_mirrors.py does, runs
`resync offline` with random options first with --dry-run, then with --yes, and compares
the two reports with each other and with the files as they were and as they are: bytes
and runs of every leg, bits of the log. Prints the first disagreement with the seed that
makes it again, and exits 1.
"""
import json
import random
import subprocess
import sys

from random_mirrors import MAGIC, Mirror, runs, sector

# What both reports say, each of what it has done or would have done.
SAME = ("source", "not_clean", "end", "copied", "rewritten", "equal", "verified", "lied", "skipped", "failed",
        "unverified", "equal_bytes", "written_bytes", "rewritten_bytes", "hole_bytes", "cleared_bits", "set_bits",
        "header_made_good", "unreadable", "truncated")


class Resync:
    """A mirror, and the words with which its legs are made equal."""

    def __init__(self, program, rnd):
        self.program, self.rnd = program, rnd
        self.mirror = Mirror(rnd)
        self.nr_legs = len(self.mirror.legs)
        self.options = [o for o, p in (("--verify", 0.5), ("--copy-all", 0.2), ("--readback", 0.3))
                        if rnd.random() < p]
        self.sources = [0] * self.mirror.nr
        choice = rnd.random()
        if choice < 0.3:
            source = rnd.randrange(self.nr_legs)
            self.options.append(f"--source={source}")
            self.sources = [source] * self.mirror.nr
        elif choice < 0.7:
            self.make_plan()
            self.options.append("--plan=plan")

    def make_plan(self):
        rnd, at, lines = self.rnd, 0, ["mirrorctl resync plan 1"]
        otherwise = rnd.choice([*range(self.nr_legs), None])
        self.sources = [otherwise] * self.mirror.nr
        while at < self.mirror.nr and len(lines) < 6:
            first = rnd.randrange(at, self.mirror.nr)
            last = min(first + rnd.choice([0, 1, 5, 30]), self.mirror.nr - 1)
            source = rnd.choice([*range(self.nr_legs), None])
            self.sources[first:last + 1] = [source] * (last - first + 1)
            lines.append(f"{first}-{last} " + ("skip" if source is None else f"source {source}"))
            at = last + 1
        lines.append("* " + ("skip" if otherwise is None else f"source {otherwise}"))
        with open("plan", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")

    def run(self, *more):
        mirror = self.mirror
        self.words = ([self.program, "--no-config", "resync", "offline", "--json",
                       f"--log=log@{mirror.log_offset}", f"--region-size={mirror.region_size}",
                       f"--length={mirror.length}", *self.options, *more]
                      + [f"--leg=leg{i}@{offset}" for i, offset in enumerate(mirror.offsets)])
        done = subprocess.run(self.words, capture_output=True, text=True, check=False)
        try:
            return json.loads(done.stdout)["result"]["resync"]
        except (ValueError, KeyError) as error:
            raise RuntimeError(f"{error!r}: status {done.returncode}, {done.stderr}") from error

    def files(self):
        names = ["log"] + [f"leg{i}" for i in range(self.nr_legs)]
        return {name: open(name, "rb").read() for name in names}

    def sectors_of(self, region):
        first = region * self.mirror.region_size
        return range(first, min(first + self.mirror.region_size, self.mirror.length))

    def is_copied(self, region):
        """Is it written to, or at least compared and called clean?"""
        legs = self.mirror.legs
        if self.sources[region] is None:
            return False
        return not self.mirror.clean[region] or "--verify" in self.options and (
            "--copy-all" in self.options or
            any(sector(leg, at) != sector(legs[0], at)
                for at in self.sectors_of(region) for leg in legs[1:]))

    def expected_writes(self, leg):
        """The sectors of a leg that are written, from the bytes alone."""
        legs, out = self.mirror.legs, []
        for region, source in enumerate(self.sources):
            if source != leg and self.is_copied(region):
                out += [at for at in self.sectors_of(region) if "--copy-all" in self.options or
                        sector(legs[source], at) != sector(legs[leg], at)]
        return out


def bits_of(log, mirror):
    at = mirror.log_offset * 512
    raw = log[at + 1024:at + 1024 + (mirror.nr + 7) // 8]
    return [raw[region >> 3] >> (region & 7) & 1 for region in range(mirror.nr)]


def listed(report, leg):
    return [[run["start_sector"], run["start_sector"] + run["sectors"] - 1]
            for run in report.get("written", []) if run["leg"] == leg]


def legs_complaints(resync, dry, before, after):
    for leg, offset in enumerate(resync.mirror.offsets):
        wanted = resync.expected_writes(leg)
        # One after the other: a run ends where the source changes.
        said = [at for first, last in listed(dry, leg) for at in range(first, last + 1)]
        if said != wanted:
            yield f"leg {leg}: {runs(said)}, not {runs(wanted)}"
        if len(said) * 512 != dry["written_bytes"][leg]:
            yield f"leg {leg}: {dry['written_bytes'][leg]} bytes in {len(said)} sectors"
        old, new = before[f"leg{leg}"], after[f"leg{leg}"]
        changed = {at - offset for at in range(len(old) // 512 + 1) if sector(old, at) != sector(new, at)}
        if not changed <= set(wanted):
            yield f"leg {leg}: changed in {runs(sorted(changed - set(wanted)))}"
        if "--copy-all" not in resync.options and changed != set(wanted):
            yield f"leg {leg}: not changed in {runs(sorted(set(wanted) - changed))}"


def log_complaints(resync, dry, before, after):
    mirror = resync.mirror
    at = mirror.log_offset * 512
    old, new = bits_of(before["log"], mirror), bits_of(after["log"], mirror)
    lost = sum(b and not c for b, c in zip(old, mirror.clean))
    opened = sum(c and resync.is_copied(region) for region, c in enumerate(mirror.clean))
    if dry["header_made_good"]:     # bits that nobody believed
        old = [b and c for b, c in zip(old, mirror.clean)]
    gained = sum(n and not o for o, n in zip(old, new))
    if any(o and not n for o, n in zip(old, new)):
        yield "a bit that was believed is 0 in the end"
    if gained != dry["set_bits"] - opened:
        yield f"log: {gained} bits more, not {dry['set_bits']} - {opened}"
    if dry["cleared_bits"] != opened + (lost if dry["header_made_good"] else 0):
        yield f"log: {dry['cleared_bits']} bits cleared, not {opened} and {lost}"
    if dry["header_made_good"] != (before["log"][at:at + 16] != after["log"][at:at + 16]):
        yield "the header's change was not told"
    if int.from_bytes(after["log"][at:at + 4], "little") != MAGIC and dry["header_made_good"]:
        yield "the header was not made good"


def check(program, rnd):
    resync = Resync(program, rnd)
    before = resync.files()
    dry = resync.run("--dry-run")
    if resync.files() != before:
        yield resync.words, "--dry-run has changed a file"
    done = resync.run("--yes")
    words = resync.words
    after = resync.files()
    if dry["state"] == "nothing":
        if done["state"] != "nothing" or after != before:
            yield words, "there was something to do"
        return
    for key in SAME:
        if dry.get(key) != done.get(key):
            yield words, f"{key}: {dry.get(key)} in the dry run, {done.get(key)} then"
    for leg in range(resync.nr_legs):
        if listed(dry, leg) != listed(done, leg):
            yield words, f"leg {leg}: {listed(dry, leg)}, then {listed(done, leg)}"
    for found in (*legs_complaints(resync, dry, before, after),
                  *log_complaints(resync, dry, before, after)):
        yield words, found


def main():
    program, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for number in range(seed, seed + count):
        for words, found in check(program, random.Random(number)):
            print(f"seed {number}: {' '.join(words)}\n  {found}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
