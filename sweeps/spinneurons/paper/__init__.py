"""The paper in one place: every sweep, every figure, and every claim with its interval and a verdict.

``plan`` which sweeps with which settings, and which of their figures, as ``plan.toml`` has them; ``claim`` what a
claim is and how it is judged; ``claims`` all of them, whose texts and rules stand in ``claims.toml``;
``device_findings``, ``network_findings``, ``loop_findings`` and ``magnet_findings`` our numbers; ``texts`` what a
report says beside them, from ``texts.toml``; ``report`` how it is made up, ``markdown`` and ``webpage`` its two
forms, ``write`` its files; ``commands`` the verb ``spinsweep paper``.
"""
