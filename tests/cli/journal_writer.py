#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes journals from nothing but what mirrorctl-journal(5) says.

    journal_writer.py FILE WORD...

A word appends a record:

    identity=JSON        whose mirror this is; "default" for a small mirror
    log-state=BYTES,N    the area's bytes and the mirror's regions
    old=LEG,START,IMAGE  the sectors of a file, as before the change
    old=LEG,START,*N,X   N sectors full of byte X (hexadecimal)
    new=...              the same, as after the change
    region=R,IMAGE...    the digest of each image, a leg's contents of region R
    commit
    outcome=F-L,...      regions first to last, perhaps none

and these spoil it:

    cut=N                takes N bytes off the end
    flip=N               flips the lowest bit of byte N; from the end where N < 0
    raw=HEX              appends these bytes
"""

import hashlib
import json
import struct
import sys

IDENTITY, LOG_STATE, BYTES, REGION, COMMIT, OUTCOME = range(1, 7)
LOG = 65535
SECTOR = 512
RECORD_SECTORS = 16384
DEFAULT_IDENTITY = json.dumps({
    "kind": "block", "id": "", "length_bytes": 16777216, "region_size_bytes": 65536,
    "legs": ["wwn-0x5000c500a1b2c3d4", "wwn-0x5000c500a1b2c3d5"],
    "log": "wwn-0x5000c500a1b2c3d6"})


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


class Journal:
    def __init__(self):
        self.data = bytearray()
        self.chain = bytes(32)
        self.sequence = 0

    def record(self, kind, payload=b""):
        front = b"mctljrnl" + struct.pack("<III", kind, 1, len(payload))
        number = struct.pack("<Q", self.sequence)
        head = front + sha256(self.chain, front, number)[:4] + number
        self.chain = sha256(self.chain, head, payload)
        self.data += head + self.chain + payload + bytes(-len(payload) % 8)
        self.sequence += 1

    def bytes(self, kind, place, start, sectors):
        for at in range(0, len(sectors), RECORD_SECTORS * SECTOR):
            piece = sectors[at:at + RECORD_SECTORS * SECTOR]
            self.record(BYTES, struct.pack("<IIQQ", place, kind, start + at // SECTOR,
                                           len(piece) // SECTOR) + piece)

    def region(self, region, legs):
        self.record(REGION, struct.pack("<QII", region, len(legs), 0) +
                    b"".join(map(sha256, legs)))


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def contents(words):
    """Sectors: of a file, or "*N" and a byte."""
    if words[0].startswith("*"):
        return bytes([int(words[1], 16)]) * (SECTOR * int(words[0][1:]))
    return read(words[0])


def append(journal, word):
    name, _, value = word.partition("=")
    words = value.split(",")
    if name == "identity":
        text = DEFAULT_IDENTITY if value == "default" else value
        journal.record(IDENTITY, text.encode("utf-8", "surrogateescape"))
    elif name == "log-state":
        journal.record(LOG_STATE, struct.pack("<QQ", int(words[0]), int(words[1])) +
                       bytes(32) + b"\1" * 32)
    elif name in ("old", "new"):
        place = LOG if words[0] == "log" else int(words[0])
        journal.bytes(name == "new", place, int(words[1]), contents(words[2:]))
    elif name == "region":
        journal.region(int(words[0]), list(map(read, words[1:])))
    elif name == "commit":
        journal.record(COMMIT)
    elif name == "outcome":
        runs = [tuple(map(int, run.split("-"))) for run in words if run]
        journal.record(OUTCOME, b"".join(struct.pack("<QQ", *run) for run in runs))
    elif name == "cut":
        del journal.data[len(journal.data) - int(value):]
    elif name == "flip":
        journal.data[int(value)] ^= 1
    elif name == "raw":
        journal.data += bytes.fromhex(value)
    else:
        sys.exit("journal_writer.py: what is %s?" % word)


def main(argv):
    journal = Journal()
    for word in argv[2:]:
        append(journal, word)
    with open(argv[1], "wb") as stream:
        stream.write(journal.data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
