"""What the scheduler knows of a run, over real HTTP and real clusters."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from watched import WATCHED, broken, running, until

import spinsweep
from spinsweep import Sweep
from spinsweep.cube import Cube
from spinsweep.dashboard import serving
from spinsweep.dashboard.blockmap import BlockState
from spinsweep.dashboard.monitor import MAX_RUNS
from spinsweep.dashboard.plugin import SweepPlugin
from spinsweep.dashboard.reader import Answer, Question, Reader
from spinsweep.dashboard.reports import serve_watchers
from spinsweep.deployment.local_cluster import local_client
from spinsweep.deployment.security import as_environment
from spinsweep.errors import RunnerError
from spinsweep.executors import long_running
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.ledger import State
from spinsweep.messages import MAX_GROUPS, FailureGroup
from spinsweep.runs import open_run


def newest(client: Client) -> dict[str, Any]:
    """The scheduler's picture of the last run."""

    def look(dask_scheduler: Any) -> dict[str, Any]:
        monitor = dask_scheduler.plugins["spinsweep_sweep"].monitor
        run = list(monitor.runs.values())[-1]
        return {
            "name": run.name,
            "states": run.states.copy(),
            "report": run.report,
            "running": monitor.running(run),
        }

    seen: dict[str, Any] = client.run_on_scheduler(look)
    return seen


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as response:
        return str(response.read().decode())


def metrics(client: Client, store: Path, run: int = 1) -> dict[str, float]:
    """Those of one run of a cube, by name and state."""
    lines = get(client.dashboard_link.replace("/status", "/metrics")).splitlines()
    values = {}
    for line in lines:
        labels = rf'(?:bound="\w+",)?run="{run}",(?:state="(\w+)",)?store="{store}",sweep="watched"'
        if match := re.fullmatch(rf"(spinsweep_\w+){{{labels}}} (\S+)", line):
            values[f"{match[1]} {match[2] or ''}".strip()] = float(match[3])
    return values


def test_the_scheduler_ends_with_the_states_that_the_ledger_has(tmp_path: Path, client: Client) -> None:
    with running(WATCHED.with_values(bad=0.003), tmp_path / "c.zarr", client, block={"seed": 4, "current": 1}):
        pass

    seen = newest(client)
    cells = Cube(tmp_path / "c.zarr").ledger("cell_state").reshape(8, 3, 4)
    expected = np.where((cells == State.FAILED).any(axis=2), BlockState.FAILED, BlockState.DONE)
    np.testing.assert_array_equal(seen["states"], expected)
    assert seen["report"].ended
    assert (seen["report"].cells_done, seen["report"].cells_failed) == (95, 1)
    first = {"current": 0.003, "seed": 0}
    assert seen["report"].groups == (FailureGroup(1, first, "ArithmeticError: <b>no</b> number"),)


def test_the_blocks_that_the_workers_compute_are_running_and_the_others_wait(tmp_path: Path, client: Client) -> None:
    gate = tmp_path / "gate"
    with running(WATCHED.with_values(gate=str(gate)), tmp_path / "c.zarr", client, block=4):
        try:
            seen = until(lambda: (s := newest(client))["running"] and len(s["running"]) == 2 and s)
            assert (seen["states"] == BlockState.WAITING).all()
            assert metrics(client, tmp_path / "c.zarr")["spinsweep_blocks running"] == 2
        finally:
            gate.touch()

    assert (newest(client)["states"] == BlockState.DONE).all()


def test_the_longest_cell_is_among_the_metrics_while_it_is_computed(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_running, "LONG_S", 0.2)
    monkeypatch.setattr(long_running, "LOOK_S", 0.2)
    gate, name = tmp_path / "gate", "spinsweep_longest_cell_seconds"
    with running(WATCHED, tmp_path / "first.zarr", client, block=12):
        pass
    with running(WATCHED.with_values(gate=str(gate)), tmp_path / "c.zarr", client, block=12):
        try:
            seen = until(lambda: (s := newest(client))["report"].long and s)
            assert {block.cell["current"] for block in seen["report"].long} <= {0.001, 0.002}
            first = metrics(client, tmp_path / "c.zarr")[name]
            assert first > 0.2
            assert until(lambda: metrics(client, tmp_path / "c.zarr")[name] > first)
        finally:
            gate.touch()
    assert name not in metrics(client, tmp_path / "c.zarr")


