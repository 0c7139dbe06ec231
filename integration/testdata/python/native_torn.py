"""Updates words until stdin closes. With the argument pack_into, it stores the gauge as a writer must not."""
import os
import struct
import sys
import threading

import multiprom_client

multiprom_client.install()

from prometheus_client import Counter, Gauge, Histogram  # noqa: E402

# All bytes of the two differ.
ONE, OTHER = (struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0x3F11111111111111, 0x40EEEEEEEEEEEEEE))

flip = Gauge("torn_flip", "One of two values.")
grow = Counter("torn_grow", "It only grows.")
seconds = Histogram("torn_seconds", "It only grows.", buckets=(1,))
# prometheus_client 0.16 has no mode mostrecent.
recent = multiprom_client.NativeValue("gauge", "torn_recent", "torn_recent", (), (), "Its time.", "mostrecent")
flip.set(ONE)

threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
os.write(1, b"ready\n")
if sys.argv[1:] == ["pack_into"]:
    series = flip._value
    at = series.place.cells * 8
    while True:
        struct.pack_into("<d", multiprom_client._store.extents[1].map, at - 65536, ONE)
        struct.pack_into("<d", multiprom_client._store.extents[1].map, at - 65536, OTHER)
n = 0
while True:
    n += 1
    flip.set(ONE)
    grow.inc(0xFFFFFFFF)
    seconds.observe(0.5)
    recent.set(float(n), n)
    flip.set(OTHER)
    grow.inc(0.5)
