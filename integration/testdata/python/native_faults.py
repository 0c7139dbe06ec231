"""Counts 1,501 updates of 1,500 series, and prints what the process has counted. The argument says what happens
after the first."""
import os
import shutil
import sys

import multiprom_client

multiprom_client._LOOK_EVERY = 0
multiprom_client.install()

from prometheus_client import Counter  # noqa: E402

if "nobody" in sys.argv[1]:
    os.setuid(65534)
c = Counter("c", "Updates.", ["n"])
c.labels("0" + "x" * 200).inc()
if "closes" in sys.argv[1]:
    os.closerange(3, 100)
if "removed" in sys.argv[1]:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"])
elif "closes" in sys.argv[1]:
    print("a line of the program's own", file=sys.stderr)
for n in range(1, 1500):
    c.labels(str(n) + "x" * 200).inc()
c.labels("0" + "x" * 200).inc()
print(sum(m._value.get() for m in c._metrics.values()))
