"""Where the inputs of a sweep are, and runs that make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from spinsweep.cube import Cube, open_storage
from spinsweep.discovery import find
from spinsweep.errors import SpecError
from spinsweep.printable import say
from spinsweep.spec import Sweep

_running: list[str] = []  # sweeps whose inputs are being run, outermost first


def default_store(sweep: Sweep, bench: str = "") -> str:
    """Where a run writes when it is not told; what a bench measures goes beside what is computed."""
    return f"results/{sweep.name}{'-' if bench else ''}{bench}.zarr"


def missing_inputs(sweep: Sweep, settings: Mapping[str, str]) -> dict[str, str]:
    """Settings of the inputs that were not given: where a run of their sweep writes when it is not told.

    Parameters
    ----------
    settings : those that were given

    Raises
    ------
    SpecError
        There is no cube.
    """
    stores = {}
    for name, parameter in sweep.inputs.items():
        if sweep.params[name] is None and name not in settings:
            store = default_store(find(parameter.upstream))
            if not open_storage(store).exists("zarr.json"):
                raise SpecError(
                    f"sweep {sweep.name!r} needs the input {name!r}, and there is no {store}: make it with "
                    f"`spinsweep run {parameter.upstream}`, run with --with-inputs, or name another cube with "
                    f"--set {name}=FOLDER"
                )
            stores[name] = store
    return stores


def run_missing(name: str, settings: dict[str, str], run: Callable[[str, str], int]) -> int:
    """Run what is missing of a sweep's inputs, and of theirs; the exit status of the first run that fails, else 0.

    Parameters
    ----------
    name : of the sweep
    settings : texts of its settings, by name
    run : makes the cube of a sweep at a store

    Raises
    ------
    SpecError
        A sweep is an input of itself.
    """
    sweep = find(name)
    if sweep.name in _running:
        raise SpecError(f"sweep {sweep.name!r} is an input of itself: {' -> '.join([*_running, sweep.name])}")
    _running.append(sweep.name)
    try:
        for parameter in sweep.inputs.values():
            store = settings.get(parameter.name) or default_store(find(parameter.upstream))
            if _is_complete(store):
                continue
            say(f"input {parameter.name}: running {parameter.upstream} into {store}", error=True)
            if status := run(parameter.upstream, store):
                return status
    finally:
        _running.remove(sweep.name)
    return 0


def _is_complete(store: str) -> bool:
    if not open_storage(store).exists("zarr.json"):
        return False
    counts = Cube(store).counts()
    return counts.done == counts.total


def in_words(sweep: Sweep) -> Sequence[str]:
    """Each input: name, store and number of cells."""
    said = []
    for name in sweep.inputs:
        value = sweep.params[name]
        sizes = " × ".join(f"{len(values)} {axis}" for axis, values in value["coords"].items())
        where = value["store"]
        if "://" not in where and Path(where).is_relative_to(Path.cwd()):
            where = str(Path(where).relative_to(Path.cwd()))
        said.append(f"{name}: {where}, {sizes}")
    return said
