"""Results of stages in a folder beside the cube, ``walk.zarr.stages/network/<address>.npz``.

The address names code, definition, processor and coordinates, so a file is never out of date.  It may be deleted at
any time: a run that needs it computes it again.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from spinsweep.cube.local import LocalStorage
from spinsweep.cube.storage import Storage, is_in_memory
from spinsweep.cube.stores import open_storage
from spinsweep.disk import file_lock
from spinsweep.stages import Arrays, InMemory, Keeper, read_only

SUFFIX = ".stages"


@lru_cache(maxsize=4)
def stage_files(store: str, origin: int) -> Keeper:
    """The keeper of a cube's stages, once for each process.

    Parameters
    ----------
    store : the cube's
    origin : number of what computes: results of other code, or of another kind of processor, are others
    """
    if is_in_memory(store):
        return InMemory()
    return InMemory(StageFiles(open_storage(store + SUFFIX), origin))


class StageFiles:
    """Reads what is kept, computes and keeps what is not; in a folder, other processes wait for the one that does."""

    def __init__(self, storage: Storage, origin: int) -> None:
        self._storage, self._origin = storage, origin

    def __call__(self, name: str, address: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays; see :data:`spinsweep.stages.Keeper`."""
        file = f"{name}/{hashlib.sha256(f'{self._origin} {address}'.encode()).hexdigest()}.npz"
        kept = self._read(file)
        if kept is not None:
            return kept
        if not isinstance(self._storage, LocalStorage):
            return self._computed(file, compute)
        path = self._storage.path / f"{file}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(path, flags=os.O_RDWR | os.O_CREAT):
            kept = self._read(file)
            return self._computed(file, compute) if kept is None else kept

    def _computed(self, file: str, compute: Callable[[], Arrays]) -> Arrays:
        arrays = compute()
        written = io.BytesIO()
        np.savez(written, allow_pickle=False, **arrays)
        self._storage.write(file, written.getvalue())
        return arrays

    def _read(self, file: str) -> Arrays | None:
        """None where there is nothing, or nothing whole."""
        data = self._storage.read(file)
        if data is None:
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return read_only(dict(arrays))
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None
