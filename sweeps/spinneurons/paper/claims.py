"""All claims, in the paper's order: their texts and rules stand in ``claims.toml``."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from spinneurons.paper import device_findings, loop_findings, magnet_findings, network_findings
from spinneurons.paper.claim import Between, Claim, Covers

_MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (device_findings, network_findings, loop_findings, magnet_findings)
}


def _claim(
    find: str, rests_on: list[str], cubes: list[str], between: dict[str, float] | None = None,
    covers: float | None = None, **texts: Any,
) -> Claim:  # fmt: skip
    module, _, name = find.partition(":")
    rule = Between(**between) if between else Covers(covers) if covers is not None else None
    return Claim(
        find=getattr(_MODULES[module], name), rule=rule, rests_on=tuple(rests_on), cubes=tuple(cubes), **texts
    )


CLAIMS = tuple(
    _claim(**entry) for entry in tomllib.loads(files(__package__).joinpath("claims.toml").read_text("utf-8"))["claim"]
)
"""In the paper's order."""
