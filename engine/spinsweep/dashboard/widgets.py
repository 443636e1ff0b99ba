"""Bokeh's parts as the Sweep page uses them: text, rows and columns, and the table of failures."""

from __future__ import annotations

from typing import Any

from bokeh.layouts import row
from bokeh.models import ColumnDataSource, DataTable, Div, HTMLTemplateFormatter, PlainText, TableColumn

from spinsweep.dashboard.html import STYLE

TABLE_STYLE = """
.slick-cell { white-space: normal !important; line-height: 15px; overflow-wrap: anywhere; }
.slick-cell span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
"""
TABLE_ENTRY = '<span title="<%- value %>"><%- value %></span>'  # <%- escapes
FAILURE_COLUMNS = {
    "cell": ("failed cell", 430),
    "more": ("more in block", 80),
    "type": ("error", 120),
    "message": ("message", 430),
}
"""Title and width in pixels of each column, by the field of a failure."""


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


def failure_table(source: ColumnDataSource) -> DataTable:
    """The table of failures."""
    columns = [
        TableColumn(
            field=field,
            title=title,
            width=width,
            sortable=False,
            formatter=HTMLTemplateFormatter(template=TABLE_ENTRY),
        )
        for field, (title, width) in FAILURE_COLUMNS.items()
    ]
    return DataTable(
        source=source,
        columns=columns,
        sizing_mode="stretch_width",
        height=240,
        row_height=50,
        stylesheets=[TABLE_STYLE],
        index_position=None,
        selectable=False,
        reorderable=False,
    )
