# app.py
import os

from prometheus_client import Counter, Histogram

REQUESTS = Counter("requests", "Requests served.", ["method"])
SECONDS = Histogram("request_seconds", "Time to serve.")


@SECONDS.time()
def app(environ, start_response):
    REQUESTS.labels(environ["REQUEST_METHOD"]).inc()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served by process %d\n" % os.getpid()]
