"""Bad input by the thousand, each case from a seed of its own: what is made, and what may come of it.

A case is a function of a random generator. It returns when all is well and raises :class:`Fault` (or anything else)
when it is not: an exception that is none of the engine's own, a message of several lines, a command that ends with a
traceback or another status than 0, 1 and 2, files that a refused command left, or code that ran unasked.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import spinsweep
from spinneurons.characterization import log_files
from spinneurons.device.commands import bench_text
from spinneurons.logs.table import LogError
from spinneurons.neurons import card
from spinneurons.neurons.parameters import axes
from spinsweep import Axis, Coordinate, Dim, Output, Parameter, SpecError, Sweep, per_cell
from spinsweep.axis import canonical
from spinsweep.bench import bench_file
from spinsweep.bench.errors import BenchError
from spinsweep.cli import main
from spinsweep.cli.options import block_option, pairs
from spinsweep.cube import Cube
from spinsweep.deployment import cluster_file
from spinsweep.errors import CubeError, RunnerError, SpinsweepError
from spinsweep.evaluate import MESSAGE, TRACEBACK, evaluate
from spinsweep.printable import one_line

TRAP = """
from pathlib import Path
Path({sprung!r}).touch()
"""
OWN = """
from spinsweep import Axis, Dim, Output, Parameter, Sweep, per_cell

@per_cell
def one(cell):
    if cell["x"] == 0.5:
        raise ValueError("no good")
    return {"y": cell["x"] + cell["seed"], "z": [cell["seed"]] * 2}

MINE = Sweep(
    "mine", "Mine", (Axis("x", (0.0, 0.5, 1.0), low=0), Axis("seed", (0, 1)), Axis("name", ("a", "b"))),
    (Output("y"), Output("z", ("t",), "int16")), one, dims=(Dim("t", 2),),
    parameters=(Parameter("gain", 1.0), Parameter("on", True), Parameter("text", "x"), Parameter("list", [1])),
)
"""
CARD = card.dumps(card.default())
LOG = "width_um,device,i_write_A,cycle,r_reset_ohm,r_write_ohm,note\n" + "".join(
    f"{w},0,{i * 1e-4},{c},-1.8,{3.6 if c % 2 else -1.8},n{c}\n"
    for w in (0.5, 2)
    for i in (1, 2, 3)
    for c in range(4)
)
CLUSTERS = [
    'kind = "local"\nworkers = 2\nminimum = 1\n',
    'kind = "slurm"\nworkers = 4\nmemory = "4GiB"\nwalltime = "01:00:00"\ndirectives = ["--exclude=n7"]\n',
    'kind = "ssh"\nhosts = ["a", "b"]\nport = 8786\nkeys = ["~/.ssh/id"]\n',
    'kind = "kubernetes"\nworkers = 4\nmanifest = "dask.yaml"\nnamespace = "lab"\n',
    'kind = "scheduler"\naddress = "tls://192.0.2.7:8786"\ntls = "certificates"\n',
    'kind = "gpu"\nmemory = "8GiB"\n',
]
YAMLS = [
    "kind: local\nworkers: 2\n",
    "kind: ssh\nhosts: [a, b]\nkeys: [~/.ssh/id]\n",
    "kind: slurm\nworkers: 4\nmemory: 4GiB\nwalltime: '01:00:00'\nenvironment: {A: b}\n",
]
SIGNS = [
    "\x1b]52;c;x\x07",
    "\x9b31m",
    "\u202e",
    "\r",
    "\n",
    "\0",
    "[/V]",
    "[dB]",
    "é",
    "\ud800",
    "{x}",
    "%s",
    "'",
    '"',
    "\\",
]
TEXTS = [
    "",
    " ",
    ":",
    "=",
    ",",
    "-",
    "--",
    "0",
    "-1",
    "1.5",
    "1e400",
    "nan",
    "inf",
    "9" * 30,
    "9" * 5000,
    "0x10",
    "1_000",
    "True",
    "null",
    "[]",
    "{}",
    "[" * 2000,
    "~nobody/x",
    "/",
    "..",
    "x" * 300,
    "a=b",
    "0:3",
    "0:1:3",
    "0:9" + "9" * 20,
    "..x:S",
    "os:system",
    "mine.py:MINE",
    "s3://",
    "file:///x",
    "tcp://x",
    "None",
]


class Fault(AssertionError):
    """What a case found."""


def text(r: random.Random) -> str:
    """A short text that somebody may type, or nobody."""
    if r.random() < 0.5:
        return r.choice(TEXTS)
    return "".join(
        r.choice([*TEXTS[:16], *SIGNS, chr(r.randrange(32, 127)), chr(r.randrange(1, 0x3000))])
        for _ in range(r.randrange(6))
    )


def anything(r: random.Random, depth: int = 0) -> Any:
    """A Python value of any kind."""
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: r.choice([True, False]),
        lambda: r.choice([0, 1, -1, 7, 2**31, 2**63, -(2**64), 10**30, 10**5000]),
        lambda: r.choice([0.0, -0.0, 0.1, 1e308, -1e-320, float("nan"), float("inf")]),
        lambda: text(r),
        lambda: r.choice([b"x", 1j, object(), int, abs, lambda: 0, range(3), range(10**15), ...]),
        lambda: r.choice(
            [
                np.float32(0.1),
                np.int8(3),
                np.bool_(True),
                np.array(2),
                np.arange(3),
                np.eye(2),
                np.str_("a"),
                np.datetime64("2001-01-01"),
                np.array(["a", "b"]),
            ]
        ),
        lambda: r.choice([Axis("x", (1,)), Output("y"), Dim("t", 2), Parameter("p", 1)]),
    ]
    if depth < 3:
        kinds += [
            lambda: [anything(r, depth + 1) for _ in range(r.randrange(4))],
            lambda: tuple(anything(r, depth + 1) for _ in range(r.randrange(4))),
            lambda: {r.choice([text(r), "a", 1]): anything(r, depth + 1) for _ in range(r.randrange(3))},
        ]
    return r.choice(kinds)()


def short(error: BaseException) -> None:
    """A message of the engine's own is one line that says something."""
    said = str(error)
    if not said.strip() or len(said) > 20_000:
        raise Fault(f"{type(error).__name__} says {len(said)} characters: {said[:200]!r}")


