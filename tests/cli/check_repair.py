#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
#
# check_repair.py BEFORE AFTER REGIONS: is the log AFTER exactly the log BEFORE with
# the clean bits of REGIONS (5,7-9) cleared, and every other byte as it was? REGIONS
# may be an expected.json, whose bogus_clean runs are then meant.

import json
import sys


def regions_of(text):
    if text.endswith(".json"):
        runs = json.load(open(text))["region_runs"].get("bogus_clean", [])
        return [region for first, last in runs for region in range(first, last + 1)]
    regions = []
    for item in filter(None, text.split(",")):
        first, _, last = item.partition("-")
        regions += range(int(first), int(last or first) + 1)
    return regions


def main():
    before, after = (open(path, "rb").read() for path in sys.argv[1:3])
    expected = bytearray(before)
    for region in regions_of(sys.argv[3]):
        expected[1024 + region // 8] &= ~(1 << region % 8)
    if bytes(expected) == after:
        return 0
    if len(expected) != len(after):
        print(f"{len(after)} bytes instead of {len(expected)}")
    for at, (want, have) in enumerate(zip(expected, after)):
        if want != have:
            print(f"byte {at} is {have:#04x} instead of {want:#04x}")
            break
    return 1


sys.exit(main())
