"""What another user of this machine can do to a run, as a real one: nothing but look at the dashboard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import dask
import psutil
import pytest
from commands import done, ended, logged, start, until
from distributed import Client

from spinsweep.deployment.certificates import own_certificates
from spinsweep.deployment.security import ROLES, as_config, as_environment, credentials

STRANGER = 65534
AS_STRANGER = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
Attack = Callable[[list[int]], dict[int, str]]


def possible() -> bool:
    """Whether this user may become another one, who can run this Python."""
    if os.geteuid() != 0:
        return False
    return subprocess.run([*AS_STRANGER, sys.executable, "-c", "import distributed"], check=False).returncode == 0


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Attack]:
    """What each port did to a stranger; at the end, nothing may have run a stranger's code."""
    if not possible():
        pytest.skip("needs root, and a Python that another user can run")
    folder = tmp_path / "marks"
    folder.mkdir()
    folder.chmod(0o777)
    for above in [*tmp_path.parents][: len(tmp_path.relative_to("/tmp").parts)]:
        above.chmod(above.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    script = Path("/tmp") / f"stranger-{os.getpid()}.py"
    script.write_text((Path(__file__).parent / "stranger.py").read_text())
    script.chmod(0o644)

    def run(ports: list[int]) -> dict[int, str]:
        command = [*AS_STRANGER, sys.executable, str(script), str(folder), *map(str, ports)]
        found = subprocess.run(command, cwd="/", env={"HOME": "/"}, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        told: dict[str, str] = json.loads(found.stdout)
        run.marks = [m.name for m in folder.iterdir()]  # type: ignore[attr-defined]
        return {int(port): what for port, what in told.items()}

    yield run
    script.unlink()


def listening(*processes: int) -> list[int]:
    """Ports of processes and of all that they started."""
    roots = [psutil.Process(p) for p in processes]
    family = [*roots, *(c for root in roots for c in root.children(recursive=True))]
    return sorted({c.laddr.port for p in family for c in _connections(p) if c.status == psutil.CONN_LISTEN})


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections())
    except (psutil.ZombieProcess, psutil.NoSuchProcess):  # it has ended
        return []


def answers(port: int, path: str) -> bool:
    """Whether a web server has a page at a path."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30):
            return True
    except HTTPError as error:
        error.close()
        return False


def counted(found: dict[int, str]) -> dict[str, int]:
    return {what: list(found.values()).count(what) for what in set(found.values())}


@pytest.mark.slow
def test_the_attack_gets_in_where_everything_is_open(tmp_path: Path, attack: Attack) -> None:
    file = tmp_path / "c.json"
    words = ["scheduler", "--port", 0, "--dashboard-port", 0, "--scheduler-file", file, "--insecure"]
    scheduler = start(*words, cwd=tmp_path)
    until(file.exists)
    worker = start("worker", file, "--insecure", cwd=tmp_path)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    found = attack(listening(scheduler.pid, worker.pid))
    assert counted(found) == {"in": 3, "web": 2}, found
    assert len(attack.marks) == 3  # type: ignore[attr-defined]
    for process in (worker, scheduler):
        process.terminate()
        ended(process)


def test_a_run_on_this_machine_is_closed_to_its_other_users_and_goes_on(tmp_path: Path, attack: Attack) -> None:
    run = start(*logged(tmp_path, 0.5), "--dashboard", "--workers", 2, "--store", "c.zarr", cwd=tmp_path)
    until(lambda: done(tmp_path / "c.zarr") > 0)
    found = attack(listening(run.pid))
    assert run.poll() is None, "the run ended too early to tell"
    assert counted(found) == {"closed": 1 + 2 * 2, "web": 1 + 2}, "scheduler, and two nannies with a worker each"
    assert not attack.marks  # type: ignore[attr-defined]
    status, said = ended(run)
    assert status == 0, said


@pytest.mark.slow
def test_a_scheduler_that_stays_is_closed_to_others_and_open_to_all_that_its_user_starts(
    tmp_path: Path, attack: Attack
) -> None:
    file = tmp_path / "c.json"
    scheduler = start("scheduler", "--port", 0, "--dashboard-port", 0, "--scheduler-file", file, cwd=tmp_path)
    until(lambda: file.exists() and file.read_text().endswith("}"))
    address = json.loads(file.read_text())["address"]
    assert address.startswith("tls://")
    worker = start("worker", file, cwd=tmp_path)
    security = credentials(own_certificates(), *ROLES)
    foreign = subprocess.Popen(
        [sys.executable, "-m", "dask", "worker", "--scheduler-file", str(file), "--host", "127.0.0.1"],
        env={**os.environ, **as_environment(security)}, cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    with dask.config.set(as_config(security)), Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        found = attack(listening(scheduler.pid, worker.pid, foreign.pid))
        assert counted(found) == {"closed": 1 + 2 * 2, "web": 1 + 2}
        assert not attack.marks  # type: ignore[attr-defined]
        assert client.submit(sum, [1, 2]).result() == 3
    for process in (worker, foreign, scheduler):
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.slow
def test_a_bench_run_with_a_lane_is_closed_to_other_users(tmp_path: Path, attack: Attack) -> None:
    command = f"{sys.executable} -m spinsweep.cli run characterization --on bench.toml --workers 1 --no-dashboard"
    small = "--set device=0 --set width=0.5 --set cycles=200 --set currents=20 --set resamples=20 --store c.zarr"
    env = {**os.environ, "SPINSWEEP_STATE": str(tmp_path / "state"), "SPINSWEEP_LOCKS": str(tmp_path / "locks")}
    words = ["emulate", "bench.toml", "--speed", "300", "--run", f"{command} {small}"]
    emulated = start(*words, cwd=tmp_path, env=env)

    def lanes() -> list[int]:
        family = psutil.Process(emulated.pid).children(recursive=True)
        return [p.pid for p in family if "spinsweep.bench.lane" in p.cmdline()]

    until(lambda: lanes() != [] and len(listening(*lanes())) == 2)
    driver = psutil.Process(lanes()[0]).ppid()
    ports = listening(driver)
    assert set(listening(*lanes())) < set(ports)
    found = attack(ports)
    assert emulated.poll() is None, "the run ended too early to tell"
    assert counted(found) == {"closed": 2, "web": 2}, "scheduler and lane"
    assert not [p for p, what in found.items() if what == "web" and answers(p, "/status")], "--no-dashboard"
    assert not attack.marks  # type: ignore[attr-defined]
    with suppress(psutil.NoSuchProcess):
        psutil.Process(driver).send_signal(signal.SIGINT)
    ended(emulated)
