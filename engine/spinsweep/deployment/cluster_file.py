"""The cluster file: where the workers of a run come from.

One file a deployment, TOML or YAML, parsed as data: what goes into a job script or a remote command line is
restricted to characters that no shell acts on, or quoted.  Paths are relative to the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from dask.utils import parse_bytes
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from spinsweep.axis import closest
from spinsweep.deployment.security import is_address
from spinsweep.errors import RunnerError
from spinsweep.files import first_mistake, read, toml, yaml
from spinsweep.printable import brief
from spinsweep.resources import cpu_count

SUFFIXES = (".toml", ".yaml", ".yml")
UNTRIED = {
    **dict.fromkeys(("pbs", "sge", "lsf"), "the job scripts were checked, and never submitted"),
    "kubernetes": "the manifests were checked against their schemas, and never started",
    "gpu": "it was never run on a machine with a GPU",
}
"""Kinds that nobody could try so far, and how far they were."""
WORD = r"[\w./:@%+=,~-]+"
"""What a shell takes as one word and does not act on."""


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    try:
        return folder / path.expanduser()
    except RuntimeError:
        raise ValueError(f"this machine has no user {path.parts[0]}") from None


def _address_or_beside(text: str, info: ValidationInfo) -> str:
    return text if is_address(text) else str(_beside(Path(text), info))


def _one_word(path: Path) -> Path:
    if not re.fullmatch(WORD, str(path)):
        raise ValueError(f"{path} goes into a command line: letters, digits and ./:@%+=,~- only")
    return path


def _memory(text: str) -> str:
    try:
        parse_bytes(text)  # ValueError says what it takes
    except OverflowError:
        raise ValueError("is more than any machine has") from None
    return text


Count = Annotated[int, Field(ge=1, le=100_000)]
Port = Annotated[int, Field(ge=0, le=65535)]
Word = Annotated[str, Field(pattern=f"^{WORD}$")]
Host = Annotated[str, Field(pattern=r"^[\w.:-]+$")]
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
Memory = Annotated[str, Field(pattern=r"^[0-9.]+ ?[A-Za-z]+$"), AfterValidator(_memory)]
PathBeside = Annotated[Path, AfterValidator(_beside)]
WordPath = Annotated[Path, AfterValidator(_beside), AfterValidator(_one_word)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @property
    def advice(self) -> str:
        """What to look at when no worker comes for long; empty: nothing is known."""
        return ""

    @property
    def untried(self) -> str:
        """What of this kind was never run by its authors, in words; empty: it was run."""
        return UNTRIED.get(getattr(self, "kind", ""), "")


class _Workers(_Part):
    workers: Count
    """Worker processes of one thread each; with ``minimum``, at most."""
    minimum: Annotated[int, Field(ge=0)] | None = None
    """At least; the number then follows the work. None: always ``workers``."""

    @model_validator(mode="after")
    def _ordered(self) -> _Workers:
        if self.minimum is not None and self.minimum > self.workers:
            raise ValueError(f"minimum is {self.minimum}, above workers, which is {self.workers}")
        return self

    @property
    def least(self) -> int:
        """How many workers there are at least."""
        return self.workers if self.minimum is None else self.minimum


class Local(_Workers):
    """Processes of this machine, on loopback."""

    kind: Literal["local"] = "local"
    """Where the workers run."""
    workers: Annotated[int, Field(ge=0, le=100_000)] = Field(default_factory=cpu_count)
    """None given: one for each core; 0 computes in the driver, without Dask."""

    def at_most(self, workers: int) -> Local:
        """The same with ``workers`` processes, if it has more."""
        least = None if self.minimum is None else min(self.minimum, workers)
        return Local(workers=min(self.workers, workers), minimum=least)


class _Secured(_Part):
    tls: PathBeside | None = None
    """Folder of certificates that ``spinsweep certs`` made; the command line's --tls comes first."""


class Jobs(_Workers, _Secured):
    """Jobs of a batch system, whose workers compute; the scheduler runs in the driver. Needs the extra ``slurm``."""

    kind: Literal["slurm", "pbs", "sge", "lsf"]
    """Which batch system."""
    memory: Memory = Field(examples=["4GiB"])
    """Of one job, such as ``"4GiB"``."""
    walltime: Annotated[str, Field(pattern=r"^(\d+-)?\d+(:\d\d){1,2}$", examples=["01:00:00"])]
    """Longest life of one job, such as ``"01:00:00"``. Its workers leave in time, and another job follows."""
    processes: Annotated[int, Field(ge=1, le=1000)] = 1
    """Workers in one job, which share its memory."""
    threads: Annotated[int, Field(ge=1, le=1000)] = 1
    """Cores of one worker, for its numerical libraries; it computes one block at a time."""
    gpus: Annotated[int, Field(ge=0, le=1000)] = 0
    """GPUs of one job, which its workers share; a directive such as ``"--gres=gpu:1"`` asks for them."""
    prologue: tuple[Line, ...] = ()
    """Lines of shell before the workers start, such as ``"module load python"``."""
    queue: Word | None = None
    """Queue or partition; empty: the batch system's default."""
    account: Word | None = None
    """Account (Slurm, PBS) or project (SGE, LSF) that the jobs are booked on."""
    directives: tuple[Line, ...] = ()
    """Further directives of the job script without their prefix, such as ``"--exclude=node7"``."""
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Line] = {}
    """Environment variables of the workers."""
    interface: Word = "lo"
    """Network interface of the nodes by which workers and scheduler talk, such as ``"ib0"``."""
    scheduler_interface: Word | None = None
    """That of this machine, where it has another name."""
    port: Port = 0
    """Of the scheduler; 0: any. A lane that is to find it needs one that stays."""
    python: Word | None = None
    """Python of the nodes in which spinsweep is installed; None: this one's path."""
    scratch: WordPath | None = None
    """Folder on the nodes where workers spill, which others must not be able to write; None: one for the job."""
    logs: WordPath = Path("logs")
    """Folder where jobs leave their logs; not given: ``logs`` in the current one."""

    @property
    def driver_interface(self) -> str:
        """Network interface of this machine, where the scheduler listens."""
        return self.scheduler_interface or self.interface

    @property
    def advice(self) -> str:
        """Why no worker may have come."""
        return (
            "no worker yet: the jobs are queued, or ended before their worker came, which are not replaced; "
            f"look into {self.logs}"
        )


