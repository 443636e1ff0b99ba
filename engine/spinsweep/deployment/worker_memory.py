"""How much memory one worker of a deployment has, as far as its files say."""

from __future__ import annotations

import re
from contextlib import suppress

from spinsweep.deployment.check import dask_cluster
from spinsweep.deployment.cluster_file import Deployment, Jobs, Kubernetes
from spinsweep.deployment.job_script import worker_memory

FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
"""Suffixes of Kubernetes' quantities."""


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
        with suppress(KeyError, IndexError, TypeError):
            container = dask_cluster(where)["spec"]["worker"]["spec"]["containers"][0]
            return _quantity(str(container["resources"]["limits"]["memory"]))
    return None


def _quantity(text: str) -> int | None:
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text.strip())
    return None if match is None or match[2] not in FACTORS else int(float(match[1]) * FACTORS[match[2]])
