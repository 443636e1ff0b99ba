"""The reference of the command line, from the commands themselves: what ``--help`` says of each."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from pages.text import code, plain
from spinsweep.cli.app import app

INTRODUCTION = """# Commands

What `spinsweep COMMAND --help` says of every command, with those of the packages that were installed when these pages
were made.
"""


def page() -> str:
    """The page of all commands, as Markdown."""
    return "\n".join([INTRODUCTION, *(section(words, command) for words, command in commands())])


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be typed, with the words that call it; a group stands before what it holds."""
    names = [*(c.name for c in app().registered_commands), *(g.name for g in app().registered_groups)]
    for name in names:  # each is loaded when it is the one that was typed
        root: Any = typer.main.get_command(app(str(name)))
        yield from _within(("spinsweep", str(name)), root.commands[name])


def _within(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _within((*words, name), inner)


def section(words: tuple[str, ...], command: Any) -> str:
    """One command: usage, what it does, arguments and options."""
    context = typer.Context(command, info_name=" ".join(words))
    usage = f"```text\n{' '.join([*words, *command.collect_usage_pieces(context)])}\n```\n"
    parts = [f"{'#' * len(words)} {' '.join(words)}\n", usage, _help(command.help or "")]
    for kind, heading in (("argument", "Arguments"), ("option", "Options")):
        of_kind = [p for p in command.get_params(context) if p.param_type_name == kind and p.name != "help"]
        records = [record for p in of_kind if (record := p.get_help_record(context))]
        if records:
            parts.append(f"**{heading}**\n")
            parts += [
                f"{code(name)}\n: {plain(' '.join(said.split())) or 'No more is said.'}\n" for name, said in records
            ]
    return "\n".join(parts)


def _help(text: str) -> str:
    """The paragraphs of a command's help; an example is a block of code."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).replace("\b", "").split("\n\n"):
        if lines := re.match(r"Examples?:\s+(.*)", paragraph, re.S):
            examples = "\n".join(line.strip() for line in lines[1].splitlines())
            paragraphs.append(f"```text\n{examples}\n```\n")
        else:
            paragraphs.append(plain(paragraph) + "\n")
    return "\n".join(paragraphs)
