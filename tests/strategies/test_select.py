"""The choice of the strategy, rule by rule."""

import pytest

from core.errors import DataMissing, InputError
from database.tables.regimes import LABELS
from strategies.library import STRATEGIES
from strategies.performance import Realised
from strategies.select import DWELL_SESSIONS, EXCESS_FULL, MARGIN, Candidate, Incumbent, Selection, select_strategy
from strategies.service import find_strategy
from strategies.strategy import Strategy

MOMENTUM, QUALITY, GROWTH = "momentum_largecap", "quality_largecap", "growth_largecap"


def _realised(excess: float) -> Realised:
    return Realised(
        sessions=63,
        total_return=0.02 + excess,
        universe_return=0.02,
        excess_return=excess,
        annual_volatility=0.12,
        drawdown_max=-0.04,
        turnover=1.4,
        costs_usd=1200.0,
    )


def _certain(regime: str) -> dict[str, float]:
    return {label: 1.0 if label == regime else 0.0 for label in LABELS}


def _select(
    regime: str = "bull",
    *,
    excess: dict[str, float] | None = None,
    refused: dict[str, str] | None = None,
    incumbent: Incumbent | None = None,
) -> Selection:
    return select_strategy(
        [
            Candidate(
                strategy=strategy,
                refusal=(refused or {}).get(name),
                realised=_realised(excess[name]) if excess and name in excess else None,
            )
            for name, strategy in STRATEGIES.items()
        ],
        regime=regime,
        probabilities=_certain(regime),
        incumbent=incumbent,
    )


class TestSelectStrategy:
    @pytest.mark.parametrize("regime", LABELS)
    def test_without_other_knowledge_the_regime_decides(self, regime: str) -> None:
        best = max(strategy.affinity[regime] for strategy in STRATEGIES.values())
        assert STRATEGIES[_select(regime).strategy].affinity[regime] == best

    def test_every_regime_has_a_favourite_and_not_always_the_same(self) -> None:
        assert len({_select(regime).strategy for regime in LABELS}) >= 3

    def test_realised_excess_can_outweigh_the_regime(self) -> None:
        lead = STRATEGIES[MOMENTUM].affinity["bull"] - STRATEGIES[QUALITY].affinity["bull"]
        assert 0 < lead < 0.5
        assert _select("bull", excess={QUALITY: EXCESS_FULL, MOMENTUM: 0.0}).strategy == QUALITY
        assert _select("bull", excess={QUALITY: 0.01, MOMENTUM: 0.0}).strategy == MOMENTUM

    def test_an_absurd_quarter_counts_as_a_good_one(self) -> None:
        absurd = _select("bull", excess={GROWTH: 50.0})
        assert absurd.evidence["strategies"][GROWTH]["worth"] == pytest.approx(0.85 + 0.5)

    def test_unavailable_is_not_chosen_and_says_why(self) -> None:
        chosen = _select("bull", refused={MOMENTUM: "momentum_252 missing for 91% of the universe"})
        assert chosen.strategy != MOMENTUM
        finding = chosen.evidence["strategies"][MOMENTUM]
        assert finding["available"] is False
        assert finding["refusal"] == "momentum_252 missing for 91% of the universe"

    def test_none_available_is_refused_with_every_reason(self) -> None:
        with pytest.raises(DataMissing, match=r"growth_largecap: no facts.*low_volatility_largecap: no facts"):
            _select("bull", refused=dict.fromkeys(STRATEGIES, "no facts"))

    def test_incumbent_stays_within_the_margin(self) -> None:
        # In a bull market growth is worth 0.85, momentum 0.95.
        lead = STRATEGIES[MOMENTUM].affinity["bull"] - STRATEGIES[GROWTH].affinity["bull"]
        behind = {GROWTH: (lead - MARGIN + 0.001) * 2 * EXCESS_FULL}
        chosen = _select("bull", excess=behind, incumbent=Incumbent(GROWTH, 200, "bull"))
        assert chosen.strategy == GROWTH
        assert "kept" in chosen.reason

    def test_young_incumbent_stays_although_another_leads(self) -> None:
        young = Incumbent(QUALITY, DWELL_SESSIONS - 1, "bull")
        assert _select("bull", incumbent=young).strategy == QUALITY
        grown = Incumbent(QUALITY, DWELL_SESSIONS, "bull")
        assert _select("bull", incumbent=grown).strategy == MOMENTUM

    def test_danger_does_not_wait(self) -> None:
        turned = _select("bear", incumbent=Incumbent(MOMENTUM, 1, "bull"))
        assert turned.strategy == "low_volatility_largecap"
        assert "dangerous" in turned.reason
        # It is the turn that counts: the next night in the same danger is an ordinary night.
        assert _select("bear", incumbent=Incumbent(MOMENTUM, 1, "bear")).strategy == MOMENTUM

    def test_unavailable_incumbent_is_left_at_once(self) -> None:
        chosen = _select("bull", refused={GROWTH: "facts are stale"}, incumbent=Incumbent(GROWTH, 2, "bull"))
        assert chosen.strategy == MOMENTUM
        assert "not available any more" in chosen.reason

    def test_reason_tells_regime_and_performance(self) -> None:
        chosen = _select("bull", excess={MOMENTUM: 0.03})
        assert chosen.reason.startswith("Momentum, large caps: the market is in a bull regime (100% likely)")
        assert "its best-ranked stocks returned 5.0% after costs, the universe 2.0%" in chosen.reason
        assert "not known" in _select("bull").reason

    def test_evidence_holds_every_strategy(self) -> None:
        evidence = _select("sideways", incumbent=Incumbent(GROWTH, 3, "bull")).evidence
        assert set(evidence["strategies"]) == set(STRATEGIES)
        assert evidence["incumbent"] == {"strategy": GROWTH, "sessions": 3, "regime": "bull"}
        assert evidence["probabilities"] == _certain("sideways")


class TestStrategy:
    def test_affinity_needs_all_five_regimes(self) -> None:
        with pytest.raises(InputError, match="affinity"):
            Strategy("size_smallcap", "Size", "smallcap", "Small companies.", {"bull": 1.0})

    def test_name_ends_with_its_cap_band(self) -> None:
        with pytest.raises(InputError, match="size_smallcap"):
            Strategy("size", "Size", "smallcap", "Small companies.", dict.fromkeys(LABELS, 0.5))

    def test_suits_is_the_expectation(self) -> None:
        mixed = dict.fromkeys(LABELS, 0.0) | {"bull": 0.25, "bear": 0.75}
        affinity = STRATEGIES[MOMENTUM].affinity
        assert STRATEGIES[MOMENTUM].suits(mixed) == pytest.approx(0.25 * affinity["bull"] + 0.75 * affinity["bear"])


class TestFindStrategy:
    @pytest.mark.parametrize("name", ["low_volatility", "low_volatility_largecap"])
    def test_long_and_short_names(self, name: str) -> None:
        assert find_strategy(name).name == "low_volatility_largecap"

    def test_unknown_name_lists_the_known_ones(self) -> None:
        with pytest.raises(InputError, match=r"unknown strategy 'groth'; known: dividend_largecap, growth_largecap"):
            find_strategy("groth")
