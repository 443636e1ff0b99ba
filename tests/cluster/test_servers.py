"""A scheduler that outlives drivers, and workers that are started by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from commands import assert_same_cube, done, ended, logged, spinsweep, start, until

from spinsweep.cli import display, main
from spinsweep.deployment import connect as reaching
from spinsweep.deployment.certificates import own_certificates
from spinsweep.deployment.check import Access
from spinsweep.deployment.clients import cluster_client
from spinsweep.deployment.cluster_file import Running
from spinsweep.deployment.connect import connect
from spinsweep.deployment.security import CLIENT, secured
from spinsweep.errors import RunnerError
from spinsweep.machine import gpus, memory_limit
from spinsweep.resources import GPU, MEMORY

pytestmark = pytest.mark.faults


Cluster = tuple[Path, subprocess.Popen[str], subprocess.Popen[str]]


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Scheduler file, scheduler, and two workers."""
    file = folder / "cluster.json"
    scheduler = start("scheduler", "--port", 0, "--dashboard-port", 0, "--scheduler-file", file, cwd=folder)
    until(lambda: file.exists() and file.read_text().endswith("}"))
    workers = start("worker", file, "--workers", 2, cwd=folder)
    assert workers.stdout is not None
    assert workers.stdout.readline() == "ready\n"
    yield file, scheduler, workers
    for process in (workers, scheduler):
        process.terminate()
        ended(process)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for all tests that leave it as it is."""
    with running(tmp_path_factory.mktemp("cluster")) as found:
        yield found


def test_a_driver_dies_and_another_attaches_and_goes_on(cluster: Cluster, tmp_path: Path, local_cube: Path) -> None:
    file, scheduler, workers = cluster
    words = [*logged(tmp_path, 0.1), "--cluster", file, "--store", tmp_path / "c.zarr"]
    first = start(*words, cwd=tmp_path)
    until(lambda: done(tmp_path / "c.zarr") >= 10)
    os.kill(first.pid, signal.SIGKILL)
    ended(first)
    kept = done(tmp_path / "c.zarr")
    status, said = spinsweep(*words, cwd=tmp_path)
    assert status == 0, said
    assert 10 <= kept < 100
    assert "are there" in said
    assert_same_cube(tmp_path / "c.zarr", local_cube)
    assert scheduler.poll() is None
    assert workers.poll() is None


def test_a_worker_offers_one_cpu_and_its_share_of_the_memory_and_its_numerical_libraries_one_thread(
    cluster: Cluster,
) -> None:
    file, _, _ = cluster
    with connect(*secured(json.loads(file.read_text())["address"], None, CLIENT)) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        assert [w["nthreads"] for w in workers] == [1, 1]
        offers = {"cpu": 1, MEMORY: memory_limit() // 2, **({GPU: min(1.0, len(gpus()) / 2)} if gpus() else {})}
        assert [w["resources"] for w in workers] == [offers, offers]
        assert {w["memory_limit"] for w in workers} == {memory_limit() // 2}
        assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {"1"}
        assert set(client.run(os.getenv, "OPENBLAS_NUM_THREADS").values()) == {"1"}


@pytest.mark.slow
def test_workers_say_that_their_scheduler_is_gone(tmp_path: Path) -> None:
    with running(tmp_path) as (_, scheduler, workers):
        scheduler.terminate()
        assert ended(scheduler)[0] == 0
        status, said = ended(workers)
    assert status == 2
    assert "is gone" in said
    assert "Traceback" not in said


def test_a_second_scheduler_on_one_port_is_refused_in_one_line(cluster: Cluster, tmp_path: Path) -> None:
    port = json.loads(cluster[0].read_text())["address"].rpartition(":")[2]
    status, said = spinsweep("scheduler", "--port", port, "--dashboard-port", 0, cwd=tmp_path)
    assert status == 2
    assert said == f"spinsweep: no scheduler on 127.0.0.1:{port}: [Errno 98] Address already in use\n"


@pytest.mark.parametrize("host", ["::1", pytest.param("[::1]", marks=pytest.mark.slow)])
def test_a_scheduler_listens_on_ipv6_loopback_and_replaces_the_file_of_one_that_is_gone(
    tmp_path: Path, host: str
) -> None:
    file = tmp_path / "cluster.json"
    file.write_text('{"address": "tcp://127.0.0.1:1"}')
    words = ["--host", host, "--port", 0, "--dashboard-port", 0, "--scheduler-file", file]
    scheduler = start("scheduler", *words, cwd=tmp_path)
    assert scheduler.stdout is not None
    line = scheduler.stdout.readline()
    assert line.startswith("scheduler tls://[::1]:")
    address = line.removeprefix("scheduler ").partition(",")[0]
    assert json.loads(file.read_text())["address"] == address
    with connect(*secured(address, None, CLIENT)) as client:
        assert client.scheduler_info()["address"] == address
    scheduler.terminate()
    assert ended(scheduler)[0] == 0


@pytest.mark.parametrize("content", ["precious", '{"precious": 1}'])
def test_a_file_that_no_scheduler_wrote_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    assert main(["scheduler", "--port", "0", "--dashboard-port", "0", "--scheduler-file", str(file)]) == 2
    assert f"--scheduler-file {file} exists and is not a scheduler file" in capsys.readouterr().err
    assert file.read_text() == content


def test_what_is_no_scheduler_is_told_so_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "ANSWER", 1.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"tcp://127.0.0.1:{server.server_port}"
        with pytest.raises(RunnerError, match=f"what answers at {address} is not a Dask scheduler"):
            connect(address, None)
        server.shutdown()


def test_a_worker_does_not_wait_for_long_where_nothing_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reaching, "ANSWER", 1.0)
    own_certificates()
    capsys.readouterr()  # where they are made for the first time, that is said
    assert main(["worker", "127.0.0.1:1"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "1 workers for tls://127.0.0.1:1; Ctrl-C ends them"
    assert second.startswith("spinsweep: no scheduler answers at tls://127.0.0.1:1 ")


WITHOUT = """
import asyncio, sys
from distributed import Scheduler
sys.modules["spinsweep"] = None
async def serve():
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(serve())
"""


def test_a_scheduler_that_lacks_spinsweep_is_named_in_one_line() -> None:
    command = [sys.executable, "-c", WITHOUT]
    scheduler = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert scheduler.stdout is not None
    address = scheduler.stdout.readline().strip()
    refused = pytest.raises(
        RunnerError, match=f"the scheduler at {address} cannot run spinsweep .*; install the same"
    )
    with refused as error, cluster_client(Running(kind="scheduler", address=address), Access(insecure=True)):
        pass
    scheduler.kill()
    scheduler.communicate()
    assert "\n" not in str(error.value)


def test_the_sweep_page_answers_when_a_run_tells_its_address(cluster: Cluster, tmp_path: Path) -> None:
    words = [*logged(tmp_path, 0.1), "--dashboard", "--cluster", cluster[0], "--store", "c.zarr"]
    run = start(*words, cwd=tmp_path)
    assert run.stderr is not None
    line = next(line for line in run.stderr if line.startswith("dashboard "))
    page, _, seen = line.removeprefix("dashboard ").strip().partition(" ")
    assert page.endswith("/sweep")
    assert seen == "(every user of that machine can see it; --dashboard-token)"
    with urlopen(page, timeout=20) as answer:
        assert b"Sweep" in answer.read()
    assert ended(run)[0] == 0


def test_of_a_scheduler_elsewhere_the_way_to_its_dashboard_is_told() -> None:
    assert display._sweep_page("192.0.2.7", 8787) == (
        "http://127.0.0.1:8787/sweep after `ssh -L 8787:localhost:8787 192.0.2.7`"
    )
    assert display._sweep_page("::1", 8787) == "http://127.0.0.1:8787/sweep"


@pytest.mark.slow
def test_ctrl_c_at_workers_that_were_brought_back_ends_them_without_a_traceback(tmp_path: Path) -> None:
    def computing() -> list[psutil.Process]:
        children = psutil.Process(workers.pid).children(recursive=True)
        return [p for p in children if "multiprocessing.spawn" in " ".join(p.cmdline())]

    with running(tmp_path) as (file, _, workers):
        computing()[0].kill()
        address, security = secured(json.loads(file.read_text())["address"], None, CLIENT)
        with connect(address, security) as client:
            until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 1)
            client.wait_for_workers(2, timeout=60)
        os.killpg(workers.pid, signal.SIGINT)  # as a terminal does
        status, said = ended(workers)
    assert status == 0
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "ending"
