"""Write a cube as a file of another kind; the file is there whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from spinsweep.cube import Cube
from spinsweep.disk import exchange, sync_all, sync_folder, write_whole
from spinsweep.errors import CubeError, SpecError
from spinsweep.exports.pieces import piece_lengths
from spinsweep.ledger import Counts
from spinsweep.reading import CubeView, is_archive

if TYPE_CHECKING:  # loaded with what writes it
    import xarray as xr

METADATA = "-metadata.json"
"""Behind the name of a CSV file: the file that describes its columns, by the W3C's recommendation."""
NEEDS = {".nc": "h5netcdf", ".parquet": "pyarrow"}
"""Packages that a kind of file needs beside those that are always there."""
TABLES = (".csv", ".parquet")
KINDS = (".nc", *TABLES, ".zarr", ".zip")
"""Kinds of files, by the end of their name."""
ABANDONED_AFTER_S = 24 * 3600.0
"""Age of a half-written file from which on a killed export left it."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    counts: Counts
    """Cells by state; all but the done ones are blank."""
    rows: int | None = None
    """Of a table."""
    left_out: tuple[str, ...] = ()
    """Variables of the cube that are not in it."""


def export(
    store: str | Path, path: str | Path, *, outputs: Sequence[str] = (), sort: bool = False, force: bool = False
) -> Exported:
    """Write a cube as netCDF (.nc), a table (.csv, .parquet) or an archive (.zarr, .zip), piece by piece.

    Parameters
    ----------
    outputs : those to export; none: all. An archive always holds all
    sort : values along the axes in order (:meth:`~spinsweep.CubeView.in_order`)
    force : replace what an earlier export wrote there

    Raises
    ------
    CubeError
        There is no cube, or it cannot be written in this way.
    SpecError
        The name tells no kind, something is there already, a package is missing, or an output is unknown.
    """
    path = Path(path)
    kind = path.suffix.lower()
    _require_kind(path, kind, outputs)
    _require_free(store, path, force=force)
    cube = Cube(store)
    pieces = piece_lengths(cube)
    dataset = cube.dataset(pieces=pieces)
    # first, for a run may fill the cube: what is done by now is there, and what is done later may be half there
    dataset = dataset.assign(cell_state=dataset["cell_state"].load())
    if sort:
        dataset = CubeView(dataset).in_order()
    counts = CubeView(dataset).counts
    if not path.parent.is_dir():
        raise SpecError(f"{path}: there is no folder {path.parent}; make it first")
    with _replacing(path) as partial:
        if kind in TABLES:
            return _table(cube, dataset, path, partial, outputs, counts)
        if kind == ".nc":
            from spinsweep.exports import netcdf

            names = _chosen(cube, outputs)
            try:
                netcdf.write(
                    dataset[[n for n in dataset.data_vars if n in names or n not in cube.output_names]], partial
                )
            except CubeError as problem:
                raise CubeError(f"{cube.storage}: {problem}") from None
            return Exported(path, counts, left_out=tuple(n for n in cube.output_names if n not in names))
        from spinsweep.exports import archive

        folder = partial if kind == ".zarr" else partial.with_name(f"{partial.name}.folder")
        try:
            archive.write(cube, dataset, pieces, folder)
            if kind == ".zip":
                archive.pack(folder, partial)
        finally:
            if folder != partial:
                shutil.rmtree(folder, ignore_errors=True)
        held = {*cube.coordinate_names, *cube.cell_arrays}
        return Exported(path, counts, left_out=tuple(str(n) for n in dataset.variables if n not in held))


def _table(
    cube: Cube, dataset: xr.Dataset, path: Path, partial: Path, outputs: Sequence[str], counts: Counts
) -> Exported:
    from spinsweep.exports import csv_file, parquet
    from spinsweep.exports.table import CubeTable

    table = CubeTable(dataset, outputs)
    if path.suffix.lower() == ".csv":
        csv_file.write(table, partial)
        described = csv_file.description(table, path.name, dataset.attrs)
        write_whole(f"{path}{METADATA}", described)
    else:
        parquet.write(table, partial, dataset.attrs)
    return Exported(path, counts, table.rows, table.left_out)


def _chosen(cube: Cube, outputs: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in outputs if name not in cube.output_names]:
        raise SpecError(f"there is no output {unknown[0]!r}; the cube has {', '.join(cube.output_names)}")
    return tuple(outputs) or cube.output_names


def _require_kind(path: Path, kind: str, outputs: Sequence[str]) -> None:
    if kind not in KINDS:
        raise SpecError(f"{path}: the name ends in none of {', '.join(KINDS)}, which tells what to write")
    if "://" in str(path):
        raise SpecError(f"{path}: an export is written to a file; give its path, and copy it from there")
    if outputs and kind in (".zarr", ".zip"):
        raise SpecError(f"{path}: an archive holds all outputs; leave --outputs out, or export a .nc")
    package = NEEDS.get(kind)
    if package and find_spec(package) is None:
        raise SpecError(f"{path}: {kind} needs the package {package}; pip install 'spinsweep[files]'")


def _require_free(store: str | Path, path: Path, *, force: bool) -> None:
    """Refuse to replace what no export wrote, and anything unasked."""
    description_file = Path(f"{path}{METADATA}")
    if path.suffix.lower() == ".csv" and description_file.exists() and not force:
        raise SpecError(f"{description_file} exists; give another name, or --force to replace it")
    if not (path.exists() or path.is_symlink()):
        return
    if path.is_dir() and not is_archive(path):
        raise SpecError(f"{path} is a folder and no archive of an earlier export; give another name")
    if path.exists() and Path(store).exists() and path.samefile(store):
        raise SpecError(f"{path} is what is to be exported; give another name")
    if path.suffix.lower() == ".zarr" and not path.is_dir():
        raise SpecError(f"{path} is a file; give another name")
    if not force:
        raise SpecError(f"{path} exists; give another name, or --force to replace it")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name beside ``path``: what is there on exit takes its place in one step; on an error nothing changes."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial*"):
        if time.time() - left.stat().st_mtime > ABANDONED_AFTER_S:
            _remove(left)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        sync_all(str(partial.parent))
        if partial.is_dir() and path.exists():
            exchange(str(partial), str(path))
        else:
            os.replace(partial, path)  # noqa: PTH105
        sync_folder(str(path.parent))
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
