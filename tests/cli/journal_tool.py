#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests do with a journal that a repair has left.

    journal_tool.py ends FILE
        where each record ends, and its type, a line each
    journal_tool.py area FILE NEW BEFORE AFTER BYTES
        the same journal, as of a log device with larger blocks: its area has BYTES
        bytes, which are the first ones of the logs BEFORE and AFTER
    journal_tool.py identity FILE NEW KEY JSON
        the same journal, with another value of a key of its identity
"""

import json
import struct
import sys

from journal_writer import IDENTITY, LOG_STATE, Journal, read, sha256


def records(data):
    """(type, payload, end) of each."""
    at = 0
    while at < len(data):
        kind, _, length = struct.unpack_from("<III", data, at + 8)
        end = at + 64 + length + -length % 8
        yield kind, data[at + 64:at + 64 + length], end
        at = end


def rewritten(data, change):
    journal = Journal()
    for kind, payload, _ in records(data):
        journal.record(kind, change(kind, payload))
    return journal.data


def with_area(before, after, nr_bytes):
    def change(kind, payload):
        if kind != LOG_STATE:
            return payload
        return (struct.pack("<Q", nr_bytes) + payload[8:16] + sha256(before[:nr_bytes]) +
                sha256(after[:nr_bytes]))
    return change


def with_key(key, value):
    def change(kind, payload):
        if kind != IDENTITY:
            return payload
        identity = json.loads(payload)
        if value is None:
            del identity[key]
        else:
            identity[key] = value
        return json.dumps(identity).encode()
    return change


def main(argv):
    data = read(argv[2])
    if argv[1] == "ends":
        for kind, _, end in records(data):
            print(end, kind)
        return 0
    if argv[1] == "area":
        change = with_area(read(argv[4]), read(argv[5]), int(argv[6]))
    else:
        change = with_key(argv[4], json.loads(argv[5]))
    with open(argv[3], "wb") as stream:
        stream.write(rewritten(data, change))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
