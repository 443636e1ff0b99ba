"""The device card: every parameter of a family's devices with value, unit and provenance, as a plain mapping.

A card is a JSON-able ``dict`` because it is a parameter of a sweep: it is stored as JSON in each cube and has to come
back unchanged.  ``card[section][key]`` holds ``{"value", "unit", "provenance", "source"}``; the schema of the card's
family (``card["family"]``; without it, the Hall bar) says which sections there are.  A card fitted from readings also
has a list ``card["device"]`` of individuals, which take precedence over the formulas.
"""

from __future__ import annotations

import difflib
import json
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import annotated_types
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from spinneurons.neurons import registry
from spinneurons.neurons.family import Card
from spinsweep.files import Unreadable, read, toml
from spinsweep.printable import brief

PROVENANCE = ("paper", "derived", "literature", "assumed", "measured")


class CardError(ValueError):
    """One line: the file, the key, what is wrong and what would be right."""


# What a schema is made of

T = TypeVar("T")


@dataclass(frozen=True)
class Unit:
    """The unit of an entry, which the card has to state: ``Annotated[Entry[Positive], Unit("A")]``."""

    text: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, entry: Any) -> Any:
        if entry.unit != self.text:
            raise ValueError(f"unit {brief(entry.unit)}; this value is in {self.text!r}")
        return entry


def _whole(value: Any) -> Any:
    """A float without a fraction as an int, and no bool."""
    if isinstance(value, bool):
        return str(value)  # which no number is
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _different(values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise ValueError("twice")
    return values


def _said(source: str) -> str:
    if not source.strip() or "\n" in source:
        raise ValueError("source")
    return source


Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(allow_inf_nan=False, gt=0)]
NotNegative = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0)]
Whole = Annotated[int, BeforeValidator(_whole), Strict()]
Flag = Annotated[bool, Strict()]
Sign = Annotated[Literal[-1, 1], BeforeValidator(_whole)]


class Strictly(BaseModel):
    """No key but those that are declared."""

    model_config = ConfigDict(extra="forbid", defer_build=True)  # built when a card is read: `list` reads none


class Entry(Strictly, Generic[T]):
    """One value with its unit and where it comes from."""

    value: T
    unit: Annotated[str, Strict()]
    provenance: Literal["paper", "derived", "literature", "assumed", "measured"]
    source: Annotated[str, Strict(), AfterValidator(_said)]


class Individual(Strictly):
    """One device as measured."""

    width_um: Positive
    """Its size, um: one of ``devices.widths``."""
    index: Annotated[Whole, Field(ge=0)]
    """Which of the devices of this size it is, from 0."""
    i_bias: Positive
    """Current of switching probability 1/2, A."""
    i_bias_stderr: NotNegative
    """Its standard error, A."""
    i0: Positive
    """Scale current of the switching curve, A."""
    i0_stderr: NotNegative
    """Its standard error, A."""


class Devices(Strictly):
    """Which devices there are."""

    widths: Annotated[Entry[Annotated[list[Positive], Field(min_length=1), AfterValidator(_different)]], Unit("um")]
    """Sizes of the devices; for junctions, their diameters."""
    per_width: Annotated[Entry[Annotated[Whole, Field(ge=1, le=10_000)]], Unit("1")]
    """Devices of each size."""
    seed: Annotated[Entry[Annotated[Whole, Field(ge=0)]], Unit("1")]
    """Addresses the deviations of the model's devices."""


class CardModel(Strictly):
    """The card of any family; a family adds its own sections, each a :class:`Strictly` of entries."""

    without_numbers: ClassVar[tuple[str, ...]] = ()
    """Sections on which no number of a sweep rests: analysis alone uses them.  They may be left out (``| None``)."""
    title: Annotated[str, Strict()] = ""
    devices: Devices
    device: list[Individual] | None = None

    @model_validator(mode="after")
    def _check_individuals(self) -> CardModel:
        """Each individual is one of the devices that the card has; the labels of measured ones may be any."""
        widths, per_width = self.devices.widths.value, self.devices.per_width
        keys = {device_key(width, 0) for width in widths}
        seen: set[str] = set()
        for position, one in enumerate(self.device or ()):
            if device_key(one.width_um, 0) not in keys:
                raise ValueError(
                    f"device[{position}].width_um: value {one.width_um:g}; "
                    f"it is one of devices.widths, {', '.join(f'{w:g}' for w in widths)}, or to be added there"
                )
            if per_width.provenance != "measured" and one.index >= per_width.value:
                raise ValueError(
                    f"device[{position}].index: value {one.index}; "
                    f"it is from 0 to {per_width.value - 1}, as devices.per_width is {per_width.value}"
                )
            if (key := device_key(one.width_um, one.index)) in seen:
                raise ValueError(
                    f"device[{position}]: width {one.width_um:g} um, index {one.index} stands twice; keep one"
                )
            seen.add(key)
        return self


