"""JSON: an object a line, an array of objects, or an object of arrays."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from spinneurons.logs.frames import reading, table
from spinneurons.logs.table import LogTable
from spinneurons.logs.text import opened


class Json:
    """``.json``, ``.jsonl``."""

    suffixes = (".json", ".jsonl", ".ndjson")

    def reads(self, start: bytes) -> bool:
        """Whether it begins as an object or as an array of objects."""
        text = start.lstrip()
        return text.startswith(b"{") or (text.startswith(b"[") and text[1:].lstrip().startswith(b"{"))

    def read(self, path: Path) -> LogTable:
        """All fields of all objects; one that an object lacks is lost there."""
        with opened(path) as file:
            content = file.read()
        with reading(path, "JSON"):
            try:
                records = json.loads(content)
            except json.JSONDecodeError:
                records = [json.loads(line) for line in content.splitlines() if line.strip()]
            frame = pd.DataFrame(records)
        return table(path, {str(name): frame[name].to_numpy() for name in frame}, "JSON")
