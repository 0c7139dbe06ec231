"""What a writer must survive, by the argument. It counts hostile_total, and prints how often when it is done."""
import dis
import os
import random
import signal
import sys
import threading
import time

import multiprom_client

multiprom_client.install()

from prometheus_client import Counter, Gauge, Histogram  # noqa: E402

how = sys.argv[1]
counter = Counter("hostile", "Updates.")
live = Gauge("hostile_live", "Processes.", multiprocess_mode="livesum")


def count():
    counter.inc()
    live.set(1)


def executes():
    """The process goes on as another program, with the same pid."""
    count()
    os.execv(sys.executable, [sys.executable, __file__, "executed"])


def changes_directory():
    """PROMETHEUS_MULTIPROC_DIR is relative."""
    os.chdir("/")
    count()
    return 1


def daemonizes():
    """Forks twice and closes everything, after the first process has counted."""
    count()
    done, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.umask(0o077)
        os.dup2(tell, 0)
        os.closerange(1, 200)
        count()
        os.write(0, b"%d" % os.getpid())
        os.close(0)
        signal.pause()
    os.close(tell)
    print("daemon", os.read(done, 20).decode(), flush=True)
    return 2


def changes_user():
    """As a server that drops its rights after it has imported the application."""
    os.umask(0o077)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    count()
    return 1


