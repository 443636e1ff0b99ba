"""Persistence: the switching curve of each device again after a week (Fig. S4 of the paper)."""
