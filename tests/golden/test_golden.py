"""Whatever is rebuilt, the numbers that are kept come out again, and a bench goes on without a pulse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.golden import cases, record
from tests.golden.api import kind
from tests.golden.make import NAMES, empty_folder

FURTHER = 1e-12
"""Bound on another kind of processor of what has none of its own: further coordinates, which are computed from an
axis."""


@pytest.fixture(autouse=True)
def _own_places() -> Iterator[None]:
    with empty_folder():
        yield


def is_same(kept: Mapping[str, Any]) -> bool:
    """Whether this is the kind of processor that the values came from."""
    return bool(kept["processor"] == kind())


def demand_numbers(kept: Mapping[str, Any], found: Mapping[str, Any], bounds: Mapping[str, float]) -> None:
    """Fail with every difference between two sets of records that is beyond the bounds."""
    assert kept.keys() == found.keys()
    off = [f"{n}.{line}" for n in kept for line in record.differences(kept[n], found[n], bounds.get(n, 0.0))]
    assert not off, "\n".join(off)


def demand_cube(kept: Mapping[str, Any], found: Mapping[str, Any], bounds: Mapping[str, float]) -> None:
    """Fail where a cube says another thing of itself, or holds other numbers."""
    same = is_same(kept)
    axes = {part["name"] for n in ("axes", "dims") for part in kept["attributes"]["sweep_definition"][n]}
    further = kept["coordinates"].keys() - axes
    for one in (kept, found) if not same else ():
        digests = one["attributes"]["coordinates_sha256"]
        one["attributes"]["coordinates_sha256"] = {n: d for n, d in digests.items() if n not in further}
    assert found["attributes"] == kept["attributes"]
    assert found["arrays"] == kept["arrays"]
    demand_numbers(kept["coordinates"], found["coordinates"], {} if same else dict.fromkeys(further, FURTHER))
    demand_numbers(kept["outputs"], found["outputs"], {} if same else bounds)


@pytest.mark.parametrize("case", cases.SWEEPS)
def test_a_sweep_s_cells_and_what_its_cube_says_of_itself_are_those_that_were_kept(case: str) -> None:
    kept, found = record.read(case.replace(" ", "-")), NAMES[case]()
    for part in ("settings", "default_digest", "default_shape", "bounds"):
        assert found[part] == kept[part], part
    if not is_same(kept) and found.get("weights") != kept.get("weights"):
        # trained weights are those of the processor, which the cube says: its numbers are not compared
        for output in kept["outputs"]:
            parts = ("dtype", "shape")
            assert [found["outputs"][output][p] for p in parts] == [kept["outputs"][output][p] for p in parts]
        kept["outputs"], found["outputs"] = {}, {}
    else:
        assert found.get("weights") == kept.get("weights")
    demand_cube(kept, found, kept["bounds"])


def test_a_plane_of_the_co_design_has_the_spikes_that_were_kept_on_every_processor() -> None:
    demand_numbers(record.read("plane")["outputs"], NAMES["plane"]()["outputs"], {})


def test_an_imported_log_has_the_fits_and_gives_the_card_that_were_kept() -> None:
    kept, found = record.read("log"), NAMES["log"]()
    demand_cube(kept, found, kept["bounds"])
    if is_same(kept):
        assert found["card"] == kept["card"]
        return
    (there, numbers), (here, others) = (record.numbers_apart("\n".join(one["card"])) for one in (kept, found))
    assert here == there
    assert others == pytest.approx(numbers, rel=max(kept["bounds"].values()))


def test_what_is_measured_anew_has_the_addresses_that_were_kept() -> None:
    kept, found = record.read("bench"), NAMES["bench"]()
    assert found["pulses"] == kept["pulses"]
    assert found["state"] == kept["state"]
    there, here = (dict(map(cases.trains, one["journals"].values())) for one in (kept, found))
    assert here.keys() == there.keys()
    for key, trains in there.items():
        assert list(here[key]) == list(trains)  # in this order
        for name, train in trains.items():
            demand_train(train, here[key][name], is_same(kept))
    for name in cases.MEASURED:
        demand_numbers(kept["outputs"][name], found["outputs"][name], {} if is_same(kept) else kept["bounds"][name])


def demand_train(kept: Mapping[str, Any], found: Mapping[str, Any], same: bool) -> None:
    """Fail where a train is another; currents that follow from weights are theirs within their bound elsewhere."""
    if same:
        assert found == kept
        return
    there, here = dict(kept["plan"]), dict(found["plan"])
    for one, other in zip(there.pop("i_write"), here.pop("i_write"), strict=True):
        assert other == pytest.approx(one, rel=1e-9)
    assert here == there
    assert {**found, "plan": {}} == {**kept, "plan": {}}


@pytest.mark.parametrize("name", cases.MEASURED)
def test_a_measurement_that_was_kept_goes_on_and_fires_nothing(name: str) -> None:
    kept = record.read("bench")
    found = cases.gone_on(kept, name)
    assert found["pulses"] == 0
    for file, rows in kept["journals"].items():
        fresh = found["journals"].pop(file)
        assert fresh[: len(rows)] == rows
        assert [row["op"] for row in fresh[len(rows) :]] in ([], ["open"])
    assert not found["journals"]  # no other was begun
    demand_numbers(kept["outputs"][name], found["outputs"], {} if is_same(kept) else kept["bounds"][name])
