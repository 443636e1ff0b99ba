"""The table of the documentation counts the lines of the programs that were run."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from tests.peers.compare import CELLS, MISTAKES, PROGRAMS, Mistake, lines, outcome

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


FAILED = r"exit status 1, 121 calls: .*SweepFailed.*2 of 120 cells failed: 2 .*; then: ends well, 3 calls"
SAYS = {
    "none": r"ends well, 121 calls",
    "the function says `nois` for `noise`": r"exit status 1, 0 calls: .*did you mean 'nois'.*; then: ends well, 121",
    "two cells raise": FAILED,
    "two cells return three numbers": FAILED,
    "the function uses a lock": r"exit status 1, 1 calls: .*'LOCK', cannot be sent.*; then: ends well, 121 calls",
}
"""What the column of spinsweep says, as the program says it: 121 calls, as one infers the outputs."""


@pytest.mark.parametrize(
    "mistake",
    [pytest.param(m, id=m.title, marks=[pytest.mark.slow] * ("raise" not in m.title)) for m in MISTAKES],
)
def test_the_column_of_spinsweep_is_what_happens(mistake: Mistake) -> None:
    happened = outcome(sys.executable, PROGRAMS["spinsweep"], mistake)
    if not mistake.kill_after:
        assert re.match(SAYS[mistake.title], happened), happened
        return
    called = re.fullmatch(r"killed after (\d+) calls; then: ends well, (\d+) calls", happened)
    assert called, happened
    before, again = map(int, called.groups())
    assert CELLS - before < again <= CELLS + 1, "what a kill interrupts is begun anew, and nothing that was kept"
