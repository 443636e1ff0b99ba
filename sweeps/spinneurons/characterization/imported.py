"""A laboratory's log as a sweep: the cells read what was recorded instead of measuring the model.

Its cube has the layout of a simulated characterization, so that fits, figures and cards do not care which it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spinneurons.characterization.analysis import analyse
from spinneurons.characterization.log_files import dataset
from spinneurons.characterization.sweep import SWEEP
from spinneurons.logs.cycles import Cycles
from spinneurons.logs.table import LogError
from spinneurons.neurons import card as cards
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Value
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cell
from spinsweep.spec import Dim, Output, Parameter, Sweep

LAWS = tuple(law.name for law in family_of(cards.default()).laws)
FLAGS = 50  # labels of a text column that are also written as flags
RAW = ("i_write", "r_reset", "r_write")


@dataclasses.dataclass(frozen=True)
class ImportedLog:
    """The block function of a log: the readings of one device, decided and fitted."""

    log: xr.Dataset
    per_cell = True

    def __call__(self, cell: Cell) -> dict[str, Any]:
        """Outputs of the device at ``cell["width"]`` (um), ``cell["device"]``; stream ``bootstrap``."""
        device = self.log.sel(width=cell["width"], device=cell["device"])
        raw = {str(name): device[name].values for name in device.data_vars}
        p, family = cell.params, family_of(cards.default()).with_reset_state(cell.params["reset_state"])
        readings = tuple(raw[reading.name] for reading in family.readings)
        results = analyse(
            family, raw["i_write"], readings, family.law(p["link"]), cell.rng("bootstrap"), p["resamples"]
        )
        return {**raw, **results.values}


def recorded(
    log: Cycles, paths: Sequence[Path], said: Mapping[str, Any], link: str, reset_state: int, resamples: int
) -> Sweep:
    """The sweep of the log in files.

    Parameters
    ----------
    said : what the user said of the files, as JSON; with their contents it makes the log what it is

    Raises
    ------
    SpecError
        A cycle stands twice in the log.
    """
    try:
        readings = dataset(log, paths)
    except LogError as error:
        raise SpecError(str(error)) from None
    extra: list[Output] = []
    for name in set(readings.data_vars) - {*RAW, "recorded"}:
        readings[name], output = _further(str(name), readings[name])
        extra.append(output)
    names = ", ".join(path.name for path in paths)
    recording = {"file": names, "sha256": _digest(paths, said)}
    levels = "-1: the reset level is the low one; 1: the high one"
    cycles: tuple[Value, ...] = tuple(int(c) for c in readings["cycle"].values)
    return dataclasses.replace(
        SWEEP,
        title=f"Switching curves recorded in {names}",
        axes=(
            dataclasses.replace(SWEEP.axis("width"), values=tuple(readings["width"].values.tolist())),
            dataclasses.replace(SWEEP.axis("device"), values=tuple(int(d) for d in readings["device"].values)),
        ),
        dims=(
            Dim("current", readings.sizes["current"], long_name="write current, index"),
            Dim("cycle", values=cycles, long_name="cycle"),
        ),
        outputs=(
            *SWEEP.outputs,
            Output("recorded", ("current", "cycle"), "bool", long_name="row present in the log"),
            *sorted(extra, key=lambda o: o.name),
        ),
        parameters=(
            Parameter("link", link, help="switching curve that was fitted", choices=LAWS),
            Parameter("reset_state", reset_state, help=levels, choices=(-1, 1)),
            Parameter("resamples", resamples, help="bootstrap resamples", low=10, high=1_000_000),
            Parameter("recording", recording, help="the log", fingerprint=lambda r: r["sha256"]),
        ),
        function=ImportedLog(readings),
        outputs_of=None,
        source="",
    )


def _digest(paths: Sequence[Path], said: Mapping[str, Any]) -> str:
    """SHA-256 of a file; of several, or where something was said of them, of all that."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    if len(digests) == 1 and not said:
        return digests[0]
    return hashlib.sha256(json.dumps([digests, said], sort_keys=True).encode()).hexdigest()


def is_recorded(log: xr.Dataset, width: Value, device: Value) -> bool:
    """Whether the log has any row of a device."""
    return bool(log["recorded"].sel(width=width, device=device).any())


def _further(name: str, column: xr.DataArray) -> tuple[xr.DataArray, Output]:
    """A further column as numbers: itself, or for text the index of its value in ``labels``, -1 for no value."""
    dims = tuple(str(d) for d in column.dims[2:])
    long_name = str(column.attrs["long_name"])
    if column.dtype.kind == "f":
        return column, Output(name, dims, unit=str(column.attrs["units"]), long_name=long_name)
    texts, codes = np.unique(column.values.astype(str), return_inverse=True)
    labels = [str(v) for v in texts if v]
    codes = (codes - (1 if "" in texts else 0)).reshape(column.shape).astype(np.int32)
    attrs: dict[str, Any] = {"labels": json.dumps(labels)}
    if len(labels) <= FLAGS:
        attrs |= {"flag_values": list(range(len(labels))), "flag_meanings": " ".join(_word(v) for v in labels)}
    return column.copy(data=codes), Output(name, dims, "int32", long_name=long_name, attrs=attrs)


def _word(label: str) -> str:
    return "_".join(label.split()) or "_"
