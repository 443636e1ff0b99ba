"""The paper in one place: every sweep, every figure, and every claim with its interval and a verdict.

``plan`` which sweeps with which settings, and which of their figures; ``claim`` what a claim is and how it is judged;
``device_claims``, ``network_claims``, ``loop_claims`` and ``magnet_claims`` the claims themselves, joined in
``claims``; ``conventions`` where the text contradicts itself and what was chosen; ``report`` Markdown and HTML;
``commands`` the verb ``spinsweep paper``.
"""
