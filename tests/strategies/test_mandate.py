"""A mandate's limits hold for every allocation, and every change is told."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from strategies.mandate import UNKNOWN_SECTOR, Limits, project

SECTORS = ("Energy", "Financials", "Utilities", None)
ONE = Decimal(1)
WIDE = Limits(cash_weight_min=Decimal(0), position_weight_max=ONE, sector_weight_max=ONE, excluded={})


def _limits(cash: str = "0", position: str = "1", sector: str = "1", excluded: dict[int, str] | None = None) -> Limits:
    return Limits(Decimal(cash), Decimal(position), Decimal(sector), excluded or {})


def _weights(**shares: str) -> dict[int, Decimal]:
    return {int(key.removeprefix("s")): Decimal(value) for key, value in shares.items()}


@st.composite
def allocations(draw: st.DrawFn) -> dict[int, Decimal]:
    """Up to fifty stocks, weights in steps of 1e-8 that sum to at most one."""
    raw = draw(st.lists(st.integers(1, 10_000), min_size=0, max_size=50))
    cash = draw(st.integers(0, 5_000))
    total = sum(raw) + cash
    step = Decimal("0.00000001")
    return {
        key: (Decimal(part) / total).quantize(step) * Decimal("0.999999") // step * step
        for key, part in enumerate(raw, start=1)
        if part * 10**6 > total
    }


limits = st.builds(
    lambda cash, position, sector, excluded: Limits(
        Decimal(cash) / 100, Decimal(position) / 1000, Decimal(sector) / 100, dict.fromkeys(excluded, "ticker X")
    ),
    st.integers(0, 100),
    st.integers(1, 1000),
    st.integers(1, 100),
    st.sets(st.integers(1, 50), max_size=20),
)


class TestProject:
    @given(weights=allocations(), limits=limits, seed=st.integers(0, 1000))
    def test_every_limit_holds(self, weights: dict[int, Decimal], limits: Limits, seed: int) -> None:
        sectors = {key: SECTORS[(key * 7 + seed) % len(SECTORS)] for key in weights}
        result = project(weights, sectors=sectors, limits=limits)
        assert sum(result.weights.values(), result.cash_weight) == 1
        assert result.cash_weight >= limits.cash_weight_min
        assert result.cash_weight >= 1 - sum(weights.values(), Decimal(0))
        assert set(result.weights) <= set(weights) - set(limits.excluded)
        assert all(0 < weight <= limits.position_weight_max for weight in result.weights.values())
        for sector in SECTORS:
            held = sum((w for key, w in result.weights.items() if sectors[key] == sector), Decimal(0))
            assert held <= limits.sector_weight_max

    @given(weights=allocations(), limits=limits, seed=st.integers(0, 1000))
    def test_proportions_stay_wherever_no_limit_binds(
        self, weights: dict[int, Decimal], limits: Limits, seed: int
    ) -> None:
        sectors = {key: SECTORS[(key * 7 + seed) % len(SECTORS)] for key in weights}
        result = project(weights, sectors=sectors, limits=limits)
        capped = {entry.get("sector") for entry in result.adjustments if entry["kind"] == "sector_cap"}
        free = [
            result.weights[key] / weights[key]
            for key in result.weights
            if result.weights[key] < limits.position_weight_max - Decimal("1e-7")
            and (sectors[key] or UNKNOWN_SECTOR) not in capped
        ]
        # One part in 1e-8 is rounding; of a weight of 1e-6 that is a hundredth.
        assert not free or max(free) - min(free) <= max(free) * Decimal("0.02")

    @given(weights=allocations(), limits=limits)
    def test_cash_is_left_only_when_nothing_can_take_it(self, weights: dict[int, Decimal], limits: Limits) -> None:
        sectors = {key: SECTORS[key % len(SECTORS)] for key in weights}
        result = project(weights, sectors=sectors, limits=limits)
        total = min(sum(weights.values(), Decimal(0)), 1 - limits.cash_weight_min)
        if 1 - result.cash_weight < total - Decimal("1e-6"):
            for key in set(weights) - set(limits.excluded):
                sector = sum((w for k, w in result.weights.items() if sectors[k] == sectors[key]), Decimal(0))
                full = result.weights.get(key, Decimal(0)) >= limits.position_weight_max - Decimal("1e-7")
                assert full or sector >= limits.sector_weight_max - Decimal("1e-6")

    def test_without_binding_limits_nothing_changes(self) -> None:
        weights = _weights(s1="0.5", s2="0.3", s3="0.15")
        result = project(weights, sectors={1: "Energy", 2: "Energy", 3: None}, limits=WIDE)
        assert result.weights == weights
        assert result.cash_weight == Decimal("0.05")
        assert result.adjustments == []

    def test_excluded_stock_hands_its_weight_to_the_others_in_proportion(self) -> None:
        result = project(
            _weights(s1="0.4", s2="0.4", s3="0.2"),
            sectors={},
            limits=_limits(excluded={2: "esg tobacco"}),
        )
        assert result.weights == {1: Decimal("0.66666666"), 3: Decimal("0.33333333")}
        assert result.adjustments == [
            {
                "kind": "excluded",
                "instrument_id": 2,
                "before": "0.4",
                "after": "0",
                "reason": "the account excludes esg tobacco",
            }
        ]

    def test_position_cap_spills_over_in_turn(self) -> None:
        # 0.6 is cut to 0.4; its excess lifts 0.3 to 0.45, which is cut as well; 0.1 takes the rest.
        result = project(_weights(s1="0.6", s2="0.3", s3="0.1"), sectors={}, limits=_limits(position="0.4"))
        assert result.weights == _weights(s1="0.40000000", s2="0.40000000", s3="0.20000000")
        assert [entry["instrument_id"] for entry in result.adjustments] == [1, 2]
        assert result.adjustments[0]["reason"] == "no position may exceed 40.00%"

    def test_sector_cap_keeps_the_sectors_inner_proportions(self) -> None:
        sectors = {1: "Energy", 2: "Energy", 3: "Utilities", 4: "Financials"}
        result = project(
            _weights(s1="0.4", s2="0.2", s3="0.3", s4="0.1"), sectors=sectors, limits=_limits(sector="0.45")
        )
        assert result.weights == _weights(s1="0.3", s2="0.15", s3="0.4125", s4="0.1375")
        (told,) = result.adjustments
        assert (told["kind"], told["sector"], told["before"], told["after"]) == (
            "sector_cap",
            "Energy",
            "0.6",
            "0.45000000",
        )

    def test_second_sector_may_meet_its_cap_in_turn(self) -> None:
        sectors = {1: "Energy", 2: "Utilities", 3: "Financials"}
        result = project(_weights(s1="0.5", s2="0.35", s3="0.15"), sectors=sectors, limits=_limits(sector="0.4"))
        assert result.weights == _weights(s1="0.4", s2="0.4", s3="0.2")

    def test_cash_floor_shrinks_all_alike(self) -> None:
        result = project(_weights(s1="0.6", s2="0.4"), sectors={}, limits=_limits(cash="0.05"))
        assert result.weights == _weights(s1="0.57", s2="0.38")
        assert result.cash_weight == Decimal("0.05")
        assert result.adjustments[0]["kind"] == "cash_floor"

    def test_what_has_no_place_stays_in_cash_and_is_told(self) -> None:
        result = project(_weights(s1="0.5", s2="0.5"), sectors={}, limits=_limits(position="0.1"))
        assert result.weights == _weights(s1="0.1", s2="0.1")
        assert result.cash_weight == Decimal("0.8")
        assert result.adjustments[-1]["kind"] == "to_cash"
        assert "80.00%" in result.adjustments[-1]["reason"]

    def test_all_excluded_is_all_cash(self) -> None:
        result = project(_weights(s1="1"), sectors={}, limits=_limits(excluded={1: "ticker S001"}))
        assert result.weights == {}
        assert result.cash_weight == 1

    def test_leverage_and_short_sales_are_refused(self) -> None:
        with pytest.raises(InputError, match="non-negative"):
            project(_weights(s1="0.7", s2="0.4"), sectors={}, limits=WIDE)
        with pytest.raises(InputError, match="non-negative"):
            project(_weights(s1="-0.1", s2="0.4"), sectors={}, limits=WIDE)
