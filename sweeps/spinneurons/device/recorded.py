"""What the auxiliary instruments of a bench recorded (a temperature, a field), as outputs of what is measured on it.

A bench without such instruments adds none: its cubes have the variables that they had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from spinsweep.bench.auxiliary import columns
from spinsweep.bench.bench_file import Bench
from spinsweep.outputs import Output
from spinsweep.spec import Sweep

OutputsOf = Callable[[Mapping[str, Any]], tuple[Output, ...]]
STATISTICS: dict[str, Callable[[Any], Any]] = {"mean": np.mean, "min": np.min, "max": np.max}


def by_train(bench: Bench, sweep: Sweep, dim: str) -> OutputsOf | None:
    """Outputs of the sweep with a variable of ``dim`` for each column, one value a train."""
    return _with_more(sweep, [_output(bench, name, "", (dim,)) for name in columns(bench.auxiliary)])


def by_cell(bench: Bench, sweep: Sweep) -> OutputsOf | None:
    """Outputs of the sweep with the mean, least and largest value of each column in a cell."""
    return _with_more(
        sweep, [_output(bench, name, kind, ()) for name in columns(bench.auxiliary) for kind in STATISTICS]
    )


def mean_of_train(bench: Bench, measured: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """By column: the mean of what was measured at the begin and the end of a train; NaN if nothing was."""
    return {name: _statistic(measured, name, np.mean) for name in columns(bench.auxiliary)}


def of_cell(bench: Bench, measured: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The outputs of :func:`by_cell` from all that was measured in a cell's trains."""
    rows = list(measured)
    return {
        f"{name}_{kind}": _statistic(rows, name, function)
        for name in columns(bench.auxiliary)
        for kind, function in STATISTICS.items()
    }


def _statistic(measured: Iterable[Mapping[str, float]], name: str, function: Callable[[Any], Any]) -> float:
    values = [row[name] for row in measured if name in row]
    return float(function(values)) if values else float("nan")


def _output(bench: Bench, name: str, kind: str, dims: tuple[str, ...]) -> Output:
    column = columns(bench.auxiliary)[name]
    what = f"{column.quantity} by {column.instrument} ({bench.auxiliary[column.instrument].driver})"
    if not kind:
        return Output(name, dims, unit=column.unit, long_name=f"{what}, mean of begin and end of the train")
    return Output(f"{name}_{kind}", dims, unit=column.unit, long_name=f"{what}, {kind} of the cell")


def _with_more(sweep: Sweep, more: list[Output]) -> OutputsOf | None:
    if not more or sweep.outputs_of is None:
        return sweep.outputs_of
    return partial(_joined, sweep.outputs_of, tuple(more))


def _joined(outputs_of: OutputsOf, more: tuple[Output, ...], params: Mapping[str, Any]) -> tuple[Output, ...]:
    return (*outputs_of(params), *more)
