"""Persistence: the switching curve of each Hall bar again after a week (Fig. S4 of the paper)."""
