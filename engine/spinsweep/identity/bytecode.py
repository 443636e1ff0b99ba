"""What a function is where its source is not there: its bytecode, which versions of Python write otherwise."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType

from spinsweep.identity.syntax import Chain, Syntax

_CALLABLE = frozenset((dis.opmap["LOAD_GLOBAL"],))  # its argument says in the lowest bit whether it is called
_PLAIN = frozenset(dis.opmap[n] for n in ("STORE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS") if n in dis.opmap)
_EXTENDED = dis.opmap["EXTENDED_ARG"]


def of_bytecode(code: CodeType, doc: str | None) -> Syntax:
    """Text and names of a function from its bytecode; its docstring is left out."""
    syntax, constants = Syntax(""), []
    for part in nested(code):
        constants += [ascii(c) for c in part.co_consts if not isinstance(c, CodeType | frozenset) and c != doc]
        constants += [ascii(sorted(map(ascii, c))) for c in part.co_consts if isinstance(c, frozenset)]
        syntax.text += f"{part.co_code.hex()} {part.co_names} {part.co_varnames} {part.co_freevars}"
        chain: Chain = ()
        for step in dis.get_instructions(part):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                chain = (step.argval,)
                syntax.names.append(chain)
            elif step.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
                chain = (*chain, step.argval)
                syntax.names.append(chain)
            elif step.opname not in ("PUSH_NULL", "PRECALL", "CACHE"):
                chain = ()
    syntax.text += "".join(constants)
    return syntax


def global_names(code: CodeType) -> set[str]:
    """Names that a function and those within it take from its module, or put there."""
    names: set[str] = set()
    for part in nested(code):
        extended = 0
        raw = part.co_code
        for offset in range(0, len(raw), 2):
            operation, argument = raw[offset], raw[offset + 1] | extended
            if operation == _EXTENDED:
                extended = argument << 8
                continue
            extended = 0
            if operation in _CALLABLE:
                names.add(part.co_names[argument >> 1])
            elif operation in _PLAIN:
                names.add(part.co_names[argument])
    return names


def nested(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)
