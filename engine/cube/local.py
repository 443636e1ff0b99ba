"""A folder as the place of a cube: objects are files, written beside and renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from zarr.storage import LocalStore

from engine.cube.filelocks import LockFence
from engine.cube.place import Place
from engine.errors import CubeError


class LocalPlace(Place):
    """The folder at ``path``, which need not be there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = str(path)
        self._folders: set[str] = set()

    def __str__(self) -> str:
        return self._root

    def __truediv__(self, name: str) -> LocalPlace:
        return LocalPlace(self.path / name)

    def absolute(self) -> LocalPlace:
        return LocalPlace(self.path.absolute())

    def check(self) -> None:
        """Nothing: the kernel takes no lock away."""

    def read(self, name: str) -> bytes | None:
        try:
            with open(f"{self._root}/{name}", "rb") as file:  # noqa: PTH123  several times a block, as all below
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_all(self, names: Iterable[str]) -> Iterator[bytes | None]:
        return map(self.read, names)

    def write(self, name: str, data: bytes, sync: bool = False) -> None:
        path = f"{self._root}/{name}"
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
            self._folders.add(folder)
        temporary = f"{path}.{uuid.uuid4().hex}.partial"
        with open(temporary, "wb", buffering=0) as file:  # noqa: PTH123
            file.write(data)
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105

    def write_all(self, objects: Mapping[str, bytes]) -> None:
        for name, data in objects.items():
            self.write(name, data)

    def exists(self, name: str) -> bool:
        return os.path.exists(f"{self._root}/{name}")  # noqa: PTH110

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.path / folder)  # noqa: PTH208
        except FileNotFoundError:
            return []

    def files(self, folder: str) -> Iterator[str]:
        return _files(f"{self._root}/{folder}", "")

    def size(self) -> int:
        total = 0
        for name in _files(self._root, ""):
            with suppress(FileNotFoundError):  # replaced just now
                total += os.stat(f"{self._root}/{name}").st_size  # noqa: PTH116
        return total

    def sweep_out(self) -> None:
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink(missing_ok=True)

    def zarr_store(self, read_only: bool) -> LocalStore:
        return LocalStore(self.path, read_only=read_only)

    def fence(self, cube_id: str) -> LockFence:
        return LockFence(self, self.path / "cell_state", cube_id)

    def demand_room(self) -> None:
        there = next(p for p in (self.path, *self.path.parents) if p.exists())
        if there != self.path and not there.is_dir():
            raise CubeError(f"{self}: {there} is a file, not a folder; take another --store")
        if there == self.path and (not there.is_dir() or (any(there.iterdir()) and not self.exists("zarr.json"))):
            raise CubeError(f"{self} exists and is not a cube; take another --store")

    @contextmanager
    def building(self) -> Iterator[LocalPlace]:
        self.demand_room()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f".{self.name}.{uuid.uuid4().hex}.partial")
        try:
            yield LocalPlace(beside)
            try:
                beside.rename(self.path)
            except OSError as error:
                if not self.exists("zarr.json"):  # nobody else made one there meanwhile
                    raise CubeError(f"{self} cannot be made: {error.strerror}") from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _files(folder: str, prefix: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir():
            yield from _files(entry.path, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name
