"""What a user wants of all figures of a cube, whatever they show.

A builder of a figure that has a parameter ``options`` is called with it; one without draws as it likes::

    def against_noise(cube, options=FigureOptions()):
        ...
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from spinsweep.errors import SpecError
from spinsweep.printable import brief

NO_LETTERS = "none"


@dataclass(frozen=True)
class FigureOptions:
    """Letters of panels, font and width.

    Raises
    ------
    SpecError
        Letters or a width that cannot be.
    """

    letters: str = "(a)"
    """The first panel's, with what stands about it, such as ``a``, ``A`` or ``(c)``; ``none`` for no letters."""
    font: str = ""
    """Name of a font that is installed; "" for the figures' own."""
    columns: int | None = None
    """Width in columns of a journal, 1 (85 mm) or 2 (178 mm); None for the figures' own."""

    def __post_init__(self) -> None:
        if self.letters != NO_LETTERS and not re.fullmatch(r"\W*[A-Za-z]\W*", self.letters):
            raise SpecError(
                f"letters {brief(self.letters)}: write the first panel's, such as (a), a, A or (c), or {NO_LETTERS}"
            )
        if self.columns not in (None, 1, 2):
            raise SpecError(f"width {self.columns}: a figure is 1 or 2 columns wide")

    @property
    def font_settings(self) -> dict[Any, Any]:
        """Matplotlib's settings of the font, also in formulas; signs that it lacks are those of DejaVu Sans."""
        if not self.font:
            return {}
        formulas = {"rm": self.font, "it": f"{self.font}:italic", "bf": f"{self.font}:bold"}
        formulas |= dict.fromkeys(("sf", "tt", "cal"), self.font)
        return {
            "font.family": [self.font, "DejaVu Sans"],
            "mathtext.fontset": "custom",
            **{f"mathtext.{style}": font for style, font in formulas.items()},
        }

    def letter(self, index: int) -> str:
        """Of the panel of that index: (a) to (z), then (aa); "" for no letters."""
        if self.letters == NO_LETTERS:
            return ""
        first = re.sub(r"\W", "", self.letters)
        text = _counted(ascii_lowercase.index(first.lower()) + index)
        return self.letters.replace(first, text.upper() if first.isupper() else text)


def _counted(index: int) -> str:
    """a to z, then aa."""
    more, last = divmod(index, len(ascii_lowercase))
    return (_counted(more - 1) if more else "") + ascii_lowercase[last]


def takes_options(builder: Callable[..., Any]) -> bool:
    """Whether a builder of a figure has a parameter ``options``."""
    try:
        return "options" in inspect.signature(builder).parameters
    except (TypeError, ValueError):  # some callables of C have none that Python knows
        return False