# Reading and checking


def load(path: str | Path | None = None) -> Card:
    """The card in a TOML file; the default card for ``None``.

    Raises
    ------
    CardError
        The file is missing, is not TOML, or does not hold a card.
    """
    if path is None:
        return default()
    return validate(read(path, "the path of a card in TOML", CardError), str(path))


def loads(text: str, name: str = "card") -> Card:
    """The card in a TOML text; ``name`` stands for the file in messages."""
    try:
        return validate(toml(text), name)
    except Unreadable as error:
        raise CardError(f"{name}: {error}") from None


def default() -> Card:
    """The built-in card of the default family: nine widths of four Hall bars, assumed scale."""
    return registry.find(registry.DEFAULT).default()


def validate(raw: Mapping[str, Any], name: str = "card") -> Card:
    """A copy of ``raw`` with canonical numbers, checked by the schema of its family.

    Raises
    ------
    CardError
        One line with the file, the key, what is wrong and what would be right.
    """
    family = raw.get("family", registry.DEFAULT)
    if not isinstance(family, str):
        raise CardError(f"{name}: family: {brief(family)} is not text")
    try:
        schema: type[CardModel] = registry.find(family).schema
    except LookupError as error:
        raise CardError(f"{name}: family: {error}") from None
    content = {key: section for key, section in raw.items() if key != "family"}
    try:
        model = schema.model_validate(content)
    except ValidationError as error:
        raise CardError(f"{name}: {_one_line(error, schema, content)}") from None
    checked = model.model_dump(exclude_none=True)
    individuals = checked.pop("device", None)
    card: Card = {"title": checked.pop("title")}
    if family != registry.DEFAULT:
        card["family"] = family
    return card | checked | ({} if individuals is None else {"device": individuals})


