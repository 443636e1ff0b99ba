"""``spinsweep docs`` opens the pages of this version, wherever they are, and says so where there are none."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from spinsweep.cli import docs, main


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package without pages, as a wheel is installed."""
    folder = tmp_path / "lib" / "python" / "spinsweep"
    folder.mkdir(parents=True)
    monkeypatch.setattr(docs, "PACKAGE", folder)
    monkeypatch.setattr(docs, "IN_PACKAGE", folder / "documentation")
    return folder


def page(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<title>pages</title>")
    return folder / "index.html"


def test_the_pages_in_the_package_come_first_then_those_of_the_checkout(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    in_checkout = page(package.parents[1] / "build/docs" / version("spinsweep"))
    assert main(["docs", "--path"]) == 0
    assert capsys.readouterr().out.strip() == in_checkout.as_uri()
    in_package = page(package / "documentation")
    assert main(["docs", "--path"]) == 0
    assert capsys.readouterr().out.strip() == in_package.as_uri()


def test_without_pages_one_line_says_how_to_get_them(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("spinsweep: this installation has no pages")
    assert said.count("\n") == 1
    (package.parents[1] / "engine/docs").mkdir(parents=True)
    assert main(["docs"]) == 2
    assert "run `make docs` in" in capsys.readouterr().err


@pytest.mark.parametrize("status", [0, 1], ids=["a browser", "a browser that fails"])
def test_it_opens_a_browser_or_says_the_address_where_there_is_none(tmp_path: Path, status: int) -> None:
    folder = page(tmp_path / "documentation").parent
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/opened"\nexit {status}\n')
    browser.chmod(0o755)
    code = "from pathlib import Path; from spinsweep.cli import docs, main; import sys; "
    code += f"docs.IN_PACKAGE = Path({str(folder)!r}); sys.exit(main(['docs', 'a & b']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "HOME": str(tmp_path), "BROWSER": f"{browser} %s"} | pythonpath(),
        capture_output=True,
        text=True,
        check=True,
    )
    address = f"{folder.as_uri()}/search.html?q=a%20%26%20b"
    assert (tmp_path / "opened").read_text().strip() == address
    assert done.stdout.split()[-1] == address
    assert done.stdout.startswith("opened" if status == 0 else "there is no browser")


def pythonpath() -> dict[str, str]:
    return {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
