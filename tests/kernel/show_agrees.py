#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""show_agrees.py [--at-most] REPORT STATUS-LINE"""

import json
import sys


def parse_status(line):
    words = line.split()[3:]
    nr_legs = int(words[0])
    in_sync, regions = words[nr_legs + 1].split("/")
    letters = words[nr_legs + 3]
    return {"legs": letters, "in_sync": int(in_sync), "regions": int(regions),
            "log": words[-1]}


def main(argv):
    at_most = argv[1] == "--at-most"
    report_path, line = argv[-2:]
    with open(report_path) as file:
        report = json.load(file)
    kernel = parse_status(line)
    mirror, result = report["mirror"], report["result"]
    found = {
        "legs": "".join(leg["health"] for leg in mirror["legs"]),
        "log": mirror["log"]["health"],
        "regions": mirror["regions"],
        "in_sync": mirror["in_sync"],
    }
    problems = []
    for key in ("legs", "log", "regions"):
        if found[key] != kernel[key]:
            problems.append("%s: %s, the kernel says %s" % (key, found[key], kernel[key]))
    clean = result["log"]["clean"]
    if at_most:
        if not (found["in_sync"] <= kernel["in_sync"] and clean <= kernel["in_sync"]):
            problems.append("clean %s, in sync %s, later the kernel counts %s"
                            % (clean, found["in_sync"], kernel["in_sync"]))
    elif not found["in_sync"] == clean == kernel["in_sync"]:
        problems.append("clean %s, in sync %s, the kernel counts %s"
                        % (clean, found["in_sync"], kernel["in_sync"]))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