def test_a_new_driver_shows_what_earlier_runs_left(tmp_path: Path, client: Client) -> None:
    gate = tmp_path / "gate"
    with running(WATCHED.with_values(current=[0.001, 0.002, 0.003]), tmp_path / "c.zarr", client, block=12):
        pass
    with running(WATCHED.with_values(gate=str(gate)), tmp_path / "other.zarr", client, block=12):
        gate.touch()
    with running(WATCHED, tmp_path / "c.zarr", client):
        pass

    seen = newest(client)
    assert seen["report"].cells_done == 5 * 12
    assert (seen["states"] == BlockState.DONE).all()


def test_rounds_of_replicates_add_to_what_the_page_knows(tmp_path: Path, client: Client) -> None:
    sweep = WATCHED.with_values(seed=range(10))
    result = spinsweep.run(
        sweep, tmp_path / "c.zarr", client=client, until="voltage: half_width < 0.01", max=20, block=5, progress=False
    )

    seen = newest(client)
    cube = Cube(tmp_path / "c.zarr")
    done = cube.grid.count(cube.ledger("cell_state") == State.DONE) > 0
    assert done.any()
    assert not done.all()
    np.testing.assert_array_equal(seen["states"], np.where(done, BlockState.DONE, BlockState.OUTSIDE))
    assert seen["report"].cells == seen["report"].cells_done == result.counts.done > 80
    assert seen["report"].round == result.rounds.words()  # type: ignore[union-attr]


DRIVER = """
import sys
from pathlib import Path
from distributed import Client
from watched import WATCHED, running

sweep = WATCHED.with_values(gate=sys.argv[3])
with Client(sys.argv[1]) as client, running(sweep, Path(sys.argv[2]), client, block=4):
    pass
"""


def test_a_driver_that_was_killed_is_known_to_be_gone(tmp_path: Path, client: Client) -> None:
    store, gate = tmp_path / "killed.zarr", tmp_path / "gate"
    environment = {**os.environ, **as_environment(client.security), "PYTHONPATH": str(Path(__file__).parent)}
    assert client.scheduler is not None
    command = [sys.executable, "-c", DRIVER, client.scheduler.address, str(store), str(gate)]
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def lost() -> bool | None:
        """None: the run has not begun."""

        def look(dask_scheduler: Any) -> bool | None:
            monitor = dask_scheduler.plugins["spinsweep_sweep"].monitor
            runs = [run for run in monitor.runs.values() if run.description.path == str(store)]
            return monitor.driver_lost(runs[0]) if runs else None

        answer: bool | None = client.run_on_scheduler(look)
        return answer

    client.register_plugin(SweepPlugin())
    try:
        until(lambda: lost() is not None)
        assert lost() is False
    finally:
        driver.kill()
        driver.wait()
        gate.touch()
    until(lost)


def test_the_metrics_stand_beside_those_of_dask_and_count_the_cells(tmp_path: Path, client: Client) -> None:
    with running(WATCHED.with_values(bad=0.003), tmp_path / "c.zarr", client, block=4):
        pass

    values = metrics(client, tmp_path / "c.zarr")
    assert (values["spinsweep_cells done"], values["spinsweep_cells failed"]) == (95, 1)
    assert (values["spinsweep_blocks done"], values["spinsweep_blocks failed"]) == (23, 1)
    assert "dask_scheduler_tasks{" in get(client.dashboard_link.replace("/status", "/metrics"))


def of(currents: int, seeds: int) -> Sweep:
    """The sweep with fewer cells."""
    current, seed = WATCHED.axes
    axes = (dataclasses.replace(a, values=a.values[:n]) for a, n in ((current, currents), (seed, seeds)))
    return dataclasses.replace(WATCHED, axes=tuple(axes))


def test_a_cube_made_anew_at_its_place_has_its_metrics_once_and_its_next_run_has_its_own(
    tmp_path: Path, client: Client
) -> None:
    for seeds in (1, 2):
        shutil.rmtree(tmp_path / "c.zarr", ignore_errors=True)
        with running(of(8, seeds), tmp_path / "c.zarr", client, block=4):
            pass
    with running(WATCHED, tmp_path / "c.zarr", client, block=4):
        pass

    lines = get(client.dashboard_link.replace("/status", "/metrics")).splitlines()
    series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert metrics(client, tmp_path / "c.zarr", 1)["spinsweep_cells done"] == 16
    assert metrics(client, tmp_path / "c.zarr", 2)["spinsweep_cells done"] == 80


