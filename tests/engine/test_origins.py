"""What computed each cell is known: by other code, by other workers, on another kind of processor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from written import written

from spinsweep import Sweep
from spinsweep.cube import Cube, examine
from spinsweep.deviation import Deviation
from spinsweep.errors import RunnerError
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.provenance import Origin, other_code, other_processor, other_versions
from spinsweep.runs import Run, open_run


def go(
    sweep: Sweep,
    store: Path,
    client: Client | None = None,
    on_progress: Callable[[Run], None] = lambda run: None,
    **options: Any,
) -> Run:
    with open_run(sweep, store, **{"block": 1, **options}) as run:
        if client is None:
            drive(run, serial, on_progress)
        else:
            drive(run, on_client(client), on_progress)
    return run


def values(store: Path) -> list[float]:
    cube = xr.open_zarr(store)
    assert (cube.cell_state == 1).all()
    found: list[float] = cube.y.values.tolist()
    return found


WALK = "def walk(cells):\n    return {'y': cells.coords['x'] * %s}\n"
CHANGES = {
    "a closure": "def make(gain):\n"
    + "".join(f"    {line}\n" for line in (WALK % "gain").splitlines())
    + "    return walk\nwalk = make(1)",
    "a constant": "GAIN = 1\n" + WALK % "GAIN",
    "an argument of partial": (WALK % "gain").replace("walk(cells)", "go(cells, gain)")
    + "walk = functools.partial(go, gain=1)",
    "an attribute": "class Walk:\n    def __init__(self, gain):\n        self.gain = gain\n"
    "    def __call__(self, cells):\n        return {'y': cells.coords['x'] * self.gain}\nwalk = Walk(1)",
    "a helper": "import helper\n" + WALK % "helper.gain()",
    "a constant of a helper": "from helper import GAIN\n" + WALK % "GAIN",
    "the function": WALK % "1",
}
SAID = {
    "a closure": "closure gain of mine.make.<locals>.walk is 1 there, 100 here",
    "a constant": "mine.GAIN is 1 there, 100 here",
    "an argument of partial": "argument gain of mine.go is 1 there, 100 here",
    "an attribute": "attribute gain of mine.Walk is 1 there, 100 here",
    "a helper": "helper.gain changed",
    "a constant of a helper": "mine.GAIN is 1 there, 100 here",
    "the function": "mine.walk changed",
}
HELPER = "GAIN = 1\ndef gain():\n    return 1\n"


@pytest.mark.parametrize("change", CHANGES)
def test_cells_of_other_code_are_said_each_time_and_marked_stale_when_asked(change: str, tmp_path: Path) -> None:
    def sweep(gain: str, x: tuple[float, ...]) -> Sweep:
        source, helper = (
            text.replace("GAIN = 1\n", f"GAIN = {gain}\n")
            .replace("=1)", f"={gain})")
            .replace("return 1", f"return {gain}")
            for text in (CHANGES[change], HELPER)
        )
        source = source.replace("(1)", f"({gain})").replace("* 1}", f"* {gain}}}")
        return written(tmp_path, source, helper=helper).with_values(x=x)

    store = tmp_path / "c.zarr"
    assert go(sweep("1", (1.0, 2.0)), store).notes == []
    for _ in range(2):  # said once or twice, it is not forgotten
        run = go(sweep("100", (1.0, 2.0, 3.0)), store)
        assert run.notes == [
            f"2 cells that are there were computed by other code ({SAID[change]}): they stay as they are, "
            "--mark-stale computes them again"
        ]
    assert values(store) == [1.0, 2.0, 300.0]
    run = go(sweep("100", (1.0, 2.0, 3.0)), store, mark_stale=True)
    assert run.notes == []
    assert run.progress.cells == 2
    assert values(store) == [100.0, 200.0, 300.0]
    assert go(sweep("100", (1.0, 2.0, 3.0)), store, mark_stale=True).progress.cells == 0


def test_only_cells_of_other_code_are_computed_again(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"

    def sweep(gain: int) -> Sweep:
        return written(tmp_path, f"GAIN = {gain}\n" + WALK % "GAIN")

    for gain in (1, 2, 3):
        go(sweep(gain).with_values(x=[float(i) for i in range(1, 2 * gain + 1)]), store, block=4)
    again = sweep(2)
    run = go(again.with_values(x=[1.0]), store)
    assert [note.partition(":")[0] for note in run.notes[:2]] == [
        "2 cells that are there were computed by other code (mine.GAIN is 1 there, 2 here)",
        "2 cells that are there were computed by other code (mine.GAIN is 3 there, 2 here)",
    ]
    assert go(again.with_values(x=[float(i) for i in range(1, 7)]), store, mark_stale=True).progress.cells == 4
    cube = Cube(store)
    assert cube.ledger("cell_attempt").tolist() == [2, 2, 1, 1, 2, 2]
    assert set(cube.ledger("cell_code").tolist()) == {Origin.of(again).number}
    assert values(store) == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]


def test_a_comment_a_docstring_and_another_folder_are_no_other_code(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    go(written(tmp_path / "a", WALK % "1"), store)
    changed = (WALK % "1").replace(":\n", ":\n    '''Walk.'''\n    # from x\n", 1)
    run = go(written(tmp_path / "b", f"'''Mine.'''\nUNUSED = 1\n\n{changed}"), store, mark_stale=True)
    assert run.notes == []
    assert run.progress.cells == 0


def test_each_cell_names_what_computed_it(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    sweep = written(tmp_path, "GAIN = 1.5\n" + WALK % "GAIN")
    run = go(sweep, store)
    origin = Origin.of(sweep)
    numbers = xr.open_zarr(store).cell_code.values
    assert numbers.tolist() == [origin.number] * 2
    assert 0 < origin.number < 2**53
    about = Cube(store).code(int(numbers[0]))
    assert about is not None
    assert about == origin.record
    assert about.identity == origin.code.digest
    assert about.parts["mine:GAIN"] == "= 1.5"
    assert about.packages["numpy"] == np.__version__
    assert about.python == ".".join(map(str, sys.version_info[:3]))
    assert about.processor
    assert Cube(store).code(0) is None
    [record] = Cube(store).runs()
    assert record.code.identity == origin.code.digest
    assert record.to_json()["workers"] == [
        {
            "address": "",
            "host": os.uname().nodename,
            "process": os.getpid(),
            "python": about.python,
            "packages": about.packages,
            "processor": about.processor,
            "identity": origin.code.digest,
            "code": f"{origin.number:016x}",
        }
    ]
    assert run.job.origin.number == origin.number


def test_what_is_kept_between_calls_does_not_make_other_code(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    sweep = written(
        tmp_path, "KEPT = {}\ndef walk(cells):\n    KEPT[str(cells.coords)] = 1\n    return {'y': cells.coords['x']}"
    )
    go(sweep.with_values(x=(1.0,)), store, block=None)  # cells are computed to choose the block
    run = go(sweep, store)
    assert not [note for note in run.notes if "other code" in note]


def test_a_damaged_record_of_the_code_is_found_said_and_written_again(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    first = written(tmp_path, "GAIN = 1\n" + WALK % "GAIN")
    go(first, store)
    other = written(tmp_path, "GAIN = 2\n" + WALK % "GAIN")
    file = store / f"codes/{Origin.of(first).number:016x}/zarr.json"
    file.write_bytes(b"")
    assert [damage.object_name for damage in examine(store)] == [str(file.relative_to(store))]
    assert go(other, store).notes == [
        "2 cells that are there were computed by other code (which is not recorded): they stay as they are, "
        "--mark-stale computes them again"
    ]
    again = written(tmp_path, "GAIN = 1\n" + WALK % "GAIN")
    assert go(again, store).notes == []
    assert list(examine(store)) == []


@pytest.mark.faults
def test_a_run_that_is_killed_has_recorded_its_workers(tmp_path: Path) -> None:
    mine, store = tmp_path / "mine.py", tmp_path / "c.zarr"
    written(tmp_path, "import time\n@per_cell\ndef walk(cell):\n    time.sleep(0.05)\n    return {'y': 1.0}")
    words = ["run", f"{mine}:SWEEP", "--set", "x=0:1:1000", "--block", 1, "--workers", 1, "--store", store]
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "spinsweep.cli", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        file = store / "runs/000001/zarr.json"
        until(lambda: file.exists() and json.loads(file.read_bytes())["attributes"].get("workers"))
    finally:
        run.kill()
        run.wait()
    [record] = Cube(store).runs()
    assert record.outcome == "running"
    assert record.workers[0].address.startswith("t")
    assert record.workers[0].code in {path.name for path in (store / "codes").iterdir()}


def until(condition: Callable[[], Any]) -> None:
    while not condition():
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["measured", "imported"])
def test_what_was_measured_or_imported_is_never_computed_again_for_other_code(kind: str, tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"

    def sweep(gain: int) -> Sweep:
        found = written(tmp_path, f"GAIN = {gain}\n" + WALK % "GAIN")
        return replace(found, measured=True) if kind == "measured" else found

    attrs = {"imported_from": "log.csv"} if kind == "imported" else {"measured_on": "bench"}
    go(sweep(1), store, attrs=attrs)
    run = go(sweep(2), store, mark_stale=True)
    assert run.progress.cells == 0
    assert run.notes == [
        "2 cells that are there were computed by other code (mine.GAIN is 1 there, 2 here): "
        "what was measured or imported stays as it is"
    ]
    assert values(store) == [1.0, 2.0]


def test_cells_of_other_packages_or_another_processor_are_said_and_stay(tmp_path: Path) -> None:
    store = tmp_path / "c.zarr"
    sweep = written(tmp_path, WALK % "np.float64(1)")
    here = Origin.of(sweep)
    packages = {**here.record.packages, "numpy": "2.3.0"}
    elsewhere = replace(here, record=replace(here.record, packages=packages, processor="another"))
    with open_run(sweep, store, block=1) as run:
        from spinsweep.cube import keep_origin

        keep_origin(run.cube.storage, elsewhere)
        run.job = replace(run.job, origin=elsewhere)
        drive(run, serial)
    run = go(sweep.with_values(x=(1.0, 2.0, 3.0)), store, mark_stale=True)
    assert run.progress.cells == 1
    assert run.notes == [
        f"2 cells that are there were computed elsewhere (numpy 2.3.0 there, {np.__version__} here; "
        f"processor another there, {here.record.processor} here), where last digits may differ"
    ]


def test_versions_of_python_are_compared_by_their_minor_number(tmp_path: Path) -> None:
    here = Origin.of(written(tmp_path, WALK % "1")).record
    old = replace(here, python="3.11.1")
    assert other_versions(old, replace(here, python="3.11.9")) == []
    assert other_versions(old, replace(here, python="3.12.0")) == ["Python 3.11 there, 3.12 here"]
    assert other_processor(here, here) == other_code(here, here) == []


FOREIGN = """
import helper, os, time
@per_cell
def walk(cell):
    while WAIT and len(os.listdir(WAIT)) < 2:
        (Path(WAIT) / str(os.getpid())).touch()
        time.sleep(0.01)
    return {"y": helper.scaled(cell["x"])}
