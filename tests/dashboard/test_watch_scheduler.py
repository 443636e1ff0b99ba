"""``spinsweep watch ADDRESS`` shows the runs of a real scheduler, also where their cubes cannot be seen."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Scheduler
from watched import WATCHED, held_at_half, running

from spinsweep.cli import main, watched_scheduler
from spinsweep.cli.console import console
from spinsweep.cli.watched_scheduler import SchedulerView
from spinsweep.dashboard.plugin import SweepPlugin
from spinsweep.deployment import connect
from spinsweep.deployment.security import AUTHORITY, CLIENT, files_of
from spinsweep.errors import RunnerError
from spinsweep.messages import VERSION


@pytest.fixture
def address(client: Client, tmp_path: Path) -> list[str]:
    """How ``watch`` gets to the scheduler of the tests: its address, and a folder with its certificates."""
    folder = tmp_path / "certificates"
    folder.mkdir(mode=0o700)
    certificate, key = files_of(folder, CLIENT)
    security: Any = client.security
    (folder / AUTHORITY).write_text(security.tls_ca_file)
    certificate.write_text(security.tls_client_cert)
    key.write_text(security.tls_client_key)
    key.chmod(0o600)
    return [client.scheduler_info()["address"], "--tls", str(folder)]


@pytest.mark.slow
def test_runs_are_followed_from_their_scheduler_until_they_end(
    tmp_path: Path, client: Client, address: list[str]
) -> None:
    with held_at_half(tmp_path / "c.zarr", client, bad=0.007) as gate:
        words = [sys.executable, "-m", "spinsweep.cli", "watch", *address, "--every", "0.5"]
        watching = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        assert watching.stdout.readline() == "watched, run 2 of c.zarr: 0 of 48 cells\n"
        gate.touch()
        said = watching.communicate(timeout=120)[0]
    assert watching.returncode == 1, "a cell failed"
    assert "48 of 48 cells, 1 failed of this run" in said
    assert re.search(r"now +ended after ", said)
    assert "failed  1 x ArithmeticError: <b>no</b> number  (first: current=0.007 seed=0)" in said
    assert "voltage (mean over seed)" in said


def test_a_run_whose_cube_cannot_be_seen_from_here_is_shown_without_curves(
    tmp_path: Path, client: Client, address: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "c.zarr"
    with running(WATCHED, store, client, block=12):
        pass
    assert main(["watch", *address, "--once"]) == 0
    assert "voltage (mean over seed)" in capsys.readouterr().out
    store.rename(tmp_path / "elsewhere.zarr")
    assert main(["watch", *address, "--once"]) == 0
    said = capsys.readouterr().out
    assert "96 of 96 cells of this run" in said
    assert f"no curves, since the cube at {store} cannot be read from here" in said
    with running(WATCHED.with_values(seconds=0.001), store, client, block=12):
        pass
    other = tmp_path / "other.zarr"
    with running(WATCHED, other, client, block=12):
        pass
    shutil.rmtree(other)
    store.rename(other)
    assert main(["watch", *address, "--once"]) == 0
    assert f"no curves, since the cube at {other} cannot be read from here: another cube" in capsys.readouterr().out


def test_an_output_that_the_watched_cube_lacks_is_refused_in_one_line(
    tmp_path: Path, client: Client, address: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", client, block=12):
        pass
    assert main(["watch", *address, "--once", "--output", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("spinsweep: --output nothing: ")


@contextmanager
def plain_scheduler(port: int = 0, change: Callable[[Scheduler], Any] | None = None) -> Iterator[str]:
    """A Dask scheduler without certificates in a thread; ``change`` is done to it before it is told of."""
    address: list[str] = []
    listens, is_over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Scheduler(host="127.0.0.1", port=port, dashboard_address="127.0.0.1:0") as scheduler:
            if change is not None:
                done = change(scheduler)
                if asyncio.iscoroutine(done):
                    await done
            address.append(scheduler.address)
            listens.set()
            await asyncio.to_thread(is_over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert listens.wait(60)
        yield address[0]
    finally:
        is_over.set()
        thread.join()


def with_plugin(scheduler: Scheduler) -> Any:
    return scheduler.register_scheduler_plugin(SweepPlugin(), idempotent=True)


def newer(scheduler: Scheduler) -> None:
    scheduler.handlers[watched_scheduler.QUESTION] = lambda: {"version": VERSION + 1, "runs": []}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "tells nothing of runs: no sweep has begun there"),
        (newer, f"cannot be watched: it sends messages of version {VERSION + 1}, and this process reads {VERSION}"),
    ],
)
def test_a_scheduler_that_cannot_be_watched_is_told_in_one_line(
    change: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with plain_scheduler(change=change) as address:
        assert main(["watch", address, "--insecure", "--once"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"spinsweep: the scheduler at {address} ")
    assert reason.replace("reads", "reads version") in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["tcp://nowhere"], "tcp://nowhere is not an address of a scheduler"),
        (["tcp://127.0.0.1:PORT", "--insecure"], "no scheduler answers at tcp://127.0.0.1:PORT"),
        (["127.0.0.1:PORT", "--insecure"], "no scheduler answers at tcp://127.0.0.1:PORT"),
        (["tcp://127.0.0.1:PORT"], "is not encrypted"),
        (["tls://192.0.2.7:8786"], "needs certificates: give --tls DIR"),
        (["no-such-file.json"], "no-such-file.json does not exist; `spinsweep scheduler --scheduler-file"),
        (["http://127.0.0.1:8787/sweep?kiosk=1"], "is for browsers; give the address of the scheduler"),
        (["results/none.zarr", "--tls", "certificates"], "--tls is for a scheduler, and results/none.zarr is a cube"),
    ],
)
def test_what_is_no_scheduler_is_refused_in_one_line(
    words: list[str], reason: str, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connect, "ANSWER", 0.5)
    assert main(["watch", *(word.replace("PORT", str(port)) for word in words)]) == 2
    said = capsys.readouterr().err
    assert reason.replace("PORT", str(port)) in said
    assert said.count("\n") == 1


def test_a_scheduler_that_goes_away_is_waited_for_and_its_runs_stay_on_the_terminal(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        out = console()
        with out.capture() as said:
            out.print(view.picture(out))
        return said.get()

    with plain_scheduler(port, with_plugin) as address:
        view = SchedulerView(address, None, lambda *cube: [], insecure=True)
        view.begin()
        assert shown() == f"no sweep yet on {address}\n"
        assert not view.is_over
    with monkeypatch.context() as sooner:
        sooner.setattr(connect, "ANSWER", 0.5)
        view.look()
    assert "connection lost" in shown()
    assert f"no sweep yet on {address}" in shown()
    with plain_scheduler(port, with_plugin):
        view.look()
        assert shown() == f"no sweep yet on {address}\n"
    monkeypatch.setattr(connect, "ANSWER", 0.5)
    monkeypatch.setattr(watched_scheduler, "PATIENCE_S", 0.0)
    with pytest.raises(RunnerError, match="has not answered for"):
        view.look()
