"""What the frontier of methods and pulses comes to: its figure, its table, and the sentences that it allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from spinneurons import style
from spinneurons.hil.frontier_analysis import WITHIN, accuracy, gain, on_front, pulses_needed, table
from spinneurons.hil.frontier_figures import chips_of
from spinneurons.hil.lifetime_analysis import POINT, loss, upkeep
from spinneurons.paper.markdown import lines_of_table
from spinneurons.paper.plan import FRONTIER
from spinneurons.paper.webpage import DPI
from spinsweep.analysis.intervals import mean_interval
from spinsweep.discovery import figures, find

if TYPE_CHECKING:  # slow to import, and tables alone need it
    import pandas as pd

FEW = "calibrated"
"""The method that a sentence shows with few pulses."""


@dataclass(frozen=True)
class Page:
    """What is written of one sweep."""

    figure: str
    """Its builder's name among the sweep's figures."""
    title: str
    chips: str
    """What a seed is, in the plural."""
    loops: tuple[str, ...]
    """Methods that a sentence compares ``FEW`` with, at their largest budget; none: the page is one of weeks."""


PAGES = {
    "frontier": Page(
        "frontier",
        "What makes up for variation, and how many pulses of a device that takes",
        "chips of four devices",
        ("in-the-loop",),
    ),
    "whole-network": Page(
        "whole_network",
        "What makes up for variation in a whole network, and how many pulses of each device that takes",
        "chips with a device for each neuron",
        ("software-then-loop", "in-the-loop"),
    ),
    "lifetime": Page(
        "lifetime",
        "How long a calibrated or trained network lasts while its devices drift",
        "chips of four devices",
        (),
    ),
}


def write_frontier(folder: Path, cubes: Mapping[str, xr.Dataset]) -> Sequence[Path]:
    """Write figure, table and page of each cube: ``frontier.png``, ``.csv``, ``.md`` and so on.

    Parameters
    ----------
    cubes : complete and in memory, by name of the sweep

    Returns
    -------
    Their paths
    """
    paths: list[Path] = []
    for planned in FRONTIER:
        page, cube = PAGES[planned.name], cubes[planned.name]
        image, rows, text = (folder / f"{planned.name}.{kind}" for kind in ("png", "csv", "md"))
        figure = figures(find(planned.name))[page.figure](cube)
        figure.savefig(image, dpi=DPI, pil_kwargs={"optimize": True})
        (table(cube) if page.loops else weeks_table(cube)).to_csv(rows, index=False, float_format="%.5g")
        text.write_text("\n".join(_lines(planned.name, page, cube)) + "\n", encoding="utf-8")
        paths += [image, rows, text]
    return paths


def core_hours(cube: xr.Dataset) -> float:
    """Time of all cells, each on one core, by the record of the runs."""
    return float(cube["cell_duration"].sum()) / 3600


def _lines(name: str, page: Page, cube: xr.Dataset) -> Iterator[str]:
    yield from (f"# {page.title}", "")
    more = "Gains over software and over hardware in the loop, hours and endurance" if page.loops else "All numbers"
    yield (
        f"Made by `spinsweep paper --frontier` in {core_hours(cube):.2g} core hours: {cube.sizes['seed']} "
        f"{page.chips}, the same for all methods. {more} are in [{name}.csv]({name}.csv)."
    )
    against = "the pulses of each device" if page.loops else "weeks of use"
    yield from ("", f"![Accuracy against {against}]({name}.png)", "")
    if page.loops:
        yield "Accuracy in %, mean and 95 % interval over chips, by the budget of pulses of a device. **Bold**: no"
        yield from ("method has a better mean for as many pulses or fewer.", "")
    else:
        yield "Accuracy in %, mean and 95 % interval over chips, by the weeks since the only calibration or training;"
        yield from ("bias currents drift as the card says.", "")
    for title, part in chips_of(cube):
        heading = title.replace(style.RATIO, "I_bias/i0").replace(style.I_0, "i0")
        yield from (f"## {heading}", "", sentence(part, page.loops) if page.loops else upkeep_sentence(part), "")
        yield from (*lines_of_table(*(_by_budget(part) if page.loops else _by_week(part))), "")


def upkeep_sentence(part: xr.Dataset) -> str:
    """After how long a network has lost a point, and the pulses a day that hold it.

    Parameters
    ----------
    part : of one point
    """
    said = []
    for method in part["method"].values.tolist():
        if method == "none":
            continue
        lasting = upkeep(part, method)
        ends = " to ".join(f"{w:.0f}" if np.isfinite(w) else "more" for w in (lasting.earliest, lasting.latest))
        lasts = f"{lasting.weeks:.0f} weeks ({ends})" if np.isfinite(lasting.weeks) else "no week of these"
        said.append(
            f"`{method}`, with {lasting.pulses:,} pulses a device, has lost {100 * POINT:g} point after {lasts}: to "
            f"do it again each time takes {_short(lasting.pulses_a_day)} pulses of each device a day"
        )
    return ". ".join(said) + "."


def weeks_table(cube: xr.Dataset) -> pd.DataFrame:
    """One row a method and week, of each point: accuracy and loss since week 0, in % and points, intervals as ±."""
    columns: dict[str, xr.DataArray] = {"pulses_used": cube["pulses_used"].max("seed")}
    for name, interval in {"accuracy": mean_interval(accuracy(cube)), "loss": loss(cube)}.items():
        columns |= {name: 100 * interval.mean, f"{name}_half": 100 * interval.half}
    return xr.Dataset(columns).to_dataframe().reset_index()


def _by_week(part: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a method a row, a week a column."""
    weeks = part["week"].values.tolist()
    mean, half = (100 * v for v in mean_interval(accuracy(part)))
    rows = []
    for method in part["method"].values.tolist():
        places = [{"method": method, "week": week} for week in weeks]
        rows.append([method, *(f"{float(mean.sel(p)):.1f} ± {float(half.sel(p)):.1f}" for p in places)])
    return ["method", *(f"week {w:,}" for w in weeks)], rows