WAIT = ""
"""
"""Waits in a folder, if one is named, until two files are there: one a process, or what a test puts there."""
SCALED = "GAIN = 1\ndef scaled(x):\n    return x * GAIN\n"


def waiting(source: str, folder: Path) -> str:
    folder.mkdir()
    return source.replace('WAIT = ""', f'WAIT = "{folder}"')


def let_go_at_the_first_note(folder: Path) -> Callable[[Run], None]:
    """No cell ends before the run has said something, so that each worker is sent a block."""

    def on_progress(run: Run) -> None:
        if run.notes:
            for name in "ab":
                (folder / name).touch()

    return on_progress


@contextmanager
def cluster(folder: Path, *paths: Path) -> Iterator[tuple[Client, list[str]]]:
    """A plain Dask scheduler, and a ``dask worker`` for each search path; its client, and their addresses."""
    file = folder / "scheduler.json"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    with ExitStack() as stack:

        def start(*words: object, path: Path = folder) -> None:
            process = subprocess.Popen(
                [*dask, *map(str, words)],
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join((str(path), str(Path(__file__).parents[2] / "engine")))},
                cwd=folder,
                **quiet,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        start("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", file)
        for number, path in enumerate(paths):
            words = ("--nworkers", 1, "--nthreads", 1, "--no-nanny", "--no-dashboard", "--name", f"w{number}")
            start("worker", "--host", "127.0.0.1", "--scheduler-file", file, *words, path=path)
        client = stack.enter_context(Client(scheduler_file=str(file), timeout=60))
        client.wait_for_workers(len(paths), timeout=60)
        named = {w["name"]: address for address, w in client.scheduler_info(n_workers=-1)["workers"].items()}
        yield client, [named[f"w{number}"] for number in range(len(paths))]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Client, list[str]]]:
    """The driver's folder; two workers, of which the second has another ``helper`` and other metadata of scipy."""
    folder = tmp_path_factory.mktemp("mixed")
    other = folder / "other"
    (other / "scipy-1.0.dist-info").mkdir(parents=True)
    (other / "scipy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 1.0\n")
    (other / "helper.py").write_text(SCALED.replace("GAIN = 1", "GAIN = 100"))
    written(folder / "mine", FOREIGN, helper=SCALED)
    with cluster(folder, folder / "mine", other) as (client, workers):
        yield folder / "mine", client, workers


