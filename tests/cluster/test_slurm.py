"""Sweeps on a real Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import assert_same_cube, done, ended, logged, spinsweep, start, start_with, until
from slurmd import said

from spinsweep.cube import Cube

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]


def cluster(folder: Path, workers: int, *more: str, walltime: str = "00:20:00") -> Path:
    path = folder / "slurm.toml"
    lines = ['kind = "slurm"', f"workers = {workers}", 'memory = "400MiB"', f'walltime = "{walltime}"', *more]
    path.write_text("\n".join(lines))
    return path


def jobs(slurm: dict[str, str]) -> set[str]:
    return set(said(["squeue", "--noheader", "--format=%i", "--states=R"], slurm).split())


def test_a_sweep_on_slurm_gives_the_cube_that_this_machine_gives(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    run = start(*logged(tmp_path), "--cluster", cluster(tmp_path, 2), "--store", "c.zarr", cwd=tmp_path, env=slurm)
    until(lambda: len(jobs(slurm)) == 2)
    status, text = ended(run)
    assert status == 0, text
    assert_same_cube(tmp_path / "c.zarr", local_cube)
    until(lambda: not jobs(slurm), 20)
    assert len(list((tmp_path / "logs").glob("spinsweep-*.err"))) == 2, "each job leaves its log"


@pytest.mark.slow
def test_a_run_whose_only_job_is_cancelled_in_the_middle_goes_on_by_itself(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    store = tmp_path / "c.zarr"
    words = [*logged(tmp_path, 0.2), "--cluster", cluster(tmp_path, 1), "--store", store]
    run = start(*words, cwd=tmp_path, env=slurm)
    until(lambda: done(store) >= 10)
    first = jobs(slurm)
    subprocess.run(["scancel", *first], env=slurm, check=True)
    until(lambda: bool(jobs(slurm) - first), 90)
    status, text = ended(run)
    assert status == 0, text
    assert_same_cube(store, local_cube)
    assert "lost" not in text, "a job that is cancelled is no death"


def test_a_worker_that_dies_is_told_with_what_slurm_says_of_its_job(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    store = tmp_path / "c.zarr"
    words = [*logged(tmp_path, 0.2), "--cluster", cluster(tmp_path, 1), "--store", store]
    run = start(*words, cwd=tmp_path, env=slurm)
    until(lambda: done(store) >= 10)
    (job,) = jobs(slurm)
    worker = int(next((tmp_path / "log").iterdir()).name.split("-")[2])
    nanny = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    for process in (nanny, worker):
        os.kill(process, signal.SIGKILL)
    status, text = ended(run)
    assert status == 0, text
    assert f" died: job {job}: FAILED (NonZeroExitCode)" in text, text
    assert_same_cube(store, local_cube)


@pytest.mark.slow
def test_jobs_and_scheduler_speak_tls_when_certificates_are_given(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    assert spinsweep("certs", "certificates", cwd=tmp_path)[0] == 0
    file = cluster(tmp_path, 2, 'tls = "certificates"')
    status, text = spinsweep(*logged(tmp_path, 0), "--cluster", file, "--store", "c.zarr", cwd=tmp_path, env=slurm)
    assert status == 0, text
    assert "on tls://127.0.0.1:" in text
    assert_same_cube(tmp_path / "c.zarr", local_cube)


@pytest.mark.slow
def test_what_slurm_objects_to_is_said_in_one_line(slurm: dict[str, str], tmp_path: Path) -> None:
    file = cluster(tmp_path, 1, 'queue = "nowhere"')
    status, text = spinsweep(*logged(tmp_path), "--cluster", file, "--store", "c.zarr", cwd=tmp_path, env=slurm)
    assert status == 2
    assert "invalid partition specified: nowhere" in text.lower()
    assert "Traceback" not in text


@pytest.mark.slow
def test_jobs_that_end_before_their_worker_came_are_told_of_with_their_logs(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    file = cluster(tmp_path, 1, 'python = "/bin/false"', 'logs = "logs"')
    words = [*logged(tmp_path), "--cluster", file, "--store", "c.zarr"]
    run = start_with("spinsweep.cli.display.ADVICE_AFTER_S = 2", *words, cwd=tmp_path, env=slurm)
    assert run.stderr is not None
    line = next(line for line in run.stderr if "no worker yet" in line)
    run.send_signal(signal.SIGINT)
    ended(run)
    assert "ended before their worker came" in line
    assert f"look into {tmp_path}/logs" in line


def test_jobs_that_wait_are_told_with_slurms_reason(slurm: dict[str, str], tmp_path: Path) -> None:
    file = cluster(tmp_path, 1, 'directives = ["--begin=now+1hour"]')
    words = [*logged(tmp_path), "--cluster", file, "--store", "c.zarr"]
    run = start_with("spinsweep.cli.display.ADVICE_AFTER_S = 2", *words, cwd=tmp_path, env=slurm)
    assert run.stderr is not None
    line = next(line for line in run.stderr if "no worker yet" in line)
    run.send_signal(signal.SIGINT)
    ended(run)
    assert ": PENDING (BeginTime)" in line


def test_the_batch_script_runs_a_sweep_unattended_and_leaves_status_log_and_cube(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    script = ["sbatch", "--parsable", "--cpus-per-task=2", "--time=10", ROOT / "cluster" / "spinsweep.sbatch"]
    words = [*logged(tmp_path, 0)[1:], "--store", "c.zarr"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{slurm['PATH']}"
    submitted = subprocess.run(
        [*script, *words], cwd=tmp_path, env={**slurm, "PATH": path}, capture_output=True, text=True, check=True
    )
    number = submitted.stdout.strip()
    status = tmp_path / f"spinsweep-{number}.status"
    until(status.exists, 90)
    log = (tmp_path / f"spinsweep-{number}.log").read_text()
    assert status.read_text() == "0\n", log
    assert "100 of 100 done" in log
    assert_same_cube(tmp_path / "c.zarr", local_cube)


def test_a_batch_job_that_is_told_to_end_stops_cleanly_and_says_so(slurm: dict[str, str], tmp_path: Path) -> None:
    script = ["sbatch", "--parsable", "--cpus-per-task=2", ROOT / "cluster" / "spinsweep.sbatch"]
    words = [*logged(tmp_path, 0.3)[1:], "--store", "c.zarr"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{slurm['PATH']}"
    submitted = subprocess.run(
        [*script, *words], cwd=tmp_path, env={**slurm, "PATH": path}, capture_output=True, text=True, check=True
    )
    number = submitted.stdout.strip()
    until(lambda: done(tmp_path / "c.zarr") >= 5)
    subprocess.run(["scancel", "--signal=INT", "--batch", number], env=slurm, check=True)
    status = tmp_path / f"spinsweep-{number}.status"
    until(status.exists, 60)
    log = (tmp_path / f"spinsweep-{number}.log").read_text()
    assert status.read_text() == "1\n", log
    assert "run the same command again to continue" in log


LONG = """
import time
import spinsweep

