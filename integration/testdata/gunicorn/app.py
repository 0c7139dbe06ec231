"""A WSGI application that counts each request before it answers with its pid."""
import os

from prometheus_client import Counter, Gauge, Histogram, Summary

REQUESTS = Counter("py_requests", "Requests served.", ["method"])
LATENCY = Histogram("py_latency_seconds", "Time to serve.", buckets=(0.1, 0.5, 1))
SIZE = Summary("py_size_bytes", "Size of the answer.")
GAUGES = {
    mode: Gauge("py_" + mode, "A gauge of mode %s." % mode, multiprocess_mode=mode)
    for mode in ("all", "liveall", "min", "max", "livesum")
}


def app(environ, start_response):
    REQUESTS.labels(environ["REQUEST_METHOD"]).inc()
    LATENCY.observe(0.25)
    SIZE.observe(3)
    for gauge in GAUGES.values():
        gauge.set(os.getpid() % 7)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
