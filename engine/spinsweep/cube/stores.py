"""The storage that a user names, and what keeps two runs from writing into it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from spinsweep.cube.file_write_guard import FileWriteGuard
from spinsweep.cube.local import LocalStorage
from spinsweep.cube.storage import ObjectStorage, Storage
from spinsweep.cube.write_guard import WriteGuard
from spinsweep.errors import CubeError


def open_storage(store: str | Path | Storage) -> Storage:
    """The storage that a user names: a path, or a URL with ``://``.

    Raises
    ------
    CubeError
        A cube cannot be kept at that URL, or the package that reaches it is missing.
    """
    if isinstance(store, Storage):
        return store
    protocol, is_url, rest = str(store).partition("://")
    if is_url and protocol.lower() == "file":
        raise CubeError(f"{store}: a folder is given by its path alone: {rest}")
    if is_url:
        from spinsweep.cube.remote import RemoteStorage  # loads fsspec, which folders do not need

        return RemoteStorage.from_url(f"{protocol.lower()}://{rest}")
    if isinstance(store, str) and re.match(r"[A-Za-z]\w+:/", store):
        raise CubeError(f"{store}: a URL has ://, and a folder of that name is ./{store}")
    return LocalStorage(Path(store))


def zip_store(path: str | Path) -> Any:
    """What zarr and xarray read a zip file by."""
    from zarr.storage import ZipStore

    return ZipStore(Path(path), mode="r")


def write_guard_of(storage: Storage, cube_id: str) -> WriteGuard:
    """The guard of the cube of that identity: of the kernel's locks in a folder, of leases on object storage."""
    if isinstance(storage, ObjectStorage):
        from spinsweep.cube.lease_write_guard import LeaseWriteGuard

        return LeaseWriteGuard(storage, cube_id)
    assert isinstance(storage, LocalStorage)
    return FileWriteGuard(storage, storage.path / "cell_state", cube_id)
