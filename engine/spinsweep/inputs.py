"""Sweeps that rest on the cubes of other sweeps: an ``Input`` among a sweep's parameters.

    Sweep(..., parameters=(Input("characterization", outputs=("i_bias",)),), function=cell)

A cell finds the Dataset in ``cell.params["characterization"]``.  What it finds is fixed by the run that makes the
cube: the cells that the other cube had then, and a digest of their values, which are part of the definition.  So the
other cube may grow, and nothing becomes stale; when one of those values changes, everything does.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinsweep.axis import closest
from spinsweep.errors import CubeError, SpecError
from spinsweep.parameters import Parameter
from spinsweep.printable import brief

if TYPE_CHECKING:
    import xarray as xr

    from spinsweep.cube import Cube

PARTS = {"store", "definition", "coords", "sha256"}
"""Of an input's value: where the cube is, the digest of its definition, values along its axes, and a digest of each
output over these cells."""


@dataclass(frozen=True)
class Input(Parameter):
    """A parameter whose value is a cube; give its folder or URL: ``--set characterization=results/mine.zarr``.

    Parameters
    ----------
    name : also that of the sweep that makes the cube, unless ``sweep`` says another
    sweep : name, ``FILE.py`` or ``MODULE:NAME`` of that sweep, which ``run --with-inputs`` runs
    outputs : those that cells get; empty: all

    Raises
    ------
    SpecError
        The value is not a cube, lacks an output, or has cells that are not done.
    """

    default: Any = None
    sweep: str = ""
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint)
        object.__setattr__(self, "help", self.help or f"the cube of the sweep {self.sweep or self.name}")
        super().__post_init__()

    @property
    def upstream(self) -> str:
        """The sweep that makes the cube."""
        return self.sweep or self.name

    @property
    def allowed(self) -> str:
        """In words."""
        return "the folder or URL of a cube"

    def check(self, value: Any) -> Any:
        """The input as it is kept: of a folder or URL, what the cube there holds now."""
        if value is None:
            return None
        if isinstance(value, str | os.PathLike):
            return self._read(os.fspath(value))
        if not isinstance(value, Mapping) or set(value) != PARTS:
            raise SpecError(f"parameter {self.name!r} takes {self.allowed}, not {brief(value)}")
        return json.loads(json.dumps(value))

    def parse(self, text: str) -> Any:
        """The input from the text after ``NAME=`` on the command line."""
        return self.check(text)

    def settle(self, stored: Any, value: Any) -> Any:
        """What the cube rests on already, if that is still what the input holds; else the value."""
        if not stored or not value or fingerprint(stored) == fingerprint(value):
            return value
        moved = {**stored, "store": value["store"]}
        if stored["definition"] != value["definition"] or not all(
            set(stored["coords"].get(axis, values)) <= set(values) for axis, values in value["coords"].items()
        ):
            return value
        return moved if _digests(moved, _selected(moved)) == stored["sha256"] else value

    def resolve(self, value: Any) -> Any:
        """The Dataset that cells get, in memory.

        Raises
        ------
        CubeError
            The cube's values are others than when the run began.
        """
        return None if value is None else _resolved(json.dumps(value))

    def _read(self, store: str) -> dict[str, Any]:
        from spinsweep.cube import Cube

        where = f"input {self.name!r}"
        try:
            cube = Cube(store)
            require_complete(cube, self.upstream)
        except CubeError as error:
            raise SpecError(f"{where}: {error}") from None
        known = cube.output_names
        if unknown := [name for name in self.outputs if name not in known]:
            meant = closest(unknown[0], known)
            raise SpecError(f"{where}: {store} has no output {unknown[0]!r}{meant}; it has {', '.join(known)}")
        coords = {name: list(values) for name, values in cube.axes.items()}
        location = store if "://" in store else str(Path(store).resolve())
        names = self.outputs or known
        value = {
            "store": location,
            "definition": cube.attributes.digest,
            "coords": coords,
            "sha256": dict.fromkeys(names, ""),
        }
        return {**value, "sha256": _digests(value, _selected(value))}


def fingerprint(value: Any) -> Any:
    """All of an input's value but where it lies."""
    return value and {name: part for name, part in value.items() if name != "store"}


def require_complete(cube: Cube, sweep: str) -> None:
    """Refuse a cube with cells that are not done.

    Raises
    ------
    CubeError
        How many there are, and what to do.
    """
    counts = cube.counts()
    if counts.done < counts.total:
        left = counts.total - counts.done
        raise CubeError(
            f"{cube.storage}: {left} of {counts.total} cells are not done; finish it with "
            f"`spinsweep run {sweep} --store {cube.storage}`, or let --with-inputs do that"
        )


@lru_cache(maxsize=8)
def _resolved(value: str) -> xr.Dataset:
    """Once for each process."""
    parts = json.loads(value)
    dataset = _selected(parts)
    if _digests(parts, dataset) != parts["sha256"]:
        raise CubeError(f"{parts['store']} is an input of this run, and has other values than when the run began")
    return dataset


def _selected(value: Mapping[str, Any]) -> xr.Dataset:
    """The outputs and cells that the value names, in memory; with their states, as what reads cubes expects."""
    from spinsweep.cube import Cube

    cube = Cube(value["store"])
    return cube.dataset()[[*value["sha256"], "cell_state"]].sel(value["coords"]).load()


def _digests(value: Mapping[str, Any], dataset: xr.Dataset) -> dict[str, str]:
    """SHA-256 of each output: its dims, type and little-endian values; of texts, of their JSON list."""
    from spinsweep.cube.coordinates import content

    digests = {}
    for name in value["sha256"]:
        array = dataset[name]
        values = array.values
        sha256 = hashlib.sha256(
            json.dumps([list(map(str, array.dims)), list(values.shape), values.dtype.name]).encode()
        )
        sha256.update(content(values))
        digests[name] = sha256.hexdigest()
    return digests
