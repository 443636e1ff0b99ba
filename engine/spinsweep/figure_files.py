"""Figures as files: formats, text that stays text, and the same bytes for the same figure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from spinsweep.figure_options import FigureOptions

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "png": {"dpi": 300},
    "pdf": {"metadata": {"CreationDate": None}},
    "svg": {"metadata": {"Date": None}},
}
"""File formats, with what ``savefig`` is told: the same figure gives the same file."""
REAL_TEXT: Mapping[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "spinsweep"}
"""Text stays text, which a journal can set and a reader can search; 42 embeds TrueType fonts."""


def settings(options: FigureOptions) -> AbstractContextManager[None]:
    """Matplotlib's settings while a figure is made and written."""
    import matplotlib

    return matplotlib.rc_context({**REAL_TEXT, **options.font_settings})


def content(figure: Any, suffix: str) -> bytes:
    """The file of a figure in one of ``FORMATS``, to be called within :func:`settings`."""
    written = io.BytesIO()
    figure.savefig(written, format=suffix, **FORMATS[suffix])
    return written.getvalue()


def result_folder(store: str) -> Path:
    """The folder of what is made of a cube: that in which it lies; of a cube at a URL ``results``.

    Parameters
    ----------
    store : folder or URL
    """
    if "://" in store:
        return Path("results")
    return Path(store).parent if Path(store).name not in ("", "..") else Path(store).resolve().parent


def name_of_cube(store: str) -> str:
    """The name of a cube's folder, or the last part of its URL."""
    return store.rstrip("/").rpartition("/")[2] if "://" in store else Path(store).resolve().name


def figures_folder(store: str) -> Path:
    """Where ``spinsweep figures`` puts the figures of a cube if it is not told."""
    return result_folder(store) / f"{Path(name_of_cube(store)).stem}-figures"


def drawn_figures(store: str) -> list[Path]:
    """The pictures and captions that are there, in order of their names."""
    folder = figures_folder(store)
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix[1:] in (*FORMATS, "md") and file.is_file())