def expected(call: Callable[[], Any], *errors: type[BaseException]) -> Any:
    """What a call returns, or None where it refuses as it should."""
    try:
        return call()
    except errors as error:
        short(error)
        return None


# ---- parsers


def values(r: random.Random) -> None:
    """Texts of axes, parameters, ``--set`` and ``--block``."""
    axes = [Axis("x", (0.0, 1.0)), Axis("n", (0, 1), low=0, high=1000), Axis("s", ("a", "b"), choices=("a", "b"))]
    parameters = [
        Parameter("p", 1),
        Parameter("q", 1.0, low=0),
        Parameter("b", True),
        Parameter("t", "x"),
        Parameter("l", [1]),
        Parameter("c", "a", choices=("a", "b")),
        Parameter("m", {}),
    ]
    given = text(r)
    for thing in (r.choice(axes), r.choice(parameters)):
        found = expected(partial(thing.parse, given), SpecError)
        if found is not None and expected(partial(thing.check, found), SpecError) != found:
            raise Fault(f"{thing.name}={given!r}: {found!r} is not its own value")
    expected(lambda: block_option(given), SpecError)
    expected(lambda: pairs([given, text(r)]), SpecError)
    for kind in ("float", "int", "str"):
        value = anything(r)
        found = expected(partial(canonical, value, kind), SpecError)  # type: ignore[arg-type]
        if found is not None and canonical(found, kind) != found:  # type: ignore[arg-type]
            raise Fault(f"{value!r} has no one canonical value")


def mutated(r: random.Random, whole: str) -> str:
    """A text with something cut, put in, doubled or replaced."""
    for _ in range(r.choice([1, 1, 1, 2, 5])):
        at, end = sorted(r.randrange(len(whole) + 1) for _ in range(2))
        end = min(end, at + r.choice([0, 1, 3, 30]))
        put = r.choice(
            [text(r), text(r), whole[at:end] * 2, str(r.choice(TEXTS)), f'"{text(r)}"', "[[", "{", "*a", "&a "]
        )
        whole = whole[:at] + put + whole[end:]
    return whole


def replaced(r: random.Random, whole: str) -> str:
    """A text in which one value after a sign of equality is another."""
    lines = whole.splitlines()
    number = r.randrange(len(lines))
    key, sign, _ = lines[number].partition(r.choice(["=", "=", ":"]))
    lines[number] = (
        f"{key}{sign} {r.choice([text(r), json.dumps(text(r)), '[]', '{}', '1' + '0' * r.choice([3, 25, 5000])])}"
    )
    return "\n".join(lines) + "\n"


