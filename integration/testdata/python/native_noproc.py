"""Three generations of processes count, whatever /proc is. The last one closes all descriptors first.

Each says its pid, and waits. The parent ends when its input does."""
import os
import sys
import threading

import multiprom_client

multiprom_client.install()

from prometheus_client import Counter, Gauge  # noqa: E402

UPDATES = Counter("np_updates", "Updates.")
LIVE = Gauge("np_live", "Processes.", multiprocess_mode="livesum")

for generation in range(3):
    UPDATES.inc()
    LIVE.set(1)
    if generation < 2 and os.fork() > 0:
        break
    if generation == 1:
        os.closerange(3, 1000)
print(os.getpid(), flush=True)
sys.stdin.read() if generation == 0 else threading.Event().wait()
