"""``spinsweep figures``: letters, font, width and formats, and the text beside each picture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinsweep.cli import main
from spinsweep.errors import SpecError
from spinsweep.figure_options import FigureOptions, takes_options

CODE = '''
from matplotlib.figure import Figure
from spinsweep import Axis, Output, Sweep, per_cell
from spinsweep.figure_options import FigureOptions

@per_cell
def square(cell):
    return {"y": cell["x"] ** 2}

def plain(ds):
    """The square of each number."""
    figure = Figure()
    figure.suptitle("Searchable words")
    return figure

def lettered(ds, options=FigureOptions()):
    figure = Figure(figsize=(options.columns or 5, 1))
    figure.suptitle(options.letter(1))
    return figure

FIGURES = {"plain": plain, "lettered": lettered}
X = Axis("x", (1.0, 2.0))
SQUARES = Sweep("squares", "Squares", (X,), (Output("y"),), square, figures="squares_code:FIGURES")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose figures are functions, and its cube."""
    folder = tmp_path_factory.mktemp("squares")
    (folder / "squares_code.py").write_text(CODE)
    sweep = f"{folder / 'squares_code.py'}:SQUARES"
    assert main(["run", sweep, "--workers", "0", "--store", str(folder / "squares.zarr")]) == 0
    return folder


def draw(folder: Path, out: Path, *words: str) -> int:
    sweep = ["--sweep", f"{folder / 'squares_code.py'}:SQUARES"]
    return main(["figures", str(folder / "squares.zarr"), *sweep, "--out", str(out), *words])


def test_text_is_text_in_svg_and_a_truetype_font_in_pdf(folder: Path, tmp_path: Path) -> None:
    assert draw(folder, tmp_path, "--format", "pdf,svg", "--only", "plain", "--font", "STIXGeneral") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain.md", "plain.pdf", "plain.svg"]
    svg = (tmp_path / "plain.svg").read_text()
    assert re.search(r"<text [^>]*STIXGeneral[^>]*>Searchable words</text>", svg)
    pdf = (tmp_path / "plain.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # a TrueType font program, ISO 32000-1, table 126
    assert b"STIXGeneral" in pdf
    assert b"/Type3" not in pdf


def test_the_same_figure_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert draw(folder, tmp_path / name, "--format", "png,pdf,svg") == 0
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_options_reach_the_builders_that_take_them_and_the_others_are_named(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert draw(folder, tmp_path, "--format", "svg", "--letters", "A", "--width", "2") == 0
    svg = (tmp_path / "lettered.svg").read_text()
    assert ">B</text>" in svg
    assert 'width="144pt"' in svg  # 2 inches, as the builder has it
    out, error = capfd.readouterr()
    assert error == (
        "spinsweep: --width and --letters do not change plain: the code of squares_code:FIGURES takes no options\n"
    )
    assert [Path(line).name for line in out.splitlines()] == ["plain.svg", "plain.md", "lettered.svg", "lettered.md"]


def test_the_caption_has_the_docstring_the_cube_and_the_cells(folder: Path, tmp_path: Path) -> None:
    assert draw(folder, tmp_path, "--only", "plain", "--format", "svg") == 0
    first, where, cells = (tmp_path / "plain.md").read_text().rstrip().split("\n\n")
    assert first == "The square of each number."
    assert where.startswith(f"Computed. Sweep squares: Squares. Cube {folder / 'squares.zarr'}, digest ")
    assert cells == "Cells: x (2); 2 are done."


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--width", "3"], "width 3: a figure is 1 or 2 columns wide"),
        (["--width", "wide"], "Invalid value for '--width'"),
        (["--letters", "abc"], "letters 'abc': write the first panel's, such as (a), a, A or (c), or none"),
        (["--font", "DejaVu Sanz"], "no font of this name is installed; did you mean 'DejaVu Sans'?"),
        (["--format", "png,gif"], "there is no format 'gif'; there are png, pdf, svg"),
    ],
)
def test_an_option_that_cannot_be_is_one_line_and_nothing_is_written(
    folder: Path, tmp_path: Path, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    assert draw(folder, tmp_path / "out", *words) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@given(st.sampled_from(["a", "A", "(a)", "a)", "[A]"]), st.integers(0, 800), st.integers(0, 800))
def test_letters_of_two_panels_differ_and_keep_their_form(letters: str, one: int, other: int) -> None:
    options = FigureOptions(letters)
    assert (options.letter(one) == options.letter(other)) == (one == other)
    assert re.sub("[a-zA-Z]+", "", options.letter(one)) == re.sub("[a-zA-Z]+", "", letters)


def test_letters_go_on_after_z_and_may_begin_elsewhere() -> None:
    assert [FigureOptions().letter(i) for i in (0, 25, 26, 27, 52)] == ["(a)", "(z)", "(aa)", "(ab)", "(ba)"]
    assert [FigureOptions("(c)").letter(i) for i in (0, 8)] == ["(c)", "(k)"]
    assert FigureOptions("none").letter(3) == ""


def test_what_has_no_signature_takes_no_options() -> None:
    assert not takes_options(print.__class__.__call__)
    with pytest.raises(SpecError, match="1 or 2 columns"):
        FigureOptions(columns=0)
