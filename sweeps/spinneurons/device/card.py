"""The device card: every parameter of the device model with value, unit and provenance, as a plain mapping.

A card is a JSON-able ``dict`` because it is a parameter of a sweep: it is stored as JSON in each cube and has
to come back unchanged.  ``card[section][key]`` holds ``{"value", "unit", "provenance", "source"}``; a card
fitted from readings also has a list ``card["device"]`` of individuals, which take precedence over the
formulas.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.device.linear import straight_line
from spinneurons.device.link import LINKS, P_LOW, z_of
from spinsweep.files import Unreadable, text_of, toml
from spinsweep.printable import brief

Card = dict[str, Any]

DEFAULT = Path(__file__).parent / "data" / "card.toml"
PROVENANCE = ("paper", "derived", "literature", "assumed", "measured")
LEAST_RATIO = -z_of(P_LOW)
"""I_bias/i0 below which the 0.01 % edge of the logistic curve is at a negative current: 9.21."""


class CardError(ValueError):
    """One line: the file, the key, what is wrong and what would be right."""


@dataclass(frozen=True)
class _Entry:
    """What one key of the card may hold."""

    unit: str
    kind: str = "float"
    """float, int, bool, link, sign or floats."""
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    @property
    def wanted(self) -> str:
        if self.kind in ("bool", "link", "sign"):
            return {"bool": "true or false", "link": " or ".join(LINKS), "sign": "-1 or 1"}[self.kind]
        noun = {"float": "a number", "int": "a whole number", "floats": "a list of different numbers"}[self.kind]
        if self.low > -math.inf:
            noun += f" above {self.low:g}" if self.open_low else f" from {self.low:g}"
            noun += f" to {self.high:g}" if self.high < math.inf else "" if self.open_low else " up"
        return noun


_POSITIVE = {"low": 0.0, "open_low": True}
_ENTRIES: dict[str, dict[str, _Entry]] = {
    "devices": {
        "widths": _Entry("um", "floats", **_POSITIVE),  # type: ignore[arg-type]
        "per_width": _Entry("1", "int", low=1, high=10_000),
        "seed": _Entry("1", "int", low=0),
    },
    "i_bias": {"intercept": _Entry("A"), "slope": _Entry("A/um"), "spread": _Entry("1", low=0, high=0.9)},
    "i0": {"intercept": _Entry("A"), "slope": _Entry("A/um"), "spread": _Entry("1", low=0, high=0.9)},
    "switching": {
        "link": _Entry("1", "link"),
        "pulse_width": _Entry("s", low=0, open_low=True),
        "reset_failure": _Entry("1", low=0, high=0.5, open_low=True),
    },
    "hall": {
        "amplitude": _Entry("ohm", low=0, open_low=True),
        "offset": _Entry("ohm"),
        "tilt": _Entry("1", low=0, high=0.999),
        "reset_state": _Entry("1", "sign"),
    },
    "read": {
        "current": _Entry("A", low=0, open_low=True),
        "noise": _Entry("V", low=0),
        "never_switches": _Entry("1", "bool"),
    },
    "drift": {"sd": _Entry("1", low=0, high=1), "period": _Entry("day", low=0, open_low=True)},
}
_FIELDS = ("value", "unit", "provenance", "source")
_INDIVIDUAL = ("width_um", "index", "i_bias", "i_bias_stderr", "i0", "i0_stderr")


def load(path: str | Path | None = None) -> Card:
    """The card in a TOML file; the default card for ``None``.

    Raises
    ------
    CardError
        The file is missing, is not TOML, or does not hold a card.
    """
    if path is None:
        return default()
    try:
        text = text_of(path)
    except Unreadable as error:
        raise CardError(f"{path}: {error}; give the path of a card in TOML") from None
    return loads(text, str(path))


def loads(text: str, name: str = "card") -> Card:
    """The card in a TOML text; ``name`` stands for the file in messages."""
    try:
        return validate(toml(text), name)
    except Unreadable as error:
        raise CardError(f"{name}: {error}") from None


def default() -> Card:
    """The card of the package: nine widths of four devices, assumed scale (``data/card.toml``)."""
    return copy.deepcopy(_default())


@cache
def _default() -> Card:
    return load(DEFAULT)


def value(card: Mapping[str, Any], key: str) -> Any:
    """The value at ``"section.key"``, in the unit of the card (A, ohm, V, s, um, day).

    Raises
    ------
    CardError
        A card has no such key.
    """
    section, _, name = key.partition(".")
    try:
        return card[section][name]["value"]
    except (KeyError, TypeError):
        known = [f"{s}.{k}" for s, entries in _ENTRIES.items() for k in entries]
        near = difflib.get_close_matches(key, known, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise CardError(f"card: no value {key!r}{meant}; it has {', '.join(known)}") from None


def validate(raw: Mapping[str, Any], name: str = "card") -> Card:
    """A copy of ``raw`` with canonical numbers, checked: keys, units, ranges, and the curve at each width.

    The 0.01 % edge of the logistic curve has to be at a positive current at each listed width, I_bias/i0 >=
    9.21, unless both formulas are measured: a measurement is reported, not refused.

    Raises
    ------
    CardError
        One line with the file, the key, what is wrong and what would be right.
    """
    known = ["title", *_ENTRIES, "device"]
    for key in raw:
        if key not in known:
            raise CardError(f"{name}: {key}: unknown section; a card has {', '.join(known)}")
    title = raw.get("title", "")
    if not isinstance(title, str):
        raise CardError(f"{name}: title: {brief(title)} is not text")
    card: Card = {"title": title}
    for section, entries in _ENTRIES.items():
        card[section] = _section(raw.get(section), section, entries, name)
    if "device" in raw:
        card["device"] = _individuals(raw["device"], name)
        _check_individuals(card, name)
    _check_curve(card, name)
    return card


def _section(raw: Any, section: str, entries: Mapping[str, _Entry], name: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise CardError(f"{name}: {section}: section is missing; it holds {', '.join(entries)}")
    for key in raw:
        if key not in entries:
            raise CardError(f"{name}: {section}.{key}: unknown key; the section holds {', '.join(entries)}")
    return {key: _entry(raw.get(key), f"{section}.{key}", entry, name) for key, entry in entries.items()}


def _entry(raw: Any, key: str, entry: _Entry, name: str) -> dict[str, Any]:
    example = f'{{value = ..., unit = "{entry.unit}", provenance = "assumed", source = "..."}}'
    if not isinstance(raw, Mapping):
        problem = "missing" if raw is None else f"{brief(raw)} has no unit and provenance"
        raise CardError(f"{name}: {key}: {problem}; write {key.split('.')[1]} = {example}")
    for field in raw:
        if field not in _FIELDS:
            raise CardError(f"{name}: {key}.{field}: unknown field; an entry has {', '.join(_FIELDS)}")
    for field in _FIELDS:
        if field not in raw:
            raise CardError(f"{name}: {key}: no {field}; write {key.split('.')[1]} = {example}")
    if raw["unit"] != entry.unit:
        raise CardError(f"{name}: {key}: unit {brief(raw['unit'])}; this value is in {entry.unit!r}")
    if raw["provenance"] not in PROVENANCE:
        raise CardError(f"{name}: {key}: provenance {brief(raw['provenance'])}; it is one of {', '.join(PROVENANCE)}")
    if not isinstance(raw["source"], str) or not raw["source"].strip() or "\n" in raw["source"]:
        raise CardError(f"{name}: {key}: source {brief(raw['source'])}; say in one line where the value comes from")
    number = _canonical(raw["value"], entry)
    if number is None:
        raise CardError(f"{name}: {key}: value {brief(raw['value'])}; it is {entry.wanted}")
    return {"value": number, "unit": entry.unit, "provenance": raw["provenance"], "source": raw["source"]}


def _canonical(raw: Any, entry: _Entry) -> Any:
    """The value in its own type, or None where it is not allowed."""
    if entry.kind == "bool":
        return raw if isinstance(raw, bool) else None
    if entry.kind == "link":
        return raw if isinstance(raw, str) and raw in LINKS else None
    if entry.kind == "floats":
        items = raw if isinstance(raw, list | tuple) and raw else [None]
        numbers = [
            _canonical(item, _Entry(entry.unit, "float", entry.low, entry.high, entry.open_low)) for item in items
        ]
        return None if None in numbers or len(set(numbers)) < len(numbers) else numbers
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not abs(raw) <= sys.float_info.max:
        return None
    if entry.kind == "float":
        number: float = float(raw)
    elif raw == int(raw):
        number = int(raw)
    else:
        return None
    if entry.kind == "sign":
        return number if number in (-1, 1) else None
    inside = entry.low < number if entry.open_low else entry.low <= number
    return number if inside and number <= entry.high else None


def _individuals(raw: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(raw, list):
        raise CardError(f"{name}: device: not a list; write each individual as [[device]]")
    found: dict[str, dict[str, Any]] = {}
    for position, item in enumerate(raw):
        at = f"device[{position}]"
        if not isinstance(item, Mapping) or set(item) != set(_INDIVIDUAL):
            raise CardError(f"{name}: {at}: has other keys than {', '.join(_INDIVIDUAL)}")
        entry = {key: _canonical(item[key], _INDIVIDUAL_ENTRIES[key]) for key in _INDIVIDUAL}
        for key, number in entry.items():
            if number is None:
                raise CardError(
                    f"{name}: {at}.{key}: value {brief(item[key])}; it is {_INDIVIDUAL_ENTRIES[key].wanted}"
                )
        one = device_key(entry["width_um"], entry["index"])
        if one in found:
            raise CardError(
                f"{name}: {at}: width {entry['width_um']:g} um, index {entry['index']} stands twice; keep one"
            )
        found[one] = entry
    return list(found.values())


def _check_individuals(card: Card, name: str) -> None:
    """Each individual is one of the devices that the card has; the labels of measured ones may be any."""
    widths, per_width = card["devices"]["widths"]["value"], card["devices"]["per_width"]
    keys = {device_key(width, 0) for width in widths}
    for position, one in enumerate(card["device"]):
        at = f"{name}: device[{position}]"
        if device_key(one["width_um"], 0) not in keys:
            raise CardError(
                f"{at}.width_um: value {one['width_um']:g}; "
                f"it is one of devices.widths, {', '.join(f'{w:g}' for w in widths)}, or to be added there"
            )
        if per_width["provenance"] != "measured" and one["index"] >= per_width["value"]:
            raise CardError(
                f"{at}.index: value {one['index']}; "
                f"it is from 0 to {per_width['value'] - 1}, as devices.per_width is {per_width['value']}"
            )


_INDIVIDUAL_ENTRIES = {
    "width_um": _Entry("um", low=0, open_low=True),
    "index": _Entry("1", "int", low=0),
    "i_bias": _Entry("A", low=0, open_low=True),
    "i_bias_stderr": _Entry("A", low=0),
    "i0": _Entry("A", low=0, open_low=True),
    "i0_stderr": _Entry("A", low=0),
}


def device_key(width: float, index: int) -> str:
    """Canonical text of one device: width in um to 12 significant digits, and its index at that width."""
    return f"{float(width):.12g}/{int(index)}"


def _check_curve(card: Card, name: str) -> None:
    measured = all(card[s][k]["provenance"] == "measured" for s in ("i_bias", "i0") for k in ("intercept", "slope"))
    for width in value(card, "devices.widths"):
        bias = value(card, "i_bias.intercept") + value(card, "i_bias.slope") * width
        scale = value(card, "i0.intercept") + value(card, "i0.slope") * width
        for key, current in (("i_bias", bias), ("i0", scale)):
            if not current > 0:
                raise CardError(
                    f"{name}: {key}: {current:.3g} A at {width:g} um; intercept + slope * width has to be above 0"
                )
        if not measured and bias < LEAST_RATIO * scale:
            raise CardError(
                f"{name}: i0: the 0.01 % edge of the switching curve is at {bias - LEAST_RATIO * scale:.3g} A "
                f"at {width:g} um, where I_bias/i0 is {bias / scale:.4g}; "
                f"it has to be {LEAST_RATIO:.4g} at least"
            )


def link(card: Mapping[str, Any], choice: str) -> str:
    """The switching curve: the card's own for "card", else ``choice``."""
    return str(value(card, "switching.link")) if choice == "card" else choice


