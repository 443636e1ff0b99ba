"""The benchmark runs, and its numbers hang together."""

from __future__ import annotations

import pytest
from tests.bench import codesign as bench

from spinneurons.codesign.network import Network


@pytest.mark.slow
def test_the_benchmark_prints_ratios_and_peaks(trained: Network, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench.main(["--images", "24", "--rounds", "1", "--epochs", "1"])
    printed = capsys.readouterr().out
    assert "times the loop's speed" in printed
    assert "int8" in printed
    for one in found:
        assert one.cells == 54
        assert one.ratio == pytest.approx(one.loop[0] * 54 / one.plane[0])
        assert 0 < one.alone[0] < one.plane[0] * 2
