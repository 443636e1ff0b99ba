"""Where a cube stands: a folder on a file system, or the objects under a URL.

Everything that reads or writes a cube asks its place for whole objects by name (``y/c/0/1``); an object is there
whole or not at all. :class:`~spinsweep.cube.local.LocalStorage` is a folder,
:class:`~spinsweep.cube.remote.RemoteStorage` what fsspec reaches.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from spinsweep.cube.write_guard import WriteGuard
from spinsweep.errors import CubeError


class Storage(ABC):
    """A folder of whole objects; ``str()`` of it is what a user types, ``place / name`` a folder in it."""

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def __truediv__(self, name: str) -> Storage: ...

    @property
    def name(self) -> str:
        """The last part, such as ``walk.zarr``."""
        return str(self).rpartition("/")[2]

    @abstractmethod
    def absolute(self) -> Storage:
        """The same place for a process with another working directory."""

    @abstractmethod
    def check(self) -> None:
        """Raise if this place may not be written any more."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """An object, or None where there is none."""

    @abstractmethod
    def read_all(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """Many objects, in order."""

    @abstractmethod
    def write(self, name: str, data: bytes, sync: bool = False) -> None:
        """Put or replace an object in one step, whole or not at all; with ``sync`` it outlives a power cut."""

    @abstractmethod
    def write_all(self, objects: Mapping[str, bytes], sync: bool = False) -> None:
        """Put or replace many objects; all are there on return."""

    @abstractmethod
    def commit(self, name: str, data: bytes) -> None:
        """Put or replace an object after all that was written before: so is the order after a power cut, too."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""

    @abstractmethod
    def sync(self) -> None:
        """Return when all that this machine has written here outlives a power cut."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Names of what lies directly in a folder, [] where there is none."""

    @abstractmethod
    def files(self, folder: str) -> Iterator[str]:
        """Names below a folder, seen from it, of every object under it."""

    @abstractmethod
    def sizes(self, folder: str, names: Iterable[str]) -> list[int]:
        """Bytes of objects below a folder; 0 for those that are not there."""

    @abstractmethod
    def size(self) -> int:
        """Bytes of all objects."""

    @abstractmethod
    def remove(self) -> None:
        """Delete the cube, for its only driver."""

    @abstractmethod
    def remove_partial_files(self) -> None:
        """Delete what killed writers left half-written."""

    @abstractmethod
    def zarr_store(self) -> Any:
        """This place as zarr knows stores, to read from."""

    @abstractmethod
    def write_guard(self, cube_id: str) -> WriteGuard:
        """The fence of the cube of that identity."""

    def ensure_creatable(self) -> None:  # noqa: B027 - where looking costs requests, ``staging`` finds it out
        """``CubeError``, before any work, where no cube is and none can be made."""

    @abstractmethod
    def staging(self) -> AbstractContextManager[Storage]:
        """A place to make a cube in, alone; what stands there on exit stands here.

        If it holds a cube on entry, another process was faster.

        Raises
        ------
        CubeError
            Something else is here already, or another process is making a cube.
        """


def open_storage(store: str | Path | Storage) -> Storage:
    """The place that a user names: a path, or a URL with ``://``.

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
        from spinsweep.cube.remote import RemoteStorage

        return RemoteStorage.at(f"{protocol.lower()}://{rest}")
    if isinstance(store, str) and re.match(r"[A-Za-z]\w+:/", store):
        raise CubeError(f"{store}: a URL has ://, and a folder of that name is ./{store}")
    from spinsweep.cube.local import LocalStorage

    return LocalStorage(Path(store))
