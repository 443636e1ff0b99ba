"""The identity of a function: what changes it, what does not, and that nothing but code and values does."""

from __future__ import annotations

import ast
import json
import linecache
import os
import subprocess
import sys
import textwrap
from importlib import metadata, util
from pathlib import Path

import numpy as np
import pytest
from written import HEAD, TAIL, written

from spinsweep.discovery import find
from spinsweep.identity import Identity, differences, identify, imported_here, owner, source, syntax

PLAIN = """
STEP = 1.0
def walk(cells):
    '''A walk.'''
    return {"y": cells.coords["x"] * STEP}
"""


def identity(folder: Path, source: str, **helpers: str) -> Identity:
    """Of ``SWEEP`` in a file of that source, with modules beside it."""
    return identify(written(folder, source, **helpers).function)


COUNTS = {
    "the code itself": (PLAIN, ("* STEP", "+ STEP"), "mine.walk changed"),
    "a constant of the module": (PLAIN, ("STEP = 1.0", "STEP = 2.0"), "mine.STEP is 1.0 there, 2.0 here"),
    "the last bit of a constant": (PLAIN, ("STEP = 1.0", "STEP = 1.0000000000000002"), "mine.STEP is 1.0 there"),
    "an int for a float": (PLAIN, ("STEP = 1.0", "STEP = 1"), "mine.STEP is 1.0 there, 1 here"),
    "an annotation": (PLAIN, ("walk(cells)", "walk(cells: object)"), "mine.walk changed"),
    "a default": (
        "GAIN = [3]\ndef walk(cells, gain=GAIN):\n    return gain",
        ("[3]", "[4]"),
        "defaults of mine.walk changed",
    ),
    "a closure's value": (
        "def make(gain):\n    def walk(cells):\n        return gain\n    return walk\nwalk = make(1)",
        ("make(1)", "make(2)"),
        "closure gain of mine.make.<locals>.walk is 1 there, 2 here",
    ),
    "an argument of partial": (
        "def go(cells, gain, power):\n    return gain\nwalk = functools.partial(go, gain=2.5, power=1)",
        ("gain=2.5", "gain=3.5"),
        "argument gain of mine.go is 2.5 there, 3.5 here",
    ),
    "an attribute of a callable object": (
        "class Walk:\n    def __init__(self, gain):\n        self.gain = gain\n"
        "    def __call__(self, cells):\n        return self.gain\nwalk = Walk(2)",
        ("Walk(2)", "Walk(3)"),
        "attribute gain of mine.Walk is 2 there, 3 here",
    ),
    "a method of a callable object": (
        "class Walk:\n    def __call__(self, cells):\n        return self.more()\n"
        "    def more(self):\n        return 1\nwalk = Walk()",
        ("return 1", "return 2"),
        "mine.Walk.more changed",
    ),
    "a method of a base class": (
        "class Base:\n    def more(self):\n        return 1\n"
        "class Walk(Base):\n    def __call__(self, cells):\n        return self.more()\nwalk = Walk()",
        ("return 1", "return 2"),
        "mine.Base.more changed",
    ),
    "self of a bound method": (
        "@dataclass(frozen=True)\nclass Model:\n    gain: float\n"
        "    def walk(self, cells):\n        return self.gain\n"
        "walk = Model(0.5).walk",
        ("Model(0.5)", "Model(0.25)"),
        "attribute gain of mine.Model is 0.5 there, 0.25 here",
    ),
    "self with slots": (
        "class Model:\n    __slots__ = ('gain',)\n    def walk(self, cells):\n        return self.gain\n"
        "model = Model()\nmodel.gain = [1]\nwalk = model.walk",
        ("[1]", "[2]"),
        "attribute gain of mine.Model changed",
    ),
    "a value of a class": (
        "class Model:\n    GAIN = max(1, 2)\ndef walk(cells):\n    return Model.GAIN",
        ("(1, 2)", "(1, 3)"),
        "mine.Model.GAIN is 2 there, 3 here",
    ),
    "a property": (
        "class Model:\n    @property\n    def gain(self):\n        return 1\nmodel = Model()\n"
        "def walk(cells):\n    return model.gain",
        ("return 1", "return 2"),
        "mine.Model.gain changed",
    ),
    "what a class is decorated with": (
        "def doubled(kind):\n    kind.gain = 2\n    return kind\n@doubled\nclass Model:\n    pass\n"
        "def walk(cells):\n    return Model.gain",
        ("kind.gain = 2", "kind.gain = 3"),
        "mine.doubled changed",
    ),
    "a value deep in another": (
        "TABLE = {'a': [{1: (2, {3, 4})}], 'b': None}\ndef walk(cells):\n    return TABLE",
        ("{3, 4}", "{3, 5}"),
        "mine.TABLE changed",
    ),
    "an array": (
        "W = np.arange(1000.0)\ndef walk(cells):\n    return W[3]",
        ("np.arange(1000.0)", "np.where(np.arange(1000) == 999, 0, np.arange(1000.0))"),
        "mine.W changed",
    ),
    "an array's type": ("W = np.zeros(4)\ndef walk(cells):\n    return W", ("(4)", "(4, 'f4')"), "mine.W changed"),
    "an array's shape": ("W = np.zeros(4)\ndef walk(cells):\n    return W", ("(4)", "((2, 2))"), "mine.W changed"),
    "a lambda among others in a line": (
        "ALL = (lambda x: x + 1, lambda x: x * 2)\ndef walk(cells):\n    return ALL[0](cells)",
        ("x * 2", "x * 3"),
        "mine.<lambda>#2 changed",
    ),
    "a function in a mapping": (
        "def up(x):\n    return x + 1\nHOW = {'up': up}\ndef walk(cells):\n    return HOW['up'](1)",
        ("x + 1", "x + 2"),
        "mine.up changed",
    ),
    "which function a name leads to": (
        "def up(x):\n    return 1\ndef down(x):\n    return 2\nf, g = up, down\n"
        "def walk(cells):\n    return f(1) + 2 * g(1)",
        ("f, g = up, down", "g, f = up, down"),
        "mine.walk changed",
    ),
    "a function in a cycle": (
        "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - 1)\n"
        "def walk(cells):\n    return even(4)",
        ("n != 0", "n > 0"),
        "mine.odd changed",
    ),
    "what is within a wrapper": (
        "def timed(f):\n    @functools.wraps(f)\n    def inner(*a):\n        return f(*a)\n    return inner\n"
        "@timed\ndef walk(cells):\n    return 1",
        ("return 1", "return 2"),
        "mine.walk changed",
    ),
    "the wrapper": (
        "def timed(f):\n    @functools.wraps(f)\n    def inner(*a):\n        return f(*a)\n    return inner\n"
        "@timed\ndef walk(cells):\n    return 1",
        ("return f(*a)", "return -f(*a)"),
        "mine.timed changed",
    ),
    "what is cached": (
        "@functools.lru_cache\ndef slow(x):\n    return x\ndef walk(cells):\n    return slow(1)",
        ("return x", "return -x"),
        "mine.slow changed",
    ),
    "a cached method": (
        "class Model:\n    @functools.cached_property\n    def gain(self):\n        return 1\n"
        "    def __call__(self, cells):\n        return self.gain\nwalk = Model()",
        ("return 1", "return 2"),
        "mine.Model.gain changed",
    ),
    "a case of a single dispatch": (
        "@functools.singledispatch\ndef f(x):\n    return 1\n@f.register\ndef _(x: int):\n    return 2\n"
        "def walk(cells):\n    return f(3)",
        ("return 2", "return 3"),
        "mine._ changed",
    ),
    "what numba compiled": (
        "from numba import njit\n@njit\ndef fast(x):\n    return x\ndef walk(cells):\n    return fast(1)",
        ("return x", "return -x"),
        "mine.fast changed",
    ),
    "an intrinsic of numba": (
        "from numba.extending import intrinsic\n@intrinsic\ndef one(context, x):\n    return x(x), None\n"
        "def walk(cells):\n    return one(1)",
        ("x(x), None", "x(x, x), None"),
        "mine.one changed",
    ),
    "how numba compiled it": (
        "from numba import njit\ndef f(x):\n    return x\nfast = njit(fastmath=False)(f)\n"
        "def walk(cells):\n    return fast(1)",
        ("fastmath=False", "fastmath=True"),
        "compiled of mine.f changed",
    ),
    "a function within another": (
        "def walk(cells):\n    def inner(x):\n        return [STEP for _ in x]\n    return inner([1])\nSTEP = 1",
        ("STEP = 1", "STEP = 2"),
        "mine.STEP is 1 there, 2 here",
    ),
    "an f-string": ("N = 1\ndef walk(cells):\n    return f'{N:>{3}}'", ("{3}", "{4}"), "mine.walk changed"),
    "a random generator's kind": (
        "RNG = np.random.default_rng\ndef walk(cells):\n    return RNG",
        ("np.random.default_rng", "np.random.RandomState"),
        "mine.walk changed",
    ),
}


