"""From the cubes to the files of a report: judge the claims, draw the figures, collect the provenance, write."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spinneurons.paper import markdown, webpage
from spinneurons.paper.claim import Cubes
from spinneurons.paper.claims import CLAIMS
from spinneurons.paper.plan import SWEEPS
from spinneurons.paper.report import Report, Row
from spinsweep import provenance
from spinsweep.discovery import figures, find
from spinsweep.figure_options import FigureOptions
from spinsweep.reading import CubeView


def write(folder: Path, cubes: Cubes, *, quick: bool) -> Sequence[Path]:
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
    report = Report(quick, judge(folder, cubes, quick=quick), source)
    rows = report.rows
    table = [{"id": r.claim.id, "verdict": r.verdict, "unit": r.claim.unit, **asdict(r.finding)} for r in rows]
    texts = {
        "report.html": webpage.page(report, folder / "figures"),
        "report.md": markdown.page(report),
        "claims.json": json.dumps(table, indent=1, ensure_ascii=False) + "\n",
        "provenance.json": json.dumps(report.source, indent=1) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / "report.html", folder / "report.md"]


def judge(folder: Path, cubes: Cubes, *, quick: bool) -> tuple[Row, ...]:
    """Every claim, from the cubes."""
    commands = {planned.name: planned.command(folder, quick=quick) for planned in SWEEPS}
    return tuple(Row(c, c.find(cubes), tuple(commands[name] for name in c.cubes)) for c in CLAIMS)


def draw(folder: Path, cubes: Cubes) -> None:
    """Every figure of the plan as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for planned in SWEEPS:
        builders = figures(find(planned.name))
        for picture in planned.pictures:
            figure = builders[picture.stem](cubes[planned.name], options=FigureOptions(picture.letters))
            figure.savefig(folder / f"{picture.stem}.png", dpi=webpage.DPI, pil_kwargs={"optimize": True})


def collect(cubes: Cubes) -> dict[str, Any]:
    """Where the numbers come from: no names of people or machines."""
    code = provenance.CodeRecord.of(find(SWEEPS[0].name))
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
                "cells": int(CubeView(cube).done.sum()),
                "seconds": round(float(cube["cell_duration"].sum()), 1),
                **{key: cube.attrs[key] for key in ("network_file", "network_sha256") if key in cube.attrs},
            }
            for name, cube in cubes.items()
        },
    }
