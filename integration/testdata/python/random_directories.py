"""Writes random directories with client_python, and prints the output of its collector.

    random_directories.py BASE SEED COUNT

Several processes write each directory. For each directory, one line of JSON is printed: its
path, and what client_python serves without the differences that docs/client_python.md names.
"rules" lists the differences that occurred.

A difference is removed by changing the records, not the result: records that lose by one of
multiprom's rules are left out, and client_python's own collector merges the rest. Only its sums
of floats are corrected afterwards, since it rounds them. PYTHONPATH selects the client_python.
"""
import json
import math
import os
import random
import sys
import time

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram, Summary, mmap_dict, values
from prometheus_client.multiprocess import MultiProcessCollector

TIMED = hasattr(mmap_dict, "_pack_two_doubles")  # since 0.18: values have times
MODES = sorted(Gauge._MULTIPROC_MODES)
UTF8 = hasattr(prometheus_client, "validation") or os.path.exists(
    os.path.join(os.path.dirname(prometheus_client.__file__), "validation.py"))
NOW = time.time()
TEXTS = ["x", "y", "", " ", 'a "quoted" \\n \\\\', "two\nlines\r", "é ☃ 𝕏", "\x01\x7f", "1_2.db", "+Inf", "0.5"]
FLOATS = [0.0, -0.0, 1.0, -3.5, 0.1, 1e17, 2.0**53, 1e300, 5e-324, math.inf, -math.inf, math.nan]
TIMES = [NOW - 5, NOW - 4, NOW - 4, NOW - 3.25, NOW + 3, NOW + 3600, 1.5, 1e-12, 0.0, -5.0, 9.3e9, 1e300, math.inf, math.nan]


def name(r):
    names = ["a", "b", "c"]
    if UTF8:
        names.append("d.é")
    return r.choice(names) + r.choice(["", "", "", "_total", "_total_total", "_sum", "_count", "_bucket", "_created"])


def value(r):
    return r.choice(FLOATS) if r.random() < 0.2 else r.choice([1, -1]) * r.random() * 2.0 ** r.randint(-30, 30)


def work(directory, identifier, r, definitions, texts):
    """Runs as one process: creates some metrics, mostly like the other processes, and updates them."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    values.ValueClass = values.MultiProcessValue(lambda: identifier)
    for _ in range(r.randint(1, 8)):
        updates, r = r, random.Random(r.choice(definitions) if r.random() < 0.85 else r.random())
        labels = r.choice([[], [], ["l"], ["l"], ["l", "m"], ["pid"], ["pid", "worker_pid"]])
        opts = {"labelnames": labels, "registry": None, "unit": r.choice(["", "", "", "seconds"])}
        typ = r.choice([Counter, Gauge, Gauge, Summary, Histogram])
        if typ is Gauge:
            opts["multiprocess_mode"] = r.choice(MODES)
        if typ is Histogram:
            opts["buckets"] = r.choice([(1, 2), (0.5, 1, 5), (-1, 0, 1e6, math.inf), (1e-3, 0.1)])
        metric = typ(name(r), r.choice(["Help.", "Other help.", "with \\ and \n", ""]), **opts)
        r = updates
        for _ in range(r.randint(0, 3)):
            one = metric.labels(*[r.choice(texts) for _ in labels]) if labels else metric
            for _ in range(r.randint(0, 3)):
                v = value(r)
                if typ is Counter:
                    one.inc(abs(v))
                elif typ is Gauge:
                    at = r.choice(TIMES)
                    time.time = lambda: at
                    one.set(v)
                else:
                    one.observe(v)


def write(directory, r):
    os.mkdir(directory)
    definitions, texts = [r.random() for _ in range(6)], r.sample(TEXTS, 2)
    for i in range(r.randint(1, 5)):
        identifier = r.choice([i, i, 10 + i, f"web{i}", f"web_{i}"])
        seed = r.random()
        child = os.fork()
        if child == 0:
            try:
                work(directory, identifier, random.Random(seed), definitions, texts)
                os._exit(0)
            except BaseException as e:
                print(repr(e), file=sys.stderr, flush=True)
                os._exit(1)
        if os.waitpid(child, 0)[1] != 0:
            raise RuntimeError("a worker failed")


class Record:
    def __init__(self, file, key, v, at):
        self.file, self.value, self.at = file, v, at
        self.family, self.sample, self.labels, self.help = json.loads(key)
        parts = file[:-3].split("_", 2 if file.startswith("gauge_") else 1)
        self.kind, self.id = tuple(parts[:-1]), parts[-1]

    def series(self):
        return self.sample, json.dumps(self.labels, sort_keys=True)


def read(directory):
    """Returns the records of a directory, by client_python's own reader."""
    out = []
    for file in sorted(os.listdir(directory)):
        for record in mmap_dict.MmapedDict.read_all_values_from_file(os.path.join(directory, file)):
            key, v, at = (record[0], record[1], record[2]) if TIMED else (record[0], record[1], 0.0)
            out.append(Record(file, key, v, at))
    return out


SUFFIXES = {"counter": ["", "_total", "_created"], "summary": ["", "_sum", "_count", "_created"],
            "histogram": ["", "_bucket", "_sum", "_count", "_created"], "gauge": [""]}


def sample_names(family, typ):
    suffixes = SUFFIXES[typ]
    if typ == "counter" and family.endswith("_total"):
        suffixes = suffixes[1:]
    return {family + s for s in suffixes}


