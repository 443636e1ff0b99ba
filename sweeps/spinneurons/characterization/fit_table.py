"""The fits of a characterization cube as a table: one row a device, with what is said of those without a fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from spinneurons.analysis.cubes import by_width, parameters
from spinneurons.characterization.analysis import without_levels
from spinneurons.characterization.decisions import DecisionRule, decide, mixture
from spinneurons.characterization.goodness import NO_RUNS, Goodness, goodness, runs_test
from spinneurons.endurance.analysis import LongRecord, long_record, long_records
from spinneurons.neurons.checked_fit import STATUSES, BiasBounds, bias_bounds, checked_fit
from spinneurons.neurons.cubes import family, law
from spinneurons.neurons.family import Decision, Law, LevelMixture
from spinneurons.neurons.levels import RARE
from spinsweep.reading import CubeView

UNDECIDED = ("no_data", "levels_not_distinct", "partial_switching", "resets_failed")
"""Statuses of devices whose readings do not say which cycles switched."""

LONG_NUMBERS = (*LongRecord._fields, "runs_p_value")
_CURRENTS = [f"{name}{end}_A" for name in ("i_bias", "i0", "window") for end in ("", "_low", "_high")]


@dataclass(frozen=True)
class CharacterizedDevice:
    """One device of a cube."""

    width: float
    """um"""
    label: int
    name: str
    """Its own, where it has one; else the label."""
    data: xr.Dataset
    """Its outputs, in memory."""

    @classmethod
    def of(cls, one: xr.Dataset) -> CharacterizedDevice:
        """The device of a cube at one width and device."""
        label = one["device"].item()
        return cls(float(one["width"]), int(label), str(one["name"].item() if "name" in one.coords else label), one)

    @property
    def status(self) -> str:
        """``fitted``, or why there is no fit: one of ``STATUSES``."""
        return STATUSES[int(self.data["fit_status"])]

    @property
    def status_text(self) -> str:
        """The status in words."""
        return status_text(self.status, int(self.data["valid"].sum()))

    @property
    def recorded(self) -> int:
        """Cycles that were measured, whether or not they are valid."""
        if self.is_counted:
            return int(self.data["valid"].sum())
        if "recorded" in self.data:
            return int(self.data["recorded"].sum())
        return int(np.isfinite(self.data["i_write"]).sum()) * self.data.sizes["cycle"]

    @property
    def is_counted(self) -> bool:
        """Whether only counts are known, and no cycles."""
        return "n_valid" in self.data

    @property
    def counts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Switched and valid cycles, and A, at each current."""
        valid = self.data["valid"]
        k = (self.data["switched"] & valid).sum("cycle").values
        return k, valid.sum("cycle").values, self.data["i_write"].values


def status_text(status: str, cycles: int) -> str:
    """A status in words; where there are valid cycles and yet no curve, they are of one current."""
    return "one current" if status == "no_data" and cycles else status.replace("_", " ")


def one_current(k: npt.NDArray[np.int64], n: npt.NDArray[np.int64], i_write: npt.NDArray[np.float64]) -> str:
    """What is said where all valid cycles are of one current."""
    index = int(np.argmax(n))
    return f"one current, and a curve takes two: {k[index]} of {n[index]} switched at {1e3 * i_write[index]:.4g} mA"


def devices(cube: xr.Dataset) -> Iterator[CharacterizedDevice]:
    """The devices of a characterization that are done, in the order of the cube."""
    done = CubeView(cube).done.transpose("width", "device").values
    for w, d in np.argwhere(done):
        one = cube.isel(width=int(w), device=int(d)).load()
        yield CharacterizedDevice.of(one)


def goodness_of(cube: xr.Dataset, device: CharacterizedDevice) -> Goodness | None:
    """How well the curve of a device fits, among all laws of its family; None where there is no fit."""
    i_bias, i0 = (float(device.data[name]) for name in ("i_bias", "i0"))
    if device.status != "fitted" or not math.isfinite(i_bias * i0):
        return None
    curve = law(cube)
    others = tuple(other for other in family(cube).laws if other.name != curve.name)
    k, n, i_write = device.counts
    return known_goodness(tuple(k.tolist()), tuple(n.tolist()), tuple(i_write.tolist()), (i_bias, i0), curve, others)


@lru_cache(1024)  # each figure asks it for every device
def known_goodness(
    k: tuple[int, ...],
    n: tuple[int, ...],
    i_write: tuple[float, ...],
    fitted: tuple[float, float],
    curve: Law,
    others: tuple[Law, ...],
) -> Goodness:
    """:func:`goodness`, computed once for the same counts."""
    return goodness(k, n, i_write, *fitted, curve, others)


def reason(cube: xr.Dataset, device: CharacterizedDevice) -> str:
    """Why a device has no fit, in words; "" if it has one."""
    if device.status == "fitted":
        return ""
    if device.status_text == "one current":
        return one_current(*device.counts)
    if device.status in UNDECIDED:
        curve = without_levels(*_decided(cube, device))
    else:
        curve = checked_fit(*device.counts, law(cube))
    return curve.reason if curve.status == device.status else device.status_text