@pytest.mark.parametrize("case", COUNTS)
def test_what_a_number_rests_on_changes_the_identity_and_is_said(case: str, tmp_path: Path) -> None:
    source, (old, new), words = COUNTS[case]
    assert source.count(old) == 1
    there, here = identity(tmp_path / "a", source), identity(tmp_path / "a", source.replace(old, new))
    assert there.digest != here.digest
    assert any(said.startswith(words) for said in differences(there.parts, here.parts))
    again = identity(tmp_path / "b", source)
    assert again.parts == there.parts
    assert again.digest == there.digest


HELPERS = {
    "imported by name": "from helper import gain\ndef walk(cells):\n    return gain(1)",
    "imported under another name": "from helper import gain as g\ndef walk(cells):\n    return g(1)",
    "imported as a module": "import helper\ndef walk(cells):\n    return helper.gain(1)",
    "imported from a package": "import pack.helper\ndef walk(cells):\n    return pack.helper.gain(1)",
    "imported within": "def walk(cells):\n    from helper import gain\n    return gain(1)",
    "imported within as a module": "def walk(cells):\n    import pack.helper as h\n    return h.gain(1)",
    "used as a value": "import helper\ndef walk(cells):\n    return getattr(helper, 'gain')(1)",
    "in a partial": "import helper\nwalk = functools.partial(helper.gain, more=2)",
}


