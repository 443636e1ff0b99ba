"""The names of the project that the golden values go through: all of them are here."""

from __future__ import annotations

import sys

import scipy.linalg  # noqa: F401 - the processor's kind names every OpenBLAS that is loaded, so all of them are
import torch  # noqa: F401 - and what torch chose

from spinneurons.codesign.chip import Programmed, make
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.model import CellGrid, plane
from spinsweep.cli import main
from spinsweep.discovery import find
from spinsweep.provenance import processor

__all__ = ["COMMAND", "Batch", "CellGrid", "Draws", "Programmed", "find", "kind", "main", "make", "plane"]

COMMAND = [sys.executable, "-m", main.__module__]
"""The command line as a process of its own."""


def kind() -> str:
    """The kind of this processor, with what every library made of it."""
    return processor(with_torch=True)