def axes(card: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The devices that a card describes, as values of the axes ``width`` (um) and ``device``."""
    if "device" in card:
        devices = sorted({d["index"] for d in card["device"]})
    else:
        devices = list(range(value(card, "devices.per_width")))
    return {"width": list(value(card, "devices.widths")), "device": devices}


def values(card: Mapping[str, Any]) -> Card:
    """All in the card that can change a number: no titles, units and sources, and not how many devices there are."""
    sections = {
        section: {key: entry["value"] for key, entry in entries.items()}
        for section, entries in card.items()
        if isinstance(entries, Mapping)
    }
    del sections["devices"]["per_width"]
    return {**sections, **({"device": card["device"]} if "device" in card else {})}


def with_ratios(card: Mapping[str, Any], wide: float, narrow: float) -> Card:
    """The card with I_bias/i0 equal to ``wide`` at its widest and ``narrow`` at its narrowest bar.

    Only I_bias changes; i0 stays, and with it the energy ratio.  How the ratio depends on the width is the
    main assumption of the card, so that results belong on an axis of it as well as on one of the width.
    """
    changed = copy.deepcopy(dict(card))
    last, first = max(value(card, "devices.widths")), min(value(card, "devices.widths"))
    scale = {w: value(card, "i0.intercept") + value(card, "i0.slope") * w for w in (last, first)}
    slope = (wide * scale[last] - narrow * scale[first]) / (last - first)
    source = f"I_bias/i0 set to {wide:g} at {last:g} um and {narrow:g} at {first:g} um"
    for key, number in (("slope", slope), ("intercept", wide * scale[last] - slope * last)):
        changed["i_bias"][key].update(value=number, provenance="assumed", source=source)
    return validate(changed, "card with ratios")


def measured(
    card: Mapping[str, Any],
    width: npt.ArrayLike,
    i_bias: npt.ArrayLike,
    i_bias_stderr: npt.ArrayLike,
    i0: npt.ArrayLike,
    i0_stderr: npt.ArrayLike,
    source: str = "fit of recorded readings",
    device: npt.ArrayLike | None = None,
) -> Card:
    """A card from fitted devices: straight lines against width for the formulas, and each device by itself.

    Parameters
    ----------
    card : where all other values come from
    width : (W,) um, two different widths at least
    i_bias, i_bias_stderr, i0, i0_stderr : (W, D) A; a device without a fit is NaN and left out
    source : one line that says which recording
    device : (D,) labels of the devices of each width; None: 0, 1, ...

    Returns
    -------
    Card whose title, formulas and ``[[device]]`` entries say "measured"; a spread is the largest relative deviation
    of a device from its line.

    Raises
    ------
    CardError
        Fewer than two widths have a fitted device, or the lines are not positive at some width.

    Source: linear fits of Fig. 3(a, b) of the paper.
    """
    widths = np.asarray(width, dtype=np.float64)
    fitted = [np.asarray(a, dtype=np.float64) for a in (i_bias, i_bias_stderr, i0, i0_stderr)]
    if any(a.shape != fitted[0].shape or a.ndim != 2 or a.shape[0] != widths.size for a in fitted):
        shapes = [a.shape for a in fitted]
        raise CardError(f"measured card: the fitted values have shapes {shapes}; all are (width, device)")
    good = np.logical_and.reduce([np.isfinite(a) for a in fitted]) & (fitted[0] > 0) & (fitted[2] > 0)
    labels = np.arange(good.shape[1]) if device is None else np.asarray(device)
    rows = good.any(axis=1)
    if rows.sum() < 2:
        raise CardError(
            f"measured card: {'1' if rows.any() else 'no'} width has a fitted device; a line needs two, so "
            "characterize bars of further widths, at currents from where none of them switches to where all do"
        )
    changed = copy.deepcopy(dict(card)) | {"title": f"Hall bars as measured: {source}"}
    for section, currents in (("i_bias", fitted[0]), ("i0", fitted[2])):
        line = straight_line(widths[:, None], np.where(good, currents, np.nan))
        deviation = np.abs(currents / line.at(widths)[:, None] - 1)[good].max()
        for key, number in (
            ("intercept", line.intercept),
            ("slope", line.slope),
            ("spread", float(deviation)),
        ):
            changed[section][key].update(value=number, provenance="measured", source=source)
    for key, found in (("widths", [float(w) for w in widths[rows]]), ("per_width", int(good.shape[1]))):
        changed["devices"][key].update(value=found, provenance="measured", source=source)
    changed["device"] = [
        {
            "width_um": float(widths[w]),
            "index": int(labels[d]),
            **{k: float(a[w, d]) for k, a in zip(_INDIVIDUAL[2:], fitted, strict=True)},
        }
        for w, d in np.argwhere(good)
    ]
    return validate(changed, "measured card")


def dumps(card: Mapping[str, Any]) -> str:
    """The card as TOML text; ``loads(dumps(card)) == card``."""
    lines = [f"title = {_toml(card['title'])}"]
    for section, entries in card.items():
        if isinstance(entries, Mapping):
            lines += ["", f"[{section}]", *(f"{key} = {_toml(entry)}" for key, entry in entries.items())]
    for individual in card.get("device", ()):
        lines += ["", "[[device]]", *(f"{key} = {_toml(number)}" for key, number in individual.items())]
    return "\n".join(lines) + "\n"


_UNSEEN = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _toml(item: Any) -> str:
    """One TOML value on one line."""
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(entry)}" for key, entry in item.items()) + "}"
    if isinstance(item, list):
        return "[" + ", ".join(_toml(entry) for entry in item) + "]"
    if isinstance(item, str):  # a JSON string is a TOML basic string, but for what no terminal is to obey
        return _UNSEEN.sub(lambda sign: f"\\U{ord(sign[0]):08x}", json.dumps(item, ensure_ascii=False))
    if isinstance(item, bool):
        return "true" if item else "false"
    return repr(item)
