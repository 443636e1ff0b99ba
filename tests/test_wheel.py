"""What ``pip install`` of the wheel brings is all that is needed: commands run in an empty folder.

The wheel is installed where it finds the libraries that it needs, and nothing of this repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from pages.wheel import wheel as make_wheel

ROOT = Path(__file__).parents[1]
OWN = """
from spinsweep import Axis, Output, Sweep, per_cell


@per_cell
def square(cell):
    return {"y": cell["x"] ** 2}


SWEEP = Sweep("squares", "Squares", (Axis("x", (1.0, 2.0, 3.0)),), (Output("y"),), square)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``make wheel`` makes it, with a few pages for all: to build them takes a minute."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (
        "index.html",
        "search.html",
        "engine/docs/_images/figure.png",
        "_static/scripts/furo.js.LICENSE.txt",
    ):
        (folder / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pages" / name).write_text(name)
    return make_wheel(folder / "pages", folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel; its libraries are this one's."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    libraries = sysconfig.get_path("purelib")  # its own .pth files, such as that of this checkout, are not read
    (folder / "lib" / version / "site-packages" / "libraries.pth").write_text(libraries)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps"]
    done = subprocess.run([*pip, "--force-reinstall", str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def run(installed: Path, folder: Path, command: str) -> str:
    """What a command says that ends well, in a folder of its own."""
    path = f"{installed}{os.pathsep}{os.environ['PATH']}"
    own = {"SPINSWEEP_CACHE": "cache", "SPINSWEEP_STATE": "state", "SPINSWEEP_LOCKS": "locks"}
    environment = {**os.environ, "PATH": path} | {name: str(folder / value) for name, value in own.items()}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_holds_the_three_packages_their_data_and_their_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = {"instrument_emulator", "spinsweep", "spinneurons"}
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == packages
    listed = subprocess.run(
        ["git", "ls-files", "engine", "sweeps"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = {line.partition("/")[2] for line in listed.stdout.splitlines()}
    expected = {path for path in paths if path.partition("/")[0] in packages}
    assert expected <= names
    assert {f"{package}/py.typed" for package in packages} <= expected


def test_spinsweep_docs_finds_the_pages_that_the_wheel_brought(installed: Path, tmp_path: Path) -> None:
    [address] = run(installed, tmp_path, "spinsweep docs half width --path").split()
    page = Path(address.removeprefix("file://").partition("?")[0])
    assert address.endswith("?q=half%20width")
    assert page.is_relative_to(installed.parent)
    assert page.read_text() == "search.html"
    pages = {str(file.relative_to(page.parent)) for file in page.parent.rglob("*") if file.is_file()}
    assert pages >= {"index.html", "engine/docs/_images/figure.png", "_static/scripts/furo.js.LICENSE.txt"}


def test_its_metadata_say_what_it_is_and_who_may_use_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = BytesParser().parsebytes(archive.read(name))
    assert metadata["Name"] == "spinsweep"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload().startswith("# spinsweep")  # type: ignore[union-attr]


def test_what_is_installed_runs_a_users_own_sweep_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    where = run(installed, tmp_path, "python -c 'import spinsweep, spinneurons; print(spinneurons.__file__)'")
    assert where.startswith(str(installed.parent))
    run(installed, tmp_path, "spinsweep run mine.py:SWEEP --workers 2")
    assert "3 of 3 done" in run(installed, tmp_path, "spinsweep status results/squares.zarr")
    assert 'kind = "slurm"' in run(installed, tmp_path, "spinsweep cluster init slurm")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_is_installed_characterizes_measures_on_an_emulated_bench_and_draws(
    installed: Path, tmp_path: Path
) -> None:
    few = "--set width=0.5 --set device=0:2 --set cycles=50"
    run(installed, tmp_path, f"spinsweep run characterization {few} --workers 2")
    run(installed, tmp_path, "spinsweep figures results/characterization.zarr --out drawn")
    assert (tmp_path / "drawn" / "fig2_switching.png").stat().st_size > 10_000
    measure = f"spinsweep run characterization --on bench.toml --store measured.zarr {few}"
    run(installed, tmp_path, f"spinsweep emulate bench.toml --speed 1e6 --run '{measure}'")
    assert "2 of 2 done" in run(installed, tmp_path, "spinsweep status measured.zarr")
    run(installed, tmp_path, "spinsweep figures measured.zarr --out drawn-measured")
    assert (tmp_path / "drawn-measured" / "fig2_switching.png").exists()
