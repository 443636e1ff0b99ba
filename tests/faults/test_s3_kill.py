"""Cubes on object storage while real processes are killed and stopped: leases run out, numbers stay."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from s3_server import BUCKET
from spinsweep import CubeError
from spinsweep.cube import Cube, open_storage
from spinsweep.cube.lease import LEASE_TTL_S
from spinsweep.ledger import State

pytestmark = pytest.mark.faults

EXAMPLES = Path(__file__).parents[1] / "engine" / "examples.py"


@pytest.fixture(scope="module")
def server(s3: dict[str, str]) -> dict[str, str]:
    return s3


@pytest.fixture
def store(server: dict[str, str], tmp_path: Path) -> str:
    return f"s3://{BUCKET}/{tmp_path.name}.zarr"


def command(store: str | Path, log: Path, *more: str, seconds: float = 0.1) -> list[str]:
    sets = ["--set", f"log={log}", "--set", f"seconds={seconds}", "--set", "bad=0.4", "--block", "x=1,seed=5"]
    words = ["run", f"{EXAMPLES}:LOGGED", "--store", str(store), *sets, "--no-dashboard", *more]
    return [sys.executable, "-m", "spinsweep.cli", *words]


def again(store: str, log: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(store, log, "--workers", "0", *more), capture_output=True, text=True, check=False, timeout=200
    )


def done(store: str) -> int:
    try:
        return Cube(store).counts().done
    except CubeError:
        return 0


def wait_for(what: Callable[[], bool], every: float = 0.2) -> None:
    """Wait for what has to happen; a look at a cube on S3 takes tens of ms of a core, here and at the server."""
    deadline = time.monotonic() + 100
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(every)


def opened(store: str) -> xr.Dataset:
    """The cube's values; by options in so many words, for s3fs keeps connections that were made with others."""
    options = {"key": "tests", "secret": "tests", "endpoint_url": os.environ["AWS_ENDPOINT_URL"]}
    return xr.open_zarr(store, storage_options=options).load()


def assert_right(store: str, reference: Path) -> None:
    got, want = opened(store), xr.open_zarr(reference).load()
    mask = (got.cell_state == State.DONE).values
    np.testing.assert_array_equal(got.y.values[mask], want.y.values[mask])
    np.testing.assert_array_equal(got.n.values[mask], want.n.values[mask])


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep run without any fault, in one process and a folder."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "log").mkdir()
    words = command(folder / "c.zarr", folder / "log", "--workers", "0", seconds=0)
    subprocess.run(words, check=True, capture_output=True)
    return folder / "c.zarr"


def stop_while_writing(driver: subprocess.Popen[str], store: str) -> None:
    """Stop a driver without workers while it holds the lease of a block."""
    wait_for(lambda: done(store) >= 20)
    writing = open_storage(store) / f"cell_state/.writing-{Cube(store).attributes.cube_id}"

    def holds() -> bool:
        os.kill(driver.pid, signal.SIGSTOP)
        time.sleep(0.05)
        if any(re.match(r"block-\d+\.1", name) for name in writing.names("")):
            return True
        os.kill(driver.pid, signal.SIGCONT)
        return False

    wait_for(holds, every=0.05)


def test_the_server_answers_others_while_one_client_stands_still_in_a_request(store: str) -> None:
    host, port = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"PUT /cubes/half HTTP/1.1\r\nHost: " + host.encode() + b"\r\nContent-Length: 5\r\n\r\nab")
        time.sleep(1)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(open_storage(store).exists, "zarr.json").result(timeout=20) is False


def killed(store: str, log: Path, reference: Path) -> None:
    first = subprocess.Popen(command(store, log, "--workers", "2"), start_new_session=True, text=True)
    wait_for(lambda: done(store) >= 30)
    first.kill()
    first.wait()
    kept = done(store)
    assert_right(store, reference)
    began = time.monotonic()

    second = again(store, log)

    assert second.returncode == 0, second.stderr
    assert time.monotonic() - began > LEASE_TTL_S
    assert Cube(store).counts().done == 100
    assert_right(store, reference)
    assert sum(1 for f in log.iterdir()) <= 100 + 2 * 2 * 5
    assert kept >= 30
    assert [r.outcome for r in Cube(store).runs()] == ["running", "complete"]


def killed_while_it_wrote(store: str, log: Path, reference: Path) -> None:
    first = subprocess.Popen(command(store, log, "--workers", "0"), text=True)
    stop_while_writing(first, store)
    first.kill()
    first.wait()
    second = again(store, log)

    assert second.returncode == 0, second.stderr
    assert Cube(store).counts().done == 100
    assert_right(store, reference)
    assert [n for n in open_storage(store).files("cell_state") if "block-" in n or "/driver." in n] == []


