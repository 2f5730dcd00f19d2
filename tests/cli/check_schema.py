#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Validates reports of mirrorctl --json against the schema, strictly.

    check_schema.py SCHEMA DIRECTORY

DIRECTORY holds NAME.json (stdout of a run), NAME.status (its exit status) and
perhaps NAME.progress (stderr with --progress=json). Prints "ok NAME" or
"not ok NAME: why" for each, then for the schema itself: it must reject reports
that were damaged, and the reports together must show all of it, so that
neither a key nor an id is promised that nobody ever sees.
"""

import copy
import json
import os
import sys

import jsonschema

# What takes a device-mapper device, another disk or a log of less than 16 bytes
# to be seen.
RARE_KEYS = {
    ("mirror", "uuid"), ("mirror", "held"), ("mirror", "in_sync"), ("leg", "health"),
    ("place", "health"), ("audit_result", "change"), ("resync", "change"),
    ("unread_run", "leg"), ("unread_run", "start_sector"), ("unread_run", "sectors"),
    ("unread_run", "error"), ("resync", "salvage"), ("undo_file", "error"), ("salvage", "salvaged"),
    ("salvage", "source_failed"), ("salvage", "leg_failed"), ("salvage", "disagree"),
    ("salvage", "lost"), ("salvage", "readable"), ("salvage", "clean"),
    ("salvage", "unfinished"), ("salvage", "dangerous"), ("salvage", "written_bytes"),
    ("repair", "online"), ("repair_online", "rounds"), ("repair_online", "suspended_ms"),
    ("repair_online", "suspend_call_ms"), ("repair_online", "in_sync"),
    ("repair_online", "differing_after"),
    ("finding", "part"), ("list_report", "left_over"),
    ("listed_mirror", "dm_name"), ("listed_mirror", "in_sync"), ("listed_mirror", "copied"),
    ("listed_mirror", "sync"), ("listed_mirror", "resume"), ("listed_leg", "health"),
    ("listed_leg", "device"), ("listed_log", "health"), ("listed_log", "device"),
}
RARE_IDS = {
    "finding_id": {"health-leg", "health-log", "more-clean-than-sync", "note",
                   "mirror-changed", "suspect", "suspect-core-log", "buffered-reads", "log-signature",
                   "leg-signature-pv", "log-header-truncated", "log-daemon",
                   "status-unread", "suspended", "abandoned"},
    "cause_id": {"switched-leg"},
}


def strict(schema):
    """The published schema lets keys be added; here unknown ones are errors."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


class Schema:
    def __init__(self, path):
        with open(path) as stream:
            self.root = json.load(stream)
        jsonschema.Draft7Validator.check_schema(self.root)
        self.root = strict(copy.deepcopy(self.root))
        self.definitions = self.root["definitions"]
        self.seen = set()
        self.seen_ids = {name: set() for name in RARE_IDS}

    def validator(self, schema):
        return jsonschema.Draft7Validator(dict(schema, definitions=self.definitions))

    def complaint(self, instance, name=None):
        """Why the instance is not valid, or an empty string."""
        if name is None:
            name = self.report_kind(instance)
        errors = self.validator(self.definitions[name]).iter_errors(instance)
        return "; ".join("%s: %s" % ("/".join(map(str, e.absolute_path)), e.message[:200])
                         for e in errors)

    @staticmethod
    def report_kind(instance):
        if "error" in instance:
            return "error_report"
        return {"list": "list_report", "show": "show_report", "audit": "audit_report",
                "extract": "extract_report",
                "repair-log": "repair_report", "resync": "resync_report", "undo": "undo_report"}.get(
            instance.get("command"), "error_report")

    def record(self, instance, schema, name=None):
        """Notes which keys of which definition a valid instance has."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            schema = self.definitions[name]
        for choice in schema.get("oneOf", []) + schema.get("anyOf", []):
            if self.validator(choice).is_valid(instance):
                return self.record(instance, choice, name)
        if name in self.seen_ids:
            self.seen_ids[name].add(instance)
        if isinstance(instance, list):
            for item in instance[:200]:
                self.record(item, schema.get("items", {}), name)
        if isinstance(instance, dict):
            for key, value in instance.items():
                self.seen.add((name, key))
                self.record(value, schema["properties"][key])

    def unseen(self):
        promised = {(name, key) for name, definition in self.definitions.items()
                    for key in definition.get("properties", {})}
        out = {"%s.%s" % pair for pair in promised - self.seen - RARE_KEYS}
        for name, seen in self.seen_ids.items():
            out |= set(self.definitions[name]["enum"]) - seen - RARE_IDS[name]
        return sorted(out)


def damages(instance, path=()):
    """(what, copy of the instance) with a key taken away, added or made wrong."""
    if not path:
        instance = {"top": instance}
        path = ("top",)
    node = instance
    for step in path:
        node = node[step]
    children = node.items() if isinstance(node, dict) else enumerate(node[:1])
    for key, value in list(children):
        where = "/".join(map(str, path + (key,)))
        if isinstance(node, dict):
            for what, change in (("unknown key beside", lambda n: n.update({"x-unknown": 1})),
                                 ("wrong type of", lambda n: n.update({key: None}))):
                damaged = copy.deepcopy(instance)
                target = damaged
                for step in path:
                    target = target[step]
                change(target)
                yield "%s %s" % (what, where), damaged["top"]
        if isinstance(value, (dict, list)):
            yield from damages(instance, path + (key,))


def check_run(schema, directory, name):
    with open(os.path.join(directory, name + ".json")) as stream:
        text = stream.read()
    try:
        report = json.loads(text)
    except ValueError as why:
        return "not JSON: %s: %s" % (why, text[:100] or "(nothing)")
    if not isinstance(report, dict):
        return "not an object"
    complaint = schema.complaint(report)
    if complaint:
        return complaint
    with open(os.path.join(directory, name + ".status")) as stream:
        status = int(stream.read())
    if report["exit_status"] != status:
        return "exit_status %s, but the run ended with %d" % (report["exit_status"], status)
    schema.record(report, {"$ref": "#/definitions/" + schema.report_kind(report)})
    return check_progress(schema, os.path.join(directory, name + ".progress"))


def check_progress(schema, path):
    if not os.path.exists(path):
        return ""
    with open(path) as stream:
        lines = stream.read().splitlines()
    if not any(line.startswith("{") for line in lines):
        return "no progress was shown"
    for line in lines:
        if not line.startswith("{"):    # a sentence for people
            continue
        complaint = schema.complaint(json.loads(line), "progress_line")
        if complaint:
            return "progress: " + complaint
        schema.record(json.loads(line), {"$ref": "#/definitions/progress_line"})
    return ""


def main(argv):
    schema = Schema(argv[1])
    names = sorted(n[:-5] for n in os.listdir(argv[2]) if n.endswith(".json"))
    accepted = []
    for name in names:
        complaint = check_run(schema, argv[2], name)
        print("not ok %s: %s" % (name, complaint) if complaint else "ok " + name)
        with open(os.path.join(argv[2], name + ".json")) as stream:
            if not complaint and len(accepted) < 3:
                accepted.append(json.load(stream))
    missed = [what for report in accepted for what, damaged in damages(report)
              if not schema.complaint(damaged, schema.report_kind(report))]
    print("%s the schema rejects every damaged report%s"
          % (("not ok", ": " + ", ".join(missed[:5])) if missed or not accepted else ("ok", "")))
    unseen = schema.unseen()
    print("%s the reports show every key and every id of the schema%s"
          % (("not ok", ": " + ", ".join(unseen)) if unseen else ("ok", "")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
