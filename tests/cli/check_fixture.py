#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares `mirrorctl audit` with a fixture's expected.json.

    check_fixture.py json clean|all EXPECTED REPORT
    check_fixture.py text EXPECTED REPORT

Prints every disagreement and exits 1 when there is one. Exactly the expected
regions and sectors have to be there: no more, no fewer.
"""

import json
import re
import sys

problems = []


def compare(what, expected, found):
    if expected != found:
        problems.append("%s: expected %s, found %s" % (what, expected, found))


def joined(runs):
    """Inclusive runs, sorted, neighbours joined."""
    out = []
    for first, last in sorted(runs):
        if out and first <= out[-1][1] + 1:
            out[-1][1] = max(out[-1][1], last)
        else:
            out.append([first, last])
    return out


def sectors_of(runs, leg, verdicts):
    return joined(
        [run["start_sector"], run["start_sector"] + run["sectors"] - 1]
        for run in runs
        if run["leg"] == leg and run["against"] == 0 and run["verdict"] in verdicts
    )


def check_runs_do_not_overlap(runs):
    places = sorted((r["leg"], r["start_sector"], r["sectors"]) for r in runs)
    for (leg, first, sectors), (leg2, first2, _) in zip(places, places[1:]):
        if leg == leg2 and first2 < first + sectors:
            problems.append("runs of leg %d overlap at sector %d" % (leg, first2))


def check_json(scope, expected, report):
    result = report["result"]
    classes = ["verified", "bogus_clean"]
    if scope == "all":
        classes += ["equal_not_clean", "resync_pending"]
    for name in classes:
        runs = [[r["first"], r["last"]] for r in result["region_runs"].get(name, [])]
        compare("regions " + name, expected["region_runs"][name], runs)
        compare("counts." + name, expected["counts"][name], result["counts"][name])
    for name in ("suspect", "transient", "busy", "unverifiable"):
        compare("counts." + name, 0, result["counts"][name])
    check_runs_do_not_overlap(result["runs"])
    for leg, runs in expected["bogus_clean_sectors_against_leg0"].items():
        compare("bogus sectors of leg " + leg, joined(runs),
                sectors_of(result["runs"], int(leg), {"bogus_clean"}))
    if scope == "all":
        for leg, runs in expected["differing_sectors_against_leg0"].items():
            compare("differing sectors of leg " + leg, joined(runs),
                    sectors_of(result["runs"], int(leg), {"bogus_clean", "resync_pending"}))
    compare("exit_status in the object", 4 if expected["counts"]["bogus_clean"] else 0,
            report["exit_status"])
    compare("schema", "mirrorctl/1", report["schema"])


def check_text(expected, text):
    """The table of the BOGUS paragraph: region, first-last sector, ..."""
    row = re.compile(r"^\s+(\d+)(?:-(\d+))?\s+(\d+)(?:-(\d+))?\s+(\d+)\s")
    regions, sectors = [], []
    in_table = False
    for line in text.splitlines():
        if line.startswith("BOGUS"):
            in_table = True
            continue
        if in_table and line.strip() == "":
            in_table = False
        found = row.match(line) if in_table else None
        if found:
            first, last, start, end, _ = found.groups()
            regions.append([int(first), int(last or first)])
            sectors.append([int(start), int(end or start)])
    compare("regions in the text", joined(expected["region_runs"]["bogus_clean"]),
            joined(regions))
    compare("sectors in the text",
            joined(sum(expected["bogus_clean_sectors_against_leg0"].values(), [])),
            joined(sectors))


def main(argv):
    if argv[1] == "json":
        with open(argv[3]) as expected, open(argv[4]) as report:
            check_json(argv[2], json.load(expected), json.load(report))
    else:
        with open(argv[2]) as expected, open(argv[3]) as report:
            check_text(json.load(expected), report.read())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
