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
import subprocess
import sys
import time

from image_mirror import Mirror, complain, complaints

MIRRORCTL, SEED, ROUNDS, ENGINE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
CHANCE = random.Random(SEED)


def run(mirror, what, expected, seconds, *words):
    """True: it ended by itself. Killed after a part of that time; None: not at all."""
    process = subprocess.Popen([MIRRORCTL, "--no-config", *words, *mirror.words, "--yes"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    if seconds is not None:
        try:
            process.wait(CHANCE.random() * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    said = process.communicate()[1].decode()
    mirror.check(what)
    if process.returncode == -signal.SIGKILL:
        return False
    if process.returncode not in expected:
        complain("%s: ends with %d: %s" % (what, process.returncode, said))
    return True


def undo_file():
    """What the killed run has left, if it came so far: else nothing was changed."""
    return os.path.exists("u") and os.path.getsize("u")


def main():
    seconds, killed = 0.0, 0
    for number in range(ROUNDS):
        what = "round %d" % number
        mirror = Mirror(CHANCE, 3, ENGINE)
        before, clean = mirror.contents(), mirror.clean()
        if os.path.exists("u"):
            os.unlink("u")
        started = time.monotonic()
        killed += not run(mirror, what + ", resync", (1,), seconds if number else None,
                          "resync", "offline", "--undo-file=u")
        seconds = max(seconds, min(time.monotonic() - started, 5))
        kills = 0
        while undo_file() and not run(mirror, what + ", undo", (0, 1),
                                      seconds if kills < 4 else None, "undo", "u"):
            kills += 1
        killed += kills
        if mirror.contents() != before:
            complain("%s: the legs are not what they were" % what)
        if not mirror.clean() <= clean:
            complain("%s: a bit is set that was not before" % what)
    print("%d kills, %.3f s a run" % (killed, seconds))
    if not killed:
        complain("nothing could be killed")


main()
sys.exit(1 if complaints else 0)
