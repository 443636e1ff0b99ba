"""Sections that rest on another one: two roles that one instrument plays, and an instrument behind another.

``shares = "source"`` says that the instrument of the source plays this role too: one address, one link, one owner.
``behind = "source"`` says that this one hangs at the serial port of the source's, which relays (:mod:`.relay`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spinsweep.bench.capabilities import Driver
from spinsweep.bench.drivers import driver
from spinsweep.bench.errors import BenchError
from spinsweep.bench.relay import Relay
from spinsweep.bench.section import LINK_KEYS, InstrumentSection


def with_owners(bench: Mapping[str, Any], auxiliary: str) -> dict[str, Any]:
    """A bench file whose sections that rest on another have what that one says of where it is.

    Parameters
    ----------
    bench
        The bench file as a mapping, not yet checked.
    auxiliary
        The key of the table of further instruments, by name.

    Raises
    ------
    BenchError
        There is no such section, it rests on another itself, or both say where the instrument is and differ.
    """
    sections = {**_tables(bench), **_tables(bench.get(auxiliary))}

    def whole(role: str, section: Any) -> Any:
        if not isinstance(section, Mapping):
            return section
        for key, taken in (("shares", (*LINK_KEYS, "serial")), ("behind", ("resource",))):
            if section.get(key):
                return _with_owner(role, section, key, taken, sections)
        return section

    completed = {role: whole(role, section) for role, section in bench.items()}
    if isinstance(bench.get(auxiliary), Mapping):
        completed[auxiliary] = {role: whole(role, section) for role, section in bench[auxiliary].items()}
    return completed


def _with_owner(
    role: str, section: Mapping[str, Any], key: str, taken: tuple[str, ...], sections: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    name = section[key]
    owner = sections.get(name) if isinstance(name, str) and name != role else None
    if owner is None or "driver" not in owner:
        raise BenchError(f"{role}: {key} = {name!r}; it is the name of another instrument's section, such as source")
    if owner.get("shares") or owner.get("behind"):
        raise BenchError(f"{role}: {key} = {name!r}, which itself rests on another; name that one")
    if key == "shares" and section.get("driver") != owner["driver"]:
        raise BenchError(
            f"{role}: driver {section.get('driver')!r}; with shares = {name!r} it is that of the instrument, "
            f"{owner['driver']!r}"
        )
    its = {k: owner[k] for k in taken if k in owner}
    for other in its:
        if section.get(other, its[other]) != its[other]:
            raise BenchError(f"{role}: {other} {section[other]!r} is not that of {name}; with {key}, leave it out")
    return {**section, **its}


def _tables(raw: Any) -> dict[str, Mapping[str, Any]]:
    items = raw.items() if isinstance(raw, Mapping) else ()
    return {name: table for name, table in items if isinstance(table, Mapping)}


def sharing_problems(role: str, instruments: Mapping[str, InstrumentSection]) -> Iterator[str]:
    """What contradicts itself in how a section rests on another, one line each, without the role."""
    section = instruments[role]
    if section.shares and section.behind:
        yield "shares and behind; an instrument that plays another role is not behind it"
        return
    if section.shares and not hasattr(driver(section.driver), "sharing"):
        yield f"shares: driver {section.driver!r} plays one role alone; give the {role} an instrument of its own"
    if section.behind and relay_of(driver(instruments[section.behind].driver)) is None:
        owner = instruments[section.behind].driver
        yield f'behind = "{section.behind}": driver {owner!r} relays to no other instrument'
    if section.behind and section.adapter:
        yield f"adapter: the messages go through the {section.behind}; leave it out"


def relay_of(chosen: type[Driver]) -> Relay | None:
    """How an instrument relays; None if it does not."""
    return getattr(chosen, "relay", None)