def _decided(cube: xr.Dataset, device: CharacterizedDevice) -> tuple[Decision, LevelMixture]:
    """What the readings of a device say, by the rule of the import if it was imported."""
    bars, said = family(cube), parameters(cube)
    readings = tuple(device.data[one.name].values for one in bars.readings if one.name in device.data)
    if "reset_state" not in said:
        return bars.decide(readings), bars.level_mixture(readings)
    rule = DecisionRule.of(int(said["reset_state"]), said.get("decision", {}))
    reset = device.data["r_reset"].values if said["recording"]["reset_read"] else None
    recorded = device.data["recorded"].values.astype(bool)
    write = device.data["r_write"].values
    decided = decide(reset, write, recorded, rule, bars)
    return decided.decision, mixture(decided, reset, write, bars)


def remark(device: CharacterizedDevice) -> str:
    """What is unusual about the levels of a device that has a fit; "" if nothing is."""
    levels, share = int(device.data["level_count"]), float(device.data["intermediate_share"])
    if levels <= 2 and not share > RARE:
        return ""
    between = "" if math.isnan(share) else f", {share:.1%} of the written readings between the outer two"
    return f"{levels} levels{between}: partial switching?"


def rows(cube: xr.Dataset) -> list[dict[str, Any]]:
    """The rows of :func:`fit_table`, by column."""
    cube = by_width(cube)
    return [_row(cube, device) for device in devices(cube)]


def fit_table(cube: xr.Dataset) -> pd.DataFrame:
    """Fits of a characterization, one row for each device that is done.

    Parameters
    ----------
    cube : a characterization: simulated, measured or imported

    Returns
    -------
    DataFrame: ``width_um``, ``device``, ``status``, ``reason``; ``i_bias_A``, ``i0_A`` and ``window_A`` with their
    95 % intervals ``_low_A`` and ``_high_A``; ``i_bias_above_A`` and ``i_bias_below_A``, 95 % bounds that hold for
    every rising curve, also of a device without a fit (see ``bias_bounds``), NaN where there is none; ``cycles``
    that are valid and ``cycles_not_used`` that are not; ``deviance``, ``dof``, ``p_value`` and ``p_method``;
    ``overdispersion``; ``runs_z``, ``runs_p_value`` and ``runs_currents``; ``aic_`` of each law, ``better_law`` (""
    if the data cannot tell) and ``law_detection``; ``level_count`` and ``intermediate_share``; ``bad_fit``;
    ``remark``; and of a device with ``LONG`` cycles at one current ``long_current_A``, ``long_cycles``,
    ``long_switched``, ``long_runs_p_value`` and the further numbers of a :class:`LongRecord` as ``long_...``
    """
    return pd.DataFrame(rows(cube))


def _row(cube: xr.Dataset, device: CharacterizedDevice) -> dict[str, Any]:
    quality, data = goodness_of(cube, device), device.data
    bounds = BiasBounds(-math.inf, math.inf) if device.status in UNDECIDED else bias_bounds(*device.counts)
    runs = NO_RUNS
    if not device.is_counted:
        runs = runs_test(data["switched"].values, data["valid"].values)
    return {
        "width_um": device.width,
        "device": device.label if device.name == str(device.label) else device.name,
        "status": device.status,
        **{name: float(data[name.removesuffix("_A")]) for name in _CURRENTS},
        "i_bias_above_A": _finite(bounds.above),
        "i_bias_below_A": _finite(bounds.below),
        "cycles": int(data["valid"].sum()),
        "cycles_not_used": device.recorded - int(data["valid"].sum()),
        "deviance": quality.deviance if quality else math.nan,
        "dof": quality.dof if quality else 0,
        "p_value": quality.p_value if quality else math.nan,
        "p_method": quality.p_method if quality else "",
        "overdispersion": quality.overdispersion if quality else math.nan,
        "runs_z": runs.z,
        "runs_p_value": runs.p_value,
        "runs_currents": runs.currents,
        **{f"aic_{one.name}": quality.aic[one.name] if quality else math.nan for one in family(cube).laws},
        "better_law": quality.better_law if quality else "",
        "law_detection": quality.detection if quality else math.nan,
        "level_count": int(data["level_count"]),
        "intermediate_share": float(data["intermediate_share"]),
        "bad_fit": bool(quality and quality.is_bad),
        "reason": reason(cube, device),
        "remark": remark(device) if quality else "",
        **_long(data),
    }


def _long(data: xr.Dataset) -> dict[str, Any]:
    """What the longest record of a device says; NaN and 0 where none is long."""
    record = long_records(data)
    switched = record["switched"].values[record["valid"].values]
    if not switched.size:
        return {"long_current_A": math.nan, **{f"long_{name}": math.nan for name in LONG_NUMBERS}, "long_cycles": 0}
    runs = runs_test(switched[None], np.ones_like(switched)[None])
    numbers = long_record(switched)._asdict() | {"runs_p_value": runs.p_value}
    return {"long_current_A": float(record["i_write"]), **{f"long_{name}": numbers[name] for name in LONG_NUMBERS}}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan
