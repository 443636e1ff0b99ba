"""Which sweeps the paper takes, in its order, with which settings, and which of their figures are the paper's."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinneurons.paper.texts import packaged
from spinsweep.discovery import find
from spinsweep.figure_options import FigureOptions
from spinsweep.spec import Sweep


@dataclass(frozen=True)
class Picture:
    """A figure of the paper, drawn from a cube."""

    stem: str
    """Its builder's name among the sweep's figures; also the name of the file."""
    number: str
    """In the paper; "beyond" if the paper has no such figure."""
    caption: str

    @property
    def letters(self) -> str:
        """The paper's letter of the first panel: (c) of 2(c-k)."""
        letter = re.search(r"\([a-z]", self.number)
        return f"{letter[0]})" if letter else FigureOptions.letters


@dataclass(frozen=True)
class PlannedSweep:
    """One sweep of the paper."""

    name: str
    pictures: tuple[Picture, ...]
    quick: Mapping[str, str] = field(default_factory=dict)
    """``--set`` values of the quick version, by name."""
    full: Mapping[str, str] = field(default_factory=dict)
    """``--set`` values of the full version; the sweep's own defaults but for these."""
    inputs: tuple[str, ...] = ()
    """Earlier sweeps whose cubes are its inputs of the same names."""

    def settings(self, folder: Path, *, quick: bool) -> Mapping[str, str]:
        """``--set`` values of the version."""
        return {name: str(store(folder, name)) for name in self.inputs} | dict(self.quick if quick else self.full)

    def sweep(self, folder: Path, *, quick: bool) -> Sweep:
        """What is run; the cubes of its inputs are there."""
        return find(self.name).with_text(self.settings(folder, quick=quick))

    def store(self, folder: Path) -> Path:
        """Its cube."""
        return store(folder, self.name)

    def command(self, folder: Path, *, quick: bool) -> str:
        """What one types to compute the cube by itself; cells that are done are kept."""
        overrides = "".join(
            f" --set {shlex.quote(f'{name}={text}')}" for name, text in self.settings(folder, quick=quick).items()
        )
        return f"spinsweep run {self.name}{overrides} --store {self.store(folder)}"


def store(folder: Path, name: str) -> Path:
    """The cube of a sweep of the plan."""
    return folder / "cubes" / f"{name}.zarr"


def _planned(pictures: list[list[str]], inputs: Iterable[str] = (), **entry: Any) -> PlannedSweep:
    return PlannedSweep(pictures=tuple(Picture(*picture) for picture in pictures), inputs=tuple(inputs), **entry)


_PLAN = tomllib.loads(packaged("plan.toml"))
SWEEPS = tuple(_planned(**entry) for entry in _PLAN["sweep"])
"""As ``plan.toml`` has them, in the order in which they run."""
FRONTIER = tuple(_planned(**entry, pictures=[]) for entry in _PLAN["frontier"])
"""Of ``spinsweep paper --frontier``."""


def gallery() -> list[Picture]:
    """All pictures in the order of the paper: main text, supplement, and what has no number."""

    def position(picture: Picture) -> tuple[int, int, str]:
        number = re.match(r"(S?)(\d+)(.*)", picture.number)
        return (number[1] == "S", int(number[2]), number[3]) if number else (2, 0, "")

    return sorted((picture for planned in SWEEPS for picture in planned.pictures), key=position)
