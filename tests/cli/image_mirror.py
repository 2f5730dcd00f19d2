# SPDX-License-Identifier: GPL-2.0-or-later
"""A random mirror of image files, for tests that kill what writes to it."""

import struct

REGION_BYTES = 64 << 10
REGIONS = 61            # the last one is short
LEG_BYTES = REGIONS * REGION_BYTES - 20480
LOG_BYTES = 4096
complaints = []


def complain(text):
    complaints.append(text)
    print(text)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def extent(region):
    return region * REGION_BYTES, min((region + 1) * REGION_BYTES, LEG_BYTES)


class Mirror:
    """New files here: the legs of clean regions are equal, those of others anything."""

    def __init__(self, chance, nr_legs, engine, believed=True):
        self.legs = ["leg%d" % i for i in range(nr_legs)]
        self.words = ["--leg=" + leg for leg in self.legs] + [
            "--log=log", "--region-size=%db" % REGION_BYTES, "--length=%db" % LEG_BYTES,
            "--io-engine=" + engine]
        contents = [bytearray(chance.randbytes(LEG_BYTES))]
        contents += [bytearray(contents[0]) for _ in self.legs[1:]]
        bits, version = bytearray(LOG_BYTES - 1024), 2
        for region in range(REGIONS):
            first, last = extent(region)
            if chance.random() < 0.3:
                bits[region // 8] |= 1 << region % 8
            elif chance.random() < 0.9:
                for leg in contents[1:]:
                    at = chance.randrange(first // 512, last // 512) * 512
                    leg[at:last] = chance.randbytes(last - at)
        if not believed:        # bits that nobody believes, and must never come to life
            version, bits[:] = 3, b"\xff" * len(bits)
        for name, content in zip(self.legs, contents):
            with open(name, "wb") as file:
                file.write(content)
        with open("log", "wb") as file:
            file.write(struct.pack("<IIQ", 0x4D695272, version, REGIONS).ljust(1024, b"\0") + bits)

    def contents(self):
        return [read(leg) for leg in self.legs]

    def clean(self):
        """The regions that the kernel would take for clean; None: it would throw the log away."""
        log = read("log")
        magic, version, count = struct.unpack_from("<IIQ", log)
        if magic != 0x4D695272 or version not in (1, 2):
            return None
        return {region for region in range(min(REGIONS, count & 0xFFFFFFFF))
                if log[1024 + region // 8] >> region % 8 & 1}

    def check(self, what):
        """No clean region differs. Returns the clean ones."""
        clean, contents = self.clean(), self.contents()
        lying = [region for region in sorted(clean or ())
                 if len({content[slice(*extent(region))] for content in contents}) > 1]
        if lying:
            complain("%s: clean and different: %s" % (what, lying))
        return clean
