"""Every type of metric, written by multiprom_client. The process then waits for its stdin to close."""
import sys

import multiprom_client

assert multiprom_client.install()

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary  # noqa: E402

requests = Counter("requests", "Requests\nserved.", ["method", "path"])
bytes_sent = Counter("sent_bytes_total", "Bytes.", unit="bytes")
never = Counter("never", "No update.")
gauges = {mode: Gauge("gauge_" + mode, "", multiprocess_mode=mode) for mode in sorted(Gauge._MULTIPROC_MODES)}
unset = Gauge("unset", "Never set.", multiprocess_mode="min")
nan = Gauge("nan", "Not a number.", multiprocess_mode="max")
latency = Histogram("latency_seconds", "Time.", ["path"], buckets=(0.5, 1, 2.5))
size = Summary("size", "Size.")
build = Info("build", "The build.")
state = Enum("state", "The state.", states=["starting", "running", "gone"])
labelled = Enum("job", "Jobs.", ["name"], states=["on", "off"])

requests.labels("GET", "/").inc()
requests.labels("GET", "/").inc(41)
requests.labels(method="POST", path="a \"b\"\\\n\u2603").inc(0.5)
requests.labels("POST", "a \"b\"\\\n\u2603").inc(2 ** 40)
bytes_sent.inc(3, exemplar={"trace": "t" * 70})
bytes_sent.inc(4, exemplar={"trace": "\u00fc", "span": "7"})
for gauge in gauges.values():
    gauge.set(2.5)
nan.set(float("nan"))
gauges["all"].inc()
gauges["sum"].dec(4)
latency.labels("/").observe(1)
latency.labels("/").observe(0.7)
latency.labels("/").observe(99, exemplar={"id": "x"})
latency.labels("unused")
for n in range(4):
    size.observe(n)
build.info({"version": "1", "rev": "abc"})
build.info({"version": "2", "rev": "abc"})
state.state("running")
labelled.labels("a").state("off")
labelled.labels("b")

# Series that go, by each of the ways.
gone = Counter("gone", "Some go.", ["a", "b"])
for a in "xyz":
    for b in "12":
        gone.labels(a, b).inc()
gone.remove("x", "1")
if hasattr(gone, "remove_by_labels"):
    gone.remove_by_labels({"a": "y"})
else:
    gone.remove("y", "1")
    gone.remove("y", "2")
cleared = Histogram("cleared", "All go.", ["a"])
cleared.labels("1").observe(1)
cleared.clear()
cleared.labels("2").observe(3)
labelled.remove("b")

print("ready", flush=True)
sys.stdin.read()
