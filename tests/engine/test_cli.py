"""The command line as a user meets it: real processes, real exit statuses."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
import xarray as xr

from spinsweep.cli import main

EXAMPLES = Path(__file__).parent / "examples.py"

OWN = """
import numpy as np
from spinsweep import Axis, Output, Sweep, per_cell

@per_cell
def parabola(cell):
    return {"y": cell["x"] ** 2 + cell.rng().normal(0, 0.01)}

AXES = (Axis("x", (0.0, 0.5, 1.0), "V"), Axis("seed", tuple(range(4))))
MINE = Sweep("mine", "A noisy parabola", AXES, (Output("y", unit="A"),), parabola)
"""


def process(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "spinsweep.cli", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Result]


@pytest.fixture
def spinsweep(capfd: pytest.CaptureFixture[str]) -> Command:
    """The command in this process, which is faster to start."""

    def call(*words: object, cwd: Path) -> Result:
        before = Path.cwd()
        os.chdir(cwd)
        try:
            code = main([str(w) for w in words])
        finally:
            os.chdir(before)
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path


def test_values_are_added_to_those_of_the_cube_and_the_same_command_adds_nothing_more(
    own: Path, spinsweep: Command
) -> None:
    words = ("mine.py:MINE", "--set", "x+=0.25", "--set", "seed=0,1")
    begun = spinsweep("run", "mine.py:MINE", "--set", "x=7", "--set", "seed=0,1", "--workers", 0, cwd=own)
    planned = spinsweep("plan", *words, "--json", cwd=own)
    added = spinsweep("run", *words, "--workers", 0, cwd=own)
    again = spinsweep("run", *words, "--workers", 0, cwd=own)

    assert begun.returncode == added.returncode == again.returncode == 0, added.stderr
    assert json.loads(planned.stdout)["cells_to_compute"] == 2
    assert "4 of 4 done (2 in this run" in added.stdout
    assert "4 of 4 done (0 in this run" in again.stdout
    assert xr.open_zarr(own / "results" / "mine.zarr").x.values.tolist() == [7, 0.25]


@pytest.mark.slow
def test_a_sweep_of_ones_own_in_a_file_runs_on_workers_and_grows(own: Path) -> None:
    first = process("run", "mine.py:MINE", "--workers", 2, cwd=own)
    grown = process("run", "mine.py:MINE", "--workers", 0, "--set", "x=0:1:5", "--set", "seed=0:6", cwd=own)

    assert first.returncode == grown.returncode == 0, first.stderr + grown.stderr
    assert "12 of 12 done" in first.stdout
    assert "30 of 30 done (18 in this run" in grown.stdout
    ds = xr.open_zarr(own / "results" / "mine.zarr")
    assert dict(ds.sizes) == {"x": 5, "seed": 6}
    assert abs(float((ds.y - ds.x**2).mean())) < 0.01


def test_plan_counts_and_writes_nothing(own: Path, spinsweep: Command) -> None:
    plan = spinsweep("plan", "mine.py:MINE", "--set", "seed=0:100", "--json", cwd=own)
    found = json.loads(plan.stdout)

    assert (found["cells"], found["cells_to_compute"]) == (300, 300)
    assert found["bytes"] == 300 * (8 + 23)
    assert found["seconds"] > 0
    assert 0 < found["bytes_on_disk"] <= 1.2 * found["bytes"]
    assert [p.name for p in own.iterdir()] == ["mine.py"]
    assert "300 = 3 x × 100 seed" in spinsweep("plan", "mine.py:MINE", "--set", "seed=0:100", cwd=own).stdout


def test_a_file_with_one_sweep_needs_no_name_and_one_with_several_names_them(own: Path, spinsweep: Command) -> None:
    (own / "two.py").write_text(OWN + "\nimport dataclasses\nOTHER = dataclasses.replace(MINE, name='other')\n")
    (own / "none.py").write_text("x = 1\n")
    (own / "again.py").write_text(OWN + "\nSAME = MINE\n")

    assert "12 = 3 x × 4 seed" in spinsweep("plan", "mine.py", cwd=own).stdout
    assert "12 = 3 x × 4 seed" in spinsweep("plan", "again.py", cwd=own).stdout
    several, none = spinsweep("plan", "two.py", cwd=own), spinsweep("plan", "none.py", cwd=own)

    assert (several.returncode, none.returncode) == (2, 2)
    assert "two.py has 2 sweeps: MINE, OTHER; name one of them, as in two.py:MINE" in several.stderr
    assert "none.py has no sweep" in none.stderr


def test_status_tells_of_failures_in_words_and_in_json(own: Path, spinsweep: Command) -> None:
    (own / "log").mkdir()
    (own / "log" / "broken").write_text("cracked bar")
    run = spinsweep(
        "run",
        f"{EXAMPLES}:LOGGED",
        "--store",
        "c.zarr",
        "--workers",
        0,
        "--set",
        f"log={own / 'log'}",
        "--set",
        "bad=0.4",
        cwd=own,
    )
    text = spinsweep("status", "c.zarr", "--traceback", cwd=own)
    data = json.loads(spinsweep("status", "c.zarr", "--json", cwd=own).stdout)

    assert run.returncode == text.returncode == 1
    assert "99 of 100 done, 1 failed" in run.stdout
    assert "failed  x=0.4 seed=1  (attempt 1)  ValueError: no good at seed 1: cracked bar" in text.stdout
    assert "raise ValueError" in text.stdout
    assert data["cells"] == {"absent": 0, "done": 99, "failed": 1, "stale": 0}
    assert data["failures"][0]["cell"] == {"x": 0.4, "seed": 1}
    assert data["runs"][0]["outcome"] == "failed cells"


def test_a_run_that_stops_because_of_its_failures_says_how_to_go_on(own: Path, spinsweep: Command) -> None:
    words = ["run", f"{Path(__file__).with_name('test_failing_cells.py')}:MISTAKEN", "--workers", 0]
    words += ["--store", "c.zarr", "--block", 1]
    first = spinsweep(*words, cwd=own)
    last = spinsweep(*words, "--max-failures", "inf", "--retry-failed", "--set", "x=0:30", cwd=own)

    assert first.returncode == last.returncode == 1
    assert "stopping: each of the first 20 cells failed with the same error, ValueError: no such" in first.stderr
    assert "stopped   each of the first 20 cells failed" in first.stdout
    assert "--retry-failed when the cause is mended" in first.stdout
    assert "30 failed (30 in this run" in last.stdout


def test_one_cell_is_computed_again_and_compared(own: Path, spinsweep: Command) -> None:
    spinsweep("run", "mine.py:MINE", "--workers", 0, "--root-seed", 3, cwd=own)
    same = spinsweep("cell", "results/mine.zarr", "x=0.5", "seed=2", "--sweep", "mine.py:MINE", cwd=own)
    (own / "mine.py").write_text(OWN.replace("0.01)", "0.02)"))
    other = spinsweep("cell", "results/mine.zarr", "x=0.5", "seed=2", "--sweep", "mine.py:MINE", cwd=own)

    assert same.returncode == 0, same.stderr
    assert "same" in same.stdout
    assert other.returncode == 1
    assert "differs" in other.stdout


MISTAKES = [
    (["run", "mine.py:MINE", "--set", "sed=1"], "no axis or parameter 'sed' (did you mean 'seed'?)"),
    (["run", "mine.py:MINE", "--set", "seed"], "--set seed: not NAME=VALUES"),
    (["run", "mine.py:MINE", "--set", "seed=1", "--set", "seed=2"], "--set seed is given twice"),
    (["run", "mine.py:MINE", "--set", "seed=0.5"], "axis 'seed': 0.5 is not a whole number"),
    (["run", "mine.py:MINE", "--block", "many"], "--block many: not a number of cells"),
    (["run", "mine.py:MINE", "--block", "z=1"], "no axis 'z'"),
    (["run", "mine.py:MINE", "--block", "0"], "--block 0: must be at least 1"),
    (["run", "mine.py:MINE", "--nothing"], "No such option: --nothing"),
    (["run", "mine.py:MINE", "--cluster", "127.0.0.1:1", "--insecure"], "no scheduler answers at tcp://127.0.0.1:1"),
    (["run", "mine.py:MINE", "--cluster", "mine.py"], "--cluster mine.py is not a scheduler file"),
    (["run", "mine.py:MINE", "--executor", "dsak"], "no executor 'dsak' (did you mean 'dask'?)"),
    (
        ["run", "mine.py:MINE", "--executor", "serial", "--workers", "2"],
        "--executor serial computes in this process; leave out --workers 2",
    ),
    (
        ["run", "mine.py:MINE", "--executor", "processes", "--workers", "0"],
        "--executor processes needs workers; leave out --workers 0",
    ),
    (
        ["run", "mine.py:MINE", "--executor", "processes", "--cluster", "c.toml"],
        "--cluster c.toml: --executor processes has no scheduler; leave --cluster out, or use --executor dask",
    ),
    (
        ["run", "mine.py:MINE", "--workers", "0", "--watchers", "8000"],
        "--watchers 8000: this process has no scheduler; leave --watchers out, or use --executor dask",
    ),
    (["run", "mine.py:MINE", "--timeout", "0"], "--timeout must be seconds above 0, not 0"),
    (["run", "mine.py:MINE", "--retries", "OSError=x"], "--retries OSError=x: not a number of times"),
    (["run", "mine.py:MINE", "--retries", "OSError"], "--retries OSError: not ERROR=TIMES, such as OSError=3"),
    (["run", "mine.py:MINE", "--max-failures", "0"], "--max-failures must be a number of cells from 1 on, or inf"),
    (["run", "mine.py:YOURS"], "mine.py has no 'YOURS'; its sweeps are MINE"),
    (["run", "nothing"], "there is no sweep 'nothing'"),
    (["list", ""], "there is no sweep ''"),
    (["run", "absent.py:X"], "absent.py does not exist"),
    (["run", "mine.py:np"], "is a module, not a Sweep"),
    (["run", "mine.py:MINE", "--store", "mine.py"], "mine.py exists and is not a cube; take another --store"),
    (["run", "mine.py:MINE", "--store", "."], ". exists and is not a cube; take another --store"),
    (["run", "mine.py:MINE", "--store", "mine.py/c.zarr"], "mine.py is a file, not a folder; take another --store"),
    (["plan", "mine.py:MINE", "--store", "mine.py"], "mine.py exists and is not a cube; take another --store"),
    (["--versoin"], "(spinsweep --help shows what it takes)"),
    (["rnu"], "(spinsweep --help shows what it takes)"),
    (["run", "--help-me"], "(spinsweep run --help shows what it takes)"),
    (["run"], "Missing argument"),
    (["status", "results"], "results is not a cube"),
    (["status", "mine.py"], "mine.py is not a cube"),
    (["cell", "mine.py", "x=1"], "mine.py is not a cube"),
]


@pytest.mark.parametrize(("words", "says"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_mistake_is_one_line_status_2_and_nothing_written(
    own: Path, words: list[str], says: str, spinsweep: Command
) -> None:
    result = spinsweep(*words, cwd=own)

    assert result.returncode == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""
    assert {p.name for p in own.iterdir()} <= {"mine.py", "__pycache__"}


OF_CUBES = ("status", "cell", "figures", "table", "compare", "sensitivity", "crossings")


@pytest.mark.parametrize("verb", ["list", "plan", "run", *OF_CUBES, "import", "card", "fits", "drift"])
def test_every_verb_shows_an_example_in_its_help(verb: str, tmp_path: Path, spinsweep: Command) -> None:
    result = spinsweep(verb, "--help", cwd=tmp_path)

    assert result.returncode == 0
    assert f"Example:  spinsweep {verb}" in result.stdout


OPENING = ("list", "plan", "run", "status", "figures", "verify", "sensitivity", "crossings")
"""Commands that look for a cube or read sweeps, and so load numpy."""
HEAVY = {"dask", "distributed", "matplotlib", "numba", "pandas", "scipy", "statsmodels", "torch", "xarray", "zarr"}


def loaded(folder: Path, words: str) -> tuple[set[str], str]:
    """The packages that a command loads, and its last line."""
    code = (
        f"import sys; from spinsweep.cli import main; status = main({words.split()});"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split()), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        ("--version", "spinsweep 0."),
        ("--help", "Make a private authority"),
        ("plan --help", "AXIS=N"),
        pytest.param("list", "persistence", marks=pytest.mark.slow),
        ("list hil", "learning_rate"),
        ("nosuch", "No such command 'nosuch'"),
        pytest.param("plan --nosuch", "No such option: --nosuch", marks=pytest.mark.slow),
        ("plan nosuch", "there is no sweep 'nosuch'"),
        pytest.param("run nosuch", "there is no sweep 'nosuch'", marks=pytest.mark.slow),
        ("plan nosuch.py:S", "nosuch.py does not exist"),
        ("status nosuch.zarr", "nosuch.zarr is not a cube"),
        ("figures nosuch.zarr", "nosuch.zarr is not a cube"),
        pytest.param("verify nosuch.zarr", "nosuch.zarr is not a cube", marks=pytest.mark.slow),
        pytest.param("sensitivity nosuch.zarr y", "nosuch.zarr is not a cube", marks=pytest.mark.slow),
        pytest.param("crossings nosuch.zarr y 1 --along x", "nosuch.zarr is not a cube", marks=pytest.mark.slow),
    ],
)
def test_help_and_mistakes_come_before_any_large_library_is_loaded(tmp_path: Path, words: str, shows: str) -> None:
    packages, said = loaded(tmp_path, words)

    assert shows in said
    assert packages & HEAVY == set()
    assert "numpy" not in packages or words.startswith(OPENING)


def test_a_verb_that_cannot_be_loaded_is_named_and_the_others_go_on(
    own: Path, spinsweep: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = metadata.EntryPoint("broken", "no_such_module:verb", "spinsweep.commands")
    monkeypatch.setattr("spinsweep.cli.app.installed", lambda group: {"broken": point})
    helped = spinsweep("--help", cwd=own)
    requested = spinsweep("broken", cwd=own)

    assert helped.returncode == 0
    assert "spinsweep: the command 'broken' of no_such_module:verb cannot be loaded: ModuleNotFound" in helped.stderr
    assert (requested.returncode, requested.stderr.count("\n")) == (2, 2)
    assert "No such command 'broken'" in requested.stderr
    assert spinsweep("plan", "mine.py:MINE", "--json", cwd=own).stderr == ""


def test_the_versions_of_spinsweep_and_python_are_told(tmp_path: Path, spinsweep: Command) -> None:
    result = spinsweep("--version", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"spinsweep {metadata.version('spinsweep')}, Python {platform.python_version()}\n"
    assert "--version" in spinsweep("--help", cwd=tmp_path).stdout


def test_list_shows_what_can_be_run_and_what_it_reproduces(tmp_path: Path, spinsweep: Command) -> None:
    text = spinsweep("list", cwd=tmp_path).stdout
    data = json.loads(spinsweep("list", "--json", cwd=tmp_path).stdout)

    assert "characterization" in text
    assert {s["name"]: s["source"] for s in data}["endurance"].endswith("S5")


def test_a_sweep_without_figures_has_one_for_each_output(own: Path, spinsweep: Command) -> None:
    spinsweep("run", "mine.py:MINE", "--workers", 0, cwd=own)
    result = spinsweep("figures", "results/mine.zarr", "--sweep", "mine.py:MINE", cwd=own)

    assert (result.returncode, result.stderr) == (0, "")
    assert [Path(line).name for line in result.stdout.splitlines()] == ["y.png", "y.svg", "y.md"]


DRAWN = """
from matplotlib.figure import Figure
from spinsweep.errors import NotDrawn
def good(ds):
    return Figure()

