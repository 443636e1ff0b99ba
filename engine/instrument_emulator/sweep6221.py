"""Sweeps and lists of a 6221: levels from settings, and settings that follow others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from instrument_emulator.scpi import ScpiError
from instrument_emulator.settings6221 import MAX_CURRENT, OVERRANGE, SWEEP_POINTS
from instrument_emulator.wave6221 import Segment, Wave

COUPLED = ("start", "stop", "step", "center", "span", "points")


def coupled(values: Mapping[str, Any], changed: str) -> dict[str, Any]:
    """The settings of a linear sweep that follow from the one that has changed (6221 reference manual p. 4-22).

    Raises
    ------
    ScpiError
        -221: what follows is beyond what the source can do; nothing has been changed.
    """
    v = {name: values[name] for name in COUPLED}
    if changed in ("center", "span"):
        v["start"], v["stop"] = v["center"] - v["span"] / 2, v["center"] + v["span"] / 2
    elif changed in ("start", "stop"):
        v["center"], v["span"] = (v["start"] + v["stop"]) / 2, abs(v["stop"] - v["start"])
    if changed == "step":
        v["points"] = math.floor(v["span"] / v["step"] + 1e-9) + 1
    else:
        v["step"] = v["span"] / (v["points"] - 1) if v["points"] > 1 else v["span"]
    most = MAX_CURRENT * (1 + 1e-9)
    if max(abs(v["start"]), abs(v["stop"])) > most or not 1 <= v["points"] <= SWEEP_POINTS:
        raise ScpiError(-221)
    return v


def sweep(values: Mapping[str, Any], lists: Mapping[str, Sequence[float]]) -> Wave:
    """The sweep that is set; each level flows for its delay.

    Parameters
    ----------
    values : settings of the source: spacing, start, stop, points, delay, range, sweep_ranging, sweep_count
    lists : ``current`` (A), ``delay`` (s) and ``compliance`` (V) of a list sweep; their last value goes on

    Raises
    ------
    ScpiError
        -221: a logarithmic sweep that touches 0 A.
    """
    if values["spacing"] == "LIST":
        count = len(lists["current"])
        levels: Sequence[float] = lists["current"]
        delays, limits = (_filled(lists[name], count) for name in ("delay", "compliance"))
    else:
        levels = _levels(values)
        delays, limits = [values["delay"]] * len(levels), [0.0] * len(levels)
    if values["sweep_ranging"] == "FIX":  # p. 4-9: beyond the range the source gives its most
        most = OVERRANGE * values["range"]
        levels = [max(-most, min(most, level)) for level in levels]
    cycle = [Segment(*point) for point in zip(levels, delays, limits, strict=True)]
    count = values["sweep_count"]
    return Wave(cycle, math.inf if count > 1e30 else int(count))


def _levels(values: Mapping[str, Any]) -> list[float]:
    start, stop, points = values["start"], values["stop"], values["points"]
    steps = max(1, points - 1)
    if values["spacing"] == "LIN":
        step = math.copysign(values["step"], stop - start)
        return [start + step * i for i in range(points)]
    if start * stop <= 0:
        raise ScpiError(-221)
    return [start * (stop / start) ** (i / steps) for i in range(points)]


def _filled(values: Sequence[float], count: int) -> list[float]:
    return [*values, *[values[-1]] * count][:count]
