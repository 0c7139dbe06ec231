"""What a program may do beyond counting. It checks what it sees itself; the merged view is checked outside."""
import os
import signal
import sys

import multiprom_client

multiprom_client.install(process_id=lambda: "worker-7", period=0.02)

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary  # noqa: E402
from prometheus_client.core import (  # noqa: E402
    CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, StateSetMetricFamily, SummaryMetricFamily,
)

# A metric that is made again and again, with a registry of its own, starts at zero for the program,
# while the file goes on in the same place.
for n in range(500):
    registry = CollectorRegistry()
    counter = Counter("again", "Made again.", registry=registry)
    histogram = Histogram("again_seconds", "Made again.", registry=registry, buckets=(1,))
    summary = Summary("again_size", "Made again.", registry=registry)
    gauge = Gauge("again_last", "Made again.", registry=registry, multiprocess_mode="max")
    assert registry.get_sample_value("again_total") == 0
    assert registry.get_sample_value("again_seconds_sum") == 0
    assert registry.get_sample_value("again_last") == 0
    counter.inc()
    counter.inc(0.5)
    histogram.observe(0.5)
    summary.observe(2)
    gauge.set(n)
    assert registry.get_sample_value("again_total") == 1.5
    assert registry.get_sample_value("again_seconds_bucket", {"le": "+Inf"}) == 1
    assert registry.get_sample_value("again_seconds_sum") == 0.5
    assert registry.get_sample_value("again_size_count") == 1
    # The numbers of the program are not rounded by what the file had before, nor NaN after an infinity.
    exact = Summary("again_exact", "Made again.", registry=registry)
    assert registry.get_sample_value("again_exact_sum") == 0
    exact.observe(0.1)
    assert registry.get_sample_value("again_exact_sum") == 0.1
    for metric, value in (("again_inf", float("inf")), ("again_nan", float("nan")), ("again_large", 1e17)):
        odd = Histogram(metric, "Made again.", registry=registry, buckets=(1,))
        assert registry.get_sample_value(metric + "_sum") == 0
        odd.observe(0.1)
        assert registry.get_sample_value(metric + "_sum") == 0.1
        odd.observe(value)
    again = Counter("again_reset", "Made again, and reset.", registry=registry)
    again.inc(0.1)
    assert registry.get_sample_value("again_reset_total") == 0.1
    if n == 499:
        again._value.set(0)
        assert registry.get_sample_value("again_reset_total") == 0
        again.inc(0.25)
        assert registry.get_sample_value("again_reset_total") == 0.25
    info = Info("again_build", "Made again.", registry=registry)
    info.info({"v": "x" * 200})
    enum = Enum("again_state", "Made again.", registry=registry, states=["a", "b" * 200])
    enum.state("b" * 200)
    del counter, histogram, summary, gauge, exact, odd, again, info, enum, registry
assert multiprom_client._store.blocks == 2, "the file does not grow"

# Two metrics of one name at once are one series in the view.
one, two = (Counter("both", "Two objects.", registry=None) for _ in "12")
one.inc(1)
two.inc(2)
assert (one._value.get(), two._value.get()) == (1, 2)

# A handle of a removed series goes nowhere, and a new child starts at zero.
family = Counter("handle", "Removed.", ["a"])
held = family.labels("x")
held.inc(5)
family.remove("x")
held.inc(100)
family.labels("x").inc(2)

# A reset begins again.
again = Counter("reset", "Reset.")
again.inc(7)
again._value.set(0)
again.inc(1)

# Updates that are not numbers to add.
invalid = Counter("invalid", "Not added.")
invalid.inc(float("nan"))
invalid.inc(float("inf"))
invalid.inc(3)
try:
    invalid.inc("x")
except TypeError:
    pass
invalid.inc(1)

# Labels that are too long, and surrogates.
long = Counter("long", "Too long.", ["a"])
long.labels("y" * 5000).inc()
long.labels("z" * 6000).inc()
long.labels("\ud800").inc()

# A signal handler makes series and updates while the program does.
signals = Counter("signals", "By a signal handler.", ["n"])
main = Counter("main", "By the program.", ["n"])
handled = 0


def handler(signum, frame):
    global handled
    signals.labels(str(handled % 50)).inc()
    handled += 1
    if handled < 200:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)  # once: a handler must not come within itself


signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
for n in range(2000):
    main.labels(str(n)).inc()
    if n % 3:
        main.remove(str(n))
while handled < 200:
    main.labels("0").inc(0)

# Functions and collectors.
Gauge("function", "A function.").set_function(lambda: 42)
Gauge("failing", "A function that fails.").set_function(lambda: 1 / 0)


class Collector:
    rounds = 0

    def collect(self):
        self.rounds += 1
        n = min(self.rounds, 10)
        # It begins again in the sixth round.
        yield CounterMetricFamily("own_events", "Events.", value=n if n <= 5 else n - 5)
        gauge = GaugeMetricFamily("own_open", "Open.", labels=["pool"])
        gauge.add_metric(["a"], n)
        if self.rounds < 5:
            gauge.add_metric(["gone"], 1)
        yield gauge
        yield HistogramMetricFamily("own_seconds", "Time.", buckets=[("1.0", 2), ("+Inf", 3)], sum_value=9)
        yield SummaryMetricFamily("own_size", "Size.", count_value=2, sum_value=5)
        yield InfoMetricFamily("own_build", "Build.", value={"v": "1"})
        yield StateSetMetricFamily("own_state", "State.", value={"a": False, "b": True})


collector = Collector()
multiprom_client.publish(collector)
while collector.rounds < 12:
    signal.sigtimedwait([], 0.01)

os.write(1, b"ready %d\n" % handled)
sys.stdin.read()
