"""The axis of a calibration's pulses: a whole number of them, or so many that nothing is left to learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spinsweep.axis import Axis, Value, listed
from spinsweep.errors import SpecError
from spinsweep.printable import brief

EXACT = "exact"
"""In the place of a number of pulses: nothing is left to learn."""
MOST = 100_000
"""Pulses at one neuron."""


class PulsesAxis(Axis):
    """An axis of whole numbers of pulses, 0 for none, and of the word ``exact``; values are texts."""

    @property
    def allowed(self) -> str:
        """In words, for messages and help."""
        return f"whole numbers from 0 to {MOST}, and {EXACT}"

    def check(self, values: Iterable[Any] | Value) -> tuple[Value, ...]:
        """The values as texts without leading zeros; ``SpecError`` for any other."""
        texts = [str(value).strip() for value in listed(values)]
        for text in texts:
            if text != EXACT and not (text.isascii() and text.isdigit() and int(text[:9]) <= MOST):
                raise SpecError(f"axis {self.name!r} cannot take the value {brief(text)}; it takes {self.allowed}")
        return super().check([text if text == EXACT else str(int(text)) for text in texts])


def pulses_of(value: str) -> int | None:
    """Pulses that a value of such an axis stands for; None: nothing is left to learn."""
    return None if value == EXACT else int(value)
