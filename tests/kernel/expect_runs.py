#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""expect_runs.py REPORT VERDICT LEG [FIRST-LAST...]: exactly these sectors."""

import json
import sys


def joined(runs):
    out = []
    for first, last in sorted(runs):
        if out and first <= out[-1][1] + 1:
            out[-1][1] = max(out[-1][1], last)
        else:
            out.append([first, last])
    return out


def main(argv):
    with open(argv[1]) as report:
        runs = json.load(report)["result"]["runs"]
    verdict, leg = argv[2], int(argv[3])
    expected = joined([[int(end) for end in word.split("-")] for word in argv[4:]])
    found = joined([[r["start_sector"], r["start_sector"] + r["sectors"] - 1]
                    for r in runs if r["verdict"] == verdict and r["leg"] == leg])
    others = [r for r in runs if r["verdict"] != verdict or r["leg"] != leg]
    if found != expected:
        print("expected %s of leg %d at %s, found %s" % (verdict, leg, expected, found))
    if others:
        print("and runs that nobody expected: %s" % others)
    return 0 if found == expected and not others else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
