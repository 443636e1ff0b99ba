"""The table of the documentation counts the lines of the programs that were run."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.peers.compare import MISTAKES, PROGRAMS, lines

PAGE = Path(__file__).parents[2] / "sweeps/NOTEBOOK.md"


def test_the_table_says_how_many_lines_each_program_has_and_has_a_row_for_each_mistake() -> None:
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines() if "|" in line]
    table = rows[next(i for i, row in enumerate(rows) if len(row) == 5) :]

    assert [name.split(" ")[0] for name in table[0][1:]] == [name.split(" ")[0] for name in PROGRAMS]
    assert table[2] == ["lines", *(str(lines(program)) for program in PROGRAMS.values())]
    assert len(table) == 3 + len(MISTAKES)


def test_each_mistake_changes_each_program_into_another_one() -> None:
    for program in PROGRAMS.values():
        for mistake in MISTAKES:
            changed = mistake.change(program)
            ast.parse(changed)
            assert (changed == program) == (mistake.title == "none" or mistake.kill_after > 0)
