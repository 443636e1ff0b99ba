"""A laboratory's log as a sweep: the cells read what was recorded instead of measuring the model.

Its cube has the layout of a simulated characterization, so that fits, figures and cards do not care which it is.
Where bars are no product of widths and devices, ``device`` is the axis and ``width`` a coordinate of it.  A log of
counts has ``n_switched`` and ``n_valid`` at each current, and no cycles.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinneurons.characterization.analysis import analyse
from spinneurons.characterization.decisions import METHODS, DecisionRule, DeviceDecision, decide, mixture, of_counts
from spinneurons.characterization.log_files import COUNTED, NAMES
from spinneurons.characterization.sweep import SWEEP
from spinneurons.logs.arrays import arrays
from spinneurons.logs.cycles import SECONDS, Condition, Cycles, moments_of
from spinneurons.logs.table import LogError
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import LevelMixture
from spinneurons.neurons.registry import family_of
from spinsweep import moments
from spinsweep.axis import Axis, Value, key
from spinsweep.errors import SpecError
from spinsweep.evaluate import Cell
from spinsweep.outputs import Coordinate, Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep
from spinsweep.views import View

LAWS = tuple(law.name for law in family_of(cards.default()).laws)
FLAGS = 50  # labels of a text column that are also written as flags
RAW = ("i_write", "r_reset", "r_write", "n_switched", "n_valid", "recorded")
READINGS = ("r_reset", "r_write", "switched", "valid")
DIMS = ("current", "cycle")
METHOD_FLAGS = {"flag_values": list(range(len(METHODS))), "flag_meanings": " ".join(METHODS)}


@dataclasses.dataclass(frozen=True)
class Understanding:
    """What the user says of a log beside its columns, and what an import does with it."""

    rule: DecisionRule = dataclasses.field(default_factory=DecisionRule)
    link: str = "logistic"
    resamples: int = 1000


@dataclasses.dataclass(frozen=True)
class ImportedLog:
    """The block function of a log: the readings of one device, decided and fitted."""

    log: xr.Dataset
    reset_read: bool
    """Whether there are readings after reset."""
    kept: xr.Dataset | None = None
    """A cube whose cells of the same rows stay as they are."""
    per_cell = True
    data_attributes = ("log", "kept")

    def __call__(self, cell: Cell) -> dict[str, Any]:
        """Outputs of the cell's device; stream ``bootstrap``."""
        one = self.log.sel({name: cell.coords[name] for name in self.axes})
        raw: dict[str, Any] = {str(name): one[name].values for name in one.data_vars}
        raw["rows_digest"] = digest(one)
        if (kept := self._kept(cell.coords, raw["rows_digest"])) is not None:
            results = [str(n) for n in kept.data_vars if n not in raw and not str(n).startswith("cell_")]
            return {**raw, **_fitted_into(kept[results], one)}
        p = cell.params
        decision = self.decision(cell.coords, DecisionRule.of(p["reset_state"], p["decision"]))
        levels = self.mixture(cell.coords, decision)
        law, rng = family_of(cards.default()).law(p["link"]), cell.rng("bootstrap")
        analysis = analyse(decision.decision, levels, raw["i_write"], law, rng, p["resamples"])
        values = {n: v for n, v in analysis.values.items() if n not in READINGS or "n_switched" not in raw}
        return {**raw, **values, "decided_by": METHODS.index(decision.method)}

    @property
    def axes(self) -> tuple[str, ...]:
        """Index axes of the log."""
        return tuple(str(d) for d in self.log["recorded"].dims if d not in DIMS)

    def cells(self) -> Iterator[dict[str, Value]]:
        """Coordinates of the cells that have rows."""
        any_row = self.log["recorded"].any([d for d in DIMS if d in self.log["recorded"].dims])
        for index in np.argwhere(any_row.transpose(*self.axes).values):
            yield {name: _plain(self.log[name].values[i]) for name, i in zip(self.axes, index, strict=True)}

    def is_recorded(self, coords: Mapping[str, Value]) -> bool:
        """Whether the log has any row of a cell."""
        return bool(self.log["recorded"].sel({name: coords[name] for name in self.axes}).any())

    def decision(self, coords: Mapping[str, Value], rule: DecisionRule) -> DeviceDecision:
        """What the rows of a cell say.

        Where pulses of both signs stand in the log, ``reset_state`` is that of the positive ones: a negative pulse
        switches out of the other state.
        """
        one = self.log.sel({name: coords[name] for name in self.axes})
        if "n_switched" in one:
            return of_counts(one["n_switched"].values, one["n_valid"].values)
        sign = int(coords["polarity"]) if "polarity" in self.axes else 1
        rule = dataclasses.replace(rule, reset_state=rule.reset_state * sign)
        reset = one["r_reset"].values if self.reset_read else None
        return decide(reset, one["r_write"].values, one["recorded"].values, rule, family_of(cards.default()))

    def mixture(self, coords: Mapping[str, Value], decided: DeviceDecision) -> LevelMixture:
        """Levels among the readings of a cell, which say why nothing could be decided."""
        one = self.log.sel({name: coords[name] for name in self.axes})
        if "n_switched" in one:
            return mixture(decided, None, None, family_of(cards.default()))
        reset = one["r_reset"].values if self.reset_read else None
        return mixture(decided, reset, one["r_write"].values, family_of(cards.default()))

    def _kept(self, coords: Mapping[str, Value], number: np.uint64) -> xr.Dataset | None:
        """The cell in the cube that stays, if its rows are the same."""
        if self.kept is None:
            return None
        try:
            cell = self.kept.sel({name: coords[name] for name in self.axes})
        except KeyError:
            return None
        same = int(cell["cell_state"]) == 1 and int(cell["rows_digest"]) == int(number)
        return cell if same else None


