"""The report of a run: its table of claims, figures and provenance, in Markdown and in one HTML file."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spinneurons.paper import markdown, webpage
from spinneurons.paper.claim import Claim, Cubes, Finding, Verdict
from spinneurons.paper.claims import CLAIMS
from spinneurons.paper.plan import STEPS
from spinsweep import provenance
from spinsweep.discovery import figures


@dataclass(frozen=True)
class Row:
    """A claim with what was found."""

    claim: Claim
    found: Finding
    commands: tuple[str, ...]
    """How to compute its cubes again."""

    @property
    def verdict(self) -> Verdict:
        """How the claim fares."""
        return self.claim.verdict(self.found)

    @property
    def qualifier(self) -> str:
        """Why it is no more than consistent."""
        return self.claim.qualifier(self.found)

    @property
    def ours(self) -> str:
        """Our number with its interval and unit."""
        return with_unit(number_text(self.found), self.claim.unit)


@dataclass(frozen=True)
class Report:
    """All that a report says."""

    quick: bool
    rows: tuple[Row, ...]
    source: dict[str, Any]
    """Provenance: packages, commit, machine, cubes."""

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many claims have each verdict."""
        counts = Counter(row.verdict for row in self.rows)
        return {verdict: counts[verdict] for verdict in Verdict}


def number_text(found: Finding) -> str:
    """A number and its interval with the digits that the interval allows, such as ``97.29 (97.27 to 97.31)``."""
    if not found.low < found.high:
        return f"{found.value:.6g}"
    digits = max(0, 1 - _power(found.high - found.low))
    value, low, high = (f"{v:.{digits}f}".replace("-", "−") for v in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def with_unit(number: str, unit: str) -> str:
    """Number and unit; nothing is added to a pure number."""
    return f"{number} {unit}".strip()


def _power(value: float) -> int:
    """Of ten, of the first digit."""
    return int(f"{value:e}".partition("e")[2])


def judge(folder: Path, cubes: Cubes, quick: bool) -> tuple[Row, ...]:
    """Every claim, from the cubes."""
    commands = {step.name: step.command(folder, quick) for step in STEPS}
    return tuple(Row(c, c.find(cubes), tuple(commands[name] for name in c.cubes)) for c in CLAIMS)


def write(folder: Path, cubes: Cubes, quick: bool) -> Sequence[Path]:
    """Draw the figures and write ``report.html``, ``report.md``, ``claims.json`` and ``provenance.json``.

    Parameters
    ----------
    cubes : complete and in memory, by name of their sweep
    quick : which version of the plan made them

    Returns
    -------
    The reports' paths
    """
    source = collect(cubes)  # first: the figures may be under version control
    draw(folder / "figures", cubes)
    report = Report(quick, judge(folder, cubes, quick), source)
    table = [{"id": r.claim.id, "verdict": r.verdict, "unit": r.claim.unit, **asdict(r.found)} for r in report.rows]
    texts = {
        "report.html": webpage.page(report, folder / "figures"),
        "report.md": markdown.page(report),
        "claims.json": json.dumps(table, indent=1, ensure_ascii=False) + "\n",
        "provenance.json": json.dumps(report.source, indent=1) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / "report.html", folder / "report.md"]


def draw(folder: Path, cubes: Cubes) -> None:
    """Every figure of the plan as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in STEPS:
        builders = figures(step.sweep(quick=False))
        for picture in step.pictures:
            figure = builders[picture.stem](cubes[step.name])
            figure.savefig(folder / f"{picture.stem}.png", dpi=webpage.DPI, pil_kwargs={"optimize": True})


def collect(cubes: Cubes) -> dict[str, Any]:
    """Where the numbers come from: no names of people or machines."""
    code = provenance.CodeRecord.of(STEPS[0].sweep(quick=False))
    return {
        "made": provenance.now(),
        "packages": provenance.versions(),
        "python": platform.python_version(),
        "commit": code.git_commit,
        "uncommitted_changes": code.git_dirty,
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "cubes": {
            name: {
                "digest": cube.attrs["digest"],
                "root_seed": int(cube.attrs["root_seed"]),
                "cells": int((cube["cell_state"] == 1).sum()),
                "seconds": round(float(cube["cell_duration"].sum()), 1),
            }
            for name, cube in cubes.items()
        },
    }
