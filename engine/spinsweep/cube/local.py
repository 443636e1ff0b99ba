"""A folder as the storage of a cube: objects are files, written beside and renamed."""

from __future__ import annotations

import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from spinsweep import system
from spinsweep.cube.storage import Storage
from spinsweep.disk import exchange, file_lock, sync_all, sync_folder, write_whole
from spinsweep.errors import CubeError

KNOWN_FOLDERS = 1000
"""Folders that a process remembers to be there: a sweep may have a million."""
BUSY_FILE = ".busy"
"""In the folder of a creation, locked while it goes on."""
ABANDONED_AFTER_S = 3600.0
"""Age of such a folder without that file from which on a killed creation left it."""


_READ = os.O_RDONLY | system.NO_WAIT | system.BINARY


class LocalStorage(Storage):
    """The folder at ``path``, which need not be there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = str(path)
        self._folders: dict[str, bool] = {}
        """Folders that are there, and whether they outlive a power cut."""

    def __str__(self) -> str:
        return self._root

    def __truediv__(self, name: str) -> LocalStorage:
        return LocalStorage(self.path / name)

    def absolute(self) -> LocalStorage:
        return LocalStorage(self.path.absolute())

    def read(self, name: str) -> bytes | None:
        try:
            # a third of the time of open(); a pipe instead of a file is empty, not waited for
            handle = os.open(f"{self._root}/{name}", _READ)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            size = os.fstat(handle).st_size
            data = os.read(handle, size)
            while len(data) < size and (more := os.read(handle, size - len(data))):  # 2 GiB at most at a time
                data += more
            return data
        finally:
            os.close(handle)

    def write(self, name: str, data: bytes, *, sync: bool = False) -> None:
        path = f"{self._root}/{name}"
        folder = path.rpartition("/")[0]
        if self._folders.get(folder) not in (True, sync):
            self._make_folder(folder, sync=sync)
        try:
            write_whole(path, data, sync=sync)
        except OSError:
            with suppress(OSError):
                os.rmdir(folder)  # noqa: PTH106  if it was made for this file alone: an empty one would be no group
                self._folders.pop(folder, None)
            raise

    def _make_folder(self, folder: str, *, sync: bool) -> None:
        """Make a folder; with ``sync`` the names of all folders on the way outlive a power cut."""
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        if len(self._folders) >= KNOWN_FOLDERS:
            self._folders.clear()
        self._folders[folder] = sync
        while sync and len(folder) > len(self._root):
            folder = folder.rpartition("/")[0]
            sync_folder(folder)

    def commit(self, name: str, data: bytes) -> None:
        write_whole(f"{self._root}/{name}", data, sync=True, before=self.sync)

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{name}")  # noqa: PTH108

    def sync(self) -> None:
        sync_all(self._root)

    def exists(self, name: str) -> bool:
        return os.path.exists(f"{self._root}/{name}")  # noqa: PTH110

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.path / folder)  # noqa: PTH208
        except FileNotFoundError:
            return []

    def files(self, folder: str) -> Iterator[str]:
        return _files(f"{self._root}/{folder}", "")

    def sizes(self, folder: str, names: Iterable[str]) -> list[int]:
        return [_size(f"{self._root}/{folder}/{name}") for name in names]

    def size(self) -> int:
        return sum(self.sizes(".", self.files(".")))

    def remove(self) -> None:
        self.delete("zarr.json")  # from here on it is no cube
        shutil.rmtree(self.path, ignore_errors=True)

    def remove_partial_files(self) -> None:
        for leftover in self.path.rglob("*.partial"):
            leftover.unlink(missing_ok=True)

    def ensure_creatable(self) -> None:
        existing = next(p for p in (self.path, *self.path.parents) if p.exists())
        if existing != self.path:
            if not existing.is_dir():
                raise CubeError(f"{self}: {existing} is a file, not a folder; take another --store")
            return
        if self.exists("zarr.json"):
            return
        if not self.path.is_dir() or any(self.path.iterdir()):
            raise CubeError(f"{self} exists and is not a cube; take another --store")
        if os.path.ismount(self.path):
            raise CubeError(f"{self} is a mount point, which no cube can replace; take a folder in it as --store")

    @contextmanager
    def staging(self) -> Iterator[LocalStorage]:
        if self.path.is_symlink():  # the cube is made where it leads
            with LocalStorage(self.path.resolve()).staging() as storage:
                yield storage
            return
        self.ensure_creatable()
        new_folders = [f for f in self.path.parents if not f.exists()]  # innermost first
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._clear_killed_creations()
        staged = self.path.with_name(f".{self.name}.{uuid.uuid4().hex}.partial")
        try:
            staged.mkdir()
            with ExitStack() as lock:
                lock.enter_context(file_lock(staged / BUSY_FILE, flags=os.O_RDWR | os.O_CREAT))
                yield LocalStorage(staged)
                if not system.POSIX:  # there no open file is removed, nor is its folder renamed
                    os.utime(staged)  # nobody takes it for abandoned when it is not locked any more
                    lock.close()
                    with suppress(OSError):  # nor is an empty folder replaced
                        self.path.rmdir()
                for busy in staged.glob(f"{BUSY_FILE}*"):
                    busy.unlink()
                try:
                    staged.rename(self.path)
                except OSError as error:
                    if not self.exists("zarr.json"):  # nobody else made one there meanwhile
                        raise CubeError(f"{self} cannot be made: {error.strerror}") from None
                for folder in (self.path, *new_folders):
                    sync_folder(str(folder.parent))
        finally:
            shutil.rmtree(staged, ignore_errors=True)
            if not self.path.exists():
                for folder in new_folders:
                    with suppress(OSError):  # another process uses it by now
                        folder.rmdir()

    @contextmanager
    def replacing(self) -> Iterator[LocalStorage]:
        if self.path.is_symlink():
            with LocalStorage(self.path.resolve()).replacing() as storage:
                yield storage
            return
        self._clear_killed_creations()
        other = LocalStorage(self.path.with_name(f".{self.name}.{uuid.uuid4().hex}.partial"))
        try:
            yield other
            other.sync()
            exchange(str(other.path), str(self.path))
            sync_folder(str(self.path.parent))
        finally:
            shutil.rmtree(other.path, ignore_errors=True)  # the old cube, or a new one that did not come about

    def _clear_killed_creations(self) -> None:
        """Delete what creations of this cube left beside it when they were killed."""
        for other in self.path.parent.glob(f".{glob.escape(self.name)}.*.partial"):
            try:
                with file_lock(other / BUSY_FILE, timeout_s=0, flags=os.O_RDONLY):
                    if system.POSIX:
                        shutil.rmtree(other, ignore_errors=True)
                        continue
            except FileNotFoundError:  # killed in the first or last instant, or at work in it now
                pass
            except BlockingIOError:  # at work
                continue
            if time.time() - other.stat().st_mtime > ABANDONED_AFTER_S:
                shutil.rmtree(other, ignore_errors=True)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return 0


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
