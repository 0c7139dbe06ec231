"""Runs prometheus_client's own tests with its values in the process, then with native files, and
compares what each test says:

    python3 suites.py REPOSITORY [--versions 0.16.0,0.25.0] [--pythons python3.9,python3.13]

REPOSITORY is a local clone of prometheus_client with its tags. Nothing of it is kept. pytest need
not be there: little_pytest.py has the little of it that the tests use."""
import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

# What is different on purpose, by test.
DOCUMENTED = {
    "tests.test_multiprocess.TestMultiProcess.test_remove_clear_warning":
        "it wants a warning that removal has no effect; with native files it has",
    "tests.test_gc_collector.TestGCCollector.test_empty":
        "it wants no garbage, of which any import leaves some; it fails without native files too, depending on the interpreter",
}

# Files that need a package which is not in the standard library.
OPTIONAL = {"tests/test_asgi.py"}

MARK = "---- outcomes: "


class Outcomes(unittest.TestResult):
    """What each test has said: pass, fail, or skip and why."""

    def __init__(self, prepare):
        super().__init__()
        self.prepare, self.by_test = prepare, {}

    def startTest(self, test):
        super().startTest(test)
        self.prepare()  # tests of multiprocess mode leave other values in place
        self.say(test, "pass")

    def say(self, test, outcome):
        self.by_test[test.id()] = outcome

    def addFailure(self, test, err):
        self.say(test, "fail")

    def addError(self, test, err):
        self.say(test, "fail")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.say(test, "fail")

    def addUnexpectedSuccess(self, test):
        self.say(test, "fail")

    def addSkip(self, test, reason):
        self.say(test, "skip: " + reason)


def run(root, native):
    """Runs in a process of its own, and prints what the tests say."""
    os.chdir(root)
    sys.path[:0] = [root, HERE]
    import little_pytest
    sys.modules.setdefault("pytest", little_pytest)
    if native:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=root)
        sys.path.insert(0, os.path.dirname(HERE))
        import multiprom_client
        assert multiprom_client.install()
    from prometheus_client import Counter, values
    Counter("first", "The file is made now, since tests change the variable.", registry=None).inc()
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    chosen = values.ValueClass
    assert (chosen is multiprom_client.NativeValue) if native else (chosen is values.MutexValue)

    def prepare():
        values.ValueClass = chosen

    loader = little_pytest.Loader()
    result = Outcomes(prepare)
    loader.discover("tests", top_level_dir=".").run(result)
    out = {"tests": result.by_test, "files": sorted(loader.files), "series": 0}
    if native:
        assert multiprom_client._store is not None, "a native file was written"
        out["series"] = multiprom_client._numbers
    print("\n" + MARK + json.dumps(out))  # the tests print too
    sys.stdout.flush()
    os._exit(0)


def outcomes(root, python, how):
    cmd = [python, "-W", "default", os.path.abspath(__file__), root, "--run", how]
    out = subprocess.run(cmd, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=900, universal_newlines=True).stdout
    return json.loads(out.rpartition(MARK)[2])


def names(tests):
    return "".join("\n    " + t for t in sorted(tests)) or " none"


def compare(repository, version, python):
    with tempfile.TemporaryDirectory() as root:
        archive = subprocess.run(["git", "-C", repository, "archive", "v" + version], check=True, stdout=subprocess.PIPE)
        tarfile.open(fileobj=io.BytesIO(archive.stdout)).extractall(root)
        wanted = set()
        for folder, _, files in os.walk(os.path.join(root, "tests")):
            wanted.update(os.path.join(folder, f) for f in files if f.startswith("test_") and f.endswith(".py"))
        rounds = []
        while True:
            plain, native = (outcomes(root, python, how) for how in ("plain", "native"))
            a, b = plain["tests"], native["tests"]
            rounds.append({t for t in set(a) | set(b) if a.get(t) != b.get(t)})
            differ = set.intersection(*rounds)
            if differ <= set(DOCUMENTED) or len(rounds) == 4:
                break
        unloaded = {os.path.relpath(w, root) for w in wanted - set(plain["files"])}
    failing = {t for t in a if a[t] == "fail"}
    undocumented = differ - set(DOCUMENTED)
    print("prometheus_client %s, %s: %d tests of %d files, %d series with native files" % (
        version, python, len(a), len(plain["files"]), native["series"]))
    print("  fail without native files:" + names(failing))
    print("  skip:" + names("%s (%s)" % (t, a[t]) for t in a if a[t].startswith("skip")))
    print("  files that do not load:" + names(unloaded))
    # What differs once and not again depends on something else, such as when garbage is collected.
    print("  differed once, of %d times:%s" % (len(rounds), names(set.union(*rounds) - differ)))
    print("  differ with native files:" + names("%s: %s, %s%s" % (
        t, a.get(t), b.get(t), "; " + DOCUMENTED[t] if t in DOCUMENTED else "") for t in differ), flush=True)
    return len(a) > 100 and not undocumented and unloaded <= OPTIONAL


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("repository")
    parser.add_argument("--versions", default="0.16.0,0.25.0")
    parser.add_argument("--pythons", default=sys.executable)
    parser.add_argument("--run")
    args = parser.parse_args()
    if args.run:
        run(args.repository, args.run == "native")
    ok = True
    for version in args.versions.split(","):
        for python in args.pythons.split(","):
            ok = compare(args.repository, version, python) and ok
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
