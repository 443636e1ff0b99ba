"""What a cube keeps of each run: code, versions, machine, command, workers, start, end and outcome."""

from __future__ import annotations

import datetime
import inspect
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from spinsweep import system
from spinsweep.private import without_secrets
from spinsweep.provenance.origin import Origin
from spinsweep.provenance.packages import versions
from spinsweep.spec import Sweep

KINDS: dict[str, type] = {
    **dict.fromkeys(("packages", "long"), dict),
    "workers": list,
    **dict.fromkeys(("python", "processor", "command", "start", "end", "outcome"), str),
    **dict.fromkeys(("process", "ended_before", "cells", "workers_lost"), int),
}
"""Types of what a run's record holds in JSON, beside code and machine."""


@dataclass(frozen=True)
class CodeRecord:
    """Where the code of a run came from."""

    function: str = ""
    """``MODULE:NAME`` of the block function."""
    git_commit: str | None = None
    """Of the checkout that it is in; None where it is in none."""
    git_dirty: bool | None = None
    """Whether that had changes, or the function's file was not in it."""
    identity: str = ""
    """Digest of the code that it reaches."""

    @classmethod
    def of(cls, sweep: Sweep, identity: str = "") -> CodeRecord:
        """Of a sweep's function."""
        function: Any = sweep.function if hasattr(sweep.function, "__qualname__") else type(sweep.function)
        name = f"{function.__module__}:{function.__qualname__}"
        try:
            file = inspect.getfile(function)
        except (OSError, TypeError):
            return cls(name, identity=identity)
        folder = Path(file).resolve().parent
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
        tracked = _git(folder, "ls-files", "--error-unmatch", file)
        dirty = None if changes is None else bool(changes) or tracked is None
        return cls(name, _git(folder, "rev-parse", "HEAD"), dirty, identity)


@dataclass(frozen=True)
class MachineRecord:
    """The machine of a run's driver."""

    host: str = ""
    """Its name."""
    system: str = ""
    """Of its operating system."""
    cpus: int | None = None
    """Processors that it has."""
    user: str = ""
    """Whose process it was."""

    @classmethod
    def here(cls) -> MachineRecord:
        """This one."""
        return cls(platform.node(), platform.platform(), os.cpu_count(), system.current_user())


@dataclass(frozen=True)
class WorkerRecord:
    """A process that computed blocks."""

    address: str = ""
    """Of the worker; "" for the driver's own process."""
    host: str = ""
    """Its machine."""
    process: int = 0
    """Its number there."""
    python: str = ""
    """Version."""
    packages: Mapping[str, str] | None = None
    """Version of each package that the code reaches."""
    processor: str = ""
    """Its model, and the instruction sets that libraries chose for it."""
    identity: str = ""
    """Digest of the code."""
    code: str = ""
    """16 hexadecimal digits: the group in ``codes/`` that its cells name."""

    @classmethod
    def here(cls, origin: Origin, address: str) -> WorkerRecord:
        """This process."""
        here, made = (address, platform.node(), os.getpid()), origin.record
        number = f"{origin.number:016x}"
        return cls(*here, made.python, dict(made.packages), made.processor, made.identity, number)


