"""What the frontier of methods and pulses comes to: its figure, its table, and the sentences that it allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from spinneurons import style
from spinneurons.analysis.intervals import mean_interval
from spinneurons.hil.frontier_analysis import WITHIN, accuracy, gain, on_front, pulses_needed, table
from spinneurons.hil.frontier_figures import chips_of
from spinneurons.paper.markdown import lines_of_table
from spinneurons.paper.plan import FRONTIER
from spinneurons.paper.webpage import DPI
from spinsweep.discovery import figures

FEW, LOOP = "calibrated", "in-the-loop"
"""The methods that the sentence compares: by few pulses, and by the most."""


def write_frontier(folder: Path, cube: xr.Dataset) -> Sequence[Path]:
    """Write ``frontier.png``, ``frontier.csv`` and ``frontier.md``.

    Parameters
    ----------
    cube : complete and in memory

    Returns
    -------
    Their paths
    """
    paths = [folder / f"frontier.{kind}" for kind in ("png", "csv", "md")]
    figure = figures(FRONTIER.sweep(quick=False))["frontier"](cube)
    figure.savefig(paths[0], dpi=DPI, pil_kwargs={"optimize": True})
    table(cube).to_csv(paths[1], index=False, float_format="%.5g")
    paths[2].write_text("\n".join(_page(cube)) + "\n")
    return paths


def core_hours(cube: xr.Dataset) -> float:
    """Time of all cells, each on one core, by the record of the runs."""
    return float(cube["cell_duration"].sum()) / 3600


def _page(cube: xr.Dataset) -> Iterator[str]:
    yield from ("# What makes up for variation, and how many pulses of a device that takes", "")
    yield (
        f"Made by `spinsweep paper --frontier` in {core_hours(cube):.2g} core hours: {cube.sizes['seed']} chips of "
        "four devices, the same for all methods. Gains over software and over hardware in the loop, hours and "
        "endurance are in [frontier.csv](frontier.csv)."
    )
    yield from ("", "![Accuracy against the pulses of each device](frontier.png)", "")
    yield "Accuracy in %, mean and 95 % interval over chips, by the budget of pulses of a device. **Bold**: no method"
    yield from ("has a better mean for as many pulses or fewer.", "")
    for title, part in chips_of(cube):
        yield from (f"## {title.replace(style.RATIO, 'I_bias/i0').replace(style.I_0, 'i0')}", "", sentence(part), "")
        yield from (*lines_of_table(*_by_budget(part)), "")


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


def sentence(part: xr.Dataset) -> str:
    """What calibration with few pulses is worth beside the largest budget of hardware in the loop.

    Parameters
    ----------
    part : of one variation and ratio
    """
    budgets = np.sort(part["pulses"].values)
    most, difference = int(budgets[-1]), gain(part, LOOP, int(budgets[-1]))
    right, hours = 100 * part["accuracy"].mean("seed"), part["hours"].max("seed")
    said = []
    for pulses in budgets[budgets > 0][:3].tolist():
        place = {"method": FEW, "pulses": pulses}
        mean, half = (100 * float(v.sel(place)) for v in difference)
        verdict = "more" if mean > half else "less" if -mean > half else "no difference beyond the interval"
        said.append(f"{mean:+.1f} ± {half:.1f} points with {pulses:,} ({float(hours.sel(place)):.2g} h; {verdict})")
    needed = pulses_needed(part).to_series().dropna().sort_values(kind="stable")
    names = ", ".join(f"{name} {int(pulses):,}" for name, pulses in needed.items())
    loop = {"method": LOOP, "pulses": most}
    return (
        f"Hardware in the loop with {most:,} pulses a device ({float(hours.sel(loop)):.2g} h) gives "
        f"{float(right.sel(loop)):.1f} %. Beside it, on the same chips, calibration gives {', '.join(said)}. "
        f"Pulses for a mean within {100 * WITHIN:g} point of the best: {names}."
    )
