"""Ratios of all ways to the first of their table, on one logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.report import NAME, RESULTS, number

OURS, OTHERS = "#0072b2", "#d55e00"


def _positive(way: Mapping[str, Any]) -> bool:
    """Whether a logarithmic axis has a place for it."""
    return way["ratio"] is not None and min(way["ratio"]) > 0


def draw(data: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """A panel for each table that has ratios; a bar is from the least to the most."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    drawn = [(table, [way for way in table["ways"] if _positive(way)]) for table in data["tables"]]
    drawn = [(table, rows) for table, rows in drawn if len(rows) > 1]
    ways = [rows for _, rows in drawn]
    figure, panels = plt.subplots(
        max(len(drawn), 1),
        1,
        figsize=(8, 0.8 + sum(0.24 * len(rows) + 0.5 for rows in ways)),
        height_ratios=[len(rows) + 1 for rows in ways] or None,
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, (table, rows) in zip(panels[:, 0], drawn, strict=False):
        for place, way in enumerate(reversed(rows)):
            middle, low, high = way["ratio"]
            colour = OURS if "spinsweep" in way["way"] else OTHERS
            axes.errorbar(
                middle, place, xerr=[[middle - low], [high - middle]], fmt="o", color=colour, markersize=4, capsize=2
            )
            axes.annotate(
                number(middle),
                (high, place),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color="0.3",
            )
        axes.set_yticks(range(len(rows)), [way["way"] for way in reversed(rows)], fontsize=8)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_title(f"({table['comparison']}) {table['title']}: {table['columns'][0]}", fontsize=9, loc="left")
        axes.axvline(1, color="0.7", linewidth=0.8, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xscale("log")
        axes.margins(x=0.12)
    last = panels[-1, 0]
    last.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    last.set_xlabel(
        "ratio to the first way in the same round: median, least, most; above 1: the first is better", fontsize=8
    )
    path = folder / f"{NAME}.png"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
