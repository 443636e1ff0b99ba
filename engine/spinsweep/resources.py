"""What workers offer: cores, and the names of the Dask resources that decide which worker a block goes to."""

from __future__ import annotations

import os

CPU = "cpu"
"""Offered by workers that compute, so that no such work lands on a worker that owns equipment."""
EXCLUSIVE = "exclusive"
"""Offered by a worker that owns equipment, such as a bench: it takes one block at a time, of measured sweeps only."""
MEMORY = "memory"
"""Bytes that a worker may use; what cells need decides how many blocks it gets at a time."""
GPU = "gpu"
"""GPUs that a worker sees, or a part of one."""
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables by which numerical libraries are told how many threads to use."""


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
