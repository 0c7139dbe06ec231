"""An application that updates metrics while it is imported, which gunicorn --preload does in its parent."""
import os

from prometheus_client import Counter, Gauge

booted = Counter("preload_boots", "Imports.")
live = Gauge("preload_live", "Processes that count.", multiprocess_mode="liveall")
requests = Counter("preload_requests", "Requests.")
booted.inc()
requests.inc(1000)
live.set(1)


def app(environ, start_response):
    requests.inc()
    live.set(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d" % (os.getpid(), requests._value.get())]