class Ssh(_Secured):
    """Workers on hosts that are reached over SSH, by keys. Needs the extra ``ssh``."""

    kind: Literal["ssh"]
    """Where the workers run."""
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    """Where workers run."""
    workers_per_host: Count = 1
    """Worker processes on each host."""
    scheduler: Host | None = None
    """Host on which the scheduler runs; None: the first."""
    listen: Host = "127.0.0.1"
    """Address of that host on which the scheduler listens, so that the others and this machine reach it."""
    port: Port = 0
    """Of the scheduler; 0: any."""
    ssh_port: Annotated[int, Field(ge=1, le=65535)] = 22
    """On which the hosts' SSH servers listen."""
    user: Word | None = None
    """Account on the hosts; None: as the SSH configuration says, else this one's name."""
    keys: tuple[PathBeside, ...] = ()
    """Private keys; empty: those of the agent and of ``~/.ssh``."""
    known_hosts: PathBeside | None = None
    """File with the hosts' keys; None: ``~/.ssh/known_hosts``. A host that is not in it is refused."""
    python: Word | None = None
    """Python of the hosts in which spinsweep is installed; None: this one's path."""

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self.hosts) * self.workers_per_host


class Kubernetes(_Workers):
    """Pods that the Dask operator starts. Needs the extra ``kubernetes``, and the operator in the cluster."""

    kind: Literal["kubernetes"]
    """Where the workers run."""
    manifest: PathBeside
    """A ``DaskCluster`` in YAML; its number of replicas is replaced by ``workers``."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")] | None = None
    """None: that of the kubeconfig's context."""
    timeout_s: Annotated[int, Field(ge=1)] = 120
    """Seconds that the scheduler's pod may take."""


class Gpu(_Part):
    """One worker for each GPU of this machine, on loopback. Needs the extra ``gpu``."""

    kind: Literal["gpu"]
    """Where the workers run."""
    workers: Count | None = None
    """None: as many as there are GPUs."""
    memory: Memory | None = Field(None, examples=["4GiB"])
    """Of one worker, on the host; None: its share."""


class Running(_Secured):
    """A scheduler that runs already."""

    kind: Literal["scheduler"]
    """Where the workers run."""
    address: Annotated[str, Field(min_length=1), AfterValidator(_address_or_beside)]
    """``tls://HOST:PORT``, ``tcp://HOST:PORT``, or the path of the scheduler file that it wrote."""

    @property
    def workers(self) -> None:
        """Not known before it is asked."""


Deployment = Local | Jobs | Ssh | Kubernetes | Gpu | Running
KINDS: dict[str, type[Deployment]] = {
    kind: model for model in get_args(Deployment) for kind in get_args(model.model_fields["kind"].annotation)
}


def load(path: Path) -> Deployment:
    """The deployment in a cluster file.

    Raises
    ------
    RunnerError
        One line: the file, the key, what is wrong and what would be right.
    """
    parser = toml if path.suffix == ".toml" else yaml
    return parse(read(path, "a cluster file in TOML or YAML", RunnerError, parser), path)


def parse(raw: Any, path: Path) -> Deployment:
    """The deployment in a mapping, checked; ``path`` is the file that it comes from."""
    kinds = f"it is one of {', '.join(KINDS)}"
    if not isinstance(raw, Mapping) or "kind" not in raw:
        raise RunnerError(f"{path}: kind: is missing; {kinds}")
    kind = raw["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        similar = closest(kind, list(KINDS)) if isinstance(kind, str) else ""
        raise RunnerError(f"{path}: kind: there is no {brief(kind)}{similar}; {kinds}")
    model = KINDS[kind]
    try:
        text = json.dumps(raw, default=str)
    except (TypeError, ValueError):  # in YAML
        raise RunnerError(f"{path}: has a key that is not text, such as a date or a list") from None
    try:
        return model.model_validate_json(text, context={"folder": path.absolute().parent})
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]["type"]
        location, message, value_text = first_mistake(error)
        known = [name for name in model.model_fields if name != "kind"]
        hint = ""
        if mistake == "too_short":
            message = "is empty; give at least one"
        if mistake == "extra_forbidden":
            message = f"{kind} has no such key{closest(location, known)}"
            hint = f"; {kind} takes {', '.join(known)}"
        field = model.model_fields.get(location)
        if field is not None and field.examples and mistake != "missing":
            message = f"must look like {json.dumps(field.examples[0])}"
        raise RunnerError(f"{path}: {location}: {message}{value_text}{hint}") from None
