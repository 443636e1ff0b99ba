"""What a batch system says of the jobs that it was given: why one ended, or does not begin."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANSWER_S = 5.0  # that a command of the batch system may take
NOTE_S = 1.0  # between looks at the cluster's jobs
GOES_ON = ("RUNNING", "R")  # states of a job whose worker was started again
SHOWN = 3  # reasons that are shown of many


@dataclass(frozen=True)
class JobState:
    """One job, in the batch system's words."""

    job: str
    state: str
    reason: str = ""

    @property
    def in_words(self) -> str:
        """Such as ``job 12: PENDING (Resources)``."""
        has_reason = self.reason not in ("", "None", self.state)
        return f"job {self.job}: {self.state}" + (f" ({self.reason})" if has_reason else "")


class BatchJobs:
    """The jobs of a cluster of dask-jobqueue.

    Parameters
    ----------
    kind : of the batch system
    cluster : a ``dask_jobqueue.JobQueueCluster``
    """

    def __init__(self, kind: str, cluster: Any) -> None:
        self._ask = STATES.get(kind)
        self._cluster = cluster
        self._jobs: dict[str, str] = {}  # by the name of the worker
        self._note_at = 0.0

    def note(self) -> None:
        """Remember the jobs of workers, which the cluster forgets when they are gone; cheap enough for any time."""
        if time.monotonic() < self._note_at:
            return
        self._note_at = time.monotonic() + NOTE_S
        for name, job in list(self._cluster.workers.items()):
            if getattr(job, "job_id", None):
                self._jobs[str(name)] = str(job.job_id)

    def why_gone(self, worker: str) -> str:
        """What the batch system says of the job of a worker of that name; empty: nothing, or the job goes on."""
        job = next((job for name, job in self._jobs.items() if worker == name or worker.startswith(f"{name}-")), None)
        states = self.states([job]) if job is not None else []
        return states[0].in_words if states and states[0].state not in GOES_ON else ""

    def why_waiting(self) -> str:
        """What it says of the jobs that there are; empty: nothing."""
        states = self.states([str(job.job_id) for job in self._cluster.workers.values() if job.job_id])
        by_reason: dict[tuple[str, str], JobState] = {}
        for state in states:
            by_reason.setdefault((state.state, state.reason), state)
        return ", ".join(state.in_words for state in list(by_reason.values())[:SHOWN])

    def states(self, jobs: Sequence[str]) -> list[JobState]:
        """Of those jobs that the batch system knows."""
        if self._ask is None or not jobs:
            return []
        try:
            return self._ask(jobs)
        except (OSError, subprocess.SubprocessError, ValueError):  # the command is not here, or does not answer
            return []


def _slurm(jobs: Sequence[str]) -> list[JobState]:
    text = _said("squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(jobs)}")
    states = _parsed(text)
    if states:  # a few minutes after a job has ended, only the accounting knows it, where there is one
        return states
    columns = ("--noheader", "--allocations", "--parsable2", "--format=JobID,State,Reason")
    return _parsed(_said("sacct", *columns, f"--jobs={','.join(jobs)}"))


def _parsed(text: str) -> list[JobState]:
    return [JobState(*line.split("|")[:3]) for line in text.splitlines() if line.count("|") >= 2]


def _pbs(jobs: Sequence[str]) -> list[JobState]:
    states = []
    for part in _said("qstat", "-x", "-f", *jobs).split("Job Id: ")[1:]:
        fields = dict(re.findall(r"^\s+(\w+) = (.*)$", part, re.MULTILINE))
        state = fields.get("job_state", "?")
        if "Exit_status" in fields:
            state += f", exit status {fields['Exit_status']}"
        states.append(JobState(part.split()[0], state, fields.get("comment", "")))
    return states


STATES: Mapping[str, Callable[[Sequence[str]], list[JobState]]] = {"slurm": _slurm, "pbs": _pbs}


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False).stdout
