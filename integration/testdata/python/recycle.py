"""Lets many workers of client_python live shortly, one after the other, in
$PROMETHEUS_MULTIPROC_DIR: each writes a file of every kind, 152 records."""
import os
import sys

from prometheus_client import Counter, Gauge, Histogram, Summary

requests = Counter("rp_requests", "Requests served.", ["path"])
seconds = Histogram("rp_seconds", "Time that requests took.", ["path"])
size = Summary("rp_bytes", "Size of answers.")
modes = "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum"
gauges = [Gauge("rp_" + mode, "A gauge.", multiprocess_mode=mode) for mode in modes]


def work(n):
    for path in range(102):
        requests.labels("/path/%d" % path).inc(path)
    for path in range(3):
        seconds.labels("/path/%d" % path).observe(0.25)
    size.observe(n)
    for gauge in gauges:
        gauge.set(n)


for n in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        work(n)
        os._exit(0)
    os.waitpid(pid, 0)
