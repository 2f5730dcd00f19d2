#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what the manual and the schema say with the program's own tables.

    check_options.py FACTS TOP BASH ZSH

FACTS is the output of list_options, TOP the source directory; BASH and ZSH
hold what the completions offer, a line "SCOPE OPTION" each (--name, --name= or
-x); ZSH is empty where there is no zsh. Prints "ok WHAT" or
"not ok WHAT: the difference" a line.
"""

import json
import re
import sys


def result(what, expected, found):
    missing, extra = sorted(expected - found), sorted(found - expected)
    why = []
    if missing:
        why.append("missing: " + ", ".join(map(" ".join, missing)))
    if extra:
        why.append("not in the program: " + ", ".join(map(" ".join, extra)))
    if not expected:
        why.append("nothing to compare with")
    print("%s %s%s" % ("not ok" if why else "ok", what, ": " + "; ".join(why) if why else ""))


def read_facts(path):
    facts = {}
    with open(path) as stream:
        for line in stream:
            kind, *fields = line.rstrip("\n").split("\t")
            facts.setdefault(kind, []).append(tuple(fields))
    return facts


def plain(line):
    """A line of roff without fonts and escapes."""
    line = re.sub(r"\\f[A-Z]", "", line)
    return line.replace("\\-", "-").replace("\\&", "")


def man_sections(path):
    """{(SH, SS): [headings]}, a heading being the line behind .TP or .TQ."""
    sections, section, sub, heading = {}, "", "", False
    with open(path) as stream:
        for line in stream:
            line = line.rstrip("\n")
            if line.startswith((".SH ", ".SS ")):
                name = plain(line[4:].strip('"'))
                section, sub = (name, "") if line[1:3] == "SH" else (section, name)
            elif heading:
                text = plain(re.sub(r"^\.[BI] ", "", line))
                sections.setdefault((section, sub), []).append(text)
            heading = line in (".TP", ".TQ")
    return sections


def option_heading(option):
    """As it must stand in mirrorctl(8): "-q, --quiet", "--leg=PATH[@OFFSET]"."""
    _, name, short, arg = option
    text = "--" + name
    if arg != "-":
        text += "=" + arg
    return text if short == "-" else "-%s, %s" % (short, text)


def is_about(sub, scope):
    """Is a section of OPTIONS about this command? "Options of show, audit and
    extract: how to report", "Options of all commands: help"."""
    if scope == "global":
        return sub == "Global options"
    names = re.match(r"Options of ([^:]*)", sub)
    return names and (names[1] == "all commands" or
                      scope in re.split(r", | and ", names[1]))


def check_manual_options(facts, sections):
    for scope in ["global"] + [command[0] for command in facts["command"]]:
        expected = {(option_heading(o),) for o in facts["option"] if o[0] == scope}
        found = {(h,) for (section, sub), headings_of in sections.items()
                 if section == "OPTIONS" and is_about(sub, scope) for h in headings_of}
        result("mirrorctl.8 has the options of " + scope, expected, found)
    result("mirrorctl.8 has the commands", {(c[0],) for c in facts["command"]},
           {(h,) for h in sections.get(("COMMANDS", ""), [])})


def check_completion(facts, shell, path):
    offered = set()
    with open(path) as stream:
        for line in stream:
            offered.add(tuple(line.split()))
    if not offered:
        print("skip %s completion: there is no %s here" % (shell, shell))
        return
    expected = {("commands", command[0]) for command in facts["command"]}
    for scope, name, short, arg in facts["option"]:
        expected.add((scope, "--" + name + ("=" if arg != "-" else "")))
        if short != "-":
            expected.add((scope, "-" + short))
    result("%s completion offers the options and commands" % shell, expected, offered)


def headings(sections, section):
    return {(h,) for h in sections.get((section, ""), [])}


