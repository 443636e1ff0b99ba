"""`make bench-peers`: each comparison's code that needs no peer, its statistics, and what the README quotes."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bench import scale, trivial
from tests.bench.peers import __main__ as command
from tests.bench.peers import child, engine, figure, lane, macrospin, network, quoted, reading, report, start
from tests.bench.peers.turns import Comparison, LeftOut, Row, Table, Way, ratios, take_turns
from tests.peers.compare import PROGRAMS

times = st.floats(1e-6, 1e6)


def silent(_: str) -> None:
    pass


def table(*ways: Way, turns: int = 0) -> Table:
    return Table("a table", ways, ("s",), turns=turns)


@given(st.lists(st.tuples(times, times, st.floats(0.01, 100)), min_size=1, max_size=9))
def test_a_machine_that_is_slower_in_some_rounds_changes_no_ratio(rounds: list[tuple[float, float, float]]) -> None:
    base, other, slow_base, slow_other = (Row(Way(name, dict)) for name in "abcd")
    for a, b, slower in rounds:
        base.turns.append({"s": a})
        other.turns.append({"s": b})
        slow_base.turns.append({"s": a * slower})
        slow_other.turns.append({"s": b * slower})

    plain, slow = ratios(other, base, "s"), ratios(slow_other, slow_base, "s")

    assert plain is not None
    assert slow is not None
    for one, two in zip((plain.median, plain.least, plain.most), (slow.median, slow.least, slow.most), strict=True):
        assert math.isclose(one, two, rel_tol=1e-9)
    assert plain.least <= plain.median <= plain.most


def test_each_way_is_measured_once_in_each_round_and_another_one_begins_each() -> None:
    order: list[str] = []

    def way(name: str) -> Way:
        return Way(name, lambda: order.append(name) or {"s": 1.0})  # type: ignore[func-returns-value]

    rows = take_turns(table(way("a"), way("b"), way("c")), 3, silent)

    assert "".join(order) == "abcbcacab"
    assert [len(row.turns) for row in rows] == [3, 3, 3]


def test_what_cannot_be_measured_is_left_out_with_its_reason_and_the_others_stay() -> None:
    def fails() -> dict[str, float]:
        raise LeftOut("it asks for another planet")

    ways = (
        Way("here", lambda: {"s": 2.0}),
        Way("not installed", lambda: {"s": 1.0}, ("a-package-of-nobody",)),
        Way("never", lambda: {"s": 1.0}, cannot="a million files"),
        Way("fails", fails),
    )
    rows = take_turns(table(*ways), 2, silent)
    data = {**report.described(2, True), "tables": [report.table_as_data("a", table(*ways), rows)]}
    page = report.markdown(data)

    assert [row.left_out for row in rows] == [
        "",
        "a-package-of-nobody not installed",
        "a million files",
        "it asks for another planet",
    ]
    assert "| here | 1 | 2 |  |" in page
    for row in rows[1:]:
        assert f"| {row.way.name} |  |  | left out: {row.left_out} |" in page


def test_a_wrong_result_ends_it_all() -> None:
    def wrong() -> dict[str, float]:
        raise AssertionError("the cube holds another number")

    with pytest.raises(AssertionError, match="another number"):
        take_turns(table(Way("wrong", wrong)), 1, silent)
    with pytest.raises(AssertionError, match="nan"):
        take_turns(table(Way("nan", lambda: {"s": math.nan})), 1, silent)


@pytest.mark.parametrize("module", [network, macrospin, lane, start], ids=lambda module: module.__name__[-9:])
def test_the_ways_of_a_comparison_that_need_no_peer_come_to_the_same_result(module: object) -> None:
    comparison: Comparison = module.tables  # type: ignore[attr-defined]
    longest = ("spinsweep, through the Dask lane", "spinsweep.run in a script, serial")
    with comparison(True) as tables:
        for each in tables:
            ways = [way for way in each.ways if not way.uses and way.name not in longest]
            rows = take_turns(Table(each.title, ways, each.columns), 1, silent)

            assert len(rows) >= 1
            for row in rows:
                assert row.left_out == ""
                assert set(row.turns[0]) == set(each.columns)
                assert row.turns[0][each.columns[0]] > 0


PROCESSES = "spinsweep.run, processes"
OTHERS = [name for name, tool in engine.TOOLS.items() if not tool.uses and name != PROCESSES]
TOOLS = [PROCESSES, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_sweep_of_the_engine_is_checked_number_by_number(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(engine.PAUSE, "0.001")

    found = engine.once(tool, [2, 2, 5], str(tmp_path), pause=0, slow=engine.TOOLS[tool].slow_too, warm=False)

    assert found["files"] == sum(path.is_file() for path in tmp_path.rglob("*"))
    assert found["driver MB"] > 10
    assert found["s"] > 0


def test_a_cube_with_one_wrong_number_is_refused() -> None:
    grid = engine.SMALLEST
    ds = grid.dataset([trivial.value(*point) for point in grid.points()])
    grid.check(ds)
    ds["y"][1, 0, 3, 7] += 1

    with pytest.raises(AssertionError, match="Mismatched elements: 1 "):
        grid.check(ds)


@pytest.mark.slow
@pytest.mark.faults
def test_what_a_kill_costs_the_engine_is_counted_by_files() -> None:
    grid = engine.Grid(5, 4, 10)

    found = engine.killed("spinsweep.run, processes", grid, 0.02)

    assert found["ended before"] >= grid.cells // 2
    assert found["missing at the end"] == 0
    assert found["lost"] <= found["computed again"] < grid.cells


def test_cells_are_counted_by_what_they_left(tmp_path: Path) -> None:
    for name in ("began.a.1", "ended.a.1", "began.a.2", "began.b_0.5_7.3"):
        (tmp_path / name).touch()

    found = engine._counted(tmp_path)

    assert found == {"began": {"a": 2, "b_0.5_7": 1}, "ended": {"a": 1}}


def test_the_mean_over_the_seeds_is_the_same_from_each_store(tmp_path: Path) -> None:
    shape = (3, 2, 30)
    for place, size in ((tmp_path / "small", reading.SMALL), (tmp_path, shape)):
        place.mkdir(exist_ok=True)
        for file in ("cube.zarr", "y.csv"):
            reading.MAKERS[file](place, size)

    for reader, file in (
        ("spinsweep.open_cube", "cube.zarr"),
        ("xarray.open_zarr of the cube", "cube.zarr"),
        ("CSV, pandas", "y.csv"),
    ):
        found = reading.read(reader, str(tmp_path / file), shape, str(tmp_path / "small" / file))
        assert found["s"] > 0
        assert found["peak MB"] >= found["MB more"]
    with pytest.raises(AssertionError):
        reading.read("CSV, pandas", str(tmp_path / "y.csv"), (3, 2, 29), str(tmp_path / "small/y.csv"))


def test_a_cube_is_read_in_each_way_whose_memory_is_measured(tmp_path: Path) -> None:
    reading.MAKERS["cube.zarr"](tmp_path, (3, 2, 30))

    for name in scale.READS:
        assert scale.read(name, str(tmp_path / "cube.zarr"), (3, 2, 30))["MB"] > 10
    with pytest.raises(AssertionError):
        scale.read("opened", str(tmp_path / "cube.zarr"), (3, 2, 31))


def test_ensembles_of_another_mean_are_told_from_each_other() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 1, (3, 4000)), rng.normal(0, 1, (3, 1000))

    macrospin.same_mean(one, two)

    with pytest.raises(AssertionError, match="means differ"):
        macrospin.same_mean(one, two + np.array([[0], [0.3], [0]]))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_of_the_documentation_become_sweeps_of_one_cell(name: str) -> None:
    changed = start.one_cell(PROGRAMS[name])

    compile(changed, name, "exec")
    assert re.search(r"^ +print\(float\(.*\.mean\(\)\)\)$", changed, re.M)
    assert "plot" not in changed
    with pytest.raises(ValueError, match="is not in the program"):
        start.one_cell(changed)


def test_a_child_gives_its_numbers_and_says_what_went_wrong() -> None:
    module = "tests.bench.peers.reading"

    with pytest.raises(RuntimeError, match="KeyError: 'of nobody'"):
        child.run(module, "make", file="of nobody", folder="", shape=[1, 1, 1])


def test_an_unknown_comparison_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["--only", "a,z"], ["--rounds", "0"]):
        with pytest.raises(SystemExit) as ended:
            command.main([*words, "--out", str(tmp_path / "report")])
        assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "there is no comparison z: choose from a (engine)" in said
    assert "0 is no number of rounds" in said
    assert not (tmp_path / "report").exists()


def example(load: float) -> dict[str, object]:
    """A report of two tables, one with nothing to draw."""
    values = {"spinsweep": [1.0, 2.0], "plain torch loop": [80.0, 170.0], "snnTorch": [100.0, 200.0]}
    ways = [Way(name, iter([{"s": v} for v in found]).__next__) for name, found in values.items()]
    tables = [Table("the network, of an example", ways, ("s",)), table(Way("alone", lambda: {"s": 1.0}))]
    data = [report.table_as_data("b", each, take_turns(each, 2, silent)) for each in tables]
    return {**report.described(2, False), "load": {"b": load, "c": 2.0}, "cores": 2, "tables": data}


def test_the_quote_is_of_the_ratios_and_says_whether_the_machine_was_busy(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{quoted.BEGIN}\nold\n{quoted.END}\n\nafter\n")

    quoted.renew(example(0.2), readme)
    quiet = readme.read_text()
    quoted.renew(example(9.0), readme)

    assert "82.5 times in a plain PyTorch loop, 100 times in snnTorch" in " ".join(quiet.split())
    assert "busy" not in quiet
    assert "on a busy machine" in " ".join(readme.read_text().split())
    assert readme.read_text().startswith("before\n")
    assert readme.read_text().endswith("after\n")
    assert "old" not in quiet
    readme.write_text("no place")
    with pytest.raises(ValueError, match="needs one"):
        quoted.renew(example(0.2), readme)


def test_a_machine_is_busy_that_others_use_before_any_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "SAMPLE", 0.05)
    data = report.described(1, True)

    report.note_others(data, "a")
    report.note_others(data, "b")

    assert data["load"].keys() == data["others"].keys() == {"a", "b"}
    assert all(0 <= used <= data["cores"] for used in data["others"].values())
    quiet = {"cores": 2, "load": {"a": 0.3, "b": 2.1}, "others": {"a": 0.1, "b": 0.2}}
    assert report.is_quiet(quiet), "the load before (b) is our own"
    assert not report.is_quiet({**quiet, "load": {"a": 1.5}})
    assert not report.is_quiet({**quiet, "others": {"a": 0.1, "b": 1.0}})


def test_the_report_is_written_and_drawn_again_from_its_numbers(tmp_path: Path) -> None:
    data = example(0.2)
    report.write(data, tmp_path)
    drawn = figure.draw(json.loads((tmp_path / "peers.json").read_text()), tmp_path)

    assert drawn.stat().st_size > 5000
    assert (tmp_path / "peers.md").read_text() == report.markdown(data)
    assert "| snnTorch | 100 | 150 (100 to 200) |" in (tmp_path / "peers.md").read_text()


def test_what_the_readme_quotes_stands_in_the_numbers() -> None:
    readme = quoted.README.read_text()
    said = readme[readme.index(quoted.BEGIN) + len(quoted.BEGIN) : readme.index(quoted.END)].strip()
    numbers = report.RESULTS / "peers.json"
    if not numbers.exists():
        assert said == ""
        return
    data = json.loads(numbers.read_text())

    assert said == quoted.quote(data)
    assert (report.RESULTS / "peers.md").read_text() == report.markdown(data)
    assert {each["comparison"] for each in data["tables"]} == set(command.COMPARISONS)
    assert not data["smallest"]
