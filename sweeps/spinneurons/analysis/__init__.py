"""Plain functions for cubes: what one asks of any sweep's Dataset, over any of its axes.

``fits`` straight lines and how far values bend from them; ``lines`` one line through points; ``scatter`` the weights
of devices that differ and have errors; ``convergence`` where a curve has settled; ``pareto`` what no other point
beats; ``compare`` two cubes; ``units`` conversion.  What needs no fit is in ``spinsweep.analysis``.  The page
``sweeps/ANALYSIS.md`` shows each on a cube.
"""
