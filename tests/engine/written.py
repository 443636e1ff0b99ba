"""Sweeps in files that a test writes, as a user writes and edits them."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

from spinsweep import Sweep
from spinsweep.discovery import find
from spinsweep.user_modules import UserModules

HEAD = """
import functools, math
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from spinsweep import Axis, Output, Sweep, per_cell
"""
TAIL = """
SWEEP = Sweep(name="s", title="t", axes=(Axis("x", (1.0, 2.0)),), outputs=(Output("y"),), function=walk)
"""
_FOLDERS: set[str] = set()


def written(folder: Path, source: str, **helpers: str) -> Sweep:
    """``SWEEP`` of ``mine.py`` in ``folder``, whose function ``walk`` is in ``source``, as a new process finds it.

    ``helpers`` are modules beside it; ``pack__helper`` is ``pack/helper.py``.
    """
    for name, text in {**helpers, "mine": HEAD + textwrap.dedent(source) + TAIL}.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    _FOLDERS.add(str(folder))
    folders = tuple(f"{known}/" for known in _FOLDERS)
    for name, module in list(sys.modules.items()):
        own = vars(module)  # torch has modules whose attributes are whatever one asks for
        places = [own.get("__file__") or "", *own.get("__path__", ())]
        if any(str(place).startswith(folders) for place in places):
            del sys.modules[name]
    sys.modules.pop("mine", None)  # of a command that another test gave to this process
    UserModules.finder().folders.clear()
    importlib.invalidate_caches()
    return find(f"{folder / 'mine.py'}:SWEEP")
