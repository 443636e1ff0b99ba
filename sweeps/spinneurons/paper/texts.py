"""What a report says beside its numbers, in ``texts.toml``; and the package's other files of data."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any, NamedTuple


class Convention(NamedTuple):
    """A place where the paper's text contradicts itself or leaves something open."""

    where: str
    text: str
    """What the paper says, in our words."""
    chosen: str
    """What is done here, and where it is set."""


def packaged(name: str) -> str:
    """The text of a file of this package."""
    return files(__package__).joinpath(name).read_text("utf-8")


_TEXTS: dict[str, Any] = tomllib.loads(packaged("texts.toml"))
TITLE: str = _TEXTS["title"]
INTRODUCTION: tuple[str, ...] = tuple(_TEXTS["introduction"])
CAPS: dict[str, str] = _TEXTS["caps"]
"""Why a claim that rests on an assumption is consistent at best, by the name of the assumption."""
ASSUMPTIONS: dict[str, str] = _TEXTS["assumptions"]
"""What our numbers rest on, in a sentence, by a short name."""
CONVENTIONS = tuple(Convention(**entry) for entry in _TEXTS["conventions"])
