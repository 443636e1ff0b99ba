"""What our numbers rest on."""

from __future__ import annotations

ASSUMPTIONS = {
    "card": "The devices are those of the default device card, not the authors': a logistic curve whose bias "
    "current and scale current i0 are straight lines against the width. The paper's text gives no absolute current "
    "or resistance.",
    "scale": "The scale of all currents is assumed: a bias current of 0.98 mA at 5 µm.",
    "r": "I_bias/i0, the ratio that says how much a deviation of the bias current matters, is assumed: 10 at 5 µm "
    "and 30 at 0.3 µm, between them as straight lines for both currents give. The paper's text gives no bias "
    "current to compute it from; these two keep what it says of Fig. 3(c). The macrospin of Fig. S7 has it the other "
    "way round: there the ratio falls as the magnet gets narrower.",
    "i0 ratio": "i0(5 µm)/i0(0.3 µm) = √50, derived from the paper's 50-fold energy.",
    "spread": "Bias currents deviate by ±12.5 % at each width (two devices by 25 % at most), i0 by ±10 %; both "
    "uniform, the shapes assumed.",
    "fair draws": "Each pulse is an independent draw with the probability of its curve: no wear, no noise from "
    "cycle to cycle but the draw itself.",
    "drift law": "The bias current walks at random by 0.5 % a week (standard deviation), one law for all devices.",
    "second layer": "The second layer is scaled by the dropout factor 0.5 for which it was trained (`w2=folded`). "
    "Without it (`w2=raw`) narrow bars lose less: at 0.3 µm and ±25 %, 68.8 % are left where the factor leaves 55.8 "
    "(means of the same five chips).",
    "one network": "One network, trained from one seed; three seeds differ by less than 0.1 points, which no "
    "interval contains.",
    "variation": "Equation 3 with one draw for each neuron and each weight of a chip: I(1 + ηx), x uniform on [−1, "
    "1).",
    "learning": "Learning rate, initial weights and number of epochs are ours; the paper's are not known.",
    "mean bias": "The devices in the loop are driven about the mean bias current of their width, not each about "
    "its own.",
    "quadruple": "The same four bars of the card (0.5 µm) in all seeds; seeds differ in images, weights and luck.",
    "single domain": "One magnetic domain, spins along the easy axis, assumed material and size; a real bar of "
    "these widths reverses by nucleation and motion of walls.",
    "pulse length": "Pulses of 1 to 100 ns in the integration; the paper's experiments take 100 µs.",
}
"""In a sentence, by a short name."""
