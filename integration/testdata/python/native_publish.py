"""Collectors and functions that multiprom_client publishes. The argument says what happens; the merged view
is checked outside."""
import os
import signal
import sys
import warnings

import multiprom_client

how = sys.argv[1]
multiprom_client.install(period=0.02 if how != "at exit" else 3600)

import prometheus_client  # noqa: E402
from prometheus_client import Counter, Gauge  # noqa: E402
from prometheus_client.core import CounterMetricFamily, GaugeHistogramMetricFamily, GaugeMetricFamily  # noqa: E402


class Pools:
    """What it yields, the script changes."""

    def __init__(self):
        self.rounds, self.jobs, self.sizes, self.fails = 0, 7, {"a": 1, "b": 2}, False

    def collect(self):
        counter = CounterMetricFamily("pool_jobs", "Jobs.")
        counter.add_metric([], self.jobs)
        yield counter
        gauge = GaugeMetricFamily("pool_size", "Size.", labels=["pool"])
        for name, n in list(self.sizes.items()):
            gauge.add_metric([name], n)
        if self.fails:
            self.rounds += 1
            raise RuntimeError("no connection")
        yield gauge
        if how == "types":
            yield GaugeHistogramMetricFamily("pool_ages", "Ages.", buckets=[("+Inf", 1)], gsum_value=1)
        self.rounds += 1

    def published(self):
        """Waits until the thread has published what there is now. One publication may have begun before,
        and one that counts its round here has not ended yet."""
        seen = self.rounds
        while self.rounds < seen + 3:
            signal.sigtimedwait([], 0.01)


pools = Pools()
started = Counter("started", "The process has a file.")
started.inc()
multiprom_client.publish(pools, mode="livesum", limit=4)

if how == "types":
    multiprom_client.publish(prometheus_client.PROCESS_COLLECTOR)
    multiprom_client.publish(prometheus_client.GC_COLLECTOR)
    for wrong in (lambda: multiprom_client.publish(pools, mode="mostrecent"),
                  lambda: multiprom_client.publish(prometheus_client.REGISTRY),
                  lambda: multiprom_client.install(period=0)):
        try:
            wrong()
            sys.exit("it was accepted")
        except ValueError:
            pass
    pools.published()
elif how == "goes":
    pools.published()
    del pools.sizes["a"]
    pools.published()
elif how == "limit":
    pools.sizes = {str(n): 1 for n in range(10)}
    pools.published()
elif how == "fails":
    pools.published()
    pools.fails = True
    pools.jobs = 9
    pools.published()
elif how == "forks":  # the child's collector has what the parent counted
    pools.published()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: the publisher is a thread, and this forks
    if os.fork() == 0:
        pools.jobs += 100
        started.inc()
        pools.published()
        os.write(1, b"ready\n")
        signal.pause()
elif how == "function":
    values = iter(range(10 ** 9))
    gauge = Gauge("changing", "A function.", multiprocess_mode="livesum")
    gauge.set_function(lambda: next(values))
    while next(values) < 100:
        pools.published()
elif how == "at exit":
    while pools.rounds == 0:
        signal.sigtimedwait([], 0.01)
    pools.jobs = 50
    sys.exit(0)

if how != "forks":
    os.write(1, b"ready\n")
sys.stdin.read()
