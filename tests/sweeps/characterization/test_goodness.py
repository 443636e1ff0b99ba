"""How well a curve fits: against statsmodels, against chance, and against data that no curve fits."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from spinneurons.characterization.goodness import BAD_FIT, CLEAR, goodness, runs_test
from spinneurons.neurons.fit import fit
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC

CURRENTS = np.linspace(4e-4, 8e-4, 11)
BIAS, SCALE = 6e-4, 4e-5


def counts(n=30, law=LOGISTIC, seed=0, top=1.0):
    p = top * law.probability((CURRENTS - BIAS) / SCALE)
    return np.random.default_rng(seed).binomial(n, p), np.full(11, n)


def of(k, n, law=LOGISTIC):
    curve = fit(k, n, CURRENTS, law)
    others = [one for one in (LOGISTIC, CLOGLOG) if one.name != law.name]
    return goodness(k, n, CURRENTS, curve.i_bias, curve.i0, law, others)


def test_deviance_overdispersion_and_aic_are_those_of_statsmodels():
    k, n = counts()
    found, links = of(k, n), sm.families.links
    for law, link in ((LOGISTIC, links.Logit()), (CLOGLOG, links.CLogLog())):
        x = sm.add_constant((CURRENTS - 6e-4) / 1e-4)
        model = sm.GLM(np.column_stack([k, n - k]), x, family=sm.families.Binomial(link)).fit()
        assert found.aic[law.name] == pytest.approx(model.aic, rel=1e-9)
        if law is LOGISTIC:
            assert found.deviance == pytest.approx(model.deviance, rel=1e-9)
            assert found.overdispersion == pytest.approx(model.pearson_chi2 / model.df_resid, rel=1e-6)
    assert found.dof == 9


def test_large_counts_are_held_against_chi_square():
    n = np.full(6, 1000)
    current = np.linspace(5.4e-4, 6.6e-4, 6)
    k = np.random.default_rng(2).binomial(n, LOGISTIC.probability((current - BIAS) / SCALE))
    curve = fit(k, n, current)
    found = goodness(k, n, current, curve.i_bias, curve.i0, LOGISTIC)
    assert found.p_method == "chi-square"
    assert found.p_value == pytest.approx(stats.chi2.sf(curve.deviance, 4), rel=1e-9)
    assert np.isnan(found.detection)
    assert found.better_law == ""


@pytest.mark.parametrize("law", [LOGISTIC, CLOGLOG])
def test_a_right_curve_is_bad_as_often_as_its_p_value_says(law):
    p = [of(*counts(law=law, seed=seed), law).p_value for seed in range(60)]
    assert of(*counts(law=law), law).p_method == "parametric bootstrap"
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    assert min(p) > BAD_FIT


def test_a_curve_that_saturates_below_one_is_a_bad_fit():
    found = of(*counts(100, top=0.7))
    assert found.is_bad
    assert found.overdispersion > 3


def test_few_cycles_that_saturate_below_one_are_bad_by_the_bootstrap_too():
    k, n = counts(60, top=0.5, seed=3)
    k[:4] = 0
    found = of(k, n)
    assert found.p_method == "parametric bootstrap"
    assert found.p_value == pytest.approx(1 / 2000)
    assert found.is_bad


def test_the_better_law_is_told_only_where_the_data_can():
    told = [of(*counts(30, CLOGLOG, seed)).better_law for seed in range(40)]
    many = [of(*counts(3000, CLOGLOG, seed)).better_law for seed in range(5)]
    assert set(many) == {"cloglog"}
    assert "" in told
    share = np.mean([law == "cloglog" for law in told])
    assert share == pytest.approx(of(*counts(30, CLOGLOG), CLOGLOG).detection, abs=0.25)  # 40 data sets: +- 0.08


def test_the_better_law_has_the_smaller_aic_by_what_is_called_clear():
    found = of(*counts(300, CLOGLOG))
    first, second = sorted(found.aic.values())
    assert second - first >= CLEAR
    assert found.aic[found.better_law] == first


def test_a_goodness_is_a_function_of_its_own_counts():
    assert of(*counts()) == of(*counts())


def test_independent_pulses_pass_the_runs_test_whatever_the_trend():
    p = np.linspace(0, 1, 11)[:, None]
    outcomes = [np.random.default_rng(seed).random((11, 60)) < p for seed in range(200)]
    found = [runs_test(one, np.ones((11, 60), bool)) for one in outcomes]
    assert np.mean([one.p_value < 0.05 for one in found]) == pytest.approx(0.05, abs=0.05)
    assert all(5 <= one.currents <= 9 for one in found)


def test_pulses_that_depend_on_the_pulse_before_are_seen():
    rng = np.random.default_rng(0)
    sticky = np.zeros((3, 200), bool)
    for i in range(1, 200):
        again = rng.random(3) < 0.4
        sticky[:, i] = np.where(again, sticky[:, i - 1], rng.random(3) < 0.5)
    found = runs_test(sticky, np.ones_like(sticky))
    assert found.z < 0
    assert found.p_value < 1e-3
    alternating = runs_test(np.tile([True, False], (1, 50)), np.ones((1, 100), bool))
    assert alternating.z > 5


def test_lost_cycles_do_not_enter_the_runs_test():
    outcomes = np.random.default_rng(1).random((2, 80)) < 0.5
    valid = np.random.default_rng(2).random((2, 80)) < 0.8
    kept = np.stack([np.resize(o[v], 50) for o, v in zip(outcomes, valid, strict=True)])
    trimmed = valid & (np.cumsum(valid, axis=1) <= 50)
    assert runs_test(outcomes, trimmed) == runs_test(kept, np.ones((2, 50), bool))
    nothing = runs_test(outcomes, np.zeros((2, 80), bool))
    assert np.isnan(nothing.z)
    assert nothing.currents == 0
