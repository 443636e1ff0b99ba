"""Bad input gets one line and status 2, and nothing is written; what is harmless works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

import spinsweep
from spinneurons.neurons import card
from spinsweep import Axis, Cell, Cells, Coordinate, Dim, Output, Parameter, SpecError, Sweep, per_cell
from spinsweep.bench import bench_file
from spinsweep.bench.errors import BenchError
from spinsweep.cli import main
from spinsweep.cube import Cube
from spinsweep.deployment import cluster_file
from spinsweep.errors import CubeError, RunnerError
from spinsweep.evaluate import evaluate
from spinsweep.files import MOST

OWN = """
from spinsweep import Axis, Output, Sweep, per_cell

@per_cell
def one(cell):
    return {"y": cell["x"]}

MINE = Sweep("mine", "Mine", (Axis("x", (0.0, 1.0)), Axis("seed", (0, 1))), (Output("y"),), one)
"""
FILES = {
    "mine.py": OWN,
    "syntax.py": "def (",
    "indented.py": "  x = 1\n y",
    "lacks.py": "import no_such_module",
    "lacks_a_name.py": "from os import no_such_name",
    "recursion.py": "def f():\n    f()\nf()",
    "ends.py": "import sys\nsys.exit(3)",
    "ends_in_words.py": "raise SystemExit('first\\nsecond')",
    "lines.py": "raise ValueError('first\\nsecond\\n' * 1000)",
    "long.py": "raise ValueError('x' * 10_000_000)",
    "silent.py": "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "cancelled.py": "import asyncio\nraise asyncio.CancelledError",
    "nul.py": "x = '\0'",
    "memory.py": "raise MemoryError",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with files that cannot be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    for name, text in FILES.items():
        Path(name).write_text(text)
    yield tmp_path
    for name in [n for n, m in sys.modules.items() if str(tmp_path) in str(getattr(m, "__file__", ""))]:
        del sys.modules[name]


def there(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts}


def refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command is refused; nothing is written."""
    before = there(Path.cwd())
    code = main(words)
    out, err = capfd.readouterr()

    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1, err
    assert err.startswith("spinsweep: ")
    assert len(err) < 4300
    assert there(Path.cwd()) == before
    return err


