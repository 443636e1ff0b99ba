"""Hysteresis loops of the Hall bars against perpendicular field and write current (Fig. 1(d), 2(b) of the paper)."""
