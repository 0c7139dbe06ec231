"""Declares the counters that its input lists, each in its own directory under BASE. Prints as
JSON the name under which client_python serves each; it is empty for rejected counters."""
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
