"""Instruments on a bench: its file, drivers, journal, lease, watchdog and lane. ``visa.py`` alone imports pyvisa."""