MANY = tuple(float(i) for i in range(1, 61))


@pytest.mark.faults
def test_a_worker_with_other_code_is_refused_by_name_and_the_others_go_on(
    mixed: tuple[Path, Client, list[str]], tmp_path: Path
) -> None:
    folder, client, (good, bad) = mixed
    sweep = written(folder, waiting(FOREIGN, tmp_path / "wait"), helper=SCALED).with_values(x=MANY)
    run = go(sweep, tmp_path / "c.zarr", client, let_go_at_the_first_note(tmp_path / "wait"))
    assert values(tmp_path / "c.zarr") == list(MANY)
    assert run.notes == [
        f"worker {bad} on {os.uname().nodename} has other code: helper.GAIN is 100 there, 1 here; "
        "it gets no block of this run (--allow-mixed would let it compute as well)"
    ]
    [record] = Cube(tmp_path / "c.zarr").runs()
    assert [w.address for w in record.workers or ()] == [good]


@pytest.mark.faults
def test_when_no_worker_has_the_drivers_code_nothing_is_computed(
    mixed: tuple[Path, Client, list[str]], tmp_path: Path
) -> None:
    folder, client, _ = mixed
    sweep = written(folder, FOREIGN, helper=SCALED.replace("GAIN = 1", "GAIN = 2"))
    with pytest.raises(RunnerError, match=r"^worker tcp://.* has other code: helper.GAIN is .*; bring the driver's"):
        go(sweep.with_values(x=MANY), tmp_path / "c.zarr", client)
    assert not (xr.open_zarr(tmp_path / "c.zarr").cell_state != 0).any()


