"""What one job of a batch system runs: workers of one thread each, which know when the job's time is over."""

from __future__ import annotations

import re
import shlex
import sys
from typing import Any

from dask.utils import parse_bytes

from spinsweep.deployment.cluster_file import Jobs, Ssh
from spinsweep.deployment.security import NO_DASHBOARD
from spinsweep.resources import CPU, GPU, MEMORY, THREAD_SETTINGS
from spinsweep.walltime import ENDS, LASTS, seconds_of

LONGEST_NAME = {"pbs": 15}  # characters that every version takes
USUAL_NAME = 80


def job_options(where: Jobs, title: str = "") -> dict[str, Any]:
    """What the batch system's class in dask-jobqueue is told about one job.

    Parameters
    ----------
    title : what the run computes; part of the job's name
    """
    return {
        "cores": where.processes * where.threads,
        "processes": where.processes,
        "memory": where.memory,
        "walltime": where.walltime,
        "queue": where.queue,
        "account" if where.kind in ("slurm", "pbs") else "project": where.account,
        "job_name": job_name(where, title),
        "job_extra_directives": list(where.directives),
        "job_script_prologue": [*where.prologue, *_exports(where), *_scratch(where)],
        "log_directory": str(where.logs),
        "local_directory": None if where.scratch is None else str(where.scratch),
        "python": python_command(where),
        "interface": where.interface,
        # the last of two equal options counts: numerical libraries use the threads, not Dask
        "worker_extra_args": [
            *("--nthreads", "1"),
            *("--resources", _offers(where)),
            *("--no-dashboard", "--dashboard-address", NO_DASHBOARD),
        ],
    }


def worker_memory(where: Jobs) -> int:
    """Bytes of one worker's share of its job."""
    return int(parse_bytes(where.memory)) // where.processes


def _offers(where: Jobs) -> str:
    gpus = f",{GPU}={where.gpus / where.processes:g}" if where.gpus else ""
    return f"{CPU}=1,{MEMORY}={worker_memory(where)}{gpus}"


def job_name(where: Jobs, title: str) -> str:
    """A name that every batch system takes."""
    name = re.sub(r"[^\w.-]+", "-", f"spinsweep-{title}", flags=re.ASCII).strip("-.")
    return name[: LONGEST_NAME.get(where.kind, USUAL_NAME)]


def walltime_s(where: Jobs) -> int:
    """The walltime of a job, s."""
    return seconds_of(where.walltime, pairs_are_hours=where.kind == "lsf")


def _exports(where: Jobs) -> list[str]:
    exports = {**where.environment, **dict.fromkeys(THREAD_SETTINGS, str(where.threads))}
    lasts = walltime_s(where)
    ends = f"export {ENDS}=${{SLURM_JOB_END_TIME:-$(($(date +%s) + {lasts}))}}"
    return [
        ends,
        f"export {LASTS}={lasts}",
        *(f"export {name}={shlex.quote(text)}" for name, text in exports.items()),
    ]


def _scratch(where: Jobs) -> list[str]:
    """A folder of the job's own, not one of /tmp that anyone could have made."""
    if where.scratch is not None:
        return []
    return ['export DASK_TEMPORARY_DIRECTORY="$(mktemp -d)"', "trap 'rm -rf $DASK_TEMPORARY_DIRECTORY' EXIT"]


def python_command(where: Jobs | Ssh) -> str:
    """How a command line starts Python there, so that no file of its current folder passes for a module."""
    return f"{where.python or sys.executable} -P"
