"""What the workers of a cluster are like, asked before a sweep is given to them."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from distributed import Client

from spinsweep.provenance.packages import versions
from spinsweep.resources import cpu_count

FILE_S = 10.0  # in which a file that a worker wrote has to be seen here: NFS keeps attributes for some seconds
ANSWER_S = 30.0


@dataclass(frozen=True)
class WorkerReport:
    """One worker, as it answered."""

    address: str
    host: str
    python: str
    versions: Mapping[str, str]
    """Of the packages that can change a number."""
    cores: int
    """That its process may use."""
    memory_free: int
    """Of its machine, bytes."""
    memory_limit: int
    """Of the worker, bytes; 0: none."""
    clock_ahead_s: float
    """Of this machine's, give or take ``clock_unsure_s``."""
    clock_unsure_s: float
    folder: str
    """What is wrong with the shared folder there; empty: it is the same folder."""

    def differences(self, ours: Mapping[str, str], python: str) -> list[str]:
        """Versions that are not those of this machine, in words."""
        local, remote = {"python": python, **ours}, {"python": self.python, **self.versions}
        names = [name for name in {**local, **remote} if local.get(name) != remote.get(name)]
        return [f"{name} {remote.get(name, 'is missing')}, here {local.get(name, 'missing')}" for name in names]


def reports(client: Client, folder: Path) -> Iterator[WorkerReport]:
    """Ask each worker in turn.

    Parameters
    ----------
    folder : that all have to share, with an absolute path; what is written into it is removed again

    Raises
    ------
    OSError
        It cannot be written to from here.
    """
    shared = folder / f".spinsweep-check-{secrets.token_hex(8)}"
    shared.mkdir(parents=True)
    try:
        token = secrets.token_hex(16)
        (shared / "driver").write_text(token)
        for address, info in client.scheduler_info(n_workers=-1)["workers"].items():
            began = time.time()
            answers = client.run(_describe, str(shared), workers=[address], on_error="return")
            ended = time.time()
            answer = answers[address]
            if isinstance(answer, BaseException):
                raise answer
            yield WorkerReport(
                address=address,
                host=answer["host"],
                python=answer["python"],
                versions=answer["versions"],
                cores=answer["cores"],
                memory_free=answer["memory_free"],
                memory_limit=int(info["memory_limit"] or 0),
                clock_ahead_s=answer["time"] - (began + ended) / 2,
                clock_unsure_s=(ended - began) / 2,
                folder=answer["folder"] or _seen_here(shared / answer["file"], answer["read"], token),
            )
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def here() -> tuple[Mapping[str, str], str]:
    """Versions of packages, and of Python, on this machine."""
    return versions(), platform.python_version()


def _describe(folder: str) -> dict[str, Any]:
    """At a worker: what it is, and what it reads and writes in the folder."""
    answer: dict[str, Any] = {
        "time": time.time(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "versions": versions(),
        "cores": cpu_count(),
        "memory_free": psutil.virtual_memory().available,
        "folder": "",
        "file": f"worker-{socket.gethostname()}-{os.getpid()}",
        "read": "",
    }
    try:
        answer["read"] = Path(folder, "driver").read_text()
        Path(folder, answer["file"]).write_text(answer["read"])
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        answer["folder"] = "is not there" if missing else f"cannot be used: {error.strerror}"
    return answer


def _seen_here(file: Path, read: str, token: str) -> str:
    until = time.monotonic() + FILE_S
    while time.monotonic() < until:
        try:
            if file.read_text() == token == read:
                return ""
        except OSError:
            pass
        time.sleep(0.1)
    return "is another folder"
