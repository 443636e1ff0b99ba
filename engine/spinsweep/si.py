"""Numbers with SI prefixes, as people read them."""

from __future__ import annotations

import math

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
"""By power of ten."""
PREFIXED = ("A", "V", "W", "J", "s", "m", "T", "Hz", "ohm", "Ω", "F", "H", "C", "N", "Pa", "S", "eV")
"""Units that take a prefix; others, such as ``um`` or ``A/m``, stay as they are."""


def power_of(largest: float, unit: str) -> int:
    """Power of ten of the prefix that suits numbers up to ``largest``; 0 of a pure number, which has no unit."""
    power = 3 * math.floor(math.log10(abs(largest)) / 3 + 1e-9) if unit and largest else 0
    return power if power in PREFIXES else 0


def quantity(value: float, unit: str) -> str:
    """A value in four digits: ``182.9 µV``."""
    power = power_of(value, unit)
    return f"{value / 10.0**power:.4g} {PREFIXES[power]}{unit}".rstrip()