def forks_much():
    """Threads fork short-lived children while metrics are made, updated and removed."""
    stop = threading.Event()
    busy = Counter("hostile_busy", "Updates of a thread.", ["n"])

    def work():
        n = 0
        while not stop.is_set():
            n += 1
            busy.labels(str(n)).inc(exemplar={"n": "1"})
            busy.remove(str(n))

    def fork():
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                count()
                busy.labels("child").inc()
                os._exit(0)
            os.waitpid(pid, 0)

    threads = [threading.Thread(target=work)] + [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    stop.set()
    threads[0].join()
    count()
    return 41


class Timeout(Exception):
    pass


class Churn:
    """Series that are made, updated and removed."""

    def __init__(self):
        self.gone, self.kept = Counter("hostile_gone", "Removed.", ["n"]), Counter("hostile_kept", "Updates.", ["n"])
        self.size = Histogram("hostile_size", "Updates.", ["n"])
        self.n = 0
        count()

    def step(self):
        self.n += 1
        n = self.n
        self.gone.labels(str(n)).inc(exemplar={"text": "x" * (n % 90)})
        self.kept.labels(str(n % 7)).inc(exemplar={"n": str(n)})
        self.size.labels(str(n % 5)).observe(n % 20, {"text": "x" * (n % 90)})
        self.gone.remove(str(n))
        if n % 3 == 0 and (str(n % 5),) in self.size._metrics:
            self.size.remove(str(n % 5))

    def end(self):
        """The writer goes on as before."""
        for n in range(200):
            self.gone.labels("after %d" % n).inc(exemplar={"n": "1"})
        for n in range(7):
            self.kept.labels(str(n)).inc(exemplar={"last": str(n)})
        for child in self.kept._metrics.values():
            assert child._value.place is not None
        other = threading.Thread(target=self.kept.labels("0").inc, daemon=True)
        other.start()
        other.join(60)
        assert not other.is_alive(), "the lock is held"
        print("kept", sum(child._value.get() for child in self.kept._metrics.values()), flush=True)
        return 1


def is_interrupted():
    """A signal handler raises exceptions, as Celery's soft time limits do, while the file is changed."""
    fired = [0]

    def handler(signum, frame):
        if frame.f_code.co_filename != multiprom_client.__file__:
            signal.setitimer(signal.ITIMER_REAL, 0.00005)  # CPython 3.14 would leave prometheus_client's locks locked
            return
        fired[0] += 1
        raise Timeout  # which Python drops if it comes within a __del__

    churn = Churn()
    signal.signal(signal.SIGALRM, handler)
    sys.unraisablehook = lambda _: None

    def until_interrupted(after):
        before = fired[0]
        signal.setitimer(signal.ITIMER_REAL, after)  # one signal
        while fired[0] == before:
            churn.step()

    for n in range(300):
        try:
            until_interrupted(0.0002 + n % 40 * 0.0001)
        except Timeout:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    return churn.end()


class Interrupter:
    """Raises Timeout within the writer, at a place where CPython runs signal handlers: where a function
    begins, after a call, and where a loop goes back."""

    def __init__(self):
        self.raised = 0

    def arm(self, left, again=True):
        """The exception comes at the place that many places further. again is whether one that was passed counts again."""
        self.left, self.again, self.last, self.passed = left, again, {}, set()
        sys.settrace(self.call)

    def at(self, place):
        if not self.again and place in self.passed:
            return
        self.passed.add(place)
        self.left -= 1
        if self.left == 0:
            sys.settrace(None)
            self.raised += 1
            raise Timeout

    def call(self, frame, event, arg):
        if frame.f_code.co_filename != multiprom_client.__file__ or frame.f_code.co_name == "__del__":
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.last[frame] = -1
        self.at((frame.f_code, -1))
        return self.step

    def step(self, frame, event, arg):
        if event == "opcode":
            before = self.last.get(frame, -1)
            self.last[frame] = frame.f_lasti
            if frame.f_lasti < before or before >= 0 and dis.opname[frame.f_code.co_code[before]].startswith("CALL"):
                self.at((frame.f_code, frame.f_lasti))
        elif event == "return":
            self.last.pop(frame, None)
        return self.step


def is_interrupted_at_birth():
    """An exception comes at each place in turn where a process makes its file."""

    def child(place):
        interrupter = Interrupter()
        try:
            interrupter.arm(place, again=False)
            counter.inc()
        except Timeout:
            if counter._value.get() == 0:
                counter.inc()
        sys.settrace(None)
        live.set(1)
        os._exit(2 if multiprom_client._store is None else 0 if interrupter.raised else 1)

    count()
    started, statuses = 0, {0}
    while statuses == {0}:
        children = []
        for _ in range(8):
            started += 1
            children.append(os.fork() or child(started))
        statuses = {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children}
    assert statuses <= {0, 1}, "a child has no file"
    return 1 + started


def is_interrupted_everywhere():
    """Exceptions come at every place of the writer where a signal handler can raise one."""
    multiprom_client._settings["keep_removed"] = 0.001
    churn = Churn()
    interrupter, distance = Interrupter(), random.Random(1)
    while interrupter.raised < 400:
        try:
            interrupter.arm(distance.randint(1, 1500))
            while interrupter.left > 0:
                churn.step()
        except Timeout:
            sys.settrace(None)
    return churn.end()


def clock_goes_back():
    times = iter(range(1700000000000000000, 0, -1000000000000))
    time.time_ns = lambda: next(times)
    late = Counter("hostile_late", "Made while the clock goes back.", ["n"])
    for n in range(50):
        late.labels(str(n)).inc(exemplar={"n": str(n)})
        if n % 2:
            late.remove(str(n))
    count()
    return 1


def has_odd_texts():
    odd = Counter("hostile_odd", "Labels.", ["text"])
    for text in ("\0", "a\0b", "\ud800", "\udcff", "\n\"\\", "\U0001f600" * 1024, "e\u0301", "\u202e", "x" * 4096, "x" * 4097, "", " ", b"\xff", 7, None):
        odd.labels(text).inc()
    multiprom_client.NativeValue("counter", "hostile.\u00e9", "hostile.\u00e9_total", ("l\u00e4bel",), ("v",), "h\ud800elp\0").inc(3)
    count()
    return 1


def has_odd_numbers():
    sums = Counter("hostile_sum", "Counters.", ["n"])
    for amount in (2 ** 63, 2.0 ** 70, 0.1, -0.0, True, 1e308, 1e308, 1e308, 5e-324, float("nan"), float("inf")):
        sums.labels("all").inc(amount)
    values = (float("inf"), float("-inf"), float("nan"), -0.0, 2 ** 63, 5e-324, 1.7976931348623157e308)
    for n, value in enumerate(values):
        Gauge("hostile_gauge_%d" % n, "Gauges.", multiprocess_mode="max").set(value)
        Histogram("hostile_histogram_%d" % n, "Histograms.", buckets=(0, 1)).observe(value)
    negative = multiprom_client.NativeValue("gauge", "hostile_unset", "hostile_unset", (), (), "No update is NaN with these bits.", "max")
    import struct
    negative.set(struct.unpack("<d", struct.pack("<Q", multiprom_client.UNSET))[0])
    count()
    return 1


def is_run():
    count()
    return 2


WAYS = {
    "exec": executes, "executed": is_run, "relative": changes_directory, "daemon": daemonizes, "user": changes_user, "forks": forks_much,
    "interrupted": is_interrupted, "interrupted everywhere": is_interrupted_everywhere,
    "interrupted at birth": is_interrupted_at_birth, "clock": clock_goes_back, "texts": has_odd_texts, "numbers": has_odd_numbers,
}
print("counted", WAYS[how](), flush=True)
sys.stdin.read()
