"""Outputs of fits, which the experiments have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from spinneurons.neurons.fit import ROUNDING
from spinsweep.outputs import Output

_QUANTITIES = {"i_bias": "bias current", "i0": "scale current", "window": "stochastic window, 0.01 % to 99.9 %"}
_KINDS = {"": "", "_stderr": ", standard error", "_low": ", 2.5 % bound", "_high": ", 97.5 % bound"}

rounded = partial(Output, tolerance=ROUNDING)
"""An output that another kind of processor may round otherwise."""


def named(name: str, end: str) -> str:
    """The name of a number of the curve whose names have that ``end``: ``i_bias_cloglog_stderr``."""
    stem, stderr, _ = name.partition("_stderr")
    return f"{stem}{end}{stderr}"


def fitted(names: Sequence[str], end: str = "", law: str = "", tolerance: float = ROUNDING) -> tuple[Output, ...]:
    """Numbers of a fitted switching curve, by name; those of one ``law`` among others have an ``end``."""
    of = f", {law}" if law else ""
    outputs = {"deviance": rounded(f"deviance{end}", long_name=f"deviance of the fit{of}")}
    for stem, quantity in _QUANTITIES.items():
        for kind, text in _KINDS.items():
            name, long_name = stem + kind, quantity + of + text
            outputs[name] = Output(named(name, end), unit="A", long_name=long_name, tolerance=tolerance)
    return tuple(outputs[name] for name in names)
