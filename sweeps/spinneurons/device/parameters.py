"""Axes and parameters that the experiments on the devices have in common."""

from __future__ import annotations

from spinneurons.device import card as cards
from spinneurons.device.link import LINKS
from spinsweep.axis import Axis
from spinsweep.spec import Parameter

_DEVICES = cards.axes(cards.default())

WIDTH = Axis("width", tuple(_DEVICES["width"]), unit="um", long_name="bar width", low=0.05, high=50.0)
DEVICE = Axis("device", tuple(_DEVICES["device"]), long_name="device", low=0)

CARD = Parameter(
    "card",
    cards.default(),
    help="device card, a TOML file; also says which devices there are",
    load=cards.load,
    fingerprint=cards.values,
    axes=cards.axes,
)
LINK = Parameter("link", "card", help="switching curve; card: what the card says", choices=("card", *LINKS))
