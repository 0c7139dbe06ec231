"""A process that forks in the way that its argument names, and counts in all processes. Each prints
its pid after it has counted. The parent waits for its stdin to close, the children do not."""
import multiprocessing
import os
import signal
import sys
import tempfile
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


def close_all():
    """Closes all descriptors, as daemons do, and opens files that get their numbers."""
    os.closerange(3, 200)
    return [tempfile.TemporaryFile() for _ in range(60)]


def fork_from_handler(times):
    """Makes and updates series while a signal handler forks. A child returns into what the signal has interrupted."""
    busy, left, children = Counter("forks_busy", "Updates of the loop.", ["n"]), [times], []

    def handler(signum, frame):
        left[0] -= 1
        if os.fork() == 0:
            children.append(os.getpid())
        elif left[0]:
            signal.setitimer(signal.ITIMER_REAL, 0.002)

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    n = 0
    while left[0] and not children:
        busy.labels(str(n)).inc(exemplar={"n": "1"})
        n += 1
    if children:
        child()


def main(how):
    if how == "preload":  # the parent has no file
        fork()
        fork()
    elif how == "idle":  # the child never updates, and must not keep the parent's lock
        count()
        if os.fork() == 0:
            child_sleeps()
    elif how == "closed":
        count()
        files = close_all()
        if os.fork() == 0:
            for file in files:
                os.fstat(file.fileno())
            child()
    elif how == "closed idle":
        count()
        files = close_all()
        if os.fork() == 0:
            for file in files:
                file.close()
            child_sleeps()
    elif how == "handler":
        count()
        fork_from_handler(5)
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
