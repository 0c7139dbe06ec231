"""Declares the counters that its input lists, each in a directory of its own under BASE, and
prints as JSON under which name client_python serves each, empty for those that it refuses."""
import json
import os
import sys

from prometheus_client import Counter, values
from prometheus_client.multiprocess import MultiProcessCollector

served = []
for number, opts in enumerate(json.load(sys.stdin)):
    directory = os.path.join(sys.argv[1], str(number))
    os.mkdir(directory)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    values.ValueClass = values.MultiProcessValue()
    try:
        counter = Counter(opts["Name"], "H.", namespace=opts["Namespace"], subsystem=opts["Subsystem"], unit=opts["Unit"], registry=None)
    except ValueError:
        served.append("")
        continue
    counter.inc()
    (metric,) = MultiProcessCollector(None, directory).collect()
    (sample,) = metric.samples
    served.append(sample.name)
json.dump(served, sys.stdout)
