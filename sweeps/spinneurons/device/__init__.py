"""The Hall bar as all experiments see it: card, physics, pulse protocol, fit, figure style.

``card`` the parameters and where each comes from; ``link`` the two switching curves; ``model`` numbers from
the card; ``protocol`` (fast) and ``reference`` (slow, as it reads) reset-read-write-read cycles, and what the
readings decide; ``fit`` a curve to counts; ``linear`` a line against width; ``style`` the look of the
figures.
"""
