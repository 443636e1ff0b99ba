"""Build the documentation: ``python -m pages [OUTPUT]``."""

from __future__ import annotations

import argparse
import html
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from pages import api, commands, installed, messages, models, sources

ROOT = Path(__file__).resolve().parents[3]
START = '<!doctype html><meta charset="utf-8"><title>{0}</title><meta http-equiv="refresh" content="0; url={1}">\n'


def reference() -> dict[str, str]:
    """The pages that are made from the code, by their path below ``engine/docs/reference``."""
    return {
        "commands.md": commands.page(),
        "card.md": models.cards(),
        "bench-file.md": models.bench_file(),
        "cluster-file.md": models.cluster_file(),
        "installed.md": installed.page(),
        "messages.md": messages.page(),
        **{f"api/{name}.rst": text for name, text in api.pages()},
    }


def build(output: Path, source: Path) -> int:
    """Build the pages of this version in a folder of ``output``; the exit status, not 0 if there is any warning."""
    made = sources.copied(ROOT, source)
    for name, text in reference().items():
        made.add(sources.written(source / "engine/docs/reference" / name, text.encode()))
    for stale in {file for file in source.rglob("*") if file.is_file()} - made:
        stale.unlink()
    folder = output / version("spinsweep")
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--write-all", "-j", "auto", "-b", "html"]
    shutil.rmtree(folder, ignore_errors=True)  # no page of before stays
    status = sphinx(
        [*options, "-c", str(Path(__file__).parent), "-d", str(source.with_name("trees")), str(source), str(folder)]
    )
    if status == 0:
        (folder / "index.html").write_text(START.format("spinsweep", "engine/docs/index.html"))
        (output / "index.html").write_text(versions(output))
    return status


def versions(output: Path) -> str:
    """A page of all versions that lie in a folder, the newest first."""
    names = sorted((page.parent.name for page in output.glob("*/index.html")), key=_numbers, reverse=True)
    items = "".join(f'<li><a href="{html.escape(name)}/index.html">{html.escape(name)}</a>\n' for name in names)
    return f'<!doctype html><meta charset="utf-8"><title>spinsweep</title><h1>spinsweep</h1>\n<ul>\n{items}</ul>\n'


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m pages", description="Build the documentation.")
    parser.add_argument("output", type=Path, nargs="?", default=ROOT / "build/docs", help="default: build/docs")
    folder = parser.parse_args().output.absolute()
    sys.exit(build(folder, ROOT / "build/docs-source"))
