"""Names of the Dask worker resources that decide which worker a block goes to."""

CPU = "cpu"
"""Offered by workers that compute, so that no such work lands on a worker that owns equipment."""
EXCLUSIVE = "exclusive"
"""Offered by a worker that owns equipment, such as a bench: it takes one block at a time, of measured sweeps only."""
