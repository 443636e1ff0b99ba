from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinsweep.bench import journal as journals
from spinsweep.bench.errors import BenchError
from spinsweep.bench.journal import Journal, head_of, path_of

PLAN = {"cycles": 4, "i_write": [1e-3, 0.1 + 0.2, 3.0, 4.0]}


def test_results_are_there_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "cube/cell", 1)
    journal.intend("a", PLAN)
    journal.fire("a", 0)
    journal.result("a", 0, [1.25e-4, -0.1])
    journal.close()
    again = Journal(tmp_path, "cube/cell", 2)
    assert again.trains["a"].results == {0: [1.25e-4, -0.1]}
    assert list(again.trains["a"].missing()) == [1, 2, 3]


def test_a_pulse_whose_lane_died_before_its_result_is_lost_and_never_fired_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    journal.fire("a", 1)
    journal.close()
    again = Journal(tmp_path, "key", 2)
    assert again.trains["a"].lost == {1: "the lane died with the pulse on its way"}
    assert list(again.trains["a"].missing()) == [0, 2, 3]
    with pytest.raises(BenchError, match="cannot be fired twice"):
        again.fire("a", 1)


def test_a_plan_that_another_processor_rounds_is_the_same_and_any_other_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    rounded = {**PLAN, "i_write": [1e-3, 0.3, 3.0, 4.0 * (1 + 1e-12)]}
    assert journal.intend("a", rounded).plan == PLAN
    for other in ([1e-3, 0.3, 3.0, 4.0 * (1 + 1e-8)], [1e-3, 0.3, 3.0], [1e-3, 0.3, 3.0, "4"]):
        with pytest.raises(BenchError, match="train 'a' was planned with a different i_write"):
            journal.intend("a", {**PLAN, "i_write": other})
    with pytest.raises(BenchError, match="train 'a' was planned with a different cycles"):
        journal.intend("a", {**PLAN, "cycles": 5})


def test_after_the_machine_went_down_all_cycles_without_a_result_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    journal.fire("a", 0)
    journal.result("a", 0, [1.0, 2.0])
    journal.close()
    monkeypatch.setattr(journals, "boot", lambda: "another boot")
    again = Journal(tmp_path, "key", 2)
    assert again.trains["a"].results == {0: [1.0, 2.0]}
    assert set(again.trains["a"].lost) == {1, 2, 3}


