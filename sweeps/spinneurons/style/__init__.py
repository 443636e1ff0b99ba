"""What figures have in common: their look, their frame, and how devices, widths and shares are drawn."""

from spinneurons.style.devices import (
    MANY,
    DeviceColours,
    device_look,
    devices_against_width,
    devices_by_width,
    legend,
    line_against_width,
    place_of,
)
from spinneurons.style.frame import Builder, Draw, canvas, figure, note, nothing_done, numbered_names, panels
from spinneurons.style.look import (
    BLUE,
    COLOURS,
    COLUMN,
    GREEN,
    GREY,
    I_0,
    MARKERS,
    MM,
    ORANGE,
    PAGE,
    PURPLE,
    RATIO,
    SHADES,
    SKY,
    SMALL,
    VERMILION,
    current_power,
    device_text,
    label_axis,
    shades,
    si_text,
    si_unit,
    switching_axis,
    symbol,
    whole_numbers,
    width_label,
    width_text,
)
from spinneurons.style.shares import FEW, share_curve, shares_against
from spinneurons.style.widths import WidthPanel, panels_of_widths

__all__ = [
    "BLUE", "COLOURS", "COLUMN", "FEW", "GREEN", "GREY", "I_0", "MANY", "MARKERS", "MM", "ORANGE", "PAGE", "PURPLE",
    "RATIO", "SHADES", "SKY", "SMALL", "VERMILION", "Builder", "DeviceColours", "Draw", "WidthPanel", "canvas",
    "current_power", "device_look", "device_text", "devices_against_width", "devices_by_width", "figure",
    "label_axis", "legend", "line_against_width", "note", "nothing_done", "numbered_names", "panels",
    "panels_of_widths", "place_of", "shades", "share_curve", "shares_against", "si_text", "si_unit", "switching_axis",
    "symbol",
    "whole_numbers", "width_label", "width_text",
]  # fmt: skip
