"""Series that come and go, whose space is used again."""
import multiprom_client

multiprom_client.install(keep_removed=1e-6)

from prometheus_client import Counter, Gauge, Histogram  # noqa: E402

churn = Counter("churn", "Series that come and go.", ["n"])
kept = Counter("kept", "Series that stay.", ["n"])
seconds = Histogram("churn_seconds", "The same.", ["n"], buckets=(1, 2, 5))
gauge = Gauge("churn_gauge", "The same.", ["n"], multiprocess_mode="liveall")
for n in range(600):
    name = "x" * (n % 37)
    churn.labels(name + str(n)).inc(n, exemplar={"trace": "y" * (n % 90)})
    seconds.labels(name + str(n)).observe(n % 7)
    gauge.labels(name + str(n)).set(n)
    if n % 100 == 0:
        kept.labels(str(n)).inc(n)
    if n >= 20:
        old = "x" * ((n - 20) % 37) + str(n - 20)
        churn.remove(old)
        seconds.remove(old)
        gauge.remove(old)
