"""What a characterization is made of, and the names and units by which laboratories write it down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class LogField:
    """One quantity of a log."""

    unit: str
    """In which it is kept; empty for labels, states and counts."""
    help: str
    names: tuple[str, ...] = ()
    """Other names for it, in lower case, without units and with single blanks."""


QUANTITIES = {
    "width": LogField("um", "bar width", ("bar width", "hall bar width", "w")),
    "device": LogField(
        "", "label of the device", ("dev", "sample", "device id", "device name", "device number", "bar")
    ),
    "i_write": LogField(
        "A",
        "write current",
        ("current", "write current", "pulse current", "pulse amplitude", "i pulse", "i w", "i", "applied current"),
    ),
    "j_write": LogField("A/m^2", "density of the write current", ("current density", "write current density", "j")),
    "thickness": LogField("nm", "thickness that the current flows through, for a density", ("thickness", "t hm")),
    "cycle": LogField(
        "", "number of the cycle at its current", ("repeat", "repetition", "trial", "iteration", "shot")
    ),
    "r_reset": LogField("ohm", "resistance after reset", ("r reset", "reset resistance", "r xy reset", "rxy reset")),
    "r_write": LogField("ohm", "resistance after write", ("r write", "write resistance", "r xy write", "rxy write")),
    "v_reset": LogField(
        "V", "voltage after reset", ("v reset", "reset voltage", "voltage reset", "v xy reset", "vxy reset")
    ),
    "v_write": LogField(
        "V", "voltage after write", ("v write", "write voltage", "voltage write", "v xy write", "vxy write")
    ),
    "i_read": LogField("A", "read current", ("read current", "sense current", "i sense")),
    "pulse_width": LogField(
        "s", "length of the write pulses", ("pulse length", "pulse duration", "write pulse width", "t pulse")
    ),
    "n_switched": LogField(
        "", "pulses that switched, of n", ("switched", "switches", "k", "successes", "state", "switching")
    ),
    "n": LogField("", "pulses at a current", ("n valid", "pulses", "trials", "n pulses", "n trials", "n cycles")),
    "p": LogField("", "switching probability", ("probability", "switching probability", "p switch", "p sw")),
}
CONDITIONS = ("i_read", "pulse_width")
"""How it was measured: what a log says of them is kept with its cube."""
COUNTS = ("n_switched", "n", "p")
"""Of a log that has one row for each current, and no readings; with readings they are further columns."""


@cache
def _registry() -> Any:
    import pint  # takes half a second, which a look at the sweeps does not need

    return pint.UnitRegistry()


def factor(unit: str, to: str) -> float | None:
    """By what a number in ``unit`` is multiplied to be one in ``to``; None where it is no unit of that kind."""
    text = unit.strip().replace("µ", "u").replace("μ", "u").replace("Ω", "ohm").replace("²", "^2")
    text = re.sub(r"(?<=[a-zA-Z])2\b", "^2", text)  # A/cm2
    text = re.sub(r"Ohms?\b", "ohm", text)  # also kOhm
    if not to or not text or re.search(r"[^\w/^*.\- ]", text):
        return None
    if text == to:
        return 1.0
    try:
        return float(_registry().Quantity(1, text).to(to).magnitude)
    except Exception:  # whatever pint says of a text that is no unit
        return None


def split(label: str) -> tuple[str, str]:
    """The name in a column's label, in lower case with single blanks, and its unit: of ``Current (mA)``, ``I_mA``.

    Whether the unit is one is not looked at.
    """
    match = re.fullmatch(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*", label) or re.fullmatch(r"(.*\S)\s*/\s*(\S+)", label)
    name, unit = (match[1], match[2].strip()) if match else (label, "")
    return " ".join(re.findall(r"[^\W_]+", name)).lower(), unit


def recognised(label: str) -> tuple[str, str] | None:
    """The quantity that a column's label means, and the unit that it names; None where it means none of them."""
    name, unit = split(label)
    if quantity := _named(name):
        return quantity, unit
    name, _, last = name.rpartition(" ")
    quantity = _named(name)
    if not unit and quantity and factor(label.rstrip()[-len(last) :], QUANTITIES[quantity].unit) is not None:
        return quantity, label.rstrip()[-len(last) :]
    return None


def _named(name: str) -> str | None:
    for quantity, known in QUANTITIES.items():
        if name == quantity.replace("_", " ") or name in known.names:
            return quantity
    return None