@pytest.mark.slow
def test_the_metrics_of_a_run_that_the_scheduler_forgets_vanish(tmp_path: Path) -> None:
    with local_client(1) as client:
        with running(WATCHED, tmp_path / "c.zarr", client, block=12):
            pass
        assert metrics(client, tmp_path / "c.zarr")
        for number in range(MAX_RUNS):
            with running(of(1, 1), tmp_path / f"{number}.zarr", client):
                pass
        assert not metrics(client, tmp_path / "c.zarr")
        text = get(client.dashboard_link.replace("/status", "/metrics"))
        kept = re.findall(rf'spinsweep_cells{{run="1",state="done",store="{tmp_path}/(\d+).zarr"', text)
        assert sorted(map(int, kept)) == list(range(MAX_RUNS))


def test_watchers_get_the_page_and_the_metrics_and_nothing_else(tmp_path: Path, client: Client, port: int) -> None:
    address = serve_watchers(client, port)

    assert address == f"http://127.0.0.1:{port}/sweep"
    assert serve_watchers(client, port) == address
    assert "Bokeh" in get(address)
    assert "dask_scheduler_tasks{" in get(address.replace("/sweep", "/metrics"))
    for closed in (
        "/status",
        "/sitemap.json",
        "/info/main/workers.html",
        "/json/counts.json",
        "/proxy/1/127.0.0.1/status",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404") as answer:
            get(address.replace("/sweep", closed))
        answer.value.close()


def test_no_other_site_reads_the_page_in_a_watchers_browser(client: Client, port: int) -> None:
    address = serve_watchers(client, port)
    for origin, answer in ((f"http://127.0.0.1:{port}", 200), (f"http://other.example:{port}", 403)):
        request = urllib.request.Request(f"{address}/ws", headers={"Origin": origin, "Host": f"127.0.0.1:{port}"})
        with pytest.raises(urllib.error.HTTPError) as refused:  # 400: it is no websocket
            urllib.request.urlopen(request)
        refused.value.close()
        assert refused.value.code == (400 if answer == 200 else 403)


@pytest.mark.slow
def test_no_more_windows_than_one_scheduler_serves_take_its_time(
    client: Client, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(dask_scheduler: Any) -> int:
        return len(dask_scheduler.plugins["spinsweep_sweep"].server.windows)

    address = serve_watchers(client, port)
    allowed = int(client.run_on_scheduler(count)) + 3
    monkeypatch.setattr(serving, "MAX_WINDOWS", allowed)
    closed: list[
        tuple[Any, Any]
    ] = []  # after 15 s, as nobody looks at them: on a busy machine before the last is opened
    close = serving.PageServer._closed
    monkeypatch.setattr(serving.PageServer, "_closed", lambda server, window: closed.append((server, window)))
    for _ in range(6):
        get(address)  # opens one

    assert client.run_on_scheduler(count) == allowed
    for server, window in closed:
        close(server, window)


@pytest.mark.slow
def test_of_many_errors_the_commonest_are_told_and_the_others_counted(tmp_path: Path, client: Client) -> None:
    sweep = dataclasses.replace(WATCHED, function=broken).with_values(current=[1e-3], seed=range(400))
    with running(sweep, tmp_path / "c.zarr", client, block=1):
        pass
    told = newest(client)["report"]
    assert (len(told.groups), told.more_groups) == (MAX_GROUPS, 400 - MAX_GROUPS)


def test_a_port_that_is_taken_is_refused_in_one_line(client: Client) -> None:
    taken = int(client.dashboard_link.rpartition(":")[2].split("/")[0])

    with pytest.raises(RunnerError, match=rf"^--watchers {taken}: .*Address already in use"):
        serve_watchers(client, taken)


WITHOUT_BOKEH = """
import asyncio, sys
sys.modules["bokeh"] = None  # as where it is not installed
from distributed import Scheduler

async def serve():
    where = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}
    async with Scheduler(**where, scheduler_file=sys.argv[1]) as scheduler:
        await scheduler.finished()

asyncio.run(serve())
"""


@pytest.mark.slow
def test_a_scheduler_without_bokeh_runs_the_sweep_and_the_run_says_that_there_is_no_page(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    processes = [subprocess.Popen([sys.executable, "-c", WITHOUT_BOKEH, str(file)], stderr=subprocess.DEVNULL)]
    try:
        until(file.exists)
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-nanny"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        processes.append(
            subprocess.Popen(
                [*worker, "--host", "127.0.0.1", "--no-dashboard", "--nthreads", "1"],
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        )
        with Client(scheduler_file=str(file)) as client, open_run(WATCHED, tmp_path / "c.zarr", block=12) as run:
            drive(run, on_client(client))
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()

    assert run.complete
    assert run.notes[-1].startswith("no Sweep page in the dashboard: ")


def ask(
    reader: Reader, path: Path, output: str, states: Any = None, y: int = 0, x: int = 1, inner: str = "mean"
) -> Answer:
    cube = Cube(path)
    if states is None:
        states = np.full((8, 3), BlockState.DONE, np.uint8)
    return reader.ask(Question(str(path), cube.attributes.cube_id, 1, output, inner, states, y, x))


def test_the_output_map_is_the_mean_that_xarray_finds(tmp_path: Path, client: Client) -> None:
    path = tmp_path / "c.zarr"
    with running(WATCHED.with_values(bad=0.003), path, client, block={"seed": 4, "current": 1}):
        pass
    ds = xr.open_zarr(path).load()
    by_block = ds.where(ds.cell_state == State.DONE).coarsen(seed=4).mean()
    reader = Reader()
    try:
        answer = ask(reader, path, "voltage")
        np.testing.assert_allclose(answer.mean, by_block.voltage.values)
        assert (answer.read, answer.ended, answer.complete) == (24, 24, True)
        np.testing.assert_allclose(ask(reader, path, "voltage", y=1, x=0).mean, by_block.voltage.values.T)
        np.testing.assert_allclose(ask(reader, path, "trace").mean, by_block.trace.mean("time").values)
        np.testing.assert_allclose(ask(reader, path, "trace", inner="last").mean, by_block.trace[..., -1].values)
    finally:
        reader.close()


def test_windows_that_show_different_outputs_have_each_block_read_once(tmp_path: Path, client: Client) -> None:
    path = tmp_path / "c.zarr"
    with running(WATCHED, path, client, block={"seed": 4, "current": 1}):
        pass
    reader = Reader()
    try:
        first = ask(reader, path, "voltage")
        assert first.complete
        shutil.rmtree(path / "voltage" / "c")
        assert ask(reader, path, "trace").complete
        np.testing.assert_array_equal(ask(reader, path, "voltage").mean, first.mean)
    finally:
        reader.close()


def test_what_has_not_ended_is_not_read(tmp_path: Path, client: Client) -> None:
    path = tmp_path / "c.zarr"
    with running(WATCHED, path, client, block={"seed": 4, "current": 1}):
        pass
    states = np.full((8, 3), BlockState.WAITING, np.uint8)
    states[2, 1] = BlockState.DONE
    reader = Reader()
    try:
        answer = ask(reader, path, "voltage", states)
        assert np.isfinite(answer.mean).sum() == 1
        assert np.isfinite(answer.mean[2, 1])
        assert (answer.read, answer.ended) == (1, 1)
    finally:
        reader.close()


def test_a_cube_that_the_scheduler_cannot_see_or_that_is_another_one_is_a_sentence(
    tmp_path: Path, client: Client
) -> None:
    path = tmp_path / "c.zarr"
    with running(WATCHED, path, client, block=4):
        pass
    states = np.full((8, 3), BlockState.DONE, np.uint8)
    reader = Reader()
    try:
        nowhere = reader.ask(Question(str(tmp_path / "no.zarr"), "id", 1, "voltage", "mean", states, 0, 1))
        assert "is not a cube" in nowhere.problem
        other = reader.ask(Question(str(path), "another id", 1, "voltage", "mean", states, 0, 1))
        assert "another cube is at" in other.problem
    finally:
        reader.close()
