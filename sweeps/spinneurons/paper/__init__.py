"""The paper in one place: every sweep, every figure, and every claim with its interval and a verdict.

``plan`` which sweeps with which settings, and which of their figures; ``claim`` what a claim is and how it is judged;
``claims`` all of them, whose texts and rules stand in ``claims.toml``; ``device_findings``, ``network_findings``,
``loop_findings`` and ``magnet_findings`` our numbers; ``conventions`` where the text contradicts itself and what was
chosen; ``report`` what a report says, ``markdown`` and ``webpage`` its two forms, ``write`` its files; ``commands``
the verb ``spinsweep paper``.
"""
