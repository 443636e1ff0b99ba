"""Endurance: 10,000 reset-write cycles of each device at its bias current (Fig. S5 of the paper)."""