@pytest.mark.parametrize("way", HELPERS)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("x * FACTOR", "x + FACTOR", "gain changed"),
        ("FACTOR = 2", "FACTOR = 3", "FACTOR is 2 there, 3 here"),
        ("return -x", "return +x", "deeper changed"),
        ("KIND = 1", "KIND = 2", "KIND is 1 there, 2 here"),
    ],
)
def test_modules_of_the_users_own_count_however_they_are_imported(
    way: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    gain = "import further\nFACTOR = 2\ndef gain(x, more=1):\n    return further.deeper(x * FACTOR)\n"
    deeper = "KIND = 1\ndef deeper(x):\n    if KIND:\n        return -x\n"

    def of(folder: str, gain: str, deeper: str) -> Identity:
        return identity(tmp_path / folder, HELPERS[way], helper=gain, pack__helper=gain, further=deeper)

    there, here = of("a", gain, deeper), of("a", gain.replace(old, new), deeper.replace(old, new))
    assert there.digest != here.digest
    assert [d for d in differences(there.parts, here.parts) if d.endswith(said)]
    unused = "" if way == "used as a value" else "def unused():\n    return 1\n"
    commented = of("b", f"'''Helps.'''\n# a comment\n{gain}\n{unused}", f"\n\n{deeper}")
    assert commented.digest == there.digest


STAYS = {
    "a comment": ("    '''A walk.'''", "    '''A walk.'''\n    # a comment"),
    "a docstring": ("A walk.", "Another walk, in other words."),
    "no docstring": ("    '''A walk.'''\n", ""),
    "lines": ("* STEP", "* \\\n        STEP"),
    "parentheses and quotes": ('cells.coords["x"] * STEP', "(cells.coords['x']) * (STEP)"),
    "what is not used": ("STEP = 1.0", "STEP = 1.0\nOTHER = 2\ndef other():\n    return OTHER"),
    "order of definitions": (PLAIN, PLAIN.replace("\nSTEP = 1.0", "") + "STEP = 1.0\n"),
    "how a constant is written": ("STEP = 1.0", "STEP = 2.0 / 2"),
    "pass": ('    return {"y"', '    pass\n    return {"y"'),
}


@pytest.mark.parametrize("case", STAYS)
def test_what_is_only_written_otherwise_does_not_count(case: str, tmp_path: Path) -> None:
    old, new = STAYS[case]
    assert PLAIN.count(old) == 1
    changed = PLAIN.replace(old, new)
    assert identity(tmp_path / "a", PLAIN).digest == identity(tmp_path / "a", changed).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{'x', 'y', 'z'}", "{'z', 'x', 'y'}"),
        ("np.arange(6.0).reshape(2, 3)", "np.asfortranarray(np.arange(6.0).reshape(2, 3))"),
        ("np.arange(3)", "np.arange(6)[::2] // 2"),
        ("float('nan')", "-float('nan') * 0"),
        ("Path(__file__).parent / 'data.npz'", "str and Path(__file__).parent.joinpath('data.npz')"),
    ],
)
def test_equal_values_count_as_equal(one: str, other: str, tmp_path: Path) -> None:
    def of(folder: str, value: str) -> Identity:
        return identity(tmp_path / folder, f"V = {value}\ndef walk(cells):\n    return V")

    assert of("a", one).digest == of("b", other).digest
    assert of("a", one).digest != of("a", "1").digest