def _one_line(error: ValidationError, schema: type[CardModel], raw: Mapping[str, Any]) -> str:
    """The first mistake; a key that is not known before one that is missing, for it may be the same mistyped."""
    first = min(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    location, kind = first["loc"], first["type"]
    if not location:
        return str(first["ctx"]["error"])
    section = str(location[0])
    if section == "title":
        return f"title: {brief(raw['title'])} is not text"
    if section == "device":
        return _of_individual(location, raw["device"])
    if section not in schema.model_fields:
        known = ["title", *_sections(schema), "device"]
        return f"{section}: unknown section; a card has {', '.join(known)}"
    entries = _sections(schema)[section].model_fields
    if len(location) == 1:
        return f"{section}: section is missing; it holds {', '.join(entries)}"
    return _of_entry(kind, location, entries, raw[section].get(location[1]), first)


def _of_entry(
    kind: str, location: tuple[int | str, ...], entries: Mapping[str, FieldInfo], raw: Any, error: Any
) -> str:
    section, key = location[:2]
    path = f"{section}.{key}"
    if key not in entries:
        return f"{path}: unknown key; the section holds {', '.join(entries)}"
    unit = next(m.text for m in entries[str(key)].metadata if isinstance(m, Unit))
    example = f'{key} = {{value = ..., unit = "{unit}", provenance = "assumed", source = "..."}}'
    if len(location) == 2:
        if kind == "value_error":
            return f"{path}: {error['ctx']['error']}"
        problem = "missing" if raw is None else f"{brief(raw)} has no unit and provenance"
        return f"{path}: {problem}; write {example}"
    entry: type[BaseModel] = entries[str(key)].annotation  # type: ignore[assignment]
    field = str(location[2])
    if field not in entry.model_fields:
        return f"{path}.{field}: unknown field; an entry has {', '.join(entry.model_fields)}"
    if kind == "missing":
        return f"{path}: no {field}; write {example}"
    right = {
        "value": f"it is {allowed_values(entry.model_fields['value'])}",
        "unit": f"this value is in {unit!r}",
        "provenance": f"it is one of {', '.join(PROVENANCE)}",
        "source": "say in one line where the value comes from",
    }
    return f"{path}: {field} {brief(raw[field])}; {right[field]}"


def _of_individual(location: tuple[int | str, ...], raw: Any) -> str:
    if len(location) == 1:
        return "device: not a list; write each individual as [[device]]"
    path = f"device[{location[1]}]"
    item = raw[location[1]]
    if len(location) == 2 or location[2] not in Individual.model_fields or location[2] not in item:
        return f"{path}: has other keys than {', '.join(Individual.model_fields)}"
    key = str(location[2])
    return f"{path}.{key}: value {brief(item[key])}; it is {allowed_values(Individual.model_fields[key])}"


def _sections(schema: type[CardModel]) -> dict[str, type[BaseModel]]:
    """By name; what a section that may be left out holds is the first type of its annotation."""
    fields = {n: f.annotation for n, f in schema.model_fields.items() if n not in ("title", "device")}
    return {n: next(iter(typing.get_args(type_)), type_) for n, type_ in fields.items()}  # type: ignore[misc]


def allowed_values(field: FieldInfo) -> str:
    """The values that a field takes, in words, such as ``a number from 0 to 0.9``."""
    return _in_words(field.annotation, field.metadata)


def _in_words(annotation: Any, metadata: list[Any]) -> str:
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        inner, *more = typing.get_args(annotation)
        return _in_words(inner, [*_constraints(more), *metadata])
    if origin is Literal:
        return " or ".join(map(str, typing.get_args(annotation)))
    if origin is list:
        return "a list of different numbers" + _in_words(typing.get_args(annotation)[0], []).removeprefix("a number")
    if annotation is bool:
        return "true or false"
    noun = {float: "a number", int: "a whole number"}.get(annotation, "text")
    limits = {type(m): m for m in _constraints(metadata)}
    above, least, most = (limits.get(t) for t in (annotated_types.Gt, annotated_types.Ge, annotated_types.Le))
    low = f" above {above.gt:g}" if above else f" from {least.ge:g}" if least else ""
    return noun + low + (f" to {most.le:g}" if most else " up" if least else "")


def _constraints(metadata: list[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)


# Using a card


def value(card: Mapping[str, Any], key: str) -> Any:
    """The value at ``"section.key"``, in the unit of the card.

    Raises
    ------
    CardError
        A card has no such key.
    """
    section, _, name = key.partition(".")
    try:
        return card[section][name]["value"]
    except (KeyError, TypeError):
        known = [f"{s}.{k}" for s, entries in card.items() if isinstance(entries, Mapping) for k in entries]
        near = difflib.get_close_matches(key, known, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise CardError(f"card: no value {key!r}{meant}; it has {', '.join(known)}") from None


def values(card: Mapping[str, Any]) -> Card:
    """All in the card that can change a number: no titles, units and sources, and not how many devices there are."""
    without_numbers = registry.class_of(card).schema.without_numbers
    sections: Card = {
        section: {key: entry["value"] for key, entry in entries.items()}
        for section, entries in card.items()
        if isinstance(entries, Mapping) and section not in without_numbers
    }
    del sections["devices"]["per_width"]
    if use := {key: v for key, v in sections.pop("use", {}).items() if v}:  # 0 is as if it were not there
        sections["use"] = use
    return {**sections, **{key: card[key] for key in ("family", "device") if key in card}}


def device_key(width: float, index: int) -> str:
    """Canonical text of one device: width to 12 significant digits, and its index at that width."""
    return f"{float(width):.12g}/{int(index)}"


def dumps(card: Mapping[str, Any]) -> str:
    """The card as TOML text; ``loads(dumps(card)) == card``."""
    lines = [f"{key} = {_toml(card[key])}" for key in ("title", "family") if key in card]
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
