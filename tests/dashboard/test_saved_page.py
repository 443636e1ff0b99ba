"""A cube's page: one file that shows all that it should, runs nothing, fetches nothing and replaces nothing else."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from browser import complaints
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from selenium.webdriver import Chrome

from spinsweep import Axis, Cell, Dim, Output, Parameter, Sweep, View, per_cell, run
from spinsweep.analysis.curves import curves
from spinsweep.analysis.view_figure import view_figure
from spinsweep.cli import main
from spinsweep.cube import Cube, run_group, write_group
from spinsweep.errors import SpecError
from spinsweep.failure_groups import failure_groups, failure_lines
from spinsweep.ledger import State
from spinsweep.pace import MOST_RATES
from spinsweep.saved_page.contents import PageContents, Variable
from spinsweep.saved_page.curves import MAX_FIGURES, PageFigure, pictures
from spinsweep.saved_page.effort import Effort
from spinsweep.saved_page.file import page_path, require_ours
from spinsweep.saved_page.html import page, shown_command
from spinsweep.saved_page.kept_rates import attributes, kept_rates
from spinsweep.saved_page.maps import STACK, state_map
from spinsweep.saved_page.writing import save_page
from spinsweep.views import MAX_LINES

NOW = datetime.datetime(2026, 12, 1, 4, 30, tzinfo=datetime.UTC)


@per_cell
def trial(cell: Cell) -> dict[str, object]:
    """Fails at one seed, with markup in its message, and at another with a message of its own each time."""
    if cell["seed"] == 1 and cell["bias"] > 0.2:
        raise ArithmeticError("<script>alert('no')</script> & number")
    if cell["seed"] == 2 and cell["bias"] > 0.3:
        raise ValueError(f"no fit at {cell['bias']}")
    return {"gain": cell["bias"] * (1 + cell["seed"]), "trace": np.arange(3.0) * cell["bias"]}


TRIAL = Sweep(
    name="trial",
    title='Gain of a <device> & its "bias"',
    axes=(Axis("bias", (0.1, 0.2, 0.3, 0.4, 0.5), "V", "bias <voltage>"), Axis("seed", tuple(range(4)))),
    dims=(Dim("time", 3),),
    outputs=(Output("gain", unit="V", long_name="gain"), Output("trace", ("time",), unit="V")),
    parameters=(Parameter("note", "<img src=x onerror=alert(1)>"),),
    function=trial,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube of two runs, of which a part failed, with a figure beside it, and its page."""
    folder = tmp_path_factory.mktemp("trial")
    run(
        dataclasses.replace(TRIAL, axes=(TRIAL.axes[0], Axis("seed", (0, 1)))),
        folder / "trial.zarr",
        on_failure="keep",
    )
    run(TRIAL, folder / "trial.zarr", on_failure="keep")
    (folder / "trial-figures").mkdir()
    (folder / "trial-figures" / "gain & more.svg").write_text("<svg/>")
    assert main(["page", str(folder / "trial.zarr")]) == 0
    return folder


class Read(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words = ""
        self._hidden = False
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._hidden = tag == "style"
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False
        self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += "" if self._hidden else data

    @property
    def images(self) -> list[str]:
        return [value for tag, name, value in self.attributes if (tag, name) == ("img", "src")]

    @property
    def links(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "href"]


TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "header",
        "footer",
        "section",
        "div",
        "span",
        "p",
        "b",
    ),
    *("br", "i", "h1", "h2", "h3", "svg", "g", "path", "polygon", "polyline", "figure", "img", "figcaption", "table"),
    *("thead", "tbody", "tr", "th", "td", "code", "dl", "dt", "dd", "ul", "li", "a"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "style", "viewbox", "preserveaspectratio"),
    *("aria-hidden", "d", "points", "alt", "src", "href", "data-head", "id", "data-run", "data-rates"),
}


def harmless(read: Read) -> bool:
    """No script, no handler, and nothing that is fetched."""
    return (
        set(read.tags) <= TAGS
        and {name for _, name, _ in read.attributes} <= ATTRIBUTES
        and all(source.startswith("data:image/") for source in read.images)
        and not any(":" in link.partition("/")[0] for link in read.links)
    )


