"""What was found, as JSON, and the same as Markdown."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from tests.bench.overhead import machine
from tests.bench.peers.turns import Row, Table, ratios, version

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "tests/bench/results"
PARTIAL = ROOT / "results/bench-peers"
"""Where a run goes that has not measured all: what the README quotes is of one whole run."""
NAME = "peers"
QUIET = 0.25
"""Part of each core that others may use for the machine to count as quiet."""
SAMPLE = 2.0
"""Seconds before each comparison in which the use by others is measured, while nothing of ours runs."""
PACKAGES = (
    "spinsweep", "numpy", "torch", "xarray", "zarr", "dask", "distributed", "numba",
    "xyzpy", "pipefunc", "joblib", "snntorch", "spikingjelly", "norse", "bindsnet", "torchvision", "cmtj",
    "pymeasure", "PyVISA-py", "netCDF4", "h5netcdf", "pandas",
)  # fmt: skip


def described(rounds: int, smallest: bool) -> dict[str, Any]:
    """The machine and the versions, at the beginning."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "cores": os.cpu_count() or 1,
        "rounds": rounds,
        "smallest": smallest,
        "versions": {name: version(name) for name in PACKAGES},
        "load": {},
        "others": {},
        "tables": [],
    }


def note_others(data: dict[str, Any], letter: str) -> None:
    """Before a comparison: load average of the last minute, and cores that others use now."""
    data["load"][letter] = os.getloadavg()[0]
    data["others"][letter] = psutil.cpu_percent(SAMPLE) / 100 * data["cores"]


def table_as_data(letter: str, table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """All turns of each way, and what follows from them; ratios are of the first column, to the first way."""
    return {
        "comparison": letter,
        "title": table.title,
        "said": table.said,
        "columns": list(table.columns),
        "ways": [_way(row, rows[0], table.columns[0]) for row in rows],
    }


def _way(row: Row, base: Row, first: str) -> dict[str, Any]:
    ratio = ratios(row, base, first)
    return {
        "way": row.way.name,
        "note": row.way.note,
        "left out": row.left_out,
        "turns": {name: [turn[name] for turn in row.turns] for name in (row.turns[0] if row.turns else ())},
        "ratio": None if ratio is None else [ratio.median, ratio.least, ratio.most],
    }


def is_quiet(data: Mapping[str, Any]) -> bool:
    """Whether nobody else had much of the machine before it all, nor when a comparison began.

    Later load averages count our own work.
    """
    first = list(data["load"].values())[:1]
    return all(used <= QUIET * data["cores"] for used in (*first, *data["others"].values()))


def conditions(data: Mapping[str, Any]) -> str:
    """Machine, rounds and load, in words."""
    load = next(iter(data["load"].values()), 0.0)
    used = data["others"].values()
    others = f"; others used up to {max(used):.1f} cores when a comparison began" if used else ""
    busy = (
        ""
        if is_quiet(data)
        else " **Others used the machine meanwhile: take no time from here, and ratios with care.**"
    )
    small = " The smallest sizes, which only try the code." if data["smallest"] else ""
    return (
        f"{data['date']}, {data['machine']}; {data['rounds']} round{'s'[: data['rounds'] > 1]}; load average of the "
        f"minute before {load:.1f}{others}.{busy}{small}"
    )


def number(value: float) -> str:
    """Three digits, with all those of a whole number."""
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """Median, and least to most where they differ."""
    return in_words((statistics.median(values), min(values), max(values)))


def markdown(data: Mapping[str, Any]) -> str:
    """The whole report."""
    parts = [
        "# Side by side",
        "`make bench-peers` made this page and the [numbers of each turn](peers.json). Ways that come to the same "
        "checked result are measured in turn in one run. Each number is a median, with the least and the most; a "
        "ratio is to the first way in the same round, by the first column: above 1 the first way is better.",
        conditions(data),
        "![Ratios of all ways to the first of each table](peers.png)",
    ]
    for table in data["tables"]:
        parts += [f"## ({table['comparison']}) {_capital(table['title'])}", table["said"], _table(table)]
    versions = ", ".join(f"{name} {found}" for name, found in data["versions"].items() if found)
    return "\n\n".join([*parts, "## Versions", f"{versions}."]) + "\n"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(table: Mapping[str, Any]) -> str:
    columns = table["columns"]
    lines = [f"| way | ratio | {' | '.join(columns)} | |", "|---" * (len(columns) + 3) + "|"]
    for way in table["ways"]:
        if way["left out"]:
            cells = ["", *[""] * len(columns), f"left out: {way['left out']}"]
        else:
            ratio = "" if way["ratio"] is None else in_words(way["ratio"])
            cells = [ratio, *(spread(way["turns"][name]) for name in columns), way["note"]]
        lines.append(f"| {' | '.join([way['way'], *cells])} |")
    return "\n".join(lines)


def in_words(values: Sequence[float]) -> str:
    """Median, and least to most where they differ."""
    middle, low, high = map(number, values)
    return middle if low == high else f"{middle} ({low} to {high})"


def write(data: Mapping[str, Any], folder: Path = RESULTS) -> list[Path]:
    """JSON and Markdown into a folder, which is made; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{NAME}.json", folder / f"{NAME}.md"]
    files[0].write_text(json.dumps(data, indent=1) + "\n")
    files[1].write_text(markdown(data))
    return files
