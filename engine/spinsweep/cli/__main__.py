"""``python -m spinsweep.cli`` is the command ``spinsweep``."""

from spinsweep.cli import script

script()
