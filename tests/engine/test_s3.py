"""Cubes on object storage: what holds in a folder holds on a real S3 server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s3fs
import xarray as xr
from distributed import Client
from examples import GRID, LOGGED, calls

from s3_server import BUCKET, serving
from spinsweep import Axis, Cells, CubeError, Output, Sweep, open_cube, run
from spinsweep.cli import main
from spinsweep.cube import Cube, Task, create, execute, open_storage, record_failure
from spinsweep.cube import lease as leases
from spinsweep.deployment.local_cluster import local_client
from spinsweep.errors import Fenced
from spinsweep.evaluate import CellError
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.ledger import Counts, State
from spinsweep.runs import Run, open_run

EXAMPLES = Path(__file__).parent / "examples.py"


@pytest.fixture(scope="module")
def server(s3: dict[str, str]) -> dict[str, str]:
    return s3


@pytest.fixture
def store(server: dict[str, str], tmp_path: Path) -> str:
    """The URL of a cube that is not there yet."""
    return f"s3://{BUCKET}/{tmp_path.name}.zarr"


@pytest.fixture(scope="module")
def workers(server: dict[str, str]) -> Iterator[Client]:
    """Two worker processes that know the server."""
    with local_client(2, dashboard=False) as client:
        yield client


def go(sweep: Sweep, store: str | Path, client: Client | None = None, **options: object) -> Run:
    with open_run(sweep, store, **options) as run:  # type: ignore[arg-type]
        if client is None:
            drive(run, serial)
        else:
            drive(run, on_client(client))
    return run


def objects(store: str) -> dict[str, tuple[str, object]]:
    """ETag and time of every object of a cube that zarr knows."""
    found = s3fs.S3FileSystem().find(store, detail=True)
    return {n: (i["ETag"], i["LastModified"]) for n, i in found.items() if "/." not in n}


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def spinsweep(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in this process: its status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        code = main([str(w) for w in words])
        return (code, *capfd.readouterr())

    return call


def test_a_cube_of_objects_equals_the_one_in_a_folder_byte_for_byte(
    server: dict[str, str], store: str, tmp_path: Path, workers: Client
) -> None:
    go(GRID.with_values(seed=range(4)), tmp_path / "here.zarr", block=7)
    go(GRID, tmp_path / "here.zarr")
    go(GRID.with_values(seed=range(4)), store, workers, block=7)
    go(GRID, store)

    here, there = open_storage(tmp_path / "here.zarr"), open_storage(store)
    for array in ("width", "variation", "seed", "step", "sum", "noise", "cell_state", "cell_attempt"):
        names = sorted(n for n in here.files(array) if not n.startswith((".", "digests/", "copies/root")))
        assert names == sorted(n for n in there.files(array) if not n.startswith((".", "digests/", "copies/root")))
        for name in names:
            assert (here / array).read(name) == (there / array).read(name)

    opened = xr.open_zarr(store, storage_options={"endpoint_url": server["AWS_ENDPOINT_URL"]}).load()
    want = xr.open_zarr(tmp_path / "here.zarr").load()
    xr.testing.assert_identical(
        opened.drop_vars("cell_duration").drop_attrs(), want.drop_vars("cell_duration").drop_attrs()
    )
    assert opened["sum"].attrs == want["sum"].attrs


@pytest.mark.slow
def test_running_again_computes_nothing_and_growing_leaves_old_objects_alone(store: str, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log))
    go(sweep, store, block=10)
    assert go(sweep, store).progress.cells == 0
    before = {n: o for n, o in objects(store).items() if n.split("/")[-4:-3] != ["runs"] and "/c/" in n}
    grown = go(sweep.with_values(seed=range(14)), store)

    assert grown.progress.cells == 40
    assert set(calls(log).values()) == {1}
    after = objects(store)
    assert {n for n in before if after[n] != before[n]} == {n for n in before if "/seed/c/" in n}
    assert list(xr.open_zarr(store).seed.values) == list(range(14))


def test_growing_into_a_part_filled_chunk_keeps_its_cells(store: str, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log))
    go(sweep.with_values(seed=range(3)), store, block={"x": 10, "seed": 2})
    first = xr.open_zarr(store).load()
    go(sweep.with_values(seed=range(8)), store)

    assert set(calls(log).values()) == {1}
    xr.testing.assert_identical(xr.open_zarr(store).load().isel(seed=slice(3)).drop_attrs(), first.drop_attrs())


def test_a_failed_cell_keeps_its_error_until_a_retry_succeeds(store: str, log: Path) -> None:
    sweep = LOGGED.with_values(log=str(log), bad=0.4)
    (log / "broken").write_text("first")
    assert go(sweep, store, block=20).outcome == "failed cells"
    (failure,) = Cube(store).failures()
    assert (failure.coords, failure.attempt) == ({"x": 0.4, "seed": 1}, 1)
    assert failure.error.message == "no good at seed 1: first"

    (log / "broken").unlink()
    assert go(sweep, store, retry_failed=True).complete
    assert list(Cube(store).failures()) == []
    assert calls(log).pop((0.4, 1)) == 2
    assert sum(calls(log).values()) == 101


def test_stale_cells_are_computed_again_and_other_definitions_refused(store: str) -> None:
    go(GRID, store, block=24)
    old = xr.open_zarr(store)["sum"].load()
    double = GRID.with_values(gain=2.0)
    before = objects(store)
    with (
        pytest.raises(CubeError, match=r"was made with parameters.gain = 1.0, and now it is 2.0"),
        open_run(double, store),
    ):
        pass
    assert objects(store) == before

    with open_run(double, store, mark_stale=True) as run:
        assert Cube(store).counts() == Counts(stale=96)
        drive(run, serial)
    np.testing.assert_array_equal(xr.open_zarr(store)["sum"], 2 * old)


def test_two_drivers_cannot_write_one_cube(store: str, spinsweep: Command) -> None:
    with open_run(GRID, store, block=24):
        assert Cube(store).write_guard.has_driver()
        code, out, err = spinsweep("run", f"{EXAMPLES}:GRID", "--workers", 0, "--store", store)
    looked, refused = err.splitlines()
    assert (code, out, looked) == (2, "", "another run was writing here a moment ago; checking whether it is alive")
    assert f"{store} is being written by process {os.getpid()} on" in refused
    assert not Cube(store).write_guard.has_driver()


def test_two_that_make_one_cube_at_a_time_make_one_cube(store: str) -> None:
    def make(gain: float) -> float | str:
        try:
            cube = create(store, GRID.with_values(gain=gain), (1, 1, 6), {})
        except CubeError as error:
            return str(error)
        return float(cube.attributes.params["gain"])

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(make, (1.0, 2.0, 3.0, 4.0)))
    refused = {f for f in found if isinstance(f, str)}
    assert len(found - refused) == 1
    assert all("is being written by" in f for f in refused)
    assert Cube(store).counts() == Counts(absent=96)


def test_a_task_of_an_older_run_writes_nothing(store: str) -> None:
    with open_run(GRID, store, block=24) as old:
        left_behind: list[Task] = list(old.tasks())
    with open_run(GRID.with_values(seed=range(8)), store) as new:
        with pytest.raises(Fenced, match="a newer run than 1"):
            execute(old.job, left_behind[0])
        assert Cube(store).counts() == Counts(absent=128)
        drive(new, serial)
    assert new.complete


def test_tasks_of_a_removed_cube_do_not_write_into_the_one_that_took_its_place(store: str) -> None:
    with pytest.raises(CubeError, match="was removed or replaced"), open_run(GRID, store, block=24) as old:  # noqa: PT012
        tasks = list(old.tasks())
        execute(old.job, tasks[0])
        s3fs.S3FileSystem().rm(store, recursive=True)
        with pytest.raises(Fenced, match="removed or replaced"):
            execute(old.job, tasks[1])
        with open_run(GRID.with_values(gain=100.0), store, block=24) as new:
            with pytest.raises(Fenced, match="removed or replaced"):
                execute(old.job, tasks[1])
            drive(new, serial)
    assert Cube(store).attributes.params["gain"] == 100.0
    assert Cube(store).counts() == Counts(done=96)
    assert float(xr.open_zarr(store)["sum"].min()) >= 30  # all by the new gain


def test_a_driver_whose_lease_ran_out_commits_nothing(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CubeError, match="this process stood still"), open_run(GRID, store, block=24) as run:  # noqa: PT012
        before = open_storage(store).read("zarr.json")
        run.cube.write_guard._driver._renewed -= leases.LEASE_TTL_S  # type: ignore[attr-defined]  as when it was suspended
        run.cube.commit(replace(run.cube.attributes, title="too late"))
    assert open_storage(store).read("zarr.json") == before


@pytest.mark.slow
def test_two_copies_of_a_block_and_its_single_cells_do_not_mix_their_writes(store: str, tmp_path: Path) -> None:
    with open_run(GRID, store, block=24) as run, ThreadPoolExecutor(6) as pool:
        for task in list(run.tasks())[:2]:
            mask = np.ones(task.block.shape, bool)
            singles = [Task(task.block, np.arange(24).reshape(mask.shape) == n) for n in range(0, 24, 3)]
            rest = Task(task.block, np.arange(24).reshape(mask.shape) % 3 > 0)
            list(pool.map(lambda t: execute(run.job, t), [*singles, rest, *singles[:4]]))
        assert Cube(store).counts() == Counts(absent=48, done=48)
        drive(run, serial)
    go(GRID, tmp_path / "here.zarr")
    got, want = (xr.open_zarr(s).load() for s in (store, tmp_path / "here.zarr"))
    np.testing.assert_array_equal(got["sum"], want["sum"])
    np.testing.assert_array_equal(got["noise"], want["noise"])


def test_a_failure_never_replaces_what_another_copy_of_the_task_has_done(store: str) -> None:
    with open_run(GRID, store, block=24) as run:
        first, *rest = run.tasks()
        execute(run.job, first)
        late = record_failure(run.job, first, CellError("distributed.KilledWorker", "taken for dead", ""))
        assert (late.done, late.failed) == (24, 0)
        for task in rest:
            execute(run.job, task)
    assert (xr.open_zarr(store).cell_state == State.DONE).all()


def test_a_creation_that_was_killed_or_failed_is_done_again_and_what_others_left_is_not_touched(store: str) -> None:
    place = open_storage(store)
    with pytest.raises(RuntimeError), place.staging() as staging:  # noqa: PT012
        staging.write("seed/zarr.json", b"half")
        staging.write("seed/c/7", b"half")
        raise RuntimeError
    assert go(GRID, store, block=24).complete
    assert not place.exists("seed/c/7")

    foreign = open_storage(f"s3://{BUCKET}/foreign")
    foreign.write("notes.txt", b"mine")
    with pytest.raises(CubeError, match="is not empty and not a cube"), open_run(GRID, str(foreign), block=24):
        pass
    assert list(foreign.files("")) == ["notes.txt"]


@pytest.mark.slow
def test_a_copy_in_a_folder_and_back_in_a_bucket_goes_on(store: str, tmp_path: Path) -> None:
    system = s3fs.S3FileSystem()
    go(GRID.with_values(seed=range(2)), store, block=8)
    system.get(store, str(tmp_path / "copy.zarr"), recursive=True)
    go(GRID.with_values(seed=range(4)), tmp_path / "copy.zarr")
    system.put(str(tmp_path / "copy.zarr"), f"{store}-back", recursive=True)
    back = go(GRID, f"{store}-back")

    assert (back.complete, back.progress.cells, back.job.epoch) == (True, 32, 3)


def test_a_sweep_in_memory_runs_in_this_process_and_says_that_workers_cannot_find_it(client: Client) -> None:
    run(GRID.with_values(seed=[0, 1]), "memory://mine.zarr")
    assert Cube("memory://mine.zarr").counts() == Counts(done=32)
    assert not open_cube("memory://mine.zarr")["sum"].isnull().any(), "read here, though there are workers"
    with pytest.raises(CubeError, match="in this process's memory"):
        run(GRID, "memory://mine.zarr", client=client)


@pytest.mark.slow
def test_every_verb_takes_a_url(store: str, spinsweep: Command) -> None:
    sets = ["--set", "width=2,0.5", "--set", "cycles=20", "--set", "currents=10"]

    def verb(*words: object) -> str:
        code, out, err = spinsweep(*words)
        assert code == 0, out + err
        return out

    assert "8 of 8 done" in verb("run", "characterization", "--store", store, "--workers", 0, *sets)
    assert "8 of 8 done" in verb("status", store, "--size")
    assert json.loads(verb("status", store, "--json"))["store"] == store
    assert "same" in verb("cell", store, "width=0.5", "device=2")
    assert "(exists)" in verb("plan", "characterization", "--store", store, *sets)
    verb("figures", store, "--only", "fig2_switching")
    assert Path(f"results/{Path(store).stem}-figures/fig2_switching.png").exists()
    assert verb("page", store) == f"page      results/{Path(store).stem}.html\n"
    assert (
        f'href="{Path(store).stem}-figures/fig2_switching.png"'
        in Path(f"results/{Path(store).stem}.html").read_text()
    )
    assert f"fit of {Path(store).name}" in verb("card", store)
    assert "8 of 8 devices have a fit" in verb("fits", store)


@pytest.mark.slow
def test_a_cube_of_objects_is_migrated_into_a_place_of_its_own(
    store: str, spinsweep: Command, tmp_path: Path
) -> None:
    go(GRID.with_values(seed=range(2)), store, block=9)
    before = xr.open_zarr(store)["sum"].load()
    words = ["migrate", store, "--sweep", f"{EXAMPLES}:GRID", "--drop", "seed=1", "--yes"]
    code, _, err = spinsweep(*words)
    assert code == 2
    assert f"give the new one a place of its own, such as --into s3://{BUCKET}/NAME.zarr" in err

    for into in (f"{store}.new", tmp_path / "new.zarr"):
        assert spinsweep(*words, "--into", into)[0] == 0
        after = xr.open_zarr(str(into)).load()
        np.testing.assert_array_equal(after["sum"], before.sel(seed=[0]))
        assert spinsweep("verify", into)[0] == 0
        assert "is a cube already" in spinsweep(*words, "--into", into)[2]
    xr.testing.assert_identical(xr.open_zarr(store)["sum"].load(), before)
    go(GRID.with_values(seed=range(2)), f"{store}.new")
    np.testing.assert_array_equal(xr.open_zarr(f"{store}.new")["sum"], before)


MISTAKES = [
    ("http://127.0.0.1/x.zarr", "http:// cannot create an object only if it is not there"),
    ("s3:/cubes/x.zarr", "s3:/cubes/x.zarr: a URL has ://, and a folder of that name is ./s3:/cubes/x.zarr"),
    ("file:///tmp/x.zarr", "a folder is given by its path alone: /tmp/x.zarr"),
    ("gs://bucket/x.zarr", "gs://bucket/x.zarr needs gcsfs: pip install gcsfs"),
    ("az://bucket/x.zarr", "az://bucket/x.zarr needs adlfs: pip install adlfs"),
    ("s3://", "s3:// names no bucket; a store is such as s3://BUCKET/walk.zarr"),
    ("s3://nobucket/x.zarr", "s3://nobucket/x.zarr/cell_state/.driver/begun cannot be written: FileNotFoundError"),
]


@pytest.mark.parametrize(("url", "says"), MISTAKES, ids=[u for u, _ in MISTAKES])
def test_a_url_that_cannot_be_used_is_one_line(
    server: dict[str, str], url: str, says: str, spinsweep: Command
) -> None:
    code, out, err = spinsweep("run", f"{EXAMPLES}:GRID", "--workers", 0, "--block", 9, "--store", url)

    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_missing_package_is_one_line_that_names_the_extra(tmp_path: Path) -> None:
    code = "import sys; sys.modules['s3fs'] = None; from spinsweep.cli import main; main(['status', 's3://b/x.zarr'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)

    assert done.stderr == 'spinsweep: s3://b/x.zarr needs s3fs: pip install "spinsweep[s3]"\n'


def test_storage_that_overwrites_where_it_should_create_only_is_refused(tmp_path: Path) -> None:
    with serving("--deaf") as environment:
        words = ["run", f"{EXAMPLES}:GRID", "--workers", "0", "--block", "9", "--store", f"s3://{BUCKET}/x.zarr"]
        done = subprocess.run(
            [sys.executable, "-m", "spinsweep.cli", *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 2
    assert "does not keep to If-None-Match and cannot keep two runs apart" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_an_axis_of_words_grows_on_objects(store: str) -> None:
    def length(cells: Cells) -> dict[str, Any]:
        return {"length": np.array([len(word) for word in cells.coords["word"]])}

    words = Sweep("words", "Words", (Axis("word", ("a", "bb")),), (Output("length", dtype="int32"),), length)
    go(words, store, block=1)
    go(words.with_values(word=["a", "bb", "ccc"]), store)
    ds = xr.open_zarr(store).load()
    assert (list(ds.word.values), list(ds.length.values)) == (["a", "bb", "ccc"], [1, 2, 3])
