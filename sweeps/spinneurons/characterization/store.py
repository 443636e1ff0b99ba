"""What the commands on a characterization's cube check first."""

from __future__ import annotations

from pathlib import Path

from spinneurons.neurons.checked_fit import STATUSES
from spinsweep.cube import Cube
from spinsweep.errors import CubeError, SpecError


def characterization(store: str, purpose: str) -> Cube:
    """The cube, if it holds a characterization with all outputs that this version writes.

    Raises
    ------
    CubeError
        It holds another sweep (``purpose`` says what one would be good for), or was made before an output was added.
    """
    cube = Cube(store)
    if cube.attributes.sweep != "characterization":
        raise CubeError(f"{store} holds the sweep {cube.attributes.sweep}; {purpose}")
    outputs = cube.dataset()
    lacking = [name for name in ("fit_status", "level_count", "intermediate_share") if name not in outputs]
    if lacking:
        raise CubeError(f"{store} has no {', '.join(lacking)}: another version made it; run or import it again")
    if outputs["fit_status"].attrs.get("flag_meanings") != " ".join(STATUSES):
        raise CubeError(f"{store} has other meanings of fit_status: another version made it; run or import it again")
    return cube


def require_free(out: Path, option: str, example: str, *, force: bool) -> None:
    """Refuse to write over a file that may have been edited, or into a folder that is not there."""
    if out.is_dir():
        raise SpecError(f"{option} {out} is a folder; give a file in it, such as {out / example}")
    if not out.parent.is_dir():
        raise SpecError(f"{option} {out}: there is no folder {out.parent}; make it first")
    if out.exists() and not force:
        raise SpecError(f"{option} {out} is there already; give another name, or --force to write over it")
