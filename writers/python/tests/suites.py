"""Runs prometheus_client's own tests with its values in the process, then with native files, and
compares what fails:

    python3 suites.py REPOSITORY [--versions 0.16.0,0.25.0] [--pythons python3.9,python3.13]

REPOSITORY is a local clone of prometheus_client with its tags. Nothing of it is kept."""
import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest

# What is different on purpose, by test.
DOCUMENTED = {
    "tests.test_multiprocess.TestMultiProcess.test_remove_clear_warning":
        "it wants a warning that removal has no effect; with native files it has",
}


MARK = "---- tests run: "


def run(root, native):
    """Runs in a process of its own, and prints the tests that fail."""
    os.chdir(root)
    sys.path.insert(0, root)
    if native:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=root)
        sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        import multiprom_client
        assert multiprom_client.install()
    suite = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
    result = unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(suite)
    print("\n" + MARK + "%d" % result.testsRun)  # the tests print too
    for test, _ in result.failures + result.errors:
        print(test.id())
    sys.stdout.flush()
    os._exit(0)


def compare(repository, version, python):
    with tempfile.TemporaryDirectory() as root:
        archive = subprocess.run(["git", "-C", repository, "archive", "v" + version], check=True, stdout=subprocess.PIPE)
        tarfile.open(fileobj=io.BytesIO(archive.stdout)).extractall(root)
        failed = []
        for how in ("plain", "native"):
            out = subprocess.run([python, os.path.abspath(__file__), root, "--run", how], check=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, timeout=300, universal_newlines=True).stdout.rpartition(MARK)[2].split("\n")
            ran = int(out[0])
            failed.append(set(filter(None, out[1:])))
    more, fewer = failed[1] - failed[0], failed[0] - failed[1]
    undocumented = more - set(DOCUMENTED)
    print("%-10s %-50s %d tests, %d fail without native files, more with them: %s" % (
        version, python, ran, len(failed[0]), ", ".join(sorted(more)) or "none"), flush=True)
    if fewer:
        print("           no longer fail: " + ", ".join(sorted(fewer)))
    return ran > 100 and not undocumented


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
