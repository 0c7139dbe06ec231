"""Prints the output of client_python's own collector for $PROMETHEUS_MULTIPROC_DIR. With
--status it also prints the kernel's status of this process to stderr at the end. With
--each-line it collects once per line of input, and prints only the number of bytes."""
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