def check_ids(facts, sections, definitions):
    result("mirrorctl-json.5 has the findings and their classes",
           {("%s (%s)" % f,) for f in facts["finding"]}, headings(sections, "FINDINGS"))
    result("mirrorctl-json.5 has the causes", set(facts["cause"]), headings(sections, "CAUSES"))
    result("mirrorctl-json.5 has the verdicts", set(facts["verdict"]),
           headings(sections, "VERDICTS"))
    for name, expected in (("finding_id", {f[:1] for f in facts["finding"]}),
                           ("cause_id", set(facts["cause"])), ("verdict", set(facts["verdict"]))):
        result("the schema has every " + name, expected,
               {(item,) for item in definitions[name]["enum"]})
    for name in ("counts", "region_runs_by_verdict"):
        result("the schema's %s have every verdict" % name, set(facts["verdict"]),
               {(key,) for key in definitions[name]["properties"]})


# A section of mirrorctl-json.5 and the schema's definitions that it describes.
KEYS = {
    "The report": ["list_report", "show_report", "audit_report", "repair_report", "resync_report", "undo_report",
                   "extract_report", "error_report"],
    "mirror": ["mirror"],
    "mirror.identity": ["identity"],
    "mirror.identity.places": ["places"],
    "A leg or the log": ["leg", "place"],
    "An item of mirrors": ["listed_mirror"],
    "Legs and log of a listed mirror": ["listed_leg", "listed_log"],
    "result of show": ["show_result"],
    "An item of clean_runs": ["clean_run"],
    "result.log": ["log"],
    "result.next_resume": ["next_resume"],
    "result of audit": ["audit_result"],
    "result of repair-log": ["repair_result"],
    "result.repair": ["repair"],
    "result.repair.plan": ["repair_plan"],
    "result.repair.online": ["repair_online"],
    "result of undo": ["undo_result"],
    "result.plan": ["undo_plan"],
    "result.refused": ["undo_refused"],
    "result.restore": ["undo_restore"],
    "put_back, refused and unreadable": ["undo_regions"],
    "An item of result.restore.legs": ["undo_leg"],
    "result of undo --list": ["undo_list_result"],
    "An item of journals": ["journal_item"],
    "result of resync": ["resync_result"],
    "result.resync": ["resync"],
    "result.resync.undo_file": ["undo_file"],
    "result.resync.salvage": ["salvage"],
    "An item of unreadable": ["unread_run"],
    "An item of written": ["written_run"],
    "An item of result.resync.agreement": ["region_agreement"],
    "An item of region_runs": ["region_run"],
    "An item of runs": ["differing_run", "unreadable_run"],
    "An item of agreement": ["agreement"],
    "result.sample": ["sample"],
    "result of extract": ["extract_result"],
    "An item of legs of extract": ["saved_leg"],
    "An item of runs of extract": ["sector_run"],
    "result.extracted": ["extracted"],
    "An item of findings": ["finding"],
    "An item of causes": ["cause"],
}


def keys_of(sections, sub):
    """From headings like "legs (array), log (string)" or "first, last (number)"."""
    return {(key,) for heading in sections.get(("KEYS", sub), [])
            for key in re.sub(r" \([^)]*\)", "", heading).split(", ")}


def check_keys(sections, definitions):
    for sub, names in KEYS.items():
        result("mirrorctl-json.5 has the keys of " + sub,
               {(key,) for name in names for key in definitions[name]["properties"]},
               keys_of(sections, sub))
    described = {name for names in KEYS.values() for name in names}
    described |= {"counts", "region_runs_by_verdict", "differing_sectors", "progress_line"}
    result("mirrorctl-json.5 describes every object of the schema",
           {(name,) for name, d in definitions.items() if "properties" in d},
           {(name,) for name in described})
    found = keys_of(sections, "A line of --progress=json")
    inner = definitions["progress_line"]["properties"]["progress"]["properties"]
    result("mirrorctl-json.5 has the keys of a progress line",
           {(key,) for key in inner} | {("progress",)}, found)


def main(argv):
    facts = read_facts(argv[1])
    man = argv[2] + "/man/"
    with open(argv[2] + "/dist/mirrorctl.schema.json") as stream:
        definitions = json.load(stream)["definitions"]
    check_manual_options(facts, man_sections(man + "mirrorctl.8"))
    check_completion(facts, "bash", argv[3])
    check_completion(facts, "zsh", argv[4])
    sections = man_sections(man + "mirrorctl-json.5")
    check_ids(facts, sections, definitions)
    check_keys(sections, definitions)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
