"""The characterization of the paper as a sweep: 36 devices, 28 write currents, 100 cycles each.

A cell is one device: its readings on the amplitude plan of its width, what they decide, and the fitted curve
with bootstrap intervals.  36 * 28 * 100 = 100,800 cycles, "close to 100,000 steps" of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinneurons.characterization.analysis import NUMBERS, analyse
from spinneurons.neurons.checked_fit import STATUSES
from spinneurons.neurons.outputs import fitted
from spinneurons.neurons.parameters import CURVES, DEVICE, LINK, READOUT, WIDTH, card_of, readings
from spinneurons.neurons.registry import family_of
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View

FLAGS = {"flag_values": list(range(len(STATUSES))), "flag_meanings": " ".join(STATUSES)}


@per_cell
def characterize(cell: Any) -> dict[str, Any]:
    """Readings, decisions and fitted curve of the device at ``cell["width"]`` (um), ``cell["device"]``.

    Streams: ``readings`` of the cycles, ``bootstrap`` of the resampling.
    """
    p, family = cell.params, family_of(cell.params["card"])
    law = family.law(p["link"])
    i_write = family.write_currents(cell["width"], p["currents"])
    i_bias, i0 = family.individual(cell["width"], cell["device"])
    recorded = family.measure(i_bias, i0, i_write, p["cycles"], cell.rng("readings"), law)
    decision, mixture = family.decide(recorded), family.level_mixture(recorded)
    results = analyse(decision, mixture, i_write, law, cell.rng("bootstrap"), p["resamples"])
    names = (reading.name for reading in family.readings)
    return {"i_write": i_write, **dict(zip(names, recorded, strict=True)), **results.values}


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """Readings of the card's family, what they decide, and the fit."""
    return (
        Output("i_write", ("current",), unit="A", long_name="write current"),
        *readings(params, ("current", "cycle")),
        Output("switched", ("current", "cycle"), "bool", long_name="write pulse switched"),
        Output("valid", ("current", "cycle"), "bool", long_name="readings are valid"),
        *fitted(NUMBERS),
        Output("dof", dtype="int64", long_name="degrees of freedom of the fit"),
        Output("fit_status", dtype="uint8", long_name="outcome of the fit", attrs=FLAGS),
        Output("level_count", dtype="uint8", long_name="levels among the readings"),
        Output("intermediate_share", long_name="share of the written readings between two levels"),
    )


SWEEP = Sweep(
    name="characterization",
    title="Switching curves of 36 Hall bars, bias current and window against the width",
    axes=(WIDTH, DEVICE),
    dims=(Dim("current", "currents", long_name="write current, index"), Dim("cycle", "cycles", long_name="cycle")),
    outputs=(),
    outputs_of=outputs,
    parameters=(
        Parameter("currents", 28, help="write currents of each device", low=2, high=10_000),
        Parameter("cycles", 100, help="cycles at each current", low=1, high=1_000_000),
        LINK,
        card_of(*CURVES, *READOUT, "switching.link", individuals=("i_bias", "i0")),
        Parameter("resamples", 1000, help="bootstrap resamples", low=10, high=1_000_000),
    ),
    function=characterize,
    on_bench="spinneurons.characterization.bench:on_bench",
    views=(
        View("switched", x="i_write", lines="width", over=("device", "cycle")),
        View("i_bias", x="width", over=("device",)),
        View("window", x="width", over=("device",)),
    ),
    figures="spinneurons.characterization.figures:FIGURES",
    source="Islam et al. 2024, Fig. 2(c-k), 3(a, b), S3(b), S6",
)