def test_what_the_code_keeps_for_itself_does_not_count_but_how_it_begins_does(tmp_path: Path) -> None:
    source = "KEPT = {}\ndef walk(cells):\n    KEPT[cells] = 1\n    return KEPT.get(cells)"
    function = written(tmp_path / "a", source).function
    found = identify(function)
    function("a cell")  # type: ignore[arg-type]
    assert identify(function).digest == found.digest
    assert found.notes == ("mine.KEPT is changed by the code itself: what it holds does not count",)
    assert identity(tmp_path / "a", source.replace("{}", "{0: 0}")).digest != found.digest


def test_what_cannot_be_looked_into_counts_by_its_type_and_is_said(tmp_path: Path) -> None:
    source = "import socket\nS = socket.socket()\nS.close()\nF = open(__file__)\nF.close()\n"
    source += "def walk(cells):\n    return S, F"
    assert identity(tmp_path / "a", source).notes == (
        "mine.S holds a socket.socket, which counts by its type only",
        "mine.F holds a _io.TextIOWrapper, which counts by its type only",
    )


def test_without_source_the_bytecode_counts_and_is_said() -> None:
    def made(text: str) -> object:
        scope: dict[str, object] = {"__name__": "__main__", "np": np, "STEP": 1}
        exec(text, scope)
        return scope["walk"]

    text = "def walk(x):\n    return np.exp(x) + STEP"
    found = identify(made(text))
    assert "bytecode" in found.notes[0]
    assert identify(made("# a comment\n\n" + text.replace("x)", "x)").replace(":\n", ":\n    'doc'\n"))).digest == (
        found.digest
    )
    assert identify(made(text.replace("exp", "sin"))).digest != found.digest
    assert "numpy" in found.packages