@dataclass(frozen=True)
class RunRecord:
    """A run, as its group in ``runs/`` keeps it, and the root of the cube for the last one.

    Its version is the cube's format. What is None is not written.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    """Installed version of each package that can change a number."""
    python: str = ""
    """Version of the driver's."""
    processor: str = ""
    """The driver's."""
    code: CodeRecord = CodeRecord()
    """Where the block function came from."""
    machine: MachineRecord = MachineRecord()
    """The driver's."""
    process: int = 0
    """The driver's number there."""
    command: str = ""
    """The command line, without secrets."""
    start: str = ""
    """When it began, UTC, ISO 8601."""
    end: str | None = None
    """When it ended; None (written as null) until then."""
    outcome: str = "running"
    """``running``, ``complete``, ``failed cells``, ``stopped``, ``interrupted`` or ``broken``."""
    ended_before: int | None = None
    """Cells asked for that were done or failed when it began; there once damage had been looked for."""
    cells: int | None = None
    """Cells that it computed."""
    workers_lost: int | None = None
    """Workers that died."""
    workers: tuple[WorkerRecord, ...] | None = None
    """What computed its blocks."""
    long: Mapping[str, Any] | None = None
    """What had been computed for long when the driver looked last, see ``LongReport``; None: nothing."""

    @classmethod
    def begun(cls, sweep: Sweep, origin: Origin) -> RunRecord:
        """Everything about the code and machine that one would ask for when a number looks odd."""
        return cls(
            packages=versions(),
            python=origin.record.python,
            processor=origin.record.processor,
            code=CodeRecord.of(sweep, origin.record.identity),
            machine=MachineRecord.here(),
            process=os.getpid(),
            command=shlex.join(without_secrets([Path(sys.argv[0]).name, *sys.argv[1:]])),
            start=now(),
        )

    @classmethod
    def from_json(cls, values: Any) -> RunRecord | None:
        """From the attributes of the group; None where they are not those of a run.

        Parts that are missing or of another type, in a cube of an earlier version, are empty.
        """
        if not isinstance(values, Mapping) or not all(isinstance(values.get(n), str) for n in ("start", "outcome")):
            return None
        known = {name: values[name] for name, kind in KINDS.items() if isinstance(values.get(name), kind)}
        if "workers" in known:
            known["workers"] = tuple(WorkerRecord(**_known(WorkerRecord, w)) for w in known["workers"])
        known["code"] = CodeRecord(**_known(CodeRecord, values.get("code")))
        known["machine"] = MachineRecord(**_known(MachineRecord, values.get("machine")))
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Attributes of the group."""
        values = asdict(self)
        if self.workers is not None:
            values["workers"] = [asdict(worker) for worker in self.workers]
        return {name: value for name, value in values.items() if value is not None or name == "end"}

    @property
    def seconds(self) -> float | None:
        """From its beginning to its end, with the time in which it waited for workers, s; None: it has no end."""
        try:
            began, ended = map(datetime.datetime.fromisoformat, (self.start, self.end or ""))
            return max(0.0, (ended - began).total_seconds())
        except (ValueError, TypeError):  # damaged, or one of them without a time zone
            return None

    @property
    def rate(self) -> float | None:
        """Cells a second over all that time; None while it is not known."""
        return self.cells / self.seconds if self.cells is not None and self.seconds else None

    def changes_since(self, earlier: RunRecord) -> list[tuple[str, str, str]]:
        """Code, versions and machine that differ from those of an earlier run: (what, then, now)."""
        then, current = _versions(earlier), _versions(self)
        names = dict.fromkeys([*then, *current])
        return [(n, then.get(n, ""), current.get(n, "")) for n in names if then.get(n, "") != current.get(n, "")]

    def ended(self, outcome: str, cells: int, workers_lost: int, workers: tuple[WorkerRecord, ...]) -> RunRecord:
        """The record at the end of the run."""
        ended = replace(self, end=now(), outcome=outcome, long=None)
        return replace(ended, cells=cells, workers_lost=workers_lost, workers=workers)


def changes_in_words(changes: Iterable[tuple[str, str, str]]) -> str:
    """What :meth:`RunRecord.changes_since` gives: ``numpy 2.3 → 2.4; machine a → b``; "" for nothing."""
    return "; ".join(f"{name} {then or 'none'} → {current or 'none'}" for name, then, current in changes)


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _known(record: Any, values: Any) -> dict[str, Any]:
    """Those of the values that are fields of a record."""
    return {f.name: values[f.name] for f in fields(record) if f.name in values} if isinstance(values, Mapping) else {}


def _versions(record: RunRecord) -> dict[str, str]:
    """What may change a number, and how the machine is called."""
    changed = " with changes" if record.code.git_dirty else ""
    return {
        "commit": f"{(record.code.git_commit or '')[:10]}{changed}",
        "code": record.code.identity[:10],
        "Python": record.python,
        "processor": record.processor,
        "machine": record.machine.host,
        **{name: str(version) for name, version in record.packages.items()},
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
