"""Where a cube is stored: a folder on a file system, or the objects under a URL.

Everything that reads or writes a cube asks its storage for whole objects by name (``y/c/0/1``); an object is there
whole or not at all. :class:`~spinsweep.cube.local.LocalStorage` is a folder,
:class:`~spinsweep.cube.remote.RemoteStorage` what fsspec reaches; :mod:`spinsweep.cube.stores` chooses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

from spinsweep.errors import CubeError


def is_in_memory(store: object) -> bool:
    """Whether a store, or its storage, is in the memory of one process, where no other finds it."""
    return str(store).startswith("memory://")


class Storage(ABC):
    """A folder of whole objects; ``str()`` of it is what a user types, ``storage / name`` a folder in it."""

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def __truediv__(self, name: str) -> Storage: ...

    @property
    def name(self) -> str:
        """The last part, such as ``walk.zarr``."""
        return str(self).rpartition("/")[2]

    @property
    def parent(self) -> str:
        """What is before the last part."""
        return str(self).rpartition("/")[0]

    def absolute(self) -> Storage:
        """The same storage for a process with another working directory."""
        return self

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """An object, or None where there is none."""

    def read_all(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """Many objects, in order."""
        return map(self.read, names)

    @abstractmethod
    def write(self, name: str, data: bytes, *, sync: bool = False) -> None:
        """Put or replace an object in one step, whole or not at all; with ``sync`` it outlives a power cut."""

    def write_all(self, objects: Mapping[str, bytes], *, sync: bool = False) -> None:
        """Put or replace many objects; all are there on return."""
        for name, data in objects.items():
            self.write(name, data, sync=sync)

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

    def remove_partial_files(self) -> None:  # noqa: B027 - there is none where an object is whole or not there
        """Delete what killed writers left half-written."""

    def ensure_creatable(self) -> None:  # noqa: B027 - where looking costs requests, ``staging`` finds it out
        """``CubeError``, before any work, where no cube is and none can be made."""

    @abstractmethod
    def staging(self) -> AbstractContextManager[Storage]:
        """Storage to make a cube in, alone; what it holds on exit is the content of this storage.

        If it holds a cube on entry, another process was faster.

        Raises
        ------
        CubeError
            Something else is here already, or another process is making a cube.
        """

    def replacing(self) -> AbstractContextManager[Storage]:
        """Storage to make a cube in that takes this one's place on exit, in one step; on an error nothing changes.

        Raises
        ------
        CubeError
            The cubes of this storage cannot be exchanged.
        """
        raise CubeError(f"{self}: its arrays must become larger, which only a cube in a folder can; make a new cube")


class ObjectStorage(Storage):
    """Storage that locks nothing, but creates an object only if there is none of that name."""

    @abstractmethod
    def __truediv__(self, name: str) -> ObjectStorage: ...

    @abstractmethod
    def checked(self, check: Callable[[], None]) -> ObjectStorage:
        """The same storage, where ``check`` is called just before each object is written, and may raise."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Put an object if there is none of that name; whether that is what is there now.

        ``data`` must be unlike anyone else's: when the answer is lost, the object tells whose it is.
        """
