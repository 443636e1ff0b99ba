"""The wheel with the pages in it: ``python -m pages.wheel [FOLDER]``.

It is built from a copy of the sources: a page left in the checkout would end up, outdated, in a later wheel.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MADE_OF = ("engine", "sweeps")


def wheel(pages: Path, folder: Path) -> Path:
    """Make the wheel of the checkout in ``folder``; ``pages`` are the built ones of this version."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary)
        for name in MADE_OF:
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        shutil.copytree(pages, source / "engine/spinsweep/documentation", ignore=shutil.ignore_patterns(".buildinfo"))
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        pip += ["--no-build-isolation"]  # needs no network
        subprocess.run([*pip, "--wheel-dir", str(folder), temporary], check=True)
    [made] = folder.glob(f"spinsweep-{version('spinsweep')}-*.whl")
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m pages.wheel", description="Make the wheel, with the pages in it."
    )
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "dist", help="default: dist")
    print(wheel(ROOT / "build/docs" / version("spinsweep"), parser.parse_args().folder))  # noqa: T201
