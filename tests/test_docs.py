"""Every command and code block of the documentation runs, in order, in one folder per page.

A block that cannot be run says why in the line above it (``<!-- not run: reason -->``); a block under
``<!-- file: NAME -->`` is written to that file first. JavaScript is skipped, by name, where nothing runs it.

Runs compute without workers, but for the first of README.md: other tests try those.
Where a page tells to type what an earlier page told, the command runs again and finds the cubes that it made there:
it would compute the same ones.

The pages of the experiments compute for minutes: `make test-all` runs them. `make test` reads each of their commands:
the verb, its options, and the parameters of its sweep.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import python_blocks
from spinsweep.cli import main
from spinsweep.cli.app import app
from spinsweep.cli.options import pairs, requested
from spinsweep.discovery import find
from spinsweep.plugins import installed

ROOT = Path(__file__).parents[1]


def markdown_files() -> list[Path]:
    """Every Markdown page of the repository; runs write what else lies in ``results``."""
    folders = ("cluster", "engine", "sweeps", "tests")
    pages = [p for folder in folders for p in (ROOT / folder).rglob("*.md")]
    return [*ROOT.glob("*.md"), *pages, ROOT / "results/README.md", ROOT / "results/paper/report.md"]


PAGES = sorted(p.relative_to(ROOT) for p in markdown_files() if "\n```" in p.read_text())
ON_WORKERS = "spinsweep run characterization"
"""The run that is made as it is typed, with the workers of this machine."""
COMPUTING = (
    "sweeps/spinneurons/",
    "sweeps/ANALYSIS.md",
    "sweeps/EXAMPLES.md",
    "cluster/SCALE.md",
    "engine/AUXILIARY.md",
    "engine/BENCH.md",
    "engine/docs/gallery.md",
    "engine/docs/how-to/compare-weeks.md",
    "engine/docs/how-to/figures-for-a-paper.md",
    "engine/docs/how-to/import-log.md",
    "engine/docs/how-to/make-card.md",
    "engine/docs/how-to/own-network.md",
    "engine/instrument_emulator/FAULTS.md",
)
"""Pages whose commands compute, or measure, for long."""
STARTING = ("emulate", "scheduler", "worker")
"""Commands that listen for signals, or start others, for as long as they run."""
BLOCK = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<kind>\S+)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)
"""Of code, also within a list."""
DIRECTIVES = {"{toctree}"}
"""Of the site's generator."""


@pytest.fixture(scope="module")
def lab_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory's log: readings of eight devices, as rows in CSV."""
    folder = tmp_path_factory.mktemp("log")
    command = [
        "run",
        "characterization",
        "--workers",
        "0",
        "--store",
        str(folder / "bench.zarr"),
        "--set",
        "width=2,0.5",
    ]
    assert main([*command, "--set", "cycles=40", "--root-seed", "11"]) == 0
    frame = xr.open_zarr(folder / "bench.zarr")[["i_write", "r_reset", "r_write"]].to_dataframe().reset_index()
    names = {"width": "width_um", "i_write": "i_write_A", "r_reset": "r_reset_ohm", "r_write": "r_write_ohm"}
    frame.rename(columns=names).drop(columns="current").to_csv(folder / "lab.csv", index=False)
    return folder / "lab.csv"


def slow_if_computing(page: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if str(page).startswith(COMPUTING) else []


class Made:
    """Cubes in ``results/`` that commands made, by the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cubes: dict[str, Path] = {}

    def before(self, line: str, results: Path) -> set[Path]:
        """Put the cubes there that this command made on an earlier page; what is there then."""
        for cube in self.cubes[line].glob("*") if line in self.cubes else ():
            if not (results / cube.name).exists():
                shutil.copytree(cube, results / cube.name)
        return set(results.glob("*.zarr"))

    def after(self, line: str, results: Path, there: set[Path]) -> None:
        """Keep a copy of the cubes that were not there before."""
        for cube in set(results.glob("*.zarr")) - there:
            self.cubes[line] = self.folder / str(len(self.cubes))
            shutil.copytree(cube, self.cubes[line] / cube.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.mark.timeout(1800)  # of a busy machine
@pytest.mark.parametrize("page", [pytest.param(p, id=str(p), marks=slow_if_computing(p)) for p in PAGES])
def test_what_the_documentation_tells_to_type_works(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    lab_log: Path,
    made: Made,
) -> None:
    monkeypatch.setenv("SPINSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    content = (ROOT / page).read_text()
    blocks = list(BLOCK.finditer(content))
    assert len(re.findall(r"^ *```", content, re.M)) == 2 * len(blocks), f"{page}: a block does not say what it is"
    if any("lab.csv" in b["text"] for b in blocks):
        shutil.copy(lab_log, tmp_path)
    for block in blocks:
        mark, text = block["mark"] or "", textwrap.dedent(block["text"])
        if mark.startswith("not run: "):
            continue
        if mark.startswith("file: "):
            (tmp_path / mark.removeprefix("file: ")).write_text(text)
        run_by = {"console", "python", "text"} | DIRECTIVES | ({"javascript"} if mark.startswith("file: ") else set())
        assert block["kind"] in run_by, f"{page}: a block of {block['kind']} is not run by any test"
        commands = {"console": text.splitlines(), "python": [text]}
        for line in commands.get(block["kind"], []):
            if line.startswith("node ") and (lacking := no_node()):
                pytest.skip(f"{page}: {line}, and what follows, did not run: {lacking}")
            there = made.before(line, tmp_path / "results")
            if block["kind"] == "python":
                status, said = python_blocks.ran(line, tmp_path, environment())
            else:
                status, said = typed(line, tmp_path, monkeypatch, capfd)
            assert status == 0, f"{page}: {line}\n{said}"
            made.after(line, tmp_path / "results", there)


def typed(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """Exit status and output of a line; a command of spinsweep alone runs in this process, which has its imports."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["spinsweep"] and not {">", "|", "&&"}.intersection(words) and words[1] not in STARTING:
        with monkeypatch.context() as here:
            here.chdir(folder)
            before = set(sys.modules)
            capfd.readouterr()
            status = main([*words[1:], *without_workers(words, line)])
        for name in set(sys.modules) - before:  # another page has another file of this name
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
        return status, "".join(capfd.readouterr())
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=900, env=environment()
    )
    return done.returncode, done.stdout + done.stderr


