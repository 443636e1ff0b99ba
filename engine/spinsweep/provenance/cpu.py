"""The kind of processor, as far as it can change the last digits of a number."""

from __future__ import annotations

import ctypes
import platform
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any


def processor(*, with_torch: bool) -> str:
    """The processor's model and what libraries made of it: "AMD EPYC (25/17); OpenBLAS Zen; numpy X86_V3".

    Products and functions are computed by other instructions on another kind, and differ in the last digits.
    """
    chosen = [*(f"OpenBLAS {core}" for core in sorted(set(_openblas()))), *_simd()]
    if with_torch and "torch" in sys.modules:
        chosen.append(f"torch {sys.modules['torch'].backends.cpu.get_cpu_capability()}")
    return "; ".join([_model(), *chosen])


@cache
def _model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    about = dict(re.findall(r"^([\w ]+?)\s*:\s*(.*)$", text.partition("\n\n")[0], re.MULTILINE))
    name = about.get("model name") or platform.processor() or platform.machine()
    kind = [about[n] for n in ("cpu family", "model", "CPU implementer", "CPU part") if n in about]
    return f"{name} ({'/'.join(kind)})" if kind else name


def _openblas() -> Iterable[str]:
    """The kind of processor that each OpenBLAS in this process computes for."""
    try:
        text = Path("/proc/self/maps").read_text()
    except OSError:
        return
    paths = {line.split(maxsplit=5)[5] for line in text.splitlines() if "openblas" in line}
    for path in sorted(path for path in paths if ".so" in path):
        for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename"):
            try:
                core_name = ctypes.CDLL(path)[name]
            except (OSError, AttributeError):
                continue
            core_name.restype = ctypes.c_char_p
            yield core_name().decode()
            break


def _simd() -> list[str]:
    """The largest instruction set that NumPy uses beyond what it was built for."""
    core: Any = sys.modules.get("numpy._core._multiarray_umath")
    if core is None:
        return []
    used = [n for n in core.__cpu_dispatch__ if core.__cpu_features__.get(n)]
    return [f"numpy {used[-1] if used else 'baseline'}"]