def test_a_half_written_last_row_is_cut_off_and_kept_aside(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"op":"result","epoch":1,"train":"a","cyc')
    again = Journal(tmp_path, "key", 2)
    assert list(again.trains["a"].missing()) == [0, 1, 2, 3]
    again.close()
    assert [json.loads(line)["op"] for line in again.path.read_text().splitlines()] == ["open", "intent", "open"]
    assert again.path.with_suffix(".torn-2").read_bytes().startswith(b'{"op":"result"')


def test_a_damaged_row_stops_everything_instead_of_forgetting_what_was_fired(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    for cycle in range(3):
        journal.fire("a", cycle)
        journal.result("a", cycle, [0.0, 1.0])
    journal.close()
    content = bytearray(journal.path.read_bytes())
    content[content.index(b'"fire"') + 1] = 0xFF
    journal.path.write_bytes(content)
    with pytest.raises(BenchError, match=r"jsonl: line 3 is not a valid journal entry"):
        Journal(tmp_path, "key", 2)
    assert journal.path.read_bytes() == content


@pytest.mark.parametrize(
    "row",
    [
        '{"op":"fire","epoch":1,"train":"a","cycle":"3"}',
        '{"op":"fire","epoch":1,"train":"never intended","cycle":3}',
        '{"op":"fire","epoch":1,"train":"a"}',
        '{"op":"sing","epoch":1,"train":"a"}',
        '{"op":"result","epoch":1,"train":"a","cycle":0,"volts":0.5}',
        '["op"]',
        "",
    ],
)
def test_a_row_that_means_nothing_is_told_by_its_line(tmp_path: Path, row: str) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    journal.close()
    with journal.path.open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(BenchError, match="line 3 is not a valid journal entry; repair or remove it"):
        Journal(tmp_path, "key", 2)


def test_rows_stand_in_the_file_as_they_always_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_now", lambda: "2026-11-24T12:00:00.000+00:00")
    monkeypatch.setattr(journals, "boot", lambda: "b")
    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="lab"))
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", {"cycles": 2, "i_write": [[1e-3], [0.5]]})
    journal.fire("a", 0)
    journal.result("a", 0, [-1e-5, 2.5e-5])
    journal.lose("a", 1, "stuck")
    journal.end("a")
    journal.close()
    stands = journal.path.read_text().splitlines()
    assert [re.sub(r',"previous":"[0-9a-f]*"}$', "}", line) for line in stands] == [
        '{"op":"open","format":1,"key":"key","epoch":1,"boot":"b","process":7,"host":"lab",'
        '"time":"2026-11-24T12:00:00.000+00:00"}',
        '{"op":"intent","epoch":1,"train":"a","plan":{"cycles":2,"i_write":[[0.001],[0.5]]},'
        '"time":"2026-11-24T12:00:00.000+00:00"}',
        '{"op":"fire","epoch":1,"train":"a","cycle":0}',
        '{"op":"result","epoch":1,"train":"a","cycle":0,"volts":[-1e-05,2.5e-05]}',
        '{"op":"lost","epoch":1,"train":"a","cycle":1,"reason":"stuck"}',
        '{"op":"end","epoch":1,"train":"a","time":"2026-11-24T12:00:00.000+00:00"}',
    ]


def test_each_row_names_the_hash_of_the_one_before(tmp_path: Path) -> None:
    written(tmp_path)
    lines = path_of(tmp_path, "key").read_bytes().splitlines()
    named = [json.loads(line)["previous"] for line in lines]
    assert named == ["", *(hashlib.sha256(line).hexdigest()[:16] for line in lines[:-1])]


def written(folder: Path) -> Path:
    """A journal of a train with results, closed."""
    journal = Journal(folder, "key", 1)
    journal.intend("a", PLAN)
    for cycle in range(2):
        journal.fire("a", cycle)
        journal.result("a", cycle, [0.0])
    journal.sync()
    journal.close()
    return journal.path


def edited(lines: list[bytes], how: str) -> list[bytes]:
    """The rows after somebody was at them."""
    match how:
        case "a row is taken out":
            return [*lines[:3], *lines[4:]]
        case "two rows change places":
            return [*lines[:2], lines[3], lines[2], *lines[4:]]
        case "a result is changed":
            return [line.replace(b"[0.0]", b"[0.1]") for line in lines]
        case "a row of another time is put in":
            return [*lines, b'{"op":"fire","epoch":1,"train":"a","cycle":3}']
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how", ["a row is taken out", "two rows change places", "a result is changed", "a row of another time is put in"]
)
def test_rows_that_somebody_changed_are_no_journal(tmp_path: Path, how: str) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    path.write_bytes(b"\n".join(edited(content.splitlines(), how)) + b"\n")
    words = "does not follow the one before it|is not a valid|is shorter than it was|was replaced"
    with pytest.raises(BenchError, match=words):
        Journal(tmp_path, "key", 2)
    path.write_bytes(content)
    Journal(tmp_path, "key", 2).close()


@pytest.mark.parametrize("how", ["deleted", "cut", "replaced"])
def test_a_journal_that_is_lost_between_runs_is_noticed_until_a_person_says_so(tmp_path: Path, how: str) -> None:
    path = written(tmp_path)
    if how == "deleted":
        path.unlink()
    elif how == "cut":
        path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:3]) + b"\n")
    else:
        other = written(tmp_path / "elsewhere")
        Journal(tmp_path / "elsewhere", "key", 2).close()
        other.replace(path)
    with pytest.raises(
        BenchError, match=r"(is gone|is shorter|was replaced).* remove .*-heads/.* No pulse is sent"
    ) as told:
        Journal(tmp_path, "key", 3)
    head_of(path).unlink()
    assert str(head_of(path)) in str(told.value)
    Journal(tmp_path, "key", 3).close()


