"""How much memory one worker of a deployment has, as far as its files say."""

from __future__ import annotations

from contextlib import suppress

from dask.utils import parse_bytes

from spinsweep.deployment.check import dask_cluster
from spinsweep.deployment.cluster_file import Deployment, Jobs, Kubernetes
from spinsweep.deployment.job_script import worker_memory


def memory_of_worker(where: Deployment) -> int | None:
    """Bytes of one worker; None: the files do not say.

    Raises
    ------
    RunnerError
        The manifest of a Kubernetes cluster cannot be read.
    """
    if isinstance(where, Jobs):
        return worker_memory(where)
    if isinstance(where, Kubernetes):
        with suppress(KeyError, IndexError, TypeError, ValueError):
            container = dask_cluster(where)["spec"]["worker"]["spec"]["containers"][0]
            return int(parse_bytes(str(container["resources"]["limits"]["memory"])))
    return None
