"""Modules of a user's own: found after all that are installed, by the driver and by its workers.

A folder on ``sys.path`` would also come before packages that are installed editable, which are found last of all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import NamedTuple


class Folder(NamedTuple):
    """A folder of modules, and what tells whether another machine has the same one."""

    path: str
    owner: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Folder:
        """``OSError`` if it is not there."""
        status = Path(path).stat()
        return cls(path, status.st_uid, status.st_ino)


class UserModules:
    """The last finder of this process in ``sys.meta_path``."""

    def __init__(self) -> None:
        self.folders: list[str] = []

    @staticmethod
    def finder() -> UserModules:
        """That of this process, put in its place by the first call."""
        for finder in sys.meta_path:
            if isinstance(finder, UserModules):
                return finder
        sys.meta_path.append(new := UserModules())
        return new

    def add(self, folder: Path) -> None:
        """Look there as well."""
        if str(folder) not in self.folders:
            self.folders.append(str(folder))

    def shared(self) -> list[Folder]:
        """The folders, for workers."""
        return [Folder.of(path) for path in self.folders]

    def add_shared(self, folders: Iterable[Folder]) -> None:
        """On a worker: look in those of the driver's folders that this machine has as well.

        Another folder of the same name may be another user's, who could run code here.
        """
        for folder in folders:
            with suppress(OSError):
                if Folder.of(folder.path) == folder:
                    self.add(Path(folder.path))

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """As the import system asks; a package looks for its own modules itself."""
        return PathFinder.find_spec(name, self.folders) if path is None else None