def _plain(value: Any) -> Value:
    return value.item() if isinstance(value, np.generic) else value


def _fitted_into(kept: xr.Dataset, one: xr.Dataset) -> dict[str, Any]:
    """Outputs of a cell as it was, in the shape that it has now."""
    values = {}
    for name, array in kept.items():
        indexers = {d: one[d].values for d in array.dims}
        fill = False if array.dtype.kind == "b" else np.nan if array.dtype.kind == "f" else 0
        values[str(name)] = array.reindex(indexers, fill_value=fill).values
    return values


def digest(one: xr.Dataset) -> np.uint64:
    """The first 8 bytes of the SHA-256 of a cell's rows, whatever other cells there are.

    Rows stand in the order of currents and cycles; of each, the current and the number of the cycle and all that was
    recorded.  Further columns that are empty do not count.
    """
    place = np.nonzero(one["recorded"].values)
    dims = one["recorded"].dims
    parts: list[npt.NDArray[Any]] = [one["i_write"].values[place[0]]]
    parts += [one[d].values[index] for d, index in zip(dims[1:], place[1:], strict=True)]
    names = [n for n in RAW[1:-1] if n in one]
    for name in [*names, *sorted(str(n) for n in set(one.data_vars) - set(RAW))]:
        array = one[name]
        values = array.values[place]
        if name not in names:
            labels = array.attrs.get("labels")
            if labels is not None:
                values = np.array([*labels, ""], object)[values]
            filled = values != "" if labels is not None else np.isfinite(values)
            if not filled.any():
                continue
            parts.append(np.frombuffer(name.encode(), np.uint8))
        parts.append(values)
    sha256 = hashlib.sha256()
    for part in parts:
        data = json.dumps(part.tolist()).encode() if part.dtype == object else np.ascontiguousarray(part).tobytes()
        sha256.update(len(data).to_bytes(8, "little") + data)
    return np.uint64(int.from_bytes(sha256.digest()[:8], "little"))