def test_the_cells_of_a_notebook_have_source() -> None:
    def run(number: int, text: str) -> object:
        name = f"<ipython-input-{number}>"  # what IPython does
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), scope)
        return scope["walk"]

    scope: dict[str, object] = {"__name__": "__main__"}
    first = identify(run(1, "STEP = 1\ndef walk(x):\n    return x + STEP\n"))
    assert first.notes == ()
    assert identify(run(2, "# again\ndef walk(x):\n\n    return x + STEP\n")).digest == first.digest
    scope["STEP"] = 2
    assert differences(first.parts, identify(scope["walk"]).parts) == ["__main__.STEP is 1 there, 2 here"]


def test_a_source_that_was_edited_after_it_was_loaded_is_not_taken_for_the_code(tmp_path: Path) -> None:
    function = written(tmp_path / "a", PLAIN).function
    loaded = identify(function)
    (tmp_path / "a" / "mine.py").write_text(HEAD + PLAIN.replace("* STEP", "+ STEP") + TAIL)
    edited = identify(function)
    assert "no source that is the loaded one" in edited.notes[0]
    assert edited.digest not in (loaded.digest, identity(tmp_path / "b", PLAIN.replace("* STEP", "+ STEP")).digest)


def test_a_script_a_file_and_a_module_of_the_same_code_have_the_same_identity(tmp_path: Path) -> None:
    found = identity(tmp_path / "a", PLAIN)
    script = HEAD + PLAIN + TAIL + "from spinsweep.identity import identify\nprint(identify(walk).digest)\n"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.py").write_text(script)
    for words in (["mine.py"], ["-c", "import mine"], ["-m", "mine"]):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path / "b",
            env=os.environ | {"PYTHONPATH": f"{Path(__file__).parents[2] / 'engine'}:{tmp_path / 'b'}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == found.digest


def test_two_files_of_one_name_in_one_process_have_the_same_identity(tmp_path: Path) -> None:
    first = identity(tmp_path / "a", PLAIN)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.py").write_text(HEAD + PLAIN + TAIL)
    second = find(f"{tmp_path / 'b' / 'mine.py'}:SWEEP")
    assert second.function.__module__ != "mine"
    assert identify(second.function).digest == first.digest


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        ("FACTOR = 2\ndef gain(x):\n    return x * FACTOR\n", "helper.FACTOR is 2 there, 3 here"),
        ("def gain(x):\n    return x * 2\n", "helper.gain changed"),
        (
            "class G:\n    n = 1\n    def __call__(self, x):\n        return x * 2\ngain = G()\n",
            "helper.G.__call__ changed",
        ),
        (
            "class G:\n    def __init__(self, n):\n        self.n = n\n    def __call__(self, x):\n        return x\n"
            "gain = G(2)\n",
            "attribute n of helper.G is 2 there, 3 here",
        ),
        (
            "import functools\ndef g(x, n):\n    return x\ngain = functools.partial(g, n=2)\n",
            "argument n of helper.g is 2 there, 3 here",
        ),
        (
            "import functools\ndef timed(f):\n    @functools.wraps(f)\n    def inner(*a):\n        return f(*a)\n"
            "    return inner\n@timed\ndef gain(x):\n    return x * 2\n",
            "helper.gain changed",
        ),
        ("import functools\n@functools.lru_cache\ndef gain(x):\n    return x * 2\n", "helper.gain changed"),
    ],
)
@pytest.mark.parametrize("how", ["from helper import gain", "import helper\ngain = None"])
def test_what_is_imported_here_is_compared_with_what_others_import(
    how: str, helper: str, said: str, tmp_path: Path
) -> None:
    call = "helper.gain" if "gain = None" in how else "gain"
    source = f"{how}\nMINE = 5\ndef walk(cells):\n    return {call}(MINE)"
    there = identity(tmp_path / "a", source, helper=helper)
    same = imported_here(there)
    assert differences({n: there.parts[n] for n in same.parts}, same.parts) == []
    identity(tmp_path / "b", source, helper=helper.replace("2", "3"))
    here = imported_here(there)
    assert "mine:MINE" not in here.parts  # it travels with the function
    travels = "from" in how and said.startswith(("attribute", "argument"))  # an object of mine, not one of helper
    found = differences({n: there.parts.get(n, "") for n in here.parts}, here.parts)
    assert found == ([] if travels else [said])


