"""What prometheus_client's tests use of pytest, on top of unittest: raises, importorskip, fixtures of
a module, and parametrize. Loader makes tests of the functions of a module, as pytest does."""
import importlib
import inspect
import itertools
import unittest


class raises:
    """A context in which an exception of the type must come."""

    def __init__(self, expected):
        self.expected = expected

    def __enter__(self):
        return self

    def __exit__(self, typ, value, traceback):
        if typ is None:
            raise AssertionError("no %s was raised" % (self.expected,))
        self.value = value
        return issubclass(typ, self.expected)


def importorskip(name):
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise unittest.SkipTest(str(e))


def benchmark(function, *args, **kwargs):
    """pytest-benchmark's fixture, without a measurement."""
    return function(*args, **kwargs)


def fixture(function):
    function.is_fixture = True
    return function


class mark:
    @staticmethod
    def parametrize(names, values):
        def decorate(function):
            names_list = [n.strip() for n in names.split(",")]
            rows = [dict(zip(names_list, v if len(names_list) > 1 else [v])) for v in values]
            function.parameters = getattr(function, "parameters", []) + [rows]
            return function
        return decorate


class _Function(unittest.FunctionTestCase):
    def __init__(self, call, name):
        super().__init__(call)
        self.name = name

    def id(self):
        return self.name


class Loader(unittest.TestLoader):
    """Loads the test functions of a module too."""

    def __init__(self):
        super().__init__()
        self.files = set()  # that were loaded

    def loadTestsFromModule(self, module, *args, **kwargs):
        self.files.add(getattr(module, "__file__", None))
        suite = super().loadTestsFromModule(module, *args, **kwargs)
        fixtures = {"benchmark": lambda: benchmark}
        fixtures.update((n, f) for n, f in vars(module).items() if getattr(f, "is_fixture", False))
        for name, function in list(vars(module).items()):
            if not name.startswith("test") or not inspect.isfunction(function) or function.__module__ != module.__name__:
                continue
            for n, rows in enumerate(itertools.product(*getattr(function, "parameters", []))):
                arguments = {k: v for row in rows for k, v in row.items()}
                suite.addTest(_Function(self._call(function, arguments, fixtures), "%s.%s[%d]" % (module.__name__, name, n)))
        return suite

    @staticmethod
    def _call(function, arguments, fixtures):
        def call():
            more = {n: fixtures[n]() for n in inspect.signature(function).parameters if n not in arguments}
            function(**arguments, **more)
        return call