def _by_budget(part: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a method a row, a budget a column."""
    budgets, front = part["pulses"].values.tolist(), on_front(part)
    mean, half = (100 * v for v in mean_interval(accuracy(part)))
    rows = []
    for method in part["method"].values.tolist():
        row = [method]
        for pulses in budgets:
            place = {"method": method, "pulses": pulses}
            text = f"{float(mean.sel(place)):.1f} ± {float(half.sel(place)):.1f}"
            row.append(f"**{text}**" if front.sel(place) else text)
        rows.append(row)
    return ["method", *(f"{b:,}" for b in budgets)], rows


def sentence(part: xr.Dataset, loops: Sequence[str] = ("in-the-loop",)) -> str:
    """What calibration with few pulses is worth beside the largest budget of learning on the devices.

    Parameters
    ----------
    part : of one point
    loops : the methods that learn, to be compared with
    """
    budgets = np.sort(part["pulses"].values)
    most = int(budgets[-1])
    right, hours = 100 * part["accuracy"].mean("seed"), part["hours"].max("seed")
    said = []
    for loop in loops:
        place, compared = {"method": loop, "pulses": most}, []
        for pulses in budgets[budgets > 0][:3].tolist():
            few = {"method": FEW, "pulses": pulses}
            mean, half = (100 * float(v.sel(few)) for v in gain(part, loop, most))
            verdict = "more" if mean > half else "less" if -mean > half else "no difference beyond the interval"
            took = f"{pulses:,} ({_short(hours.sel(few))} h; {verdict})"
            compared.append(f"{mean:+.1f} ± {half:.1f} points with {took}")
        said.append(
            f"{NAMES.get(loop, loop)} with {most:,} pulses a device ({_short(hours.sel(place))} h) gives "
            f"{float(right.sel(place)):.1f} %. Beside it, on the same chips, calibration gives {', '.join(compared)}."
        )
    needed = pulses_needed(part).to_series().dropna().sort_values(kind="stable")
    names = ", ".join(f"{name} {int(pulses):,}" for name, pulses in needed.items())
    return f"{' '.join(said)} Pulses for a mean within {100 * WITHIN:g} point of the best: {names}."


def _short(number: Any) -> str:
    """Two digits, without a power of ten: 780."""
    return f"{float(f'{float(number):.2g}'):,.10g}"


NAMES = {
    "in-the-loop": "Hardware in the loop",
    "software-then-loop": "Hardware in the loop, begun with weights of software,",
}
"""Of methods, in words."""