def test_objects_that_lead_back_to_themselves_have_an_identity(tmp_path: Path) -> None:
    source = "class Node:\n    def __init__(self, gain):\n        self.gain, self.me, self.next = gain, self, None\n"
    source += "a, b = Node(1), Node(2)\na.next, b.next = b, a\nALL = [a, b]\nALL.append(ALL)\n"
    source += "F = functools.partial(print, a)\n"
    source += "def walk(cells):\n    return a.next.gain, b, a, ALL, F\n"
    found = identity(tmp_path / "a", source)
    assert found.digest == identity(tmp_path / "b", source).digest
    other = identity(tmp_path / "c", source.replace("Node(2)", "Node(3)"))
    assert [d for d in differences(found.parts, other.parts) if "gain" in d] == [
        "attribute gain#2 of mine.Node is 2 there, 3 here"
    ]


@pytest.mark.parametrize("value", ["os.environ", "iter([1, 2])", "itertools.count(3)", "np.random.default_rng(1)"])
def test_what_differs_in_each_process_counts_by_its_type(value: str, tmp_path: Path) -> None:
    source = f"import itertools, os\nVALUE = [{value}]\ndef walk(cells):\n    return VALUE"
    found = identity(tmp_path / "a", source)
    assert len(found.notes) == 1
    assert "counts by its type only" in found.notes[0]


def test_objects_that_raise_when_they_are_looked_at_count_by_their_type(tmp_path: Path) -> None:
    source = "class Odd:\n    def __getattr__(self, name):\n        raise RuntimeError(name)\n"
    source += "    def __reduce_ex__(self, how):\n        raise ValueError\n"
    source += "ODD, DEEP = [Odd()], []\nfor _ in range(100_000):\n    DEEP = [DEEP]\n"
    source += "def walk(cells):\n    return ODD, DEEP"
    found = identity(tmp_path / "a", source)
    assert found.digest == identity(tmp_path / "b", source).digest
    assert found.notes == (
        "mine.ODD holds a mine.Odd, which counts by its type only",
        "mine.DEEP holds a builtins.list, which counts by its type only",
    )


BACKEND = """
import zipfile

NAME, INFO = "my_lab-1.0-py3-none-any.whl", "my_lab-1.0.dist-info"

def build(folder, files):
    files |= {f"{INFO}/METADATA": "Metadata-Version: 2.1\\nName: my-lab\\nVersion: 1.0\\n"}
    files |= {f"{INFO}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    files |= {f"{INFO}/RECORD": "".join(f"{name},,\\n" for name in (*files, f"{INFO}/RECORD"))}
    with zipfile.ZipFile(f"{folder}/{NAME}", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return NAME

def build_wheel(folder, *_):
    return build(folder, {n: open(f"src/{n}").read() for n in ("mylab/__init__.py", "mylab/inner.py")})

def build_editable(folder, *_):
    import os
    return build(folder, {"my_lab.pth": os.path.abspath("src")})
"""


