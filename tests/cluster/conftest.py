"""A real Slurm and a real SSH server for the tests that ask for one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurmd
import sshd
from commands import logged, spinsweep

HOW = "`make test-slurm` installs it as root on Debian"


def demand(missing: list[str], what: str) -> None:
    """Skip where something is not installed; in CI it has to be."""
    if missing:
        said = f"{what} IS NOT TESTED: this machine has no {', '.join(missing)}; {HOW}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """The environment in which a Slurm of several slots is found."""
    demand(slurmd.missing(), "SLURM")
    with (
        tempfile.TemporaryDirectory(
            prefix="slurm-", ignore_cleanup_errors=True
        ) as folder,  # sockets need short paths
        slurmd.running(Path(folder)) as environment,
    ):
        yield environment


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    """An SSH server on loopback."""
    demand(sshd.missing(), "SSH")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def local_cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 100 cells as this machine computes them by itself."""
    folder = tmp_path_factory.mktemp("local")
    status, said = spinsweep(*logged(folder, 0), "--workers", 0, "--store", folder / "c.zarr", cwd=folder)
    assert status == 0, said
    return folder / "c.zarr"
