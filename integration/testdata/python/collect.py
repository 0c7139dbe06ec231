"""Prints what client_python's own collector says of $PROMETHEUS_MULTIPROC_DIR, and with
--status to stderr what the kernel says of this process at the end."""
import sys

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

registry = CollectorRegistry()
MultiProcessCollector(registry)
sys.stdout.buffer.write(generate_latest(registry))
if "--status" in sys.argv:
    sys.stderr.write(open("/proc/self/status").read())