@pytest.mark.slow
def test_a_package_counts_the_same_as_a_wheel_and_as_an_editable_install(tmp_path: Path) -> None:
    source = tmp_path / "source"
    package = source / "src" / "mylab"
    package.mkdir(parents=True)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "my-lab"\nversion = "1.0"\n'
    )
    (source / "backend.py").write_text(BACKEND)
    (package / "__init__.py").write_text("from mylab.inner import gain\n")
    inner = "from pathlib import Path\nHERE = Path(__file__).parent\nK = 2\ndef gain(x):\n    return x * K, HERE\n"
    (package / "inner.py").write_text(inner)
    (tmp_path / "mine.py").write_text(
        "import json, site, sys\nsite.addsitedir(sys.argv[1])\nimport mylab\n"
        "from spinsweep.identity import identify\n"
        "def walk(cells):\n    return mylab.gain(cells)\n"
        "found = identify(walk)\nprint(json.dumps([mylab.__file__, found.digest, found.parts]))\n"
    )
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    installs = {
        way: (subprocess.Popen([*pip, "--ignore-installed", "--prefix", str(tmp_path / way), *words]), tmp_path / way)
        for way, words in {"wheel": [str(source)], "editable": ["-e", str(source)]}.items()
    }
    found = {}
    for way, (pip_process, place) in installs.items():
        assert pip_process.wait() == 0
        site = next(place.glob("lib/python*/site-packages"))
        done = subprocess.run(
            [sys.executable, tmp_path / "mine.py", site],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "engine")},
            capture_output=True,
            text=True,
            check=True,
        )
        found[way] = json.loads(done.stdout)
    assert found["wheel"][0].startswith(str(tmp_path / "wheel"))
    assert found["editable"][0].startswith(str(source))
    assert found["wheel"][1:] == found["editable"][1:]
    assert "mylab.inner:K" in found["wheel"][2]


def test_others_packages_count_by_version_and_the_library_by_nothing(tmp_path: Path) -> None:
    source = "import statistics, scipy.special, pluggy\ndef walk(cells):\n"
    source += "    return statistics.fmean([1]), scipy.special.erf(1), np.exp(1), pluggy.HookspecMarker('a')\n"
    found = identity(tmp_path / "a", source)
    packages = {n: metadata.version(n) for n in ("numpy", "scipy", "pluggy")}
    assert {n: v for n, v in found.parts.items() if n in found.packages} == packages
    assert set(found.parts) == {"function", "mine:walk", *packages}

    def with_versions(**versions: str) -> str:
        return Identity({**found.parts, **versions}, found.packages).digest

    assert with_versions(numpy="9.9") == found.digest  # recorded and said, but its numbers stay
    assert with_versions(pluggy="9.9") != found.digest


def test_the_engines_own_dependencies_are_known() -> None:
    wanted = {owner._word(text) for text in metadata.requires("spinsweep") or () if "extra ==" not in text}
    assert [name for name in wanted if not owner.is_released(name)] == []


def test_the_engine_counts_by_its_version(tmp_path: Path) -> None:
    source = "from spinsweep.axis import closest\n@per_cell\ndef walk(cell):\n    return closest('a', ['b'])"
    found = identity(tmp_path / "a", source)
    assert found.parts["spinsweep"] == metadata.version("spinsweep")
    assert {n for n in found.parts if ":" in n} == {"mine:walk", "mine:walk, attribute per_cell"}


FORMS = '''
@functools.wraps(f)
async def all_of(a, /, b: int = 1, *c, d="x" f"{a!r:>{b}}" "y", **e) -> "text":
    """Doc."""
    global G
    with (open(a) as f, open(b) as g):
        yield f"{a=}" f"{{{b}}}" f"{c:}" f"{d:%H:%M}" u"u" "z"
    match a:
        case [1, *_, {"k": None, **r}] | K(x=-1.5e-300) if (n := b) is not ...:
            del c[0], d.x
        case None | True:
            pass
    try:
        x: int = 0xFFFFFFFFFFFFFFFFFFFFFF; y = 1_000j; z = b"\\x00"
    except* (A, B) as error:
        raise E from error
    else:
        assert x, "é\\ud800"
    return [await i async for i in a if i], {*a}, {**a, "k": lambda x, *, y=1: x @ y}
'''