@pytest.mark.parametrize("verb", ["run", "plan", "list"])
@pytest.mark.parametrize("name", [n for n in FILES if n != "mine.py"])
def test_a_file_or_module_that_cannot_be_imported_is_one_line(
    place: Path, name: str, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert f"{name} cannot be imported: " in refused([verb, f"{name}:MINE"], capfd)
    assert f"{name[:-3]!r} cannot be imported: " in refused([verb, f"{name[:-3]}:MINE"], capfd)


def test_the_line_says_where_the_file_fails_and_what_to_do(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert f"RecursionError: maximum recursion depth exceeded ({place}/recursion.py:2)" in refused(
        ["run", "recursion.py:MINE"], capfd
    )
    ends = refused(["run", "ends.py:MINE"], capfd)
    assert "it ends the process (exit status 3)" in ends
    assert 'under `if __name__ == "__main__":`' in ends


@pytest.mark.parametrize(
    "name", [":", ":S", "..x:S", ".:S", "a..b:S", "a b:S", "x\n:S", "1:S", "mine.py:", ".py:S", "é/\0.py:S",
             f"{'x' * 300}.py:S", "", "mine:MINE:MINE", "/:S", "mine.py:MINE.x", "engine:nothing"]
)  # fmt: skip
def test_a_name_that_means_no_sweep_is_one_line(place: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused(["run", name], capfd)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed=0:99999999999999999999", "99999999999999999999 values are more than the 10000000"),
        ("seed=0:9" + "9" * 4000, "values are more than the 10000000"),
        ("seed=" + "9" * 5000, "inf is not a finite number"),
        ("seed=99999999999999999999", "99999999999999999999 does not fit into 64 bits"),
        ("seed=-99999999999999999999:0:1", "values are more than the 10000000"),
        ("seed=0:1:0", "holds no value"),
        ("x=0:1" + "0" * 400 + ":5", "begins or ends at a number that is too large"),
        ("x=-1e308:1e308:3", "is not a finite number"),
        ("x=0:1:99999999999999999999", "values are more than the 10000000"),
        ("x=nan", "nan is not a finite number"),
    ],
)
def test_a_range_that_cannot_be_is_one_line(
    place: Path, text: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(["run", "mine.py:MINE", "--set", text], capfd)


# ---- files -------------------------------------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{','.join(['*' + chr(97 + i)] * 9)}]}}\n" for i in range(12)
)
TEXTS = {
    "a whole number of 5,000 digits": ("x = 1" + "0" * 5000, "x: 1" + "0" * 5000),
    "a whole number beyond 64 bits": ("x = 0x" + "f" * 5000, "x: 0x" + "f" * 5000),
    "deep nesting": ("x = " + "[" * 100_000, "x: " + "[" * 100_000),
    "deep nesting that closes": ("x = " + "[" * 900 + "]" * 900, "x: " + "[" * 900 + "]" * 900),
    "deep tables": ("[" + ".".join(["a"] * 3000) + "]", "? " * 3000 + "a"),
    "what is too long": ("#" * (MOST + 1), "#" * (MOST + 1)),
    "no text": ("\0", "\0"),
    "aliases that stand for gigabytes": ("x", BOMB),
    "merges that stand for gigabytes": ("x", MERGES),
    "aliases of themselves": ("x", "&a [*a]"),
    "tags that do not fit": ("x", "!!int ''\n"),
    "a date that is none": ("x = 2001-99-99", "x: !!timestamp nothing"),
    "an object": ("x", "!!python/object/apply:os.system [touch sprung]"),
}
READERS: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "bench.toml": (bench_file.load, BenchError, "toml"),
    "cluster.toml": (cluster_file.load, RunnerError, "toml"),
    "cluster.yaml": (cluster_file.load, RunnerError, "yaml"),
    "card.toml": (card.load, card.CardError, "toml"),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_none_of_its_kind_is_one_short_line(tmp_path: Path, name: str, kind: str) -> None:
    load, error, language = READERS[name]
    path = tmp_path / name
    path.write_text(TEXTS[kind][language == "yaml"])
    with pytest.raises(error, match=f"^{path}: ") as caught:
        load(path)

    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)
    assert not Path("sprung").exists()


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_a_device_and_a_folder_are_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    load, error, _ = READERS[name]
    pipe, device, folder = (tmp_path / f"{what}-{name}" for what in ("pipe", "device", "folder"))
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    folder.mkdir()
    for path, says in ((pipe, "a pipe or a device"), (device, "a pipe or a device"), (folder, "Is a directory")):
        with pytest.raises(error, match=says):
            load(path)


