"""Anisotropy field of the Hall bars from the Hall resistance in an in-plane field (Fig. S1 of the paper)."""
