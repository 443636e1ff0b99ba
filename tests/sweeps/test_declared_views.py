"""Every installed sweep says what is drawn first while it runs, and has all that it names."""

from __future__ import annotations

import pytest

from spinsweep.discovery import find
from spinsweep.plugins import installed

FIRST = {
    "codesign": ("accuracy", "variation", "width", "last"),
    "hil": ("loss", "epoch", "mode", "mean"),
    "hil-replicates": ("accuracy", "variation", "mode", "mean"),
    "characterization": ("switched", "i_write", "width", "mean"),
}


@pytest.mark.parametrize("name", sorted(installed()))
def test_what_a_sweep_declares_is_drawn_as_it_is(name: str) -> None:
    sweep = find(name)
    drawn = sweep.dimensions().every(sweep.views)

    assert sweep.views
    assert drawn[: len(sweep.views)] == sweep.views
    if name in FIRST:
        first = drawn[0]
        assert (first.output, first.x, first.lines, first.inner) == FIRST[name]
