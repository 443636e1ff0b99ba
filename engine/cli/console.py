"""Consoles that do not cut what goes into a file or a pipe."""

from __future__ import annotations

import sys

from rich.console import Console

PIPE_WIDTH = 200  # columns where there is no terminal to ask


def console(stderr: bool = False) -> Console:
    """A console of the terminal's width, or a wide one."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)
