"""A folder that Python takes for an installed package of one module, with drivers among its entry points."""

from __future__ import annotations

import shutil
from pathlib import Path


def install(folder: Path, module: Path, drivers: dict[str, str]) -> Path:
    """Copy a module into ``folder`` and name its classes as drivers; the folder, to be put on the path."""
    shutil.copy(module, folder / module.name)
    info = folder / "lab_adapters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-adapters\nVersion: 1.0\n")
    lines = [f"{name} = {module.stem}:{made}" for name, made in drivers.items()]
    (info / "entry_points.txt").write_text("\n".join(["[spinsweep.instruments]", *lines, ""]))
    return folder