def test_a_page_says_what_ran_what_failed_and_what_computes_it_again(folder: Path) -> None:
    read = Read((folder / "trial.html").read_text())
    assert harmless(read)
    assert 'Gain of a <device> & its "bias"' in read.words
    assert "15 of 20 cells done" in read.words
    assert "5 cells failed, with 3 errors" in read.words
    assert "ArithmeticError: <script>alert('no')</script> & number" in read.words
    assert "<img src=x onerror=alert(1)>" in read.words, "a parameter"
    assert "2 runs" in read.words
    assert "Code, packages, processor and machine are the same." in read.words
    assert len(read.images) == 2, "an output each"
    assert read.links == ["#failures", "trial-figures/gain%20%26%20more.svg"]
    commands = re.findall(r"spinsweep cell \S+ bias=\S+ seed=\d", read.words)
    assert [c.partition(".zarr ")[2] for c in commands] == ["bias=0.3 seed=1", "bias=0.4 seed=2", "bias=0.5 seed=2"]
    assert "numpy" in read.words
    assert Cube(folder / "trial.zarr").attributes.digest in read.words


def test_the_command_of_a_failure_computes_that_cell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = Read((folder / "trial.html").read_text())
    command = re.search(r"spinsweep (cell \S+ bias=\S+ seed=\d)", read.words)
    assert command is not None
    main([*shlex.split(command[1]), "--sweep", f"{__file__}:TRIAL"])
    said = "".join(capsys.readouterr())
    assert "ArithmeticError" in said


def test_failures_are_grouped_as_they_are_listed_one_by_one(folder: Path) -> None:
    cube = Cube(folder / "trial.zarr")
    listed = list(cube.failures())
    found = failure_groups(cube)
    assert {g.error: g.cells for g in found.groups} == Counter(f"{f.error.type}: {f.error.message}" for f in listed)
    for group in found.groups:
        first = next(f for f in listed if f"{f.error.type}: {f.error.message}" == group.error)
        assert group.first == first.json_coords
    assert found.unread == 0


def test_lines_for_a_terminal_count_every_failed_cell(folder: Path) -> None:
    grouped = failure_groups(Cube(folder / "trial.zarr"))
    lines = list(failure_lines(grouped.groups, 1))
    assert lines == [
        "failed  3 x ArithmeticError: <script>alert('no')</script> & number  (first: bias=0.3 seed=1)",
        "failed  2 with 2 other messages",
    ]
    assert list(failure_lines(grouped.groups[:1], 1, 5))[1:] == ["failed  5 with other messages"]
    assert len(list(failure_lines(grouped.groups, 3))) == 3


def test_too_many_different_errors_are_counted_and_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spinsweep.failure_groups.MAX_ERRORS", 1)
    cube = Cube(folder / "trial.zarr")
    found = failure_groups(cube)
    assert [g.cells for g in found.groups] == [3]
    assert found.unread == 2
    read = Read(page(PageContents.of(cube, NOW), [], [], "1"))
    assert "5 cells failed, with 1 error" in read.words
    assert "The errors of 2 more cells were not read" in read.words


@pytest.fixture(scope="module")
def contents(folder: Path) -> PageContents:
    return PageContents.of(Cube(folder / "trial.zarr"), NOW)


@given(text=st.text(st.characters(codec="utf-8"), max_size=40), data=st.data())
def test_no_text_of_a_cube_becomes_markup(text: str, data: st.DataObject, contents: PageContents) -> None:
    tail = data.draw(st.sampled_from(["<script>", '"><b onclick="', "</style>", "&lt;", "javascript:"]))
    text += tail
    last = contents.runs[-1]
    assert last.record is not None
    machine = dataclasses.replace(last.record.machine, host=text)
    record = dataclasses.replace(last.record, command=text, processor=text, outcome=text, start=text, machine=machine)
    groups = tuple(dataclasses.replace(g, error=text) for g in contents.failures.groups)
    named = Variable(text, text, text, values=(text,) * 5)
    changed = dataclasses.replace(
        contents,
        store=text.replace("\0", ""),  # which no path has
        title=text,
        sweep=text,
        origin=text,
        created=text,
        axes=(named, contents.axes[1]),
        outputs=(named,),
        parameters={text: text},
        failures=dataclasses.replace(contents.failures, groups=groups),
        runs=(contents.runs[0], dataclasses.replace(last, record=record)),
    )
    read = Read(page(changed, [PageFigure(text, "data:image/svg+xml;base64,", text), PageFigure(text)], [text], text))
    assert harmless(read)


shapes = array_shapes(max_dims=4, max_side=12)


