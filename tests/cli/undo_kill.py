#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""undo_kill.py MIRRORCTL SEED ROUNDS ENGINE: a resync that is killed, and its undo, too.

`resync offline --undo-file` of a random mirror of image files is killed at some moment,
or not; then `undo` is killed again and again, until it ends by itself. After each no
clean region differs; in the end the legs are what they were, and no bit is set that was
not before. Complaints go to stdout.
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time

MIRRORCTL, SEED, ROUNDS, ENGINE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
CHANCE = random.Random(SEED)
REGION_BYTES = 64 << 10
REGIONS = 61            # the last one is short
LEG_BYTES = REGIONS * REGION_BYTES - 20480
LEGS = ["leg0", "leg1", "leg2"]
WHICH = ["--leg=" + leg for leg in LEGS] + [
    "--log=log", "--region-size=%db" % REGION_BYTES, "--length=%db" % LEG_BYTES,
    "--io-engine=" + ENGINE, "--yes"]
complaints = killed = 0


def complain(text):
    global complaints
    complaints += 1
    print(text)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def extent(region):
    return region * REGION_BYTES, min((region + 1) * REGION_BYTES, LEG_BYTES)


def new_mirror():
    contents = [bytearray(CHANCE.randbytes(LEG_BYTES))]
    contents += [bytearray(contents[0]) for _ in LEGS[1:]]
    bits = bytearray(512)
    for region in range(REGIONS):
        first, last = extent(region)
        if CHANCE.random() < 0.3:
            bits[region // 8] |= 1 << region % 8
        else:
            for leg in contents[1:]:
                at = CHANCE.randrange(first // 512, last // 512) * 512
                leg[at:last] = CHANCE.randbytes(last - at)
    for name, content in zip(LEGS, contents):
        with open(name, "wb") as file:
            file.write(content)
    with open("log", "wb") as file:
        file.write(struct.pack("<IIQ", 0x4D695272, 2, REGIONS).ljust(1024, b"\0") + bits)


def clean_regions():
    log = read("log")
    return {region for region in range(REGIONS) if log[1024 + region // 8] >> region % 8 & 1}


def check(what):
    contents = [read(leg) for leg in LEGS]
    lying = [region for region in clean_regions()
             if len({content[slice(*extent(region))] for content in contents}) > 1]
    if lying:
        complain("%s: clean and different: %s" % (what, lying))


def run(what, expected, seconds, *words):
    """True: it ended by itself. Killed after a part of that time; None: not at all."""
    global killed
    process = subprocess.Popen([MIRRORCTL, "--no-config", *words, *WHICH],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    if seconds is not None:
        try:
            process.wait(CHANCE.random() * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    said = process.communicate()[1].decode()
    check(what)
    if process.returncode == -signal.SIGKILL:
        killed += 1
        return False
    if process.returncode not in expected:
        complain("%s: ends with %d: %s" % (what, process.returncode, said))
    return True


def undo_file():
    """What the killed run has left, if it came so far: else nothing was changed."""
    return os.path.exists("u") and os.path.getsize("u")


def main():
    seconds = 0.0
    for number in range(ROUNDS):
        what = "round %d" % number
        new_mirror()
        before, clean = [read(leg) for leg in LEGS], clean_regions()
        for name in ("u",):
            if os.path.exists(name):
                os.unlink(name)
        started = time.monotonic()
        run(what + ", resync", (1,), seconds if number else None, "resync", "offline",
            "--undo-file=u")
        seconds = max(seconds, min(time.monotonic() - started, 5))
        kills = 0
        while undo_file() and not run(what + ", undo", (0, 1), seconds if kills < 4 else None,
                                      "undo", "u"):
            kills += 1
        if [read(leg) for leg in LEGS] != before:
            complain("%s: the legs are not what they were" % what)
        if not clean_regions() <= clean:
            complain("%s: a bit is set that was not before" % what)
    print("%d kills, %.3f s a run" % (killed, seconds))
    if not killed:
        complain("nothing could be killed")


main()
sys.exit(1 if complaints else 0)
