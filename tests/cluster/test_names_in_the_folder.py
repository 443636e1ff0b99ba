"""Files in the current folder that are named like modules: no process of a run takes one for the module."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ended, until
from sshd import Server

from spinsweep.cube import Cube
from spinsweep.deployment.certificates import own_certificates
from spinsweep.deployment.security import ROLES, as_environment, credentials

BIN = Path(sys.executable).parent
INSTALLED = (
    "engine",
    "sweeps",
    "spinsweep",
    "spinneurons",
    "numpy",
    "dask",
    "distributed",
    "zarr",
    "pydantic",
    "yaml",
)
STANDARD = ("random", "signal", "socket", "queue", "pickle", "threading", "json", "typing")
TRAP = "open({sprung!r}, 'a').write(__file__ + '\\n')\nraise RuntimeError('taken for a module: ' + __file__)\n"
MINE = """
from helper import twice

from spinsweep import Axis, Output, Sweep, per_cell


@per_cell
def one(cell):
    import late_helper

    return {"y": twice(cell["n"]) + late_helper.ONE}


SWEEP = Sweep("mine", "My own", (Axis("n", (0, 1, 2)),), (Output("y"),), one)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The current folder of all processes: traps, a user's own sweep and its helpers."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in (*INSTALLED, *STANDARD):
        (folder / f"{name}.py").write_text(TRAP.format(sprung=str(tmp_path / "sprung")))
    (folder / "mine.py").write_text(MINE)
    (folder / "helper.py").write_text("def twice(x):\n    return 2.0 * x\n")
    (folder / "late_helper.py").write_text("ONE = 1.0\n")
    return folder


def start(*words: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A command that is installed, in the folder."""
    return subprocess.Popen(
        [str(BIN / str(words[0])), *map(str, words[1:])],
        cwd=cwd,
        env={**os.environ, **(env or {}), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *words: object) -> str:
    status, said = ended(start("spinsweep", "run", *words, "--store", folder / "c.zarr", cwd=folder))
    trap = folder.parent / "sprung"
    assert not trap.exists(), trap.read_text()
    assert status == 0, said
    return said


def test_the_traps_work(folder: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONSAFEPATH"}
    for name in (*INSTALLED, *STANDARD):
        command = [sys.executable, "-c", f"import sys; sys.modules.pop({name!r}, None); import {name}"]
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
        assert b"taken for a module" in ended.stderr


@pytest.mark.parametrize(
    "where",
    ["--executor serial", pytest.param("--executor processes --workers 2", marks=pytest.mark.slow), "--workers 2"],
)
def test_a_run_on_this_machine_imports_no_file_of_the_current_folder_but_the_users(folder: Path, where: str) -> None:
    run(folder, "mine.py:SWEEP", *where.split())
    assert Cube(folder / "c.zarr").dataset()["y"].values.tolist() == [1, 3, 5]


@pytest.mark.slow
def test_a_users_module_may_be_named_instead_of_its_file(folder: Path) -> None:
    run(folder, "mine:SWEEP", "--workers", 2)
    assert Cube(folder / "c.zarr").counts().done == 3


@pytest.mark.slow
def test_programs_that_a_cell_starts_find_the_files_beside_them(folder: Path) -> None:
    beside = folder / "programs"
    beside.mkdir()
    shutil.copy(folder / "helper.py", beside)
    (beside / "program.py").write_text("import helper\nprint(helper.twice(1))\n")
    start = f"subprocess.check_output([sys.executable, {str(beside / 'program.py')!r}])"
    (folder / "late_helper.py").write_text(f"import subprocess, sys\nONE = float({start})\n")
    run(folder, "mine.py:SWEEP", "--workers", 1)
    assert Cube(folder / "c.zarr").dataset()["y"].values.tolist() == [2, 4, 6]


def test_a_run_on_a_bench_imports_no_file_of_the_current_folder(folder: Path) -> None:
    few = "--set width=0.5 --set device=0 --set cycles=5"
    status, said = ended(
        start(
            "spinsweep",
            "emulate",
            "bench.toml",
            "--speed",
            "1e6",
            "--run",
            f"spinsweep run characterization --on bench.toml --store c.zarr --no-dashboard {few}",
            cwd=folder,
        )
    )
    assert not (folder.parent / "sprung").exists()
    assert status == 0, said
    assert Cube(folder / "c.zarr").counts().done > 0


@pytest.mark.slow
def test_workers_that_dasks_own_command_started_import_no_installed_package_from_the_current_folder(
    folder: Path,
) -> None:
    for name in STANDARD:  # Dask's nanny starts a worker with the current folder on its path for a moment
        (folder / f"{name}.py").unlink()
    environment = as_environment(credentials(own_certificates(), *ROLES))
    file = folder / "cluster.json"
    ports = ["--port", "0", "--dashboard-port", "0"]
    processes = [start("spinsweep", "scheduler", *ports, "--scheduler-file", file, cwd=folder, env=environment)]
    try:
        until(file.exists)
        words = ["worker", "--scheduler-file", file, "--host", "127.0.0.1", "--nthreads", "1", "--resources", "cpu=1"]
        processes.append(start("dask", *words, cwd=folder, env=environment))
        run(folder, "mine.py:SWEEP", "--cluster", file)
    finally:
        for process in reversed(processes):
            process.terminate()
            ended(process)
    assert Cube(folder / "c.zarr").dataset()["y"].values.tolist() == [1, 3, 5]


@pytest.mark.slow
def test_workers_of_ones_own_command_import_no_file_of_the_current_folder(folder: Path) -> None:
    file = folder / "cluster.json"
    ports = ["--port", "0", "--dashboard-port", "0"]
    processes = [start("spinsweep", "scheduler", *ports, "--scheduler-file", file, cwd=folder)]
    try:
        until(file.exists)
        processes.append(start("spinsweep", "worker", file, cwd=folder))
        run(folder, "mine.py:SWEEP", "--cluster", file)
    finally:
        for process in reversed(processes):
            process.terminate()
            ended(process)


@pytest.mark.slow
@pytest.mark.slurm
def test_jobs_of_slurm_import_no_file_of_the_folder_that_they_were_submitted_in(
    folder: Path, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    (folder / "slurm.toml").write_text('kind = "slurm"\nworkers = 1\nmemory = "400MiB"\nwalltime = "00:10:00"\n')
    run(folder, "mine.py:SWEEP", "--cluster", "slurm.toml")


@pytest.mark.ssh
def test_workers_over_ssh_import_no_file_of_the_folder_that_they_start_in(folder: Path, ssh: Server) -> None:
    authorized = ssh.key.with_name("authorized")
    before = authorized.read_text()
    authorized.write_text(f'command="cd {folder} && eval \\"$SSH_ORIGINAL_COMMAND\\"" {before}')
    try:
        run(folder, "mine.py:SWEEP", "--cluster", ssh.file(folder / "ssh.toml"))
    finally:
        authorized.write_text(before)
