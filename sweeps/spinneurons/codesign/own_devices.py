"""Chips whose neurons are devices of a card, measured ones say, drawn again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.neurons import card as cards
from spinneurons.neurons.population import card_deviations, relative
from spinneurons.neurons.registry import family_of
from spinsweep.parameters import Parameter


def describe(file: str) -> dict[str, Any]:
    """The devices of a card as a sweep's parameter: its file, and how each deviates in I_bias and i0.

    Raises
    ------
    CardError
        It is no card.
    """
    return {"file": file, "deviations": card_deviations(family_of(cards.load(file))).round(12).tolist()}


def contents(value: Mapping[str, Any]) -> Any:
    """The deviations, each over its largest, without the file: how far they go is what the axes say."""
    return relative(value["deviations"]).round(12).tolist() if value else []


def measured(value: Mapping[str, Any]) -> npt.NDArray[np.float64] | None:
    """(devices, 2) x and y of the devices; None where there are none."""
    return np.array(contents(value)) if value else None


def axes(value: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """The axes of how far neurons deviate: as far as the devices do at the most."""
    if not value:
        return {}
    bias, scale = np.abs(value["deviations"]).max(axis=0).tolist()
    return {"variation": (bias,), "i0_variation": (scale,)}


DEVICES = Parameter(
    "devices",
    {},
    help="a card whose devices the neurons are, drawn with replacement: variation and i0_variation are then how far "
    "these deviate at the most; synapses deviate as distribution says",
    load=describe,
    fingerprint=contents,
    axes=axes,
    neutral={},
)
