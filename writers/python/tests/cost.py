"""Compares what updates cost with native files and with prometheus_client's own, in turns:

    python3 cost.py [--rounds 7]

It prints the time of an update with native files, divided by that with .db files: the median of all
rounds. The directories are in memory."""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import timeit

WORK = {
    "inc": "counter.inc()",
    "inc of a fraction": "counter.inc(0.5)",
    "observe": "histogram.observe(0.3)",
    "set": "gauge.set(3.5)",
    "labels().inc": "labelled.labels('GET', '200').inc()",
    "a new series": "labelled.labels('GET', next(names)).inc()",
}


def measure(native):
    """Runs in a process of its own, and prints nanoseconds."""
    if native:
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        import multiprom_client
        assert multiprom_client.install()
    from prometheus_client import Counter, Gauge, Histogram
    names = map(str, range(10 ** 9))
    scope = {
        "counter": Counter("counter", "Help."), "gauge": Gauge("gauge", "Help."), "histogram": Histogram("histogram", "Help."),
        "labelled": Counter("labelled", "Help.", ["method", "code"]), "names": names,
    }
    for name, statement in WORK.items():
        n = 2000 if name == "a new series" else 50000
        # The processor's time: other programs need some too.
        print(min(timeit.repeat(statement, timer=time.process_time, globals=scope, number=n, repeat=5)) / n * 1e9)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--measure")
    args = parser.parse_args()
    if args.measure:
        measure(args.measure == "native")
        return
    ratios = {name: [] for name in WORK}
    for _ in range(args.rounds):
        took = {}
        for how in ("db", "native"):
            directory = tempfile.mkdtemp(dir="/dev/shm")
            env = dict(os.environ, PROMETHEUS_MULTIPROC_DIR=directory)
            out = subprocess.run([sys.executable, os.path.abspath(__file__), "--measure", how], check=True, env=env, stdout=subprocess.PIPE)
            shutil.rmtree(directory)
            took[how] = [float(line) for line in out.stdout.split()]
        for name, native, db in zip(WORK, took["native"], took["db"]):
            ratios[name].append(native / db)
    print("Python %s" % sys.version.split()[0])
    for name, values in ratios.items():
        print("%-20s %.2f (%.2f to %.2f)" % (name, statistics.median(values), min(values), max(values)))


if __name__ == "__main__":
    main()