def others() -> list[str]:
    """Other versions of Python on this machine."""
    found = {p.resolve() for p in Path.home().glob(".pyenv/versions/3.*/bin/python3")}
    found |= {p.resolve() for p in Path("/usr/bin").glob("python3.1[0-9]")}
    names = (f"python3.{minor}" for minor in range(11, 20) if minor != sys.version_info.minor)
    return sorted(str(p) for p in found if p.name in names)


def test_syntax_is_the_same_in_other_versions_of_python(tmp_path: Path) -> None:
    folders = (Path(syntax.__file__).parents[1], Path(__file__).parents[2] / "sweeps" / "spinneurons")
    files = [str(f) for folder in folders for f in sorted(folder.rglob("*.py"))]
    (tmp_path / "forms.py").write_text(FORMS, encoding="utf-8")
    script = textwrap.dedent(
        """
        import ast, hashlib, json, sys
        from importlib.util import module_from_spec, spec_from_file_location
        spec = spec_from_file_location("tree", sys.argv[1])
        tree = sys.modules["tree"] = module_from_spec(spec)
        spec.loader.exec_module(tree)
        for file in json.load(sys.stdin):
            for node in ast.parse(open(file, "rb").read()).body:
                found = tree.syntax(node)
                text = found.text + repr((found.names, sorted(found.changed), found.outer, found.imports))
                print(file, node.lineno, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
        """
    )
    said = {
        python: subprocess.run(
            [python, "-c", script, syntax.__file__],
            input=json.dumps([str(tmp_path / "forms.py"), *files]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for python in [sys.executable, *others()]
    }
    assert len(said[sys.executable]) > 500
    for python, lines in said.items():
        assert lines == said[sys.executable], python


def test_what_versions_of_python_are_known_to_parse_otherwise_is_the_same() -> None:
    function = ast.parse(FORMS).body[0]
    text = syntax.syntax(function).text
    for node in ast.walk(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.type_params = []  # type: ignore[attr-defined]  # from 3.12 on
        elif isinstance(node, ast.JoinedStr):  # cut anywhere, with empty texts between
            node.values = [part for value in node.values for part in cut(value)]
        elif isinstance(node, ast.FormattedValue) and node.format_spec is None:
            node.format_spec = ast.JoinedStr([])
        elif isinstance(node, ast.Constant):
            node.kind = None if node.kind else "u"
    assert syntax.syntax(function).text == text


def cut(value: ast.expr) -> list[ast.expr]:
    if not isinstance(value, ast.Constant):
        return [value]
    return [ast.Constant(value.value[:1]), ast.Constant(value.value[1:]), ast.Constant("")]


def test_a_definition_is_found_whatever_stands_around_it(tmp_path: Path) -> None:
    text = 'class A:\n    def f(\n        self,\n    ):\n        return """\n\nx = 1\n# no\n"""\n\n'
    text += "    # a comment\ny = 1\n"
    text += "@(\n    print\n)\n@print\ndef g(\n):\n\n  return (\n1\n)\nclass A:\n  pass\n"
    whole = {n.name: n for n in ast.parse(text).body if hasattr(n, "name")}
    (tmp_path / "odd.py").write_text(text)
    lines = text.splitlines(keepends=True)
    method = source._cut(lines, 2, "f")
    assert ast.dump(method) == ast.dump(ast.parse(text).body[0].body[0])  # type: ignore[attr-defined]
    assert ast.dump(source._cut(lines, 13, "g")) == ast.dump(whole["g"])
    assert [ast.dump(n) for n in source.class_nodes(str(tmp_path / "odd.py"), "A")] == [
        ast.dump(n) for n in ast.parse(text).body if isinstance(n, ast.ClassDef)
    ]


def test_a_module_that_can_be_found_is_not_imported_to_know_whose_it_is() -> None:
    names = [n for n in ("turtle", "antigravity", "bokeh.server") if n not in sys.modules]
    for name in names:
        assert owner.Owners().package(name) is not None
        assert name not in sys.modules
    assert util.find_spec("turtle") is not None
