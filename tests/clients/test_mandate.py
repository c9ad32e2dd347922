"""Limits of a mandate: defaults hold together, bad values are refused by name."""

from typing import Any

import pytest

from clients.mandate import DEFAULT_LIMITS, RISK_TOLERANCES, changed_limits
from core.errors import InputError, UnknownName


class TestDefaults:
    def test_every_risk_tolerance_has_limits(self) -> None:
        assert set(DEFAULT_LIMITS) == set(RISK_TOLERANCES)

    @pytest.mark.parametrize("tolerance", RISK_TOLERANCES)
    def test_defaults_pass_their_own_checks(self, tolerance: str) -> None:
        assert changed_limits(DEFAULT_LIMITS[tolerance], {}, known_strategies=()) == DEFAULT_LIMITS[tolerance]

    def test_more_risk_means_less_cash_and_larger_positions(self) -> None:
        limits = [DEFAULT_LIMITS[name] for name in ("conservative", "balanced", "growth")]
        assert [one.cash_weight_min for one in limits] == sorted((one.cash_weight_min for one in limits), reverse=True)
        assert [one.position_weight_max for one in limits] == sorted(one.position_weight_max for one in limits)


class TestChangedLimits:
    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"cash_weight_min": "1.5"}, "cash_weight_min is 1.5"),
            ({"cash_weight_min": -0.1}, "cash_weight_min is -0.1"),
            ({"cash_weight_min": "NaN"}, "finite"),
            ({"position_weight_max": 0}, "position_weight_max is 0"),
            ({"position_weight_max": "0.5", "sector_weight_max": "0.3"}, "cannot be larger than its sector"),
            ({"turnover_max": "lots"}, "turnover_max is 'lots'"),
            ({"trade_usd_min": "-1"}, "trade_usd_min is -1"),
        ],
    )
    def test_refuses_naming_field_and_value(self, changes: dict[str, Any], told: str) -> None:
        with pytest.raises(InputError, match=told):
            changed_limits(DEFAULT_LIMITS["balanced"], changes, known_strategies=())

    def test_refuses_an_unknown_field_with_the_list(self) -> None:
        with pytest.raises(UnknownName, match="cash_weight_min"):
            changed_limits(DEFAULT_LIMITS["balanced"], {"cash": 1}, known_strategies=())

    def test_refuses_an_unknown_strategy_with_the_list(self) -> None:
        with pytest.raises(UnknownName, match="known: value_largecap"):
            changed_limits(
                DEFAULT_LIMITS["growth"], {"preferred_strategy": "astrology"}, known_strategies=("value_largecap",)
            )
