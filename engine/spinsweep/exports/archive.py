"""A cube as an archive: all of it, in few files. A shard holds many chunks, and a zip file holds everything.

It keeps what the cube holds as it is stored, with states, errors, runs and origins. It takes no runs.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spinsweep.cube import ARCHIVE, FORMAT, VERSION_NAME, Cube
from spinsweep.exports.pieces import chunk_and_shard

CHUNK_BYTES = 2**20
"""Of a chunk, before compression: what a reader of few cells loads."""
RECORDS = ("runs", "errors", "codes")
"""Groups that hold only attributes, copied as they are."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file in a zip file, so that the same cube gives the same bytes."""


def write(cube: Cube, dataset: xr.Dataset, pieces: dict[str, int], folder: Path) -> None:
    """Write the archive as a zarr store.

    Parameters
    ----------
    dataset : the cube as it is stored, in its order or another
    pieces : values along each dimension that are read at a time; a shard is made of these
    """
    import dask

    names = [n for n in (*cube.coordinate_names, *cube.cell_arrays) if n in dataset.variables]
    kept = dataset[names].drop_encoding()
    kept.attrs = {ARCHIVE: FORMAT, **{n: v for n, v in kept.attrs.items() if n not in (VERSION_NAME, "root_sha256")}}
    lengths = {str(d): pieces.get(str(d), n) for d, n in kept.sizes.items()}
    encoding: dict[str, Any] = {}
    for name in cube.cell_arrays:
        array = kept[name]
        shape = {str(d): n for d, n in array.sizes.items()}
        chunks, shards = chunk_and_shard(shape, lengths, np.dtype(array.dtype).itemsize, CHUNK_BYTES)
        encoding[name] = {"chunks": chunks, "shards": shards}
    with dask.config.set(scheduler="threads"):
        kept.chunk(lengths).to_zarr(folder, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    _consolidate(folder)
    for group in RECORDS:
        for name in sorted(cube.storage.files(group)):
            if not name.endswith(".partial") and (data := cube.storage.read(f"{group}/{name}")) is not None:
                file = folder / group / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)


def _consolidate(folder: Path) -> None:
    """Put the metadata of all arrays into the root's object, where readers look first, as a cube has them."""
    root = json.loads((folder / "zarr.json").read_bytes())
    metadata = {p.parent.name: json.loads(p.read_bytes()) for p in sorted(folder.glob("*/zarr.json"))}
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": metadata}
    (folder / "zarr.json").write_text(json.dumps(root, indent=1))


def pack(folder: Path, path: Path) -> None:
    """Put a zarr store into one zip file; its chunks are compressed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            info.external_attr = 0o644 << 16
            with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while part := source.read(2**22):
                    target.write(part)
