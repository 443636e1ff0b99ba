"""What a power cut may leave of files: a disk that is modelled from the calls a process makes.

The model is harsher than any one file system: of what was not synced, every rename, deletion and byte may be on the
disk or not, in any order. A file whose name came to the disk before its bytes is empty or cut.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from spinsweep import disk
from spinsweep.cube import local


@dataclass
class Version:
    """One content that a file had; None: it was deleted."""

    data: bytes | None
    content_synced: bool = False


@dataclass
class Step:
    """One call that changed names or synced something."""

    kind: str  # "put", "move", "synced folder", "synced all"
    path: str = ""
    version: Version = field(default_factory=lambda: Version(None))
    to: str = ""


class Recorder:
    """Records what happens to the files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.steps: list[Step] = []
        self._lock = threading.RLock()
        self._synced: set[str] = set()
        """Temporary files whose bytes are on the disk."""

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record while the block runs."""
        with pytest.MonkeyPatch.context() as patch:
            replace, unlink, fsync, rename = os.replace, os.unlink, os.fsync, Path.rename

            def replaced(a: Any, b: Any, **options: Any) -> None:
                with self._lock:
                    if self._mine(b):
                        version = Version(Path(a).read_bytes(), str(a) in self._synced)
                        self.steps.append(Step("put", str(b), version))
                    replace(a, b, **options)

            def unlinked(path: Any, *more: Any, **options: Any) -> None:
                with self._lock:
                    unlink(path, *more, **options)
                    if self._mine(path) and not str(path).endswith(".partial"):
                        self.steps.append(Step("put", str(path), Version(None, True)))

            def synced(handle: int) -> None:
                path = str(Path(f"/proc/self/fd/{handle}").readlink())
                with self._lock:
                    if self._mine(path) and Path(path).is_dir():
                        self.steps.append(Step("synced folder", path))
                    else:
                        self._synced.add(path)
                fsync(handle)

            def synced_all(path: str) -> None:
                with self._lock:
                    self._synced |= {str(p) for p in Path(self.root).rglob("*.partial")}
                    self.steps.append(Step("synced all"))

            def renamed(path: Path, to: Any) -> Path:
                with self._lock:
                    if self._mine(to):
                        self.steps.append(Step("move", str(path), to=str(to)))
                    return rename(path, to)

            patch.setattr(os, "replace", replaced)
            patch.setattr(os, "unlink", unlinked)
            patch.setattr(os, "fsync", synced)
            patch.setattr(Path, "rename", renamed)
            for module in (disk, local):
                patch.setattr(module, "sync_all", synced_all)
            yield

    def _mine(self, path: Any) -> bool:
        return str(path).startswith(self.root)

    def cut(self, after: int, chance: random.Random | None, into: Path) -> None:
        """Write what a cut after so many steps may have left of ``root`` to ``into``.

        Without ``chance`` only the process died: all that was written is there.
        """
        on_disk: dict[str, bytes] = {}
        pending: dict[str, list[Version]] = {}
        moves: dict[str, str] = {}

        def settle(path: str, version: Version) -> None:
            if version.data is None:
                on_disk.pop(path, None)
            else:
                on_disk[path] = version.data

        def move(files: dict[str, Any], a: str, b: str) -> None:
            for path in [p for p in files if p.startswith(f"{a}/")]:
                files[b + path.removeprefix(a)] = files.pop(path)

        for step in self.steps[:after]:
            if step.kind == "put":
                pending.setdefault(step.path, []).append(step.version)
            elif step.kind == "move":
                moves[step.path] = step.to
            elif step.kind == "synced all":
                for path in list(pending):
                    settle(path, pending.pop(path)[-1])
            else:
                for a, b in [(a, b) for a, b in moves.items() if str(Path(b).parent) == step.path]:
                    move(on_disk, a, b)
                    move(pending, a, b)
                    del moves[a]
                for path in [p for p in pending if str(Path(p).parent) == step.path]:
                    last = pending[path][-1]
                    if last.content_synced:
                        settle(path, pending.pop(path)[-1])
                    else:  # its name is there, its bytes may not be
                        pending[path] = [last]
                        on_disk[path] = b""
        for path, versions in pending.items():
            which = chance.randrange(len(versions) + 1) if chance else len(versions) - 1
            if which == len(versions):
                continue  # none of the renames came to the disk
            data = versions[which].data
            if chance and data is not None and not versions[which].content_synced and chance.random() < 0.5:
                data = data[: chance.choice([0, 0, chance.randrange(len(data) + 1)])]
            settle(path, Version(data))
        for a, b in moves.items():
            if chance is None or chance.random() < 0.5:
                move(on_disk, a, b)
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        for path, data in on_disk.items():
            file = into / path.removeprefix(f"{self.root}/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