@spinsweep.cell
def own(n):
    time.sleep(1000 if n == 4 else 2)
    return {"y": 2.0 * n}

OWN = spinsweep.Sweep.from_function(own, n=range(12))
"""


@dataclass
class Run:
    """One that goes on in its folder."""

    folder: Path
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def runs_of_short_jobs(slurm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Two runs beside each other whose jobs may take a minute, for each takes two minutes."""
    runs = {}
    for name in ("whole", "stuck"):
        folder = tmp_path_factory.mktemp(name)
        (folder / "own.py").write_text(LONG)
        words = {"whole": logged(folder, 1.5), "stuck": ["run", "own.py", "--no-dashboard", "--block", 3]}[name]
        more = ["--cluster", cluster(folder, 2, walltime="00:01:00"), "--store", "c.zarr"]
        runs[name] = Run(folder, start(*words, *more, cwd=folder, env=slurm))
    yield runs
    for run in runs.values():
        run.process.terminate()
        run.process.communicate(timeout=60)


def test_jobs_whose_time_is_over_are_followed_by_others_and_no_cell_is_suspected(
    runs_of_short_jobs: dict[str, Run], local_cube: Path
) -> None:
    run = runs_of_short_jobs["whole"]
    status, text = ended(run.process, 400)
    assert status == 0, text
    assert_same_cube(run.folder / "c.zarr", local_cube)
    assert "lost" not in text
    assert len(list((run.folder / "log").iterdir())) == 100, "no cell was computed twice"