def without_workers(words: list[str], line: str) -> list[str]:
    """The option that keeps a run in this process, if it says nothing of what computes."""
    says = {"--workers", "--cluster", "--executor", "--on", "--help"}.intersection(words)
    return [] if words[1] != "run" or says or line == ON_WORKERS else ["--workers", "0"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_command_line_knows_each_command_of_the_documentation_and_python_its_imports(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in BLOCK.finditer((ROOT / page).read_text()):
        if (block["mark"] or "").startswith("not run: "):
            continue
        if block["kind"] == "console":
            for line in textwrap.dedent(block["text"]).splitlines():
                words = list(takewhile(lambda word: word not in (">", "|", "&&"), shlex.split(line, comments=True)))
                if words[0] == "spinsweep":
                    require_understood(words[1:], monkeypatch)
        elif block["kind"] == "python":
            imports = [
                n
                for n in ast.walk(ast.parse(textwrap.dedent(block["text"])))
                if isinstance(n, ast.Import | ast.ImportFrom)
            ]
            known = [n for n in imports if "spin" in (getattr(n, "module", "") or n.names[0].name)]
            exec("\n".join(map(ast.unparse, known)), {})


def require_understood(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse a command as it would be run, and what it runs itself; of an installed sweep also the values of --set."""
    root, chosen = app(words[0]), dict[str, Any]()
    commands = [c for t in (root, *(g.typer_instance for g in root.registered_groups)) for c in t.registered_commands]
    for command in commands:
        recorder = functools.wraps(command.callback)(lambda **options: chosen.update(options))
        monkeypatch.setattr(command, "callback", recorder)
    root(args=words, standalone_mode=False)
    if words[0] == "run" and chosen["name"] in installed():
        made = (".toml", ".pt")  # files of an earlier line
        given = [text for text in chosen["settings"] or () if not text.endswith(made)]
        if chosen["with_inputs"]:  # which it makes first
            find(chosen["name"]).with_text(pairs(given), chosen["seed"])
        else:
            requested(chosen["name"], given, chosen["seed"])
    if words[0] == "emulate" and chosen.get("run"):
        require_understood(shlex.split(chosen["run"])[1:], monkeypatch)


def no_node() -> str:
    """What keeps the documentation's JavaScript from running here; "" for nothing."""
    if shutil.which("node") is None:
        return "there is no node"
    own = ["node", "-e", "process.exit(require('zlib').zstdDecompressSync ? 0 : 1)"]
    if shutil.which("zstd") is None and subprocess.run(own, check=False).returncode != 0:
        return "node is older than 22.15, and there is no program zstd"
    return ""


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("page", sorted(p.relative_to(ROOT) for p in markdown_files()), ids=str)
def test_every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading(page: Path) -> None:
    text = without_code((ROOT / page).read_text())
    for link in re.findall(r"\]\(([^()\s]+)\)", text):
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue  # another site
        path, _, anchor = link.partition("#")
        target = (ROOT / page.parent / path).resolve() if path else ROOT / page
        assert target.exists(), f"{page}: {link}: no such file"
        assert target.is_relative_to(ROOT), f"{page}: {link} leaves the repository"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{page}: {link}: no such heading"


def test_anchors_are_those_that_github_gives_to_headings() -> None:
    text = "# `--on`: a bench's 2nd run_id\n\n```text\n# a comment\n```\n## See [this](page.md)\n## See this\n"
    assert anchors(text) == {"--on-a-benchs-2nd-run_id", "see-this", "see-this-1"}


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, by GitHub's rules: lower case, no punctuation, equal ones numbered."""
    names: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).strip().replace(" ", "-")
        names.append(f"{name}-{names.count(name)}" if name in names else name)
    return set(names)
