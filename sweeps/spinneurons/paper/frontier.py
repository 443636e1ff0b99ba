"""What the frontier of methods and pulses comes to: its figure, its table, and the sentences that it allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

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
"""The methods that the sentence compares: by the fewest pulses, and by the most."""


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
    """What the fewest pulses of calibration are worth beside the largest budget of hardware in the loop.

    Parameters
    ----------
    part : of one variation and ratio
    """
    budgets = part["pulses"].values
    few, most = int(budgets[budgets > 0].min()), int(budgets.max())

    def shown(method: str, pulses: int) -> str:
        place = {"method": method, "pulses": pulses}
        hours = float(part["hours"].sel(place).max())
        return (
            f"{100 * float(part['accuracy'].sel(place).mean()):.1f} % with {pulses:,} pulses a device ({hours:.2g} h)"
        )

    mean, half = (100 * float(v.sel({"method": FEW, "pulses": few})) for v in gain(part, LOOP, most))
    verdict = "more" if mean > half else "less" if -mean > half else "no difference beyond the interval"
    needed = pulses_needed(part).to_series().dropna().sort_values(kind="stable")
    names = ", ".join(f"{name} {int(pulses):,}" for name, pulses in needed.items())
    return (
        f"Calibration gives {shown(FEW, few)}, hardware in the loop {shown(LOOP, most)}. On the same chips that is "
        f"{mean:+.1f} ± {half:.1f} points: {verdict}. Pulses for a mean within {100 * WITHIN:g} point of the best: "
        f"{names}."
    )
