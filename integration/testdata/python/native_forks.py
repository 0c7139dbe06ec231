"""A process that forks in the way that its argument names, and counts in all processes. Each prints
its pid after it has counted. The parent waits for its stdin to close, the children do not."""
import multiprocessing
import os
import sys
import threading
import time

import multiprom_client

multiprom_client.install()

from prometheus_client import Counter, Gauge, Histogram  # noqa: E402

counter = Counter("forks", "Updates.", ["by"])
plain = Counter("plain", "Updates.")
latency = Histogram("forks_seconds", "Updates.")
live = Gauge("forks_live", "Processes.", multiprocess_mode="livesum")


def say(line):
    os.write(1, line.encode() + b"\n")  # in one piece: others write too


def count():
    counter.labels("a").inc()
    plain.inc()
    latency.observe(1)
    live.set(1)
    assert plain._value.get() == 1, "it starts at zero"
    say("counted %d" % os.getpid())


def child_sleeps():
    time.sleep(600)
    os._exit(0)


def child():
    count()
    child_sleeps()


def fork():
    if os.fork() == 0:
        child()


def spinning(stop):
    while not stop.is_set():
        plain.inc(0)


def main(how):
    if how == "preload":  # the parent has no file
        fork()
        fork()
    elif how == "idle":  # the child never updates, and must not keep the parent's lock
        count()
        if os.fork() == 0:
            child_sleeps()
    elif how == "fork":
        count()
        fork()
        fork()
    elif how == "nested":
        count()
        if os.fork() == 0:
            count()
            fork()
            child_sleeps()
    elif how == "threads":  # forks while other threads hold the lock
        count()
        stop = threading.Event()
        threads = [threading.Thread(target=spinning, args=(stop,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            fork()
        stop.set()
        for thread in threads:
            thread.join()
    else:
        count()
        for _ in range(2):
            multiprocessing.get_context(how.split()[-1]).Process(target=child, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
    say("ready")
    sys.stdin.read()
