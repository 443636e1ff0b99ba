"""Files of a laboratory's log as the labelled arrays of a characterization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from spinneurons.characterization.sweep import SWEEP
from spinneurons.logs import registry
from spinneurons.logs.cycles import Cycles, PlausibleRange, arrays, cycles
from spinneurons.logs.mapping import LogMapping, mapped
from spinneurons.neurons.parameters import WIDTH
from spinsweep.axis import Axis
from spinsweep.spec import RESERVED, Dim, Output

LIMITS = PlausibleRange(width=(WIDTH.low or 0.0, WIDTH.high or math.inf), current=0.1)
"""Widths are those of the axis. 0.1 A is 15 times what the built-in card gives for the widest bar; a narrow bar's
current written in mA is above it."""

_DECLARED: tuple[Axis | Dim | Output, ...] = (*SWEEP.axes, *SWEEP.dims, *SWEEP.outputs)
_ATTRIBUTES = {d.name: {"units": d.unit, "long_name": d.long_name} for d in _DECLARED}

TAKEN = {"width", "current", "recorded", *RESERVED, *(o.name for o in SWEEP.outputs)}
"""Names of the cube; a further column of such a name gets ``log_`` before it."""


def understood(paths: Sequence[str | Path], mapping: LogMapping | None = None, polarity: str = "") -> Cycles:
    """The cycles in files, and how they were understood.

    Raises
    ------
    LogError
        A file cannot be read, lacks a quantity, or holds a value that cannot be.
    """
    said = mapping or LogMapping()
    return cycles([mapped(registry.read(path), said) for path in paths], LIMITS, polarity)


def read(*paths: str | Path, mapping: LogMapping | None = None, polarity: str = "") -> xr.Dataset:
    """The readings in files, one row a cycle, as arrays over (width, device, current, cycle).

    See :func:`spinneurons.logs.cycles.arrays` for what is returned.

    Raises
    ------
    LogError
        A file cannot be read, lacks a quantity, or has a malformed or repeated row; nothing is returned then.
    """
    return dataset(understood(paths, mapping, polarity), paths)


def dataset(log: Cycles, paths: Sequence[str | Path]) -> xr.Dataset:
    """The cycles of these files as arrays."""
    return arrays(log, _ATTRIBUTES, TAKEN, ", ".join(Path(path).name for path in paths))
