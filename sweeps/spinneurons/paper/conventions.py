"""Where the paper's text contradicts itself or leaves something open, and what was chosen here."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """One such place."""

    where: str
    text: str
    """What the paper says, in our words."""
    chosen: str
    """What is done here, and where it is set."""


CONVENTIONS = (
    Convention(
        "main text, Fig. S6",
        "I0 = G0 V0 is a current that shrinks with the width in the main text, and without unit and growing in "
        "Fig. S6.",
        "`i0` is the scale current of the logistic curve, in A, and shrinks. What Fig. S6 shows is a gain, drawn "
        "as 1 mA/i0.",
    ),
    Convention(
        "Fig. 2(b), S3(b)",
        "Reset leaves the device in '−1' (main text, Fig. 2(b)) or in the state of high resistance '+1' (Fig. "
        "S3(b)).",
        "−1 is the low resistance, and reset goes there; `hall.reset_state` of the card and `polarity` of a bench "
        "file change it.",
    ),
    Convention(
        "equation S1, S2",
        "The Zeeman term of S1 has the cosine of the angle; S2 follows only with the sine (and with µ0).",
        "S2 is right, mz = √(1 − (Hx/Han)²), and is what is fitted; S1 is read with the sine.",
    ),
    Convention(
        "Fig. 3(b)",
        "The window is quoted from 0.01 % to 99.9 %, but 100 cycles at a current cannot show a share below 1 %.",
        "The window is that of the fitted curve, 16.117 i0 for a logistic: an extrapolation by construction.",
    ),
    Convention(
        "methods",
        "Contacts of Ti (5 µm)/Au (100 µm).",
        "Read as nm; no number here depends on it.",
    ),
    Convention(
        "main text, equation 3",
        "Devices differ by up to 25 % from one to another, while equation 3 has I(1 + ηx) with x from −1 to 1: ±25 "
        "%.",
        "Two knobs. The card's devices spread by ±12.5 % (`i_bias.spread`), so that two differ by 25 % at most; the "
        "network's η (`variation`) goes to 0.25 as in equation 3.",
    ),
    Convention(
        "Fig. S7",
        "Called micromagnetic, but equation S3 has a single domain.",
        "A macrospin, with spins along the easy axis: in the plane and with 200 Oe its probability does not reach 1.",
    ),
    Convention(
        "methods",
        "2 s between pulses: from the end of one to the start of the next action, or from pulse to pulse.",
        "2 s before and after each pulse, 9 s a cycle (`gap` of a bench file).",
    ),
    Convention(
        "methods, network",
        "Not stated: biases, the hidden activation, the input's scale, whether the second layer keeps its dropout "
        "factor.",
        "No biases, sigmoid, intensities from 0 to 1, factor 0.5 kept (`--set w2=raw` leaves it out, as "
        "the paper's probable simulator did; see the assumption *second layer*).",
    ),
)
