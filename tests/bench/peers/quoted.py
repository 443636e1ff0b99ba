"""The lines of the README that quote the report: made from its numbers, so that they cannot say others."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.report import ROOT, is_quiet, number

README = ROOT / "README.md"
BEGIN, END = "<!-- made by make bench-peers -->", "<!-- to here -->"
WIDTH = 118
CLAUSES = (
    (
        "20,000 trivial cells",
        "20,000 cells that do next to nothing",
        {
            "xyzpy Crop": "with xyzpy's Crop",
            "pipefunc, file_array": "with pipefunc's files",
            "client.map, a task a cell": "with a `client.map` task for each",
        },
    ),
    (
        "the network,",
        "a cell of a plane of the spiking network",
        {"plain torch loop": "in a plain PyTorch loop", "snnTorch": "in snnTorch", "BindsNET": "in BindsNET"},
    ),
    (
        "the macrospin",
        "a step of a macrospin",
        {"plain NumPy, 10,000 trajectories": "in plain NumPy", "cmtj, Heun": "in cmtj"},
    ),
    (
        "cycles at an emulated bench",
        "a cycle at the bench, checked and recorded",
        {"pymeasure, the same messages": "through pymeasure, which checks and records nothing"},
    ),
    (
        "the mean over 100 seeds of 1,000,000 cells",
        "opening a million cells and their mean over the seeds",
        {"netCDF": "from netCDF", "CSV, pandas": "from CSV"},
    ),
)
"""Start of a table's title, what its first way does, and how others of its ways are named."""


def ratio(data: Mapping[str, Any], title: str, way: str) -> float | None:
    """Median ratio of a way, None where it was not measured."""
    for table in data["tables"]:
        if table["title"].startswith(title):
            for each in table["ways"]:
                if each["way"] == way and each["ratio"] is not None:
                    return float(each["ratio"][0])
    return None


def quote(data: Mapping[str, Any]) -> str:
    """What the README says, in Markdown."""
    said = []
    for title, what, ways in CLAUSES:
        found = {words: ratio(data, title, way) for way, words in ways.items()}
        times = [f"{number(value)} times {words}" for words, value in found.items() if value is not None]
        if times:
            said.append(f"{what}: {', '.join(times)}")
    busy = "" if is_quiet(data) else ", on a busy machine"
    intro = (
        f"How long others take for the same checked result, divided by spinsweep's time: medians of one run{busy}. "
        "Below 1, they are faster. [All numbers](tests/bench/results/peers.md); `make bench-peers` measures them on "
        "your machine:"
    )
    lines = [*_wrapped(intro), "", *(line for clause in said for line in _wrapped(f"- {clause}"))]
    figure = "![Ratios of others to spinsweep](tests/bench/results/peers.png)"
    return "\n".join(["## How fast", "", *lines, "", figure])


def _wrapped(text: str) -> list[str]:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def renew(data: Mapping[str, Any], readme: Path = README) -> None:
    """Put the quote into the README in place of the one before.

    Raises
    ------
    ValueError
        The README has no place for it.
    """
    before = readme.read_text()
    pattern = re.escape(BEGIN) + r".*?" + re.escape(END)
    after, count = re.subn(pattern, lambda _: f"{BEGIN}\n\n{quote(data)}\n\n{END}", before, flags=re.S)
    if count != 1:
        raise ValueError(f"{readme} has {count} places between {BEGIN} and {END}; it needs one")
    readme.write_text(after)