@dataclasses.dataclass(frozen=True)
class _Widths:
    """The coordinate ``width`` of an axis of devices."""

    by_device: Mapping[Value, float]

    def __call__(self, devices: npt.NDArray[Any], params: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        return np.array([self.by_device[_plain(device)] for device in devices])


def recorded(log: Cycles, source: str, how: Understanding, form: str = "") -> Sweep:
    """The sweep of a log.

    Parameters
    ----------
    source : names of the files
    form : of the devices, where a cube has it; see :mod:`spinneurons.logs.arrays`

    Raises
    ------
    SpecError
        A row stands twice in the log.
    """
    try:
        readings = arrays(log, NAMES, form)
    except LogError as error:
        raise SpecError(str(error)) from None
    extra: list[Output] = []
    for name in sorted(set(map(str, readings.data_vars)) - set(RAW)):
        readings[name], output = _further(name, readings[name])
        extra.append(output)
    function = ImportedLog(readings, "r_reset" in log.frame)
    dims: list[Dim] = [Dim("current", readings.sizes["current"], long_name="write current, index")]
    outputs = list(SWEEP.outputs)
    if log.counted:
        outputs = [outputs[0], *COUNTED, *(o for o in outputs[1:] if o.name not in READINGS)]
    else:
        dims.append(Dim("cycle", values=tuple(int(c) for c in readings["cycle"].values), long_name="cycle"))
    inner = tuple(dim.name for dim in dims)
    recording = {
        "file": source, "form": readings.attrs["form"], "signs": log.signs, "axis": log.axis,
        "reset_read": function.reset_read, "further": [output.name for output in extra],
        **({"conditions": _as_json(log.conditions)} if log.conditions else {}),
    }  # fmt: skip
    levels = "-1: the reset level is the low one; 1: the high one"
    return dataclasses.replace(
        SWEEP,
        title=f"Switching curves recorded in {source}",
        axes=tuple(_axis(readings, name) for name in function.axes),
        coordinates=() if "width" in readings.dims else (_width(readings),),
        dims=tuple(dims),
        outputs=(
            *outputs,
            Output("recorded", inner, "bool", long_name="row present in the log"),
            Output("decided_by", dtype="uint8", long_name="what told the states", attrs=METHOD_FLAGS),
            Output("rows_digest", dtype="uint64", long_name="first 8 bytes of the SHA-256 of the rows"),
            *extra,
        ),
        parameters=(
            Parameter("link", how.link, help="switching curve that was fitted", choices=LAWS),
            Parameter("reset_state", how.rule.reset_state, help=levels, choices=(-1, 1)),
            Parameter("decision", how.rule.to_json(), help="how states are told, if not by levels", neutral={}),
            Parameter("resamples", how.resamples, help="bootstrap resamples", low=10, high=1_000_000),
            Parameter("recording", recording, help="the log", fingerprint=_kind_of_log),
        ),
        function=function,
        views=(View("i_bias", x=function.axes[0]),),
        outputs_of=None,
        source="",
    )


def _kind_of_log(recording: Mapping[str, Any]) -> dict[str, Any]:
    """What more files of the same log have in common with it."""
    return {name: recording[name] for name in ("form", "signs", "axis", "reset_read")}


def _as_json(conditions: Mapping[str, Condition]) -> dict[str, dict[str, int]]:
    return {name: {key(value): rows for value, rows in of.items()} for name, of in conditions.items()}


def _axis(readings: xr.Dataset, name: str) -> Axis:
    values = tuple(_plain(value) for value in readings[name].values)
    if name in ("width", "device"):
        return dataclasses.replace(SWEEP.axis(name), values=values)
    attrs = readings[name].attrs
    return Axis(name, values, str(attrs["units"]), str(attrs["long_name"]))


def _width(readings: xr.Dataset) -> Coordinate:
    pairs = zip(readings["device"].values, readings["width"].values, strict=True)
    attrs = readings["width"].attrs
    function = _Widths({_plain(device): float(width) for device, width in pairs})
    return Coordinate("width", "device", function, str(attrs["units"]), str(attrs["long_name"]))


def _further(name: str, column: xr.DataArray) -> tuple[xr.DataArray, Output]:
    """A further column as numbers: itself, or for text the index of its value in ``labels``, -1 for no value."""
    dims = tuple(str(d) for d in column.dims if d in DIMS)
    long_name = str(column.attrs["long_name"])
    if column.attrs.get("units") == SECONDS:
        return column.copy(data=moments_of(column.values)), Output(name, dims, moments.DTYPE, long_name=long_name)
    if column.dtype.kind == "f":
        return column, Output(name, dims, unit=str(column.attrs["units"]), long_name=long_name)
    texts, codes = np.unique(column.values.astype(str), return_inverse=True)
    labels = [str(v) for v in texts if v]
    codes = (codes - (1 if "" in texts else 0)).reshape(column.shape).astype(np.int32)
    attrs: dict[str, Any] = {"labels": json.dumps(labels)}
    if len(labels) <= FLAGS:
        attrs |= {"flag_values": list(range(len(labels))), "flag_meanings": " ".join(_word(v) for v in labels)}
    array = column.copy(data=codes).assign_attrs(labels=labels)
    return array, Output(name, dims, "int32", long_name=long_name, attrs=attrs)


def _word(label: str) -> str:
    return "_".join(label.split()) or "_"
