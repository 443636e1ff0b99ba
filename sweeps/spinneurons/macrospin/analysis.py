"""What the curves of all widths say: straight lines against the width, the ratio I_bias/i0, and long pulses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinneurons.analysis.cubes import parameters
from spinneurons.analysis.lines import FittedLine, straight_line
from spinneurons.macrospin import barrier, fokker_planck
from spinneurons.macrospin.sweep import magnet
from spinneurons.neurons.outputs import named

Floats = npt.NDArray[np.float64]


class WidthCurves(NamedTuple):
    """Curves of one pulse length, widths rising; widths without a fit are left out."""

    pulse: float
    """s."""
    width: Floats
    """(w,) nm."""
    i_bias: Floats
    i_bias_stderr: Floats
    window: Floats
    """(w,) A each."""
    ratio: Floats
    """(w,) I_bias/i0."""
    ratio_stderr: Floats
    bias_line: FittedLine
    window_line: FittedLine

    @property
    def growth(self) -> float:
        """Factor on the ratio from the widest to the narrowest magnet; NaN with fewer than two."""
        return float(self.ratio[0] / self.ratio[-1]) if self.width.size > 1 else np.nan

    @property
    def growth_stderr(self) -> float:
        """Standard error of ``growth``."""
        if self.width.size < 2:
            return np.nan
        relative = self.ratio_stderr / self.ratio
        return float(self.growth * np.hypot(relative[0], relative[-1]))


def curves_by_width(cube: xr.Dataset, pulse: int, link: str = "logistic") -> WidthCurves:
    """The curves of the pulse length at that position; ``cube`` holds NaN where a cell is not done."""
    end = "" if link == "logistic" else f"_{link}"
    cells = cube.isel(pulse=pulse).sortby("width")
    cells = cells.isel(width=np.flatnonzero(np.isfinite(cells[f"i0{end}"].values)))
    names = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "window")
    i_bias, bias_error, i0, i0_error, window = (cells[named(name, end)].values for name in names)
    width, ratio = cells["width"].values, i_bias / i0
    ratio_error = np.asarray(np.hypot(bias_error / i0, ratio * i0_error / i0))
    lines = straight_line(width, i_bias), straight_line(width, window)
    return WidthCurves(float(cells["pulse"]), width, i_bias, bias_error, window, ratio, ratio_error, *lines)


class LongPulse(NamedTuple):
    """Bias current of a pulse too long to integrate, (w,) A each, for the widths of the cube."""

    width: Floats
    mapped: Floats
    """By the barrier."""
    exact: Floats
    """By the Fokker-Planck equation; NaN where it does not apply."""


def long_pulse(cube: xr.Dataset, tau: float) -> LongPulse:
    """Bias currents of pulses of ``tau`` (s) for the magnets of the cube."""
    params = parameters(cube)
    width = np.sort(cube["width"].values)
    mapped = [barrier.bias_current(magnet(w, params), tau, params["torque"]) for w in width]
    return LongPulse(width, np.array(mapped), np.array([exact_bias(params, w, tau) for w in width]))


def exact_bias(params: dict[str, Any], width: float, tau: float) -> float:
    """Current (A) of P = 1/2 for a rectangular pulse of ``tau`` (s) by the Fokker-Planck equation, or NaN."""
    if params["torque"] != "collinear" or params["field_x"] != 0:
        return np.nan
    return fokker_planck.current_at(magnet(width, params), 0.5, tau)


def trajectories(cube: xr.Dataset) -> int:
    """Trajectories at each current."""
    return int(parameters(cube)["trajectories"])
