"""Axes, parameters and outputs that the experiments on neuron families have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spinneurons.neurons import card as cards
from spinneurons.neurons import registry
from spinneurons.neurons.family import Card
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.axis import Axis
from spinsweep.spec import Output, Parameter


def axes(card: Card) -> dict[str, Axis]:
    """The axes of the devices that a card describes, in the words and limits of its family."""
    family = registry.family_of(card)
    labels, size = family.labels(), family.width
    return {
        "width": Axis("width", tuple(labels["width"]), "um", size.long_name, low=size.low, high=size.high),
        "device": Axis("device", tuple(labels["device"]), long_name="device", low=0),
    }


WIDTH, DEVICE = axes(cards.default()).values()

CARD = Parameter(
    "card",
    cards.default(),
    help="device card, a TOML file; also says which devices there are",
    load=cards.load,
    fingerprint=cards.values,
    axes=axes,
    code=registry.class_of,
)
LINK = Parameter("link", "card", help="switching curve: card (what the card says), or another one of its family")


def _hall_bar_card(path: str) -> Card:
    card = cards.load(path)
    if "family" in card:
        raise cards.CardError(f"{path}: family: value {card['family']!r}; this sweep is one of Hall bars alone")
    return card


HALL_BAR_CARD = replace(CARD, load=_hall_bar_card, code=None)
HALL_BAR_LINK = replace(
    LINK, choices=("card", *(law.name for law in HallBar.laws)), help="switching curve; card: what the card says"
)
"""Of the sweeps that are about the magnet itself, not about a neuron."""


def require_law(params: Mapping[str, Any]) -> None:
    """``ValueError`` with one line if the card's family has no law of the name in the parameter ``link``."""
    registry.family_of(params["card"]).law(params["link"])


def readings(
    params: Mapping[str, Any], dims: tuple[str, ...], prefix: str = "", suffix: str = ""
) -> tuple[Output, ...]:
    """What each cycle of the card's family gives, as outputs over ``dims``.

    Raises
    ------
    ValueError
        The family has no law of the name in the parameter ``link``.
    """
    require_law(params)
    family = registry.class_of(params["card"])
    return tuple(
        Output(prefix + one.name, dims, "float32", one.unit, one.long_name + suffix) for one in family.readings
    )
