"""The repository's own pages, copied to where Sphinx reads: Markdown, notebooks, and the files that they show."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LEFT_OUT = ("tests/doors", "engine/spinsweep/deployment", ".ci", ".github")
"""Folders whose Markdown files belong to what lies beside them, and are no pages."""
FOLDERS = ("cluster", "engine", "results", "sweeps", "tests")
"""Those that have pages. In others may lie what somebody has made, such as captions of figures."""
LINK = re.compile(r"(?P<shown>!?\[(?:[^][]|\[[^][]*\])*\])\((?P<target>[^()\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`(?!\])", re.M | re.S)
LINK_OR_CODE = re.compile(f"(?P<code>{CODE.pattern})|{LINK.pattern}", re.M | re.S)


def pages(root: Path) -> list[Path]:
    """The Markdown files and notebooks of the repository that are pages, relative to it."""
    where = [":(glob)*.md", *(f"{folder}/*.{kind}" for folder in FOLDERS for kind in ("md", "ipynb"))]
    names = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *where]
    listed = subprocess.run(names, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(Path(name) for name in listed if not name.startswith(LEFT_OUT) and (root / name).exists())


def copied(root: Path, folder: Path) -> set[Path]:
    """Copy the pages and what they link to; the files that lie in ``folder`` then."""
    made = set()
    for page in pages(root):
        text = (root / page).read_text()
        if page.suffix == ".ipynb":
            text, images = markdown(json.loads(text), page)
            made.add(written(folder / page, (root / page).read_bytes()))
            for name, content in images.items():
                made.add(written(folder / page.parent / name, content))
        for file in linked(text, page.parent, root):
            made.add(written(folder / file, (root / file).read_bytes()))
        made.add(written(folder / page.with_suffix(".md"), with_links_to_pages(text, root / page.parent).encode()))
    return made


def written(file: Path, content: bytes) -> Path:
    """Write a file, unless it holds just that: Sphinx makes only pages anew whose source is newer."""
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return file


def linked(text: str, folder: Path, root: Path) -> Iterator[Path]:
    """The files of the repository, other than pages, to which a page in ``folder`` links."""
    for link in LINK.finditer(CODE.sub("", text)):
        target = (root / folder / link["target"].partition("#")[0]).resolve()
        if target.is_file() and target.is_relative_to(root) and target.suffix not in (".md", ".ipynb"):
            yield (root / folder / link["target"].partition("#")[0]).parent.resolve().relative_to(root) / target.name


def with_links_to_pages(text: str, folder: Path) -> str:
    """A link to a folder leads to its page, and one to a notebook to the page made of it.

    Where a folder has no page, what the link shows stays without it.
    """

    def other(link: re.Match[str]) -> str:
        if link["code"]:
            return link["code"]
        target = folder / link["target"]
        if target.suffix == ".ipynb" and target.exists():
            return f"{link['shown']}({link['target'].removesuffix('.ipynb')}.md)"
        if (target / "README.md").exists():
            return f"{link['shown']}({link['target'].rstrip('/')}/README.md)"
        return link["shown"][1:-1] if target.is_dir() else link[0]

    return LINK_OR_CODE.sub(other, text)


def markdown(notebook: Any, page: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its figures by file name: text, code, and what the code printed and drew."""
    parts, images = list[str](), dict[str, bytes]()
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            # a command of the shell is no Python
            language = "text" if re.search(r"^[!%]", source, re.M) else "python"
            source = f"```{language}\n{source}\n```"
        parts.append(source)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{page.stem}-{number}.png"
                images[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![What the code draws]({name})")
            elif text := "".join(output.get("text", data.get("text/plain", ()))).rstrip():
                parts.append(f"```text\n{text}\n```")
    where = f"[This page as a notebook](path:{page.name})"
    return "\n\n".join([*parts, where]) + "\n", images
