"""Consoles that do not cut what goes into a file or a pipe, and take every text as it is: no markup, no escapes."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from spinsweep.printable import printable

PIPE_WIDTH = 200  # columns where there is no terminal to ask


class _Plain(Console):
    def render_str(self, text: str, **how: Any) -> Text:
        """Called for every plain text, also for those in the cells of tables."""
        return super().render_str(printable(text), **how)

    def on_broken_pipe(self) -> None:
        """As for every other print: the command line ends then."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console of the terminal's width, or a wide one."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return _Plain(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def styled(text: str, style: str) -> Text:
    """``text`` in a style, where the terminal has any."""
    return Text(printable(text), style=style)
