"""Anisotropy field as a sweep: Hall resistance of each bar in an in-plane field, and the fit of H_an."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinneurons.anisotropy import model
from spinneurons.neurons.outputs import rounded
from spinneurons.neurons.parameters import DEVICE, HALL_BAR_CARD, WIDTH, card_of
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View

STATES = (1, -1)
"""Up, down."""


@per_cell
def scan(cell: Any) -> dict[str, Any]:
    """Readings of one device and their fit; stream ``readings``."""
    p, card = cell.params, cell.params["card"]
    h_an = model.anisotropy_field(card, cell["width"], cell["device"], p["h_an_mean"], p["spread"])
    field = np.linspace(-p["field_limit"], p["field_limit"], p["fields"])
    resistance = model.readings(card, field, h_an, cell.rng("readings"))
    fitted = model.fit(field, resistance)
    return {"h_x": field, "r": resistance.astype(np.float32), "h_an_model": h_an, **fitted._asdict()}


SWEEP = Sweep(
    name="anisotropy",
    title="Anisotropy field of each Hall bar from the Hall resistance in an in-plane field",
    axes=(WIDTH, DEVICE),
    dims=(
        Dim("state", values=STATES, long_name="perpendicular state, 1 up, -1 down"),
        Dim("point", "fields", long_name="in-plane field, index"),
    ),
    outputs=(
        Output("h_x", ("point",), unit="A/m", long_name="in-plane field"),
        Output("r", ("state", "point"), "float32", "ohm", "Hall resistance"),
        Output("h_an_model", unit="A/m", long_name="anisotropy field of the model behind the readings"),
        rounded("h_an", unit="A/m", long_name="anisotropy field"),
        rounded("h_an_stderr", unit="A/m", long_name="anisotropy field, standard error"),
        rounded("amplitude", unit="ohm", long_name="anomalous Hall resistance"),
        rounded("amplitude_stderr", unit="ohm", long_name="anomalous Hall resistance, standard error"),
        rounded("offset", unit="ohm", long_name="offset"),
        rounded("offset_stderr", unit="ohm", long_name="offset, standard error"),
        rounded("residual", unit="ohm", long_name="standard deviation of the readings about the fit"),
    ),
    parameters=(
        Parameter("fields", 81, help="in-plane fields, from -field_limit to field_limit", low=3, high=1_000_000),
        Parameter("field_limit", 4.0e5, "A/m", "largest in-plane field; assumed", low=1, high=1e8),
        Parameter("h_an_mean", 5.8e5, "A/m", "anisotropy field of the model; Fig. S1, 700 nm", low=1, high=1e8),
        Parameter("spread", 0.0, help="of the devices about h_an_mean, uniform +-", low=0, high=0.5),
        card_of("devices.seed", "hall.amplitude", "hall.offset", "read.current", "read.noise", of=HALL_BAR_CARD),
    ),
    function=scan,
    views=(
        View("h_an", x="width", over=("device",)),
        View("r", x="h_x", lines="state", over=("device",)),
    ),
    figures="spinneurons.anisotropy.figures:FIGURES",
    source="Islam et al. 2024, eq. S2, Fig. S1",
)
