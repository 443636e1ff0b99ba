"""The look of the figures: journal sizes, colours that colour-blind readers tell apart, SI prefixes on axes.

Figures are made with matplotlib's object interface and the Agg canvas; nothing here touches pyplot.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Law, NeuronFamily
from spinneurons.neurons.registry import family_of

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
I_0, RATIO = "$i_0$", r"$I_\mathrm{bias}/i_0$"
"""Scale current, and bias current over it: quantities in italics, what is said of them upright."""

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7,
    "figure.titlesize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
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
_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_SYMBOLS = {"ohm": "Ω", "um": "µm"}

Builder = Callable[[xr.Dataset], Figure]


def styled(build: Builder) -> Builder:
    """The builder of a figure, run with this style whatever the caller's settings are."""

    @wraps(build)
    def wrapped(cube: xr.Dataset) -> Figure:
        with matplotlib.rc_context(_RC):
            return build(cube)

    return wrapped


def new_figure(width: float = COLUMN, height: float = 65 * MM) -> Figure:
    """An empty figure of that size in inches, with a canvas and no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def device_look(device: int) -> dict[str, Any]:
    """Colour and marker of the device of that index."""
    return {"color": COLOURS[device % len(COLOURS)], "marker": MARKERS[device % len(MARKERS)]}


def shades(count: int) -> npt.NDArray[np.float64]:
    """Colours of ``count`` values of an ordered quantity, dark to light, (count, 4) float64 RGBA."""
    return np.asarray(SHADES(np.linspace(0, 1, count)))


def whole_numbers(axis: Axis) -> None:
    """Tick the axis at whole numbers only."""
    axis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))


def switching_axis(ax: Axes) -> None:
    """Limits and ticks of a switching probability, upwards; its name is left to the caller."""
    ax.set_ylim(-0.05, 1.05)
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])


def label_axis(axis: Axis, name: str, unit: str, power: int | None = None) -> None:
    """Name the axis with an SI prefix and tick it in that unit.  Call after plotting.

    Data stay in the bare unit ("A"); 2e-4 A is ticked 0.2 under "mA" or 200 under "µA".  The prefix is that
    of ``power`` (a multiple of 3), or the one that suits the limits; panels with one label need one prefix.
    """
    if power is None:
        power = _power(max(map(abs, axis.get_view_interval())))
    factor = 10.0**power
    axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / factor:.6g}".replace("-", "−")))
    axis.set_label_text(f"{name} ({_PREFIXES[power]}{symbol(unit)})")


def symbol(unit: str) -> str:
    """A unit as it is printed: ``Ω`` for ``ohm``."""
    return _SYMBOLS.get(unit, unit)


def current_text(current: float) -> str:
    """A current with three digits and its prefix, such as ``401 µA``."""
    power = _power(abs(current))
    return f"{current / 10.0**power:.3g} {_PREFIXES[power]}A"


def _power(largest: float) -> int:
    """The multiple of 3 that leaves 1 to 1000 of ``largest``, within the known prefixes."""
    if not 0 < largest < math.inf:
        return 0
    power = 3 * math.floor(math.log10(largest) / 3 + 1e-9)
    return min(max(power, min(_PREFIXES)), max(_PREFIXES))


def width_text(width: float) -> str:
    """A bar width, such as ``0.3 µm``."""
    return f"{width:g} µm"


def note(ax: Axes, text: str) -> Axes:
    """An empty axes that says why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color=GREY)
    return ax


def mask_unfinished(cube: xr.Dataset, zeros: bool = False) -> xr.Dataset:
    """The cube with cells that are not done (``cell_state`` other than 1) as NaN, and without empty widths.

    Parameters
    ----------
    cube : of any axes, those of its ``cell_state``; one with a ``width`` loses the widths of which no cell is done
    zeros : leave booleans and integers in their own types, False and 0 where cells are not done: for code that
        counts or selects by them.  Means over them then take such cells for zeros

    Returns
    -------
    Dataset; variables over all axes of the cells are blanked, texts with "".  Booleans and integers become float64
    if any cell that is left is not done.  Other variables and the ledger (``cell_...``) are as they were, and so is
    a recording without ``cell_state``
    """
    if "cell_state" not in cube:
        return cube
    if "width" in cube["cell_state"].dims:
        filled = (cube["cell_state"] == 1).any([d for d in cube["cell_state"].dims if d != "width"])
        cube = cube.isel(width=np.flatnonzero(filled.values))
    good = (cube["cell_state"] == 1).compute()
    if bool(good.all()):
        return cube
    spanning = [n for n, array in cube.data_vars.items() if set(good.dims) <= set(array.dims)]
    return cube.assign({n: _blanked(cube[n], good, zeros) for n in spanning if not str(n).startswith("cell_")})


def _blanked(array: xr.DataArray, good: xr.DataArray, zeros: bool) -> xr.DataArray:
    """The array with nothing where ``good`` is False: NaN, "" for texts, or zero for ``zeros``."""
    if array.dtype.kind in "OUST":
        return array.where(good, "")
    if array.dtype.kind not in "biu":
        return array.where(good)
    return array.where(good, array.dtype.type(0)) if zeros else array.astype(np.float64).where(good)


def parameters(cube: xr.Dataset) -> dict[str, Any]:
    """The sweep's parameters, which the cube holds as JSON text."""
    found: dict[str, Any] = json.loads(cube.attrs.get("parameters", "{}"))
    return found


def family(cube: xr.Dataset) -> NeuronFamily:
    """The family of the devices in the cube; a log, which has no card, is of the default one."""
    return family_of(parameters(cube).get("card") or cards.default())


def law(cube: xr.Dataset) -> Law:
    """Switching curve of the fits in the cube."""
    return family(cube).law(parameters(cube).get("link", "standard"))
