"""The pages about commands and faults say what the emulator does."""

from __future__ import annotations

import re

import pytest

from instrument_emulator.faults import KINDS
from instrument_emulator.instrument import Instrument
from instrument_emulator.pages import FOLDER, MODELS, commands_page, example, faults_page, source_of
from instrument_emulator.scpi import Command

RENEW = "run `python -m instrument_emulator.pages`"


def commands(model: type[Instrument]) -> list[Command]:
    return list(example(model).commands())


def test_the_page_of_commands_is_that_of_the_tables() -> None:
    assert (FOLDER / "COMMANDS.md").read_text() == commands_page(), RENEW


def test_the_page_of_faults_lists_all_and_no_other() -> None:
    page = (FOLDER / "FAULTS.md").read_text()
    assert page == faults_page(page), RENEW
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == list(KINDS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_command_says_what_it_was_checked_against(model: type[Instrument]) -> None:
    assert [c.pattern for c in commands(model) if not source_of(model, c.pattern)] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_source_is_of_a_command_that_is_gone(model: type[Instrument]) -> None:
    begun = {begin for begin in model.sources for c in commands(model) if c.pattern.startswith(begin)}
    assert begun == set(model.sources)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_action_says_what_it_does(model: type[Instrument]) -> None:
    settings = {setting.pattern for setting in model.settings}
    actions = [c for c in commands(model) if not c.pattern.endswith("?") and c.pattern not in settings]
    assert [c.pattern for c in actions if not c.does] == []
