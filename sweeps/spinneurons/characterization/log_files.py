"""Files of a laboratory's log as the labelled arrays of a characterization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from spinneurons.characterization.sweep import SWEEP
from spinneurons.logs import registry
from spinneurons.logs.arrays import ArrayNames, arrays
from spinneurons.logs.completion import cycles
from spinneurons.logs.cycles import Cycles, PlausibleRange, Selection
from spinneurons.logs.mapping import LogMapping, mapped
from spinneurons.logs.table import LogError
from spinneurons.neurons.parameters import WIDTH
from spinsweep.axis import Axis
from spinsweep.outputs import Dim, Output
from spinsweep.spec import RESERVED

LIMITS = PlausibleRange(width=(WIDTH.low or 0.0, WIDTH.high or math.inf), current=0.1, pulse=10.0)
"""Widths are those of the axis. 0.1 A is 15 times what the built-in card gives for the widest bar; a narrow bar's
current written in mA is above it. No pulse that switches a device takes ten seconds; one written in ms or us does."""

_DECLARED: tuple[Axis | Dim | Output, ...] = (*SWEEP.axes, *SWEEP.dims, *SWEEP.outputs)
COUNTED = (
    Output("n_switched", ("current",), "int64", long_name="write pulses that switched"),
    Output("n_valid", ("current",), "int64", long_name="write pulses"),
)
"""Of a log of counts, in place of readings and cycles."""
NAMES = ArrayNames(
    {d.name: {"units": d.unit, "long_name": d.long_name} for d in _DECLARED},
    taken={
        "width", "current", "polarity", "recorded", "decided_by", "rows_digest", *RESERVED,
        *(o.name for o in (*SWEEP.outputs, *COUNTED)),
    },
)  # fmt: skip


def understood(
    paths: Sequence[str | Path], mapping: LogMapping | None = None, selection: Selection | None = None
) -> Cycles:
    """The cycles in files, and how they were understood.

    Raises
    ------
    LogError
        A file cannot be read, lacks a quantity, or holds a value that cannot be.
    """
    said, chosen = mapping or LogMapping(), selection or Selection()
    if (count := len(chosen.axis_values)) and count != len(paths):
        raise LogError(f"--axis {chosen.axis}: {count} for {len(paths)} files; it takes one value for each")
    files = [mapped(registry.read(path), said, chosen.axis) for path in paths]
    if chosen.axis_values:
        files = [replace(f, axis_value=value) for f, value in zip(files, chosen.axis_values, strict=True)]
    return cycles(files, LIMITS, chosen)


def read(*paths: str | Path, mapping: LogMapping | None = None, selection: Selection | None = None) -> xr.Dataset:
    """The readings in files as arrays; see :func:`spinneurons.logs.arrays.arrays` for what is returned.

    Raises
    ------
    LogError
        A file cannot be read, lacks a quantity, or has a malformed or repeated row; nothing is returned then.
    """
    return arrays(understood(paths, mapping, selection), NAMES)
