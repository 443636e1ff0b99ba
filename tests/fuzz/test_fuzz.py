"""The short part of ``make fuzz``: a few cases of every kind, each time the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import KINDS, place, run

CASES = {"values": 1000, "files": 300, "logs": 150, "descriptions": 60, "cells": 300, "commands": 12, "roots": 8}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")  # of NumPy and xarray, on what they are given
def test_bad_input_is_refused_in_one_line_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    with place(tmp_path / "cases"):
        for case in range(CASES[kind]):
            try:
                run(kind, f"0/{case}", tmp_path / "cases")
            except Exception as error:
                error.add_note(f"python tests/fuzz/campaign.py --seed 0 --kind {kind} --case {case}")
                raise
