"""What made a number, as code: one digest of a function and of all of the user's own code that it reaches.

    identity = identify(sweep.function)
    identity.digest          # the same wherever the same code lies, however it was installed
    identity.parts           # {"mine:walk": ..., "mine:STEP": "= 0.5", "numpy": "2.4.6", "spinsweep": "0.1.0"}
    differences(identity.parts, others)   # ["mine.STEP is 0.5 there, 0.25 here"]

What counts, and as what:

- The user's own functions and classes: their syntax trees without comments, docstrings and positions (``syntax.py``);
  their bytecode only where there is no source.
- What these name: global values, closures, defaults, arguments of ``partial``, attributes of objects, by content
  (``values.py``). What cannot be looked into (a file, a lock) counts by its type, and a note says so.
- Whose a module is (``owner.py``): the user's own by content, however it was installed; the engine and packages of
  others by name and version; the standard library not at all, so that it is the same in Python 3.11 and 3.12.

Where a file lies never counts.
"""

from spinsweep.identity.owner import is_released, version
from spinsweep.identity.parts import Identity, differences
from spinsweep.identity.walk import identify, imported_here

__all__ = ["Identity", "differences", "identify", "imported_here", "is_released", "version"]
