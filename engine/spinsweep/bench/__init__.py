"""Instruments on a bench: its file, drivers, journal, lease and guard. pyvisa is imported by ``visa.py`` only."""

INSTRUMENT = "instrument"
"""Dask resource of the workers that own a bench."""