@pytest.mark.slow
def test_a_cell_that_takes_longer_than_a_job_is_named_after_two_jobs_and_the_others_are_done(
    runs_of_short_jobs: dict[str, Run],
) -> None:
    run = runs_of_short_jobs["stuck"]
    status, text = ended(run.process, 400)
    assert status == 1, text
    assert "11 of 12 done" in text
    (failure,) = Cube(run.folder / "c.zarr").failures()
    assert (failure.coords["n"], failure.error.type) == (4, "spinsweep.OverWalltime")
    assert failure.error.message == ("had not ended in 2 jobs when their time was over; give jobs a longer walltime")
    assert "out of memory" not in text


def test_a_driver_in_a_job_submits_the_jobs_that_compute_and_leaves_its_status_when_it_is_cancelled(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{slurm['PATH']}"
    words = [*logged(tmp_path, 0.2)[1:], "--cluster", cluster(tmp_path, 1), "--store", "c.zarr"]

    def submitted() -> str:
        command = ["sbatch", "--parsable", ROOT / "cluster" / "spinsweep.sbatch", *map(str, words)]
        environment = {**slurm, "PATH": path}
        done_ = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done_.stdout.strip()

    first = submitted()
    until(lambda: done(tmp_path / "c.zarr") >= 5)
    subprocess.run(["scancel", first], env=slurm, check=True)
    until((tmp_path / f"spinsweep-{first}.status").exists, 60)
    until(lambda: first not in jobs(slurm), 60)
    assert (tmp_path / f"spinsweep-{first}.status").read_text().strip() in {"1", "130"}
    second = submitted()
    status = tmp_path / f"spinsweep-{second}.status"
    until(status.exists, 120)
    log = (tmp_path / f"spinsweep-{second}.log").read_text()
    assert status.read_text() == "0\n", log
    assert_same_cube(tmp_path / "c.zarr", local_cube)


def test_the_tasks_of_a_job_array_compute_into_one_store(
    slurm: dict[str, str], tmp_path: Path, local_cube: Path
) -> None:
    assert spinsweep("certs", "certificates", cwd=tmp_path)[0] == 0
    script = ROOT / "cluster" / "spinsweep-array.sbatch"
    command = ["sbatch", "--parsable", "--array=0-2", "--cpus-per-task=1", script]
    words = [*logged(tmp_path, 0.3)[1:], "--store", "c.zarr"]
    environment = {
        **slurm,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{slurm['PATH']}",
        "SPINSWEEP_HOST": "127.0.0.1",
    }
    submitted = subprocess.run(
        [*command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    number = submitted.stdout.strip()
    status = tmp_path / f"spinsweep-array-{number}.status"
    until(status.exists, 180)
    log = (tmp_path / f"spinsweep-array-{number}-0.log").read_text()
    assert status.read_text() == "0\n", log
    assert_same_cube(tmp_path / "c.zarr", local_cube)
    until(lambda: not jobs(slurm), 60)
    processes = {file.name.split("-")[2] for file in (tmp_path / "log").iterdir()}
    assert len(processes) == 3, "each task computed"


@pytest.mark.slow
def test_several_workers_of_a_job_share_its_cores(slurm: dict[str, str], tmp_path: Path, local_cube: Path) -> None:
    file = cluster(tmp_path, 4, "processes = 2", 'prologue = ["export SAID=before"]')
    status, text = spinsweep(*logged(tmp_path, 0.3), "--cluster", file, "--store", "c.zarr", cwd=tmp_path, env=slurm)
    assert status == 0, text
    assert_same_cube(tmp_path / "c.zarr", local_cube)
    assert len(list((tmp_path / "logs").glob("*.err"))) == 2, "two jobs"
    assert len({file.name.split("-")[2] for file in (tmp_path / "log").iterdir()}) == 4


@pytest.mark.slow
def test_cluster_check_shows_what_the_workers_are_like(slurm: dict[str, str], tmp_path: Path) -> None:
    status, text = spinsweep("cluster", "check", cluster(tmp_path, 2), cwd=tmp_path, env=slurm)
    assert status == 0, text
    assert text.count(" shared ") == 2
    assert not list((tmp_path / "results").iterdir())
