"""Python as the project's own modules would find it on Windows, as far as Linux can play it.

Every Python with this folder in ``PYTHONPATH`` imports it as it starts, and so do the Pythons that it starts.  Only
what modules of the project do themselves is changed; the standard library and other packages go on as they are:

- modules and names that Windows lacks are missing;
- ``os.open`` refuses folders, and whatever is not opened as binary;
- ``select.select`` takes nothing but sockets;
- a file that this process has open cannot be removed or replaced, nor can a folder in which it is be renamed;
- a name that is there is no target of a rename (but of ``os.replace``).
"""

from __future__ import annotations

import builtins
import os
import select
import signal
import socket
import stat
import sys
import time
from types import FrameType, ModuleType
from typing import Any

from posix_names import MODULES, NAMES

PROJECT = ("spinsweep", "spinneurons", "instrument_emulator")
BINARY = 1 << 30
CARRIES = {"pathlib", "shutil", "os", "contextlib", "posixpath", "genericpath"}
"""Modules that do what their caller asks for."""
_import, _open, _select, _rename = builtins.__import__, os.open, select.select, os.rename


def ours(scope: dict[str, Any] | None) -> bool:
    """Whether the code with these globals is the project's."""
    name = (scope or {}).get("__name__", "")
    if name == "__main__":
        spec = scope.get("__spec__") if scope else None
        name = spec.name if spec is not None else ""
    return isinstance(name, str) and name.partition(".")[0] in PROJECT


def asked_by_us(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_globals.get("__name__") in CARRIES | {__name__}:
        frame = frame.f_back
    return frame is not None and ours(frame.f_globals)


def windows_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    if level == 0 and name.partition(".")[0] in MODULES and ours(globals):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, globals, locals, fromlist, level)


def windows_open(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
    if isinstance(path, str | bytes | os.PathLike) and os.path.isdir(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))
    if not flags & BINARY and path != os.devnull:
        raise AssertionError(f"{path} is opened as text")
    return _open(path, flags & ~BINARY, mode, **more)


def windows_select(*sets: Any) -> Any:
    for entry in (entry for several in sets[:3] for entry in several):
        if not isinstance(entry, socket.socket):
            raise OSError(10038, "An operation was attempted on something that is not a socket")
    return _select(*sets)


def windows_rename(source: Any, target: Any, **more: Any) -> None:
    if os.path.lexists(target):
        raise FileExistsError(17, "File exists", str(source), None, str(target))
    _rename(source, target, **more)


OTHERS = {
    "os": {"open": windows_open, "O_BINARY": BINARY, "rename": windows_rename},
    "select": {"select": windows_select},
}


def lessen(module: ModuleType) -> None:
    """Take names from a module, for the project's code alone."""
    missing, others = NAMES[module.__name__], OTHERS.get(module.__name__, {})

    class Windows(ModuleType):
        def __getattribute__(self, name: str) -> Any:
            if name in missing or name in others:
                frame = sys._getframe(1)
                by_path = name == "rename" and frame.f_code.co_name == "rename"  # Path.rename; replace() may replace
                if ours(frame.f_globals) or (by_path and asked_by_us(frame)):
                    if name in missing:
                        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
                    return others[name]
            return super().__getattribute__(name)

    module.__class__ = Windows


def refuse_open_files(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook."""
    if event not in ("os.remove", "os.rename") or not asked_by_us(sys._getframe(1)):
        return
    names = [arguments[0]] if event == "os.remove" else [arguments[0], arguments[1]]
    if event == "os.remove" and arguments[1] not in (None, -1):
        names = [f"/proc/self/fd/{arguments[1]}/{os.fspath(arguments[0])}"]
    busy = open_files()
    for name in names:
        path = os.path.join(os.path.realpath(os.path.dirname(os.fspath(name))), os.path.basename(os.fspath(name)))
        if any(file == path or file.startswith(f"{path}/") for file in busy):
            raise PermissionError(13, "The process cannot access the file because it is being used", path)


def open_files() -> list[str]:
    files = []
    for number in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISREG(os.fstat(int(number)).st_mode):
                files.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # it was closed
            continue
    return files


builtins.__import__ = windows_import
for less in (os, signal, socket, select, time):
    lessen(less)
sys.addaudithook(refuse_open_files)
if log := os.environ.get("PORTABLE_LOG"):
    with open(log, "a") as file:
        file.write(" ".join(sys.orig_argv) + "\n")