def files(r: random.Random) -> None:
    """Bench files, cluster files and cards."""
    name, whole, load, error = r.choice(
        [
            ("bench.toml", bench_text(1.0), bench_file.load, BenchError),
            ("card.toml", CARD, card.load, card.CardError),
            *(("cluster.toml", whole, cluster_file.load, RunnerError) for whole in CLUSTERS),
            *(("cluster.yaml", whole, cluster_file.load, RunnerError) for whole in YAMLS),
        ]
    )
    data = r.choice([mutated, replaced])(r, whole).encode(errors="surrogatepass")
    if r.random() < 0.05:
        data += bytes(r.randrange(256) for _ in range(r.randrange(20)))
    path = Path(name)
    path.write_bytes(data)
    found = expected(lambda: load(path), error)
    if found is not None and name == "card.toml":
        if card.loads(card.dumps(found)) != found:
            raise Fault("a card that is not the same once it is written and read")
        expected(lambda: axes(found), SpecError)
    if found is not None and name == "bench.toml":
        expected(lambda: found.folder, BenchError)


def logs(r: random.Random) -> None:
    """Logs of laboratories."""
    path = Path("log.csv")
    path.write_bytes(r.choice([mutated, replaced])(r, LOG).encode(errors="surrogatepass"))
    expected(lambda: log_files.read(path), LogError)


# ---- the interface in Python


@per_cell
def filled(cell: Any) -> dict[str, Any]:
    """Zeros for whatever the sweep declares."""
    sweep = cell._sweep
    return {o.name: np.zeros(sweep.output_shape(o), o.dtype) for o in sweep.outputs}


def either(r: random.Random, good: Any, odds: float = 0.85) -> Any:
    return good if r.random() < odds else anything(r)


def descriptions(r: random.Random) -> None:
    """Axes, dims, outputs, parameters and sweeps; what is taken has to work to the end."""
    name = lambda good: either(r, good, 0.93)  # noqa: E731
    unit = lambda: either(r, "A", 0.93)  # noqa: E731

    def built() -> Sweep:
        axes: Any = tuple(
            Axis(
                name(f"a{i}"),
                either(r, r.choice([(1, 2), (0.5, 1.5), ("u", "v"), np.arange(2)])),
                unit(),
                unit(),
                low=either(r, None, 0.95),
                choices=either(r, (), 0.95),
            )
            for i in range(r.randrange(1, 3))
        )
        dims: Any = (Dim(name("t"), either(r, 2), either(r, ()), either(r, 0, 0.95), unit()),)
        outputs: Any = tuple(
            Output(
                name(f"y{i}"),
                either(r, r.choice([(), ("t",), "t"])),
                either(r, r.choice(["float32", np.int16, ">f8", "c8"])),
                unit(),
                unit(),
                either(r, {"a": anything(r), "b": 1}),
            )
            for i in range(r.randrange(1, 3))
        )
        parameters: Any = (Parameter(name("p"), anything(r), low=either(r, None, 0.95), choices=either(r, (), 0.95)),)
        return Sweep(
            name("fuzzed"),
            either(r, "T", 0.95),
            either(r, axes, 0.97),
            either(r, outputs, 0.97),
            either(r, filled, 0.97),
            dims=either(r, dims, 0.97),
            parameters=either(r, parameters, 0.97),
            root_seed=either(r, 0, 0.95),
            shared_axes=either(r, (), 0.95),
            version=either(r, "1", 0.95),
            overrides=either(r, {}, 0.95),
            coordinates=either(
                r, (Coordinate(name("c"), name("a0"), either(r, lambda v, p: np.arange(len(v)))),), 0.97
            ),
        )

    sweep = expected(built, SpecError)
    if sweep is None or sweep.cell_bytes > 10**6 or np.prod(sweep.shape, dtype=float) > 100:
        return
    json.dumps(sweep.identity())
    if expected(lambda: spinsweep.run(sweep, "made.zarr", on_failure="keep"), SpinsweepError) is None:
        return
    found = spinsweep.run(sweep, "made.zarr", on_failure="keep").dataset
    if not (found.cell_state == 1).all():
        raise Fault(f"not done: {next(Cube('made.zarr').failures())}")
    found.load()


