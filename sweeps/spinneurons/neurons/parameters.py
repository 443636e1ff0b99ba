"""Axes, parameters and outputs that the experiments on neuron families have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from spinneurons.neurons import card as cards
from spinneurons.neurons import registry
from spinneurons.neurons.family import Card
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.axis import Axis
from spinsweep.outputs import Output
from spinsweep.parameters import Parameter


def axes(card: Card) -> dict[str, Axis]:
    """The axes of the devices that a card describes, in the words and limits of its family."""
    family = registry.family_of(card)
    labels, size = family.labels(), family.width
    return {
        "width": Axis("width", tuple(labels["width"]), "um", size.long_name, low=size.low, high=size.high),
        "device": Axis("device", tuple(labels["device"]), long_name="device", low=0),
    }


WIDTH, DEVICE = axes(cards.default()).values()


@dataclass(frozen=True)
class CardUse:
    """The fingerprint of a card in a sweep on whose numbers a part of the card has a bearing.

    Entries that are not used stand in it as in the family's built-in card, so that they may change.  Which entries of
    another family's own sections a sweep uses is that family's matter: all of these count.
    """

    entries: tuple[str, ...]
    """Names such as "hall.tilt", or a whole section such as "hall"."""
    individuals: tuple[str, ...] = ()
    """Numbers of listed devices; their errors change none."""

    def __call__(self, card: Mapping[str, Any]) -> Card:
        """The values that count."""
        used = cards.values(card)
        built_in = cards.values(registry.class_of(card).default())
        listed = used.pop("device", ())
        for section in ("devices",) if "family" in used else [*used]:
            for key in [*used[section]]:
                if section in self.entries or f"{section}.{key}" in self.entries:
                    continue
                if section in built_in:
                    used[section][key] = built_in[section][key]
                else:
                    del used[section][key]
            if not used[section]:
                del used[section]
        if listed and self.individuals:
            used["device"] = [{key: one[key] for key in ("width_um", "index", *self.individuals)} for one in listed]
        return used


CARD = Parameter(
    "card",
    cards.default(),
    help="device card, a TOML file; also says which devices there are",
    load=cards.load,
    fingerprint=cards.values,
    axes=axes,
    code=registry.class_of,
)


def card_of(*entries: str, individuals: tuple[str, ...] = (), of: Parameter = CARD) -> Parameter:
    """The parameter ``card`` of a sweep that uses these entries, and these numbers of listed devices."""
    return replace(of, fingerprint=CardUse(entries, individuals))


def with_whole_card(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The parameters of the sweep on a bench, where the card also gives reset pulses and levels: all of it counts."""
    return tuple(replace(p, fingerprint=cards.values) if p.name == "card" else p for p in parameters)


CURVES = ("i_bias", "i0", "devices.seed")
"""Entries that say what individuals are, and which currents show their curves."""
READOUT = ("hall", "read", "use.pulse_correlation")
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
