"""``python -m engine.cli`` is the command ``spinsweep``."""

from engine.cli import script

script()
