"""What a function is as code: digests of its parts by name, one digest of all, and how two of them differ."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from spinsweep.identity.owner import is_released

ROOT = "function"
"""Name of the part that is the function itself."""


@dataclass(frozen=True)
class Identity:
    """What a function is, as code."""

    parts: Mapping[str, str]
    """Digest of each function, class and value, by ``module:name``; a package's version, by its name."""
    packages: frozenset[str] = frozenset()
    """Which of the parts are packages."""
    by_value: frozenset[str] = frozenset()
    """Modules whose functions travel to workers with the sweep, where others are imported."""
    content_packages: frozenset[str] = frozenset()
    """Top-level packages that count by content."""
    named: frozenset[str] = frozenset()
    """Global names that the code uses, as ``module:name``."""
    notes: tuple[str, ...] = ()
    """What could not be looked into, in words."""

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the parts, in hexadecimal; of the engine's own dependencies the versions do not count."""
        counting = {n: d for n, d in self.parts.items() if n not in self.packages or not is_released(n)}
        return hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """In words, what differs between the parts of two identities."""
    texts = []
    for name in sorted({*theirs, *ours}, key=lambda n: (":" not in n, n)):
        old, new = theirs.get(name, ""), ours.get(name, "")
        if old == new:
            continue
        if not old or not new:
            texts.append(f"{in_words(name)} is {'used' if old else 'not'} there, {'used' if new else 'not'} here")
        elif name == ROOT or ":" not in name:
            texts.append(f"{name} {old.replace(':', '.')} there, {new.replace(':', '.')} here")
        elif old.startswith("= ") and new.startswith("= "):
            texts.append(f"{in_words(name)} is {old[2:]} there, {new[2:]} here")
        else:
            texts.append(f"{in_words(name)} changed")
    return texts


def in_words(name: str) -> str:
    """A part's name in words: ``closure gain of mine.walk``."""
    whole, comma, part = name.replace(":", ".").partition(", ")
    return f"{part} of {whole}" if comma else whole
