"""A cube is data: no command imports what a cube names, unless the user names it or trusts the cube."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from spinsweep.cli import main
from spinsweep.plugins import installed

TRAP = """
from pathlib import Path

Path({sprung!r}).touch()

from spinsweep import Axis, Output, Sweep, per_cell

@per_cell
def one(cell):
    return {{"y": 1.0}}

def draw(ds):
    from matplotlib.figure import Figure
    return Figure()

FIGURES = {{"one": draw}}
TRAP = Sweep("{name}", "A trap", (Axis("n", (0, 1)),), (Output("y"),), one, figures="{module}:FIGURES")
"""
TESTS = Path(__file__).parents  # where pytest looks for modules; they hold folders called engine and sweeps
VERBS = {
    "cell": ["cell", "c.zarr", "n=1"],
    "figures": ["figures", "c.zarr", "--out", "drawn"],
    "page": ["page", "c.zarr"],
    "status": ["status", "c.zarr"],
    "status as json": ["status", "c.zarr", "--json"],
    "card": ["card", "c.zarr"],
    "fits": ["fits", "c.zarr"],
    "drift": ["drift", "c.zarr", "c.zarr"],
    "plan": ["plan", "endurance", "--store", "c.zarr"],
    "run": ["run", "endurance", "--store", "c.zarr", "--workers", "0"],
    "emulate": ["emulate", "bench.toml", "--recording", "c.zarr", "--run", "true"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trap and the cube that its sweep made; the trap is set again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p and Path(p) not in TESTS])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.delitem(sys.modules, "sweeps", raising=False)
    (tmp_path / "trap.py").write_text(TRAP.format(sprung=str(tmp_path / "sprung"), name="trap", module="trap"))
    assert main(["run", "trap.py:TRAP", "--workers", "0", "--store", "c.zarr"]) == 0
    forget(tmp_path)
    return tmp_path


def forget(folder: Path) -> None:
    for name in [n for n, m in sys.modules.items() if str(folder) in str(getattr(m, "__file__", ""))]:
        del sys.modules[name]
    (folder / "sprung").unlink(missing_ok=True)


def named(cube: Path, **attributes: Any) -> None:
    """Let the cube name another sweep."""
    root = json.loads((cube / "zarr.json").read_text())
    root["attributes"] |= attributes
    (cube / "zarr.json").write_text(json.dumps(root))


def references(folder: Path) -> dict[str, str]:
    """Ways to name the trap."""
    shutil.copy(folder / "trap.py", folder / "c.zarr" / "inside.py")
    return {
        "a file": str(folder / "trap.py"),
        "a file in the cube": str(folder / "c.zarr" / "inside.py"),
        "a file beside": "trap.py",
        "a module of the working folder": "trap",
    }


HOW = ("a file", "a file in the cube", "a file beside", "a module of the working folder")
CASES = [
    # each command and each way, and all ways where code is looked for; all pairs are for the exhaustive suite
    pytest.param(verb, way, marks=[] if verb == "cell" or n % len(HOW) == k else [pytest.mark.slow])
    for n, verb in enumerate(VERBS)
    for k, way in enumerate(HOW)
]


@pytest.mark.parametrize(("verb", "how"), CASES)
def test_no_command_imports_what_a_cube_names(
    place: Path, verb: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    named(place / "c.zarr", sweep_reference=f"{references(place)[how]}:TRAP")
    main(VERBS[verb])

    assert not (place / "sprung").exists()
    if verb in ("cell", "figures"):
        said = capfd.readouterr().err
        assert said.count("\n") == 1
        assert "--sweep FILE.py:NAME" in said
        assert "--trust" in said
        assert not (place / "drawn" / "one.png").exists()
        assert (place / "drawn" / "y.png").exists() == (verb == "figures")  # the output, without any code


@pytest.mark.parametrize(
    "name", ["spinneurons.device.commands:emulate", "os:system", "spinneurons.endurance.sweep:_x"]
)
def test_installed_modules_are_no_installed_sweeps(place: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    named(place / "c.zarr", sweep_reference=name)

    assert main(VERBS["figures"]) == 0
    assert "which is not installed" in capfd.readouterr().err
    assert not (place / "sprung").exists()


@pytest.mark.parametrize("how", [["--sweep", "trap.py:TRAP"], ["--trust"]])
@pytest.mark.parametrize("verb", ["cell", "figures"])
def test_the_user_can_name_the_sweep_or_trust_the_cube(place: Path, verb: str, how: list[str]) -> None:
    assert main([*VERBS[verb], *how]) == 0
    assert (place / "sprung").exists()


def test_a_sweep_that_did_not_make_the_cube_is_refused(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "other.py").write_text(TRAP.format(sprung=str(place / "sprung"), name="other", module="other"))

    assert main([*VERBS["figures"], "--sweep", "other.py:TRAP"]) == 2
    assert "was made by the sweep trap, not by other" in capfd.readouterr().err
    assert main([*VERBS["cell"], "--sweep", "other.py:TRAP"]) == 2
    assert main([*VERBS["cell"], "--sweep", "trap.py:TRAP", "--trust"]) == 2
    assert not (place / "drawn").exists()


@pytest.mark.parametrize("reference", ["endurance", "spinneurons.endurance.sweep:SWEEP"])
def test_cubes_of_installed_sweeps_need_no_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--set", "width=5", "--set", "device=0", "--set", "cycles=10"]
    assert main(["run", "endurance", *few, "--workers", "0", "--store", "c.zarr"]) == 0
    named(tmp_path / "c.zarr", sweep_reference=reference)

    assert main(["cell", "c.zarr", "width=5", "device=0"]) == 0


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("from engine import Sweep", "spinsweep"),
        ("import engine.axis", "spinsweep"),
        ("from sweeps.device.card import load", "spinneurons"),
    ],
)
def test_a_file_with_the_packages_former_names_is_told_what_to_write(
    place: Path, line: str, new: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (place / "old.py").write_text(line)

    assert main(["plan", "old.py:SWEEP"]) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert f"{place / 'old.py'}:1" in told
    assert f"is called {new} now: write that name instead" in told


def test_a_cube_with_the_packages_former_names_is_read_but_not_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "endurance", "--set", "device=0", "--set", "cycles=10", "--workers", "0", "--store", "c.zarr"]
    assert main([*words, "--set", "width=5"]) == 0
    named(tmp_path / "c.zarr", sweep_reference="sweeps.endurance.sweep:SWEEP")
    capfd.readouterr()

    assert main(["status", "c.zarr"]) == 0
    assert main(["figures", "c.zarr"]) == 0
    assert main([*words, "--set", "width=5,1"]) == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "it can be read, but not grown; use another --store" in told


def test_a_users_own_package_may_be_called_like_a_former_one(place: Path) -> None:
    (place / "sweeps").mkdir()
    (place / "sweeps" / "trap.py").write_text((place / "trap.py").read_text())

    words = ["run", "sweeps.trap:TRAP", "--workers", "0", "--store", "own.zarr"]
    assert main(words) == 0
    named(place / "own.zarr", sweep_reference="sweeps.trap:TRAP")
    assert main(words) == 0


def test_every_installed_sweep_is_found_under_the_name_that_its_cubes_keep() -> None:
    from spinsweep.discovery import find, reference_of
    from spinsweep.plugins import installed_as

    assert {n: installed_as(reference_of(find(n))) for n in installed()} == {n: n for n in installed()}
