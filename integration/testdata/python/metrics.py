"""The metrics of all applications here, and the updates of one request."""
import os

from prometheus_client import Counter, Gauge, Histogram, Summary

REQUESTS = Counter("py_requests", "Requests served.", ["method"])
TEXTS = Counter("py_texts", "Requests by what they say:\nits \\ and its \"quotes\", \u00fc too.", ["text", "length"])
LATENCY = Histogram("py_latency_seconds", "Time to serve.", buckets=(0.1, 0.5, 1))
SIZE = Summary("py_size_bytes", "Size of the answer.")
GAUGES = {
    mode: Gauge("py_" + mode, "A gauge of mode %s." % mode, multiprocess_mode=mode)
    for mode in ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum")
}


def count(method, text):
    """Counts a request, and returns its answer: the pid."""
    REQUESTS.labels(method).inc()
    TEXTS.labels(text, len(text)).inc()
    LATENCY.observe(0.25)
    SIZE.observe(3)
    for gauge in GAUGES.values():
        gauge.set(os.getpid() % 7)
    return str(os.getpid())