def conflicts(records, rules):
    """Leaves out the records whose definition is not served."""
    first = {}  # of each definition, the first file
    for record in records:
        definition = (record.family, record.kind)
        first[definition] = min(first.get(definition, record.file), record.file)
    served, taken = {}, set()
    by_rank = sorted(first, key=lambda d: (first[d], d))
    for family, kind in by_rank:
        served.setdefault(family, kind)
    for family, kind in by_rank:
        if served[family] != kind:
            rules.add("one gauge with two modes" if kind[0] == served[family][0] == "gauge" else "one name with two types")
            continue
        names = sample_names(family, kind[0])
        if names & taken:
            rules.add("a sample name that two families have")
            served[family] = (None,)
        else:
            taken |= names
    return [r for r in records if served[r.family] == r.kind]


def gauges(records, rules):
    """Leaves out the values of gauges that are not served."""
    series = {}
    for record in records:
        if record.kind[0] == "gauge":
            series.setdefault(record.series(), []).append(record)
    dropped = set()

    def drop(losers, rule):
        if losers:
            rules.add(rule)
            dropped.update(map(id, losers))

    for same in series.values():
        mode = same[0].kind[1].removeprefix("live")
        if mode in ("min", "max"):
            if not all(math.isnan(r.value) for r in same):
                drop([r for r in same if math.isnan(r.value)], "NaN in `min` and `max`")
        elif mode == "mostrecent":
            same = [r for r in same if r.at > 0]
            believed = [r for r in same if 0 < r.at <= NOW + 60]
            if believed:
                drop([r for r in same if r.at > NOW + 60], "a mostrecent gauge that was set by a clock more than a minute fast")
                same = believed
            for r in same:
                equal = [o for o in same if o.at == r.at]
                best = max(equal, key=lambda o: -math.inf if math.isnan(o.value) else o.value)
                drop([o for o in equal if o is not best and id(o) not in dropped and id(best) not in dropped], "two values of a mostrecent gauge with one time")
    return [r for r in records if id(r) not in dropped]


def rewrite(directory, records, rules):
    """Writes the records to another directory, without what client_python cannot tell apart."""
    os.mkdir(directory)
    files = {}
    for record in records:
        labels, identifier = dict(record.labels), record.id
        if "pid" in labels:
            rules.add("a label `pid` of the metric's own")
            labels = {k if k == "le" else "own_" + k: v for k, v in labels.items()}
        if "_" in identifier:
            rules.add("a process identifier with `_` in it")
            identifier = identifier.replace("_", "%5F")
        file = "_".join(record.kind + (identifier,)) + ".db"
        if file not in files:
            files[file] = mmap_dict.MmapedDict(os.path.join(directory, file))
        if record.help == "":
            rules.add("empty help")
        key = json.dumps([record.family, record.sample, labels, record.help or "Multiprocess metric"], sort_keys=True)
        files[file].write_value(key, record.value, *([record.at] if TIMED else []))
    for f in files.values():
        f.close()


def restore(labels):
    """Reverts what rewrite does to labels."""
    process = labels.pop("pid", None)
    labels = {k.removeprefix("own_"): v for k, v in labels.items()}
    if process is not None:
        name = "pid"
        while name in labels:
            name = "worker_" + name
        labels[name] = process.replace("%5F", "_")
    return labels


def collect(directory, records, rules):
    """Returns what client_python serves, with its files in the order of their original names."""
    kinds = {r.family: r.kind for r in records}
    parts = {}  # of sums
    for r in records:
        if r.kind[-1] not in ("sum", "livesum", "counter", "summary", "histogram"):
            continue
        if r.kind == ("histogram",) and r.sample == r.family + "_bucket":
            continue
        parts.setdefault(r.series(), []).append(r.value)
    families = {}
    files = sorted(os.listdir(directory), key=lambda f: f.replace("%5F", "_"))
    for metric in MultiProcessCollector.merge([os.path.join(directory, f) for f in files]):
        samples = []
        for s in metric.samples:
            labels = restore(dict(s.labels))
            le = labels.pop("le", None) if metric.type == "histogram" else None
            v = float(s.value)
            terms = parts.get((s.name, json.dumps(labels, sort_keys=True)), [])
            if math.isfinite(v) and terms:
                exact = math.fsum(terms)
                if abs(exact - v) > len(terms) * sys.float_info.epsilon * math.fsum(map(abs, terms)):
                    raise RuntimeError(f"{s.name} {labels} is {v}, not {exact}")
                if exact != v:
                    rules.add("sums of floats")
                v = exact
            samples.append({"name": s.name, "labels": labels, "le": "" if le is None else float(le).hex(), "value": v.hex()})
        families[metric.name] = {"kind": "_".join(kinds[metric.name]), "help": metric.documentation, "samples": samples}
    return families


def main(base, seed, count):
    for n in range(count):
        r = random.Random(f"{seed}-{n}")
        directory = os.path.join(base, str(n))
        write(directory, r)
        records, rules = read(directory), set()
        kept = gauges(conflicts(records, rules), rules)
        reduced = directory + ".reduced"
        rewrite(reduced, kept, rules)
        families = collect(reduced, kept, rules)
        print(json.dumps({"dir": directory, "families": families, "rules": sorted(rules)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
