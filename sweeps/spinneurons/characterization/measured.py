"""What a characterization measured of its devices, for a card: fits, levels, noise, and how it was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from spinneurons.characterization.decisions import METHODS
from spinneurons.characterization.fit_table import CharacterizedDevice, devices, goodness_of, reason
from spinneurons.logs.cycles import Condition
from spinneurons.logs.quantities import QUANTITIES, factor, recognised
from spinneurons.neurons.cubes import family, law
from spinneurons.neurons.family import Floats, Levels, MeasuredDevices
from spinsweep.axis import key
from spinsweep.errors import SpecError
from spinsweep.reading import CubeView

UNEQUAL = 0.1
"""Of half the distance of the levels, or of the median: by how much devices may differ before it is said."""
STATES = ({0.0, 1.0}, {-1.0, 1.0})
NO_LEVELS = Levels(np.nan, np.nan, np.nan)


class Recording(NamedTuple):
    """What one kind of curve in a cube says of how it was measured, beside the fits."""

    conditions: Mapping[str, Condition]
    """Of ``i_read`` (A) and ``pulse_width`` (s): how often each value stands in the log."""
    reset_state: int | None
    law: str


def recording_of(cube: xr.Dataset, parameters: Mapping[str, Any]) -> Recording:
    """How a cube was measured.

    Parameters
    ----------
    cube : one curve of each device; scalar coordinates say which, where a log has several
    parameters : of the sweep
    """
    said, conditions = parameters.get("recording"), {}
    if said is None:
        bars = family(cube)
        conditions["i_read"] = {bars.read_current: 1}
        reset = getattr(bars, "reset_state", None)
        if (bench := parameters.get("bench")) is not None:
            conditions["pulse_width"] = {bench["timing"]["pulse_width"]: 1}
            reset = bench["polarity"]["reset_state"]
        return Recording(conditions, reset, law(cube).name)
    for name, rows_of in said.get("conditions", {}).items():
        conditions[name] = {float(value): rows for value, rows in rows_of.items()}
    for coordinate in cube.coords.values():
        meant = recognised(str(coordinate.attrs.get("long_name", "")))
        if not coordinate.ndim and meant and meant[0] == "pulse_width":
            scale = factor(meant[1] or str(coordinate.attrs["units"]), QUANTITIES["pulse_width"].unit)
            conditions["pulse_width"] = {float(coordinate) * (scale or 1.0): 1}
    sign = int(cube["polarity"]) if "polarity" in cube.coords else 1
    return Recording(conditions, parameters["reset_state"] * sign if said["reset_read"] else None, law(cube).name)


def one_curve_each(cube: xr.Dataset, select: Sequence[str], option: str = "--select ") -> xr.Dataset:
    """The cube at one value of each axis beside ``width`` and ``device``.

    Parameters
    ----------
    select : values of axes that have several, such as ``polarity=1``
    option : what a user writes before them

    Raises
    ------
    SpecError
        An axis has several values and none is chosen, or there is no such axis or value; one line.
    """
    wanted = dict(text.split("=", 1) for text in select if "=" in text)
    if len(wanted) < len(select):
        raise SpecError(f"{option}{next(t for t in select if '=' not in t)}: is not AXIS=VALUE, such as polarity=1")
    further = [str(d) for d in cube["cell_state"].dims if d not in ("width", "device")]
    if unknown := [name for name in wanted if name not in further]:
        raise SpecError(f"{option}{unknown[0]}: the cube has {', '.join(further) or 'no further axis'}")
    for name in further:
        values = [key(value) for value in cube[name].values.tolist()]
        if name not in wanted and len(values) > 1:
            raise SpecError(
                f"each device has {len(values)} curves, along {name}; choose one: {option}"
                f"{name}={values[0]} (it has {', '.join(values[:20])})"
            )
        chosen = wanted.get(name, values[0])
        if chosen not in values:
            raise SpecError(f"{option}{name}={chosen}: it has {', '.join(values[:20])}")
        cube = cube.isel({name: values.index(chosen)})
    return cube


def fitted_devices(
    cube: xr.Dataset, unwanted: Sequence[str] = (), *, bad_fit: str | None = ""
) -> tuple[xr.DataArray, list[str], list[str]]:
    """Which devices go into a card.

    Parameters
    ----------
    cube : as :func:`spinneurons.analysis.cubes.by_width` gives it
    unwanted : labels of devices that do not, such as ``2/1``
    bad_fit : what is said behind a bad fit (p < 0.001); None: devices with one go as well

    Returns
    -------
    (width, device) bool; a line for each device that is done and does not go; labels that no device has
    """
    kept, left_out, unknown = CubeView(cube).done.copy(), [], sorted(set(unwanted))
    for device in devices(cube):
        why = reason(cube, device)
        quality = goodness_of(cube, device)
        if quality and quality.is_bad and bad_fit is not None:
            why = f"bad fit, p = {quality.p_value:.1g}{bad_fit}"
        if (name := device_label(device.width, device.label)) in unknown:
            unknown.remove(name)
            why = why or f"--leave-out {name}"
        if why:
            kept.loc[{"width": device.width, "device": device.label}] = False
            left_out.append(f"width {device.width:g} um, device {device.name}: {why}")
    return kept, left_out, unknown


def device_label(width: float, device: int) -> str:
    """A device as ``--leave-out`` takes it."""
    return f"{key(width)}/{device}"


def device_names(cube: xr.Dataset) -> list[str]:
    """Labels of the devices that are done."""
    return [device_label(device.width, device.label) for device in devices(cube)]


def measured_devices(cube: xr.Dataset, kept: xr.DataArray, recording: Recording) -> MeasuredDevices:
    """The devices of a characterization by width and device, with their levels.

    Parameters
    ----------
    cube : as :func:`spinneurons.analysis.cubes.by_width` gives it
    kept : (width, device) bool, those that are taken
    """
    fits = {name: cube[name].where(kept).values for name in MeasuredDevices.FITTED}
    levels = np.full((3, *kept.shape), np.nan)
    place = {n: {value: i for i, value in enumerate(cube[n].values.tolist())} for n in ("width", "device")}
    names = [reading.name for reading in family(cube).readings]
    for device in devices(cube.isel(width=kept.any("device").values, device=kept.any("width").values)):
        index = place["width"][device.width], place["device"][device.data["device"].item()]
        if kept.values[index]:
            levels[(slice(None), *index)] = levels_of(device, names)[:3]
    known = bool(np.isfinite(levels).any())
    low, high, noise = levels if known else (None, None, None)
    return MeasuredDevices(
        cube["width"].values,
        **fits,
        device=cube["device"].values,
        low=low,
        high=high,
        noise=noise,
        read_current=typical(recording.conditions.get("i_read")),
        pulse_width=typical(recording.conditions.get("pulse_width")),
        reset_state=recording.reset_state if known else None,
        law=recording.law,
    )


def levels_of(device: CharacterizedDevice, names: Sequence[str]) -> Levels:
    """The two levels of a device, from its readings after write in cycles that switched and in those that did not.

    Where the difference of each pair told the states, because the offset drifts, the distance of the levels and the
    noise are those of the differences, and the middle is that of the whole recording.

    Parameters
    ----------
    names : of the family's readings, in the order of a cycle
    """
    data = device.data
    if device.is_counted or is_of_states(device, names):
        return NO_LEVELS
    valid, switched = data["valid"].values.astype(bool), data["switched"].values.astype(bool)
    readings, rest, noises = data[names[-1]].values.astype(np.float64), 0.0, 1.0
    if "decided_by" in data and METHODS[int(data["decided_by"])] == "difference":
        reset = data[names[0]].values.astype(np.float64)
        readings, rest, noises = readings - reset, float(reset[valid].mean()), np.sqrt(2)
    groups = [readings[valid & chosen] for chosen in (switched, ~switched)]
    if not all(group.size for group in groups):
        return NO_LEVELS
    low, high = sorted(float(group.mean()) for group in groups)
    residuals = np.concatenate([group - group.mean() for group in groups])
    noise = float(np.sqrt(np.sum(residuals**2) / max(residuals.size - 2, 1))) / noises
    return Levels(rest + low, rest + high, noise) if high > low else NO_LEVELS


def is_of_states(device: CharacterizedDevice, names: Sequence[str]) -> bool:
    """Whether the readings of a device are states, such as 0 and 1, and no readings."""
    readings = np.concatenate([device.data[name].values.ravel() for name in names])
    return set(np.unique(readings[np.isfinite(readings)]).tolist()) in STATES


def typical(condition: Condition | None) -> float | None:
    """The value of half the rows."""
    if not condition:
        return None
    values = sorted(condition)
    rows = np.cumsum([condition[value] for value in values])
    return values[int(np.searchsorted(rows, rows[-1] / 2))]


def differences(measured: MeasuredDevices, recording: Recording, unit: str) -> Iterator[str]:
    """Lines about what differs much between devices, or within the log, where a card has one value.

    Parameters
    ----------
    unit : of the readings
    """
    if (levels := measured.levels) is not None:
        low, high, noise = (measured.of_fitted(name) for name in ("low", "high", "noise"))
        half = (levels.high - levels.low) / 2
        for what, values, most in (
            ("half the distance of the levels", (high - low) / 2, UNEQUAL * half),
            ("the middle of the levels", (high + low) / 2, UNEQUAL * half),
            ("the noise of a reading", noise, levels.noise),
        ):
            if np.ptp(values) > most:
                middle = float(np.median(values))
                yield f"{what} is {_range(values)} {unit} by device; the card has the median, {middle:.4g} {unit}"
    for name, condition in recording.conditions.items():
        values, chosen = np.array(list(condition)), typical(condition)
        if chosen and np.ptp(values) > UNEQUAL * chosen:
            of = QUANTITIES[name]
            yield f"{of.help}: {_range(values)} {of.unit} in the log; the card has the median, {chosen:.4g} {of.unit}"


def _range(values: Floats) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def without_levels(cube: xr.Dataset, names: Sequence[str]) -> str:
    """Why a cube says nothing of levels, in words."""
    if "n_valid" in cube:
        return "the log has counts and no readings"
    one = next(devices(cube), None)
    return "the readings are states" if one is not None and is_of_states(one, names) else ""