class Strange(Exception):
    """Says what it is told to."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self.said = said

    def __str__(self) -> str:
        return self.said() if callable(self.said) else self.said  # type: ignore[no-any-return]


def cells(r: random.Random) -> None:
    """What block functions return and raise."""

    def function(cells: Any) -> Any:
        chosen = r.randrange(6)
        if chosen == 0:
            raise r.choice(
                [
                    Strange(text(r) * r.choice([1, 10**3])),
                    Strange(anything(r)),
                    SystemExit(anything(r)),
                    type(text(r).replace("\0", ""), (Exception,), {})(text(r)),
                    RecursionError(),
                    MemoryError(),
                    GeneratorExit(),
                    BaseException(text(r)),
                    ExceptionGroup("g", [ValueError(text(r))]),
                ]
            )
        if chosen == 1:
            return anything(r)
        if chosen == 2:
            return cells.coords[anything(r)] if r.random() < 0.5 else cells.params[text(r)]
        return {
            either(r, "y"): either(r, np.zeros(getattr(cells, "shape", ()))),
            **({text(r): anything(r)} if r.random() < 0.2 else {}),
        }

    sweep = Sweep(
        "s", "s", (Axis("x", (0.0, 1.0)), Axis("n", (0, 1))), (Output("y"),), r.choice([function, per_cell(function)])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, on what it is given
        result = evaluate(sweep, {"x": (0.0, 1.0), "n": (0, 1)})
    for error in result.errors.values():
        if len(error.message) > MESSAGE + 100 or len(error.traceback) > TRACEBACK + 100 or len(error.type) > 300:
            raise Fault(f"{error.type[:100]}: {len(error.message)} and {len(error.traceback)} characters")


# ---- commands


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Name, size and time of every file."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and not path.is_dir()
    }


def command(words: list[str]) -> tuple[int, str, str]:
    """Run a command here, and look at what it says and leaves."""
    sprung, trusted = Path("sprung"), "--trust" in words
    sprung.unlink(missing_ok=True)  # of a case that was allowed to
    before = snapshot(Path())
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    said, complaint = out.getvalue(), err.getvalue()
    at = " ".join(words)
    if code not in (0, 1, 2):
        raise Fault(f"status {code}: {at}")
    if "Traceback" in complaint and "--traceback" not in words:
        raise Fault(f"a traceback: {at}\n{complaint}")
    if unfit := [c for c in said + complaint if not (c.isprintable() or c in "\n\t\u200c\u200d" or c.isspace())]:
        raise Fault(f"{unfit!r} printed: {at}")
    last = complaint.splitlines()[-1:]
    if code == 2 and not (last and last[0].startswith("spinsweep: ")) and words:
        raise Fault(f"status 2 without a line: {at}\n{complaint}")
    changed = {name for name, _ in set(snapshot(Path()).items()) ^ set(before.items())}
    if trusted:
        changed.discard(str(sprung))
    if words[:1] == ["run"]:  # in a damaged cube a run may find the damage after it has announced itself
        changed = {name for name in changed if "/runs/" not in name and "/.driver-" not in name}
    if code == 2 and changed:
        raise Fault(f"refused, and left files: {at}\n{complaint}\n{sorted(changed)}")
    if sprung.exists() and not trusted:
        raise Fault(f"ran code unasked: {at}")
    return code, said, complaint


VERBS: dict[str, list[str]] = {
    "list": ["--json"],
    "plan": ["--set", "--store", "--workers", "--block", "--root-seed", "--json"],
    "run": [
        "--set",
        "--store",
        "--block",
        "--root-seed",
        "--retry-failed",
        "--mark-stale",
        "--on",
        "--cluster",
        "--tls",
        "--insecure",
        "--no-dashboard",
        "--watchers",
    ],
    "status": ["--json", "--failures", "--size", "--traceback"],
    "cell": ["--sweep", "--trust"],
    "figures": ["--out", "--only", "--sweep", "--each-output", "--over"],
    "table": ["--over", "--columns", "--format", "--level"],
    "compare": ["--over", "--out"],
    "page": ["--output"],
    "card": ["--out", "--base", "--force", "--include-bad-fits"],
    "fits": ["--csv", "--force"],
    "drift": ["--csv", "--figure", "--force"],
    "import": ["--link", "--reset-state", "--resamples", "--axis"],
    "bench check": [],
    "bench plan": ["--set", "--root-seed"],
    "certs": ["--days"],
}
ALONE = (
    "--each-output",
    "--json",
    "--retry-failed",
    "--mark-stale",
    "--insecure",
    "--no-dashboard",
    "--size",
    "--traceback",
    "--trust",
    "--force",
    "--include-bad-fits",
)
NAMES = [
    "mine.py:MINE",
    "mine.py:MINE",
    "mine.py:MINE",
    "endurance",
    "characterization",
    "trapped.py:TRAP",
    "syntax.py:X",
    "ends.py:X",
    "mine:MINE",
]
PLACES = [
    "c.zarr",
    "c.zarr",
    "c.zarr",
    "empty",
    "mine.py",
    "new.zarr",
    "mine.py/x",
    "c.zarr/y",
    "loop",
    "pipe",
    "/dev/null",
    "/proc/x.zarr",
    "s3:/x",
    "card.toml",
    "log.csv",
    "bench.toml",
    "cluster.toml",
]
VALUES = [
    "x=0:1:3",
    "seed=0:3",
    "seed=1",
    "x=0.25,0.5",
    "name=a",
    "gain=2",
    "on=false",
    "text=y",
    "list=[2]",
    "cycles=2",
    "x=2",
    "device=0",
    "width=5",
]


def value(r: random.Random) -> str:
    """What may follow an option, or stand alone."""
    return r.choice(
        [
            r.choice(VALUES),
            r.choice(VALUES),
            r.choice(PLACES),
            r.choice(NAMES[:5]),
            text(r),
            f"{r.choice(['x', 'seed', 'gain', ''])}={text(r)}",
        ]
    )


def commands(r: random.Random) -> None:
    """Argument lists: real verbs and options, and values of all kinds."""
    verb = r.choice(list(VERBS))
    words = verb.split()
    cubes = ("status", "cell", "figures", "table", "compare", "card", "fits", "drift")
    first = {**dict.fromkeys(cubes, PLACES), "import": ["log.csv", *PLACES]}
    words.append(either_text(r, r.choice(first.get(verb, NAMES))))
    if verb == "import":
        words.append(either_text(r, r.choice(PLACES)))
    if verb == "table":
        words.append(either_text(r, r.choice(["y", "z", "t"])))
    if verb == "compare":
        words.append(either_text(r, r.choice(PLACES)))
    if verb == "cell":
        words += r.choice([["x=0.5", "seed=1", "name=a"], ["x=1", "seed=0", "name=b"], [value(r)]])
    for option in r.choices(VERBS[verb], k=r.randrange(4)) if VERBS[verb] else []:
        words += [option] if option in ALONE else [option, value(r)]
    if r.random() < 0.1:
        words.insert(r.randrange(len(words) + 1), text(r))
    if verb == "run":  # in this process: nothing is started
        words += ["--workers", "0"]
    if verb == "import" and "--resamples" not in words:
        words += ["--resamples", "2"]
    if verb in ("run", "plan", "bench plan") and not any("MINE" in word for word in words):
        words += ["--set", "cycles=2", "--set", "width=5"]
    command([word.replace("\0", "") for word in words])


def either_text(r: random.Random, good: str) -> str:
    return good if r.random() < 0.85 else text(r)


def paths(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, part in inner:
        yield (*at, key)
        yield from paths(part, (*at, key))


def damaged(r: random.Random, content: Any) -> Any:
    """A JSON value with one part taken out or replaced; also within texts that are JSON themselves."""
    content = copy.deepcopy(content)
    *above, key = r.choice(list(paths(content)))
    parent = content
    for step in above:
        parent = parent[step]
    old = parent[key]
    if isinstance(old, str) and old[:1] in "{[" and r.random() < 0.9:
        with contextlib.suppress(ValueError):
            parent[key] = json.dumps(damaged(r, json.loads(old)))
            return content
    if r.random() < 0.3:
        del parent[key]
    else:
        near: list[Any] = [old, [old], {}, str(old)]
        if type(old) is int:
            near = [old + 1, old - 1, -old, float(old), 10**30]
        parent[key] = r.choice([None, True, 0, -1, 10**15, 10**30, 1.5, "", "x", text(r), [], {}, [0], *near])
    return content


def roots(r: random.Random) -> None:
    """Cubes whose root says something else."""
    shutil.rmtree("d.zarr", ignore_errors=True)
    shutil.copytree("c.zarr", "d.zarr")
    root = Path("d.zarr/zarr.json")
    content = json.loads(root.read_text())
    for _ in range(r.choice([1, 1, 1, 2])):
        content = damaged(r, content)
    data = json.dumps(content).encode()
    if r.random() < 0.1:
        data = mutated(r, data.decode()).encode(errors="surrogatepass")
    if r.random() < 0.05:
        data = r.choice(
            [b"", b"[]", b"null", b"[" * 10**5, b'{"a":' * 10**5, b"1" + b"0" * 5000, b"\xff", data[: len(data) // 2]]
        )
    root.write_bytes(data)
    expected(lambda: Cube("d.zarr"), CubeError)
    command(["status", "d.zarr"])
    command(
        r.choice(
            [
                ["status", "d.zarr", "--json", "--size"],
                ["cell", "d.zarr", "x=0.5", "seed=1", "name=a"],
                ["figures", "d.zarr"],
                ["table", "d.zarr", "y"],
                ["compare", "d.zarr", "d.zarr"],
                ["cell", "d.zarr", "x=0.5", "seed=1", "name=a", "--sweep", "mine.py:MINE"],
                ["plan", "mine.py:MINE", "--store", "d.zarr"],
                ["card", "d.zarr"],
                ["figures", "d.zarr", "--sweep", "mine.py:MINE"],
                ["run", "mine.py:MINE", "--store", "d.zarr", "--workers", "0"],
                ["run", "mine.py:MINE", "--store", "d.zarr", "--workers", "0", "--set", "seed=0:3", "--mark-stale"],
            ]
        )
    )


KINDS: dict[str, Callable[[random.Random], None]] = {
    "values": values,
    "files": files,
    "logs": logs,
    "descriptions": descriptions,
    "cells": cells,
    "commands": commands,
    "roots": roots,
}


@contextlib.contextmanager
def place(folder: Path) -> Iterator[None]:
    """Be in ``folder``, with the files that cases use; gone at the end is what the cases imported."""
    before, finders = Path.cwd(), [*sys.meta_path]
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    trap = TRAP.format(sprung=str(folder / "sprung"))
    Path("mine.py").write_text(OWN)
    Path("trapped.py").write_text("TRAP = 1\n")
    Path("syntax.py").write_text("def (")
    Path("ends.py").write_text("raise SystemExit(3)")
    Path("card.toml").write_text(CARD)
    Path("log.csv").write_text(LOG)
    Path("cluster.toml").write_text(CLUSTERS[0].replace("minimum = 1", "").replace("2", "0"))
    Path("bench.toml").write_text(bench_text(1.0))
    Path("empty").mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkfifo("pipe")
        os.symlink("loop", "loop")  # noqa: PTH211
    try:
        command(["run", "mine.py:MINE", "--workers", "0", "--store", "c.zarr"])
        Path("c.zarr/trap.py").write_text(trap)
        Path("trap.py").write_text(trap)
        root = json.loads(Path("c.zarr/zarr.json").read_text())
        root["attributes"]["sweep_reference"] = f"{folder}/c.zarr/trap.py:MINE"
        Path("c.zarr/zarr.json").write_text(json.dumps(root))
        yield
    finally:
        os.chdir(before)
        sys.meta_path[:] = finders
        for name in [n for n, m in sys.modules.items() if str(folder) in str(getattr(m, "__file__", ""))]:
            del sys.modules[name]


def run(kind: str, seed: str, folder: Path) -> None:
    """One case; what it changed of the files is undone."""
    kept = Path(f"{folder}.kept")
    if not kept.exists():
        shutil.copytree(folder / "c.zarr", kept)
    KINDS[kind](random.Random(f"{seed}/{kind}"))
    for name in os.listdir(folder):  # noqa: PTH208
        if name not in (
            "mine.py",
            "trapped.py",
            "syntax.py",
            "ends.py",
            "card.toml",
            "log.csv",
            "cluster.toml",
            "bench.toml",
            "empty",
            "pipe",
            "loop",
            "trap.py",
            "c.zarr",
            "__pycache__",
        ):
            path = folder / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if kind == "commands":
        shutil.rmtree(folder / "c.zarr", ignore_errors=True)
        shutil.copytree(kept, folder / "c.zarr")


def described(error: BaseException) -> str:
    """A fault on one line."""
    return one_line(f"{type(error).__name__}: {error}", 2000)
