"""Switching of a macrospin as a sweep: probability against current for each width and pulse length, with fits.

A cell is one magnet and one pulse length. Where the exact law is known (spins along the easy axis, no field) it says
which currents are of interest, and stands beside the counts; else they are spread about the critical current.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.macrospin.material import TORQUES, Magnet, envelope, spin_direction
from spinneurons.neurons.checked_fit import checked_fit
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC
from spinneurons.neurons.outputs import fitted, named
from spinsweep.axis import Axis
from spinsweep.outputs import Coordinate, Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View

_MATERIAL = ("saturation", "damping", "anisotropy_field", "temperature", "spin_hall_angle")
_SIZES = ("length", "thickness", "metal")
NUMBERS = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "window", "deviance")
"""Of the fitted curve of each law."""
_ENDS = (0.003, 0.997)  # probabilities at the ends of the plan of currents
_REACH = (0.3, 1.5)  # ends of the plan relative to the critical current, where no exact law is known
PLANNED = 1e-7
"""Bound of what another kind of processor changes, relative: the ends of the plan of currents are roots of a law
whose matrices LAPACK's kernels round otherwise, and all fitted currents follow. 5e-9 was the most that was found."""


def magnet(width: float, params: Mapping[str, Any]) -> Magnet:
    """The magnet of that ``width`` (nm) and the sweep's parameters."""
    sizes = {name: params[name] * 1e-9 for name in _SIZES}
    return Magnet(width=width * 1e-9, **{name: params[name] for name in _MATERIAL}, **sizes)


@per_cell
def switch(cell: Any) -> dict[str, Any]:
    """Counts and fits of the magnet ``cell["width"]`` (nm) for pulses of ``cell["pulse"]`` (s).

    Streams: ``start`` of the directions at the start, ``trajectories`` of the thermal fields' seeds.
    """
    from spinneurons.macrospin import equilibrium, fokker_planck  # late: a look at the sweeps needs no compiler
    from spinneurons.macrospin.model import Ensemble
    from spinneurons.macrospin.noise import draw_seeds

    p = cell.params
    particle, torque = magnet(cell["width"], p), p["torque"]
    pulse, field = envelope(cell["pulse"], p["rise"], p["rest"], p["dt"]), (p["field_x"], 0.0, 0.0)
    exact = torque == "collinear" and p["field_x"] == 0
    if exact:
        first, last = (fokker_planck.current_at(particle, end, cell["pulse"]) for end in _ENDS)
    else:
        first, last = (end * particle.critical_current(torque) for end in _REACH)
    current = np.linspace(first, last, p["currents"])
    n = p["trajectories"]
    start = equilibrium.draw(particle, field, n * current.size, cell.rng("start"))
    seeds = draw_seeds(cell.rng("trajectories"), n * current.size)
    ensemble = Ensemble(particle, p["dt"], start, seeds, field, spin_direction(torque))
    ensemble.advance(np.repeat(particle.torque_field(current), n), pulse)
    switches = (ensemble.m[2] > 0).reshape(current.size, n).sum(axis=1)
    law = np.full(current.size, np.nan)
    if exact:
        law[:] = [
            fokker_planck.switching_probability(particle, h, pulse, p["dt"]) for h in particle.torque_field(current)
        ]
    return {"i_write": current, "switches": switches, "p_exact": law, **_fits(switches, n, current)}


def _fits(switches: npt.NDArray[np.int64], n: int, current: npt.NDArray[np.float64]) -> dict[str, float]:
    results: dict[str, float] = {}
    for law, end in ((LOGISTIC, ""), (CLOGLOG, "_cloglog")):
        curve = checked_fit(switches, np.full(current.size, n), current, law)
        numbers = {**curve._asdict(), "window": law.window * curve.i0}
        results |= {named(name, end): numbers[name] for name in NUMBERS}
    return results


def stability(widths: npt.NDArray[Any], params: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """(n,) Delta of each width."""
    return np.array([magnet(w, params).stability for w in widths])


def critical_current(widths: npt.NDArray[Any], params: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    """(n,) critical current of each width, A."""
    return np.array([magnet(w, params).critical_current(params["torque"]) for w in widths])


_DEFAULT = Magnet()

SWEEP = Sweep(
    name="macrospin",
    title="Switching of a macrospin by a current pulse (stochastic LLG), bias current and window against width",
    axes=(
        Axis("width", tuple(20.0 * i for i in range(1, 11)), "nm", "width of the magnet", low=1.0, high=1000.0),
        Axis("pulse", (1e-9, 1e-8, 1e-7), "s", "pulse length", low=1e-11, high=1e-5),
    ),
    dims=(Dim("current", "currents", long_name="write current, index"),),
    coordinates=(
        Coordinate("stability", "width", stability, long_name="barrier without current, in kB T"),
        Coordinate("critical_current", "width", critical_current, "A", "critical current at 0 K"),
    ),
    outputs=(
        Output("i_write", ("current",), unit="A", long_name="write current", tolerance=PLANNED),
        Output("switches", ("current",), "int64", long_name="trajectories that switched"),
        Output(
            "p_exact",
            ("current",),
            long_name="switching probability by the Fokker-Planck equation",
            tolerance=PLANNED,
        ),
        *fitted(NUMBERS, "", "logistic", PLANNED),
        *fitted(NUMBERS, "_cloglog", "cloglog", PLANNED),
    ),
    parameters=(
        Parameter("currents", 24, help="write currents of each curve", low=2, high=10_000),
        Parameter("trajectories", 500, help="trajectories at each current", low=1, high=10_000_000),
        Parameter("torque", "collinear", help="spins along the easy axis or in the plane", choices=TORQUES),
        Parameter("field_x", 0.0, "A/m", "applied field along the current", low=-1e7, high=1e7),
        Parameter("rise", 0.0, "s", "duration of each edge of the pulse", low=0, high=1e-6),
        Parameter(
            "rest",
            0.0,
            "s",
            "time after the pulse before the state is read; in-plane spins need some 1e-8",
            low=0,
            high=1e-6,
        ),
        Parameter("dt", 1e-12, "s", "time step", low=1e-16, high=1e-10),
        Parameter("temperature", _DEFAULT.temperature, "K", "temperature", low=1, high=2000),
        Parameter("damping", _DEFAULT.damping, help="Gilbert damping", low=1e-4, high=1),
        Parameter("spin_hall_angle", _DEFAULT.spin_hall_angle, help="spin Hall angle", low=1e-4, high=10),
        Parameter("saturation", _DEFAULT.saturation, "A/m", "saturation magnetisation", low=1e3, high=1e7),
        Parameter("anisotropy_field", _DEFAULT.anisotropy_field, "A/m", "effective Hk; assumed", low=1, high=1e8),
        Parameter("length", 100.0, "nm", "length of the magnet along the current", low=1, high=1e4),
        Parameter("thickness", 1.2, "nm", "thickness of the magnet", low=0.1, high=100),
        Parameter("metal", 2.0, "nm", "thickness of the heavy metal", low=0.1, high=100),
    ),
    function=switch,
    views=(View("i_bias", x="width", lines="pulse"), View("window", x="width", lines="pulse")),
    figures="spinneurons.macrospin.figures:FIGURES",
    source="Islam et al. 2024, eq. S3, Fig. S7",
)
