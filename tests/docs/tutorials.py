"""The tutorials, run from first to last cell: ``python -m tests.docs.tutorials [FILE]`` writes what comes out.

What a cell prints and draws stays in the notebook. Progress does not, and neither do the lines that say where a cube
is and how long it took.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "engine/docs/tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def executed(file: Path, folder: Path) -> Any:
    """The notebook with what its cells print and draw, run in an empty folder. The environment is the caller's."""
    notebook = nbformat.read(file, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, startup_timeout=120, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tags = cell.metadata.get("tags")
            cell.execution_count, cell.metadata = None, {"tags": tags} if tags else {}
            cell.outputs = _joined([kept for output in cell.outputs if (kept := _kept(output)) is not None])
    return notebook


def _kept(output: Any) -> Any:
    if output.output_type == "stream" and output.name == "stdout":
        plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", output.text).replace("\r\n", "\n")
        text = re.sub(r"^(cube|cells) .*\n", "", plain, flags=re.M)
        return nbformat.v4.new_output("stream", name="stdout", text=text) if text else None
    if output.output_type == "display_data" and "image/png" in output.data:
        return nbformat.v4.new_output("display_data", data={"image/png": output.data["image/png"]})
    return None


def _joined(outputs: list[Any]) -> list[Any]:
    """What was printed at one time comes in pieces, as it happens; here it is one."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def printed(notebook: Any) -> list[str]:
    """What each cell of code prints, but those with the tag ``varies``, which say times and addresses."""
    codes = [
        c for c in notebook["cells"] if c["cell_type"] == "code" and "varies" not in c["metadata"].get("tags", ())
    ]
    return ["".join("".join(output.get("text", "")) for output in cell["outputs"]) for cell in codes]


def environment(folder: Path) -> dict[str, str]:
    """Variables with which a notebook finds the commands, and writes below ``folder`` alone."""
    own = {name: folder / name.lower() for name in ("SPINSWEEP_CACHE", "SPINSWEEP_STATE", "SPINSWEEP_LOCKS")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "COLUMNS": "120", "TERM": "dumb"} | {name: str(value) for name, value in own.items()}


if __name__ == "__main__":
    os.environ.pop("PYTHONSAFEPATH", None)  # a kernel finds modules beside the notebook
    for file in map(Path, sys.argv[1:] or NOTEBOOKS):
        with tempfile.TemporaryDirectory() as temporary:
            os.environ |= environment(Path(temporary))
            (empty := Path(temporary) / "notebook").mkdir()
            made = executed(file, empty)
        file.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
