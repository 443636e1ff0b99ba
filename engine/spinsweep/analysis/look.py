"""The look of figures: journal sizes, colours that colour-blind readers tell apart, units and SI prefixes."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap
from matplotlib.ticker import EngFormatter

MM = 1 / 25.4
COLUMN, PAGE = 85 * MM, 178 * MM
"""Widths of one column and of the page, inches."""

BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE)
"""Palette of M. Okabe and K. Ito, Color Universal Design (2008), without yellow and black."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""One to each colour, so that colour is never the only difference."""
GREY = "#767676"
SHADES = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.88, 256)), "shades")
"""For ordered quantities, dark to light: viridis without its yellow, which is faint on paper."""

SMALL = 6.5
"""Size of ticks, legends and notes in an axes, points; all other text is 7."""

RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "figure.titlesize": 7,
    "figure.labelsize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "axes.titlepad": 3,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "lines.linewidth": 0.9,
    "lines.markersize": 3,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.unicode_minus": True,
    "figure.dpi": 150,
}
_SYMBOLS = {"ohm": "Ω", "um": "µm"}


def shades(count: int) -> npt.NDArray[np.float64]:
    """Colours of ``count`` values of an ordered quantity, dark to light, (count, 4) float64 RGBA."""
    return np.asarray(SHADES(np.linspace(0, 1, count)))


def prefix_power(values: npt.ArrayLike) -> int:
    """Power of ten, a multiple of 3, of the SI prefix that suits the largest of some values; NaN does not count."""
    finite = np.abs(np.asarray(values, float))
    largest = float(np.max(finite, initial=0, where=np.isfinite(finite)))
    return 3 * math.floor(math.log10(largest) / 3 + 1e-9) if largest else 0


def symbol(unit: str) -> str:
    """A unit as it is printed: ``Ω`` for ``ohm``."""
    return _SYMBOLS.get(unit, unit)


def si_unit(unit: str, power: int) -> str:
    """The unit with the prefix of that power of ten, such as ``µA``."""
    return f"{EngFormatter.ENG_PREFIXES[power]}{symbol(unit)}"
