"""Numbers that stay: values of every sweep, a bench's journal, an imported log, as they were when they were kept.

``values/`` holds them; ``python -m tests.golden.make`` computes them anew. ``api`` names what is asked of the
project, ``cases`` computes, ``record`` writes arrays down and compares them.

On the kind of processor that they came from, everything is equal to the last bit. On another kind, an output is
within the bound that its sweep declares, and what has no bound is equal. What a cube says of itself, and the
addresses of a journal, are always equal: a cube that cannot go on is lost, and a bench that does not find its trains
fires them again.
"""
