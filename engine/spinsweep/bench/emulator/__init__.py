"""Emulated instruments on loopback: a current source, a voltmeter and a relay matrix that share one bench.

``scpi`` and ``status`` are the language; ``instrument`` what all instruments have in common; ``source6221`` (with
``wave``), ``meter2000`` and ``switch7001`` the three; ``circuit`` the wires between them, with ``clock`` and
``exposure``;
``dut`` what hangs on the wires; ``faults`` what can go wrong; ``link`` the TCP ports; ``control`` the port for
tests; ``server`` all of it together.
"""
