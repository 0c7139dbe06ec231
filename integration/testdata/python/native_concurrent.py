"""Updates metrics from many threads, greenlets or tasks at once, as the argument says, and prints
what it has counted:

    threads          threads
    gevent           greenlets; gevent patches before multiprom_client is imported
    gevent-later     the same, after it was imported and a file made, as gunicorn does in its workers
    gevent-pool      greenlets and real threads of gevent's pool, with real locks
    asyncio          tasks, and threads of the loop's executor
"""
import os
import sys

how = sys.argv[1]
if how in ("gevent", "gevent-pool"):
    from gevent import monkey
    # With gevent's locks, prometheus_client by itself hangs in a pool: a wake-up of another
    # thread gets lost.
    monkey.patch_all(thread=how == "gevent")

import multiprom_client  # noqa: E402

multiprom_client.install(period=0.01)

from prometheus_client import Counter, Gauge, Histogram, Summary  # noqa: E402

counter = Counter("many", "Updates.", ["by", "n"])
fraction = Counter("many_halves", "Updates by a half.")
gauge = Gauge("many_open", "Up and down.", multiprocess_mode="livesum")
latency = Histogram("many_seconds", "Updates.", buckets=(1, 2, 3))
size = Summary("many_size", "Updates.")
published = Gauge("many_published", "A function.", multiprocess_mode="livesum")

WORKERS, ROUNDS = 16, 300

if how == "gevent-later":
    fraction.inc(0.5)
    from gevent import monkey
    monkey.patch_all()

import threading  # noqa: E402
import time  # noqa: E402

asked = threading.Event()


def function():
    asked.set()
    time.sleep(0)  # a greenlet yields
    return 7


published.set_function(function)


def update(worker, n):
    gauge.inc()
    counter.labels(str(worker % 4), str(n % 50)).inc(exemplar={"n": "%d" % n})
    fraction.inc(0.5)
    latency.observe(n % 4)
    size.observe(2)
    counter.labels("gone", "%d-%d" % (worker, n)).inc()
    counter.remove("gone", "%d-%d" % (worker, n))
    gauge.dec()


def work(worker):
    for n in range(ROUNDS):
        update(worker, n)
        if n % 10 == 0:
            time.sleep(0)


def in_threads():
    threads = [threading.Thread(target=work, args=(w,)) for w in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_pool():
    import gevent
    half = [gevent.spawn(work, w) for w in range(WORKERS // 2)]
    half += [gevent.get_hub().threadpool.spawn(work, w) for w in range(WORKERS // 2, WORKERS)]
    gevent.joinall([g for g in half if isinstance(g, gevent.Greenlet)])
    for result in half[WORKERS // 2:]:
        result.get()


def in_tasks():
    import asyncio

    async def task(worker):
        for n in range(ROUNDS):
            update(worker, n)
            if n % 10 == 0:
                await asyncio.sleep(0)

    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(task(w) if w % 2 else loop.run_in_executor(None, work, w) for w in range(WORKERS)))

    asyncio.run(main())


{"asyncio": in_tasks, "gevent-pool": in_pool}.get(how, in_threads)()
asked.wait()
if how == "gevent-later":
    fraction.inc(-0.0)
os.write(1, b"ready\n")
if how.startswith("gevent"):
    from gevent.os import tp_read
    tp_read(0, 1)
else:
    sys.stdin.read()
