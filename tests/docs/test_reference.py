"""The reference has every command, every public name and every key of a file, as the code says them itself."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import typer

import spinsweep
from pages import api, commands, installed, messages, models, sources
from pages.docstrings import processed, with_formulas
from spinneurons.neurons.registry import find
from spinsweep.bench.parts import Part
from spinsweep.bench.section import InstrumentSection
from spinsweep.cli.app import app
from spinsweep.deployment.cluster_file import KINDS

ROOT = Path(__file__).parents[2]


def shown(text: str) -> str:
    """Markdown as it is shown."""
    return re.sub(r"\\([^\w\s])", r"\1", text)


def test_each_command_and_each_of_its_options_is_in_the_reference() -> None:
    page = commands.page()
    names = [str(c.name) for c in app().registered_commands] + [str(g.name) for g in app().registered_groups]
    assert {"run", "docs", "bench", "import", "cluster"} <= set(names), "the engine's own and those of packages"
    for name in names:
        _, found, rest = page.partition(f"\n## spinsweep {name}\n")
        assert found, f"{name} is missing"
        section = rest.partition("\n## ")[0]
        root: Any = typer.main.get_command(app(name))
        for command in everything(root.commands[name]):
            for parameter in command.params:
                for option in parameter.opts if parameter.param_type_name == "option" else ():
                    assert re.search(rf"^`[^`]*(?<![\w-]){option}(?![\w-])", section, re.M), f"{name} {option}"


def everything(command: Any) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from everything(inner)


def test_each_public_name_of_the_engine_is_in_the_reference() -> None:
    pages = dict(api.pages())
    for name in spinsweep.__all__:
        assert re.search(rf"^\.\. auto\w+:: spinsweep\.{name}$", pages["spinsweep"], re.M), name


def test_what_the_pages_import_is_in_the_reference_or_among_the_installed_sweeps() -> None:
    reference = "\n".join(text for _, text in api.pages())
    sweeps = {point.value.replace(":", ".") for point in entry_points(group="spinsweep.sweeps")}
    for page in (p for p in sources.pages(ROOT) if p.suffix == ".md"):
        for block in re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in (
                    "spinsweep",
                    "spinneurons",
                ):
                    for alias in node.names:
                        name = f"{node.module}.{alias.name}"
                        known = name in sweeps or re.search(rf":: {re.escape(name)}$", reference, re.M)
                        assert known or (name.startswith("spinsweep.") and name[10:] in spinsweep.__all__), (
                            page,
                            name,
                        )


def test_each_key_of_a_bench_file_is_in_the_reference() -> None:
    page = models.bench_file()
    sections = {model for model in subclasses(InstrumentSection) if model.__module__.startswith("spinsweep.bench.")}
    used = {section for section in sections if hasattr(section, "model")}
    for model in used | PARTS:
        for key in model.model_fields:
            assert f"| `{key}` |" in page, f"{model.__name__}: {key}"
    for point in entry_points(group="spinsweep.instruments"):
        assert f'driver = "{point.name}"' in page


PARTS = {model for model in Part.__subclasses__() if model.__module__ == Part.__module__}


def subclasses(model: type[Any]) -> Iterator[type[Any]]:
    for inner in model.__subclasses__():
        yield inner
        yield from subclasses(inner)


def test_each_key_of_a_cluster_file_is_in_the_section_of_its_kind() -> None:
    page = models.cluster_file()
    for kind, model in KINDS.items():
        section = next(part for part in page.split("\n## ") if kind in part.partition("\n")[0].split(", "))
        assert [key for key in model.model_fields if f"| `{key}` |" not in section] == [], kind


def test_each_section_and_each_key_of_a_card_is_in_the_reference() -> None:
    page = shown(models.cards())
    for point in entry_points(group="spinsweep.neurons"):
        [section] = [part for part in page.split("\n## ") if part.startswith(f"{point.name}\n")]
        card = {k: v for k, v in find(point.name).default().items() if isinstance(v, dict)}
        for name, entries in card.items():
            [part] = [part for part in section.split("\n### ") if part.startswith(f"[{name}]\n")]
            for key, entry in entries.items():
                [row] = [line for line in part.splitlines() if line.startswith(f"| `{key}` |")]
                assert entry["unit"] == "1" or f", {entry['unit']} |" in row, f"{name}.{key} says no unit"


def test_whatever_packages_add_is_in_the_reference() -> None:
    page = installed.page()
    for group in (*installed.GROUPS, "spinsweep.commands"):
        assert entry_points(group=group)
        for point in entry_points(group=group):
            assert f"| `{point.name}` |" in page, f"{group}: {point.name}"
    for point in entry_points(group="spinsweep.sweeps"):
        [section] = [part for part in page.split("\n### ") if part.startswith(f"{point.name}\n")]
        sweep = point.load()
        for thing in (*sweep.every_axis, *sweep.outputs, *sweep.parameters):
            assert f"| `{thing.name}` |" in section, f"{point.name}: {thing.name}"


@pytest.mark.parametrize("module", [module for modules in api.MODULES.values() for module in modules])
def test_each_public_module_says_what_it_is_and_each_of_its_names_too(module: str) -> None:
    names = api.names(module)
    loaded = __import__(module, fromlist=["*"])
    assert inspect.getdoc(loaded)
    assert names, f"{module} has no public name"
    assert [name for name in names if not inspect.getdoc(getattr(loaded, name))] == []


def test_a_formula_of_a_docstring_keeps_its_lines() -> None:
    text = [
        "It is",
        "",
        "    a = b * c",
        "    d = e",
        "",
        "and so on.",
        "",
        "Parameters",
        "----------",
        "x : what",
        "",
    ]
    assert list(with_formulas(text)) == ["It is", "", "::", "", *text[2:]]


def test_a_notebook_becomes_its_text_its_code_and_what_came_out() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "text"]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"text": ["1\n"]}, {"data": {"image/png": "QUJD"}}]},
    ]
    text, images = sources.markdown({"cells": cells}, Path("folder/page.ipynb"))
    assert text.startswith(
        "# Title\n\ntext\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n![What the code draws](page-1.png)"
    )
    assert images == {"page-1.png": b"ABC"}


def test_a_link_to_a_folder_leads_to_its_page_and_one_to_a_file_takes_the_file_along(tmp_path: Path) -> None:
    for name in ("with/README.md", "without/data.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")
    text = "[a](with), [b](without), [c](without/data.csv), [d](e.ipynb), `[f](without)`"
    (tmp_path / "e.ipynb").write_text("{}")
    made = sources.with_links_to_pages(text, tmp_path)
    assert made == "[a](with/README.md), b, [c](without/data.csv), [d](e.md), `[f](without)`"
    assert list(sources.linked(text, Path(), tmp_path)) == [Path("without/data.csv")]


@pytest.mark.parametrize("page", [models.cards, models.bench_file, models.cluster_file])
def test_each_key_says_what_it_means_what_it_takes_and_whether_it_may_be_left_out(page: Any) -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    assert [row for row in rows if not all(cell.strip() for cell in row.strip("|").split(" | "))] == []


def test_docstrings_become_text_that_sphinx_reads_as_it_is_written() -> None:
    lines = ["(*axes) of ``low``..``high``; None: |z| < 1"]
    processed(None, "attribute", "", None, None, lines)
    assert lines == ["..", "", "(\\*axes) of ``low``..\\ ``high``; None: \\|z\\| < 1"]
    alias = ["Alias for field number 3"]
    processed(None, "attribute", "", None, None, alias)
    assert alias == [], "a named tuple says nothing of the field"


def test_every_message_that_is_raised_is_in_the_reference_with_what_its_class_means() -> None:
    page = messages.page()
    assert "## CubeError\n\nA store cannot be used as it was asked to be; nothing was written." in page
    assert "… is locked); only one lane can own it: wait for it to end" in page
    assert page.count("\n| ") > 600
    types = set(re.findall(r"`spinsweep\.([A-Z]\w+)`", messages.INTRODUCTION))
    code = "".join(file.read_text() for file in (ROOT / "engine/spinsweep").rglob("*.py"))
    assert len(types) >= 6
    assert not {name for name in types if f'"spinsweep.{name}"' not in code}


def test_a_message_is_its_text_with_marks_for_what_is_put_in() -> None:
    raised = "raise E('{} is quite wrong with {}'.format(1, 2))\nraise SpecError(TEXT)\nraise ValueError"
    assert list(messages.messages(ast.parse(raised))) == [("E", "… is quite wrong with …")]
    assert list(messages.messages(ast.parse("raise CubeError(f'{a}{b}: holds nothing in {c}')"))) == [
        ("CubeError", "…: holds nothing in …"),
    ]
