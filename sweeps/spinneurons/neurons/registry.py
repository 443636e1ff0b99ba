"""Families of installed packages, by the name of their entry point ``spinsweep.neurons``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from spinneurons.neurons.family import NeuronFamily

GROUP = "spinsweep.neurons"
DEFAULT = "hall-bar"
"""The family of a card that names none."""


@cache
def find(name: str) -> type[NeuronFamily]:
    """The family of that name.

    Raises
    ------
    LookupError
        No installed package has it, or it cannot be imported; one line.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if not points:
        raise LookupError("no family is installed, not even ours; run `pip install` of spinsweep again")
    if name not in points:
        near = difflib.get_close_matches(str(name), points, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise LookupError(f"value {name!r}{meant}; installed are {', '.join(sorted(points))}")
    try:
        family: type[NeuronFamily] = points[name].load()
    except Exception as error:  # the package's own code
        raise LookupError(f"{name} ({points[name].value}) cannot be imported: {error}") from error
    return family


def class_of(card: Mapping[str, Any]) -> type[NeuronFamily]:
    """The family of a card that was checked."""
    return find(card.get("family", DEFAULT))


def family_of(card: Mapping[str, Any]) -> NeuronFamily:
    """The family of a card, bound to it."""
    return class_of(card)(card)
