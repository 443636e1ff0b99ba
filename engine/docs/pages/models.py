"""The reference of files that users write, from the models that read them: keys, allowed values, units, defaults."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.pycode import ModuleAnalyzer

from pages.text import code, plain, table
from spinneurons.neurons.card import Entry, Unit, allowed_values
from spinneurons.neurons.registry import find
from spinsweep.bench import drivers
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.capabilities import AUXILIARY, METER, SOURCE, SWITCH
from spinsweep.deployment.cluster_file import KINDS
from spinsweep.plugins import installed

HEAD = ("key", "value", "default", "meaning")
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}


def cards() -> str:
    """The page of device cards: the sections of each installed family of neurons."""
    parts = [
        "# Device card\n",
        "A card is a file in TOML. Its first lines are `title` and, for other devices than Hall bars, `family`. Each "
        "other key is in a section and has four parts: `value`, `unit`, `provenance` (paper, derived, literature, "
        "assumed or measured) and `source`, one line that says where the value comes from. "
        "[CARD.md](../../../sweeps/spinneurons/neurons/CARD.md) explains cards and how to make one.\n",
    ]
    for name in installed("spinsweep.neurons"):
        schema = find(name).schema
        parts.append(f'## {name}\n\n`family = "{name}"`\n\n{documentation(schema)}\n')
        parts += [section(f"### \\[{key}\\]", model, optional) for key, model, optional in card_sections(schema)]
    return "\n".join(parts)


def bench_file() -> str:
    """The page of bench files: the whole file, then the section of each installed driver."""
    parts = [
        "# Bench file\n",
        "A bench file is TOML. [BENCH.md](../../BENCH.md) explains it and says what is guaranteed. Currents are in "
        "A, voltages in V, times in s.\n",
        section("## The file", Bench),
    ]
    for model in nested(Bench):
        parts.append(section(f"## {title(model)}", model))
    for name in installed(drivers.GROUP):
        driver = drivers.driver(name)
        roles = [role for role in (SOURCE, METER, SWITCH, AUXILIARY) if role in driver.roles]
        by_section: dict[Any, list[str]] = {}
        for role in roles:
            by_section.setdefault(drivers.section_of(role, driver), []).append(role)
        for model, played in by_section.items():
            named = f" as {' or '.join(played)}" if len(by_section) > 1 else ""
            heading = f'## driver = "{name}"{named}'
            parts.append(section(heading, model, note=f"Plays the role {' or '.join(played)}."))
    return "\n".join(parts)


def cluster_file() -> str:
    """The page of cluster files: each kind of deployment."""
    parts = [
        "# Cluster file\n",
        "A cluster file is TOML or YAML. Its key `kind` says which of these it is. "
        "[Where the workers come from](../../../cluster/README.md) explains each. Paths are relative to the file.\n",
    ]
    for model in dict.fromkeys(KINDS.values()):
        kinds = ", ".join(kind for kind, other in KINDS.items() if other is model)
        parts.append(section(f"## {kinds}", model))
    return "\n".join(parts)


def section(heading: str, model: type[BaseModel], optional: bool = False, note: str = "") -> str:  # noqa: FBT001
    """One section: what it is about, and its keys."""
    notes = [note, "The section may be left out." if optional else ""]
    text = "\n\n".join(part for part in (documentation(model), *notes) if part)
    return f"{heading}\n\n{text}\n\n{table(HEAD, rows(model))}"


def rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Of each key: its name, the values that it takes, its default, and what it means."""
    schema = model.model_json_schema()
    meanings = attribute_docs(model)
    for name, field in model.model_fields.items():
        entry = entry_of(field)
        if entry is not None:
            value = allowed_values(entry.model_fields["value"])
            unit = next(m.text for m in field.metadata if isinstance(m, Unit))
            value += "" if unit == "1" else f", {unit}"
        else:
            value = words(schema["properties"][name], schema)
        yield code(name), value, _default(field), plain(meanings.get(name, "")).replace(":data:", "")


def entry_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a card's entry, where the field is one."""
    kind = field.annotation
    return kind if inspect.isclass(kind) and issubclass(kind, Entry) else None


def documentation(model: type[BaseModel]) -> str:
    """What a model says of itself."""
    return plain(inspect.cleandoc(model.__doc__ or ""))


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field in the source of the model and of what it inherits from."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel and base.__module__ != "pydantic.main":
            texts = ModuleAnalyzer.for_module(base.__module__).find_attr_docs()
            docs |= {
                name: " ".join(lines).strip() for (owner, name), lines in texts.items() if owner == base.__name__
            }
    return docs


def words(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows, in words."""
    if "$ref" in schema:
        name = spaced(whole["$defs"][schema["$ref"].rpartition("/")[2]]["title"])
        if name.endswith(" section"):
            return "the section of an installed driver, below"
        return f"[{name}](#{name.replace(' ', '-')})"
    if "anyOf" in schema:
        return " or ".join(words(one, whole) for one in schema["anyOf"] if one != {"type": "null"})
    if "enum" in schema:
        return " or ".join(code(json.dumps(value)) for value in schema["enum"])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    limits = ", ".join(text.format(_number(schema[key])) for key, text in LIMITS.items() if key in schema)
    match schema.get("type"):
        case "integer":
            return f"a whole number{limits and ', '}{limits}"
        case "number":
            return f"a number{limits and ', '}{limits}"
        case "boolean":
            return "true or false"
        case "array":
            item = words(schema["items"], whole) if "items" in schema else "values"
            return f"a list: each {item}" + (", at least one" if schema.get("minItems") else "")
        case "object":
            inner: Any = schema.get("additionalProperties") or next(
                iter(schema.get("patternProperties", {}).values()), {}
            )
            return f"a table: each {words(inner, whole)}" if isinstance(inner, dict) and inner else "a table"
        case "string" if schema.get("format") == "path":
            return "a path"
        case "string":
            example = f", such as {code(json.dumps(schema['examples'][0]))}" if schema.get("examples") else ""
            return f"text{example}"
        case _:
            return "any"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def nested(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The models of sections within sections, in the order in which they come first; not those of instruments."""
    models: dict[type[BaseModel], None] = {}
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            if not issubclass(inner, Entry) and not hasattr(inner, "reading_keys"):
                models |= dict.fromkeys([inner, *nested(inner)])
    return list(models)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _models_in(inner)


def card_sections(schema: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel], bool]]:
    for name, field in schema.model_fields.items():
        for model in _models_in(field.annotation):
            yield (f"\\[{name}\\]" if name == "device" else name), model, not field.is_required()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None:
        return "see there" if field.default_factory not in (dict, list) else "none"
    value = field.default
    if isinstance(value, BaseModel):
        return "that of each key"
    if value is None or value in ((), "") or value == {}:
        return "none"
    return code(json.dumps(value, default=str))


def title(model: type[BaseModel]) -> str:
    """A heading for a model: its name in words."""
    words_ = spaced(model.__name__)
    return words_[0].upper() + words_[1:]


def spaced(name: str) -> str:
    """``DeviceLimits`` as ``device limits``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