@given(st.data())
def test_each_bin_of_the_map_is_filled_by_the_states_of_its_cells(data: st.DataObject) -> None:
    states = data.draw(arrays(np.uint8, data.draw(shapes), elements=st.integers(0, len(State) - 1)))
    axes = [Variable(f"a{i}", "", "1", tuple(range(n))) for i, n in enumerate(states.shape)]
    drawn = state_map(states, axes)
    filled: Counter[tuple[int, int]] = Counter()
    for state in STACK:
        path = re.search(rf'<path class="{state.name.lower()}" d="([^"]*)"', drawn.svg)
        assert (path is not None) == bool((states == state).any())
        for column, bottom, height in re.findall(r"M(\S+) (\S+?)v-(\S+?)h1", path[1] if path else ""):
            assert float(height) > 0
            filled[int(column), int(np.floor(float(bottom) - float(height) / 2))] += round(1e6 * float(height))
    columns, rows = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn.svg).groups())  # type: ignore[union-attr]
    assert len(filled) <= columns * rows
    assert all(abs(height - 1e6) < 2e3 for height in filled.values()), "whole, and none beyond its bin"
    if not (states == State.UNWANTED).any():
        assert len(filled) == columns * rows


def test_a_page_is_renewed_and_nothing_else_is_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, own = str(folder / "trial.zarr"), tmp_path / "own.html"
    assert main(["page", store, "--output", str(own)]) == 0
    own.write_text(own.read_text().replace("</main>", "old</main>"))
    assert main(["page", store, "--output", str(own)]) == 0
    assert "old</main>" not in own.read_text()
    capsys.readouterr()
    other, another = tmp_path / "notes.html", tmp_path / "another.html"
    other.write_text("<p>my notes</p>")
    another.write_text(own.read_text().replace('content="trial.zarr"', 'content="other.zarr"'))
    for path, why in ((other, "is no page of a cube"), (another, "page of another cube"), (tmp_path, "is no file")):
        before = path.read_bytes() if path.is_file() else b""
        assert main(["page", store, "--output", str(path)]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert said.count("\n") == 1
        assert not path.is_file() or path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["another.html", "notes.html", "own.html"]


def test_a_page_keeps_the_rates_of_the_run_that_an_earlier_page_showed(folder: Path, tmp_path: Path) -> None:
    cube, path, rates = Cube(folder / "trial.zarr"), tmp_path / "own.html", [(0.5, 2.0), (1.5, 3.25), (2.5, 3.0)]
    save_page(cube, path, rates=rates)
    assert "Rate of run 2" in Read(path.read_text()).words
    before = re.search("<polyline[^>]*>", path.read_text())
    assert before is not None
    save_page(cube, path)
    assert before[0] in path.read_text()
    path.write_text(path.read_text().replace(f"{cube.attributes.cube_id}/2", f"{cube.attributes.cube_id}/1"))
    save_page(cube, path)
    assert "Rate of run" not in Read(path.read_text()).words, "it was that of another run"


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=MOST_RATES), st.text(max_size=20))
def test_kept_rates_are_those_that_were_written(rates: list[tuple[float, float]], run: str) -> None:
    page = f"<p><div {attributes(run, rates)}></div>"
    kept = kept_rates(page, run)
    assert np.allclose(np.reshape(kept, (-1, 2)), np.reshape(rates, (-1, 2)), rtol=1e-4, atol=0.006)
    assert kept_rates(page, f"{run}1") == ()


@pytest.mark.parametrize(
    "damaged", ["", "[", "3", "[[1]]", "[[1,NaN]]", "[[1,-2]]", '[["a","b"]]', "null", "[[1,1e999]]"]
)
def test_damaged_rates_are_none(damaged: str) -> None:
    assert kept_rates(f'<div data-run="r" data-rates="{escape(damaged)}">', "r") == ()


def test_links_lead_from_where_the_page_is(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "deep" / "er"
    assert main(["page", str(folder / "trial.zarr"), "--output", str(moved / "page.html")]) == 0
    link = Read((moved / "page.html").read_text()).links[-1]
    assert (
        moved / link.replace("%20", " ").replace("%26", "&")
    ).resolve() == folder / "trial-figures/gain & more.svg"


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ("results/walk.zarr", "results/walk.html"),
        ("walk.zarr/", "walk.html"),
        ("walk", "walk.html"),
        ("s3://lab/runs/walk.zarr", "results/walk.html"),
    ],
)
def test_a_page_lies_beside_its_cube_and_that_of_a_url_in_results(store: str, path: str) -> None:
    assert page_path(store) == Path(path)


def test_the_page_of_the_current_folder_is_not_within_the_cube(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "trial.zarr")
    assert page_path(".") == folder / "trial.html"
    require_ours(page_path("."), ".")
    with pytest.raises(SpecError, match="another cube"):
        require_ours(page_path("."), str(tmp_path / "other.zarr"))