@pytest.mark.faults
def test_mixed_workers_are_allowed_when_asked_and_each_cell_names_its_own(
    mixed: tuple[Path, Client, list[str]], tmp_path: Path
) -> None:
    folder, client, workers = mixed
    store = tmp_path / "c.zarr"
    sweep = written(folder, waiting(FOREIGN, tmp_path / "wait"), helper=SCALED).with_values(x=MANY)
    run = go(sweep, store, client, allow_mixed=True)
    assert run.notes == []
    cube = Cube(store)
    codes = cube.ledger("cell_code")
    gains = np.array(values(store)) / MANY
    of = {number: cube.code(int(number)).parts["helper:GAIN"] for number in np.unique(codes)}
    assert sorted(of.values()) == ["= 1", "= 100"]
    assert [of[c] for c in codes] == [f"= {g:.0f}" for g in gains]
    [record] = cube.runs()
    assert sorted(w.address for w in record.workers or ()) == sorted(workers)
    assert {int(w.code, 16) for w in record.workers or ()} == set(of)
    again = go(sweep, store, mark_stale=True)
    assert again.progress.cells == int((gains == 100).sum()) > 0
    assert values(store) == list(MANY)


@pytest.mark.faults
def test_a_worker_with_another_version_of_a_package_that_matters_is_refused(
    mixed: tuple[Path, Client, list[str]], tmp_path: Path
) -> None:
    folder, client, (_, bad) = mixed
    source = FOREIGN.replace("helper.scaled(", "scipy.special.exprel(0.0) * (").replace("helper", "scipy.special")
    sweep = written(folder, waiting(source, tmp_path / "wait")).with_values(x=MANY)
    run = go(sweep, tmp_path / "c.zarr", client, let_go_at_the_first_note(tmp_path / "wait"))
    assert [note.partition(";")[0] for note in run.notes] == [
        f"worker {bad} on {os.uname().nodename} has other code: scipy 1.0 there, "
        f"{run.job.origin.record.packages['scipy']} here"
    ]
    assert values(tmp_path / "c.zarr") == list(MANY)


