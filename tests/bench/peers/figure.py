"""Ratios of all ways to the first of their table, on one logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.peers.report import NAME, RESULTS, number

OURS, OTHERS = "#0072b2", "#d55e00"


def _positive(way: Mapping[str, Any]) -> bool:
    """Whether a logarithmic axis has a place for it."""
    return way["ratio"] is not None and min(way["ratio"]) > 0


def _columns(sizes: Sequence[int]) -> list[list[int]]:
    """Two columns of panels in order, about as high as each other: numbers of the panels."""
    whole, first = sum(sizes), 0
    while sum(sizes[: first + 1]) * 2 <= whole + sizes[first] and first < len(sizes) - 1:
        first += 1
    return [part for part in (list(range(first)), list(range(first, len(sizes)))) if part]


def draw(data: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """A panel for each table that has ratios; a bar is from the least to the most."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    tables = [(table, [way for way in table["ways"] if _positive(way)]) for table in data["tables"]]
    tables = [(table, ways) for table, ways in tables if len(ways) > 1]
    sizes = [len(ways) + 2 for _, ways in tables]
    columns = _columns(sizes) if tables else []
    height = 0.6 + 0.23 * max((sum(sizes[n] for n in column) for column in columns), default=1)
    figure = plt.figure(figsize=(6.5 * max(len(columns), 1), height), layout="constrained")
    found = [ratio for _, ways in tables for way in ways for ratio in way["ratio"]]
    for part, column in zip(figure.subfigures(1, max(len(columns), 1), squeeze=False)[0], columns, strict=False):
        heights = [sizes[n] for n in column]
        panels = part.subplots(len(column), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, number_of_table in zip(panels, column, strict=True):
            _panel(axes, *tables[number_of_table])
        panels[-1].set_xlim(min(found) / 1.5, max(found) * 4)
        panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.supxlabel(
        "ratio to the first way, in the same round: median, least, most; above 1: the first is better", size=9
    )
    path = folder / f"{NAME}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def _panel(axes: Any, table: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> None:
    for place, way in enumerate(reversed(ways)):
        middle, low, high = way["ratio"]
        colour = OURS if "spinsweep" in way["way"] else OTHERS
        spread = [[middle - low], [high - middle]]
        axes.errorbar(middle, place, xerr=spread, fmt="o", color=colour, markersize=4, capsize=2)
        where = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(number(middle), (high, place), fontsize=7, color="0.3", **where)
    axes.set_yticks(range(len(ways)), [way["way"] for way in reversed(ways)], fontsize=8)
    axes.set_ylim(-0.6, len(ways) - 0.4)
    axes.set_title(f"({table['comparison']}) {table['title']}: {table['columns'][0]}", fontsize=9, loc="left")
    axes.axvline(1, color="0.7", linewidth=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xscale("log")
