"""``spinsweep.run`` for scripts and notebooks: shows progress and notes, and raises where cells failed."""