def test_no_command_waits_for_a_pipe(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("pipe", "pipe.toml", "pipe.yaml", "pipe.json", "pipe.py"):
        os.mkfifo(name)
    for words in (
        ["bench", "check", "pipe"],
        ["run", "characterization", "--on", "pipe"],
        ["run", "mine.py:MINE", "--cluster", "pipe.toml"],
        ["run", "mine.py:MINE", "--cluster", "pipe.yaml"],
        ["run", "mine.py:MINE", "--cluster", "pipe.json"],
        ["run", "mine.py:MINE", "--store", "pipe"],
        ["run", "pipe.py:X"],
        ["run", "endurance", "--set", "card=pipe"],
        ["import", "pipe", "lab.zarr"],
        ["emulate", "pipe"],
        ["worker", "pipe.json"],
        ["status", "pipe"],
    ):
        refused(words, capfd)


def test_a_home_of_nobody_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text('kind = "scheduler"\naddress = "~no_such_user/x.json"\n')
    with pytest.raises(RunnerError, match=r"cluster.toml: address: this machine has no user ~no_such_user"):
        cluster_file.load(path)
    path.with_suffix(".yaml").write_text("kind: ssh\nhosts: [a]\nkeys: [~no_such_user/x]\n")
    with pytest.raises(RunnerError, match=r"cluster.yaml: keys.0: this machine has no user ~no_such_user"):
        cluster_file.load(path.with_suffix(".yaml"))
    from spinneurons.device.commands import bench_text

    path = tmp_path / "bench.toml"
    path.write_text('state = "~no_such_user/x"\n' + bench_text(1.0))
    with pytest.raises(BenchError, match=r"bench.toml: state: there is no user ~no_such_user here"):
        bench_file.load(path)
    path.write_text(bench_text(1.0))
    monkeypatch.setenv("SPINSWEEP_STATE", "~no_such_user")
    with pytest.raises(BenchError, match="there is no user ~no_such_user here"):
        print(bench_file.load(path).folder)


@pytest.mark.parametrize("number", ["1_000_000_000", "10_001", "0", "-1", "1.5", "inf", "nan"])
def test_a_card_has_as_many_devices_as_a_wafer_may(tmp_path: Path, number: str) -> None:
    text = card.dumps(card.default()).replace("per_width = {value = 4", f"per_width = {{value = {number}")
    with pytest.raises(card.CardError, match=r"devices.per_width: value .* it is a whole number from 1 to 10000"):
        card.loads(text)


def test_a_card_shows_no_orders_to_a_terminal_and_comes_back_unchanged() -> None:
    evil = {**card.default(), "title": "a \x1b]52 \x9b \u202e \x7f b [dB]"}

    assert card.loads(card.dumps(evil)) == evil
    assert all(c.isprintable() or c == "\n" for c in card.dumps(evil))


# ---- the store ---------------------------------------------------------------------------------------------------


def test_a_link_to_an_empty_folder_is_where_the_cube_is_made(place: Path) -> None:
    Path("real/deep").mkdir(parents=True)
    Path("link.zarr").symlink_to("real/deep")
    Path("dangling.zarr").symlink_to("real/new")
    for name in ("link.zarr", "dangling.zarr"):
        assert main(["run", "mine.py:MINE", "--workers", "0", "--store", name]) == 0
        assert main(["status", name]) == 0
        assert Path(name).is_symlink()
    assert {p.name for p in Path("real").iterdir()} == {"deep", "new"}


def test_a_mount_point_is_refused_before_any_work(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("here").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", "here"], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a file system")
    try:
        assert "here is a mount point" in refused(["run", "mine.py:MINE", "--store", "here"], capfd)
        assert main(["run", "mine.py:MINE", "--workers", "0", "--store", "here/c.zarr"]) == 0
    finally:
        subprocess.run(["umount", "here"], check=True)


# ---- cells -------------------------------------------------------------------------------------------------------


def sweep(function: Callable[..., Any], **changes: Any) -> Sweep:
    about: dict[str, Any] = {"axes": (Axis("x", (0.0, 1.0)), Axis("n", (0, 1))), "outputs": (Output("y"),)}
    return Sweep("own", "Own", function=per_cell(function), **{**about, **changes})


def raised(error: BaseException) -> Any:
    def function(cell: Cell) -> Any:
        raise error

    return next(iter(evaluate(sweep(function), {"x": (0.0,), "n": (0,)}).errors.values()))


def test_what_a_cube_keeps_of_an_exception_is_bounded_and_says_what_is_cut() -> None:
    kept = raised(ValueError("x" * 50_000_000))

    assert kept.message.endswith("[... 49990000 more characters]")
    assert len(kept.message) < 10_100
    assert len(kept.traceback) < 100_200
    assert "more characters]" in kept.traceback
    assert kept.traceback.startswith("Traceback")
    assert len(raised(type("N" * 100_000, (Exception,), {})()).type) < 300


@pytest.mark.parametrize("second", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_exception_that_cannot_be_shown_is_a_result_as_well(second: type[BaseException]) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise second

    assert raised(Silent()).message == f"an exception that cannot be shown: {second.__name__}"


def test_an_unknown_axis_or_parameter_is_named_with_those_that_there_are() -> None:
    def typo(cell: Cell) -> Any:
        return {"y": cell["X"]}

    def no_parameter(cell: Cell) -> Any:
        return {"y": cell.params["gian"]}

    at: dict[str, Any] = {"x": (0.0,), "n": (0,)}
    (error,) = evaluate(sweep(typo), at).errors.values()
    assert (error.type, error.message) == ("spinsweep.spec.Unknown", "there is no axis 'X'; there are x, n")
    (error,) = evaluate(sweep(no_parameter, parameters=Parameter("gain", 1.0)), at).errors.values()
    assert error.message == "there is no parameter 'gian' (did you mean 'gain'?); there are gain"
    with pytest.raises(KeyError, match="there is no axis 'seed'; there are x, n"):
        Cells(sweep(typo), at).coords["seed"]


def test_a_function_that_cannot_be_sent_is_one_line_that_names_it(tmp_path: Path, client: Client) -> None:
    lock = threading.Lock()

    def locked(cell: Cell) -> Any:
        with lock:
            return {"y": 1.0}

    says = r"sweep 'own': its function, which uses 'lock', cannot be sent to workers \(TypeError: cannot pickle"
    with pytest.raises(SpecError, match=says):
        spinsweep.run(sweep(locked), tmp_path / "c.zarr", client=client)
    assert not (tmp_path / "c.zarr").exists()
    assert float(spinsweep.run(sweep(locked), tmp_path / "c.zarr").dataset.y.sum()) == 4


def test_a_file_whose_function_cannot_be_sent_is_refused_before_anything_starts(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = OWN.replace("@per_cell", "import threading\n\nLOCK = threading.Lock()\n\n@per_cell")
    Path("locked.py").write_text(own.replace("    return", "    LOCK\n    return"))

    said = refused(["run", "locked.py:MINE", "--workers", "1"], capfd)
    assert "its function, which uses 'LOCK', cannot be sent to workers" in said
    assert main(["run", "locked.py:MINE", "--workers", "0"]) == 0


# ---- Python ------------------------------------------------------------------------------------------------------


def test_what_everybody_would_write_works(tmp_path: Path) -> None:
    @per_cell
    def function(cell: Cell) -> dict[str, Any]:
        return {"y": np.full(3, cell["x"], np.float32), "n": 1}

    attrs = {"gain": np.float64(2), "all": np.arange(3), "on": np.True_}
    own = Sweep(
        "own",
        "Own",
        axes=(Axis("x", np.linspace(0, 1, 3), low=np.float64(0))),  # no comma
        outputs=[
            Output("y", ("t"), np.float32, attrs=attrs),  # type: ignore[arg-type]
            Output("n", dtype=np.dtype("int16")),  # type: ignore[arg-type]
        ],
        dims=Dim("t", values=np.linspace(0, 1, 3)),
        parameters=Parameter("gain", np.float32(2)),
        shared_axes="x",
        function=function,
        root_seed=np.int64(3),
    )  # type: ignore[arg-type]
    ds = spinsweep.run(own, tmp_path / "c.zarr").dataset

    assert ds.y.dtype == np.float32
    assert ds.n.dtype == np.int16
    assert ds.t.values.tolist() == [0, 0.5, 1]
    assert (ds.y.attrs["gain"], ds.y.attrs["all"], ds.y.attrs["on"]) == (2, [0, 1, 2], True)
    assert json.dumps(own.identity())


def test_what_is_taken_so_is_the_same_sweep_as_the_one_in_plain_python() -> None:
    def function(cell: Cell) -> Any:
        return {"y": 0}

    outputs, dims = Output("y", "t", np.float32), Dim("t", np.int64(3))  # type: ignore[arg-type]
    loose = sweep(function, outputs=outputs, dims=dims, parameters=Parameter("p", np.int8(1)))
    plain = sweep(
        function, outputs=(Output("y", ("t",), "float32"),), dims=(Dim("t", 3),), parameters=(Parameter("p", 1),)
    )
    assert loose.digest == plain.digest


NOTHING: list[Any] = [None, object(), lambda: 0, 1j, b"x", [[]], {"a": 1}, float("nan"), 10**5000, np.zeros((2, 2))]


@pytest.mark.parametrize("value", NOTHING, ids=lambda v: type(v).__name__)
def test_values_that_cannot_be_are_refused_when_the_description_is_made(value: Any) -> None:
    for make in (
        lambda: Axis(value, (1,)),
        lambda: Axis("x", (1, value)),
        lambda: Axis("x", (1.0,), unit=value),
        lambda: Output(value),
        lambda: Output("y", dims=(value,)),
        lambda: Output("y", dtype=value),
        lambda: Output("y", unit=value),
        lambda: Dim(value, 3),
        lambda: Dim("t", start=value),
        lambda: Coordinate("c", "x", value) if not callable(value) else Coordinate(value, "x", abs),
        lambda: Parameter("p", 1, low=object() if value is None else value),  # type: ignore[arg-type]
        lambda: Sweep(value, "t", (Axis("x", (1,)),), (Output("y"),), abs),
        lambda: Sweep("s", "t", (value,), (Output("y"),), abs),
        lambda: Sweep("s", "t", (Axis("x", (1,)),), (Output("y"),), abs, root_seed=value),
    ):
        with pytest.raises(SpecError) as caught:
            make()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Output("y", attrs={"_FillValue": 0}), "output 'y': attribute '_FillValue' tells xarray to change"),
        (lambda: Output("y", attrs={"scale_factor": 2}), "'scale_factor'"),
        (lambda: Output("y", attrs={"a": object()}), "output 'y': attribute 'a' is not a JSON value: <object"),
        (lambda: Output("y", attrs={"a": float("nan")}), "output 'y': attribute 'a' is not a JSON value"),
        (lambda: Output("y", dtype="float128"), "output 'y': dtype 'float128' is not one of bool, int8"),
        (lambda: Output("y", ("t", "t")), r"output 'y': dims \('t', 't'\) name one dim twice; name each once"),
        (lambda: Dim("t", -1), "dim 't': size must be a whole number from 1 to 10000000, not -1"),
        (lambda: Dim("t", values=(1.0, 1.0)), "has the value 1 twice"),
        (lambda: Axis("x", range(10**12)), "values are more than the 10000000 that one axis may have"),
        (lambda: Axis("x", (1.0,), low="a"), "axis 'x': low must be a number or None, not 'a'"),  # type: ignore[arg-type]
        (lambda: Axis("x", (1.0,), low=2, high=1), "axis 'x': low 2 is above high 1"),
        (lambda: sweep(lambda cell: {}, dims=Dim("t", "nowhere")), "dim 't': size 'nowhere' is not a parameter with"),
        (lambda: sweep(lambda cell: {}, axes=Output("y")), r"sweep 'own': axes must be a tuple of Axis, not Output"),
        (lambda: sweep(lambda cell: {}, axes=(Axis("x", (1,)), 3)), r"axes\[1\] must be Axis, not 3"),
    ],
)  # fmt: skip
def test_a_description_says_what_is_wrong_with_it(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        make()


def test_a_cube_that_needs_more_memory_than_there_is_is_one_line(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    huge = OWN.replace('Output("y")', 'Output("y", ("t", "u"))')
    huge = huge.replace("one)", 'one, dims=(Dim("t", 10**7), Dim("u", 10**7)))')
    Path("huge.py").write_text(huge.replace("Output, Sweep", "Dim, Output, Sweep"))
    before = there(place)

    assert main(["run", "huge.py:MINE", "--workers", "0"]) == 2
    assert "spinsweep: there is not enough memory (Unable to allocate" in capfd.readouterr().err.splitlines()[-1]
    assert there(place) == before


# ---- the root of a cube --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("root") / "c.zarr"
    spinsweep.run(sweep(lambda cell: {"y": np.zeros(2)}, outputs=Output("y", "t"), dims=Dim("t", 2)), store)
    return store


def places(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, also in texts that are JSON."""
    if isinstance(content, str) and content.startswith("{"):
        content = json.loads(content)
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, part in inner:
        yield (*at, name)
        yield from places(part, (*at, name))


def changed(content: Any, at: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """The JSON value with one place changed."""
    if isinstance(content, str):
        return json.dumps(changed(json.loads(content), at, change))
    if len(at) == 1:
        change(content, at[0])
    else:
        content[at[0]] = changed(content[at[0]], at[1:], change)
    return content


def remove(parent: Any, name: Any) -> None:
    del parent[name]


def put(value: Any) -> Callable[[Any, Any], None]:
    def change(parent: Any, name: Any) -> None:
        parent[name] = value

    return change


CHANGES = {
    "missing": remove,
    "null": put(None),
    "a text": put("x"),
    "a number": put(7),
    "a huge number": put(10**30),
    "a list": put([-1]),
    "a mapping": put({}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_root_that_lacks_or_mistakes_any_part_is_read_or_refused_in_one_line(cube: Path, change: str) -> None:
    whole = (cube / "zarr.json").read_text()
    said = []
    try:
        for place in places(json.loads(whole)):
            (cube / "zarr.json").write_text(json.dumps(changed(json.loads(whole), place, CHANGES[change])))
            try:
                found = Cube(cube)
                assert (found.counts().done, len(found.axes["x"]), len(found.runs())) == (4, 2, 1)
            except CubeError as error:
                said.append(str(error))
    finally:
        (cube / "zarr.json").write_text(whole)
    assert len(said) > 50
    assert [line for line in said if "\n" in line or str(cube) not in line] == []


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (
            ("cell_state", "chunk_grid", "configuration", "chunk_shape"),
            [10**12, 10**12],
            "which does not fit the cells",
        ),
        (("cell_state", "chunk_grid", "configuration", "chunk_shape"), [0, 2], "in chunks of"),
        (("y", "chunk_grid", "configuration", "chunk_shape"), [1, 1, 1], "which does not fit the cells"),
        (("x", "shape"), [10**12], "which is no or too many cells"),
        (("x", "shape"), [3], "which does not fit the cells"),
        (("y", "codecs"), [{"name": "numcodecs.pickle"}], "has the codecs"),
        (("y", "data_type"), "float32", "the array y is of type 'float32', not float64"),
    ],
)
def test_a_root_with_false_shapes_says_which(cube: Path, at: tuple[str, ...], value: Any, says: str) -> None:
    whole = (cube / "zarr.json").read_text()
    inner = ("consolidated_metadata", "metadata", *at)
    try:
        (cube / "zarr.json").write_text(json.dumps(changed(json.loads(whole), inner, put(value))))
        with pytest.raises(CubeError, match=rf"c.zarr/zarr.json is damaged: .*{says}.*verify .* --repair"):
            Cube(cube)
    finally:
        (cube / "zarr.json").write_text(whole)


def test_a_cell_that_raises_keyboard_interrupt_fails_and_ends_nothing(tmp_path: Path, client: Client) -> None:
    def interrupts(cell: Cell) -> Any:
        if cell["n"]:
            raise KeyboardInterrupt("not of a keyboard")
        return {"y": 1.0}

    ds = spinsweep.run(sweep(interrupts), tmp_path / "c.zarr", client=client, block=4, on_failure="keep").dataset
    assert ds.cell_state.values.tolist() == [[1, 2], [1, 2]]
    assert [f.error.type for f in Cube(tmp_path / "c.zarr").failures()] == ["KeyboardInterrupt"] * 2


def test_a_real_interrupt_is_no_result_of_a_cell() -> None:
    def requested(cell: Cell) -> Any:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, where tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            evaluate(sweep(requested), {"x": (0.0,), "n": (0,)})
    finally:
        signal.signal(signal.SIGINT, before)
