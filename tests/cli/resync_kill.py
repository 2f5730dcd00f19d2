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

import random
import signal
import subprocess
import sys
import time

from image_mirror import REGIONS, Mirror, complain, complaints

MIRRORCTL, SEED, KILLS, ENGINE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
CHANCE = random.Random(SEED)
RESYNC = ["resync", "offline", "--yes"]


def run(*words):
    return subprocess.run([MIRRORCTL, "--no-config", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def start(mirror, *words):
    return subprocess.Popen([MIRRORCTL, "--no-config", *RESYNC, *mirror.words, *words],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def kill(mirror, seconds):
    """True: it had to be killed."""
    if CHANCE.random() < 0.5:
        process = start(mirror)
        time.sleep(CHANCE.random() * seconds * 1.1)
    else:
        process = start(mirror, "--rate=%dM" % CHANCE.randrange(6, 20))
        time.sleep(seconds + CHANCE.random() * 0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(CHANCE.random() ** 2 * seconds)
    process.kill()
    status = process.wait()
    if status != -signal.SIGKILL and status & ~(1 | 4 | 32):
        complain("a run ended with %d" % status)
    return status == -signal.SIGKILL


def check(mirror, what):
    clean = mirror.check(what)
    audit = run("audit", *mirror.words)
    if audit.returncode != (4 if clean is None else 0):
        complain("%s: the audit ends with %d" % (what, audit.returncode))
    return clean


def finish(mirror, what):
    """Seconds that a run to the end takes."""
    before = time.monotonic()
    resync = run(*RESYNC, *mirror.words)
    seconds = time.monotonic() - before
    if resync.returncode not in (0, 1):
        complain("%s: the last run ends with %d" % (what, resync.returncode))
    if len(set(mirror.contents())) > 1:
        complain("%s: at the end the legs differ" % what)
    if check(mirror, what + ", at the end") != set(range(REGIONS)):
        complain("%s: at the end not every region is clean" % what)
    return seconds


def new_mirror(nr_legs):
    return Mirror(CHANCE, nr_legs, ENGINE, believed=CHANCE.random() < 0.7)


def main():
    seconds = min(finish(new_mirror(2), "the first"), 0.5)
    nr_killed = nr_mirrors = 0
    deadline = time.monotonic() + 60
    while nr_killed < KILLS and time.monotonic() < deadline:
        nr_mirrors += 1
        mirror = new_mirror(CHANCE.choice((2, 2, 3)))
        for _ in range(4):
            what = "mirror %d, kill %d" % (nr_mirrors, nr_killed)
            nr_killed += kill(mirror, seconds)
            check(mirror, what)
        seconds = min(seconds, finish(mirror, "mirror %d" % nr_mirrors))
    if nr_killed < KILLS:
        complain("only %d of %d runs could be killed" % (nr_killed, KILLS))
    print("%d kills, %d mirrors, %.3f s a run" % (nr_killed, nr_mirrors, seconds))


main()
sys.exit(1 if complaints else 0)