@pytest.mark.parametrize("how", ["deleted", "cut", "written to"])
def test_a_journal_that_somebody_is_at_while_a_lane_writes_stops_the_next_pulse(tmp_path: Path, how: str) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    journal.fire("a", 0)
    if how == "deleted":
        journal.path.unlink()
    elif how == "cut":
        os.truncate(journal.path, 50)
    else:
        with journal.path.open("a") as file:
            file.write("{}\n")
    with pytest.raises(BenchError, match=r"was (deleted|changed) by another program while a lane writes to it"):
        journal.fire("a", 1)
    assert journal.trains["a"].fired == {0}
    journal.close()


def test_a_journal_from_before_there_was_a_chain_goes_on_and_has_one_from_then_on(tmp_path: Path) -> None:
    path = written(tmp_path)
    old = [re.sub(rb',"previous":"[0-9a-f]*"}$', b"}", line) for line in path.read_bytes().splitlines()]
    path.write_bytes(b"\n".join(old) + b"\n")
    head_of(path).unlink()
    journal = Journal(tmp_path, "key", 2)
    journal.fire("a", 2)
    journal.close()
    lines = path.read_bytes().splitlines()
    assert all(b"previous" not in line for line in lines[: len(old)])
    assert json.loads(lines[len(old)])["previous"] == hashlib.sha256(old[-1]).hexdigest()[:16]
    Journal(tmp_path, "key", 3).close()


def test_a_train_goes_on_only_as_it_was_intended(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "key", 1)
    journal.intend("a", PLAN)
    assert journal.intend("a", PLAN) is journal.trains["a"]
    with pytest.raises(BenchError, match="a different i_write"):
        journal.intend("a", {**PLAN, "i_write": [0.0] * 4})


def test_a_lane_with_an_old_epoch_cannot_open_a_newer_journal(tmp_path: Path) -> None:
    Journal(tmp_path, "key", 5).close()
    with pytest.raises(BenchError, match="newer than this one"):
        Journal(tmp_path, "key", 4)


def test_two_experiments_have_two_files_even_if_their_keys_look_alike(tmp_path: Path) -> None:
    assert journals.path_of(tmp_path, "a b") != journals.path_of(tmp_path, "a_b")


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["fire", "result", "end", "die", "tear"]), max_size=25))
def test_no_cycle_is_ever_fired_twice_and_no_result_is_ever_lost(tmp_path: Path, story: list[str]) -> None:
    folder = tmp_path / uuid4().hex
    epoch, fired, kept = 1, [], {}
    journal = Journal(folder, "key", epoch)
    journal.intend("a", PLAN)
    for word in story:
        left = list(journal.trains["a"].missing())
        under_way = [k for k in left if k in journal.trains["a"].fired]
        if word == "fire" and left and not under_way:
            journal.fire("a", left[0])
            fired.append(left[0])
        elif word == "result" and under_way:
            journal.result("a", under_way[0], [float(epoch), 0.5])
            kept[under_way[0]] = [float(epoch), 0.5]
        elif word == "end" and not left and not journal.trains["a"].ended:
            journal.end("a")
        elif word in ("die", "tear"):
            journal.close()
            if word == "tear":
                with journal.path.open("ab") as file:
                    file.write(b'{"op":"fi')
            epoch += 1
            journal = Journal(folder, "key", epoch)
    record = journal.trains["a"]
    assert len(fired) == len(set(fired))
    assert record.results == kept
    assert set(record.lost).isdisjoint(kept)
    journal.close()
