"""Emulated instruments on loopback that share one bench: a current source, a voltmeter and a relay matrix.

``description`` says what is emulated and ``server`` serves it.  ``scpi``, ``values`` and ``status`` are the language;
``instrument`` what all instruments have in common; ``keithley6221`` (with ``settings6221``, ``wave6221``,
``sweep6221`` and ``delta6221``), ``keithley2000`` (with ``settings2000`` and ``functions2000``) and ``keithley7001``
the three; ``circuit`` the wires between them, with ``clock`` and ``exposure``; ``dut`` what hangs on the wires;
``faults`` what can go wrong; ``link`` the TCP ports; ``control`` the port for tests; ``pages`` writes the pages about
commands and faults.

Other packages add instruments by the entry point group ``instrument_emulator.instruments``.
"""
