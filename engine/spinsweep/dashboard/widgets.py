"""Bokeh's parts as the Sweep page uses them: text, rows and columns."""

from __future__ import annotations

from typing import Any

from bokeh.layouts import row
from bokeh.models import Div, PlainText

from spinsweep.dashboard.html import STYLE


def plain(words: str) -> PlainText:
    """Words where Bokeh would take ``$$...$$`` for TeX, in which a stranger's title could be a live link."""
    return PlainText(text=words)


def text_box(text: str = "", **options: Any) -> Div:
    """HTML in the page's style."""
    return Div(text=text, stylesheets=[STYLE], css_classes=["sw"], disable_math=True, **options)


def set_text(box: Div, text: str) -> None:
    """Change a text where it differs: each change is sent to the browser."""
    if box.text != text:
        box.text = text


def wide(layout: Any, *children: Any, **options: Any) -> Any:
    """A row or column as wide as the window; a row wraps where the window is too narrow."""
    styles = {"gap": "0 24px", "flex-wrap": "wrap"} if layout is row else {}
    return layout(*children, **{"sizing_mode": "stretch_width", "styles": styles, **options})