def stood_still(store: str, log: Path, reference: Path) -> None:
    first = subprocess.Popen(
        command(store, log, "--workers", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    stop_while_writing(first, store)
    second = again(store, log)
    assert second.returncode == 0, second.stderr
    before = {n: open_storage(store).read(n) for n in ("zarr.json", "runs/000002/zarr.json")}
    os.kill(first.pid, signal.SIGCONT)
    _, err = first.communicate(timeout=60)

    assert first.returncode == 2
    assert "this process stood still" in err
    assert "Traceback" not in err
    assert {n: open_storage(store).read(n) for n in before} == before
    assert Cube(store).counts().done == 100
    assert_right(store, reference)


STORIES = {
    "test_a_killed_driver_loses_only_the_blocks_in_flight": killed,
    "test_a_driver_killed_while_it_wrote_a_block_holds_up_nothing_for_ever": killed_while_it_wrote,
    "test_a_driver_that_stood_still_while_another_took_over_writes_nothing_more": stood_still,
}


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, server: dict[str, str], reference: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """Those of the tests to run, at once: in each a run waits ``LEASE_TTL_S`` seconds for a dead driver's lease."""
    wanted = {name for name in STORIES if any(item.name == name for item in request.session.items)}
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {
            name: pool.submit(
                STORIES[name], f"s3://{BUCKET}/{name}.zarr", tmp_path_factory.mktemp("calls"), reference
            )
            for name in wanted
        }


@pytest.mark.slow
def test_a_killed_driver_loses_only_the_blocks_in_flight(
    request: pytest.FixtureRequest, stories: dict[str, Future[None]]
) -> None:
    stories[request.node.name].result()


@pytest.mark.slow
def test_a_driver_killed_while_it_wrote_a_block_holds_up_nothing_for_ever(
    request: pytest.FixtureRequest, stories: dict[str, Future[None]]
) -> None:
    stories[request.node.name].result()


@pytest.mark.slow
def test_a_driver_that_stood_still_while_another_took_over_writes_nothing_more(
    request: pytest.FixtureRequest, stories: dict[str, Future[None]]
) -> None:
    stories[request.node.name].result()


@pytest.mark.slow
@pytest.mark.parametrize(("x", "deaths"), [("0.3,0.4", 1), ("0:0.9:10", 3)])
def test_a_cell_that_kills_its_worker_each_time_fails_and_all_others_are_done(
    store: str, log: Path, monkeypatch: pytest.MonkeyPatch, x: str, deaths: int
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", str(deaths))
    (log / "broken").write_text("kill")
    words = command(store, log, "--set", f"x={x}", seconds=0)
    run = subprocess.run([*words, "--workers", "2"], capture_output=True, text=True, check=False, timeout=800)

    assert run.returncode == 1, run.stderr
    failures = list(Cube(store).failures())
    cells = Cube(store).counts().total
    assert Cube(store).counts().done == cells - 1
    assert [f.coords for f in failures] == [{"x": 0.4, "seed": 1}]
    assert {f.error.type for f in failures} == {"distributed.KilledWorker"}
    (log / "broken").unlink()
    again = [*words, "--workers", "0", "--retry-failed"]
    assert subprocess.run(again, capture_output=True, check=False).returncode == 0
    assert Cube(store).counts().done == cells


STALLED = """
import os, signal, sys
import spinsweep.cube.lease, spinsweep.cube.lease_write_guard
from spinsweep.cube import coordinates
from spinsweep.cube.block_array import BlockArray
from spinsweep.runs import open_run
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from examples import GRID

for module in (spinsweep.cube.lease, spinsweep.cube.lease_write_guard):
    assert module.HEARTBEAT_S > 0.5 and module.LEASE_TTL_S > 4
    module.HEARTBEAT_S, module.LEASE_TTL_S = 0.5, 4.0
assert spinsweep.cube.lease.MARGIN_S > 1
spinsweep.cube.lease.MARGIN_S = 1.0
place, name = {"merge": (BlockArray, "encode"), "growth": (coordinates, "objects")}[sys.argv[3]]


def stall_once():
    original = getattr(place, name)

    def stalled(*arguments):
        setattr(place, name, original)
        os.kill(os.getpid(), signal.SIGSTOP)
        return original(*arguments)

    setattr(place, name, stalled)


for seeds in sys.argv[4:]:
    if seeds == "stall":
        stall_once()
        continue
    sweep = GRID.with_values(width=[1.0], variation=[0.2], seed=[int(s) for s in seeds.split(",")])
    with open_run(sweep, sys.argv[1], block={"seed": int(sys.argv[2])}) as run:
        drive(run, serial)
"""


@pytest.mark.parametrize(
    ("where", "block", "stalled", "other"),
    [
        ("merge", 4, "0,1,2", "0,1,2,3"),
        pytest.param("growth", 1, "0,1,7", "0,1,2", marks=pytest.mark.slow),
    ],
    ids=["between reading and writing a block", "between looking and writing new coordinates"],
)
def test_a_run_that_stalls_in_the_middle_of_a_write_destroys_nothing_of_the_next_run(
    store: str, where: str, block: int, stalled: str, other: str
) -> None:
    words = [sys.executable, "-c", STALLED, store, str(block), where]
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    first = subprocess.Popen([*words, "0,1", "stall", stalled], env=environment, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: Path(f"/proc/{first.pid}/stat").read_text().split(")")[1].split()[0] == "T")
    subprocess.run([*words, other], env=environment, check=True, timeout=100)
    before = {name: open_storage(store).read(name) for name in open_storage(store).files("") if "/." not in name}
    os.kill(first.pid, signal.SIGCONT)
    _, err = first.communicate(timeout=60)

    assert "this process stood still" in err
    assert {name: open_storage(store).read(name) for name in before} == before
    cube = opened(store)
    assert cube.seed.values.tolist() == [int(s) for s in other.split(",")]
    assert (cube.cell_state == State.DONE).all()
    assert not cube["sum"].isnull().any()
