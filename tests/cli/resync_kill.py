#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""resync_kill.py MIRRORCTL SEED KILLS ENGINE: resync offline, killed at any moment.

Image files of a mirror whose clean regions are equal and whose others are anything.
`resync offline` is killed KILLS times: somewhere between its start and its end, or a
moment after it was asked to stop, which is when bits are set. After each: legs of
clean regions are equal, by our own look and by the audit. What was killed goes on from
where it was, until a run ends by itself: then the legs are equal, and so on with a
new mirror. Complaints go to stdout.
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time

MIRRORCTL, SEED, KILLS, ENGINE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
CHANCE = random.Random(SEED)
REGION_BYTES = 64 << 10
REGIONS = 61            # the last one is short
LEG_BYTES = REGIONS * REGION_BYTES - 20480
LOG_BYTES = 4096
complaints = 0


def complain(text):
    global complaints
    complaints += 1
    print(text)


def legs(nr_legs):
    return ["leg%d" % i for i in range(nr_legs)]


def operands(nr_legs):
    return ["--leg=" + leg for leg in legs(nr_legs)] + [
        "--log=log", "--region-size=%db" % REGION_BYTES, "--length=%db" % LEG_BYTES,
        "--io-engine=" + ENGINE]


def extent(region):
    return region * REGION_BYTES, min((region + 1) * REGION_BYTES, LEG_BYTES)


def new_mirror(nr_legs):
    contents = [bytearray(CHANCE.randbytes(LEG_BYTES))]
    contents += [bytearray(contents[0]) for _ in range(nr_legs - 1)]
    bits = bytearray(LOG_BYTES - 1024)
    for region in range(REGIONS):
        first, last = extent(region)
        if CHANCE.random() < 0.3:
            bits[region // 8] |= 1 << region % 8
        elif CHANCE.random() < 0.9:
            for leg in contents[1:]:
                at = CHANCE.randrange(first // 512, last // 512) * 512
                leg[at:last] = CHANCE.randbytes(last - at)
    version = 2
    if CHANCE.random() < 0.3:   # bits that nobody believes, and must never come to life
        version, bits[:] = 3, b"\xff" * len(bits)
    for name, content in zip(legs(nr_legs), contents):
        with open(name, "wb") as file:
            file.write(content)
    with open("log", "wb") as file:
        file.write(struct.pack("<IIQ", 0x4D695272, version, REGIONS).ljust(1024, b"\0") + bits)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def clean_regions():
    """Those that the kernel would take for clean; None: it would throw the log away."""
    log = read("log")
    magic, version, count = struct.unpack_from("<IIQ", log)
    if magic != 0x4D695272 or version not in (1, 2):
        return None
    return [region for region in range(min(REGIONS, count & 0xFFFFFFFF))
            if log[1024 + region // 8] >> region % 8 & 1]


def differ(contents, region):
    return len({content[slice(*extent(region))] for content in contents}) > 1


def run(*words):
    return subprocess.run([MIRRORCTL, "--no-config", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def start(nr_legs, *words):
    return subprocess.Popen(
        [MIRRORCTL, "--no-config", "resync", "offline", "--yes", *operands(nr_legs), *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(nr_legs, seconds):
    """True: it had to be killed."""
    if CHANCE.random() < 0.5:
        process = start(nr_legs)
        time.sleep(CHANCE.random() * seconds * 1.1)
    else:
        process = start(nr_legs, "--rate=%dM" % CHANCE.randrange(6, 20))
        time.sleep(seconds + CHANCE.random() * 0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(CHANCE.random() ** 2 * seconds)
    process.kill()
    status = process.wait()
    if status != -signal.SIGKILL and status & ~(1 | 4 | 32):
        complain("a run ended with %d" % status)
    return status == -signal.SIGKILL


def check(nr_legs, what):
    clean = clean_regions()
    contents = [read(leg) for leg in legs(nr_legs)]
    lying = [region for region in clean or () if differ(contents, region)]
    if lying:
        complain("%s: clean and different: %s" % (what, lying))
    audit = run("audit", *operands(nr_legs))
    if audit.returncode != (4 if clean is None else 0):
        complain("%s: the audit ends with %d" % (what, audit.returncode))
    return clean


def finish(nr_legs, what):
    """Seconds that a run to the end takes."""
    before = time.monotonic()
    resync = run("resync", "offline", "--yes", *operands(nr_legs))
    seconds = time.monotonic() - before
    if resync.returncode not in (0, 1):
        complain("%s: the last run ends with %d" % (what, resync.returncode))
    if len({read(leg) for leg in legs(nr_legs)}) > 1:
        complain("%s: at the end the legs differ" % what)
    if check(nr_legs, what + ", at the end") != list(range(REGIONS)):
        complain("%s: at the end not every region is clean" % what)
    return seconds


def main():
    new_mirror(2)
    seconds = min(finish(2, "the first"), 0.5)
    nr_killed = nr_mirrors = 0
    deadline = time.monotonic() + 60
    while nr_killed < KILLS and time.monotonic() < deadline:
        nr_mirrors += 1
        nr_legs = CHANCE.choice((2, 2, 3))
        new_mirror(nr_legs)
        for _ in range(4):
            what = "mirror %d, kill %d" % (nr_mirrors, nr_killed)
            nr_killed += kill(nr_legs, seconds)
            check(nr_legs, what)
        seconds = min(seconds, finish(nr_legs, "mirror %d" % nr_mirrors))
    if nr_killed < KILLS:
        complain("only %d of %d runs could be killed" % (nr_killed, KILLS))
    print("%d kills, %d mirrors, %.3f s a run" % (nr_killed, nr_mirrors, seconds))


main()
sys.exit(1 if complaints else 0)
