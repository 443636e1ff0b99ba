"""The characterization of the paper as a sweep: 36 Hall bars, 28 write currents, 100 cycles each.

A cell is one device: its readings on the amplitude plan of its width, what they decide, and the fitted curve
with bootstrap intervals.  36 * 28 * 100 = 100,800 cycles, "close to 100,000 steps" of the paper.
"""

from __future__ import annotations

from typing import Any

from spinneurons.characterization.analysis import FIT_STATUS, NUMBERS, analyse
from spinneurons.device import card as cards
from spinneurons.device import model
from spinneurons.device.fit import ROUNDING
from spinneurons.device.parameters import CARD, DEVICE, LINK, WIDTH
from spinneurons.device.protocol import measure
from spinsweep.spec import Dim, Output, Parameter, Sweep, per_cell

FLAGS = {"flag_values": list(range(len(FIT_STATUS))), "flag_meanings": " ".join(FIT_STATUS)}

_LONG_NAMES = {
    "i_bias": "bias current",
    "i0": "scale current",
    "window": "stochastic window, 0.01 % to 99.9 %",
    "deviance": "deviance of the fit",
}
_KINDS = {"_stderr": ", standard error", "_low": ", 2.5 % bound", "_high": ", 97.5 % bound"}


def _long_name(name: str) -> str:
    stem, mark, kind = name.rpartition("_")
    if mark and mark + kind in _KINDS:
        return _LONG_NAMES[stem] + _KINDS[mark + kind]
    return _LONG_NAMES[name]


@per_cell
def characterize(cell: Any) -> dict[str, Any]:
    """Readings, decisions and fitted curve of the device at ``cell["width"]`` (um), ``cell["device"]``.

    Streams: ``readings`` of the cycles, ``bootstrap`` of the resampling.
    """
    card = cell.params["card"]
    link = cards.link(card, cell.params["link"])
    width, device = cell["width"], cell["device"]
    i_bias, i0 = model.device_parameters(card, width, device)
    i_write = model.write_currents(card, width, cell.params["currents"])
    readings = measure(card, i_bias, i0, i_write, cell.params["cycles"], cell.rng("readings"), link)
    found = analyse(
        i_write,
        readings.r_reset,
        readings.r_write,
        link,
        cell.rng("bootstrap"),
        cards.value(card, "hall.reset_state"),
        cell.params["resamples"],
    )
    return {"i_write": i_write, "r_reset": readings.r_reset, "r_write": readings.r_write, **found.values}


SWEEP = Sweep(
    name="characterization",
    title="Switching curves of 36 Hall bars, bias current and window against the width",
    axes=(
        WIDTH,
        DEVICE,
    ),
    dims=(
        Dim("current", "currents", long_name="write current, index"),
        Dim("cycle", "cycles", long_name="cycle"),
    ),
    outputs=(
        Output("i_write", ("current",), unit="A", long_name="write current"),
        Output("r_reset", ("current", "cycle"), "float32", "ohm", "Hall resistance after reset"),
        Output("r_write", ("current", "cycle"), "float32", "ohm", "Hall resistance after write"),
        Output("switched", ("current", "cycle"), "bool", long_name="write pulse switched"),
        Output("valid", ("current", "cycle"), "bool", long_name="readings are valid"),
        *(
            Output(n, unit="1" if n == "deviance" else "A", long_name=_long_name(n), tolerance=ROUNDING)
            for n in NUMBERS
        ),
        Output("dof", dtype="int64", long_name="degrees of freedom of the fit"),
        Output("fit_status", dtype="uint8", long_name="outcome of the fit", attrs=FLAGS),
    ),
    parameters=(
        Parameter("currents", 28, help="write currents of each device", low=2, high=10_000),
        Parameter("cycles", 100, help="cycles at each current", low=1, high=1_000_000),
        LINK,
        CARD,
        Parameter("resamples", 1000, help="bootstrap resamples", low=10, high=1_000_000),
    ),
    function=characterize,
    on_bench="spinneurons.characterization.bench:on_bench",
    figures="spinneurons.characterization.figures:FIGURES",
    source="Islam et al. 2024, Fig. 2(c-k), 3(a, b), S3(b), S6",
)
