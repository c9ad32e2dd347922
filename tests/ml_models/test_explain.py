"""Reasons that a reader can check against the numbers."""

from typing import Any

import numpy as np
import pytest

from features.library import FEATURES
from ml_models.explain import REASONS_MAX, amount, reasons, stand

NAN = np.nan
CHOSEN = [FEATURES[name] for name in ("momentum_252_21", "earnings_yield", "log_market_cap", "vix_level")]
UNIVERSE = np.array([[n / 100, NAN if n % 2 else n / 1000, 24.0, 15.0] for n in range(1, 101)], dtype=np.float32)


def reasons_of(stock: int, contributions: list[float]) -> list[dict[str, Any]]:
    """Of one stock of UNIVERSE."""
    (found,) = reasons(UNIVERSE[[stock]], np.array([contributions]), CHOSEN, stand(UNIVERSE))
    return found


class TestReasons:
    def test_names_value_place_and_effect(self) -> None:
        found = reasons_of(95, [0.3, 0.0, 0.0, 0.0])
        assert [reason["text"] for reason in found] == [
            "total return over twelve months without the last one +96 % (top 5 % of the universe) raises the score"
        ]
        assert found[0]["feature"] == "momentum_252_21"
        assert found[0]["value"] == pytest.approx(0.96)
        assert found[0]["contribution"] == 0.3

    def test_the_most_telling_comes_first_whatever_its_sign(self) -> None:
        found = reasons_of(1, [0.1, -0.4, 0.2, 0.0])
        assert [reason["feature"] for reason in found] == ["earnings_yield", "log_market_cap", "momentum_252_21"]
        assert found[0]["text"].endswith("lowers the score")

    def test_the_bottom_is_called_the_bottom_among_those_known(self) -> None:
        found = reasons_of(1, [0.0, -0.4, 0.0, 0.0])
        assert "(bottom 2 % of the universe)" in found[0]["text"]

    def test_an_unknown_value_is_said_to_be_unknown(self) -> None:
        found = reasons_of(0, [0.0, 0.4, 0.0, 0.0])
        assert found[0]["text"] == "earnings for the price unknown raises the score"
        assert found[0]["value"] is None

    def test_what_all_stocks_share_has_no_place(self) -> None:
        found = reasons_of(0, [0.0, 0.0, 0.0, 0.1])
        assert found[0]["text"] == "fear index VIX 15 (the same for all stocks) raises the score"

    def test_there_are_only_a_few(self) -> None:
        features = list(FEATURES.values())[:20]
        universe = np.random.default_rng(1).normal(size=(30, 20)).astype(np.float32)
        found = reasons(universe[:3], np.ones((3, 20)), features, stand(universe))
        assert [len(one) for one in found] == [REASONS_MAX] * 3


class TestAmount:
    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("momentum_252", -0.0512, "-5.12 %"),
            ("volatility_252", 0.25, "25 % a year"),
            ("breadth_50", 0.615, "61.5 %"),
            ("yield_slope_10y_2y", 1.234, "1.23 % a year"),
            ("log_market_cap", float(np.log(25e9)), "USD 25,000 million"),
            ("bollinger_position_20", 1.5, "+1.50 standard deviations"),
            ("rsi_14", 71.4, "71"),
            ("beta_252", 1.2345, "1.23"),
        ],
    )
    def test_is_written_in_the_features_unit(self, name: str, value: float, text: str) -> None:
        assert amount(FEATURES[name], value) == text

    @pytest.mark.parametrize("feature", FEATURES.values(), ids=list(FEATURES))
    def test_every_feature_can_be_written(self, feature: object) -> None:
        assert amount(feature, 1.0)  # type: ignore[arg-type]  # the parameter's values are features