def wrong(ds):
    return ds["nothing"]

def nothing(ds):
    pass

def told(ds):
    raise ValueError("first line\\nsecond line")

def unset(ds):
    figure = Figure()
    figure.suptitle("$\\\\nonsense{$")
    return figure

def second_day(ds):
    raise NotDrawn("the cube has one day")

FIGURES = {"wrong": wrong, "nothing": nothing, "told": told, "unset": unset, "good": good, "day": second_day}
FIVE = 5
NUMBERS = {"good": 5}
"""


def with_figures(own: Path, figures: str, spinsweep: Command) -> None:
    """A small cube whose sweep names its figures so."""
    (own / "drawn.py").write_text(DRAWN)
    (own / "bad_syntax.py").write_text("FIGURES = {")
    (own / "mine.py").write_text(OWN.replace("parabola)", f"parabola, figures={figures!r})"))
    assert spinsweep("run", "mine.py:MINE", "--workers", 0, cwd=own).returncode == 0


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("drawn:FIGURE", "module 'drawn' has no 'FIGURE' (did you mean 'FIGURES'?)"),
        ("absent_module:FIGURES", "module 'absent_module' cannot be imported: ModuleNotFoundError: No module"),
        ("bad_syntax:FIGURES", "module 'bad_syntax' cannot be imported: SyntaxError"),
        ("FIGURES", "is not MODULE:NAME, such as FIGURES:FIGURES"),
        ("drawn:FIVE", "is of type int; it is a mapping from file stem to a function Dataset -> Figure"),
        ("drawn:NUMBERS", "is a mapping of something else; it is a mapping from file stem to a function"),
    ],
)
def test_a_wrong_reference_to_figures_is_one_line_and_nothing_is_drawn(
    own: Path, reference: str, says: str, spinsweep: Command
) -> None:
    with_figures(own, reference, spinsweep)
    result = spinsweep("figures", "results/mine.zarr", "--sweep", "mine.py:MINE", cwd=own)

    assert result.returncode == 2
    assert result.stderr.startswith(f"spinsweep: sweep 'mine': figures {reference!r}")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert not (own / "results" / "mine-figures").exists()


@pytest.mark.slow
def test_figures_whose_code_fails_are_named_by_file_and_line_after_the_others_are_drawn(
    own: Path, spinsweep: Command
) -> None:
    with_figures(own, "drawn:FIGURES", spinsweep)
    result = process("figures", "results/mine.zarr", "--sweep", "mine.py:MINE", cwd=own)
    wrong, nothing, told, unset = result.stderr.splitlines()
    file = own / "drawn.py"

    assert result.returncode == 1
    files = ["good.png", "good.svg", "good.md"]
    printed = [*(f"results/mine-figures/{name}" for name in files), "not drawn day: the cube has one day"]
    assert result.stdout.splitlines() == printed
    assert sorted(p.name for p in (own / "results" / "mine-figures").iterdir()) == sorted(files)
    assert wrong.startswith("spinsweep: figure 'wrong' of drawn:FIGURES: KeyError: ")
    assert wrong.endswith(f"({file}:8)")
    assert nothing == f"spinsweep: figure 'nothing' of drawn:FIGURES: {file}:10 returned None, not a Figure"
    assert told.endswith(f"drawn:FIGURES: ValueError: first line second line ({file}:14)")
    assert f"{file}:16 returned a Figure that cannot be drawn: ValueError: " in unset


@pytest.mark.slow
def test_the_last_line_of_progress_is_told_once(tmp_path: Path) -> None:
    done = process("run", "endurance", "--store", "c.zarr", "--set", "cycles=10", "--workers", "1", cwd=tmp_path)
    ends = [line for line in done.stderr.splitlines() if " 0 s left" in line]
    assert len(ends) == 1, done.stderr
    assert "36/36 cells" in ends[0]
