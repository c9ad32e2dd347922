"""Every feature of the list keeps its contract: no look at the future, an honest look-back, ratios instead of levels.

Sameness here is sameness of bits: what a day shows must not move by a rounding when later days arrive.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from features import library
from features.feature import Feature, StockFeature
from features.history import MACRO_LAG_DAYS
from features.library import FEATURES
from features.matrix import Matrix, compute_matrix
from features.panel import assemble
from features.service import describe
from tests.factories.features import ITEMS, market_frames, weekdays

SESSIONS = 640
DAYS = weekdays(SESSIONS)
# Early, at the edges of the common windows, and many places after the longest window is full.
CUTS = sorted({0, 1, 13, 21, 62, 63, 126, 251, 252, 253, 273, 319, 320, *range(280, SESSIONS - 1, 13)})
PRICES = ("open", "high", "low", "close", "adj_close")
BAR_INPUTS = {*PRICES, "volume", "dividend", "market_returns"}
Frames = dict[str, pl.DataFrame]
Poison = Callable[[Frames, date, np.random.Generator], Frames]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return market_frames(sessions=SESSIONS)


@pytest.fixture(scope="module")
def whole(frames: Frames) -> Matrix:
    return compute(frames)


def compute(frames: Frames, features: dict[str, Feature] = FEATURES) -> Matrix:
    return compute_matrix(assemble(**frames), features)


def number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def changed(before: Matrix, after: Matrix, *, last_on: date, first_on: date = date.min) -> set[str]:
    """Names of the features with another bit on the same stock and day from `first_on` to `last_on`."""
    last, first = number(last_on), number(max(first_on, DAYS[0]))
    ours, theirs = ((matrix.day >= first) & (matrix.day <= last) for matrix in (before, after))
    assert np.array_equal(before.day[ours], after.day[theirs])
    assert np.array_equal(before.instrument_id[ours], after.instrument_id[theirs])
    left, right = before.values[:, ours].view(np.uint32), after.values[:, theirs].view(np.uint32)
    return {name for name, same in zip(before.names, (left == right).all(axis=1), strict=True) if not same}


def cut_off(frames: Frames, last_on: date) -> Frames:
    """What the queries return as of `last_on`: ends of memberships after it are not known yet."""
    ended = pl.when(pl.col("end_on") <= last_on).then("end_on")
    return frames | {
        "bars": frames["bars"].filter(pl.col("session_on") <= last_on),
        "memberships": frames["memberships"].filter(pl.col("start_on") <= last_on).with_columns(end_on=ended),
        "dividends": frames["dividends"].filter(pl.col("ex_on") <= last_on),
        "facts": frames["facts"].filter(pl.col("known_on") <= last_on),
        "shares": frames["shares"].filter(pl.col("known_on") <= last_on),
        "macro": frames["macro"].filter(pl.col("known_on") <= last_on),
    }


def overwritten(frame: pl.DataFrame, rows: pl.Expr, names: Iterable[str], value: float) -> pl.DataFrame:
    """`value` in the columns `names` of the rows chosen."""
    return frame.with_columns(pl.when(rows).then(value).otherwise(pl.col(name)).alias(name) for name in names)


# What is dated how, and the values that a later day could spoil.
DATED = {
    "bars": ("session_on", [*PRICES, "volume"]),
    "dividends": ("ex_on", ["amount_usd"]),
    "facts": ("known_on", ["value"]),
    "shares": ("known_on", ["shares_outstanding"]),
    "macro": ("known_on", ["value"]),
}


def fill(value: float) -> Poison:
    """Everything known after the cut becomes `value`; all stocks leave the index and join again."""

    def poison(frames: Frames, last_on: date, random: np.random.Generator) -> Frames:
        poisoned = {
            table: overwritten(frames[table], pl.col(on) > last_on, names, value)
            for table, (on, names) in DATED.items()
        }
        leave_on = last_on + timedelta(days=2)
        ended = pl.when(pl.col("end_on") <= last_on).then("end_on").otherwise(leave_on)
        known = frames["memberships"].filter(pl.col("start_on") <= last_on).with_columns(end_on=ended)
        again = known.with_columns(start_on=pl.lit(leave_on), end_on=pl.lit(None, dtype=pl.Date))
        return frames | poisoned | {"memberships": pl.concat([known, again])}

    return poison


def shuffle(frames: Frames, last_on: date, random: np.random.Generator) -> Frames:
    """What is known after the cut changes places."""
    poisoned = dict(frames)
    for table, (on, names) in DATED.items():
        past, future = (frames[table].filter(side) for side in (pl.col(on) <= last_on, pl.col(on) > last_on))
        order = random.permutation(len(future))
        shuffled = future.with_columns(future.select(names)[order].get_columns())
        keys = ["instrument_id", on] if table == "bars" else [on]
        poisoned[table] = pl.concat([past, shuffled]).sort(keys, maintain_order=True)
    return poisoned


REPORTED = {*ITEMS, "shares_outstanding"}
POISONS = {"nan": fill(float("nan")), "huge": fill(1e30), "shuffled": shuffle}


class TestTheFuture:
    def test_there_are_enough_cuts(self) -> None:
        assert len(CUTS) >= 40

    def test_cutting_it_off_changes_nothing(self, frames: Frames, whole: Matrix) -> None:
        for cut in CUTS:
            last_on = DAYS[cut]
            assert changed(whole, compute(cut_off(frames, last_on)), last_on=last_on) == set(), last_on

    @pytest.mark.parametrize("name", POISONS)
    def test_poisoning_it_changes_nothing(self, frames: Frames, whole: Matrix, name: str) -> None:
        random = np.random.default_rng(11)
        for cut in CUTS:
            last_on = DAYS[cut]
            poisoned = compute(POISONS[name](frames, last_on, random))
            assert changed(whole, poisoned, last_on=last_on) == set(), last_on
            assert cut < 300 or changed(whole, poisoned, last_on=DAYS[-1]), "the poison did not work"

    def test_a_year_built_later_says_the_same(self, frames: Frames, whole: Matrix) -> None:
        """The part of a build from a later first day on is the same part of the whole, look-back given."""
        first_day = number(DAYS[400])
        part = compute_matrix(assemble(**frames), FEATURES, first_day=first_day)
        assert np.array_equal(part.day, whole.day[whole.day >= first_day])
        assert changed(part, whole, last_on=DAYS[-1], first_on=DAYS[400]) == set()

    def test_a_look_ahead_is_found(self, frames: Frames) -> None:
        """The probe bites: a return taken one session too early, in a stock and by way of a rank."""
        ahead = StockFeature(
            name="ahead",
            group="momentum",
            inputs=("adj_close",),
            look_back=1,
            unit="fraction",
            description="tomorrow's return",
            compute=lambda stock: np.append(stock.returns[1:], np.nan),
        )
        rank = "rank_momentum_21"
        planted = {"ahead": ahead, "momentum_21": replace(ahead, name="momentum_21"), rank: FEATURES[rank]}
        last_on = DAYS[300]
        after = compute(cut_off(frames, last_on), planted)
        assert changed(compute(frames, planted), after, last_on=last_on) == set(planted)


def poison_the_past(frames: Frames, first_on: date, value: float) -> Frames:
    """Bars, dividends and macro values before `first_on` become `value`; reports keep their own age limit."""
    # A series may stand still for a week and still count, so only what is older is not looked at.
    before = {"bars": first_on, "dividends": first_on, "macro": first_on - timedelta(days=8)}
    return frames | {
        table: overwritten(frames[table], pl.col(DATED[table][0]) < day, DATED[table][1], value)
        for table, day in before.items()
    }


class TestLookBack:
    def test_what_is_older_does_not_matter(self, frames: Frames) -> None:
        # The halted stock's look-back counts its own sessions and reaches further back in days.
        frames = frames | {"bars": frames["bars"].filter(pl.col("instrument_id") != 3)}
        whole = compute(frames)
        sharp = {name for name, feature in FEATURES.items() if not feature.fading}
        for look_back in sorted({describe(name).look_back for name in sharp}):
            honest = {name for name in sharp if describe(name).look_back <= look_back}
            for row, value in ((330, float("nan")), (451, 1e30), (639, float("nan"))):
                poisoned = compute(poison_the_past(frames, DAYS[row - look_back], value))
                moved = changed(whole, poisoned, first_on=DAYS[row], last_on=DAYS[row])
                assert not moved & honest, look_back

    def test_exponential_averages_forget(self, frames: Frames, whole: Matrix) -> None:
        row = 500
        fading = [place for place, name in enumerate(whole.names) if FEATURES[name].fading]
        assert {whole.names[place] for place in fading} == {"rsi_14", "macd_12_26", "macd_histogram_9", "atr_14"}
        other = market_frames(sessions=SESSIONS, seed=99)["bars"]
        for place in fading:
            first_on = DAYS[row - FEATURES[whole.names[place]].look_back]
            keys = ["instrument_id", "session_on"]
            mixed = pl.concat(
                [other.filter(pl.col("session_on") < first_on), frames["bars"].filter(pl.col("session_on") >= first_on)]
            ).sort(keys)
            after = compute(frames | {"bars": mixed})
            today = whole.day == number(DAYS[row])
            assert np.allclose(whole.values[place, today], after.values[place, today], rtol=1e-5, atol=1e-6)

    def test_an_understated_look_back_is_found(self, frames: Frames) -> None:
        poisoned = compute(poison_the_past(frames, DAYS[500 - 20], float("nan")))
        assert "momentum_21" in changed(compute(frames), poisoned, first_on=DAYS[500], last_on=DAYS[500])


class TestLevels:
    def test_later_dividends_do_not_show(self, frames: Frames, whole: Matrix) -> None:
        """A later dividend scales all adjusted prices; a power of two does so without rounding."""
        scaled = frames["bars"].with_columns(pl.col("adj_close") * 0.5)
        assert changed(whole, compute(frames | {"bars": scaled}), last_on=DAYS[-1]) == set()

    def test_later_splits_do_not_show(self, frames: Frames, whole: Matrix) -> None:
        halved = frames["bars"].with_columns(*(pl.col(name) * 0.5 for name in PRICES), volume=pl.col("volume") * 2)
        split = frames | {
            "bars": halved,
            "dividends": frames["dividends"].with_columns(pl.col("amount_usd") * 0.5),
            "shares": frames["shares"].with_columns(pl.col("shares_outstanding") * 2.0),
        }
        assert changed(whole, compute(split), last_on=DAYS[-1]) == set()


class TestDeclaration:
    def test_no_name_is_given_twice(self) -> None:
        families = [module for module in vars(library).values() if isinstance(module, ModuleType)]
        names = [feature.name for family in families for feature in getattr(family, "FEATURES", ())]
        assert len(names) == len(set(names)) == len(FEATURES) >= 60

    @pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES.keys())
    def test_it_is_complete(self, feature: Feature) -> None:
        assert feature.name == feature.name.lower()
        assert feature.name.isidentifier()
        assert len(feature.name) <= 64
        assert 0 <= feature.look_back <= 252
        assert feature.lag_days >= 0
        assert len(feature.description.split()) >= 2 or feature.description.isalpha()
        assert not feature.description.endswith(".")
        assert set(feature.inputs) <= BAR_INPUTS | set(MACRO_LAG_DAYS) | set(FEATURES) | REPORTED

    def test_reports_are_declared_with_their_lag(self) -> None:
        assert all(f.lag_days > 0 for f in FEATURES.values() if set(f.inputs) & REPORTED)

    def test_inputs_come_before(self) -> None:
        names = list(FEATURES)
        for feature in FEATURES.values():
            assert all(names.index(name) < names.index(feature.name) for name in feature.inputs if name in FEATURES)

    @pytest.mark.parametrize("column", ["open", "high", "low", "volume"])
    def test_declared_inputs_are_all_that_matter(self, frames: Frames, whole: Matrix, column: str) -> None:
        """Without the column exactly those features change that name it among their inputs, or an input's inputs."""
        missing = compute(frames | {"bars": frames["bars"].with_columns(pl.lit(float("nan")).alias(column))})
        readers = {name for name, feature in FEATURES.items() if column in inputs_of(feature)}
        assert changed(whole, missing, last_on=DAYS[-1]) == readers

    @pytest.mark.parametrize("item", [*ITEMS, "shares_outstanding"])
    def test_declared_reports_are_all_that_matter(self, frames: Frames, whole: Matrix, item: str) -> None:
        missing = compute(
            frames
            | {
                "facts": frames["facts"].filter(pl.col("item") != item),
                "shares": frames["shares"].filter(pl.lit(item != "shares_outstanding")),
            }
        )
        readers = {name for name, feature in FEATURES.items() if item in inputs_of(feature)}
        assert changed(whole, missing, last_on=DAYS[-1]) == readers

    def test_every_value_is_finite_or_unknown_and_most_are_known(self, whole: Matrix) -> None:
        assert not np.isinf(whole.values).any()
        late = (whole.day >= number(DAYS[560])) & whole.member & (whole.sector >= 0)
        known = np.isfinite(whole.values[:, late]).mean(axis=1)
        assert {name for name, share in zip(whole.names, known, strict=True) if share < 0.7} == set()


def inputs_of(feature: Feature) -> Iterator[str]:
    """Inputs down to the data."""
    for name in feature.inputs:
        if name in FEATURES:
            yield from inputs_of(FEATURES[name])
        else:
            yield name
