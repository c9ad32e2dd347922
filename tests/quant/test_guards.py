"""The probes by themselves, on tables that can be worked out by hand."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.guards import (
    POISONS,
    Checked,
    Dated,
    Finding,
    Frames,
    cut_off,
    departures,
    poison,
    probe_fills,
    probe_images,
    probe_poison,
    probe_prefixes,
    probe_shared_rows,
    probe_spans,
    probe_stamps,
    probe_universe,
    telling_cuts,
)

DAYS = [date(2020, 1, 1) + timedelta(days=number) for number in range(40)]
TABLES = {"prices": Dated("session_on", ("price",)), "spells": Dated("start_on", ends_on="end_on")}


def prices(values: list[float] | None = None) -> pl.DataFrame:
    return pl.DataFrame({"session_on": DAYS, "price": values or [float(number * number) for number in range(40)]})


def spells() -> pl.DataFrame:
    return pl.DataFrame(
        {"instrument_id": [1, 2, 3], "start_on": [DAYS[0], DAYS[0], DAYS[30]], "end_on": [None, DAYS[20], None]},
        schema_overrides={"end_on": pl.Date},
    )


FRAMES: Frames = {"prices": prices(), "spells": spells()}


def path_of(measure: Callable[[pl.Expr], pl.Expr]) -> Callable[[Frames], Frames]:
    """A decision path of one output: something about the price."""

    def path(frames: Frames) -> Frames:
        return {"signal": frames["prices"].select("session_on", measure(pl.col("price")).alias("value"))}

    return path


honest, ahead = path_of(lambda price: price.shift(1)), path_of(lambda price: price.shift(-3))


class TestExperiments:
    def test_cut_takes_later_rows_and_later_ends(self) -> None:
        cut = cut_off(FRAMES, TABLES, DAYS[10])
        assert cut["prices"]["session_on"].to_list() == DAYS[:11]
        assert cut["spells"].rows() == [(1, DAYS[0], None), (2, DAYS[0], None)]

    @pytest.mark.parametrize("kind", POISONS)
    def test_poison_changes_all_that_is_later_and_nothing_else(self, kind: str) -> None:
        spoiled = poison(FRAMES, TABLES, DAYS[10], kind)["prices"]
        assert spoiled["session_on"].equals(FRAMES["prices"]["session_on"])
        assert spoiled["price"][:11].equals(FRAMES["prices"]["price"][:11])
        later, before = spoiled["price"][11:].to_list(), FRAMES["prices"]["price"][11:].to_list()
        assert later != before
        assert sorted(later) == before or kind != "shuffled"

    def test_poisoned_spells_break_off_and_begin_again(self) -> None:
        spoiled = poison(FRAMES, TABLES, DAYS[10], "tenfold")["spells"]
        broken = DAYS[12]
        assert set(spoiled.rows()) == {(1, DAYS[0], broken), (2, DAYS[0], broken), (1, broken, None), (2, broken, None)}

    def test_only_the_named_tables_are_spoiled(self) -> None:
        assert poison(FRAMES, TABLES, DAYS[10], "unknown", only=["spells"])["prices"] is FRAMES["prices"]


class TestDepartures:
    def test_same_bits_are_no_departure_unknown_values_included(self) -> None:
        frame = pl.DataFrame({"session_on": DAYS[:2], "value": [float("nan"), None]})
        assert departures({"a": frame}, {"a": frame.clone()}, last_on=date.max, how="") == []

    def test_other_value_names_column_day_and_both_values(self) -> None:
        other = prices([*(float(n * n) for n in range(39)), -1.0])
        (found,) = departures({"a": prices()}, {"a": other}, last_on=date.max, how="something happens")
        assert (found.where, found.evidence["before"], found.evidence["after"]) == ("a.price", 39.0 * 39.0, -1.0)
        assert str(DAYS[39]) in found.text
        assert departures({"a": prices()}, {"a": other}, last_on=DAYS[38], how="") == []

    def test_rows_that_come_or_go_are_departures(self) -> None:
        (found,) = departures({"a": prices()}, {"a": prices()[1:]}, last_on=date.max, how="")
        assert "1 went, 0 came" in found.text

    def test_first_stage_is_the_cause_and_the_later_only_named(self) -> None:
        other = prices([1.0] * 40)
        (found,) = departures({"a": prices(), "b": prices()}, {"a": other, "b": other}, last_on=date.max, how="")
        assert found.where == "a.price"
        assert found.evidence["shows_again_in"] == ["b"]


class TestPaths:
    CUTS = (DAYS[5], DAYS[20])

    def test_honest_path_is_clean(self) -> None:
        assert probe_prefixes(honest, FRAMES, TABLES, self.CUTS).status == "clean"
        assert probe_poison(honest, FRAMES, TABLES, self.CUTS).status == "clean"

    def test_look_ahead_is_found_and_counted_over_the_cuts(self) -> None:
        (found,) = probe_prefixes(ahead, FRAMES, TABLES, self.CUTS).findings
        assert found.evidence["cuts"] == 2
        assert found.evidence["rows"] == 3
        assert probe_poison(ahead, FRAMES, TABLES, self.CUTS).status == "found"

    def test_probe_that_moves_nothing_is_blind(self) -> None:
        constant = path_of(lambda price: price * 0.0)
        checked = probe_poison(constant, FRAMES, TABLES, self.CUTS, kinds=("sign_flipped",))
        assert checked.status == "not_run"
        assert checked.blind is not None

    def test_output_without_rows_is_blind(self) -> None:
        late = path_of(lambda price: price)
        checked = probe_prefixes(lambda frames: {"late": late(frames)["signal"][30:]}, FRAMES, TABLES, self.CUTS)
        assert checked.status == "not_run"

    @given(st.integers(1, 9), st.integers(1, 38))
    def test_every_horizon_is_found_at_every_cut_it_reaches_across(self, horizon: int, place: int) -> None:
        path = path_of(lambda price: price.shift(-horizon))
        (found,) = probe_prefixes(path, FRAMES, TABLES, [DAYS[place]]).findings
        assert found.evidence["rows"] == min(horizon, 39 - place, place + 1)

    @given(st.integers(0, 9), st.integers(1, 38))
    def test_no_look_back_is_accused(self, look_back: int, place: int) -> None:
        path = path_of(lambda price: price.shift(look_back).rolling_sum(3))
        assert probe_prefixes(path, FRAMES, TABLES, [DAYS[place]]).findings == ()


class TestCuts:
    def test_cut_falls_on_the_session_before_the_event(self) -> None:
        assert DAYS[16] in telling_cuts(DAYS, {"fall": [DAYS[17]]}, each=1)

    def test_each_kind_gets_its_share_and_no_cut_lies_outside(self) -> None:
        cuts = telling_cuts(DAYS, {"a": DAYS[::5], "b": [DAYS[3], date(1999, 1, 1)]}, each=3)
        assert cuts == sorted(set(cuts))
        assert set(cuts) <= set(DAYS[:-1])
        assert len(cuts) >= 6


class TestSpans:
    def spans(self, first: list[int], last: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return np.array(first), np.array(last)

    def test_label_that_ends_within_the_embargo_is_found(self) -> None:
        test = self.spans([100], [110])
        assert probe_spans(self.spans([50], [78]), test, embargo_sessions=21, what="rows") == []
        (found,) = probe_spans(self.spans([50, 60], [78, 79]), test, embargo_sessions=21, what="rows")
        assert found.text.startswith("1 of 2 label spans")
        assert found.evidence == {"first_session": 60, "last_session": 79}


class TestSharedRows:
    def test_equal_rows_are_found_and_rows_of_nothing_are_not(self) -> None:
        nothing = [np.nan, np.nan]
        train = np.array([[1.0, 2.0], nothing], dtype=np.float32)
        test = np.array([[1.0, 2.0], [1.0, 3.0], nothing], dtype=np.float32)
        (found,) = probe_shared_rows(train, test, what="test rows")
        assert found.evidence == {"rows": 1}
        assert probe_shared_rows(train, test[1:], what="test rows") == []


class TestFills:
    @pytest.mark.parametrize(
        ("bought_at", "expected"), [("next", "clean"), ("same close", "found"), ("same open", "found")]
    )
    def test_only_the_next_open_is_honest(self, bought_at: str, expected: str) -> None:
        def follow(opens: np.ndarray, closes: np.ndarray, decided: int, weights: np.ndarray) -> np.ndarray:
            paid = {"next": opens[decided + 1], "same close": closes[decided], "same open": opens[decided]}[bought_at]
            return np.asarray(1.0 + (closes / paid - 1.0) @ weights)

        assert probe_fills(follow, what="a trader").status == expected

    def test_trader_that_never_trades_shows_nothing(self) -> None:
        assert (
            probe_fills(lambda opens, closes, decided, weights: np.ones(len(closes)), what="a trader").status
            == "not_run"
        )


class TestUniverse:
    def universe(self, *names: tuple[int, int]) -> pl.DataFrame:
        return pl.DataFrame(
            {"session_on": [DAYS[day] for day, _ in names], "instrument_id": [stock for _, stock in names]}
        )

    BARS = pl.DataFrame({"instrument_id": [1, 2] * 40, "session_on": [day for day in DAYS for _ in (1, 2)]})

    def test_members_of_the_day_are_clean(self) -> None:
        universe = self.universe((5, 1), (5, 2), (25, 1))
        assert probe_universe(universe, spells(), self.BARS).status == "clean"

    def test_stranger_and_lost_leaver_are_found(self) -> None:
        early, lost = probe_universe(self.universe((5, 1), (25, 1), (25, 2)), spells(), self.BARS).findings
        assert early.evidence["rows"] == 1
        assert lost.evidence == {"rows": 1, "left_later": 1}

    def test_universe_that_nobody_left_shows_nothing(self) -> None:
        checked = probe_universe(self.universe((5, 1), (5, 2)), spells().with_columns(end_on=None), self.BARS)
        assert checked.status == "not_run"


class TestImages:
    def test_label_itself_is_an_image_and_noise_is_not(self) -> None:
        random = np.random.default_rng(1)
        label, day = random.normal(size=400), np.repeat(np.arange(40), 10)
        values = np.column_stack([label, -label, random.normal(size=400)]).astype(np.float32)
        found, days = probe_images(values, ["same", "opposite", "noise"], label, day)
        assert [finding.where for finding in found] == ["same", "opposite"]
        assert days == 40


class TestStamps:
    def test_known_before_the_lag_is_over(self) -> None:
        frame = pl.DataFrame({"of": [DAYS[0], DAYS[0]], "known": [DAYS[1], DAYS[0]]})
        (found,) = probe_stamps(frame, measured_on="of", known_on="known", lag_days=1, what="yields")
        assert found.text.startswith("1 of 2 rows of yields")
        assert probe_stamps(frame[:1], measured_on="of", known_on="known", lag_days=1, what="yields") == []


def test_finding_outweighs_blindness() -> None:
    finding = Finding("a", "b")
    assert Checked("", (finding,), "blind").status == "found"
    assert Checked("", (), "blind").status == "not_run"
    assert Checked("", ()).status == "clean"
