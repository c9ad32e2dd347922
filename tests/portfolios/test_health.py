"""The health score: each component at its bar and beyond it, what improves it, what is not known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.facts import Facts, History
from portfolios.health import Health, advise, assess, combine_healths
from portfolios.health_rules import BANDS, RULES, Finding
from tests.portfolios.drifts import make_drift

SECTORS = ("Energy", "Materials", "Financials", "Utilities", "Industrials")
SESSIONS = 252


def make_facts(values: Mapping[int, float] | None = None, *, cash: float = 50_000.0, **changes: Any) -> Facts:
    """An account of 1,000,000 in twenty equal holdings over five sectors, as its plan asks."""
    held = dict(values) if values is not None else dict.fromkeys(range(20), 47500.0)
    total = cash + sum(held.values())
    rng = np.random.default_rng(5)
    market = rng.normal(0.0, 0.006, SESSIONS)
    keys = set(held) | set(range(20))
    facts = Facts(
        account_id=1,
        tolerance="balanced",
        cash=cash,
        values=held,
        prices=dict.fromkeys(keys, 50.0),
        symbols={key: f"S{key:02}" for key in keys},
        sectors={key: SECTORS[key % 5] for key in keys},
        cash_min=0.05,
        position_max=0.06,
        sector_max=0.35,
        threshold=0.0075,
        trade_min=1_000.0,
        plan={key: value / total for key, value in held.items()},
        plan_cash=cash / total,
        restricted={},
        stale=frozenset(),
        ranks={},
        unpriced=(),
        history=History(SESSIONS, {key: market + rng.normal(0, 0.002, SESSIONS) for key in keys}, market),
        drift=make_drift(),
    )
    return replace(facts, **changes)


def finding(name: str, facts: Facts) -> Finding:
    return RULES[name][1](facts)


def score(name: str, facts: Facts) -> float | None:
    return finding(name, facts).score


def test_an_account_in_order_has_a_hundred() -> None:
    found = advise(make_facts())
    assert found.score == 100.0
    assert found.steps == ()
    assert sum(part.weight for part in found.components) == 100


class TestComponents:
    @pytest.mark.parametrize(("name", "facts"), [(name, make_facts({}, cash=1e6)) for name in RULES])
    def test_what_is_not_known_says_why(self, name: str, facts: Facts) -> None:
        found = finding(name, facts)
        if found.score is None:
            assert found.sentence.endswith(".")
        else:
            assert name in {"cash", "drift"}

    def test_one_holding_is_not_spread(self) -> None:
        assert score("diversification", make_facts({1: 500_000.0})) == 0.0
        assert score("diversification", make_facts({1: 500_000.0, 2: 500_000.0})) == pytest.approx(
            50 * 1 / 14 + 50 * 1 / 4
        )

    def test_concentration_falls_to_nothing_at_twice_the_limit(self) -> None:
        # 6 % is the limit: 9 % is half-way to twice of it.
        values = {0: 90_000.0} | dict.fromkeys(range(1, 20), 860000.0 / 19)
        assert score("concentration", make_facts(values)) == pytest.approx(50.0)
        assert score("concentration", make_facts(values, position_max=0.09)) == pytest.approx(100.0)
        crowded = make_facts(sectors=dict.fromkeys(range(20), "Energy"), sector_max=0.5)
        assert score("concentration", crowded) == pytest.approx(100 * (2 - 0.95 / 0.5))

    def test_risk_is_measured_on_todays_weights(self) -> None:
        facts = make_facts()
        calm = finding("risk", facts)
        assert calm.score == 100.0
        wild = {key: 4 * returns for key, returns in facts.history.returns.items()}
        rough = replace(facts, history=History(SESSIONS, wild, facts.history.market))
        assert (score("risk", rough) or 0) < 50
        assert (score("risk", replace(rough, cash=9_000_000.0)) or 0) > 99, "cash calms"
        assert "CESR/10-673" in calm.bar

    def test_risk_needs_a_past(self) -> None:
        facts = make_facts()
        young = replace(facts, history=History(30, facts.history.returns, None))
        assert "60 are needed" in finding("risk", young).sentence
        gone = {key: facts.history.returns[key] for key in range(10)}
        partial = replace(facts, history=History(SESSIONS, gone, None))
        assert score("risk", partial) is None
        assert "50%" in finding("risk", partial).sentence

    def test_bands_rise_with_tolerance(self) -> None:
        low, middle, high = (BANDS[name] for name in ("conservative", "balanced", "growth"))
        assert low.volatility < middle.volatility < high.volatility
        assert low.drawdown < middle.drawdown < high.drawdown
        assert low.beta < middle.beta < high.beta

    @pytest.mark.parametrize(("cash", "expected"), [(0.0, 0.0), (25_000.0, 50.0), (50_000.0, 100.0), (1e5, 100.0)])
    def test_cash_under_its_floor(self, cash: float, expected: float) -> None:
        values = dict.fromkeys(range(20), (1000000 - cash) / 20)
        facts = make_facts(values, cash=cash, plan_cash=0.05)
        assert score("cash", facts) == pytest.approx(expected)

    def test_too_much_cash(self) -> None:
        facts = make_facts(dict.fromkeys(range(20), 22500.0), cash=550_000.0, plan_cash=0.05)
        assert score("cash", facts) == pytest.approx(100 * 0.45 / 0.9)

    def test_drift_within_the_threshold_is_none(self) -> None:
        facts = make_facts()
        assert facts.plan is not None
        near = {key: part + (0.005 if key % 2 else -0.005) for key, part in facts.plan.items()}
        assert score("drift", replace(facts, plan=near)) == 100.0
        assert score("drift", replace(facts, plan={key + 100: 0.0475 for key in range(20)})) == 0.0

    def test_quality_asks_whether_it_is_wanted(self) -> None:
        facts = make_facts({0: 50_000.0, 1: 50_000.0}, plan={})
        assert score("quality", facts) == pytest.approx(40.0)
        assert score("quality", replace(facts, ranks={0: 0.0, 1: 0.5})) == pytest.approx((100 + 75) / 2)
        assert score("quality", replace(facts, restricted={0: "ticker S00"}, stale=frozenset({1}))) == pytest.approx(15)


class TestScore:
    def test_unknown_components_are_left_out(self) -> None:
        facts = make_facts()
        no_past = replace(facts, history=History(0, {}, None))
        found = assess(no_past)
        assert found.score == 100.0
        (part,) = [one for one in found.components if one.score is None]
        assert part.name == "risk"

    def test_a_fresh_account_has_no_score_yet(self) -> None:
        found = assess(make_facts({}, cash=1e6, plan=None, plan_cash=None))
        assert found.score is None
        assert "too little is known" in (found.why or "")

    def test_without_a_price_there_is_no_score(self) -> None:
        found = advise(make_facts(unpriced=("DARK",)))
        assert found.score is None
        assert "DARK" in (found.why or "")

    @given(
        values=st.dictionaries(st.integers(0, 30), st.floats(1.0, 1e6), max_size=25),
        cash=st.floats(0.0, 1e6),
        limit=st.floats(0.01, 1.0),
    )
    def test_always_between_nothing_and_a_hundred(self, values: dict[int, float], cash: float, limit: float) -> None:
        found = advise(make_facts(values, cash=cash + 1.0, position_max=limit))
        for one in (found.score, *(part.score for part in found.components)):
            assert one is None or 0.0 <= one <= 100.0
        for step in found.steps:
            assert step.points > 0


class TestSteps:
    def test_sell_what_is_too_large(self) -> None:
        values = {0: 120_000.0} | dict.fromkeys(range(1, 20), 830000.0 / 19)
        found = advise(make_facts(values))
        step = next(one for one in found.steps if one.component == "concentration")
        # 6 % of 1,000,000 at 50 a share leave 1,200 shares of 2,400.
        assert step.text.startswith("Sell about 1,200 shares of S00")
        assert step.trades == (("S00", -1_200.0),)
        now = assess(make_facts(values)).score
        after = assess(make_facts(values).after({0: -1_200.0})).score
        assert now is not None
        assert after is not None
        assert step.points == pytest.approx(after - now, abs=0.11)
        assert step.score_after == after

    def test_sell_what_is_restricted(self) -> None:
        found = advise(make_facts(restricted={3: "sector Utilities"}, plan={k: 0.05 for k in range(20) if k != 3}))
        step = next(one for one in found.steps if one.component == "quality")
        assert "Sell all 950 shares of S03" in step.text
        assert "sector Utilities" in step.text

    def test_raise_cash_to_its_floor(self) -> None:
        values = dict.fromkeys(range(20), 49500.0)
        found = advise(make_facts(values, cash=10_000.0, plan_cash=0.05, plan=dict.fromkeys(range(20), 0.0475)))
        step = next(one for one in found.steps if one.component == "cash")
        assert step.text == "Sell about 800 shares of S00 to bring cash to its floor of 5.0%"

    def test_follow_the_target(self) -> None:
        facts = make_facts({0: 475_000.0, 1: 475_000.0}, plan=dict.fromkeys(range(20), 0.0475), plan_cash=0.05)
        trades = {0: -8_550, 1: -8_550} | dict.fromkeys(range(2, 20), 950)
        found = advise(replace(facts, drift=make_drift(trades)))
        assert found.steps[0].component == "drift"
        assert found.steps[0].text.startswith("Carry out the 20 trades that lead to the target")
        assert found.steps[0].score_after == 100.0

    def test_selling_calms(self) -> None:
        facts = make_facts(tolerance="conservative")
        wild = {key: 4 * returns for key, returns in facts.history.returns.items()}
        rough = replace(facts, history=History(SESSIONS, wild, facts.history.market), plan=None, plan_cash=None)
        step = next(one for one in advise(rough).steps if one.component == "risk")
        assert "more in cash" in step.text


class TestCombine:
    def test_accounts_count_by_their_value(self) -> None:
        good, bad = advise(make_facts()), advise(make_facts({0: 950_000.0}, plan={0: 0.95}))
        assert bad.score is not None
        both = combine_healths([good, bad], [3e6, 1e6])
        assert both.score == pytest.approx((3 * 100 + bad.score) / 4, abs=0.06)
        assert all(step.points <= one.points for step, one in zip(both.steps, bad.steps, strict=True))

    def test_an_account_without_a_score_is_said(self) -> None:
        none = Health(None, "too little is known", ())
        both = combine_healths([advise(make_facts()), none], [1e6, 1e6])
        assert both.score == 100.0
        assert both.why == "1 of 2 accounts have no score and are left out"
        assert combine_healths([none, none], [1.0, 1.0]).score is None
