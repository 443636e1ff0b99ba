"""Random streams by address: root seed, sweep, stream name and coordinates give the stream, and nothing else.

The address is hashed (BLAKE2b, 128 bits) to the key of a counter-based generator (Philox 4x64-10: J. K. Salmon
et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011). No result can depend on the number of workers,
the cut into blocks, the order, the attempt or on other values on an axis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from spinsweep.axis import Value, key


def address(root_seed: int, sweep: str, stream: str, coords: Mapping[str, Value]) -> str:
    """The text that names a stream; axes in alphabetical order."""
    # true and false count as 1 and 0, which they were on axes before they could be themselves
    keys = ((name, key(int(value) if isinstance(value, bool) else value)) for name, value in coords.items())
    return json.dumps([root_seed, sweep, stream, sorted(keys)])


def generator(root_seed: int, sweep: str, stream: str, coords: Mapping[str, Value]) -> np.random.Generator:
    """A generator at the start of the stream of that address; ``coords`` holds canonical values."""
    digest = hashlib.blake2b(address(root_seed, sweep, stream, coords).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
