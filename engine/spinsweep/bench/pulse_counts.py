"""How many pulses each device has had in its life; nothing is fired when that is not known.

A device that has a serial number takes its count along, whichever bench and account it hangs on: the count is a file
in the folder ``lease`` of the bench file, which a laboratory shares, else in that of the account.  The count of any
other device is the bench's, by the device's name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinsweep.bench.bench_file import Bench, state_root
from spinsweep.bench.errors import BenchError, LimitError
from spinsweep.bench.parts import Device
from spinsweep.disk import file_lock, write_whole


def pulses(bench: Bench) -> dict[str, int]:
    """Pulses of each device so far in its life, by name; at most one train too many.

    Raises
    ------
    BenchError
        A file that counts them is damaged, or gone though something is known of it.
    """
    by_name, known = _of_bench(bench), _known_serials(bench)
    counted = dict(by_name)
    for device in bench.device:
        if device.serial:
            file = _file(bench, device)
            number = _number(file)
            if number is None and device.serial in known:
                raise BenchError(
                    f"{file} is gone, so the number of pulses of device {device.serial} is not known; write it into "
                    f'that file, as {{"pulses": {known[device.serial]}}}. No pulse is sent until then.'
                )
            if number is None:  # a device that had no serial number yet keeps what its name has, if no other had it
                number = 0 if device.name in _names(bench) else counted.get(device.name, 0)
            counted[device.name] = number
    return {name: number for name, number in counted.items() if number or name in by_name}


def add(bench: Bench, planned: Mapping[str, int]) -> None:
    """Add pulses that are going to be fired; on disk before this returns.

    Raises
    ------
    LimitError
        A device would get more than its ``max_pulses``; nothing was added.
    """
    counted = pulses(bench)
    for name, more in planned.items():
        total = counted.get(name, 0) + more
        most = bench.limits_of(bench.named(name)).max_pulses
        if total > most:
            raise LimitError(
                f"device {name}: {total} pulses in its life with this train, limits.max_pulses is {most}"
            )
        counted[name] = total
    # a train's journal is on the disk before it is fired, and so are its pulses
    serials = {name: bench.named(name) for name in planned if bench.named(name).serial}
    for name, device in serials.items():
        _add_to_file(_file(bench, device), planned[name], counted[name])
    if serials:
        known = _read(_serials_path(bench)) or {}
        known |= {d.serial: {"name": name, "pulses": counted[name]} for name, d in serials.items()}
        write_whole(str(_serials_path(bench)), json.dumps(known).encode(), sync=True)
    write_whole(str(_path(bench)), json.dumps(counted).encode(), sync=True)


def wear(bench: Bench) -> dict[str, Any]:
    """Pulses of the bench's devices in their life, and which of them is nearest to its limit, and how near."""
    counted = pulses(bench)
    wear = {d.name: counted.get(d.name, 0) / bench.limits_of(d).max_pulses for d in bench.device}
    worn = max(wear, key=lambda name: wear[name])
    return {"bench": bench.name, "pulses": sum(counted.values()), "worn": worn, "wear": wear[worn]}


def _add_to_file(file: Path, more: int, least: int) -> None:
    """Add to a device's own count, which another bench may do as well."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(file.with_suffix(".lock"), flags=os.O_RDWR | os.O_CREAT):
        total = max((_number(file) or 0) + more, least)
        write_whole(str(file), json.dumps({"pulses": total}).encode(), sync=True)


def _of_bench(bench: Bench) -> dict[str, int]:
    """What the bench's own folder counts, by name of the device."""
    path, problem = _path(bench), "is damaged"
    counted = None
    try:
        counted = json.loads(path.read_bytes())
    except FileNotFoundError:
        problem = "is gone"
        if not any(b'"op":"intent"' in j.read_bytes() for j in (bench.folder / "journal").glob("*.jsonl")):
            return {}
    except ValueError:
        pass
    if not isinstance(counted, dict) or not all(isinstance(n, int) and n >= 0 for n in counted.values()):
        raise BenchError(
            f"{path} {problem}, so the number of pulses that the devices have had is not known; write "
            f'it into that file, as {{"{bench.device[0].name}": 1200}} (the journals beside it say what was fired). '
            "No pulse is sent until then."
        )
    return counted


def _number(file: Path) -> int | None:
    """A device's own count; None if there is none yet."""
    said = _read(file)
    if said is None:
        return None
    number = said.get("pulses")
    if isinstance(number, int) and number >= 0:
        return number
    raise BenchError(
        f"{file} is damaged, so the number of pulses of its device is not known; write it into that file, as "
        '{"pulses": 1200}. No pulse is sent until then.'
    )


def _read(file: Path) -> dict[str, Any] | None:
    """A mapping in a file; None if there is no file, and empty if it holds none."""
    try:
        said = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _known_serials(bench: Bench) -> dict[str, int]:
    """Pulses by serial number, as far as this bench has added to them."""
    return {serial: entry["pulses"] for serial, entry in (_read(_serials_path(bench)) or {}).items()}


def _names(bench: Bench) -> set[str]:
    """Names under which devices with serial numbers have hung on this bench."""
    return {entry["name"] for entry in (_read(_serials_path(bench)) or {}).values()}


def _path(bench: Bench) -> Path:
    return bench.folder / "pulses.json"


def _serials_path(bench: Bench) -> Path:
    return bench.folder / "pulses-by-serial.json"


def _file(bench: Bench, device: Device) -> Path:
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", device.serial)[:40]
    digest = hashlib.sha256(device.serial.encode()).hexdigest()[:8]
    folder = Path(bench.lease).expanduser() if bench.lease else state_root()
    return folder / "devices" / f"{readable}-{digest}.json"
