"""A small reader of native files: prints what the files of a directory hold, as JSON.

    python3 reader.py DIRECTORY

It follows docs/format.md and shares no code with other readers or writers. It reads files that do
not change: those of processes that have ended, or of one that waits. Series are in the order of
their records; words are hexadecimal, as they are in the file. Native buckets are shown as regions, not merged."""
import json
import os
import re
import struct
import sys

BLOCK = 65536
TYPES = ["unknown", "counter", "gauge", "histogram", "summary", "info", "stateset", "gaugehistogram"]
MODES = ["all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"]

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc(data):
    c = 0xFFFFFFFF
    for b in data:
        c = TABLE[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


class Strings:
    def __init__(self, data):
        self.data, self.at = data, 0

    def next(self):
        n, = struct.unpack_from("<H", self.data, self.at)
        start = self.at + 2
        self.at = start + n
        assert self.at <= len(self.data), "a string runs past the end of its record"
        return self.data[start:self.at].decode()

    def pairs(self, n):
        return [[self.next(), self.next()] for _ in range(n)]


def words(data, at, n):
    return ["%016x" % w for w in struct.unpack_from("<%dQ" % n, data, at)]


def size(family):
    """How many words a series has."""
    kind = family["type"]
    if "native" in family:
        return 3 + len(family["bounds"])
    if kind in ("counter", "summary"):
        return 2
    if kind == "histogram":
        return 2 + len(family["bounds"])
    if kind == "info":
        return 0
    if family["mode"].endswith("mostrecent"):
        return 5
    return 2 if family["ttl"] and family["labels"] else 1


def read_family(record, native):
    number, kind, mode, labels, const, bounds, states, ttl = struct.unpack_from("<IBBHHHHH", record, 16)
    at = 48 if native else 32
    s = Strings(record[at + 8 * bounds:])
    family = {"name": s.next(), "help": s.next(), "unit": s.next(), "type": TYPES[kind], "mode": MODES[mode], "ttl": ttl,
              "bounds": words(record, at, bounds)}
    if native:
        schema, _, limit, exemplars = struct.unpack_from("<bBHH", record, 32)
        family["native"] = {"schema": schema, "limit": limit, "exemplars": exemplars, "threshold": words(record, 40, 1)[0]}
    family["labels"] = [s.next() for _ in range(labels)]
    family["const"] = s.pairs(const)
    family["states"] = [s.next() for _ in range(states)]
    return number, family


def read_exemplar(record):
    """The valid half, or None."""
    series, bucket, sequence = struct.unpack_from("<IIQ", record, 16)
    half = (len(record) - 32) // 2
    at = 32 + half * (sequence // 2 % 2)
    nanos, value, length = struct.unpack_from("<qQQ", record, at)
    s, labels = Strings(record[at + 24:at + 24 + length]), []
    while s.at < length:
        labels.append([s.next(), s.next()])
    if nanos == 0:
        return series, None
    return series, {"bucket": bucket, "time": nanos, "value": "%016x" % value, "labels": labels}


def read_region(data, record):
    series, cells, schema, negative, number = struct.unpack_from("<IIbBxxi", record, 16)
    return series, {"schema": schema, "negative": bool(negative), "number": number, "words": words(data, 8 * cells, 8)}


def read(path):
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x89MPM\r\n\x1a\n", "not a native file"
    version, order, header, block = struct.unpack_from("<IIII", data, 8)
    assert (version, order, header, block) == (1, 0x0A0B0C0D, 512, BLOCK)
    assert struct.unpack_from("<I", data, 252)[0] == crc(data[:252]), "the header's checksum"
    length, = struct.unpack_from("<I", data, 92)
    pid, = struct.unpack_from("<Q", data, 48)
    assert "%d-%s.mpm" % (pid, data[24:40].hex()) == os.path.basename(path), "a copy or link of another file"
    families, series, exemplars, regions = {}, [], [], []
    for n in range(struct.unpack_from("<Q", data, 256)[0]):
        start = n * BLOCK + (512 if n == 0 else 0)
        kind, number, used = struct.unpack_from("<IIQ", data, start)
        assert number == n
        if kind != 1:
            continue
        at = start + 64
        while at < n * BLOCK + used:
            size_, kind, _, check, state = struct.unpack_from("<IHHII", data, at)
            assert size_ >= 16 and size_ % 8 == 0 and at + size_ <= n * BLOCK + used, "a damaged length at %d" % at
            record = data[at:at + size_]
            if state in (1, 2):
                immutable = record[36:] if kind in (2, 5) else record[16:24] if kind == 3 else record[16:]
                assert check == crc(record[:8] + immutable), "a damaged record at %d" % at
                if kind in (1, 4):
                    number, family = read_family(record, kind == 4)
                    families[number] = family
                elif kind in (2, 5):
                    series.append((at, state, record))
                elif kind == 3:
                    exemplars.append(read_exemplar(record))
                elif kind == 6:
                    of, region = read_region(data, record)
                    regions.append((8 * of, dict(region, offset=at)))
            at += size_
    out = []
    for at, state, record in series:
        created, removed, _, number, cells, values, extra = struct.unpack_from("<qqIIIHH", record, 16)
        family, s = families[number], Strings(record[48:])
        own = [region for of, region in regions if of == at]
        out.append({
            "offset": at, "family": number, "state": "live" if state == 1 else "removed", "created": created,
            "removed": removed if state == 2 else 0,
            "values": [s.next() for _ in range(values)], "extra": s.pairs(extra), "words": words(data, 8 * cells, size(family)),
            "exemplars": sorted((e for of, e in exemplars if e and 8 * of == at and state == 1), key=lambda e: e["bucket"]),
            **({"regions": own} if own else {}),
        })
    return {"file": os.path.basename(path), "process": data[96:96 + length].decode(),
            "families": [families[n] for n in sorted(families)], "series": out}


if __name__ == "__main__":
    directory = sys.argv[1]
    names = sorted(n for n in os.listdir(directory) if re.fullmatch(r"[0-9]+-[0-9a-f]{32}\.mpm", n))
    json.dump([read(os.path.join(directory, n)) for n in names], sys.stdout, indent=1)
