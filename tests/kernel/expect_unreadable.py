#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""expect_unreadable.py REPORT LEG FIRST-LAST: one unverifiable run of that leg is
exactly this one, and no run of a leg that was read overlaps it."""

import json
import sys


def main(argv):
    leg = int(argv[2])
    first, last = (int(end) for end in argv[3].split("-"))
    with open(argv[1]) as report:
        runs = json.load(report)["result"]["runs"]
    unreadable = [r for r in runs if r["verdict"] == "unverifiable" and r["leg"] == leg]
    exact = [r for r in unreadable
             if r["start_sector"] == first and r["sectors"] == last - first + 1]
    if len(exact) != 1:
        print("expected one run %d-%d, found %s" % (first, last, unreadable))
        return 1
    if "error" not in exact[0]:
        print("the run does not say which error: %s" % exact[0])
        return 1
    for run in runs:
        if run is not exact[0] and run["start_sector"] <= last and \
                run["start_sector"] + run["sectors"] > first:
            print("a second verdict on the same sectors: %s" % run)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
