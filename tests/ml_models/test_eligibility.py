"""The filter, the refusal, and what training keeps."""

import numpy as np
import pytest

from ml_models.eligibility import MARKET_CAP, filter_inputs, judge_day, teaching_rows
from ml_models.recipe import LARGECAP, CapBand, Keep, Recipe

BILLION = 1e9
RECIPE = Recipe(strategy="toy_largecap", keeps=(Keep("a", "high", 0.5), Keep("b", "low", 0.5)), emphasis={})


def day(a: list[float], b: list[float], cap: list[float] | None = None) -> dict[str, np.ndarray]:
    caps = [50 * BILLION] * len(a) if cap is None else cap
    return {
        "a": np.array(a, dtype=np.float32),
        "b": np.array(b, dtype=np.float32),
        MARKET_CAP: np.log(np.array(caps)).astype(np.float32),
    }


NAN = float("nan")


class TestJudgeDay:
    def test_keeps_the_intersection_of_its_conditions(self) -> None:
        judged = judge_day(RECIPE, day(a=[1, 2, 3, 4], b=[1, 9, 2, 8]))
        assert judged.reason is None
        assert judged.mask.tolist() == [False, False, True, False]

    def test_a_stock_without_the_input_is_left_out(self) -> None:
        judged = judge_day(RECIPE, day(a=[1, 2, 3, NAN], b=[1, 1, 1, 1]))
        assert judged.mask.tolist() == [False, True, True, False]

    def test_refuses_when_over_three_quarters_lack_an_input_and_says_which(self) -> None:
        judged = judge_day(RECIPE, day(a=[NAN, NAN, 3, NAN, NAN], b=[1, 1, 1, 1, 1]))
        assert judged.reason == "a is unknown for 4 of the 5 stocks of the universe (at most 75% may be)"
        assert not judged.mask.any()

    def test_exactly_three_quarters_missing_is_not_refused(self) -> None:
        assert judge_day(RECIPE, day(a=[NAN, NAN, 3, NAN], b=[1, 1, 1, 1])).reason is None

    def test_an_optional_condition_lets_the_unknown_stay_and_refuses_nothing(self) -> None:
        recipe = Recipe("toy_largecap", (Keep("a", "high", 0.5), Keep("b", "high", 0.5, optional=True)), {})
        judged = judge_day(recipe, day(a=[1, 2, 3, 4], b=[NAN, NAN, NAN, NAN]))
        assert judged.reason is None
        assert judged.mask.tolist() == [False, False, True, True]
        judged = judge_day(recipe, day(a=[1, 1, 1, 1], b=[NAN, 1, 2, 3]))
        assert judged.mask.tolist() == [True, False, True, True]

    def test_small_companies_are_out_and_unknown_sizes_are_in(self) -> None:
        caps = [9.9 * BILLION, 10.1 * BILLION, NAN]
        judged = judge_day(RECIPE, day(a=[1, 1, 1], b=[1, 1, 1], cap=caps))
        assert judged.mask.tolist() == [False, True, True]

    def test_a_band_with_a_ceiling_leaves_the_large_out(self) -> None:
        recipe = Recipe("toy_midcap", RECIPE.keeps, {}, cap_band=CapBand("midcap", 2 * BILLION, 10 * BILLION))
        judged = judge_day(recipe, day(a=[1, 1, 1], b=[1, 1, 1], cap=[BILLION, 5 * BILLION, 10 * BILLION]))
        assert judged.mask.tolist() == [False, True, False]

    def test_an_empty_universe_is_refused(self) -> None:
        assert judge_day(RECIPE, day(a=[], b=[])).reason is not None


class TestTeachingRows:
    def test_rows_without_the_inputs_are_kept(self) -> None:
        assert teaching_rows(RECIPE, day(a=[1, 2, 3, NAN], b=[1, 1, NAN, 9])).tolist() == [False, True, True, False]

    def test_a_day_without_any_fundamentals_is_kept_whole(self) -> None:
        assert teaching_rows(RECIPE, day(a=[NAN] * 3, b=[NAN] * 3)).all()


class TestFilterInputs:
    def test_names_every_column_that_the_filter_reads(self) -> None:
        assert filter_inputs(RECIPE) == ("a", "b", MARKET_CAP)


@pytest.mark.parametrize("value", [0.9999, 1.0001])
def test_the_large_cap_band_begins_at_ten_billion(value: float) -> None:
    mask = teaching_rows(Recipe("x", (), {}), {MARKET_CAP: np.log([value * LARGECAP.usd_min]).astype(np.float32)})
    assert mask.tolist() == [value > 1]
