"""What this machine has for cells, memory and GPUs, and how many cells that need so much fit on it at a time."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spinsweep.errors import SpecError

USABLE = 0.95
"""Part of a machine's memory that cells may have: the rest is the driver's and the system's. A nanny of Dask ends its
worker there, too."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Variable that names the GPUs which a process may use."""
Devices = tuple[str, ...]
"""Names of GPUs, as ``CUDA_VISIBLE_DEVICES`` takes them."""


@dataclass(frozen=True)
class Machine:
    """What there is for cells."""

    memory: int
    """Bytes that all of them may use."""
    gpus: Devices = ()

    @classmethod
    @cache
    def here(cls) -> Machine:
        """This machine, or the part of it that this process was given."""
        return cls(int(USABLE * memory_limit()), gpus())

    def at_a_time(self, workers: int, memory: int | None, gpu: float | None) -> int:
        """How many of ``workers`` processes fit, in each of which a cell has that memory and those GPUs.

        Raises
        ------
        SpecError
            Not even one fits.
        """
        if memory is not None:
            if memory > self.memory:
                raise SpecError(
                    f"a cell needs memory of {in_words(memory)}, and this machine has {in_words(self.memory)} for "
                    "cells; give --memory less, or compute on workers that have more (--cluster)"
                )
            workers = min(workers, self.memory // memory)
        if gpu is not None:
            shares = deal(self.gpus, gpu)
            if not shares:
                has = f"{len(self.gpus)} GPU{'s' if len(self.gpus) > 1 else ''}" if self.gpus else "no GPU"
                raise SpecError(
                    f"a cell needs gpu={gpu:g}, and this machine has {has} that can be seen ({VISIBLE}, nvidia-smi); "
                    "compute on workers that have more (--cluster)"
                )
            workers = min(workers, len(shares))
        return workers


def deal(devices: Sequence[str], gpu: float) -> list[Devices]:
    """The devices of each process that can compute at a time, where a cell needs ``gpu`` of them.

    A part of a GPU is of one device; several whole ones are one cell's alone.
    """
    if gpu < 1:
        times = math.floor(1 / gpu + 1e-9)
        return [(device,) for _ in range(times) for device in devices]  # few processes get a device each
    each = int(gpu)
    return [tuple(devices[i : i + each]) for i in range(0, len(devices) - each + 1, each)]


def memory_limit(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """Bytes that processes of this machine may use together: of its control groups or its Slurm job, if less.

    (Dask looks at the control group that a container sees as the outermost; a batch system limits one within it.)
    """
    import psutil  # late: for sweeps that ask

    return min(int(psutil.virtual_memory().total), *_control_group_limits(root), *_slurm_limits(environment), 2**63)


def _control_group_limits(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # another system
        return
    base = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, file = base, "memory.max"
        elif "memory" in controllers.split(","):
            top, file = base / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        while group.is_relative_to(top):
            with suppress(OSError, ValueError):  # "max", or a container that does not see it
                yield int((group / file).read_text())
            group = group.parent


def _slurm_limits(environment: Mapping[str, str]) -> Iterator[int]:
    if "SLURM_JOB_ID" not in environment:
        return
    of_node, of_cpu = (environment.get(f"SLURM_MEM_PER_{what}", "") for what in ("NODE", "CPU"))
    cpus = environment.get("SLURM_CPUS_ON_NODE", "")
    if of_node.isdecimal() and int(of_node):  # 0: all
        yield int(of_node) << 20
    elif of_cpu.isdecimal() and cpus.isdecimal() and int(of_cpu):
        yield int(of_cpu) * int(cpus) << 20


def gpus(environment: Mapping[str, str] = os.environ) -> Devices:
    """The GPUs that this process may use; nothing of CUDA is loaded for that."""
    if (named := environment.get(VISIBLE)) is not None:
        return _named(named)
    of_container = environment.get("NVIDIA_VISIBLE_DEVICES", "all")
    if of_container in ("", "void", "none"):
        return ()
    return () if (program := shutil.which("nvidia-smi")) is None else _listed(program)


def _named(text: str) -> Devices:
    """As CUDA reads them: what follows a name of nothing is not seen."""
    names = []
    for name in map(str.strip, text.split(",")):
        if not name or name.startswith("-"):
            break
        names.append(name)
    return tuple(names)


def _listed(program: str) -> Devices:
    """By UUID: CUDA numbers them in another order than ``nvidia-smi``, unless it is told. Of a GPU that is cut into
    instances (MIG), these."""
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # no driver, or one that hangs
        return ()
    names: list[str] = []
    whole = False  # whether the last name is of a GPU
    for name in re.findall(r"\(UUID: ((?:GPU|MIG)-[\w/-]+)\)", listed):
        if whole and name.startswith("MIG"):
            names.pop()
        names.append(name)
        whole = name.startswith("GPU")
    return tuple(names)


def in_words(size: int) -> str:
    """Bytes as a person says them, such as "2 GiB"."""
    units = {"TiB": 40, "GiB": 30, "MiB": 20}
    unit, power = next(((u, p) for u, p in units.items() if size >= 0.9 * 2**p), ("kiB", 10))
    return f"{size / 2**power:.3g} {unit}"
