"""The look of the figures: journal sizes, colours that colour-blind readers tell apart, SI prefixes; and their frame.

``figure`` and ``canvas`` make the builder of a figure from what draws it: they apply the style, blank the cells that
are not done, and say so in place of a figure without any.  Figures are made with matplotlib's object interface and
the Agg canvas; nothing here touches pyplot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from spinneurons.analysis.cubes import by_width, mask_unfinished
from spinneurons.analysis.intervals import mean_interval
from spinneurons.analysis.lines import FittedLine

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
FEW = 5
"""Shares of which each is drawn where there are fewer."""
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
_SYMBOLS = {"ohm": "Ω", "um": "µm"}
_HEIGHT = 65 * MM

Builder = Callable[[xr.Dataset], Figure]
Draw = Callable[[xr.Dataset, Figure], object]
Panel = Callable[[xr.Dataset, Axes], object]
Bars = npt.NDArray[np.float64] | None


def nothing_done(cube: xr.Dataset) -> str:
    """Why a cube over widths cannot be drawn; "" if a cell is done."""
    return "" if cube.sizes["width"] else "no cell is done yet"


def canvas(
    draw: Draw,
    width: float = COLUMN,
    height: float = _HEIGHT,
    empty: Callable[[xr.Dataset], str] = nothing_done,
    *,
    zeros: bool = False,
) -> Builder:
    """The builder of a figure that ``draw`` fills.

    Parameters
    ----------
    draw : is given the cube in memory, blank where cells are not done, and the figure
    width, height : inches
    empty : why such a cube cannot be drawn, which the figure then says; "" if it can
    zeros : see :func:`spinneurons.analysis.cubes.mask_unfinished`
    """

    @wraps(draw)
    def build(cube: xr.Dataset) -> Figure:
        cube = by_width(mask_unfinished(cube, zeros=zeros)).compute()
        with matplotlib.rc_context(_RC):  # whatever the caller's settings are
            figure = Figure(figsize=(width, height), layout="constrained")
            FigureCanvasAgg(figure)  # no window
            if reason := empty(cube):
                note(figure.subplots(), reason)
            else:
                draw(cube, figure)
        return figure

    return build


def figure(
    *panels: Panel,
    width: float = COLUMN,
    height: float = _HEIGHT,
    empty: Callable[[xr.Dataset], str] = nothing_done,
    zeros: bool = False,
    ratios: tuple[float, ...] | None = None,
) -> Builder:
    """The builder of a figure of ``panels`` side by side, whose widths are as ``ratios``; else see ``canvas``."""

    def draw(cube: xr.Dataset, figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=ratios)[0]
        for panel, ax in zip(panels, axes, strict=True):
            panel(cube, ax)

    return canvas(draw, width, height, empty, zeros=zeros)


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
        largest = max(map(abs, axis.get_view_interval()))
        power = 3 * math.floor(math.log10(largest) / 3 + 1e-9) if 0 < largest < math.inf else 0
    factor = 10.0**power
    axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / factor:.6g}".replace("-", "−")))
    axis.set_label_text(f"{name} ({EngFormatter.ENG_PREFIXES[power]}{symbol(unit)})")


def symbol(unit: str) -> str:
    """A unit as it is printed: ``Ω`` for ``ohm``."""
    return _SYMBOLS.get(unit, unit)


def si_text(value: float, unit: str) -> str:
    """A value with three digits and its prefix, such as ``401 µA`` or ``10 ns``."""
    return str(EngFormatter(unit).format_data(float(f"{value:.3g}")))


def width_text(width: float) -> str:
    """The width of a device, such as ``0.3 µm``."""
    return f"{width:g} µm"


def width_label(cube: xr.Dataset) -> str:
    """The label of an axis of widths, as the cube names them: ``Bar width (µm)`` for Hall bars."""
    attrs = cube["width"].attrs
    name = str(attrs.get("long_name", "width"))
    return f"{name[:1].upper()}{name[1:]} ({symbol(str(attrs.get('units', 'um')))})"


def device_text(device: xr.Dataset) -> str:
    """Which device a Dataset without the dims ``width`` and ``device`` is of, such as ``0.3 µm, device 2``."""
    name = device["name"].item() if "name" in device.coords else int(device["device"])
    return f"{width_text(float(device['width']))}, device {name}"


MANY_WIDTHS = 12
"""From here on panels of widths are small: bars that are each measured with a width of their own."""


class WidthPanel(NamedTuple):
    """The panel of one width in a grid."""

    ax: Axes
    leftmost: bool
    lowest: bool
    """No other panel is below it."""


def panels_of_widths(cube: xr.Dataset, figure: Figure, row_height: float, **share: Any) -> list[WidthPanel]:
    """A panel for each width of the cube, three to a row, or six small ones where there are many widths; the figure
    takes the size that they need.

    Parameters
    ----------
    row_height : inches
    share : ``sharex`` and ``sharey`` of the panels
    """
    count = cube.sizes["width"]
    columns = 6 if count > MANY_WIDTHS else min(3, count)
    rows = -(-count // columns)
    row_height *= 2 / 3 if columns == 6 else 1
    figure.set_size_inches(
        PAGE * columns / 3 if 1 < columns < 6 else COLUMN if columns == 1 else PAGE, 12 * MM + rows * row_height
    )
    axes = figure.subplots(rows, columns, squeeze=False, **share).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    return [WidthPanel(ax, i % columns == 0, i + columns >= count) for i, ax in enumerate(axes[:count])]


def devices_against_width(cube: xr.Dataset, ax: Axes, values: xr.DataArray, bars: Bars = None) -> None:
    """A hollow point for each device at its width; ``bars`` are (2, width, device) or (width, device)."""
    for index, device in enumerate(cube["device"].values):
        y = values.transpose("width", "device").values[:, index]
        look = {"ls": "none", "mfc": "none", "label": f"device {device}", **device_look(int(device))}
        if bars is None:
            ax.plot(cube["width"].values, y, **look)
        else:
            caps: dict[str, Any] = {"elinewidth": 0.6, "capsize": 1.2, "capthick": 0.6}
            ax.errorbar(cube["width"].values, y, bars[..., index], **look, **caps)
    ax.set(xlim=(0, 1.06 * cube["width"].values.max()), xlabel=width_label(cube))


def line_against_width(ax: Axes, line: FittedLine, devices: int) -> None:
    """The straight line over the whole axis, with its R² and how many of the ``devices`` it leaves out."""
    x, left_out = np.array(ax.get_xlim()), devices - int(line.dof) - 2
    text = f"linear fit, R² = {line.r_squared:.3f}" + (f", {left_out} of {devices} left out" if left_out else "")
    ax.plot(x, line.predict(x), color="black", lw=0.8, zorder=1, label=text)


def shares_against(ax: Axes, x: npt.ArrayLike, shares: xr.DataArray, dim: str = "seed", **look: Any) -> None:
    """Mean of shares over ``dim``, in percent, at each ``x``; a look is that of ``Axes.errorbar``.

    Bars are 95 % intervals, within 0 to 100 %.  Where there are fewer than ``FEW`` shares, each is a point instead:
    an interval of so few is mostly the doubt about their spread.

    Parameters
    ----------
    shares : (n, dim) from 0 to 1; NaN is left out
    """
    places, percent = np.asarray(x, float), 100 * shares.transpose(..., dim)
    interval = mean_interval(percent, dim)
    mean, ends = interval.mean.values, interval.within(0, 100)
    few = percent.notnull().sum(dim).values < FEW
    bars = np.where(few, np.nan, np.stack([mean - ends[0].values, ends[1].values - mean]))
    ax.errorbar(
        places, mean, bars, **{"capsize": 1.5, "elinewidth": 0.6} | look, markevery=np.flatnonzero(~few).tolist()
    )
    points = {k: v for k, v in look.items() if k in ("color", "marker", "ms")}
    alone = np.broadcast_to(places[:, None], percent.shape)[few].ravel()
    ax.plot(alone, percent.values[few].ravel(), ls="none", mfc="none", mew=0.6, **points)


def share_curve(ax: Axes, x: npt.ArrayLike, shares: xr.DataArray, colour: Any, label: str = "") -> None:
    """Mean curve of shares over seeds, in percent, with its 95 % band; fewer than ``FEW`` curves each by itself.

    Parameters
    ----------
    shares : (n, seed) from 0 to 1; NaN is left out
    """
    percent = 100 * shares.transpose(..., "seed").dropna("seed", how="all")
    interval = mean_interval(percent)
    ax.plot(x, interval.mean, color=colour, label=label)
    if percent.sizes["seed"] < FEW:
        ax.plot(x, percent.values, color=colour, alpha=0.5, lw=0.4)
    else:
        ax.fill_between(x, *interval.within(0, 100), color=colour, alpha=0.2, lw=0)


def devices_by_width(cube: xr.Dataset, ax: Axes, values: xr.DataArray, bars: xr.DataArray) -> None:
    """A point with its error bar for each device, side by side at ticks that name the widths.

    ``bars`` are of the dims of ``values``, or before them of one more with how far the bar reaches down and up.
    """
    widths, count = cube["width"].values, cube.sizes["device"]
    for index, device in enumerate(cube["device"].values):
        x = np.arange(widths.size) + 0.16 * (index - (count - 1) / 2)
        y, error = (a.isel(device=index).transpose(..., "width").values for a in (values, bars))
        look = device_look(int(device))
        ax.errorbar(x, y, error, ls="none", elinewidth=0.6, ms=2.4, mew=0, label=f"device {device}", **look)
    ax.set_xlim(-0.6, widths.size - 0.4)
    ax.set_xticks(range(widths.size), [f"{w:g}" for w in widths])
    ax.tick_params(axis="x", length=0)
    ax.set_xlabel(width_label(cube))


def note(ax: Axes, text: str) -> Axes:
    """An empty axes that says why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color=GREY)
    return ax
