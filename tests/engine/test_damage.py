"""Damage of all kinds is found by ``verify``, made good by ``--repair`` and the next run, and breaks no command."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from examples import GRID, LOGGED

from spinsweep.cli.app import main
from spinsweep.cube import Cube, Task, examine, execute, local, repair
from spinsweep.cube.digests import BlockRecord, DigestEntry
from spinsweep.errors import CubeError
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.ledger import Counts, State
from spinsweep.outputs import Output
from spinsweep.runs import open_run
from spinsweep.spec import Sweep

COUNTED = GRID.with_values(width=[5.0, 1.0], variation=[0.1, 0.2], seed=range(6), steps=2)
BLOCK = {"width": 1, "variation": 2, "seed": 3}


def go(sweep: Sweep, store: Path, **options: object) -> list[str]:
    with open_run(sweep, store, block=BLOCK, **options) as run:  # type: ignore[arg-type]
        drive(run, serial)
    assert run.complete
    return run.notes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "grid.zarr"
    go(COUNTED, path)
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "grid.zarr"))


def flip(file: Path, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def cut(file: Path, chance: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: chance.randrange(file.stat().st_size)])


def empty(file: Path, chance: random.Random) -> None:
    file.write_bytes(b"")


def delete(file: Path, chance: random.Random) -> None:
    file.unlink()


def swap(file: Path, chance: random.Random) -> None:
    """Another chunk of the same array, whole and with a right checksum."""
    others = [p for p in (file.parents[2]).rglob("*") if p.is_file() and p != file and p.name.isdigit()]
    file.write_bytes(chance.choice(others or [file]).read_bytes())


FAULTS = (flip, cut, empty, delete, swap)
FILES = (
    *("sum/c/1/0/1", "noise/c/0/0/0/0", "cell_attempt/c/1/0/0", "cell_duration/c/0/0/1", "cell_state/c/1/0/1"),
    *("width/c/0", "seed/c/0", "step/c/0", "cell_state/copies/seed/c/0", "cell_state/digests/1.0.1"),
    *("sum/zarr.json", "seed/zarr.json", "cell_state/zarr.json", "runs/000001/zarr.json", "runs/zarr.json"),
    *("zarr.json", "cell_state/copies/root.json"),
)


def assert_whole(store: Path, whole: Path) -> None:
    assert list(examine(store)) == []
    got, want = xr.open_zarr(store).load(), xr.open_zarr(whole).load()
    for name in ("sum", "noise", "cell_state"):
        xr.testing.assert_equal(got[name], want[name])


CASES = [(file, fault) for file in FILES for fault in FAULTS if (file, fault) != ("zarr.json", delete)]


@pytest.mark.parametrize(
    ("file", "fault", "seed"),
    # each file and each fault at least once; all pairs, each at two places, are for the exhaustive suite
    [
        pytest.param(*c, seed, marks=[] if n % 4 == 0 and seed == 0 else [pytest.mark.slow])
        for n, c in enumerate(CASES)
        for seed in range(2)
    ],
    ids=[f"{fault.__name__} {file} {seed}" for file, fault in CASES for seed in range(2)],
)
def test_damage_is_found_breaks_no_command_and_is_made_good(
    store: Path,
    whole: Path,
    file: str,
    fault: Callable[[Path, random.Random], None],
    seed: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    chance = random.Random(f"{file} {fault.__name__} {seed}")
    before = (store / file).read_bytes()
    fault(store / file, chance)
    after = (store / file).read_bytes() if (store / file).exists() else None
    absent = fault is delete and file.startswith("cell_state/c/")  # then nothing is called done
    harmless = absent or after == before or (file.endswith(".json") and _reads_the_same(before, after))
    status = main(["status", str(store)])
    verified = main(["verify", str(store)])
    _, err = capfd.readouterr()
    assert "Traceback" not in err
    if file != "zarr.json":
        assert status in (0, 1), err
    assert harmless or verified in (1, 2)

    assert main(["verify", str(store), "--repair"]) == 0, capfd.readouterr()
    go(COUNTED, store)
    assert main(["verify", str(store)]) == 0
    assert_whole(store, whole)


def _reads_the_same(before: bytes, after: bytes | None) -> bool:
    """Whether the change stands where nobody looks: in a blank, or in a text that says nothing of the numbers."""
    try:
        a, b = json.loads(before), json.loads(after or b"")
    except ValueError:
        return False
    known = ("shape", "attributes", "storage_transformers", "zarr_format", "node_type")
    return isinstance(b, dict) and all(a.get(k) == b.get(k) for k in a if k not in known)


@pytest.mark.parametrize("fault", [empty, delete], ids=["empty", "deleted"])
@pytest.mark.parametrize("array", ["sum", "noise", "cell_attempt"])
def test_a_run_finds_chunks_that_are_missing_or_empty_by_itself(
    store: Path, whole: Path, array: str, fault: Callable[[Path, random.Random], None]
) -> None:
    file = next(p for p in sorted((store / array / "c" / "1").rglob("*")) if p.is_file())
    fault(file, random.Random(0))

    notes = go(COUNTED, store)

    assert "6 cells in 1 blocks were done, and are damaged or missing" in notes[0]
    assert_whole(store, whole)


def test_a_chunk_that_another_program_left_out_because_it_holds_the_fill_value_is_no_damage(tmp_path: Path) -> None:
    zeros = Sweep("zeros", "All zero", COUNTED.axes, (Output("n", dtype="int32"),), _zeros)
    go(zeros, tmp_path / "zeros.zarr")
    shutil.rmtree(tmp_path / "zeros.zarr" / "n" / "c")

    assert list(examine(tmp_path / "zeros.zarr")) == []
    assert go(zeros, tmp_path / "zeros.zarr") == []


def _zeros(cells: object) -> dict[str, object]:
    return {"n": np.zeros(cells.shape, np.int32)}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mark", "remedy"),
    [
        ("measured_on", "takes them from the bench's journal"),
        ("imported_from", "importing lab again brings"),
    ],
)
def test_damaged_readings_are_failed_cells_that_say_how_to_get_them_back(store: Path, mark: str, remedy: str) -> None:
    cube = Cube(store)
    with cube.write_guard.hold_driver_lock():
        cube.commit(replace(cube.attributes, **{mark: "lab"}))
    (store / "sum/c/1/0/1").write_bytes(b"")

    done = repair(store)

    assert remedy in done.lost.remedy
    assert Cube(store).counts() == Counts(done=18, failed=6)
    assert all(remedy in failure.error.message for failure in Cube(store).failures())
    with open_run(COUNTED, store) as run:
        assert run.progress.cells == 0  # never again by itself


def test_status_shows_what_is_readable_beside_an_axis_that_is_damaged_with_its_copy(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("seed", "cell_state/copies/seed"):
        (store / folder / "c/0").write_bytes(b"")
    assert main(["status", str(store)]) == 1
    out, err = capfd.readouterr()
    assert err == ""
    assert "seed (6, damaged)" in out
    assert "width (2)" in out
    assert "the axis seed and its copy; spinsweep verify tells more" in out
    assert "24 of 24 done" in out
    assert main(["status", str(store), "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert (found["axes"]["seed"], found["axes"]["width"], found["cells"]["done"]) == (None, [5.0, 1.0], 24)


def test_a_failed_cell_on_a_damaged_axis_is_listed_by_its_index(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logged.zarr"
    (tmp_path / "broken").write_text("no")
    sweep = LOGGED.with_values(log=str(tmp_path), bad=0.1, x=(0.0, 0.1), seed=(0, 1))
    with open_run(sweep, path, block=1) as run:
        drive(run, serial)
    for folder in ("x", "cell_state/copies/x"):
        (path / folder / "c/0").write_bytes(b"")
    assert main(["status", str(path)]) == 1
    assert "failed  x=[1] seed=1  (attempt 1)  ValueError: no good" in capfd.readouterr().out


def test_an_older_chunk_in_the_place_of_a_newer_one_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "grid.zarr"
    go(COUNTED.with_values(seed=range(5)), path)  # the last block is filled in part
    old = (path / "sum/c/0/0/1").read_bytes()
    go(COUNTED, path)
    (path / "sum/c/0/0/1").write_bytes(old)

    (damage,) = examine(path)

    assert damage.block_index == (0, 0, 1)
    assert damage.lost_cells == 6


def test_a_kill_between_the_chunks_of_a_block_that_holds_done_cells_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every file operation of a growth into a part-filled block."""

    class Killed(BaseException):
        pass

    path, copy = tmp_path / "grid.zarr", tmp_path / "copy.zarr"
    go(COUNTED.with_values(seed=range(5)), path)
    write = local.write_whole
    for last in range(40):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy)
        count = 0

        def dying(*arguments: object, last: int = last, **options: object) -> None:
            nonlocal count
            if count == last:
                raise Killed
            count += 1
            write(*arguments, **options)  # type: ignore[arg-type]

        try:
            with open_run(COUNTED, copy) as run:
                tasks: list[Task] = list(run.tasks())
                monkeypatch.setattr(local, "write_whole", dying)
                for task in tasks:
                    run.note(execute(run.job, task))
                monkeypatch.undo()
        except Killed:
            monkeypatch.undo()
        assert [d for d in examine(copy) if d.lost_cells] == [], last
        if count < last:
            break
    assert last > 10


def test_a_record_of_any_set_of_cells_comes_back_as_it_was_written() -> None:
    chance = np.random.default_rng(0)
    for shape in [(4,), (3, 5), (2, 3, 4)]:
        for density in (0.0, 0.3, 1.0):
            cells = chance.random(shape) < density
            record = BlockRecord(3, 7, (DigestEntry(cells, "ab"), DigestEntry(np.ones(shape, bool), "cd")))
            back = BlockRecord.decode(record.encode(), shape)
            assert back is not None
            assert (back.run, back.batch) == (3, 7)
            assert [e.sha256 for e in back.entries] == ["ab", "cd"]
            np.testing.assert_array_equal(back.entries[0].cells, cells)


def test_a_cube_of_the_older_format_is_refused_in_one_line_and_read_by_xarray(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = json.loads((store / "zarr.json").read_text())
    root["attributes"]["spinsweep_format"] = 1
    (store / "zarr.json").write_text(json.dumps(root))

    with pytest.raises(CubeError, match="has cube format 1, and this version has 2"):
        Cube(store)
    assert main(["status", str(store)]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert (xr.open_zarr(store).cell_state == State.DONE).all()
