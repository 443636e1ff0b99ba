"""All claims, in the paper's order: their texts and rules stand in ``claims.toml``."""

from __future__ import annotations

import tomllib
from functools import partial
from pkgutil import resolve_name
from typing import Any

from spinneurons.paper.claim import Between, Claim, Covers
from spinneurons.paper.texts import CAPS, packaged


def _claim(
    find: str, rests_on: list[str], cubes: list[str], arguments: dict[str, Any] | None = None,
    between: dict[str, float] | None = None, covers: float | None = None, ceiling_reason: str = "", **texts: Any,
) -> Claim:  # fmt: skip
    finds = partial(resolve_name(f"{__package__}.{find}"), **(arguments or {}))
    rule = Between(**between) if between else Covers(covers) if covers is not None else None
    texts["ceiling_reason"] = ceiling_reason or next((CAPS[name] for name in rests_on if name in CAPS), "")
    return Claim(find=finds, rule=rule, rests_on=tuple(rests_on), cubes=tuple(cubes), **texts)


CLAIMS = tuple(_claim(**entry) for entry in tomllib.loads(packaged("claims.toml"))["claim"])
"""In the paper's order."""
