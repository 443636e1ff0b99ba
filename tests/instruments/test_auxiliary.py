"""Auxiliary instruments together: what a driver need not have, and what its columns have to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from auxiliaries import KEPCO, LAKESHORE, THERMOMETER, parsed

from spinsweep.bench import auxiliary
from spinsweep.bench.errors import BenchError, ConnectionLost, InstrumentFault


class Plain:
    """A driver from before there were further methods."""

    def safe(self) -> None: ...

    def start(self) -> None: ...


class Measuring(Plain):
    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = values

    def measured(self) -> Mapping[str, float]:
        return self.values


def test_a_driver_without_further_methods_is_as_it_should_be_and_records_nothing(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"other": Plain()}
    auxiliary.verify(plain)
    auxiliary.make_safe(plain)
    assert auxiliary.measured({}, plain) == {}
    assert auxiliary.columns(parsed(tmp_path, THERMOMETER).auxiliary) == {
        "temperature_cryostat": ("cryostat", "temperature", "K")
    }


@pytest.mark.parametrize("values", [{}, {"pressure": 1.0}, {"temperature": float("nan")}])
def test_a_driver_that_measures_something_else_than_its_columns_is_a_fault(
    tmp_path: Path, values: dict[str, float]
) -> None:
    sections = parsed(tmp_path, THERMOMETER).auxiliary
    with pytest.raises(InstrumentFault, match=r"auxiliary\.cryostat: its driver measured .* columns are temperature"):
        auxiliary.measured(sections, {"cryostat": Measuring(values)})


def test_each_is_made_safe_also_when_one_before_is_not(tmp_path: Path) -> None:
    order: list[str] = []

    class Failing(Plain):
        def __init__(self, name: str, error: BenchError | None = None) -> None:
            self.name, self.error = name, error

        def safe(self) -> None:
            order.append(self.name)
            if self.error is not None:
                raise self.error

    one, two = ConnectionLost("one"), InstrumentFault("two")
    instruments: dict[str, Any] = {"a": Failing("a", one), "b": Failing("b", two), "c": Failing("c")}
    with pytest.raises(ConnectionLost, match="one"):
        auxiliary.make_safe(instruments)
    assert order == ["a", "b", "c"]


def test_fields_that_would_take_too_long_one_after_the_other_are_refused(tmp_path: Path) -> None:
    second = KEPCO.replace("auxiliary.magnet", "auxiliary.magnet2").replace("TCPIP3", "TCPIP6")
    slow = {"ramp": 0.0025, "safe_ramp": 0.0008}  # 8 s and 1 s up, 37.5 s down
    parsed(tmp_path, LAKESHORE, magnet=slow)
    with pytest.raises(BenchError, match=r"auxiliary: from max_current to 0 A takes 75 s, longer than 60 s; give a"):
        parsed(tmp_path, LAKESHORE + second, magnet=slow, magnet2=slow)