def test_deviations_are_measured_relative_to_the_largest_value() -> None:
    here = np.array([1e-30, 2.0, np.nan, np.inf])
    assert Deviation.of(here, here.copy()).values == 0
    small = Deviation.of(here, np.array([0.0, 2.0, np.nan, np.inf]))
    assert (small.values, small.relative, small.index) == (1, 5e-31, (0,))
    assert Deviation.of(here, np.array([1e-30, 2.0, np.nan, 1.0])).relative == np.inf
    assert Deviation.of(here, np.array([1e-30, 2.0, 0.0, np.inf])).relative == np.inf
    assert Deviation.of(np.array(3), np.array(4)).relative == np.inf
    assert Deviation.of(np.array(True), np.array(True)).values == 0
    assert Deviation.of(np.array(1 + 1j), np.array(1 + 1.000001j)).relative == pytest.approx(1e-6 / 2**0.5, rel=1e-3)


ROUNDED = """
import os
@per_cell
def walk(cell):
    more = float(os.environ.get("SPINSWEEP_TEST_ROUNDING", 0))
    return {"y": cell["x"] * (1 + more), "z": [1.0, cell["x"] + more], "n": 1}
"""


@pytest.mark.parametrize(("more", "status"), [("0", 0), ("1e-14", 0), ("1e-9", 1)])
def test_a_cell_is_compared_within_the_declared_bound_and_every_digit_is_shown(
    more: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from spinsweep.cli import main

    sweep = written(tmp_path, ROUNDED)
    text = (
        (tmp_path / "mine.py")
        .read_text()
        .replace(
            'outputs=(Output("y"),)',
            'outputs=(Output("y", tolerance=1e-12), Output("z", ("k",), tolerance=1e-12), '
            'Output("n", dtype="int64")), '
            'dims=(Dim("k", 2),)',
        )
    )
    (tmp_path / "mine.py").write_text(text.replace("import Axis", "import Axis, Dim"))
    assert sweep.outputs[0].tolerance == 0
    name = f"{tmp_path / 'mine.py'}:SWEEP"
    assert main(["run", name, "--workers", "0", "--store", str(tmp_path / "c.zarr")]) == 0
    monkeypatch.setenv("SPINSWEEP_TEST_ROUNDING", more)
    capsys.readouterr()
    assert main(["cell", str(tmp_path / "c.zarr"), "x=2.0", "--sweep", name]) == status
    said = capsys.readouterr().out
    if more == "0":
        assert "within" not in said
        assert "differs" not in said
        return
    here = 2.0 * (1 + float(more))
    relative = (here - 2.0) / here
    assert f"y: {here!r} here, 2.0 in the cube, relative {relative:.2g}; its bound is 1e-12" in said
    assert f"z: 1 of 2 values differ, most of all z[1] {2.0 + float(more)!r} here, 2.0 in the cube" in said
    assert ("within its bound" in said) == (status == 0)
    assert ("differs" in said) == (status == 1)


KERNELS = {
    "characterization": (
        {"width": (0.5,), "device": (0,), "cycles": 50, "resamples": 100},
        ("width=0.5", "device=0"),
    ),
    "persistence": ({"width": (0.5,), "device": (0,), "day": (0.0,)}, ("width=0.5", "device=0", "day=0")),
    "anisotropy": ({"width": (0.5,), "device": (0,)}, ("width=0.5", "device=0")),
    "macrospin": (
        {"width": (40.0,), "pulse": (1e-9,), "trajectories": 50, "currents": 8},
        ("width=40", "pulse=1e-9"),
    ),
    "hil": ({"mode": ("hil",), "seed": (0,), "epochs": 2, "cycles": 20}, ("mode=hil", "seed=0")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_another_processor_stay_within_the_bounds_that_are_declared(name: str, tmp_path: Path) -> None:
    from spinsweep.discovery import find

    store, (some, cell) = tmp_path / "c.zarr", KERNELS[name]
    go(find(name).with_values(**some), store, attrs={"sweep_reference": name})
    older = {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "spinsweep.cli", "cell", store, *cell],
        env=os.environ | older,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differs" not in done.stdout
