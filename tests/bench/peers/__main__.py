"""Measure, and write the report: ``python -m tests.bench.peers [--rounds N] [--only a,c] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.peers import figure, quoted, report
from tests.bench.peers.turns import take_turns

COMPARISONS = {
    "a": "engine",
    "b": "network",
    "c": "macrospin",
    "d": "lane",
    "e": "reading",
    "f": "start",
}
"""A module each, whose ``tables`` are measured."""


def letters(text: str) -> list[str]:
    """Comparisons by their letters, in the order of the report; none: all."""
    asked = [letter.strip() for letter in text.split(",") if letter.strip()]
    unknown = [letter for letter in asked if letter not in COMPARISONS]
    if unknown:
        known = ", ".join(f"{letter} ({name})" for letter, name in COMPARISONS.items())
        raise argparse.ArgumentTypeError(f"there is no comparison {', '.join(unknown)}: choose from {known}")
    return [letter for letter in COMPARISONS if letter in asked or not asked]


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of rounds: say 1 or more")
    return int(text)


def compare(asked: Sequence[str], rounds: int, smallest: bool, data: dict[str, Any], out: Path) -> None:
    """Measure, and write what is there after each comparison."""
    for letter in asked:
        name, began = COMPARISONS[letter], time.monotonic()
        report.note_others(data, letter)
        print(f"({letter}) {name}: preparing", flush=True)
        with importlib.import_module(f"tests.bench.peers.{name}").tables(smallest) as tables:
            for table in tables:
                print(f"({letter}) {table.title}", flush=True)
                rows = take_turns(table, rounds, lambda text: print(text, flush=True))
                data["tables"].append(report.table_as_data(letter, table, rows))
                report.write(data, out)
        print(f"({letter}) {name}: {time.monotonic() - began:.0f} s", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--only", type=letters, default=letters(""), help="letters of comparisons, such as a,c")
    parser.add_argument("--smallest", action="store_true", help="sizes that only try the code")
    parser.add_argument("--out", type=Path, help="folder of the report; where all was measured, the README quotes it")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: page and figure from the numbers")
    options = parser.parse_args(arguments)
    whole = len(options.only) == len(COMPARISONS) and not options.smallest
    out = options.out or (report.RESULTS if whole else report.PARTIAL)
    if options.redraw:
        data = json.loads((out / f"{report.NAME}.json").read_text())
    else:
        data = report.described(options.rounds, options.smallest)
        compare(options.only, options.rounds, options.smallest, data, out)
    files = [*report.write(data, out), figure.draw(data, out)]
    if out == report.RESULTS:
        quoted.renew(data)
    print("written:", *files)
    return 0


if __name__ == "__main__":
    sys.exit(main())
