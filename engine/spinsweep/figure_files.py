"""Figures as files: formats, text that stays text, and the same bytes for the same figure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
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
