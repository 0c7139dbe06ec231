"""Prints what client_python's own collector says of $PROMETHEUS_MULTIPROC_DIR, and with
--status to stderr what the kernel says of this process at the end. With --each-line it
collects for each line of its input, and prints only how many bytes that are."""
import sys

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def collect():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


if "--each-line" in sys.argv:
    for _ in sys.stdin:
        print(len(collect()), flush=True)
else:
    sys.stdout.buffer.write(collect())
if "--status" in sys.argv:
    sys.stderr.write(open("/proc/self/status").read())
