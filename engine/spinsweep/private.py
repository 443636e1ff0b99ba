"""What others cannot change or see: the paths that code, keys and locks are read from, secrets in command lines."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from spinsweep import system
from spinsweep.system import user_name

LINKS = 40  # in a path, as the kernel allows
WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def objection(path: Path) -> str:
    """How another user could change what is read at ``path``, and what to do; empty: only root could.

    It is empty on Windows, too, where access lists say who may change what, and nothing here reads them.
    Every folder on the way and every link is looked at, as the kernel goes: each belongs to this user or to root,
    and is writable for nobody else, but for folders such as ``/tmp``, where users cannot touch each other's files.

    Raises
    ------
    OSError
        There is nothing at ``path``, or it cannot be looked at.
    """
    if not system.POSIX:
        path.lstat()
        return ""
    entry, links = Path("/"), 0
    left = list(reversed(path.absolute().parts))
    while left:
        entry = entry / left.pop()  # "/" begins anew
        if entry.name == "..":
            entry = entry.parent.parent
            continue
        status = entry.lstat()
        if status.st_uid not in (system.user_id(), 0):
            return f"{entry} belongs to {user_name(status.st_uid)}, who could replace it; use one of your own"
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > LINKS:
                return f"{entry} is a link that leads to itself"
            left.extend(reversed(entry.readlink().parts))
            entry = entry.parent
        elif status.st_mode & WRITABLE and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
            return f"{entry} can be written by others; `chmod go-w {entry}`"
    return ""


def make_folders(path: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone (0700).

    Raises
    ------
    OSError
        As of ``mkdir``; not when the folder is there.
    """
    if path.is_dir():
        return
    make_folders(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not path.is_dir():
        raise FileExistsError(17, "File exists", str(path))


def state_home() -> Path:
    """Where programs keep what belongs to this user on this machine (XDG).

    Raises
    ------
    OSError
        This user has no home.
    """
    configured = Path(os.environ.get("XDG_STATE_HOME", ""))
    if configured.is_absolute():
        return configured
    try:
        return Path("~/.local/state").expanduser()
    except RuntimeError:
        raise FileNotFoundError(2, "this user has no home; set XDG_STATE_HOME", "~") from None


@cache
def scratch() -> Path:
    """A folder for temporary files that others on this machine can neither read nor change.

    Dask puts the folder of its temporary files first on Python's path, so whoever can write there runs code.
    """
    folder = Path(tempfile.gettempdir()) / f"spinsweep-{system.user_id()}"
    with suppress(OSError):
        make_folders(folder)
        if not objection(folder) and not (system.POSIX and folder.lstat().st_mode & 0o077):
            return folder
    made = Path(tempfile.mkdtemp(prefix="spinsweep-"))  # somebody has the name
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


SECRETS = ("--notify",)
"""Options whose values are secrets: a webhook's address lets everybody write there."""


def without_secrets(words: Iterable[str]) -> list[str]:
    """The words of a command line without what lets others in: addresses of webhooks, and passwords within URLs."""
    shown, hides = list[str](), False
    for word in words:
        option, equals, _ = word.partition("=")
        secret = option in SECRETS
        shown.append("..." if hides else f"{option}=..." if secret and equals else word)
        hides = secret and not equals
    return [re.sub(r"://[^/@\s]+@", "://...@", word) for word in shown]
