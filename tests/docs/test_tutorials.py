"""A tutorial runs as it stands, and prints what it shows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.tutorials import NOTEBOOKS, environment, executed, printed


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with tempfile.TemporaryDirectory(prefix="jp") as sockets:  # whose paths have to be short
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", sockets)
        yield


QUICK = ("first-sweep",)
"""The others train networks, or start servers."""


def slow(notebook: Path) -> list[pytest.MarkDecorator]:
    return [] if notebook.stem in QUICK else [pytest.mark.slow]


@pytest.mark.parametrize("notebook", [pytest.param(n, id=n.stem, marks=slow(n)) for n in NOTEBOOKS])
def test_a_tutorial_runs_and_prints_what_it_shows(notebook: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shown = json.loads(notebook.read_text())
    assert printed(executed(notebook, tmp_path / "empty")) == printed(shown)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_tutorial_shows_a_figure_and_keeps_no_progress(notebook: Path) -> None:
    outputs = [o for cell in json.loads(notebook.read_text())["cells"] for o in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert {output.get("name", "figure") for output in outputs} <= {"stdout", "figure"}