def test_what_is_not_a_cube_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["page", str(tmp_path / "none.zarr")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_damage_and_what_a_kill_left_are_said(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "trial.zarr"
    shutil.copytree(folder / "trial.zarr", store)
    cube = Cube(store)
    record = cube.runs()[-1]
    killed = dataclasses.replace(record, outcome="running", end=None, cells=None, workers=None, workers_lost=None)
    write_group(run_group(cube.storage, 2), killed.to_json())
    write_group(run_group(cube.storage, 1), {"start": 3})
    for name in ("cell_state", "gain"):
        chunk = next(p for p in sorted((store / name / "c").rglob("*")) if p.is_file())
        chunk.write_bytes(chunk.read_bytes()[:-3])
    assert main(["page", str(store)]) == 0
    read = Read((tmp_path / "trial.html").read_text())
    assert "The states of 1 block are damaged" in read.words
    assert "The driver of the last run is gone" in read.words
    assert "its driver ended without a word" in read.words
    assert "The record of 1 run cannot be read" in read.words
    assert "gain: it cannot be drawn: CubeError: output 'gain' cannot be read" in read.words
    assert harmless(read)


@per_cell
def many(cell: Cell) -> dict[str, object]:
    """Ten outputs."""
    return {f"out{i}": cell["x"] + i for i in range(MAX_FIGURES + 2)}


def test_outputs_without_a_figure_are_named(tmp_path: Path) -> None:
    outputs = tuple(Output(f"out{i}") for i in range(MAX_FIGURES + 2))
    run(Sweep("many", "Many", (Axis("x", (1.0, 2.0)),), outputs, many), tmp_path / "many.zarr")
    cube = Cube(tmp_path / "many.zarr")
    for effort, reason in (
        (Effort(1, 9, 9), "out0: it holds 2 values, too many for this page"),
        (Effort(9, 0, 9), "out0: it lies in 2 chunks, too many to be read at the end of a run"),
        (Effort(9, 9, -1), "out0: the figures before it took all the time that there is at the end of a run"),
    ):
        words = Read(save_page(cube, effort=effort).read_text()).words
        assert reason in words
        assert "out8, out9: 2 more outputs have no figure on this page" in words
        assert "No failures" in words


def many_lines() -> xr.Dataset:
    """Twelve lines of three points."""
    coords = {"n": np.arange(12), "x": np.arange(3.0)}
    return xr.Dataset({"y": (("n", "x"), np.ones((12, 3)))}, coords)


def test_views_of_the_author_come_first_and_are_drawn_as_curves(folder: Path) -> None:
    cube = Cube(folder / "trial.zarr")
    views = (View("trace", x="time", lines="bias"), View("gain", x="bias", lines="seed"), View("gone"))
    drawn = list(pictures(cube.dataset(), views))
    assert [picture.name for picture in drawn] == ["trace", "gain"]
    assert drawn[0].caption == "Mean over seed; bands: 95 % interval of the mean over seed (Student's t)"
    assert all(picture.source for picture in drawn)
    (few,) = [p for p in pictures(many_lines(), (View("y", x="x", lines="n"),)) if p.name == "y"]
    assert few.caption.endswith(f"; {12 - MAX_LINES} more of n not drawn")
    figure = view_figure(curves(cube.dataset(), views[1]))
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Bias <voltage> (mV)", "gain (V)")
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == ["0", "1", "2", "3"]
    assert np.allclose(lines["3"].get_ydata(), 4 * np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert list(np.isnan(lines["1"].get_ydata())) == [False, False, True, True, True], "failed cells are no points"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("spinsweep run a --notify https://hooks.example/T0/B1", "spinsweep run a --notify ..."),
        ("spinsweep run a --notify=https://hooks.example/T0/B1 --seed 1", "spinsweep run a --notify=... --seed 1"),
        ("spinsweep run a --store s3://me:secret@host/a", "spinsweep run a --store s3://...@host/a"),
        ("spinsweep run 'my sweep.py'", "spinsweep run 'my sweep.py'"),
        ("it's damaged", "it's damaged"),
    ],
)
def test_a_command_is_shown_without_what_lets_others_in(command: str, shown: str) -> None:
    assert shown_command(command) == shown


@pytest.fixture
def sized(window: Chrome) -> Iterator[Chrome]:
    yield window
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.browser
def test_a_page_fits_a_wall_a_laptop_and_a_phone_without_a_complaint(folder: Path, sized: Chrome) -> None:
    for width, height in ((1440, 900), (1024, 768), (390, 844)):
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        sized.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        sized.get((folder / "trial.html").as_uri())
        across = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        needs, has = sized.execute_script(across)
        assert needs <= has, f"at {width} px"
        widths = "return Array.from(document.images).map(i => i.complete ? i.naturalWidth : 0)"
        assert all(sized.execute_script(widths)), "an image of the page is not drawn"
        assert complaints(sized) == []
