"""Runs many short-lived workers of client_python, one after the other, in
$PROMETHEUS_MULTIPROC_DIR. Each writes a file of every kind that the version of
client_python has, about 150 records. Prints the number of kinds."""
import os
import sys

from prometheus_client import Counter, Gauge, Histogram, Summary


def gauge(mode):
    try:
        return Gauge("rp_" + mode, "A gauge.", multiprocess_mode=mode)
    except ValueError:
        return None  # the modes mostrecent and livemostrecent, before 0.18


requests = Counter("rp_requests", "Requests served.", ["path"])
seconds = Histogram("rp_seconds", "Time that requests took.", ["path"])
size = Summary("rp_bytes", "Size of answers.")
modes = "all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent"
gauges = [g for g in map(gauge, modes) if g is not None]


def work(n):
    for path in range(102):
        requests.labels("/path/%d" % path).inc(path)
    for path in range(3):
        seconds.labels("/path/%d" % path).observe(0.25)
    size.observe(n)
    for g in gauges:
        g.set(n)


for n in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        work(n)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit("worker %d ended with status %d" % (n, status))
print(len(gauges) + 3)
